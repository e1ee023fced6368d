"""The monitor's looks at a read model: the alerts of a scan, whenever it looks and however often it was stopped."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from infra.drift.scan_study import report_study
from infra.roles.monitor import StudyWatcher
from infra.storage.alerts import raised
from infra.storage.outbox import Outbox
from infra.storage.store import open_store
from infra.storage.tables import drift_states
from models.drift.settings import DriftSettings
from models.fakes import HandClock
from schemas import Annotation, Assignment, Segment
from schemas.ids import code_id, segment_id

START = datetime(2026, 3, 1, tzinfo=UTC)
SETTINGS = DriftSettings(lateness=timedelta(minutes=5))
BEFORE, AFTER = 1_500, 700
CODES = ("ads", "bugs", "price", "praise")


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path / 'q.db'}")
    yield opened
    opened.close()


def coded(number):
    """Segment ``number`` of a stream in which 'bugs' rise from a quarter to more than a half."""
    draw = random.Random(number)
    label = "bugs" if number >= BEFORE and draw.random() < 0.4 else draw.choice(CODES)
    at = START + timedelta(minutes=number)
    identity = segment_id("app", "test", str(number))
    segment = Segment(id=identity, study="app", text=f"text {number}", source="shop", timestamp=at)
    assignment = Assignment(
        segment_id=identity,
        study="app",
        code_id=code_id("app", label),
        label=label,
        proposed=label,
        new=False,
        similarity=1,
        why="",
        verdict="consensus",
        confidence=0.5,
        route="accepted",
        assigned_at=at,
    )
    return segment, assignment


def record(store, numbers, *, open_=()):
    store.record([one for n in numbers for one in (coded(n) if n not in open_ else coded(n)[:1])])


def watch(store):
    clock = HandClock(START + timedelta(days=30))
    return StudyWatcher(store.database, Outbox(store.database), clock, SETTINGS)


def found(store):
    return {one.alert.id: one.alert for one in raised(store.database, "app")}


def test_a_change_is_found_and_its_message_waits_for_the_broker(store):
    record(store, range(BEFORE + AFTER))
    assert watch(store).test() >= 1
    alerts = sorted(found(store).values(), key=lambda alert: alert.detected_at)
    assert "bugs" in alerts[0].codes
    assert abs(alerts[0].at - coded(BEFORE)[0].timestamp) < timedelta(hours=4)
    assert Outbox(store.database).backlog() == len(alerts)
    assert watch(store).test() == 0


def test_looking_often_and_being_stopped_gives_the_alerts_of_one_look(store, tmp_path):
    other = open_store(f"sqlite:///{tmp_path / 'other.db'}")
    record(other, range(BEFORE + AFTER))
    watch(other).test()
    for begin in range(0, BEFORE + AFTER, 300):
        record(store, range(begin, min(begin + 300, BEFORE + AFTER)))
        watch(store).test()  # every time another process
    assert found(store) == found(other)
    assert found(store)
    other.close()


def test_its_alerts_are_those_of_a_report(store):
    record(store, range(BEFORE + AFTER))
    watch(store).test()
    reported = report_study(store.database, "app", None, SETTINGS).alerts
    assert {alert.id for alert in reported} >= set(found(store)) > set()


def test_nothing_is_passed_over_that_is_still_being_coded(store):
    record(store, range(100), open_={40})
    watch(store).test()
    with store.database.reading() as connection:
        assert connection.execute(select(drift_states.c.since)).scalar() == coded(40)[0].timestamp
    record(store, [40])
    watch(store).test()
    with store.database.reading() as connection:
        since = connection.execute(select(drift_states.c.since)).scalar()
    assert coded(94)[0].timestamp < since <= coded(95)[0].timestamp


def word(number, minute):
    """Somebody's word on segment ``number``: overruled from segment 1,000 on."""
    accepted = random.Random(-number).random() > (0.05 if number < 1_000 else 0.6)
    return Annotation(
        segment_id=coded(number)[0].id,
        study="app",
        annotator="ana",
        accepted=accepted,
        sample=True,
        code_ids=[],
        labels=["x"],
        decided_at=START + timedelta(minutes=minute, seconds=30),
    )


def test_words_that_come_days_after_their_segments_are_heard_once_and_when_they_come(store, tmp_path):
    delay, looks = 300, range(0, 1_500, 250)
    words = [(number, number + delay) for number in range(0, 1_200, 2)]
    other = open_store(f"sqlite:///{tmp_path / 'other.db'}")
    record(other, range(1_500))
    other.record([word(*one) for one in words])
    watch(other).test()
    for begin in looks:
        record(store, range(begin, begin + 250))
        store.record([word(*one) for one in words if begin <= one[1] < begin + 250])
        watch(store).test()
    assert found(store) == found(other)
    (alert,) = found(store).values()
    assert alert.cause == "people"
    assert alert.at > coded(1_000 + delay - 60)[0].timestamp


@pytest.mark.parametrize("falls", [True, False])
def test_two_people_who_no_longer_agree_raise_an_alert_about_people(store, falls):
    def chosen(number):
        draw = random.Random(-number)
        return "x" if draw.random() > (0.6 if falls and number >= 700 else 0.1) else "y"

    record(store, range(1_300))
    doubly = range(0, 1_300, 2)
    firsts = [word(n, n + 10).model_copy(update={"accepted": None}) for n in doubly]
    seconds = [
        one.model_copy(update={"annotator": "bo", "labels": [chosen(n)]}) for n, one in zip(doubly, firsts, strict=True)
    ]
    store.record([*firsts, *seconds])
    watch(store).test()
    told = {(alert.kind, alert.cause) for alert in found(store).values()}
    assert told == ({("annotators", "people")} if falls else set())


def test_a_quiet_stream_raises_nothing(store):
    record(store, range(BEFORE))
    assert watch(store).test() == 0
