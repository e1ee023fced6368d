"""docs/kafka.md shows the topics' settings and the roles' rights as they are."""

from pathlib import Path

import pytest

from streams.cluster import consumer_group
from streams.topology import ROLES, TOPICS, Role, Topic

ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (Path(__file__).parents[3] / "docs" / "kafka.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("|")
]


def row(first: str) -> list[str]:
    """The only row that starts so."""
    (found,) = (row for row in ROWS if row[0] == first)
    return found


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_topic_s_row_shows_its_settings(topic: Topic) -> None:
    keeps = {"compact": "", "never": "-1 (kept for ever)", "delete": f"{topic.keep_days} days"}[topic.cleanup]
    assert row(topic.name)[1:3] == [topic.config(1)["cleanup.policy"], keeps]


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_s_row_shows_its_rights(role: Role) -> None:
    read = tuple(dict.fromkeys([*role.reads, *role.side_inputs, *role.recalls]))
    assert row(role.name)[1:] == [
        "every topic" if read == TOPICS else ", ".join(each.name for each in read),
        ", ".join(each.name for each in role.writes),
        consumer_group(role.name) if role.reads else "",
    ]
