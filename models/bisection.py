"""Batches with a bad item in them: halved until it is alone."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from models.errors import InputError, SettingError, UnavailableError, UncodableError, WorkerFault

T = TypeVar("T")
R = TypeVar("R")

_LONGEST_REASON = 300  # characters


def isolate_failures(step: Callable[[Sequence[T]], Sequence[R]], items: Sequence[T]) -> list[R | UncodableError]:
    """Run a step on a batch; where it fails, on its halves, until each bad item is alone.

    Args:
        step: Gives one result an item, in order.
        items: The batch; an empty one does not run the step.

    Returns:
        One result an item, in order; an ``UncodableError`` with the reason in one line for each bad item.

    Raises:
        UnavailableError: At once, because waiting helps and halving does not.
        SettingError: At once, because every item would fail by it.
        WorkerFault: If the step gives another number of results than it was given items.
    """
    if not items:
        return []
    try:
        results = step(items)
    except (UnavailableError, SettingError, WorkerFault):
        raise
    except Exception as error:
        if len(items) == 1:
            return [_alone(error)]
        middle = len(items) // 2
        return isolate_failures(step, items[:middle]) + isolate_failures(step, items[middle:])
    if len(results) != len(items):
        raise WorkerFault(f"the step gave {len(results)} results for {len(items)} items; one an item was expected")
    return list(results)


def _alone(error: Exception) -> UncodableError:
    reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
    bad = UncodableError(" ".join(reason.split())[:_LONGEST_REASON])
    bad.__cause__ = error
    return bad
