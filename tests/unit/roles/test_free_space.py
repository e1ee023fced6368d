"""Whether there is room to work: said before the disk is full, and what is written then ends nobody."""

from pathlib import Path

import pytest

from infra.local.free_space import FreeSpace
from infra.roles.deaths import DeathFile
from models.errors import UnavailableError
from streams.stage import Received

MORE_THAN_ANY_DISK = 2**62


def test_too_little_room_is_said_with_what_is_free_and_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"\d+ MiB are free where '.*' lies, and 4398046511104 are needed"):
        FreeSpace(tmp_path, MORE_THAN_ANY_DISK).check()


def test_room_enough_and_a_folder_that_is_still_to_be_made_are_nothing_to_wait_for(tmp_path: Path) -> None:
    assert FreeSpace(tmp_path, 0).check() is None
    assert FreeSpace(tmp_path / "later", MORE_THAN_ANY_DISK).check() is None


def test_where_nothing_can_be_written_no_death_is_counted_and_nothing_ends(tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()  # a folder in the file's place: writing fails whoever tries
    message = Received("feedback", 0, 1, b"k", b"x")
    deaths = DeathFile(full)
    deaths.begin([message])
    deaths.end([message])
    assert not deaths.hopeless(message)
