"""One piece of work beside the stream: the stream asks now and then whether it is done, and never waits for it."""

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class BackgroundTask(Protocol[T]):
    """Where long work is done."""

    @property
    def busy(self) -> bool:
        """Whether work is under way, or its result has not been collected."""
        ...

    def start(self, work: Callable[[], T]) -> None:
        """Begin; only when not busy."""
        ...

    def collect(self) -> T | None:
        """What came of it, once; ``None`` while it goes on. Raises what the work raised."""
        ...


class ThreadTask(Generic[T]):
    """Work in a thread that ends with the process: what a kill cuts off is begun anew at the next start."""

    def __init__(self) -> None:
        """Start with nothing to do."""
        self._thread: threading.Thread | None = None
        self._result: T | None = None
        self._error: Exception | None = None

    @property
    def busy(self) -> bool:
        """Whether work is under way, or its result has not been collected."""
        return self._thread is not None

    def start(self, work: Callable[[], T]) -> None:
        """Begin; only when not busy."""

        def run() -> None:
            try:
                self._result = work()
            except Exception as error:  # raised again where the result is collected
                self._error = error

        self._thread = threading.Thread(target=run, name="tuning", daemon=True)
        self._thread.start()

    def collect(self) -> T | None:
        """What came of it, once; ``None`` while it goes on. Raises what the work raised."""
        if self._thread is None or self._thread.is_alive():
            return None
        result, error = self._result, self._error
        self._thread = self._result = self._error = None
        if error is not None:
            raise error
        return result
