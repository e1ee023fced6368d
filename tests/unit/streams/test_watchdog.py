"""Who gets nowhere is told from who holds messages on purpose, and a call that never returns ends its worker."""

import threading
from functools import partial

import pytest

from models.errors import WorkerFault
from streams.cluster import in_time
from streams.runner import Progress
from streams.worker import rests


@pytest.mark.parametrize(
    ("lag", "held", "since_step_s", "resting"),
    [
        (0, 0, 1, True),
        (5, 5, 1, True),  # a moderator that waits for a member
        (6, 5, 1, False),  # something waits that it does not read
        (5, 5, 301, False),  # it does not look after what it holds
    ],
)
def test_a_worker_rests_where_nothing_waits_but_what_it_holds_and_looks_after(
    lag: int, held: int, since_step_s: float, resting: bool
) -> None:
    progress = Progress(in_flight=held, last_step=1_000)
    assert rests(lag, progress, 1_000 + since_step_s, 300) == resting


async def test_a_call_that_does_not_return_ends_its_worker_and_says_which_it_was() -> None:
    released = threading.Event()
    with pytest.raises(WorkerFault, match=r"a call did not return within 0\.01 s: Event\.wait"):
        await in_time(partial(released.wait), 0.01)
    released.set()


async def test_what_a_call_returns_and_raises_comes_through() -> None:
    assert await in_time(lambda: 3, 60) == 3
    with pytest.raises(KeyError):
        await in_time(partial({}.__getitem__, "x"), 60)
