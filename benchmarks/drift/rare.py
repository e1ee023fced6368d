"""Slow, low-volume and short changes beside ADWIN and Evidently: `python -m benchmarks.drift.rare [--write]`."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.drift.arms import REFERENCE, STEP, WINDOW, adwin, evidently_version, monitored
from benchmarks.drift.calibrated import evidently_alarms, loosest, mean, share
from benchmarks.drift.cells import Cells, Job, digest
from benchmarks.drift.made import MadeStream, alarms, coded, rising, spoken
from benchmarks.drift.streams import DRAW
from benchmarks.pages.layout import Report, options, publish

CELLS = Path("build/drift/rare.jsonl")
STREAMS, UNCHANGED = 10, 20
"""Of each change, and of each pace in which nothing changes."""
DELTAS = (0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5, 1e-6, 1e-8, 1e-10)
_HOW = """\
Made streams of two sources: eight codes as frequent as each other, and one more that changes. *By codes* all arms
see nothing but codes and sources; *by words* the same segments are texts without codes, eight of 64 common words
each, and the changing code is a word. Found is a stream with an alarm behind the change: up to the stream's end
where the change stays, up to eight days later where it is a day's. The delay is the mean over those found, in days.
Brackets hold 95% intervals: exact ones of shares, bootstrapped ones of means.
*Qualstream* is the monitor at its defaults: false alarms 5% a stream, all detectors together. Of these codes may
raise 20% as they come and 10% at the stream's end, sources 15%, words that last 4%, words of a day 3%, codes of a day
3%, the other signals the rest. The others are set on the unchanged streams of the same pace, to the loosest at which
at most 5% of these raise any alarm, and so are better informed. *ADWIN* is river's, one a code and one a source, at
the loosest of twelve settings. *Evidently* is three of its statistical tests, called directly (its report computes
the same numbers): each compares the newest 400 segments with the 1,000 before them, every 100, by code and by source,
each with its own limit. Chi-square is its default for so few rows, Jensen-Shannon for more; PSI is its population
stability index. Neither ADWIN nor Evidently was run on words."""

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
    for arm in changed[0]:
        setting = loosest([each[arm] for each in steady])
        lines.append(_line(stream, arm, *([each[arm][setting] for each in group] for group in (changed, steady))))
    if with_evidently:
        still = unchanged(stream)
        of_change, of_none = [stream.items(n) for n in range(STREAMS)], [still.items(n) for n in range(UNCHANGED)]
        by_test = evidently_alarms(of_change, of_none, (WINDOW, STEP, REFERENCE))
        lines += [_line(stream, f"Evidently by codes, {test}", *seen) for test, seen in by_test.items()]
    return lines


def _line(
    stream: MadeStream, arm: str, seen: Sequence[Sequence[int]], quiet: Sequence[Sequence[int]]
) -> tuple[str, ...]:
    found = delays(stream, seen)
    false = sum(map(bool, quiet))
    return stream.what, arm, share(false, UNCHANGED), share(len(found), STREAMS), mean(found)


def main() -> None:
    """Measure, and print the page."""
    given = options(__doc__ or "").parse_args()
    version = evidently_version()
    cells = Cells(CELLS)
    cells.fill(jobs(), workers=1)
    rows = [row for n in range(len(CHANGES)) for row in rows_of(n, cells, with_evidently=bool(version))]
    against = f"Evidently {version}, in an environment of its own." if version else "Evidently could not be run here."
    report = Report(
        name="drift-rare",
        title="Drift: slow, low-volume and short changes",
        how=_HOW,
        header=("change", "arm", "unchanged streams with any alarm", "found", "mean delay, days"),
        rows=rows,
        verdicts=[f"{STREAMS} streams of each change, {UNCHANGED} unchanged ones of each pace.", against],
        figures={"rows": [list(row) for row in rows], "evidently": version},
        command="benchmarks.drift.rare",
    )
    publish(report, write=given.write)


if __name__ == "__main__":
    main()
