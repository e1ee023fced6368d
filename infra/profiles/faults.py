"""What is wrong with a profile, in one line that names the key as the file has it."""

from collections.abc import Container, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from models.text.words import nearest

LONGEST_SHOWN = 60
"""Characters of a wrong value that an error repeats."""


def explain(
    fault: ErrorDetails, data: dict[str, Any], whole: type[BaseModel], tables: Mapping[str, type[BaseModel]]
) -> str:
    """One line for one of pydantic's faults: the key, what was found, what was expected.

    Args:
        fault: From pydantic.
        data: The file, as it was read.
        whole: What the file as a whole must be.
        tables: What its tables must be, by their names in the file.
    """
    loc = fault["loc"]
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "value_error":
        return message
    key = _key(loc, data, tables)
    if fault["type"] == "extra_forbidden":
        table = tables.get(_table(loc)) if len(loc) > 1 else whole
        known = list(table.model_fields) if table else []
        meant = nearest(str(loc[-1]), known)
        hint = f"the nearest is '{meant}'" if meant else f"known here are {', '.join(known)}"
        return f"unknown key {key}; {hint}"
    if fault["type"] == "missing":
        return f"{key} is missing; add it"
    value = repr(fault["input"])
    value = value if len(value) <= LONGEST_SHOWN else value[:LONGEST_SHOWN] + "…"
    return f"{key} is {value} but: {message[0].lower()}{message[1:]}"


def _key(loc: tuple[int | str, ...], data: dict[str, Any], tables: Container[str]) -> str:
    """``'temperature' in [generation]``, ``'prompt' of member 'gist'``, ``'seed'``."""
    if len(loc) > 2 and loc[0] == "members" and isinstance(loc[1], int):
        table = data["members"][loc[1]]
        name = table.get("name") if isinstance(table, dict) else None
        return f"'{loc[2]}' of member " + (f"'{name}'" if name else str(loc[1] + 1))
    if _in_panel(loc):
        return f"'{loc[3]}' of [[moderator.panel]] {int(loc[2]) + 1}"
    if _of_a_study(loc):
        return f"'{loc[3]}' in [router.studies.{loc[2]}]"
    if len(loc) > 1 and loc[0] in tables and isinstance(loc[1], str):
        return f"'{loc[1]}' in [{loc[0]}]"
    return f"'{loc[0]}'" if loc else "the file"


def _table(loc: tuple[int | str, ...]) -> str:
    """The name of the kind of table that a key is in."""
    return ".".join(map(str, loc[:2])) if _in_panel(loc) or _of_a_study(loc) else str(loc[0])


def _of_a_study(loc: tuple[int | str, ...]) -> bool:
    return len(loc) > 3 and loc[:2] == ("router", "studies")


def _in_panel(loc: tuple[int | str, ...]) -> bool:
    return len(loc) > 3 and loc[:2] == ("moderator", "panel")
