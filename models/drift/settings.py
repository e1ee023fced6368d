"""What a person may set about drift. The defaults are meant for any stream."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, Self, get_args

from models.errors import SettingError

_KEPT_AS = {"tolerated_sd": "swing", "seasonal_sd": "unseen_swing"}
"""Settings that saved states hold under another name."""
BLOCKS = 16
"""Blocks in a window: the stream is looked at so often while one passes."""
Reference = Literal["fixed", "sliding", "seasonal-hour", "seasonal-weekday"]


@dataclass(frozen=True)
class DriftSettings:
    """How a stream is watched.

    Raises:
        SettingError: If a value is out of its range.
    """

    window: int | timedelta = 400
    """Segments, or time, in one window; the stream is looked at sixteen times a window."""
    reference: Reference = "sliding"
    """With what the newest segments are compared.

    ``sliding``: all since the last change, at most 64 windows; ``fixed``: the first ``history`` segments since the last
    change; ``seasonal-hour`` and ``seasonal-weekday``: as sliding, but only the same hour of the day (UTC), or the
    same day of the week, is compared with each other.
    """
    false_alarms: float = 0.05
    """Probability that a stream in which nothing changes raises any alert at all, over its whole life."""
    lateness: timedelta = timedelta(minutes=5)
    """How long a segment is waited for; one that is later is counted and left out. 0 for a file that is in order."""
    least: int = 200
    """Segments of a reference before anything is compared with it."""
    history: int = 2_000
    """Segments of a ``fixed`` reference."""
    tolerated_sd: float = 0.03
    """Relative change of a share that nobody would call a change (one standard deviation)."""
    seasonal_sd: float = 0.22
    """The same for an hour of the day that was not seen yet; a third of it for a day of the week.

    What a stream has shown of its days and weeks takes the place of this.
    """
    seed: int = 20_241
    """Of what is drawn by chance, such as permutations of texts; any number."""

    def __post_init__(self) -> None:
        wide = self.window >= 32 if isinstance(self.window, int) else self.window > timedelta()
        if not wide:
            raise SettingError(f"drift window is {self.window} but must be at least 32 segments or a time above 0")
        if self.reference not in get_args(Reference):
            names = ", ".join(get_args(Reference))
            raise SettingError(f"drift reference is {self.reference!r} but must be one of {names}")
        if not 0 < self.false_alarms < 1:
            raise SettingError(f"drift false_alarms is {self.false_alarms} but must lie between 0 and 1")
        if self.lateness < timedelta() or self.least < 50:
            raise SettingError(
                f"drift lateness is {self.lateness} and least is {self.least}; lateness must not be negative, "
                "least must be 50 or more"
            )

    @property
    def needed(self) -> int:
        """Segments of a stream before any change can be seen: a reference, and the shortest window behind it."""
        return self.least + (2 * (self.window // BLOCKS) if isinstance(self.window, int) else 2)

    def to_json(self) -> dict[str, Any]:
        """All values, times as seconds."""
        window = self.window if isinstance(self.window, int) else {"seconds": self.window.total_seconds()}
        values = {_KEPT_AS.get(name, name): value for name, value in vars(self).items()}
        return {**values, "window": window, "lateness": self.lateness.total_seconds()}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote."""
        names = {name: name for name in kept} | {old: name for name, old in _KEPT_AS.items()}
        window = kept["window"]
        if isinstance(window, dict):
            window = timedelta(seconds=window["seconds"])
        values = {names[name]: value for name, value in kept.items()}
        return cls(**{**values, "window": window, "lateness": timedelta(seconds=kept["lateness"])})
