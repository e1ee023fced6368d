"""The human-coded open sets that quality is measured on: read, split by text, and written as pairs to tune on.

They may not ship, so they are looked for in a folder beside the repository (``OPEN_SETS`` names another).
"""

import argparse
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.files.pairs import fold_of

FOLDER = Path(os.environ.get("OPEN_SETS", "../shared/data"))
NEVER_SHIPPED = ("opencodes_exam_proctoring", "opencodes_scrum_interviews")
"""Never in what the shipped adapters learnt from."""
MEASURED = (*NEVER_SHIPPED, "opencodes_games_as_art", "opencodes_pdp_interviews")
"""What the results are pooled over."""
TUNING_ONLY = ("opencodes_ml_quality_interviews", "opencodes_shuffle_music")
"""Further sets for the measuring profile; of the second, whose texts have seven codes on average, a fifth."""
PAIRS = Path("infra/data/pairs.jsonl")
FOLDS, APART = 5, (0, 1)
"""Texts of these folds of the measured sets are kept apart: nothing is tuned on them, no codebook holds them."""


@dataclass(frozen=True)
class Row:
    """A text with the codes that people gave it."""

    set: str
    id: str
    text: str
    codes: tuple[str, ...]
    second: tuple[str, ...] = ()
    """The second coder's own codes, where there is one."""
    first: tuple[str, ...] = ()
    """The first coder's own codes, where there are two."""

    @property
    def apart(self) -> bool:
        """Whether the text is kept from everything that learns."""
        return fold_of(self.text, FOLDS) in APART


def read(names: Sequence[str], folder: Path = FOLDER) -> list[Row]:
    """The rows of the sets, in the order of their files.

    Raises:
        FileNotFoundError: If a set is not there.
    """
    files = {name: (folder / name / "open.jsonl").read_text(encoding="utf-8") for name in names}
    return [_row(name, line) for name, text in files.items() for line in text.split("\n") if line]


def _row(name: str, line: str) -> Row:
    row = json.loads(line)
    second = tuple(row.get("secondary_codes") or ())
    first = tuple(row.get("primary_codes") or ()) if second else ()
    return Row(name, row["id"], row["text"].strip(), tuple(row["codes"]), second, first)


def in_plain_case(code: str) -> str:
    """Lower case but for acronyms, single blanks, no final stop: codes of all sets in one form."""
    words = code.split()
    shouted = sum(word.isupper() and len(word) > 1 for word in words) > 2
    kept = [word if word.isupper() and len(word) > 1 and not shouted else word.lower() for word in words]
    return " ".join(kept).strip(" .;,")


def measuring_pairs(folder: Path = FOLDER) -> list[dict[str, object]]:
    """What the measuring profile is tuned on: every open set's texts that are not kept apart."""
    human = [row for row in read((*MEASURED, *TUNING_ONLY), folder) if not (row.set in MEASURED and row.apart)]
    human = [row for row in human if row.set != "opencodes_shuffle_music" or fold_of(row.text, 5) == 0]
    pairs = [_pair(row.text, row.codes, row.set) for row in human]
    return _merged(pairs, {row.text for row in read(MEASURED, folder) if row.apart})


def _pair(text: str, codes: Iterable[str], source: str) -> dict[str, object]:
    return {"text": text, "codes": [in_plain_case(code) for code in codes], "source": source, "written_by": "people"}


def _merged(pairs: Iterable[dict[str, object]], apart: set[str]) -> list[dict[str, object]]:
    """One row a text, its codes without doubles or such as no member may write (over five words); none kept apart."""
    codes: defaultdict[str, dict[str, None]] = defaultdict(dict)
    rows = {}
    for pair in pairs:
        text = str(pair["text"])
        rows.setdefault(text, pair)
        codes[text].update(dict.fromkeys(c for c in pair["codes"] if 1 <= len(c.split()) <= 5))  # type: ignore[attr-defined]
    return [row | {"codes": list(codes[text])} for text, row in rows.items() if codes[text] and text not in apart]


def main() -> None:
    """Write the measuring profile's pairs."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("out", type=Path)
    out: Path = parser.parse_args().out
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in measuring_pairs()), encoding="utf-8")


if __name__ == "__main__":
    main()
