"""Members that live in processes of their own are joined by segment, with quorum, deadline and patience."""

from collections import Counter
from contextlib import contextmanager

from infra.roles.moderator import PATIENCE
from schemas import DeadLetter, Decision, Proposals
from streams.topology import DEAD_LETTERS, DECISIONS, PROPOSALS
from tests.integration.stack import (
    feedback,
    messages,
    publish,
    reach,
    running,
    segments,
    until,
    worker,
)

BESIDE = ("ingest", "moderator")
DEADLINE_S = "0.05"  # patience is many times as long


def test_two_groups_of_members_make_one_decision_a_segment_with_every_proposal(tmp_path, brokers):
    folder, wanted = tmp_path / "data", segments(40)
    with running(folder, roles=BESIDE, brokers=brokers) as (stack, store):
        there = reach(stack.cluster)
        store.take_in(wanted)
        with worker("coders", folder, members="a", **there) as one:
            until(lambda: len(messages(stack.cluster, PROPOSALS.name)) == 40, stack)
            assert messages(stack.cluster, DECISIONS.name) == []  # they are held for the other group
            with worker("coders", folder, members="b,c", **there) as other:
                until(lambda: len(messages(stack.cluster, DECISIONS.name)) == 40, stack)
                assert one.runs
                assert other.runs
        said = [Proposals.from_bytes(raw) for raw in messages(stack.cluster, PROPOSALS.name)]
        decided = [Decision.from_bytes(raw) for raw in messages(stack.cluster, DECISIONS.name)]
        until(lambda: {w.instance.split("-")[-1] for w in store.workers() if w.role == "coders"} == {"a", "c"})
    assert Counter(tuple(p.member for p in one.proposals) for one in said) == {("a",): 40, ("b", "c"): 40}
    assert Counter(d.segment.id for d in decided) == {segment.id: 1 for segment in wanted}
    assert all([p.member for p in d.proposals] == ["a", "b", "c"] for d in decided)


def test_a_quorum_decides_after_the_deadline_where_the_other_group_is_away(tmp_path, brokers):
    with one_group(tmp_path, brokers, quorum="1", proposal_deadline_s=DEADLINE_S) as (cluster, wanted):
        until(lambda: len(messages(cluster, DECISIONS.name)) == len(wanted))
        decided = [Decision.from_bytes(raw) for raw in messages(cluster, DECISIONS.name)]
        assert messages(cluster, DEAD_LETTERS.name) == []
    assert {d.segment.id for d in decided} == {segment.id for segment in wanted}
    assert all([p.member for p in d.proposals] == ["a"] for d in decided)


def test_without_a_quorum_segments_end_as_dead_letters_that_name_who_is_missing(tmp_path, brokers):
    with one_group(tmp_path, brokers, quorum="2", proposal_deadline_s=DEADLINE_S) as (cluster, wanted):
        until(lambda: len(messages(cluster, DEAD_LETTERS.name)) == len(wanted))
        letters = [DeadLetter.from_bytes(raw) for raw in messages(cluster, DEAD_LETTERS.name)]
        assert messages(cluster, DECISIONS.name) == []
    assert {letter.segment_id for letter in letters} == {segment.id for segment in wanted}
    assert {letter.reason for letter in letters} == {
        f"only 1 of 3 members answered within {PATIENCE * float(DEADLINE_S):g} s (quorum 2); missing: b, c"
    }


@contextmanager
def one_group(tmp_path, brokers, **options):
    """Brokers with 20 segments, one group of members, and a moderator."""
    folder, wanted = tmp_path / "data", segments(20)
    with running(folder, roles=(), brokers=brokers) as (stack, _):
        publish(stack.cluster, feedback(wanted))
        there = reach(stack.cluster)
        with worker("coders", folder, members="a", **there), worker("moderator", folder, **there, **options):
            yield stack.cluster, wanted
