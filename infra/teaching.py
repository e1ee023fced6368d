"""What people coded already: files of texts with their codes, taught to a study as codebook and precedents."""

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from infra.local import data_folder_lock, publish_history
from infra.readers import Rejected, read_segments
from infra.settings import Settings, ensure_data_dir, load_settings
from models.errors import InputError
from models.precedents import CodedText
from models.prompts import label_fault
from schemas import Annotation, CodeEvent, Segment
from schemas.ids import code_event_id, code_id, normalised_label

if TYPE_CHECKING:
    from infra.readmodel.store import Store
    from schemas import Record
    from streams.cluster import Cluster

CODE_NAMES = ("codes", "code", "labels", "label", "themes", "theme")
LONGEST_CODE = 120  # characters of a label in any record
_LONGEST_NAME = 120  # of an author or annotator
_SEPARATORS = r"[;|\n]"


@dataclass(frozen=True)
class HumanCoded:
    """A segment with the codes that a person gave it."""

    segment: Segment
    codes: tuple[str, ...]

    @property
    def coded(self) -> CodedText:
        """As precedents are learnt."""
        return CodedText(self.segment.study, str(self.segment.id), self.segment.text, self.codes)


def read_human_coded(
    source: Path, study: str, codes_column: str | None = None, **columns: str | None
) -> list[HumanCoded]:
    """Read a file of texts with codes.

    Several codes of a text stand in a list, are parted by ``;`` or ``|``, or stand in rows with the same id.

    Args:
        source: Any file that segments are read from.
        study: Whose.
        codes_column: The column of the codes; guessed from usual names where not given.
        columns: ``fmt``, ``text_column`` and ``id_column`` as ``read_segments`` takes them.

    Raises:
        InputError: If the file cannot be read, a row cannot be taken, or there is no column of codes.
    """
    found: dict[UUID, HumanCoded] = {}
    for number, row in enumerate(read_segments(source, study=study, **columns), 1):
        if isinstance(row, Rejected):
            raise InputError(f"{row.file}, line {row.line}: {row.reason}; correct the row or take it out")
        codes = _codes(row, codes_column, f"{source}, segment {number}")
        if codes:
            before = found[row.id].codes if row.id in found else ()
            found[row.id] = HumanCoded(row, distinct([*before, *codes]))
    if not found:
        raise InputError(f"{source} holds no coded text; expected a text and its codes in each row")
    return list(found.values())


def _codes(segment: Segment, column: str | None, place: str) -> tuple[str, ...]:
    by_name: Mapping[str, Any] = {name.casefold(): value for name, value in segment.metadata.items()}
    wanted = (column.casefold(),) if column else CODE_NAMES
    name = next((name for name in wanted if name in by_name), None)
    if name is None:
        expected = f"'{column}'" if column else f"one of {', '.join(CODE_NAMES)}"
        raise InputError(
            f"{place}: no column with codes; found {', '.join(segment.metadata) or 'only the text'}, expected "
            f"{expected}; name it with --codes-column"
        )
    codes = by_name[name] if isinstance(by_name[name], list) else parted(by_name[name])
    return distinct([checked(code, place) for code in codes if code is not None and str(code).strip()])


def parted(value: Any) -> list[Any]:
    """Several codes that stand in one cell."""
    return re.split(_SEPARATORS, value) if isinstance(value, str) else [value]


def checked(code: Any, place: str) -> str:
    """A code as it is kept; raises ``InputError`` with the place for what is none."""
    said = " ".join(str(code).split())
    fit = isinstance(code, str | int | float) and any(c.isalnum() for c in said)
    if not fit or len(said) > LONGEST_CODE:
        raise InputError(
            f"{place}: {said[:40]!r} is no code; at most {LONGEST_CODE} characters with a letter or digit are expected"
        )
    return said


def distinct(codes: Iterable[str]) -> tuple[str, ...]:
    """Each code once, as it was first spelt."""
    first: dict[str, str] = {}
    for code in codes:
        first.setdefault(normalised_label(code), code)
    return tuple(first.values())


