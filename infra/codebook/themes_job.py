"""The themes job: a study's codes in, themes and the places of codes out."""

import asyncio
import json
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from infra.brokers import open_history
from infra.clock import SystemClock
from infra.factory.models import Models
from infra.factory.stores import build_store
from infra.settings import Settings
from models.codebook.codebook import Codebook
from models.codebook.themes import AUTHOR, Arrangement, Code, ThemeSettings, arrange, codes_and_themes, to_events
from models.errors import InputError, UnavailableError
from models.ports import Embedder
from schemas import CodeEvent
from schemas.ids import code_id

if TYPE_CHECKING:
    from infra.storage.store import Store
    from streams.cluster import Cluster

_EXPECTED = "a JSON object with study and code is expected, as `qualstream code` writes it"


@dataclass(frozen=True)
class Themed:
    """What a run came to."""

    codes: tuple[Code, ...]
    arrangement: Arrangement
    events: tuple[CodeEvent, ...] = ()


def theme_study(settings: Settings, options: ThemeSettings, *, dry_run: bool) -> Themed:
    """Place a study's codes and write what changed.

    With a broker the codebook topic is read and written. Without one (no ``QUALSTREAM_KAFKA_URL``, no stack running on
    the data folder) the read model is: the stack's next start publishes its history.

    Args:
        settings: Study, broker, store and profile.
        options: When codes share a theme.
        dry_run: Whether to write nothing.

    Raises:
        InputError: If the study has no codes.
        UnavailableError: If the brokers do not answer.
    """
    with open_history(settings, read_only=dry_run) as history:
        with closing(build_store(settings)) as store:
            themed = _place(settings, options, store, history.cluster)
        if themed.events and not dry_run:
            history.write(themed.events)
    return themed


def _place(settings: Settings, options: ThemeSettings, store: "Store", brokers: "Cluster | None") -> Themed:
    study = settings.study
    codebook = Codebook(asyncio.run(_read(brokers)) if brokers else store.code_events(study))
    codes, themes = codes_and_themes(codebook, study, store.segments_by_code(study))
    if not codes:
        raise InputError(f"study '{study}' has no codes in '{settings.data_dir}'; ingest and code it, or name another")
    embedder = Models.of(settings).embedder
    arrangement = arrange(study, codes, themes, embedder, options, used=_themes(codebook))
    author = _author(embedder)
    return Themed(
        tuple(codes), arrangement, tuple(to_events(arrangement, codebook, study, author, SystemClock().now()))
    )


def _themes(codebook: Codebook) -> set[UUID]:
    return {code.id for code in codebook.values() if code.level == "theme"}


def _author(embedder: Embedder) -> str:
    return f"{AUTHOR} {embedder.version}"[:120]


async def _read(brokers: "Cluster") -> list[CodeEvent]:
    from aiokafka.errors import KafkaError

    from streams.cluster import read_topic
    from streams.stage import readable
    from streams.topology import CODEBOOK

    try:
        values = [value async for _, _, _, value in read_topic(brokers, CODEBOOK.name)]
    except (KafkaError, OSError) as error:
        raise UnavailableError(
            f"the brokers at {','.join(brokers.servers)} do not answer ({error}); "
            "start them, or correct QUALSTREAM_KAFKA_URL"
        ) from error
    return list(readable(values, CodeEvent))


def theme_file(settings: Settings, options: ThemeSettings, file: Path, study: str | None) -> Themed:
    """Place the codes of what ``qualstream code`` wrote; nothing is kept.

    Args:
        settings: The profile, for its embedder.
        options: When codes share a theme.
        file: JSON lines, or ``-`` for standard input.
        study: Whose lines to take; none: all, which must then be of one study.

    Raises:
        InputError: If the file cannot be read, a line is not as it must be, or no line has a code.
    """
    rows = [row for row in _rows(file) if study in (None, row["study"])]
    studies = sorted({row["study"] for row in rows})
    if len(studies) != 1:
        content = f"codes of {len(studies)} studies ({', '.join(studies)})" if studies else "no coded segment"
        raise InputError(f"'{file}' holds {content}, those of one are expected; choose one with --study")
    sizes, labels = Counter(row["code_id"] for row in rows), {row["code_id"]: row["code"] for row in rows}
    codes = tuple(Code(code, label, sizes[code]) for code, label in labels.items())
    embedder = Models.of(settings).embedder
    return Themed(codes, arrange(studies[0], codes, (), embedder, options))


def _rows(file: Path) -> list[dict[str, Any]]:
    try:
        lines = sys.stdin.readlines() if str(file) == "-" else file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read '{file}' ({error}); give the file that `qualstream code` wrote") from None
    rows = (_row(line, f"'{file}', line {n}") for n, line in enumerate(lines, 1) if line.strip())
    return [row for row in rows if row is not None]


def _row(line: str, place: str) -> dict[str, Any] | None:
    """A line's study, code and its id; ``None`` for a segment that could not be coded."""
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InputError(f"{place}: not JSON ({error}); {_EXPECTED}") from None
    if not isinstance(row, dict) or not {"study", "code"} <= row.keys():
        raise InputError(f"{place}: {line.strip()[:40]!r} has no study and code; {_EXPECTED}")
    study, code = row["study"], row["code"]
    if code is None:
        return None
    if not (isinstance(study, str) and isinstance(code, str) and study and code.strip()):
        raise InputError(f"{place}: study is {study!r:.40} and code is {code!r:.40}; {_EXPECTED}")
    try:
        return {"study": study, "code": code, "code_id": UUID(str(row.get("code_id") or code_id(study, code)))}
    except ValueError:
        raise InputError(f"{place}: code_id is {row['code_id']!r:.40}, a UUID was expected; {_EXPECTED}") from None


def as_lines(themed: Themed) -> list[dict[str, Any]]:
    """One object a code, by theme: those that stand alone last, the most used first."""
    names = {theme.id: theme.label for theme in themed.arrangement.themes}
    sizes = Counter[UUID | None]()
    for code in themed.codes:
        sizes[themed.arrangement.homes.get(code.id)] += code.segments

    def place(code: Code) -> tuple[Any, ...]:
        home = themed.arrangement.homes.get(code.id)
        return (home is None, -sizes[home], str(home), -code.segments, code.label)

    lines = []
    for code in sorted(themed.codes, key=place):
        home = themed.arrangement.homes.get(code.id)
        line = {"code_id": str(code.id), "code": code.label, "segments": code.segments}
        lines.append(line | {"theme_id": home and str(home), "theme": home and names.get(home)})
    return lines
