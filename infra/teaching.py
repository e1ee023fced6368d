"""What people coded already: files of texts with their codes, taught to a study as codebook and precedents."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from infra.local import data_folder_lock, publish_history
from infra.readers import Rejected, read_segments
from infra.settings import Settings, ensure_data_dir, load_settings
from models.clock import SystemClock
from models.errors import InputError
from models.precedents import Coded
from models.prompts import label_fault
from schemas import Annotation, CodeEvent, Segment
from schemas.ids import code_event_id, code_id, normalised_label

if TYPE_CHECKING:
    from schemas import Record

CODE_NAMES = ("codes", "code", "labels", "label", "themes", "theme")
_SEPARATORS = ";|"


@dataclass(frozen=True)
class HumanCoded:
    """A segment with the codes that a person gave it."""

    segment: Segment
    codes: tuple[str, ...]

    @property
    def coded(self) -> Coded:
        """As precedents are learnt."""
        return Coded(self.segment.study, str(self.segment.id), self.segment.text, self.codes)


def read_human_coded(
    source: Path, study: str, codes_column: str | None = None, **columns: str | None
) -> list[HumanCoded]:
    """Read a file of texts with codes; several codes of a text stand in a list, or are parted by ``;`` or ``|``.

    Args:
        source: Any file that segments are read from.
        study: Whose.
        codes_column: The column of the codes; guessed from usual names where not given.
        columns: ``fmt``, ``text_column`` and ``id_column`` as ``read_segments`` takes them.

    Raises:
        InputError: If the file cannot be read, a row cannot be taken, or there is no column of codes.
    """
    found = []
    for number, row in enumerate(read_segments(source, study=study, **columns), 1):
        if isinstance(row, Rejected):
            raise InputError(f"{row.file}, line {row.line}: {row.reason}; correct the row or take it out")
        found.append(HumanCoded(row, _codes(row, codes_column, f"{source}, segment {number}")))
    if not any(one.codes for one in found):
        raise InputError(f"{source} holds no coded text; expected a text and its codes in each row")
    return [one for one in found if one.codes]


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
    value = by_name[name]
    codes = value if isinstance(value, list) else _parted(str(value or ""))
    kept = dict.fromkeys(" ".join(str(code).split()) for code in codes if code is not None and str(code).strip())
    for code in kept:
        if len(code) > 200 or not any(c.isalnum() for c in code):
            raise InputError(f"{place}: {code[:40]!r} is no code; at most 200 characters with a letter are expected")
    return tuple(kept)


def _parted(text: str) -> list[str]:
    for separator in _SEPARATORS:
        text = text.replace(separator, "\n")
    return text.split("\n")


def history(texts: Sequence[HumanCoded], coder: str, at: datetime) -> "Iterator[Record]":
    """The records that a file of coded texts comes to: codes created, and one annotation a text.

    Ids are derived, so that the same file taught twice changes nothing.
    """
    created: dict[str, str] = {}
    for one in texts:
        for code in one.codes:
            created.setdefault(normalised_label(code), code)
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
            decided_at=one.segment.timestamp or at,
        )


def write(settings: Settings, records: "Sequence[Record]") -> str:
    """Publish history where there are brokers; else keep it in the store, whose history the next start publishes.

    Returns:
        What was done, in words.
    """
    from infra import wiring
    from infra.local import local_broker

    ensure_data_dir(settings)
    if settings.kafka_url or local_broker(settings) is not None:
        asyncio.run(publish_history(records, wiring.cluster(settings)))
        return "published"
    with data_folder_lock(settings):
        store = wiring.store(settings)
        try:
            store.record(records)
        finally:
            store.close()
    return "kept; the next `qualstream up` publishes it"


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
    texts = read_human_coded(source, settings.study, codes_column, **columns)
    records = list(history(texts, coder, SystemClock().now()))
    how = write(settings, records)
    codes = {normalised_label(code) for one in texts for code in one.codes}
    long = sum(label_fault(code) is not None for code in codes)
    said = f"{len(texts)} texts with {len(codes)} codes of {coder} taught to study '{settings.study}', {how}"
    Console(stderr=True).print(said + (f"; {long} codes are longer than members may write" if long else ""))
