"""The queue on real SQLite files, and on a PostgreSQL of the tests' own."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from infra.annotation.queue import AnnotationQueue, Budget
from infra.storage.store import open_store
from models.annotation.coding import CodeLookup, CodingChoice, decide, undo
from models.fakes import HandClock
from schemas import AnnotationRequest, Assignment, Segment, StudyRules
from schemas.ids import code_id, segment_id

STUDY = "reviews"
DAY_S = 24 * 3600


class Room:
    """A store with a queue, and short words for what people do at it."""

    def __init__(self, url):
        self.clock = HandClock()
        self.store = open_store(url)
        self.queue = AnnotationQueue(self.store.database, self.clock)

    def rules(self, **more):
        return StudyRules.model_validate({"study": STUDY, "author": "lea", "at": self.clock.now(), **more})

    def ask(self, count, *, start=0, study=STUDY, **request):
        for n in range(start, start + count):
            of = Segment(id=segment_id(study, "s", str(n)), study=study, text=f"text {n}", source="s")
            code, now = code_id(study, "slow app"), self.clock.now()
            common = {"segment_id": of.id, "study": study, "code_id": code, "label": "slow app"}
            asked = {"confidence": 0.3, "reason": "low confidence", "requested_at": now, "priority": -n} | request
            given = {"proposed": "slow app", "new": False, "similarity": 0.8, "why": "near", "verdict": "picked"}
            assignment = Assignment.model_validate({**common, **given, "assigned_at": now, "confidence": 0.3})
            self.store.record([of, assignment, AnnotationRequest.model_validate({**common, **asked})])

    def claim(self, who="ana", **rules):
        return self.queue.claim_next(STUDY, who, self.rules(**rules))

    def waiting(self, who="ana", **rules):
        return self.queue.waiting(STUDY, who, self.rules(**rules))

    def code(self, task, who="ana", seconds=None):
        decided = decide(
            task, CodingChoice("form", accept=True, seconds=seconds), CodeLookup([]), who, self.clock.now()
        )
        self.store.record(decided.records)
        return decided.annotation


@pytest.fixture(params=["sqlite", "postgresql"])
def room(request, tmp_path):
    url = f"sqlite:///{tmp_path / 'desk.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    made = Room(url)
    made.store.reset()
    yield made
    made.store.close()


def n_of(task):
    return None if task is None else int(task.segment.text.split()[1])


def test_where_people_read_everything_segments_come_in_the_order_in_which_they_were_said(room):
    asked_at = room.clock.now()
    for n in range(6):  # the last one is asked about first
        room.ask(1, start=n, priority=0.0, requested_at=asked_at - timedelta(minutes=n))
    order = []
    while (task := room.claim(mode="people")) is not None:
        order.append(n_of(task))
        room.code(task)
    assert order == [0, 1, 2, 3, 4, 5]


def test_the_highest_priority_comes_first_and_the_rest_in_order(room):
    room.ask(3)
    for expected in (0, 1, 2):
        task = room.claim()
        assert n_of(task) == expected
        room.code(task)
    assert room.claim() is None


def test_a_task_holds_what_is_known_about_the_segment(room):
    room.ask(3)
    room.code(room.claim())
    task = room.claim()
    assert (task.segment.text, task.before.text, task.after.text) == ("text 1", "text 0", "text 2")
    assert (task.label, task.request.confidence, task.assignment.why) == ("slow app", 0.3, "near")
    assert (task.held, task.open_slots, task.last, task.decision, task.blind) == (True, 1, None, None, False)
    assert task.since == room.clock.now()


def test_reloading_gives_the_same_segment_and_keeps_the_time_it_came(room):
    room.ask(2)
    first = room.claim()
    room.clock.advance(60)
    again = room.claim()
    assert (n_of(again), again.since) == (0, first.since)


def test_two_people_do_not_get_the_same_segment(room):
    room.ask(2)
    assert [n_of(room.claim(who)) for who in ("ana", "ben", "cyd")] == [0, 1, None]


def test_many_at_once_never_give_one_segment_to_two_people(room):
    room.ask(40)
    people, found, start = [f"p{n}" for n in range(8)], [], threading.Barrier(8)

    def work(who):
        start.wait(timeout=30)
        mine = []
        for _ in range(5):
            task = room.claim(who)
            mine.append(task.segment.id)
            room.code(task, who)
        return mine

    with ThreadPoolExecutor(8) as pool:
        for mine in pool.map(work, people):
            found += mine
    assert len(found) == len(set(found)) == 40


def test_double_coding_gives_a_segment_to_exactly_two_at_once(room):
    room.ask(6, coders=2)
    people, start = [f"p{n}" for n in range(6)], threading.Barrier(6)

    def work(who):
        start.wait(timeout=30)
        mine = []
        while (task := room.claim(who)) is not None:
            mine.append(task.segment.id)
            room.code(task, who)
        return mine

    with ThreadPoolExecutor(6) as pool:
        each = list(pool.map(work, people))
    assert set(Counter(one for mine in each for one in mine).values()) == {2}
    assert all(len(mine) == len(set(mine)) for mine in each)


def test_double_coding_is_by_two_different_people(room):
    room.ask(1, coders=2)
    room.code(room.claim("ana"), "ana")
    assert room.claim("ana") is None
    room.code(room.claim("ben"), "ben")
    assert room.claim("cyd") is None


def test_a_lock_left_behind_comes_back_after_its_time(room):
    room.ask(1)
    room.claim("ana", lock_minutes=10)
    room.clock.advance(599)
    assert room.claim("ben") is None
    room.clock.advance(2)
    assert n_of(room.claim("ben")) == 0
    assert room.claim("ana") is None


def test_a_decision_after_the_lock_ran_out_knows_that_somebody_else_was_first(room):
    room.ask(1)
    room.claim("ana")
    room.clock.advance(3600)
    room.code(room.claim("ben"), "ben")
    late = room.queue.task(STUDY, segment_id(STUDY, "s", "0"), "ana", room.rules())
    assert (late.held, late.open_slots) == (False, 0)


def test_a_released_segment_is_free_at_once(room):
    room.ask(1)
    task = room.claim("ana")
    room.queue.release(STUDY, task.segment.id, "ana")
    assert n_of(room.claim("ben")) == 0


def test_a_skipped_segment_comes_back_to_that_person_only_tomorrow(room):
    room.ask(2)
    task = room.claim("ana")
    room.queue.skip(STUDY, task.segment.id, "ana")
    assert n_of(room.claim("ana")) == 1
    assert n_of(room.claim("ben")) == 0
    room.queue.release(STUDY, task.segment.id, "ben")
    room.clock.advance(DAY_S)
    assert n_of(room.claim("ana")) == 0


def test_another_studys_segment_cannot_be_skipped_taken_or_read(room):
    room.ask(1, study="other")
    other = segment_id("other", "s", "0")
    room.queue.skip(STUDY, other, "ana")
    assert room.queue.claim(STUDY, other, "ana", room.rules()) is None
    assert room.queue.task(STUDY, other, "ana", room.rules()) is None
    assert n_of(room.queue.claim_next("other", "ana", room.rules())) == 0


def test_the_request_or_the_study_makes_it_blind(room):
    room.ask(1, blind=True)
    room.ask(1, start=1)
    assert room.claim("ana").blind is True
    assert [room.claim("ben", blind=blind).blind for blind in (False, True)] == [False, True]


def test_an_expired_request_is_given_to_nobody_and_counted(room):
    room.ask(1, expires_at=room.clock.now() + timedelta(hours=1))
    assert room.waiting().expired == 0
    room.clock.advance(3600)
    assert room.claim() is None
    assert (room.waiting().open, room.waiting().expired) == (0, 1)


def test_a_withdrawn_decision_opens_the_segment_again(room):
    room.ask(1)
    said = room.code(room.claim("ana"), "ana")
    assert room.queue.last(STUDY, "ana") == said
    room.store.record([undo(said, room.clock.now())])
    assert room.queue.last(STUDY, "ana") is None
    task = room.queue.claim(STUDY, said.segment_id, "ana", room.rules())
    assert task.last.withdrawn is True
    assert room.claim("ben") is None
    room.code(task, "ana")
    assert room.claim("ana") is None


def test_asked_again_a_segment_is_open_for_everybody_and_first(room):
    room.ask(2)
    room.code(room.claim("ana"), "ana")
    room.clock.advance(60)
    coded = segment_id(STUDY, "s", "0")
    (again,) = room.queue.requeue(STUDY, [coded, coded, segment_id(STUDY, "s", "none")], "the code was split", "lea")
    assert (again.reason, again.author, again.why) == ("asked again", "lea", "the code was split")
    room.store.record([again])
    task = room.claim("ana")
    assert (n_of(task), task.last.annotator) == (0, "ana")
    room.clock.advance(60)
    room.code(task, "ana")
    assert n_of(room.claim("ana")) == 1


def test_an_adjudication_settles_a_segment_for_all_coders(room):
    room.ask(1, coders=3)
    said = room.code(room.claim("ana"), "ana")
    settled = said.model_copy(update={"annotator": "lea", "kind": "adjudication"})
    room.store.record([settled])
    assert room.claim("ben") is None


def test_records_in_any_order_leave_the_same_open(room):
    room.ask(2)
    first, second = room.claim("ana"), room.claim("ben")
    said = room.code(first, "ana")
    room.store.record([first.request, undo(said, room.clock.now()), said])
    room.store.record([said, first.request])
    assert room.waiting("cyd").open == 1  # the other one is on ben's screen
    assert n_of(second) == 1
    assert n_of(room.claim("cyd")) == 0


def test_the_queue_counts_what_is_open_on_screens_and_done_today(room):
    room.ask(5)
    room.code(room.claim("ana"), "ana")
    room.claim("ben")
    counted = room.waiting("ana")
    assert (counted.open, counted.locked, counted.mine_today, counted.budget_left) == (3, 1, 1, None)
    room.clock.advance(DAY_S)
    assert room.waiting("ana").mine_today == 0


def test_a_budget_of_segments_ends_the_day_for_all_and_the_next_day_goes_on(room):
    room.ask(5)
    rules = {"mode": "budget", "budget_segments": 2}
    room.code(room.claim("ana", **rules), "ana")
    held = room.claim("ben", **rules)
    assert room.claim("ana", **rules) is None  # ben's screen holds the second
    assert room.waiting("ana", **rules).budget_left.spent.startswith("today's segments are all taken")
    assert n_of(room.claim("ben", **rules)) == n_of(held)
    room.code(held, "ben")
    assert room.claim("ben", **rules) is None
    room.clock.advance(DAY_S)
    assert room.claim("ana", **rules) is not None


def test_a_budget_of_minutes_counts_the_seconds_that_people_took(room):
    room.ask(3)
    rules = {"mode": "budget", "budget_minutes": 1}
    room.code(room.claim(**rules), seconds=45)
    assert room.waiting(**rules).budget_left == Budget(None, 0.25)
    room.code(room.claim(**rules), seconds=15)
    assert room.claim(**rules) is None
    assert "time is used up" in room.waiting(**rules).budget_left.spent
