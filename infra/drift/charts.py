"""Charts of a drift report as inline SVG: readable without a script, in print and in both colour schemes."""

from collections.abc import Callable, Sequence
from datetime import datetime
from html import escape

from infra.drift.report_data import OTHERS, BinDistance, FloatArray, StreamBin, TextPoint

COLOURS = ("#2f7fb8", "#d9822b", "#3a9c5f", "#b64a76", "#7d62c3", "#a08620", "#2a9d9d", "#c0473c", "#9aa0a6")
_WIDTH, _HEIGHT = 960, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 22, 34
_TICKS = 6
Say = Callable[[str], str]
_NOTHING = 1e-9  # of a share: what is left of rounding


class _Frame:
    """Places on a chart over time."""

    def __init__(self, first: datetime, last: datetime, top: float) -> None:
        self.first, self.last, self.top = first, last, top or 1.0
        self._span = max((last - first).total_seconds(), 1e-9)

    def x(self, at: datetime) -> float:
        """Where a moment is, in the picture's units."""
        share = (at - self.first).total_seconds() / self._span
        return _LEFT + min(max(share, 0.0), 1.0) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Where a value is."""
        return _HEIGHT - _BOTTOM - min(value / self.top, 1.0) * (_HEIGHT - _TOP - _BOTTOM)

    def axes(self, unit: str) -> str:
        """Lines across with their values, and the times below."""
        parts = []
        for n in range(5):
            value = self.top * n / 4
            y = self.y(value)
            shown = f"{value:.0%}" if unit == "share" else f"{value:.2f}"
            parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{shown}</text>')
        step = (self.last - self.first) / (_TICKS - 1)
        for n in range(_TICKS):
            at = self.first + step * n
            anchor = "start" if n == 0 else "end" if n == _TICKS - 1 else "middle"
            parts.append(
                f'<text x="{self.x(at):.1f}" y="{_HEIGHT - 10}" text-anchor="{anchor}">{self._said(at)}</text>'
            )
        return "".join(parts)

    def marks(self, changes: Sequence[tuple[datetime, str]]) -> str:
        """Upright lines where something changed."""
        parts = []
        for number, (at, what) in enumerate(changes, 1):
            x = self.x(at)
            parts.append(
                f'<g><title>{escape(what)}</title><line class="change" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 6}" '
                f'y2="{_HEIGHT - _BOTTOM}"/><text class="mark" x="{x:.1f}" y="{_TOP - 9}" text-anchor="middle">{number}'
                "</text></g>"
            )
        return "".join(parts)

    def _said(self, at: datetime) -> str:
        days = self._span / 86_400
        return f"{at:%H:%M:%S}" if days < 0.05 else f"{at:%b %d %H:%M}" if days < 4 else f"{at:%Y-%m-%d}"


def stacked(
    bins: Sequence[StreamBin],
    names: Sequence[str],
    shares: FloatArray,
    changes: Sequence[tuple[datetime, str]],
    title: str,
    *,
    say: Say = str,
) -> str:
    """Shares over time, one area above the other.

    Args:
        bins: The stretches of time.
        names: What each row of ``shares`` but the last is.
        shares: Shape ``(names + 1, bins)``; the last row is all others.
        changes: Moments to mark, and what changed then.
        title: For those who cannot see it.
        say: Puts the chart's own words into the reader's language.
    """
    if not bins:
        return ""
    frame = _Frame(bins[0].start, bins[-1].end, 1.0)
    edges = [each.start for each in bins] + [bins[-1].end]
    below, areas = [0.0] * len(bins), []
    labels = [*names, say(OTHERS)] if shares[-1].max() > _NOTHING else list(names)
    for row, name in enumerate(labels):
        above = [low + float(share) for low, share in zip(below, shares[row], strict=True)]
        path = _outline(frame, edges, above) + _outline(frame, edges, below, back=True)
        tooltip = say(f"{name}: {shares[row][0]:.1%} at the beginning, {shares[row][-1]:.1%} at the end")
        areas.append(f'<path d="M{path}Z" fill="{_colour(row, len(names))}"><title>{escape(tooltip)}</title></path>')
        below = above
    drawn = "".join(areas) + frame.axes("share") + frame.marks(changes)
    return _svg(drawn, title) + _legend([(name, _colour(n, len(names))) for n, name in enumerate(labels)])


def distance(
    distances: Sequence[BinDistance],
    changes: Sequence[tuple[datetime, str]],
    ends: tuple[datetime, datetime],
    *,
    say: Say = str,
) -> str:
    """The distance from what came before, with its control limit; what lies above is marked.

    Where the reference was begun anew, nothing is known for a while, and the lines are broken.
    """
    if not distances:
        return ""
    frame = _Frame(*ends, 1.1 * max(max(each.value, each.limit) for each in distances))
    limits = _lines(frame, "limit", distances, [each.limit for each in distances])
    lines = _lines(frame, "line", distances, [each.value for each in distances])
    dots = "".join(
        f'<circle cx="{frame.x(each.at):.1f}" cy="{frame.y(each.value):.1f}" r="3.5" class="{_side(each)}"><title>'
        f"{each.at:%Y-%m-%d %H:%M}: {each.value:.3f}, limit {each.limit:.3f}</title></circle>"
        for each in distances
    )
    legend = _legend([(say("distance"), COLOURS[0]), (say("control limit (99%)"), "#a12a24")])
    drawn = frame.axes("number") + limits + lines + dots + frame.marks(changes)
    return _svg(drawn, say("Distance of the codes over time")) + legend


def scatter(points: Sequence[TextPoint], *, named: bool = True, say: Say = str) -> str:
    """Texts in two dimensions, those before the change and those after it.

    Args:
        points: The texts.
        named: Whether each says its code.
        say: Puts the chart's own words into the reader's language.
    """
    if not points:
        return ""
    left, right = min(point.x for point in points), max(point.x for point in points)
    low, high = min(point.y for point in points), max(point.y for point in points)
    wide, tall = max(right - left, 1e-9), max(high - low, 1e-9)
    height = 420

    def place(point: TextPoint) -> str:
        x = 14 + (point.x - left) / wide * (_WIDTH - 28)
        y = 14 + (high - point.y) / tall * (height - 28)
        side = "after" if point.after else "before"
        title = f"<title>{escape(point.code)}, {say(side)}</title>" if named else ""
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" class="{side}">{title}</circle>'

    before = "".join(place(point) for point in points if not point.after)
    after = "".join(place(point) for point in points if point.after)
    legend = _legend([(say("before"), COLOURS[0]), (say("after"), COLOURS[1])])
    return _svg(before + after, say("Texts in two dimensions, before and after"), height) + legend


def _lines(frame: _Frame, kind: str, distances: Sequence[BinDistance], values: Sequence[float]) -> str:
    """A line through each run of stretches that follow on one another."""
    runs: list[list[str]] = []
    for each, value in zip(distances, values, strict=True):
        if not each.follows or not runs:
            runs.append([])
        runs[-1].append(f"{frame.x(each.at):.1f},{frame.y(value):.1f}")
    return "".join(f'<polyline class="{kind}" points="{" ".join(run)}"/>' for run in runs)


def _side(each: BinDistance) -> str:
    return "above" if each.value > each.limit else "within"


def _outline(frame: _Frame, edges: Sequence[datetime], values: Sequence[float], *, back: bool = False) -> str:
    """A stepped line: each stretch is level from its beginning to the next one's."""
    corners = []
    for n, value in enumerate(values):
        y = frame.y(value)
        corners += [(frame.x(edges[n]), y), (frame.x(edges[n + 1]), y)]
    if back:
        corners.reverse()
    return ("L" if back else "") + "L".join(f"{x:.1f} {y:.1f}" for x, y in corners)


def _colour(row: int, others: int) -> str:
    return COLOURS[-1] if row >= others else COLOURS[row % (len(COLOURS) - 1)]


def _legend(entries: Sequence[tuple[str, str]]) -> str:
    square = '<svg viewBox="0 0 10 10" aria-hidden="true"><rect width="10" height="10" rx="2" fill="{}"/></svg>'
    items = "".join(f"<li>{square.format(colour)}{escape(name)}</li>" for name, colour in entries)
    return f'<ul class="legend">{items}</ul>'


def _svg(inside: str, title: str, height: int = _HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{inside}</svg>"
    )
