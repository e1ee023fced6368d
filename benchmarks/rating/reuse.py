"""What reusing a near code costs, by how near it is: `python -m benchmarks.rating.reuse [--write]`.

The refiner of `tiny` took an earlier code in place of the one that the members had elected; a blind rater judged both,
each by itself, for the same text (docs/results/ratings/reuse.jsonl).
"""

from collections.abc import Sequence

from benchmarks.pages.layout import RESULTS, Report, options, publish
from benchmarks.rating.__main__ import Item, read_lines
from benchmarks.rating.page import wilson

RATINGS = RESULTS / "ratings" / "reuse.jsonl"
BANDS = ((0.75, 0.8), (0.8, 0.85), (0.85, 0.9), (0.9, 1.01))
"""Cosines, from and below."""


def band(rows: Sequence[Item], low: float, high: float) -> list[Item]:
    """The rows whose earlier code is so near."""
    return [row for row in rows if low <= row["similarity"] < high]


def _share(rows: Sequence[Item], name: str) -> str:
    share = sum(row[name] for row in rows) / len(rows)
    low, high = wilson(share, len(rows))
    return f"{share:.0%} [{low:.0%}, {high:.0%}]"


def report(rows: Sequence[Item]) -> Report:
    """The table, one row a band of similarity."""
    bands = {f"{low} to {min(high, 1.0)}": band(rows, low, high) for low, high in BANDS} | {"all": list(rows)}
    figures = {
        name: {
            "texts": len(part),
            "elected_stand": round(sum(row["proposed_stands"] for row in part) / len(part), 3),
            "earlier_stand": round(sum(row["reused_stands"] for row in part) / len(part), 3),
        }
        for name, part in bands.items()
    }
    table = [
        [name, str(len(part)), _share(part, "proposed_stands"), _share(part, "reused_stands")]
        for name, part in bands.items()
    ]
    return Report(
        "reuse",
        "Codes that took another's place",
        f"{len(rows)} texts of sets that may ship, where the refiner of `tiny` would take an earlier code from a "
        "cosine of 0.75 on. A language model in the role of the researcher rated both codes, each by itself, without "
        "knowing which was which; the profile's threshold was chosen by this table. Intervals: Wilson.",
        ["cosine", "texts", "the elected code stands", "the earlier code stands"],
        table,
        [],
        figures,
        command="benchmarks.rating.reuse",
    )


def main() -> None:
    """Print the table, and write the page where asked."""
    publish(report(read_lines(RATINGS)), write=options(__doc__ or "").parse_args().write)


if __name__ == "__main__":
    main()
