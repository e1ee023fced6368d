"""Members that live behind different coders, as one."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.ports import Coder
from schemas import Proposal, Segment


@dataclass(frozen=True)
class Ensemble:
    """Several coders asked one after the other; their proposals come in the order of ``members``."""

    coders: tuple[Coder, ...]
    members: tuple[str, ...]

    def propose(self, segments: Sequence[Segment]) -> list[list[Proposal]]:
        """Read each segment with every coder."""
        answers = [coder.propose(segments) for coder in self.coders]
        order = {name: n for n, name in enumerate(self.members)}
        return [
            sorted((p for answer in answers for p in answer[n]), key=lambda p: order[p.member])
            for n in range(len(segments))
        ]

    def load(self) -> None:
        """Load the weights of those that have any."""
        for coder in self.coders:
            load = getattr(coder, "load", None)
            if load is not None:
                load()
