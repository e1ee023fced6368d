"""Members that live behind different coders, as one."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.ports import PartCoder, load
from schemas import Proposal, Segment


@dataclass(frozen=True)
class Ensemble:
    """Several coders asked one after the other; their proposals come in the order of ``members``."""

    coders: tuple[PartCoder, ...]
    members: tuple[str, ...]

    def propose(self, segments: Sequence[Segment], among: Sequence[str] | None = None) -> list[list[Proposal]]:
        """Read each segment with every coder, or with those that have a member that ``among`` names."""
        requested = self.members if among is None else among
        asked = [(coder, [name for name in coder.members if name in requested]) for coder in self.coders]
        answers = [coder.propose(segments, names) for coder, names in asked if names]
        order = {name: n for n, name in enumerate(self.members)}
        return [
            sorted((p for answer in answers for p in answer[n]), key=lambda p: order[p.member])
            for n in range(len(segments))
        ]

    def load(self) -> None:
        """Load the weights of those that have any."""
        for coder in self.coders:
            load(coder)
