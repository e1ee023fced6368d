"""What a running stack looks like in a terminal: progress, the newest codes, counts a stage."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from infra.storage.overview import newest_stage
from infra.storage.store import LiveViewLine, StageCounts, Store
from models.routing.confidence_stages import STAGES

_RATE_WINDOW_S = 20.0
_SAME_AGAIN_S = 30.0  # where nothing is repainted, and nothing has changed
_STANDINGS = {"code": "reused", "proposed": "admit?", "none": ""}
_ROUTES: dict[str | None, tuple[str, str]] = {
    "accepted": ("accepted", "green"),
    "people": ("to people", "yellow"),
    "suggested": ("suggested", "cyan"),
    None: ("", ""),
}


@dataclass
class Rate:
    """Segments a second over the last seconds, and the time that is left at that rate."""

    _points: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, done: int) -> None:
        """Note how many are done now."""
        now = time.monotonic()
        self._points.append((now, done))
        while now - self._points[0][0] > _RATE_WINDOW_S:
            self._points.popleft()

    @property
    def per_second(self) -> float:
        """0 as long as nothing moves."""
        (first, before), (last, now) = self._points[0], self._points[-1]
        return (now - before) / (last - first) if last > first else 0.0

    def left(self, todo: int) -> str:
        """Time left, as people say it."""
        rate = self.per_second
        return f"{todo / rate:.0f} s left" if rate > 0 and todo else ("" if todo else "done")


class View:
    """Draws a study's progress. On a terminal it repaints; elsewhere it prints a line now and then."""

    def __init__(self, store: Store, study: str, console: Console) -> None:
        """Draw onto a console."""
        self._store = store
        self._study = study
        self._console = console
        self._rate = Rate()
        self._live: Live | None = None
        self._looked_at = self._printed_at = 0.0
        self._state = self._printed = ""

    @contextmanager
    def running(self) -> Iterator["View"]:
        """Paint until the block ends."""
        if not self._console.is_terminal:
            yield self
            return
        with Live(console=self._console, refresh_per_second=8, transient=False) as live:
            self._live = live
            yield self
        self._live = None

    def show(self, state: str, done: int, total: int) -> None:
        """Paint the state now.

        Args:
            state: What is going on, in a few words.
            done: Segments with an outcome.
            total: Segments taken in.
        """
        self._rate.add(done)
        counts = self._store.counts(self._study)
        if self._live is not None:
            self._live.update(self._picture(state, done, total, counts))
        elif state != self._state or time.monotonic() - self._looked_at > 5:
            self._looked_at = time.monotonic()
            self._print(self._line(state, done, total))
        self._state = state

    def _print(self, line: str) -> None:
        if line != self._printed or time.monotonic() - self._printed_at >= _SAME_AGAIN_S:
            self._printed, self._printed_at = line, time.monotonic()
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _line(self, state: str, done: int, total: int) -> str:
        newest = self._store.newest(self._study, 1)
        latest = f"   newest: {newest[0].text[:40]!r} -> {newest[0].label}" if newest else ""
        pace = f"{self._rate.per_second:5.1f}/s {self._rate.left(total - done):<12}"
        return f"{state:<34} {done:>4}/{total} {pace}{latest}"

    def _picture(self, state: str, done: int, total: int, counts: StageCounts) -> RenderableType:
        bar = Table.grid(padding=(0, 2))
        share = f"{done}/{total}"
        rate = f"{self._rate.per_second:.1f} segments/s"
        bar.add_row(
            ProgressBar(total=max(total, 1), completed=done, width=40), share, rate, self._rate.left(total - done)
        )
        rows = self._store.newest(self._study, max(3, min(12, self._console.height - 14)))
        width = max(60, self._console.width - 8)  # emoji that a terminal draws wider than told must not break a line
        return Group(Text(f"{self._study}: {state}", style="bold"), bar, _stages(counts), _newest(rows, width))


def _stages(counts: StageCounts) -> RenderableType:
    stages = [
        ("taken in", counts.taken_in),
        ("published", counts.published),
        ("moderated", counts.decided),
        ("refined", counts.refined),
        ("suggested", counts.suggested),
        ("to people", counts.people),
        ("accepted", counts.accepted),
        ("dead letters", counts.dead_lettered),
        ("codes", counts.codes),
    ]
    line = Text("\n")
    for name, count in stages:
        line.append(f"{name} ", style="dim").append(f"{count}   ", style="bold")
    return line


def _newest(rows: list[LiveViewLine], width: int) -> RenderableType:
    table = Table(box=None, padding=(0, 1), header_style="dim", width=width)
    table.add_column("segment", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("code", no_wrap=True, style="bold cyan", max_width=34)
    table.add_column("", no_wrap=True, style="dim", width=6)
    table.add_column("conf.", justify="right", width=5)
    table.add_column("", no_wrap=True, width=9)
    for row in rows:
        word, style = _ROUTES.get(row.route, (str(row.route), ""))
        table.add_row(
            Text(" ".join(row.text.split())),
            Text(row.label),
            "new" if row.new else _STANDINGS[row.standing],
            "" if row.confidence is None else f"{row.confidence:.2f}",
            Text(word, style=style),
        )
    return table


def summary(store: Store, study: str, coded_now: int, starting_s: float, coding_s: float) -> RenderableType:
    """What came of a study, for people.

    Args:
        store: The read model.
        study: Which.
        coded_now: Segments that this run coded.
        starting_s: Seconds from the start to the first code: processes, weights, first batch.
        coding_s: Seconds from the first code to the last.
    """
    counts = store.counts(study)
    figures = Table.grid(padding=(0, 2))
    figures.add_column(justify="right", style="bold")
    figures.add_column()
    for number, word in (
        (counts.taken_in, "segments in"),
        (counts.routed, "coded"),
        (counts.suggested, "of them suggested codes, judged by nobody yet"),
        (counts.people, "of them offered to people"),
        (counts.accepted, "of them accepted without a person"),
        (counts.dead_lettered, "dead letters"),
        (counts.codes, "distinct codes"),
    ):
        figures.add_row(str(number), word)
    took = f"({coded_now} in {starting_s + coding_s:.0f} s, {starting_s:.0f} s of them starting up)"
    figures.add_row(f"{coded_now / (starting_s + coding_s):.1f}", f"segments a second {took}")
    codes = Table(title="The ten most used codes", title_justify="left", box=None, padding=(0, 2), show_header=False)
    codes.add_column(justify="right", style="bold")
    codes.add_column()
    for label, count in store.top_codes(study, 10):
        codes.add_row(str(count), Text(label))
    stage = newest_stage(store.database, study)
    return Group("", figures, "", Text(STAGES[stage] if stage else "", style="dim"), "", codes)
