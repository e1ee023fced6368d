"""No moderator may prefer a proposal for its place in the list: 200 real reviews, with what the real members proposed.

The paper's prompt numbers the suggestions, and small models like the first. The proposals are recorded, see
tests/data/record_proposals.py; the moderator is the taught one that ships.
"""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from infra.factory.models import Models
from infra.profiles.loading import load_profile
from infra.profiles.members import PACKAGED_ADAPTERS, ModeratorProfile
from infra.settings import Settings
from models.backends.parsing import candidates
from models.fakes import HashEmbedder
from models.moderation.decision import ConsensusModerator
from models.moderation.panel import PanelModerator
from models.moderation.voting import agreed
from schemas import Decision, Proposal, Proposals, Segment
from schemas.ids import segment_id

RECORDED = Path(__file__).parents[1] / "data" / "review_proposals.jsonl"
MOST_THAT_DEPEND = 0.10
EMBEDDER = HashEmbedder()


class Once:
    """A generator that is asked for each distinct row once: greedily, what it writes depends on the row alone.

    So orders that lead to the same prompt cost nothing more, and one that leads to another is really asked about.
    """

    def __init__(self, generator: Any) -> None:
        self._generator, self._known = generator, {}

    def generate(self, rows: Sequence[Any], sampling: Any) -> list[Any]:
        new = [row for row in dict.fromkeys(rows) if row not in self._known]
        self._known |= zip(new, self._generator.generate(new, sampling), strict=True)
        return [self._known[row] for row in rows]


@pytest.fixture(scope="module")
def reviews() -> list[Proposals]:
    rows = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    return [
        Proposals(
            segment=Segment(id=segment_id("demo", "order", str(n)), study="demo", text=row["text"], source="recorded"),
            proposals=[Proposal(latency_s=0, **one) for one in row["proposals"]],
        )
        for n, row in enumerate(rows)
    ]


@pytest.fixture(scope="module")
def moderator(tmp_path_factory: pytest.TempPathFactory) -> Any:
    pytest.importorskip("peft")
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), device="cpu")
    taught = ModeratorProfile(strategy="model", base="SmolLM2-135M-Instruct", adapter=PACKAGED_ADAPTERS / "moderator")
    made = Models(load_profile("tiny").model_copy(update={"moderator": taught}), settings, EMBEDDER).build_moderator()
    made._generator = Once(made._generator)
    return made


def orders(batch: Sequence[Proposals]) -> list[list[Proposals]]:
    """The batch as it is, with every segment's proposals reversed, and with them shuffled twice."""

    def reordered(arrange: Any) -> list[Proposals]:
        return [one.model_copy(update={"proposals": arrange(one.proposals)}) for one in batch]

    draws = [random.Random(seed) for seed in (1, 2)]
    shuffles = [reordered(lambda some, draw=draw: draw.sample(some, len(some))) for draw in draws]
    return [list(batch), reordered(lambda some: some[::-1]), *shuffles]


def verdict(decision: Decision) -> tuple[str, str, str | None]:
    return decision.label, decision.verdict, decision.picked


def depends_on_order(decides: Any, batch: Sequence[Proposals]) -> list[int]:
    """The segments whose verdict is not the same in all orders."""
    verdicts = [[verdict(decision) for decision in decides.decide(one)] for one in orders(batch)]
    return [n for n, found in enumerate(zip(*verdicts, strict=True)) if len(set(found)) > 1]


def test_two_hundred_reviews_are_put_in_other_orders(reviews):
    _, *others = orders(reviews)
    assert len(reviews) == 200
    for other in others:
        moved = [a.proposals != b.proposals for a, b in zip(reviews, other, strict=True)]
        assert sum(moved) > 100


def test_a_model_is_shown_the_same_list_whatever_the_order(reviews):
    shown = [[candidates(one) for one in batch] for batch in orders(reviews)]
    assert all(other == shown[0] for other in shown)


@pytest.mark.slow
def test_the_taught_moderators_verdict_depends_on_the_order_in_at_most_a_tenth_of_the_segments(moderator, reviews):
    assert sum(not agreed(one.proposals) for one in reviews) >= 30  # where no majority agrees, the model is asked
    assert len(depends_on_order(moderator, reviews)) <= MOST_THAT_DEPEND * len(reviews)


@pytest.mark.slow
def test_a_panel_with_the_taught_moderator_depends_on_the_order_in_no_more(moderator, reviews):
    both = PanelModerator([moderator, ConsensusModerator(EMBEDDER)], EMBEDDER)
    assert len(depends_on_order(both, reviews)) <= MOST_THAT_DEPEND * len(reviews)


def test_the_consensus_of_real_proposals_never_depends_on_their_order(reviews):
    assert depends_on_order(ConsensusModerator(EMBEDDER), reviews) == []
