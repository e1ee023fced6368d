"""False alarms on the first shuffled copies of the real sets: `python -m benchmarks.drift.shuffled --copies 20`.

The page on drift has 200 copies of each, which take hours; these are the first of them.
"""

import argparse
from collections import Counter
from functools import partial

from benchmarks.drift.arms import watch
from benchmarks.drift.cells import Cells, shuffle_key
from benchmarks.drift.streams import AIRLINE, CONTROL, shuffled
from benchmarks.pages.layout import as_table
from models.routing.risk_control import error_rate


def alarmed(name: str, seed: int) -> list[list[list[object]]]:
    """Kind, cause and p-value of the alerts on one copy, as the value of its one cell."""
    return [[[alert.kind, alert.cause, alert.p] for alert in watch(shuffled(name, seed)).alerts]]


def main() -> None:
    """Do what is not done yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=int, default=20, help="of each set")
    parser.add_argument("--only", choices=(AIRLINE, CONTROL), help="one of the sets; default: both")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    cells, lines, names = Cells(), [], [given.only] if given.only else [CONTROL, AIRLINE]
    cells.fill(
        {shuffle_key(s, n): partial(alarmed, s, n) for s in names for n in range(given.copies)},
        given.workers,
    )
    for name in names:
        raised = [cells.get(shuffle_key(name, n)) for n in range(given.copies)]
        share, low, high = error_rate(sum(map(bool, raised)), given.copies)
        kinds = Counter(kind for alerts in raised for kind, *_ in alerts)
        said = ", ".join(f"{kind} {count}" for kind, count in kinds.items()) or "-"
        lines.append((name, f"{given.copies}", f"{share:.1%} ({low:.1%} to {high:.1%})", said))
    print(as_table(("set, shuffled", "copies", "with any alert", "alerts"), lines))


if __name__ == "__main__":
    main()
