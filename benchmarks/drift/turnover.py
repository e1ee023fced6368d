"""Codes that take the place of others, beside ADWIN and Evidently: `python -m benchmarks.drift.turnover [--write]`."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks.drift.arms import adwin, evidently_version, monitored
from benchmarks.drift.calibrated import evidently_alarms, loosest, share
from benchmarks.drift.cells import Cells, Job, digest
from benchmarks.drift.made import Draw, MadeStream, Random, alarms, coded
from benchmarks.drift.streams import DRAW
from benchmarks.pages.layout import Report, options, publish

CELLS = Path("build/drift/turnover.jsonl")
CODES, POINTS = (2, 4, 10, 40), (5, 10, 20, 30, 50, 75, 100)
STREAMS, UNCHANGED = 10, 20
"""Of each number of codes and each size, and of each number of codes where nothing changes."""
DELTAS = (0.3, 0.1, 0.03, 0.01, 1e-3, 1e-5)
WINDOWS = (200, 50, 1_000)
_DAYS, _A_DAY = 10, 100
_SHORT = 3
"""Days of the short streams."""
_BEYOND_CHANCE = 0.01
_OURS = "Qualstream"
_HOW = """\
Streams of two sources, 100 segments a day, 1,000 or 300 in all. Up to the middle the code of each segment is drawn from
one half of the codes, all equally likely; from then on, for so many segments of a hundred, from the other half. So 100
points are a whole turnover, and of two codes one takes the other's place. Found is a stream with an alarm behind its
middle; where nothing changes any alarm counts. Ten streams a cell, twenty where nothing changes. Exact 95% intervals of
a cell: 0 of 10 is 0% to 31%, 5 is 19% to 81%, 9 is 55% to 100%; those of the false alarms are in the table.
*Qualstream* is the monitor at its defaults, false alarms 5% a stream, and may raise alarms at the stream's end too.
The others are set on the unchanged streams themselves, to the loosest at which at most 5% of them raise any alarm, and
so are better informed. *ADWIN* is river's, one a code and one a source, at one of six settings. *Evidently* is three
of its statistical tests, called directly (its report computes the same numbers): each compares the newest 200 segments
with up to 1,000 before them, every 50, by code and by source, each with its own limit. Chi-square is its default for so
few rows, Jensen-Shannon for more; PSI is its population stability index. A code that the reference does not have makes
chi-square's p-value 0, which no limit tells from a change."""


def turnover(codes: int, size: float, middle: float) -> Draw:
    """Half of the codes; from the middle on this share of the segments is of the other half."""
    half = codes // 2

    def draw(day: float, random: Random) -> str:
        other = half if day >= middle and random.random() < size else 0
        return f"code {other + random.integers(half)}"

    return draw


def stream_of(codes: int, points: int, days: int) -> MadeStream:
    """The streams of one cell."""
    draw = turnover(codes, points / 100, days / 2)
    return MadeStream(f"turnover {codes} {points} {days}", "", days, _A_DAY, draw, days / 2)


def measured(codes: int, points: int, days: int, seed: int) -> list[dict[str, dict[str, list[int]]]]:
    """Alarms of one stream by arm and setting, as one cell's value."""
    items = stream_of(codes, points, days).items(seed)
    by_delta = {f"{delta:g}": adwin(items, delta) for delta in DELTAS}
    return [{_OURS: {"5%": alarms(coded(items))}, "ADWIN": by_delta}]


def key(codes: int, points: int, days: int, seed: int) -> str:
    """The name of a cell."""
    return f"turnover|{codes}|{points}|{days}|{DRAW}.{seed}|{digest(DELTAS)}|{monitored()}"


def streams(points: int) -> int:
    """How many there are of a size."""
    return STREAMS if points else UNCHANGED


def jobs() -> dict[str, Job]:
    """What there is to do, by the keys of the cells that it fills."""
    every = [
        (c, p, days, n) for days in (_DAYS, _SHORT) for c in CODES for p in (0, *POINTS) for n in range(streams(p))
    ]
    return {key(*each): partial(measured, *each) for each in every}


