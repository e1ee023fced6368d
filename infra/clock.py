"""The machine's own clock."""

import time
from datetime import UTC, datetime


class SystemClock:
    """The time as the machine has it; for tests there is ``models.fakes.HandClock``."""

    def now(self) -> datetime:
        """The time now, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()
