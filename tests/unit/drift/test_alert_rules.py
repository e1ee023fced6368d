"""Alerts that people asked for: once as a code's share rises to their limit, by what is final."""

from datetime import UTC, datetime, timedelta

import pytest

from infra.drift.alert_rules import add_rule, apply_rules, remove_rule, rules
from infra.storage.outbox import Outbox
from infra.storage.store import open_store
from models.errors import InputError
from models.fakes import HandClock
from schemas import Annotation, DriftAlert, RuleCount
from schemas.ids import code_id
from tests.unit.storage.test_outcomes import coded, event

CLOCK = HandClock(datetime(2026, 3, 5, tzinfo=UTC))
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path / 'q.db'}")
    opened.record([event("created", label, 0) for label in ("a", "b")])
    yield opened
    opened.close()


def say(store, labels, start):
    for n, label in enumerate(labels, start):
        segment, assignment = coded(n, label)
        store.record([segment.model_copy(update={"timestamp": AT + timedelta(minutes=n)}), assignment])


def look(store):
    return apply_rules(store.database, Outbox(store.database), CLOCK)


def test_a_rule_raises_one_alert_as_the_share_rises_and_another_after_it_was_below(store):
    add_rule(store.database, "app", code_id("app", "a"), 0.5, 0.1, "lea", AT)
    say(store, "bbbbb", 0)
    assert look(store) == 0
    say(store, "aaaaaa", 10)
    assert look(store) == 1
    assert look(store) == 0
    (alert,) = store.history(DriftAlert, "app")
    assert alert.says == "'a' is the code of 100% of 6 segments in 0.1 h; the limit that lea set is 50%"
    assert (alert.kind, alert.codes, alert.raised_at, len(alert.examples)) == ("rule", ["a"], CLOCK.now(), 5)
    assert alert.rule == RuleCount(share=1, limit=0.5, hours=0.1, segments=6, author="lea")
    say(store, "b" * 10, 20)
    assert look(store) == 0
    say(store, "a" * 30, 40)
    assert look(store) == 1


def test_final_codes_count_merged_ones_and_what_people_decided(store):
    add_rule(store.database, "app", code_id("app", "b"), 0.9, 1, "lea", AT)
    say(store, "aaaaab", 0)
    store.record([event("merged", "b", 30, "a")])
    assert look(store) == 1
    assert rules(store.database, "app")[0].label == "a"


def test_a_few_segments_are_no_share_and_people_take_a_code_away(store):
    add_rule(store.database, "app", code_id("app", "a"), 0.5, 1, "lea", AT)
    say(store, "aaaaa", 0)
    segment = coded(4, "a")[0]
    word = {"segment_id": segment.id, "study": "app", "annotator": "ana", "labels": ["b"]}
    store.record([Annotation(**word, code_ids=[code_id("app", "b")], decided_at=AT)])
    assert look(store) == 0


def test_the_share_is_of_segments_that_are_coded(store):
    add_rule(store.database, "app", code_id("app", "a"), 0.5, 1, "lea", AT)
    say(store, "aaaaaa", 0)
    for n in range(6, 30):
        segment, assignment = coded(n, "unheard of")
        proposed = assignment.model_copy(update={"standing": "proposed"})
        store.record([segment.model_copy(update={"timestamp": AT + timedelta(minutes=n)}), proposed])
    assert look(store) == 1
    (alert,) = store.history(DriftAlert, "app")
    assert "is the code of 100% of 6 segments" in alert.says


def test_a_rule_is_kept_within_bounds_and_taken_away(store):
    for share, hours in ((0, 1), (1.1, 1), (0.5, 0), (0.5, 1e9)):
        with pytest.raises(InputError, match="found; expected"):
            add_rule(store.database, "app", code_id("app", "a"), share, hours, "lea", AT)
    add_rule(store.database, "app", code_id("app", "a"), 0.5, 1, "lea", AT)
    (rule,) = rules(store.database)
    remove_rule(store.database, "shop", rule.id)
    assert rules(store.database) == [rule]
    remove_rule(store.database, "app", rule.id)
    assert rules(store.database) == []
