"""Codes that take the place of others, from few segments to all: `python -m benchmarks.drift.turnover [--write]`."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from benchmarks.drift.made import Draw, MadeStream, Random, alarms, coded
from benchmarks.pages.layout import Report, options, publish

CODES, POINTS = (2, 4, 10, 20, 40), (0, 5, 10, 15, 20, 30, 50, 75, 100)
STREAMS = 20
"""Of each number of codes and each size."""
_DAYS, _A_DAY = 10, 100
_BEYOND_CHANCE = 0.01
_HOW = """\
Streams of 1,000 segments of two sources, 100 a day. Up to the middle the code of each segment is drawn from one half of
the codes, all equally likely; from then on, for so many segments of a hundred, from the other half. So 100 points are a
whole turnover, and of two codes one takes the other's place. Found is a stream with an alert of the monitor, at its
defaults, behind its middle; where nothing changes (0 points) any alert counts. Twenty streams a cell, so 5% is one."""


def turnover(codes: int, share: float) -> Draw:
    """Half of the codes; from the middle on this share of the segments is of the other half."""
    half = codes // 2

    def draw(day: float, random: Random) -> str:
        other = half if day >= _DAYS / 2 and random.random() < share else 0
        return f"code {other + random.integers(half)}"

    return draw


def found(codes: int, points: int, seed: int) -> bool:
    """Whether one stream's change was found, or, where it has none, whether anything was."""
    name = f"turnover {codes} {points}"
    stream = MadeStream(name, "", _DAYS, _A_DAY, turnover(codes, points / 100), _DAYS / 2)
    seen = alarms(coded(stream.items(seed)))
    return any(n > stream.changes_at for n in seen) if points else bool(seen)


def power(codes: int, points: int, workers: int = 1) -> int:
    """Streams of one cell in which it was found."""
    with ProcessPoolExecutor(workers) as pool:
        return sum(pool.map(partial(found, codes, points), range(STREAMS)))


def fell(smaller: Sequence[int], larger: int) -> bool:
    """Whether a larger change was found less often than some smaller one, beyond chance (Fisher, one in a hundred)."""
    from scipy.stats import fisher_exact

    most = max(smaller)
    table = [[most, STREAMS - most], [larger, STREAMS - larger]]
    return bool(fisher_exact(table, alternative="greater").pvalue < _BEYOND_CHANCE)


def as_report(table: dict[int, Sequence[int]]) -> Report:
    """The page."""
    falls = [codes for codes, row in table.items() if any(fell(row[1:n], row[n]) for n in range(2, len(row)))]
    whole = all(row[-1] == STREAMS for row in table.values())
    return Report(
        name="drift-turnover",
        title="Drift: codes that take each other's place",
        how=_HOW,
        header=("codes", "nothing changes", *(f"{points} points" for points in POINTS[1:])),
        rows=[(f"{codes}", *(f"{n / STREAMS:.0%}" for n in row)) for codes, row in table.items()],
        verdicts=[
            f"A whole turnover is found in every stream: {'met' if whole else 'MISSED'}",
            f"Power never falls beyond chance as the change grows: {f'MISSED with {falls} codes' if falls else 'met'}",
        ],
        figures={"streams": STREAMS, "points": list(POINTS), "found": {str(k): list(v) for k, v in table.items()}},
        command="benchmarks.drift.turnover",
    )


def main() -> None:
    """Measure, and print the page."""
    given = options(__doc__ or "").parse_args()
    publish(as_report({codes: [power(codes, points) for points in POINTS] for codes in CODES}), write=given.write)


if __name__ == "__main__":
    main()
