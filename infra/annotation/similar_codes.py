"""Codes of a study whose labels are near to each other, and how large its codebook is when they are merged."""

from dataclasses import dataclass

from infra.annotation.code_search import Nearby
from infra.annotation.codebook_view import listed
from infra.storage.database import Database
from models.annotation.coding import CodeLookup
from models.codebook.near_duplicates import MOST, LabelUse, NearCodes, near_duplicates, size_after


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
        self._counted: dict[str, _PairCount] = {}

    def pairs(self, study: str, threshold: float) -> int:
        """How many codes look like another one, as last counted: no model keeps whoever asks waiting.

        Args:
            study: Whose codes.
            threshold: From which cosine of their labels on.
        """
        codes, known = self._nearby.codes(study), self._counted.get(study)
        if known is not None and known.codes is codes and known.threshold == threshold:
            return known.pairs
        seen = self.preview(study, threshold, waits=False)
        if seen is None:
            return 0 if known is None else known.pairs
        self._counted[study] = _PairCount(codes, threshold, seen.pairs)
        return seen.pairs

    def preview(self, study: str, threshold: float, *, waits: bool = True) -> CodebookPreview | None:
        """The near codes of a study; ``None`` while their labels are still being embedded.

        Args:
            study: Whose codes.
            threshold: From which cosine of their labels on.
            waits: Whether a few labels that lack their embedding are embedded at once, else beside.
        """
        embedded = self._nearby.embedded(study, waits=waits)
        if embedded is None:
            return None if self._nearby.codes(study).live else CodebookPreview(threshold, 0, 0, [], 0)
        codes, vectors = embedded
        uses = {code.id: code.count for code in listed(self._database, study)}
        rows = sorted(range(len(codes)), key=lambda row: -uses.get(codes[row].id, 0))[:MOST]
        compared = [LabelUse(codes[row].id, codes[row].label, uses.get(codes[row].id, 0)) for row in rows]
        groups = near_duplicates(compared, vectors[rows], threshold)
        return CodebookPreview(threshold, len(codes), size_after(len(codes), groups), groups, len(rows))
