"""Writes docs/reference.md from the docstrings of what ``import qualstream`` offers; a test compares the two.

python -m infra.setup.api_page > docs/reference.md
"""

import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import qualstream

SECTIONS = {
    "Code": ("Coder", "Coded"),
    "A running stack": ("connect", "Connection", "Ingested"),
    "Measure": ("evaluate",),
    "Mask personal data": ("mask",),
    "Change over time": ("scan",),
    "Errors": ("QualstreamError", "SettingError", "InputError", "UnavailableError"),
}
"""By heading, the public names; results of other modules are described where they are returned."""
INTRODUCTION = """# Python reference

Everything that `import qualstream` offers; [Python](python.md) shows how it is used. This page is written by
`python -m infra.setup.api_page` from the docstrings.
"""
_PART = re.compile(r"^(Args|Returns|Yields|Raises|Example):$", re.MULTILINE)
_ITEM = re.compile(r"^ {4}([\w, .*]+): (.*)$")


def api_page() -> str:
    """The page as Markdown."""
    lines = [INTRODUCTION]
    for heading, names in SECTIONS.items():
        lines += [f"## {heading}", ""]
        for name in names:
            lines += _described(name, getattr(qualstream, name))
    return "\n".join(lines).rstrip() + "\n"


def _described(name: str, member: Any) -> Iterator[str]:
    if not inspect.isclass(member):
        yield from _callable(f"qualstream.{name}", member, "###")
        return
    yield from (f"### `qualstream.{name}`", "")
    yield from _prose(inspect.getdoc(member) or "")
    if is_dataclass(member):
        yield from _table(member)
    elif not issubclass(member, Exception):
        yield from _members(name, member)


def _members(name: str, member: type) -> Iterator[str]:
    if "__init__" in vars(member) and name != "Connection":  # which `connect` makes
        yield from _callable(f"qualstream.{name}", vars(member)["__init__"], "")
    for inner, value in vars(member).items():
        if inner.startswith("_"):
            continue
        if isinstance(value, property):
            yield from (f"#### `{name}.{inner}`", "", inspect.getdoc(value) or "", "")
        elif inspect.isfunction(value):
            yield from _callable(f"{name}.{inner}", value, "####")


def _callable(name: str, function: Any, level: str) -> Iterator[str]:
    shown = str(inspect.signature(function)).replace("'", "")
    shown = re.sub(r"\bself(, )?|(?:[a-z_]+\.)+(?=[A-Z])", "", shown).replace(" -> None", "")
    yield from (f"{level} `{name}`", "") if level else ()
    yield from ("```text", f"{name}{shown}", "```", "")
    yield from _prose(inspect.getdoc(function) or "")


def _prose(doc: str) -> Iterator[str]:
    """A docstring: its sentences, then its parts as lists; examples stand on the other page."""
    pieces = _PART.split(doc)
    yield from (pieces[0].strip().replace("``", "`"), "")
    for part, body in zip(pieces[1::2], pieces[2::2], strict=True):
        if part != "Example":
            yield from (f"**{'Arguments' if part == 'Args' else part}**", "")
            yield from (f"- {item}".replace("``", "`") for item in _items(body))
            yield ""


def _items(body: str) -> Iterator[str]:
    """What a part of a docstring lists, each on one line; a sentence that names nothing is one item."""
    item = ""
    for line in body.strip("\n").splitlines():
        if match := _ITEM.match(line):
            if item:
                yield item
            item = f"`{match[1]}`: {match[2]}"
        else:
            item = f"{item} {line.strip()}".strip()
    if item:
        yield item


def _table(member: type) -> Iterator[str]:
    """A result's fields with what stands below each in the source."""
    source = inspect.getsource(member)
    yield from ("| field | |", "|---|---|")
    for field in fields(member):
        match = re.search(rf'^    {field.name}: [^\n]*\n    """(.*?)"""', source, re.MULTILINE | re.DOTALL)
        meaning = " ".join(match[1].split()).replace("``", "`").replace("|", "\\|") if match else ""
        yield f"| `{field.name}` | {meaning} |"
    yield ""


def written() -> Path:
    """Where the page stands."""
    return Path(__file__).parents[2] / "docs" / "reference.md"


if __name__ == "__main__":
    sys.stdout.write(api_page())
