"""What people coded already: files of texts with their codes, taught to a study as codebook and precedents."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from infra.files.coded_texts import HumanCoded, distinct
from schemas import Annotation, CodeEvent
from schemas.ids import code_event_id, code_id, normalised_label

if TYPE_CHECKING:
    from schemas import Record


def history(texts: Sequence[HumanCoded], coder: str, at: datetime) -> "Iterator[Record]":
    """The records that a file of coded texts comes to: codes created, and one annotation a text.

    Ids are derived, so that the same file taught twice changes nothing.

    Args:
        texts: Of one study.
        coder: Who coded them.
        at: When: the same each time that the same file is taught, later for a later version of it.
    """
    created = {normalised_label(code): code for code in distinct(code for text in texts for code in text.codes)}
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
    for text in texts:
        labels = [created[normalised_label(code)] for code in text.codes]
        codes = {code_id(study, label): label for label in labels}
        yield Annotation.about(text.segment, coder, codes, at)  # not when it was said: later ones take its place
