"""Over which messages processes died is counted from one process to the next."""

from pathlib import Path

import pytest

from infra.roles.deaths import DeathFile
from streams.stage import Received


def messages(*offsets: int, partition: int = 0, value: bytes = b"{}") -> list[Received]:
    return [Received("feedback", partition, offset, b"k", value) for offset in offsets]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "coders-0.deaths"


def died_over(path: Path, *offsets: int, times: int) -> DeathFile:
    for _ in range(times):
        DeathFile(path).begin(messages(*offsets))
    return DeathFile(path)


def test_one_death_over_a_batch_tells_nothing(path: Path) -> None:
    assert not died_over(path, 3, 4, 5, times=1).careful(messages(3, 4, 5))


def test_after_two_deaths_over_a_batch_its_messages_are_taken_one_by_one(path: Path) -> None:
    deaths = died_over(path, 3, 4, 5, times=2)
    assert deaths.careful(messages(5, 6, 7))
    assert not deaths.careful(messages(6, 7))
    assert not deaths.careful(messages(4, partition=1))
    assert not any(deaths.hopeless(message) for message in messages(3, 4, 5))


def test_a_message_over_which_three_processes_died_is_hopeless_and_its_neighbours_are_not(path: Path) -> None:
    died_over(path, 3, 4, 5, times=2)
    deaths = died_over(path, 4, times=3)
    assert [deaths.hopeless(message) for message in messages(3, 4, 5)] == [False, True, False]
    assert deaths.careful(messages(3, 4, 5))


def test_another_message_at_the_same_place_of_a_fresh_topic_is_not_hopeless(path: Path) -> None:
    deaths = died_over(path, 4, times=3)
    assert not deaths.hopeless(messages(4, value=b"another")[0])


def test_what_was_worked_on_in_the_end_is_forgotten(path: Path) -> None:
    deaths = died_over(path, 3, 4, 5, times=2)
    for message in messages(3, 4, 5):
        deaths.begin([message])
        deaths.end([message])
    assert not DeathFile(path).careful(messages(3, 4, 5))


def test_a_batch_of_several_partitions_is_counted_for_each(path: Path) -> None:
    both = messages(3, 4) + messages(8, 9, partition=1)
    for _ in range(2):
        DeathFile(path).begin(both)
    deaths = DeathFile(path)
    assert deaths.careful(messages(4))
    assert deaths.careful(messages(9, partition=1))


@pytest.mark.parametrize("content", ["", "[]", '{"deaths": ', "\0"])
def test_a_file_that_cannot_be_read_counts_for_nothing(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content)
    assert not DeathFile(path).careful(messages(1))
