"""Our themes against people's own hierarchies: their codes, put under themes, beside the parents that people gave."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score, completeness_score, homogeneity_score

from benchmarks.open_sets import FOLDER
from models.codebook.themes import Code, arrange
from models.ports import Embedder
from schemas.ids import code_id

Figures = dict[str, Any]
Labels = NDArray[np.intp]
DRAWS, SEED = 200, 20_241
"""Random halves of the codes, and shuffles; and what they begin with."""


def themes_by_set(embedder: Embedder) -> list[Figures]:
    """Agreement with each hierarchy that a set has; a set that is not there is left out."""
    rows = []
    for name, (folder, parents) in HIERARCHIES.items():
        file = FOLDER / folder / "open.jsonl"
        if file.exists():
            lines = (json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line)
            rows.append({"set": name, **against_people(_parents(parents(row) for row in lines), embedder)})
    return rows


def against_people(parents: Mapping[str, tuple[str, int]], embedder: Embedder) -> Figures:
    """How far themes of codes are those that people put them under.

    Args:
        parents: Per code the parent that people gave it, and how many segments have it.
        embedder: For the themes.
    """
    study = "hierarchy"
    codes = [Code(code_id(study, label), label, count) for label, (_, count) in parents.items()]
    arrangement = arrange(study, codes, (), embedder)
    ours = _numbered([str(arrangement.homes.get(code.id, code.id)) for code in codes])
    theirs = _numbered([parent for parent, _ in parents.values()])
    generator = np.random.default_rng(SEED)
    halves = [generator.permutation(len(codes))[: len(codes) // 2] for _ in range(DRAWS)]
    drawn = [adjusted_rand_score(theirs[half], ours[half]) for half in halves]
    shuffled = [adjusted_rand_score(theirs, generator.permutation(ours)) for _ in range(DRAWS)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {
        "codes": len(codes),
        "people": len(set(theirs.tolist())),
        "themes": len(set(ours.tolist())),
        "alone": sum(code.id not in arrangement.homes for code in codes),
        "ari": {"value": _rounded(adjusted_rand_score(theirs, ours)), "low": _rounded(low), "high": _rounded(high)},
        "homogeneity": _rounded(homogeneity_score(theirs, ours)),
        "completeness": _rounded(completeness_score(theirs, ours)),
        "chance": _rounded(np.mean(shuffled)),
    }


def _rounded(value: float) -> float:
    return round(float(value), 4)


def _numbered(names: Sequence[str]) -> Labels:
    return np.unique(names, return_inverse=True)[1]


def _parents(rows: Iterable[Iterable[tuple[str, str]]]) -> dict[str, tuple[str, int]]:
    """Each code under the parent that it has most often."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        for code, parent in row:
            counts[code][parent] += 1
    return {code: (min(p, key=lambda name: (-p[name], name)), p.total()) for code, p in sorted(counts.items())}


def _paths(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A code's highest ancestor in a path such as "Benefits > Compliment"."""
    for path in row["code_paths"]:
        steps = [step.strip() for step in path.split(">")]
        if len(steps) > 1:
            yield steps[-1], steps[0]


def _arrows(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Parent and code, as in "monitor_students->webcam"; words instead of underscores, as members write them."""
    for code in row["primary_codes_raw"] or ():
        steps = [step.replace("_", " ").strip() for step in code.split("->")]
        if len(steps) > 1:
            yield steps[-1], steps[0]


HIERARCHIES: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], Iterator[tuple[str, str]]]]] = {
    "pdp interviews, highest of each path": ("opencodes_pdp_interviews", _paths),
    "exam proctoring, parents": ("opencodes_exam_proctoring", _arrows),
}
"""The NHS framework's parents are not in its set."""
