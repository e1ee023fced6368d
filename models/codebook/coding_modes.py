"""Where a study's codes come from: whether models may open them, propose them, or only use those there are (ADR 19)."""

from collections.abc import Callable, Iterable
from functools import cache

from models.codebook.newest_rules import NewestRules
from schemas import StudyRules
from schemas.coding import CodeStanding
from schemas.study import CodingMode


def standing_of(mode: CodingMode, *, in_codebook: bool) -> CodeStanding:
    """What a label comes to by the study's mode.

    Args:
        mode: The study's.
        in_codebook: Whether a code of the codebook says what the label says.

    Returns:
        ``code`` where one does, or where a new code may be opened; else ``proposed``, for people to admit, or ``none``.
    """
    if in_codebook or mode == "inductive":
        return "code"
    return "proposed" if mode == "mixed" else "none"


def _inductive(_study: str) -> CodingMode:
    return "inductive"


class CodingModes:
    """Each study's coding mode, as its newest rules have it."""

    def __init__(self, default: Callable[[str], CodingMode] = _inductive) -> None:
        """Know no rules yet.

        Args:
            default: The mode of a study that has set none.
        """
        self._default = cache(default)  # asked for every segment
        self._rules = NewestRules()

    def update(self, rules: Iterable[StudyRules]) -> None:
        """Hear what studies want, in any order."""
        self._rules.update(rules)

    def of(self, study: str) -> CodingMode:
        """The study's mode."""
        rules = self._rules.of(study)
        return self._default(study) if rules is None else rules.coding_mode
