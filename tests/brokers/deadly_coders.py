"""Coders of which some texts end the process: ``python -m tests.brokers.deadly_coders`` runs the role."""

import os
from collections.abc import Sequence

from infra.factory.models import Models
from infra.roles.run import run_role
from infra.settings import load_settings
from models.errors import WorkerFault
from models.fakes import FakeCoder
from schemas import Proposal, Segment

DEADLY = "this text ends its process"
FAILING = "this text brings about what nobody expects"


class DeadlyCoder(FakeCoder):
    """A fake that a text can end, as a native library that runs out of memory ends its process."""

    def propose(self, segments: Sequence[Segment], among: Sequence[str] | None = None) -> list[list[Proposal]]:
        """Code the segments, unless one of them is deadly."""
        texts = {segment.text for segment in segments}
        if DEADLY in texts:
            os._exit(139)
        if FAILING in texts:
            raise WorkerFault("nobody expects this")
        return super().propose(segments, among)


def main() -> None:
    """Run the coders' role until SIGTERM."""
    members = tuple(member.name for member in Models.of(load_settings()).profile.members)
    Models.build_coder = lambda self: DeadlyCoder(members)  # type: ignore[method-assign]
    run_role("coders", load_settings())


if __name__ == "__main__":
    main()
