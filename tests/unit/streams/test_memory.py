"""What comes twice, to one worker or to the next, gets the same answer byte for byte."""

from itertools import count

import pytest

from models.fakes import FakeCoder, HandClock, HashEmbedder, MemoryCodeIndex
from models.moderation.decision import ConsensusModerator
from models.moderation.proposal_join import JoinSettings, ProposalJoin
from models.refinement.refiner import Refiner
from models.routing.router import Router
from schemas import Proposals
from streams.publish import Outgoing
from streams.stage import Answers, Received
from streams.stages.coders import CodersStage
from streams.stages.moderator import ModeratorStage
from streams.stages.refiner import RefinerStage
from streams.stages.router import RouterStage
from streams.topology import ASSIGNMENTS, CODEBOOK, DECISIONS, FEEDBACK, PROPOSALS
from tests.unit.builders import decision, judgements, proposal, rules, segment

EMBEDDER = HashEmbedder()


class Slower(FakeCoder):
    """Takes longer each time that it is asked, and says so in what it proposes."""

    calls = count(1)

    def propose(self, segments, among=None):
        latency_s = float(next(self.calls))
        answers = super().propose(segments, among)
        return [[one.model_copy(update={"latency_s": latency_s}) for one in answer] for answer in answers]


class Shared:
    """What workers of one role share: time, which passes, and the code index."""

    def __init__(self):
        self.clock, self.index = HandClock(), MemoryCodeIndex()

    def coders(self):
        return CodersStage(Slower(), 100, self.clock)

    def moderator(self):
        join = ProposalJoin(JoinSettings(("a", "b", "c"), 2, 30, 300), self.clock)
        return ModeratorStage(ConsensusModerator(EMBEDDER), join, self.clock)

    def refiner(self):
        return RefinerStage(Refiner(self.index, EMBEDDER, self.clock), self.clock)

    def router(self):
        return RouterStage(Router(lambda study: rules(study, mode="promise")), self.clock)


def take(stage, record, topic, offset=0):
    """A step with one message, and what the stage keeps of it."""
    result = stage.step([Received(topic.name, 0, offset, b"k", record.to_bytes())])
    if result.settle is not None:
        result.settle()
    return result.messages


def hand_over(messages, stage):
    """Let a stage read again what another one wrote."""
    for topic, recall in stage.recalls().items():
        recall.handler([b"?", None, *(one.value for one in messages if one.topic == topic)])


def three_proposals():
    members = [proposal("slow login", member) for member in "abc"]
    return Proposals(segment=segment(key="1"), proposals=members)


def unrouted():
    (refined,) = Refiner(MemoryCodeIndex(), EMBEDDER, HandClock()).refine([decision("slow login", "1")])
    return refined.assignment


QUESTIONS = {
    "coders": (segment("login is slow"), FEEDBACK),
    "moderator": (three_proposals(), PROPOSALS),
    "refiner": (decision("slow login", "1"), DECISIONS),
    "router": (unrouted(), ASSIGNMENTS),
}


@pytest.mark.parametrize("role", QUESTIONS)
def test_a_message_that_comes_twice_is_answered_by_the_same_bytes(role):
    shared = Shared()
    stage, question = getattr(shared, role)(), QUESTIONS[role]
    first = take(stage, *question)
    shared.clock.advance(60)
    again = take(stage, *question, offset=1)
    assert again
    assert {one.value for one in again} <= {one.value for one in first}


@pytest.mark.parametrize("role", QUESTIONS)
def test_the_next_worker_answers_as_the_one_before_it_did(role):
    shared = Shared()
    before, after = getattr(shared, role)(), getattr(shared, role)()
    first = take(before, *QUESTIONS[role])
    shared.clock.advance(60)
    hand_over(first, after)
    again = take(after, *QUESTIONS[role])
    assert again
    assert {one.value for one in again} <= {one.value for one in first}


def test_the_router_answers_as_before_although_labels_have_changed_what_codes_are_worth():
    shared, question = Shared(), QUESTIONS["router"]
    before, after = shared.router(), shared.router()
    first = take(before, *question)
    after.router.update_annotations(judgements(600))
    assert take(shared.router(), *question)[-1].value == first[-1].value
    other = shared.router()
    other.router.update_annotations(judgements(600))
    assert take(other, *question)[-1].value != first[-1].value  # or this test would show nothing
    hand_over(first, after)
    assert [one.value for one in take(after, *question)] == [one.value for one in first]


def test_a_codes_event_that_stands_without_its_assignment_is_sent_as_it_stands():
    shared, question = Shared(), QUESTIONS["refiner"]
    event, _ = take(shared.refiner(), *question)
    shared.clock.advance(60)
    after = shared.refiner()
    hand_over([event], after)  # its writer was killed between the two
    again, assignment = take(after, *question)
    assert again == event
    assert assignment.topic == ASSIGNMENTS.name


def test_the_next_refiner_reuses_what_the_one_before_it_created():
    shared = Shared()
    before, after = shared.refiner(), shared.refiner()
    written = take(before, decision("slow login", "1"), DECISIONS)
    hand_over(written, after)
    later = take(after, decision("slow login", "2"), DECISIONS)
    assert [one.topic for one in later] == [ASSIGNMENTS.name]
    assert CODEBOOK.name in {one.topic for one in written}


def test_a_decision_with_another_label_is_refined_anew():
    shared = Shared()
    stage = shared.refiner()
    first = take(stage, decision("slow login", "1"), DECISIONS)
    other = take(stage, decision("late reply", "1"), DECISIONS)
    assert {one.value for one in first}.isdisjoint(one.value for one in other)


def test_a_segment_that_comes_twice_in_a_batch_is_proposed_once():
    stage, one = Shared().coders(), segment("login is slow")
    first, second = stage.step([Received(FEEDBACK.name, 0, n, b"k", one.to_bytes()) for n in range(2)]).messages
    assert first == second


def test_members_that_live_apart_do_not_answer_for_each_other():
    shared, one = Shared(), segment("login is slow")
    elsewhere = Proposals(segment=one, proposals=[proposal("late", "z")])
    stage = shared.coders()
    stage.recalls()[PROPOSALS.name].handler([elsewhere.to_bytes()])
    (message,) = take(stage, one, FEEDBACK)
    assert Proposals.from_bytes(message.value).answered == {"a", "b", "c"}


def test_a_part_of_a_decided_segment_s_proposals_is_acknowledged_and_not_waited_for():
    shared, whole = Shared(), three_proposals()
    decided = take(shared.moderator(), whole, PROPOSALS)
    after = shared.moderator()
    hand_over(decided, after)
    part = Proposals(segment=whole.segment, proposals=whole.proposals[:1])
    result = after.step([Received(PROPOSALS.name, 0, 0, b"k", part.to_bytes())])
    assert (result.messages, len(result.done), len(after.join)) == ([], 1, 0)


def test_the_oldest_answers_are_forgotten_between_batches_only():
    answers = Answers(2)
    for n in range(4):
        answers.keep(n, Outgoing("proposals", b"k", str(n).encode()))
    assert all(n in answers for n in range(4))
    answers.forget()
    assert [n for n in range(4) if n in answers] == [2, 3]
