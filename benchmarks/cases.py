"""Fifty-eight situations that people reported of other tools, tried on the product: `python -m benchmarks.cases`.

Not run here are the cases about kills and restarts of a running stack: tests/faults and tests/integration have them.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.pages.layout import Report, options, publish
from tests.cases.coming_back import COMING_BACK
from tests.cases.measuring import DRIFT, MEASURING
from tests.cases.product import Product
from tests.cases.reading import READING

CASES = Path(__file__).parents[2] / "shared" / "cases"
ELSEWHERE = {
    "S01": "too large a text is set aside with its size: tests/faults/test_poison.py",
    "S02": "kills lose nothing: tests/faults/test_drill.py",
    "S03": "one stack a data folder: tests/integration/test_cli.py",
}
CHECKS: Mapping[str, Callable[[Product], str]] = {**READING, **COMING_BACK, **DRIFT, **MEASURING}
HOW = """\
- **Cases** are situations from public reports about other tools, tried at commit 4f82a7b (`before`: right, confusing,
  wrong, missing) and again now, by the checks in tests/cases, which are tests too.
- **Now** is right where the value that was expected came, wrong where it did not; `elsewhere` is not run here."""


def tried(case: Mapping[str, Any], inputs: Path) -> tuple[str, str]:
    """A case's verdict now, and what came."""
    check = CHECKS.get(case["id"])
    if check is None:
        return "elsewhere", ELSEWHERE.get(case["id"], "")
    with tempfile.TemporaryDirectory() as folder:
        try:
            return "right", check(Product(Path(folder), inputs))
        except FileNotFoundError as error:
            return "not run", f"no input {Path(error.filename or '').name}"
        except Exception as error:  # whatever ends a case, the others go on
            return "wrong", " ".join(str(error).split())[:120] or type(error).__name__


def row(case: Mapping[str, Any], now: str, came: str) -> Sequence[str]:
    """A line of the table."""
    before = {"OK": "right"}.get(case["verdict_at_4f82a7b"], case["verdict_at_4f82a7b"])
    return tuple(cell.replace("|", "\\|") for cell in (case["id"], case["need"], before, now, came))


def main() -> None:
    """Try all cases and print the table."""
    parser = options("Tries what people brought to other tools.")
    parser.add_argument("--cases", type=Path, default=CASES, help="Folder with cases.jsonl and in/.")
    asked = parser.parse_args()
    cases = [json.loads(line) for line in (asked.cases / "cases.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = []
    for case in cases:
        now, came = tried(case, asked.cases / "in")
        rows.append(row(case, now, came))
        print(case["id"], now, came, flush=True)
    before, after = (Counter(each[n] for each in rows) for n in (2, 3))
    verdict = f"before: {_listed(before)}; now: {_listed(after)}"
    header = ("case", "need", "before", "now", "what comes now")
    figures = {"cases": len(rows), "before": before, "now": after}
    publish(Report("cases", "What people bring", HOW, header, rows, [verdict], figures, words=True), write=asked.write)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


if __name__ == "__main__":
    main()
