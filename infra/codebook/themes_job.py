"""The themes job: a study's codes in, themes and the places of codes out; and the command for it."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from infra.brokers import build_cluster
from infra.clock import SystemClock
from infra.factory.models import build_embedder
from infra.factory.stores import build_store
from infra.profiles.loading import checked_profile
from infra.settings import Settings, ensure_data_dir, load_settings
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


def theme_study(settings: Settings, wanted: ThemeSettings, *, dry_run: bool) -> Themed:
    """Place a study's codes and write what changed.

    With a broker the codebook topic is read and written, and the recorder does the rest. Without one (no
    ``QUALSTREAM_KAFKA_URL``, no stack running on the data folder) the read model is: the stack's next start publishes
    its history.

    Args:
        settings: Study, broker, store and profile.
        wanted: When codes share a theme.
        dry_run: Whether to write nothing.

    Raises:
        InputError: If the study has no codes.
        UnavailableError: If the brokers do not answer.
    """
    from infra.brokers import data_folder_lock

    ensure_data_dir(settings)
    brokers = _brokers(settings)
    alone = nullcontext() if brokers or dry_run else data_folder_lock(settings)
    with alone:
        store = build_store(settings)
        try:
            themed = _place(settings, wanted, store, brokers)
            if themed.events and not dry_run:
                _write(themed.events, store, brokers)
        finally:
            store.close()
    return themed


def _brokers(settings: Settings) -> "Cluster | None":
    from infra.brokers import local_broker

    if not settings.kafka_url and local_broker(settings) is None:
        return None
    return build_cluster(settings)


def _place(settings: Settings, wanted: ThemeSettings, store: "Store", brokers: "Cluster | None") -> Themed:
    study = settings.study
    codebook = Codebook(asyncio.run(_read(brokers)) if brokers else store.code_events(study))
    codes, themes = codes_and_themes(codebook, study, store.segments_by_code(study))
    if not codes:
        raise InputError(f"study '{study}' has no codes in '{settings.data_dir}'; ingest and code it, or name another")
    embedder = _embedder(settings)
    arrangement = arrange(study, codes, themes, embedder, wanted, used=_themes(codebook))
    author = _author(embedder)
    return Themed(
        tuple(codes), arrangement, tuple(to_events(arrangement, codebook, study, author, SystemClock().now()))
    )


def _embedder(settings: Settings) -> Embedder:

    return build_embedder(checked_profile(settings), settings)


def _themes(codebook: Codebook) -> set[UUID]:
    return {state.id for state in codebook.values() if state.level == "theme"}


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


def _write(events: Sequence[CodeEvent], store: "Store", brokers: "Cluster | None") -> None:
    if brokers is None:
        store.record(events)
        return
    from infra.brokers import publish_history

    asyncio.run(publish_history(events, brokers))


def theme_file(settings: Settings, wanted: ThemeSettings, file: Path, study: str | None) -> Themed:
    """Place the codes of what ``qualstream code`` wrote; nothing is kept.

    Args:
        settings: The profile, for its embedder.
        wanted: When codes share a theme.
        file: JSON lines, or ``-`` for standard input.
        study: Whose lines to take; none: all, which must then be of one study.

    Raises:
        InputError: If the file cannot be read, a line is not as it must be, or no line has a code.
    """
    rows = [row for row in _rows(file) if study in (None, row["study"])]
    studies = sorted({row["study"] for row in rows})
    if len(studies) != 1:
        found = f"codes of {len(studies)} studies ({', '.join(studies)})" if studies else "no coded segment"
        raise InputError(f"'{file}' holds {found}, those of one are expected; choose one with --study")
    sizes, labels = Counter(row["code_id"] for row in rows), {row["code_id"]: row["code"] for row in rows}
    codes = tuple(Code(code, label, sizes[code]) for code, label in labels.items())
    embedder = _embedder(settings)
    return Themed(codes, arrange(studies[0], codes, (), embedder, wanted))


def _rows(file: Path) -> list[dict[str, Any]]:
    try:
        lines = sys.stdin.readlines() if str(file) == "-" else file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read '{file}' ({error}); give the file that `qualstream code` wrote") from None
    found = (_row(line, f"'{file}', line {n}") for n, line in enumerate(lines, 1) if line.strip())
    return [row for row in found if row is not None]


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


def as_tree(themed: Themed) -> Tree:
    """Themes with their codes and how many segments each has; then the codes that stand alone."""
    tree = Tree(Text("themes"), guide_style="dim")
    lines = as_lines(themed)
    for home in dict.fromkeys(line["theme_id"] for line in lines):
        codes = [line for line in lines if line["theme_id"] == home]
        name = codes[0]["theme"] or home or "without a theme"
        branch = tree.add(_counted(name, sum(line["segments"] for line in codes), "bold" if home else "dim"))
        for line in codes:
            branch.add(_counted(line["code"], line["segments"]))
    return tree


def _counted(label: str, segments: int, style: str = "") -> Text:
    return Text.assemble((label, style), (f"  {segments}", "dim"))


def summary(themed: Themed, written: str) -> str:
    """One line on what a run came to."""
    made, homes = themed.arrangement, themed.arrangement.homes
    alone = sum(code.id not in homes for code in themed.codes)
    themes = len({*homes.values()})
    return (
        f"{themes} themes ({len(made.created)} new) over {len(homes)} codes ({len(made.placed)} placed now); "
        f"{alone} codes stand alone; {written}"
    )


@click.command()
@click.option("--study", help="Study; default: QUALSTREAM_STUDY, else demo.")
@click.option("--profile", help="Profile, for its embedder: a name, or the path of a TOML file.")
@click.option(
    "--file",
    "file",
    type=click.Path(path_type=Path, allow_dash=True),
    help="What `qualstream code` wrote, in place of a codebook; JSON lines out, the tree on standard error.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=ThemeSettings.threshold,
    show_default=True,
    help="Mean cosine of a code to those of its theme.",
)
@click.option(
    "--alone-from", type=click.IntRange(min=1), help="Segments from which one code is a theme; default: never."
)
@click.option("--dry-run", is_flag=True, help="Show what would be, write nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a code, for programs.")
def themes(
    study: str | None,
    profile: str | None,
    file: Path | None,
    threshold: float,
    alone_from: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Group a study's codes under themes. What stands stays: only codes without a theme are placed."""
    settings = load_settings(study=study, profile=profile)
    wanted = ThemeSettings(threshold, alone_from)
    if file is not None:
        themed, written = theme_file(settings, wanted, file, study), "nothing is kept of a file"
    else:
        themed = theme_study(settings, wanted, dry_run=dry_run)
        written = f"{len(themed.events)} changes " + ("not written (dry run)" if dry_run else "written")
    width = None if sys.stdout.isatty() else 120
    if as_json or file is not None:
        for line in as_lines(themed):
            click.echo(json.dumps(line, ensure_ascii=False))
    else:
        Console(width=width).print(as_tree(themed))
    if file is not None and not as_json:
        Console(stderr=True, width=width).print(as_tree(themed))
    click.echo(summary(themed, written), err=True)
