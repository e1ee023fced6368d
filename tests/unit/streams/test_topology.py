"""The table of topics and roles is whole: every topic has a writer, every role a place, the print shows it all."""

from itertools import takewhile

import pytest

from schemas import Record
from streams.topology import DEAD_LETTERS, ROLES, TOPICS, Topic, describe, role, topic

NAMES = [
    *("feedback", "proposals", "decisions", "assignments", "codebook"),
    *("annotation.requests", "annotation.labels", "studies", "model.releases", "drift.alerts", "dead-letters"),
]


def test_the_topics_are_those_of_the_design():
    assert [each.name for each in TOPICS] == NAMES


def test_names_are_unique_and_find_their_own():
    assert [topic(name).name for name in NAMES] == NAMES
    assert [role(each.name) for each in ROLES] == list(ROLES)
    with pytest.raises(KeyError):
        topic("nothing")
    with pytest.raises(KeyError):
        role("nobody")


def test_every_topic_is_written_by_a_role_or_from_outside():
    for each in TOPICS:
        writers = [one.name for one in ROLES if each in one.writes]
        assert bool(writers) != bool(each.from_outside), each.name


def test_no_two_topics_share_a_record():
    assert len({each.record for each in TOPICS}) == len(TOPICS)
    assert all(issubclass(each.record, Record) for each in TOPICS)


def test_whoever_reads_can_set_aside():
    assert all(DEAD_LETTERS in one.writes for one in ROLES if one.reads)


def test_the_recorder_reads_every_topic():
    assert role("recorder").reads == TOPICS


@pytest.mark.parametrize(
    ("cleanup", "config"),
    [
        ("compact", {"cleanup.policy": "compact"}),
        ("never", {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}),
        ("delete", {"cleanup.policy": "delete", "retention.ms": "172800000", "retention.bytes": "-1"}),
    ],
)
def test_cleanup_is_told_to_the_broker(cleanup, config):
    always = {"max.message.bytes": "5308416", "min.insync.replicas": "1"}
    assert Topic("x", Record, "key", cleanup, keep_days=2).config(replication=1) == config | always


@pytest.mark.parametrize(("replication", "in_sync"), [(1, "1"), (2, "1"), (3, "2"), (5, "2")])
def test_from_three_replicas_on_two_confirm_a_write(replication, in_sync):
    assert {each.config(replication)["min.insync.replicas"] for each in TOPICS} == {in_sync}


def test_a_role_s_topics_are_what_it_reads_hears_recalls_and_writes():
    assert [each.name for each in role("refiner").topics] == [
        *("decisions", "codebook", "studies", "assignments", "annotation.labels", "dead-letters")
    ]


def test_what_people_decided_and_the_history_of_codes_are_kept_for_ever():
    assert [each.name for each in TOPICS if each.cleanup == "never"] == ["codebook", "annotation.labels"]


def test_the_print_shows_every_role_and_topic_with_its_record():
    lines = describe().splitlines()
    for one in ROLES:
        row = next(n for n, line in enumerate(lines) if line.startswith(one.name) and one.does in line)
        below = [*takewhile(lambda line: line.startswith(" "), lines[row + 1 :])]
        assert all(heard.name in "".join([lines[row], *below]) for heard in one.side_inputs)
    for each in TOPICS:
        assert any(line.split()[:2] == [each.name, each.record.__name__] for line in lines)
    assert max(map(len, lines)) <= 120
