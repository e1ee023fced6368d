"""Codes of a study whose labels are near to each other, and how large its codebook is when they are merged."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from infra.annotation.code_search import Nearby, WorkBeside
from infra.annotation.codebook_view import listed
from infra.storage.database import Database
from models.annotation.coding import CodeLookup
from models.codebook.near_duplicates import MOST, LabelUse, NearCodes, near_duplicates, size_after

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CodebookPreview:
    """What merging at a threshold comes to."""

    threshold: float
    codes: int
    """That the study has now."""
    after: int
    """That it has when all groups are merged."""
    groups: list[NearCodes]
    compared: int

    @property
    def pairs(self) -> int:
        """How many codes would become another one."""
        return self.codes - self.after


@dataclass(frozen=True)
class _PairCount:
    codes: CodeLookup
    """The state of the codebook: another one is another object."""
    threshold: float
    pairs: int


class SimilarCodes:
    """Near codes of all studies; how many there are is counted once a state of a codebook. Safe for many threads."""

    def __init__(self, database: Database, nearby: Nearby) -> None:
        """Share the read model's database and the page's codebooks; nothing is read yet."""
        self._database, self._nearby = database, nearby
        self._counts: dict[str, _PairCount] = {}
        self._beside = WorkBeside("similar codes")

    def pairs(self, study: str, threshold: float) -> int:
        """How many codes look like another one, as last counted: nobody who asks waits for a model or for a count.

        Args:
            study: Whose codes.
            threshold: From which cosine of their labels on.
        """
        codes, known = self._nearby.codes(study), self._counts.get(study)
        if known is None or known.codes is not codes or known.threshold != threshold:
            self._count_beside(study, threshold, codes)
        return 0 if known is None or known.threshold != threshold else known.pairs

    def preview(self, study: str, threshold: float) -> CodebookPreview | None:
        """The near codes of a study; ``None`` while their labels are still being embedded.

        Args:
            study: Whose codes.
            threshold: From which cosine of their labels on.
        """
        compare = self._comparison(study, threshold, waits=True)
        return None if compare is None else compare()

    def wait(self) -> None:
        """Return when what is being counted now is counted."""
        self._beside.wait()

    def _comparison(self, study: str, threshold: float, *, waits: bool) -> Callable[[], CodebookPreview] | None:
        """What compares the codes: everything that it needs has been read; none while embeddings lack."""
        embedded = self._nearby.embedded(study, waits=waits)
        if embedded is None:
            nothing = CodebookPreview(threshold, 0, 0, [], 0)
            return None if self._nearby.codes(study).live else lambda: nothing
        codes, vectors = embedded
        uses = {code.id: code.count for code in listed(self._database, study)}
        rows = sorted(range(len(codes)), key=lambda row: -uses.get(codes[row].id, 0))[:MOST]
        compared = [LabelUse(codes[row].id, codes[row].label, uses.get(codes[row].id, 0)) for row in rows]

        def compare() -> CodebookPreview:
            groups = near_duplicates(compared, vectors[rows], threshold)
            return CodebookPreview(threshold, len(codes), size_after(len(codes), groups), groups, len(rows))

        return compare

    def _count_beside(self, study: str, threshold: float, codes: CodeLookup) -> None:
        if self._beside.busy:
            return  # a later visit asks again
        compare = self._comparison(study, threshold, waits=False)
        if compare is None:
            return

        def work() -> None:
            try:
                self._counts[study] = _PairCount(codes, threshold, compare().pairs)
            except Exception:  # the pages go on without; the next visit tries again
                log.exception("near codes of study %r cannot be counted, so pages offer none", study)

        self._beside.start(work)
