"""Slow, low-volume and short changes beside ADWIN and Evidently: `python -m benchmarks.drift.rare [--write]`."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.drift.arms import adwin, evidently, evidently_version, monitored
from benchmarks.drift.cells import Cells, Job, digest
from benchmarks.drift.made import MadeStream, alarms, coded, rising, spoken
from benchmarks.drift.streams import DRAW, Item, Stream
from benchmarks.pages.layout import Report, options, publish

CELLS = Path("build/drift/rare.jsonl")
STREAMS, UNCHANGED = 10, 20
"""Of each change, and of each pace in which nothing changes."""
ALLOWED = 0.05
"""Share of the unchanged streams of a pace that may raise any alarm."""
DELTAS = (0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5, 1e-6, 1e-8, 1e-10)
_HOW = """\
Made streams of two sources: eight codes as frequent as each other, and one more that changes. *By codes* all arms
see nothing but codes and sources; *by words* the same segments are texts without codes, eight of 64 common words
each, and the changing code is a word. Found is a stream with an alarm behind the change: up to the stream's end
where the change stays, up to eight days later where it is a day's. The delay is the mean over those found, in days.
*Qualstream* is the monitor at its defaults: false alarms 5% a stream, all detectors together. Of these codes may
raise 30%, sources 15%, words that last 4%, words of a day 3%, codes of a day 3%, the other signals the rest.
*ADWIN* is river's, one a code and one a source, at the loosest of twelve settings at which at most 5% of the
unchanged streams of that pace raise any alarm. *Evidently* is its drift report on the newest 400 segments against
the 1,000 before them, every 100, over code and source (Jensen-Shannon distance), each with the highest value in the
unchanged streams as its limit. Neither was run on words."""

_HALF = 0.5
STEADY = rising(lambda _: 0.03)
CHANGES = (
    MadeStream(
        "ramp",
        "from 3% to 18% over five weeks, 20 a day",
        90,
        20,
        rising(lambda day: 0.03 + 0.15 * _ramp(day, 40, 75)),
        40,
    ),
    MadeStream(
        "few",
        "from 0 to 10% within a year, 1,097 in 12 years",
        4_380,
        0.2505,
        rising(lambda day: 0.1 * _ramp(day, 3_285, 3_650)),
        3_285,
    ),
    MadeStream(
        "day",
        "50% on one day, else 3%, 20 a day",
        75,
        20,
        rising(lambda day: 0.5 if 50 <= day < 51 else 0.03),
        50,
    ),
    MadeStream(
        "busy day",
        "15% on one day, else 3%, 200 a day",
        12,
        200,
        rising(lambda day: 0.15 if 8 <= day < 9 else 0.03),
        8,
    ),
)


def _ramp(day: float, first: float, last: float) -> float:
    return min(1.0, max(0.0, (day - first) / (last - first)))


def unchanged(stream: MadeStream) -> MadeStream:
    """A stream of the same pace and length in which nothing changes."""
    still = rising(lambda _: 0.0) if stream.name == "few" else STEADY
    return replace(stream, name=f"{stream.name}, unchanged", code=still, changes=None)


def measured(place: int, seed: int, *, changes: bool) -> list[dict[str, dict[str, list[int]]]]:
    """Alarms of one stream of one of the CHANGES, or of its pace unchanged, by arm and setting, as one cell's value."""
    stream = CHANGES[place] if changes else unchanged(CHANGES[place])
    items = stream.items(seed)
    seen = {
        "Qualstream by codes": {"5%": alarms(coded(items))},
        "ADWIN by codes": {f"{delta:g}": adwin(items, delta) for delta in DELTAS},
        "Qualstream by words": {"5%": alarms(spoken(items, seed))},
    }
    return [seen]


def key(place: int, seed: int, *, changes: bool) -> str:
    """The name of a cell."""
    stream = CHANGES[place]
    return f"{stream.name}: {stream.what}|{changes}|{DRAW}.{seed}|{digest(DELTAS)}|{monitored()}"


def jobs() -> dict[str, Job]:
    """What there is to do, by the keys of the cells that it fills."""
    every = [(place, n, True) for place in range(len(CHANGES)) for n in range(STREAMS)]
    every += [(place, n, False) for place in range(len(CHANGES)) for n in range(UNCHANGED)]
    return {key(p, n, changes=changes): partial(measured, p, n, changes=changes) for p, n, changes in every}


