"""Which segments a classifier may ask people about: coded, without a label, and not asked about already."""

import pytest

from infra.storage.store import open_store
from infra.training.query_pool import read_pool
from models.fakes import HandClock
from schemas import Annotation, AnnotationRequest, Assignment
from tests.unit.builders import segment

STUDY = "reviews"
NOW = HandClock().now()


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path / 'q.db'}")
    yield opened
    opened.close()


def coded(key, **values):
    one = segment(f"text {key}", key)
    given = {"label": "ads", "proposed": "ads", "new": False, "similarity": 1, "why": "", "verdict": "consensus"}
    given |= {"confidence": 0.5, "route": "accepted", "assigned_at": NOW, "code_id": one.id}
    return [one, Assignment(segment_id=one.id, study=STUDY, **(given | values))]


def asked(key, **values):
    one = segment(key=key).id
    given = {"code_id": one, "label": "ads", "confidence": 0.5, "reason": "low confidence", "requested_at": NOW}
    return AnnotationRequest(segment_id=one, study=STUDY, **(given | values))


def labelled(key, **values):
    one = segment(key=key).id
    return Annotation(
        segment_id=one, study=STUDY, annotator="ana", code_ids=[], labels=["ads"], decided_at=NOW, **values
    )


def test_only_coded_segments_without_a_label_that_nobody_was_asked_about_by_chance_or_strategy_are_in_the_pool(store):
    keys = ("free", "doubtful", "drawn", "chosen", "labelled", "done")
    store.record([record for key in keys for record in coded(key)])
    store.record([*coded("unrouted", route=None, confidence=None), segment("text uncoded", "uncoded")])
    store.record(
        [
            asked("doubtful"),
            asked("drawn", sample=True, reason="audit"),
            asked("chosen", reason="query strategy"),
            labelled("labelled"),
            asked("done", reason="query strategy"),
            labelled("done"),
        ]
    )
    pool = read_pool(store.database, STUDY, 10)
    assert {row.text for row in pool.rows} == {"text free", "text doubtful"}
    requests = {row.text: row.request and row.request.reason for row in pool.rows}
    assert requests == {"text free": None, "text doubtful": "low confidence"}
    assert pool.waiting == 1
    assert read_pool(store.database, "other", 10).rows == ()


def test_the_pool_holds_the_newest_segments(store):
    for minute in range(5):
        at = NOW.replace(minute=minute)
        store.record(coded(f"s{minute}", assigned_at=at))
    assert [row.text for row in read_pool(store.database, STUDY, 2).rows] == ["text s4", "text s3"]