def history(texts: Sequence[HumanCoded], coder: str, at: datetime) -> "Iterator[Record]":
    """The records that a file of coded texts comes to: codes created, and one annotation a text.

    Ids are derived, so that the same file taught twice changes nothing.

    Args:
        texts: Of one study.
        coder: Who coded them.
        at: When: the same each time that the same file is taught, later for a later version of it.
    """
    created = {normalised_label(code): code for code in distinct(code for one in texts for code in one.codes)}
    study = texts[0].segment.study if texts else ""
    for label in created.values():
        identity = code_id(study, label)
        yield CodeEvent(
            id=code_event_id(identity, "created", f"taught by {coder}"),
            code_id=identity,
            study=study,
            kind="created",
            label=label,
            author=coder,
            at=at,
            reason="taught from a coded file",
        )
    for one in texts:
        labels = [created[normalised_label(code)] for code in one.codes]
        yield Annotation(
            segment_id=one.segment.id,
            study=study,
            annotator=coder,
            code_ids=[code_id(study, label) for label in labels],
            labels=labels,
            text=one.segment.text,
            decided_at=at,  # not when it was said: what is decided later takes the place of what was before
        )


def write(settings: Settings, records: "Sequence[Record]") -> str:
    """Publish history where there are brokers; else keep it in the store, whose history the next start publishes.

    A local stack's broker forgets everything when it ends, so what it gets is in the store before.

    Returns:
        What was done, in words.

    Raises:
        SettingError: If a local stack is just starting or stopping.
    """
    from infra import wiring
    from infra.local import local_broker

    ensure_data_dir(settings)
    published = bool(settings.kafka_url) or local_broker(settings) is not None
    if not settings.kafka_url:
        with nullcontext() if published else data_folder_lock(settings):
            _keep(wiring.store(settings), records)
    if not published:
        return "kept; the next `qualstream up` publishes it"
    asyncio.run(_publish(records, wiring.cluster(settings)))
    return "published"


def _keep(store: "Store", records: "Sequence[Record]") -> None:
    try:
        store.record(records)
    finally:
        store.close()


async def _publish(records: "Sequence[Record]", cluster: "Cluster") -> None:
    from streams.topics import create_topics
    from streams.topology import CODEBOOK, LABELS

    await create_topics(cluster, [CODEBOOK, LABELS])  # a broker would make a missing one with a single partition
    await publish_history(records, cluster)


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--study", help="Study; default: QUALSTREAM_STUDY, else demo.")
@click.option("--coder", required=True, help="Who coded it: a person's name or initials.")
@click.option("--format", "fmt", type=click.Choice(["csv", "tsv", "jsonl", "xlsx"]), help="Default: by name.")
@click.option("--text-column", help="Column with the text; default: the usual names.")
@click.option("--id-column", help="Column with the source's own id.")
@click.option("--codes-column", help="Column with the codes; default: codes, code, labels, label, themes, theme.")
def teach(source: Path, study: str | None, coder: str, codes_column: str | None, **columns: str | None) -> None:
    """Teach a study the texts that people coded already: their codes open its codebook and lead the moderator."""
    settings = load_settings(study=study)
    name = " ".join(coder.split())
    if not 0 < len(name) <= _LONGEST_NAME:
        raise InputError(f"coder {name[:40]!r} is no name; 1 to {_LONGEST_NAME} characters are expected in --coder")
    texts = read_human_coded(source, settings.study, codes_column, **columns)
    how = write(settings, list(history(texts, name, _last_changed(source))))
    codes = distinct(code for one in texts for code in one.codes)
    unlike = sum(label_fault(code) is not None for code in codes)
    said = f"{len(texts)} texts with {len(codes)} codes of {name} taught to study '{settings.study}', {how}"
    click.echo(said + (f"; {unlike} of the codes are none that members may write" if unlike else ""), err=True)


def _last_changed(file: Path) -> datetime:
    """When a person last had a hand in a file: the same however often it is taught."""
    return datetime.fromtimestamp(file.stat().st_mtime, UTC)
