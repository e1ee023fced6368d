"""A process of the local stack is started again when it dies or stands still, and given up where it cannot start."""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from infra.local.processes import Child, Lenience, wait_for_end
from models.errors import QualstreamError

AT_ONCE = Lenience(first_pause_s=0, hopeless_pause_s=0)


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    one = Child("coders", (), dict(os.environ), tmp_path / "coders.log", tmp_path, AT_ONCE)
    yield one
    one.kill()


def _runs(child: Child, program: str) -> None:
    child.command = [sys.executable, "-c", program]
    child.start()


def _dies(child: Child) -> None:
    wait_for_end([child], 30)
    assert child.pid is None


def test_who_dies_is_started_again(child: Child) -> None:
    assert child.needs_start()
    _runs(child, "raise SystemExit(1)")
    _dies(child)
    assert child.needs_start()


def test_who_cannot_start_for_a_setting_s_sake_ends_the_stack_with_its_own_words(child: Child) -> None:
    _runs(child, "print('there is no profile tine'); raise SystemExit(2)")
    _dies(child)
    with pytest.raises(QualstreamError, match=r"coders ended with status 2: there is no profile tine \(see "):
        child.needs_start()


def test_who_dies_again_and_again_before_it_ever_lived_ends_the_stack(child: Child) -> None:
    child.lenience = replace(AT_ONCE, most_deaths=2)
    for _ in range(2):
        _runs(child, "raise SystemExit(1)")
        _dies(child)
        assert child.needs_start()
    _runs(child, "raise SystemExit(1)")
    _dies(child)
    with pytest.raises(QualstreamError, match="ended with status 1"):
        child.needs_start()


def test_who_has_lived_is_started_again_for_good(child: Child, caplog: pytest.LogCaptureFixture) -> None:
    child.lenience = replace(AT_ONCE, most_deaths=1, steady_s=0)
    for _ in range(4):
        _runs(child, "import time; time.sleep(60)")
        assert not child.needs_start()  # it is seen alive
        child.terminate()
        _dies(child)
        assert child.needs_start()
    assert "it died 4 times lately, and the others go on without it" in caplog.text


def test_deaths_of_long_ago_count_no_more(child: Child) -> None:
    child.lenience = replace(AT_ONCE, most_deaths=1, window_s=0)
    for _ in range(4):
        _runs(child, "raise SystemExit(1)")
        _dies(child)
        assert child.needs_start()


def test_who_stands_still_is_ended_and_started_again(child: Child, caplog: pytest.LogCaptureFixture) -> None:
    beat = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1], str(os.getpid())).write_text('{}'); time.sleep(60)"
    child.command = [sys.executable, "-c", beat.format("-1000"), str(child.beats)]
    child.start()
    while not child.needs_start():
        assert "ended with status" not in caplog.text
    assert "coders has stood still for" in caplog.text
    assert not list(child.beats.glob("[0-9]*"))


def test_who_has_said_nothing_yet_is_left_alone(child: Child) -> None:
    _runs(child, "import time; time.sleep(60)")
    assert not child.needs_start()
    assert child.pid is not None
