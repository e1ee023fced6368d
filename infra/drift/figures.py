"""The figures behind the charts of drift, as CSV: a row a stretch of time and code, or a stretch, or a text."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from infra.drift.report_data import BinDistance, StreamBin, TextPoint
from infra.files.tables import OutputRow, Shape, encoded

Counted = Literal["codes", "sources"]
_TIMES = {"start": "time", "end": "time"}
_NUMBERS = dict.fromkeys(("segments", "count", "share", "distance", "limit", "x", "y"), "number")
_KINDS = {**_TIMES, **_NUMBERS, "above": "truth"}


def shares_csv(bins: Sequence[StreamBin], what: Counted) -> bytes:
    """Each code's, or source's, segments in each stretch of time, and their share of those that have one."""
    name = what.removesuffix("s")
    return _csv(("start", "end", "segments", name, "count", "share"), _share_rows(bins, what, name))


def distances_csv(distances: Iterable[BinDistance]) -> bytes:
    """How far each stretch is from those before it, and what it stays below 99 times of 100 without a change."""
    rows = (
        {"start": each.at, "distance": each.value, "limit": each.limit, "above": each.value > each.limit}
        for each in distances
    )
    return _csv(("start", "distance", "limit", "above"), rows)


def points_csv(points: Iterable[TextPoint]) -> bytes:
    """The drawn texts' places and side of the change; not which text it is, nor its code: some may be read blind."""
    rows = ({"x": each.x, "y": each.y, "side": "after" if each.after else "before"} for each in points)
    return _csv(("x", "y", "side"), rows)


def _share_rows(bins: Sequence[StreamBin], what: Counted, name: str) -> Iterator[OutputRow]:
    for each in bins:
        counts = each.codes if what == "codes" else each.sources
        total = max(counts.total(), 1)
        for value, count in counts.most_common():
            stretch = {"start": each.start, "end": each.end, "segments": each.segments}
            yield {**stretch, name: value, "count": count, "share": round(count / total, 6)}


def _csv(columns: tuple[str, ...], rows: Iterable[OutputRow]) -> bytes:
    kinds = {column: _KINDS[column] for column in columns if column in _KINDS}
    return b"".join(encoded(Shape(columns, kinds), rows, "csv"))