def of_evidently(stream: MadeStream, still: MadeStream) -> tuple[list[list[int]], list[list[int]]]:
    """Evidently's alarms in the streams with the change, and in the unchanged ones that set its limits."""
    made = [(f"changed {n}", _filled(stream.items(n))) for n in range(STREAMS)]
    made += [(f"unchanged {n}", _filled(still.items(n))) for n in range(UNCHANGED)]
    looks = evidently(made)
    columns = ("code", "source")
    highest = {
        column: sorted(max(drifts.get(column, 0.0) for _, drifts in looks[f"unchanged {n}"]) for n in range(UNCHANGED))
        for column in columns
    }
    limits = {column: values[-1 - int(ALLOWED / len(columns) * UNCHANGED)] for column, values in highest.items()}
    seen = {
        key: [n for n, drifts in each if any(drifts.get(column, 0.0) > limits[column] for column in columns)]
        for key, each in looks.items()
    }
    return [seen[f"changed {n}"] for n in range(STREAMS)], [seen[f"unchanged {n}"] for n in range(UNCHANGED)]


def _filled(items: Sequence[Item]) -> Stream:
    """The segments with some values in the columns that Evidently's report has beside code and source."""
    random = np.random.default_rng(DRAW)
    values = random.random((len(items), 2)).tolist()
    rows = zip(items, values, strict=True)
    return Stream("made", [i._replace(confidence=c, agreement=a, accepted=c > _HALF) for i, (c, a) in rows])


def delays(stream: MadeStream, seen: Sequence[Sequence[int]]) -> list[float]:
    """Days from the change to its alarm, of the streams in which it was found in time."""
    burst = "day" in stream.name
    until = stream.changes_at + int(8 * stream.a_day) if burst else stream.length
    first = [min((n for n in each if stream.changes_at < n <= until), default=None) for each in seen]
    return [(n - stream.changes_at) / stream.a_day for n in first if n is not None]


def rows_of(place: int, cells: Cells, *, with_evidently: bool) -> list[tuple[str, ...]]:
    """The lines of one change: arm, false alarms, found, delay."""
    stream = CHANGES[place]
    changed = [cells.get(key(place, n, changes=True)) for n in range(STREAMS)]
    steady = [cells.get(key(place, n, changes=False)) for n in range(UNCHANGED)]
    lines = []
    for arm, settings in changed[0].items():
        raised = {setting: sum(bool(each[arm][setting]) for each in steady) for setting in settings}
        setting = next((s for s in settings if raised[s] <= ALLOWED * UNCHANGED), list(settings)[-1])
        lines.append(_line(stream, arm, [each[arm][setting] for each in changed], raised[setting]))
    if with_evidently:
        seen, quiet = of_evidently(stream, unchanged(stream))
        lines.append(_line(stream, "Evidently by codes", seen, sum(map(bool, quiet))))
    return lines


def _line(stream: MadeStream, arm: str, seen: Sequence[Sequence[int]], false: int) -> tuple[str, ...]:
    found = delays(stream, seen)
    delay = f"{sum(found) / len(found):,.1f}" if found else "-"
    return stream.what, arm, f"{false} of {UNCHANGED}", f"{len(found)} of {STREAMS}", delay


def main() -> None:
    """Measure, and print the page."""
    parser = options(__doc__ or "")
    parser.add_argument("--without-evidently", action="store_true", help="it takes most of the time")
    given = parser.parse_args()
    with_evidently = bool(evidently_version()) and not given.without_evidently
    cells = Cells(CELLS)
    cells.fill(jobs(), workers=1)
    rows = [row for n in range(len(CHANGES)) for row in rows_of(n, cells, with_evidently=with_evidently)]
    missing = [] if with_evidently else ["Evidently was left out of this drawing: it takes most of the time."]
    report = Report(
        name="drift-rare",
        title="Drift: slow, low-volume and short changes",
        how=_HOW,
        header=("change", "arm", "unchanged streams with any alarm", "found", "mean delay, days"),
        rows=rows,
        verdicts=[f"{UNCHANGED} unchanged streams of each pace; an alarm on one of them is 5%.", *missing],
        figures={"rows": [list(row) for row in rows]},
        command="benchmarks.drift.rare",
    )
    publish(report, write=given.write)


if __name__ == "__main__":
    main()
