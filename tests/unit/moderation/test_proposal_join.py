"""A segment is decided once all members have answered, or a quorum by the deadline; nothing is lost on the way."""

import pytest

from models.fakes import HandClock
from models.moderation.proposal_join import JoinSettings, ProposalJoin
from schemas import Proposals
from tests.unit.builders import classified, proposal, segment

WAIT = JoinSettings(("a", "b", "c"), quorum=2, deadline_s=30, patience_s=300)


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def join(clock):
    return ProposalJoin(WAIT, clock)


def say(*members, text="the checkout is slow", label="slow checkout"):
    return Proposals(segment=segment(text), proposals=[proposal(f"{label} {m}", m) for m in members])


def labels(joined):
    return [p.label for p in joined.proposals.proposals]


def test_one_message_with_all_members_is_ready_at_once(join):
    joined = join.add("t1", say("a", "b", "c"))
    assert joined.tickets == ["t1"]
    assert joined.missing == ()
    assert len(join) == 0


def test_groups_of_members_are_joined_in_the_order_of_the_profile(join):
    assert join.add("t1", say("c", "b")) is None
    assert len(join) == 1
    joined = join.add("t2", say("a"))
    assert joined.tickets == ["t1", "t2"]
    assert labels(joined) == ["slow checkout a", "slow checkout b", "slow checkout c"]


def test_segments_do_not_mix(join):
    join.add("t1", say("a", text="one"))
    join.add("t2", say("b", "c", text="two"))
    assert join.add("t3", say("b", "c", text="one")).tickets == ["t1", "t3"]
    assert join.add("t4", say("a", text="two")).tickets == ["t2", "t4"]


def test_a_member_that_answers_again_replaces_its_answer(join):
    join.add("t1", say("a", label="old"))
    join.add("t2", say("a", label="new"))
    joined = join.add("t3", say("b", "c"))
    assert joined.tickets == ["t1", "t2", "t3"]
    assert labels(joined)[0] == "new a"


def test_a_quorum_waits_for_the_deadline_and_no_longer(join, clock):
    join.add("t1", say("a", "b"))
    clock.advance(29.9)
    assert join.due() == ([], [])
    clock.advance(0.1)
    (ready,), given_up = join.due()
    assert (ready.tickets, ready.missing, given_up) == (["t1"], ("c",), [])
    assert join.due() == ([], [])


def test_without_a_quorum_a_segment_is_held_until_patience_ends(join, clock):
    join.add("t1", say("b"))
    clock.advance(299)
    assert join.due() == ([], [])
    clock.advance(1)
    ready, (given_up,) = join.due()
    assert ready == []
    assert (given_up.tickets, given_up.missing) == (["t1"], ("a", "c"))


def test_the_time_runs_from_the_first_answer(join, clock):
    join.add("t1", say("a"))
    clock.advance(20)
    join.add("t2", say("b"))
    clock.advance(10)
    assert len(join.due()[0]) == 1


def test_an_answer_after_the_decision_is_only_acknowledged(join, clock):
    join.add("t1", say("a", "b"))
    clock.advance(30)
    join.due()
    late = join.add("t2", say("c"))
    assert (late.tickets, late.proposals) == (["t2"], None)


def test_a_whole_message_that_comes_again_is_decided_again(join):
    first, again = (join.add(ticket, say("a", "b", "c")) for ticket in ("t1", "t2"))
    assert (again.tickets, again.proposals) == (["t2"], first.proposals)


def test_what_another_worker_now_reads_is_dropped_whole(join):
    join.add(("p1", 1), say("a", text="one"))
    join.add(("p2", 1), say("b", text="one"))
    join.add(("p2", 2), say("a", text="two"))
    join.forget(lambda ticket: ticket[0] == "p1")
    assert len(join) == 1
    assert join.add(("p2", 3), say("b", "c", text="two")).tickets == [("p2", 2), ("p2", 3)]
    assert join.add(("p2", 4), say("c", text="one")) is None


def test_what_could_not_be_decided_is_held_again_as_it_was(join, clock):
    join.add("t1", say("a"))
    joined = join.add("t2", say("b", "c"))
    join.take_back([joined])
    assert len(join) == 1
    again = join.add("t2", say("b", "c"))  # the step is taken again with the same message
    assert again == joined


def test_what_was_due_and_could_not_be_decided_is_due_again_at_once(join, clock):
    join.add("t1", say("a", "b", text="with a quorum"))
    join.add("t2", say("a", text="without"))
    clock.advance(300)
    ready, given_up = join.due()
    join.take_back([*ready, *given_up])
    assert join.due() == (ready, given_up)


def test_taking_back_a_late_answer_opens_nothing(join):
    join.add("t1", say("a", "b", "c"))
    join.take_back([join.add("t2", say("c"))])
    assert len(join) == 0


# A classifier beside the members


def sure(*members, said=("slow checkout",), model="20260101T000000Z-fake", text="the checkout is slow"):
    """What a group sends that spared its members."""
    made = classified(*said, sure=True, model=model)
    alone = proposal(said[0], "classifier")
    return Proposals(segment=segment(text), proposals=[alone], skipped=list(members), classified=made)


def test_what_the_classifier_says_comes_through(join):
    join.add("t1", say("a"))
    made = classified("slow checkout")
    joined = join.add("t2", say("b", "c").model_copy(update={"classified": made}))
    assert joined.proposals.classified == made
    join.take_back([joined])
    assert join.add("t2", say("b", "c")).proposals.classified == made


def test_of_two_releases_the_later_one_counts_whichever_group_is_heard_first(join):
    old, new = (sure("a", model=f"2026010{day}T000000Z-x") for day in (1, 2))
    for n, (first, second) in enumerate([(old, new), (new, old)]):
        text = f"text {n}"
        join.add("t1", first.model_copy(update={"segment": segment(text)}))
        other = second.model_copy(update={"segment": segment(text), "skipped": ["b", "c"]})
        assert join.add("t2", other).proposals.classified.model == "20260102T000000Z-x"


def test_groups_that_spare_all_members_are_complete_with_the_classifier_alone(join):
    assert join.add("t1", sure("a")) is None
    joined = join.add("t2", sure("b", "c"))
    assert [p.member for p in joined.proposals.proposals] == ["classifier"]
    assert joined.proposals.skipped == ["a", "b", "c"]


def test_where_any_member_answered_the_classifier_s_guess_is_not_among_the_proposals(join):
    join.add("t1", sure("a"))
    joined = join.add("t2", say("b", "c"))
    assert [p.member for p in joined.proposals.proposals] == ["b", "c"]
    assert joined.proposals.skipped == ["a"]
    assert joined.proposals.classified.sure


def test_a_classifier_is_no_member_of_the_quorum(join, clock):
    join.add("t1", sure("a"))
    clock.advance(30)
    assert join.due() == ([], [])
