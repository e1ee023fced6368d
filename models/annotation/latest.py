"""Which codes a segment has in the end: an adjudication's, else people's where they agree, else the model's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

SettledBy = Literal["adjudication", "people", "model"]


@dataclass(frozen=True)
class Said:
    """What one person decided, by the codes as they are now: merged ones stand for what they became."""

    annotator: str
    codes: tuple[UUID, ...]
    adjudicates: bool = False


@dataclass(frozen=True)
class Settled:
    """A segment's codes in the end, and whose word that is; none where nobody has coded it yet."""

    codes: tuple[UUID, ...]
    by: SettledBy | None


def settle(said: Sequence[Said], model: UUID | None) -> Settled:
    """Settle one segment.

    Args:
        said: Each person's last word, the latest last; withdrawn ones left out.
        model: The code that the system gave it, if it did.
    """
    rulings = [one for one in said if one.adjudicates]
    if rulings:
        return Settled(rulings[-1].codes, "adjudication")
    spoken = [one for one in said if one.codes]
    if spoken and all(set(one.codes) == set(spoken[0].codes) for one in spoken):
        return Settled(spoken[0].codes, "people")
    return Settled((), None) if model is None else Settled((model,), "model")
