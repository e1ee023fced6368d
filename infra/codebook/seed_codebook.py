"""What people coded already: files of texts with their codes, taught to a study as codebook and precedents."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from infra.brokers import publish_or_keep
from infra.files.coded_texts import HumanCoded, distinct, read_human_coded
from infra.settings import load_settings
from models.coding.labels import label_fault
from models.errors import InputError
from schemas import Annotation, CodeEvent
from schemas.ids import code_event_id, code_id, normalised_label

if TYPE_CHECKING:
    from schemas import Record

_LONGEST_NAME = 120  # of an author or annotator


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
        codes = {code_id(study, label): label for label in labels}
        yield Annotation.about(one.segment, coder, codes, at)  # not when it was said: later ones take its place


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
    how = publish_or_keep(settings, list(history(texts, name, _last_changed(source))))
    codes = distinct(code for one in texts for code in one.codes)
    unlike = sum(label_fault(code) is not None for code in codes)
    said = f"{len(texts)} texts with {len(codes)} codes of {name} taught to study '{settings.study}', {how}"
    click.echo(said + (f"; {unlike} of the codes are none that members may write" if unlike else ""), err=True)


def _last_changed(file: Path) -> datetime:
    """When a person last had a hand in a file: the same however often it is taught."""
    return datetime.fromtimestamp(file.stat().st_mtime, UTC)