def raised_by_arm(codes: int, days: int, cells: Cells, *, with_evidently: bool) -> Iterator[tuple[str, list[int]]]:
    """By arm, in how many streams of each size an alarm was raised where it should be; first where nothing changes."""
    sizes = (0, *POINTS)
    seen = {p: [cells.get(key(codes, p, days, n)) for n in range(streams(p))] for p in sizes}
    for arm in seen[0][0]:
        setting = loosest([each[arm] for each in seen[0]])
        yield arm, [_raised(codes, days, p, [each[arm][setting] for each in seen[p]]) for p in sizes]
    if with_evidently:
        changed = [stream_of(codes, p, days).items(n) for p in POINTS for n in range(STREAMS)]
        still = [stream_of(codes, 0, days).items(n) for n in range(UNCHANGED)]
        for test, (of_changed, of_still) in evidently_alarms(changed, still, _windows(days)).items():
            parts = [of_changed[n * STREAMS : (n + 1) * STREAMS] for n in range(len(POINTS))]
            found = [_raised(codes, days, p, part) for p, part in zip(POINTS, parts, strict=True)]
            yield f"Evidently, {test}", [_raised(codes, days, 0, of_still), *found]


def _windows(days: int) -> tuple[int, int, int]:
    window, step, reference = WINDOWS
    return min(window, days * _A_DAY // 5), step, reference


def _raised(codes: int, days: int, points: int, seen: Sequence[Sequence[int]]) -> int:
    middle = stream_of(codes, points, days).changes_at if points else 0
    return sum(any(n > middle for n in each) for each in seen)


def fell(smaller: Sequence[int], larger: int) -> bool:
    """Whether a larger change was found less often than some smaller one, beyond chance (Fisher, one in a hundred)."""
    from scipy.stats import fisher_exact

    most = max(smaller)
    table = [[most, STREAMS - most], [larger, STREAMS - larger]]
    return bool(fisher_exact(table, alternative="greater").pvalue < _BEYOND_CHANCE)


Table = dict[tuple[int, int, str], list[int]]
"""By days, number of codes and arm: streams with an alarm, first where nothing changes, then by size."""


def as_report(table: Table, version: str) -> Report:
    """The page."""
    ours = {place: row for place, row in table.items() if place[2] == _OURS}
    falls = [f"{c} codes" for (_, c, _), row in ours.items() if any(fell(row[1:n], row[n]) for n in range(2, len(row)))]
    whole = all(row[-1] == STREAMS for row in ours.values())
    return Report(
        name="drift-turnover",
        title="Drift: codes that take each other's place",
        how=_HOW,
        header=(
            "segments",
            "codes",
            "arm",
            "nothing changes",
            *(f"{points} points: found of {STREAMS}" for points in POINTS),
        ),
        rows=[
            (f"{days * _A_DAY:,}", f"{codes}", arm, share(row[0], UNCHANGED), *(f"{n}" for n in row[1:]))
            for (days, codes, arm), row in table.items()
        ],
        verdicts=[
            f"A whole turnover is found in every stream: {'met' if whole else 'MISSED'}",
            f"Power never falls beyond chance as the change grows: {f'MISSED with {falls}' if falls else 'met'}",
            f"Evidently {version}, in an environment of its own." if version else "Evidently could not be run here.",
        ],
        figures={
            "streams": STREAMS,
            "unchanged": UNCHANGED,
            "points": [0, *POINTS],
            "found": {
                f"{days * _A_DAY} segments, {codes} codes, {arm}": row for (days, codes, arm), row in table.items()
            },
            "evidently": version,
        },
        command="benchmarks.drift.turnover",
    )


def main() -> None:
    """Measure, and print the page."""
    given = options(__doc__ or "").parse_args()
    version, cells = evidently_version(), Cells(CELLS)
    cells.fill(jobs(), workers=1)
    table = {
        (days, codes, arm): row
        for days in (_DAYS, _SHORT)
        for codes in CODES
        for arm, row in raised_by_arm(codes, days, cells, with_evidently=bool(version))
    }
    publish(as_report(table, version), write=given.write)


if __name__ == "__main__":
    main()
