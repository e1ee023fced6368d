"""A ledger without faults has none, and each fault that is planted is named with its segment."""

from datetime import timedelta

import pytest

from models.fakes import HandClock, HashEmbedder, MemoryCodeIndex
from models.invariants import (
    ASKED,
    IN_CODEBOOK,
    ONE_CODE,
    ONE_DECISION,
    SAME_BYTES,
    TAKEN_IN,
    Audit,
    Tally,
    study_of,
)
from models.refinement.refiner import Refiner
from models.routing.router import Router
from schemas import CodeEvent, DeadLetter, Proposals
from schemas.ids import code_id
from tests.unit.builders import decision, proposals, rules, segment

CLOCK = HandClock()


class Ledger:
    """What a run without faults leaves of three segments, to plant a fault in."""

    def __init__(self):
        decisions = [decision(label, key) for key, label in (("1", "slow login"), ("2", "late reply"), ("3", "ads"))]
        refined = Refiner(MemoryCodeIndex(), HashEmbedder(), CLOCK).refine(decisions)
        routed = Router(lambda study: rules(study, threshold=1.0)).route([one.assignment for one in refined])
        self.segments = [one.segment for one in decisions]
        self.decisions = decisions
        self.refined = [one.assignment for one in refined]
        self.events = [one.event for one in refined if one.event]
        self.routed = [one.assignment for one in routed]
        self.requests = [one.request for one in routed if one.request]
        self.others = []

    @property
    def records(self):
        kinds = self.segments, self.decisions, self.refined, self.events, self.routed, self.requests, self.others
        return [record for kind in kinds for record in kind]

    def audit(self):
        audit = Audit()
        for record in self.records:
            audit.add(record, record.to_bytes())
        return audit


def letter(key):
    dead = segment(key=key)
    where = {"role": "coders", "topic": "feedback", "partition": 0, "offset": 0}
    return DeadLetter(id=dead.id, reason="no text", study=dead.study, segment_id=dead.id, at=CLOCK.now(), **where)


def ended(assignment, kind):
    """People end the code of an assignment."""
    event = CodeEvent(
        id=code_id("events", kind),
        code_id=assignment.code_id,
        study=assignment.study,
        kind=kind,
        label=assignment.label,
        author="lea",
        at=CLOCK.now(),
    )
    return [event]


def other_code(assignment):
    return assignment.model_copy(update={"code_id": code_id("reviews", "late reply"), "label": "late reply"})


def later(record, field):
    return record.model_copy(update={field: getattr(record, field) + timedelta(seconds=1)})


def test_what_a_run_without_faults_leaves_has_none():
    ledger = Ledger()
    assert ledger.audit().faults(all_taken_in=True) == []
    assert ledger.audit().tally() == Tally(taken_in=3, open=0, coded=3, set_aside=0)


def test_taken_in_is_open_and_coded_and_set_aside_together():
    ledger = Ledger()
    ledger.segments += [segment(key="open"), segment(key="bad"), segment(key="bad and replayed")]
    ledger.others += [letter("bad"), letter("1"), letter("not of any segment that was taken in")]
    assert ledger.audit().tally() == Tally(taken_in=6, open=2, coded=3, set_aside=1)


PLANTED = {
    TAKEN_IN: lambda ledger: ledger.segments.pop(0),
    ONE_DECISION: lambda ledger: ledger.others.append(decision("slow start", "1")),
    ONE_CODE: lambda ledger: ledger.others.append(other_code(ledger.refined[0])),
    IN_CODEBOOK: lambda ledger: ledger.events.pop(0),
    ASKED: lambda ledger: ledger.requests.pop(0),
    SAME_BYTES: lambda ledger: ledger.others.append(later(ledger.refined[0], "assigned_at")),
}


@pytest.mark.parametrize("invariant", PLANTED)
def test_a_planted_fault_is_named_with_its_segment_and_nothing_else_is(invariant):
    ledger = Ledger()
    PLANTED[invariant](ledger)
    (fault,) = ledger.audit().faults(all_taken_in=True)
    assert fault.invariant == invariant
    about = code_id("reviews", "slow login") if invariant == IN_CODEBOOK else segment(key="1").id
    assert fault.ids == (about,)


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        ("proposals", lambda ledger: proposals("slow", text="once")),
        ("decisions", lambda ledger: ledger.decisions[0]),
        ("assignments", lambda ledger: ledger.routed[0]),
        ("code events", lambda ledger: ledger.events[0]),
    ],
)
def test_what_comes_twice_in_the_same_bytes_is_counted_and_no_fault(kind, record):
    ledger = Ledger()
    ledger.others += [record(ledger)] * 3
    audit = ledger.audit()
    assert audit.faults(all_taken_in=True) == []
    assert audit.repeated[kind] == (2 if kind == "proposals" else 3)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (lambda ledger: proposals("slow", text="once"), lambda first: proposals("late", text="once")),
        (lambda ledger: ledger.routed[0], lambda first: first.model_copy(update={"confidence": 0.123})),
        (lambda ledger: ledger.events[0], lambda first: later(first, "at")),
    ],
)
def test_what_comes_twice_in_other_bytes_is_a_fault(first, then):
    ledger = Ledger()
    record = first(ledger)
    ledger.others += [record, then(record)]
    (fault,) = ledger.audit().faults(all_taken_in=True)
    assert fault.invariant == SAME_BYTES


def test_groups_of_members_that_propose_for_one_segment_do_not_repeat_each_other():
    ledger, here = Ledger(), proposals("slow", "late", text="once")
    apart = [Proposals(segment=here.segment, proposals=[one]) for one in here.proposals]
    ledger.others += apart
    assert ledger.audit().faults(all_taken_in=True) == []


@pytest.mark.parametrize("kind", ["merged", "split", "retired"])
def test_a_segment_may_get_another_code_when_people_ended_its_first(kind):
    ledger = Ledger()
    ledger.others += [other_code(ledger.refined[0]), *ended(ledger.refined[0], kind)]
    assert ledger.audit().faults(all_taken_in=True) == []


def test_a_code_that_comes_back_after_another_counts_as_a_change():
    ledger = Ledger()
    ledger.others += [other_code(ledger.refined[0]), ledger.refined[0]]
    (fault,) = ledger.audit().faults(all_taken_in=True)
    assert fault.invariant == ONE_CODE


def test_a_topic_that_forgot_its_oldest_segments_shows_no_fault():
    ledger = Ledger()
    ledger.segments.clear()
    assert ledger.audit().faults(all_taken_in=False) == []


def test_a_record_belongs_to_the_study_of_its_segment():
    ledger = Ledger()
    assert {study_of(record) for record in [*ledger.records, proposals("slow")]} == {"reviews"}
