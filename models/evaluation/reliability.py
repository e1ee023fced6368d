"""How well coders agree beyond chance, how sure that is, and where they do not agree.

What counts, in every figure: only units (segments) that at least two of the compared coders coded. A unit that a coder
did not code is missing for that coder; it never counts as "code absent". A unit on which all of the compared coders
found that no code fits is counted apart and left out, so that text without codes does not make agreement look better.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from models.evaluation.bootstrap import SEED
from models.evaluation.figure import Figure, draw_weights, figure_of, quotients
from models.evaluation.masi import CodeSets, masi_distance
from models.ports import Floats

NOBODY = "nobody has coded a segment yet"
ALONE = "there is only one coder; agreement needs two"
APART = "no segment has two coders"
NOT_TOGETHER = "they coded no segment in common"
SILENT = "on every shared segment all found that no code fits"
CONSTANT = "all gave the same code everywhere, which chance alone would do as well"


class UnitCoding(NamedTuple):
    """What one coder gave one unit; no codes at all means that none fits."""

    unit: Hashable
    coder: str
    codes: frozenset[Any]


@dataclass(frozen=True)
class CoderPair:
    """Two coders on the units that both coded."""

    coders: tuple[str, str]
    kappa: Figure
    """Cohen's kappa; a category is the set of codes that a unit was given."""
    percent: Figure
    """Share of the units that both gave the very same codes."""
    silent: int
    """Units left out because neither found a code that fits."""
    codes: Mapping[Any, Figure]
    """Cohen's kappa of each code that either used: given or not."""


@dataclass(frozen=True)
class Use:
    """How often a coder gave a code, beside the others on the same units."""

    coder: str
    own: int
    others: float
    """How often the others gave it, on average."""
    low: float
    high: float
    """Ends of the 95% interval of the difference."""

    @property
    def more(self) -> bool:
        """Whether the coder gives it more often than the others, beyond what another draw of units would change."""
        return self.low > 0


@dataclass(frozen=True)
class CodeReliability:
    """All coders on one code: given or not."""

    code: Any
    given: int
    """Units on which at least one coder gave it."""
    alpha: Figure
    use: tuple[Use, ...]

    @property
    def overused_by(self) -> tuple[Use, ...]:
        """Coders who give it more often than the others, the most first."""
        return tuple(sorted((use for use in self.use if use.more), key=lambda use: (use.others - use.own, use.coder)))


@dataclass(frozen=True)
class Reliability:
    """All coders on all units that at least two of them coded."""

    coders: Mapping[str, int]
    """How many units each coded, shared or not."""
    units: int
    """Compared ones."""
    silent: int
    """Shared ones left out because nobody found a code that fits."""
    several: bool
    """Whether any of the compared codings has more than one code."""
    alpha: Figure
    """Krippendorff's; sets that share codes are partly alike, by MASI. Nominal where each unit has one code."""
    fleiss: Figure
    """Fleiss' kappa; a category is the set of codes that a unit was given."""
    percent: Figure
    """Share of the pairs of codings of a unit that are the very same, averaged over units."""
    pairs: tuple[CoderPair, ...]
    codes: tuple[CodeReliability, ...]
    """Those given most often first."""


def reliability(
    readings: Iterable[UnitCoding], codes: Collection[Any] | None = None, *, seed: int = SEED
) -> Reliability:
    """Compare all coders.

    Args:
        readings: One per unit and coder, in any order.
        codes: The codes to tell figures of; ``None``: all that were given.
        seed: Of the bootstrap over units.

    Sources:
        Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011); Passonneau, "Measuring Agreement on
        Set-valued Items (MASI)", LREC 2006; Cohen, "A Coefficient of Agreement for Nominal Scales", Educational and
        Psychological Measurement 20 (1960); Fleiss, "Measuring nominal scale agreement among many raters",
        Psychological Bulletin 76 (1971).
    """
    table = _Table.of(readings)
    together, silent = table.shared()
    weights = draw_weights(len(together.units), seed)
    why = _why(table, silent) if not together.units else CONSTANT
    alpha, fleiss, percent = _overall(together, weights, why)
    columns = [n for n, code in enumerate(together.sets.codes) if codes is None or code in codes]
    return Reliability(
        coders={coder: int(count) for coder, count in zip(table.coders, (table.given >= 0).sum(axis=0), strict=True)},
        units=len(together.units),
        silent=silent,
        several=bool(together.units) and bool(together.sets.sizes[together.given[together.given >= 0]].max() > 1),
        alpha=alpha,
        fleiss=fleiss,
        percent=percent,
        pairs=tuple(_pair(table, *two, selected=codes, seed=seed) for two in combinations(range(len(table.coders)), 2)),
        codes=tuple(_codes(together, weights, columns)),
    )


class Dispute(NamedTuple):
    """A unit on which codings differ."""

    unit: Any
    distance: float
    """Mean MASI distance of two codings of it, 0 (none differ) to 1 (no two share a code)."""
    coders: int


def disputes(readings: Iterable[UnitCoding]) -> list[Dispute]:
    """The units on which coders differ, the most disputed first, and of those the ones with most coders."""
    by_unit: dict[Hashable, list[frozenset[Any]]] = defaultdict(list)
    for reading in readings:
        by_unit[reading.unit].append(reading.codes)
    disputed = []
    for unit, given in by_unit.items():
        if len(set(given)) > 1:
            distances = [masi_distance(a, b) for a, b in combinations(given, 2)]
            disputed.append(Dispute(unit, sum(distances) / len(distances), len(given)))
    return sorted(disputed, key=lambda dispute: (-round(dispute.distance, 9), -dispute.coders, str(dispute.unit)))


@dataclass(frozen=True)
class _Table:
    """Who gave what, in an order that does not depend on how it came."""

    units: tuple[Hashable, ...]
    coders: tuple[str, ...]
    sets: CodeSets
    given: Floats
    """Shape ``(units, coders)``: which of the sets, or -1 where the coder did not code the unit."""

    @classmethod
    def of(cls, readings: Iterable[UnitCoding]) -> "_Table":
        codings = {(coding.unit, coding.coder): coding.codes for coding in readings}
        units = tuple(sorted({unit for unit, _ in codings}, key=str))
        coders = tuple(sorted({coder for _, coder in codings}))
        sets = CodeSets.of(codings.values())
        rows, columns = ({each: n for n, each in enumerate(axis)} for axis in (units, coders))
        given = np.full((len(units), len(coders)), -1)
        for (unit, coder), codes in codings.items():
            given[rows[unit], columns[coder]] = sets.index[codes]
        return cls(units, coders, sets, given)

    def shared(self, columns: tuple[int, ...] | None = None) -> "tuple[_Table, int]":
        """The units that at least two of the coders coded, and how many more are silent."""
        given = self.given if columns is None else self.given[:, columns]
        several = (given >= 0).sum(axis=1) >= 2
        spoken = ((given >= 0) & (given != self.sets.empty)).any(axis=1)
        keep = np.flatnonzero(several & spoken)
        coders = self.coders if columns is None else tuple(self.coders[n] for n in columns)
        units = tuple(self.units[n] for n in keep)
        return _Table(units, coders, self.sets, given[keep]), int((several & ~spoken).sum())

    def counts(self, column: int | None = None) -> Any:
        """How many coders (or whether one) gave each unit each set: sparse, shape ``(units, sets)``."""
        from scipy.sparse import csr_array

        given = self.given if column is None else self.given[:, [column]]
        rows, columns = np.nonzero(given >= 0)
        cells = (np.ones(len(rows)), (rows, given[rows, columns]))
        return csr_array(cells, shape=(len(self.units), len(self.sets)))


def _why(table: _Table, silent: int) -> str:
    """Why there is nothing to compare."""
    if len(table.coders) < 2:
        return ALONE if table.coders else NOBODY
    return SILENT if silent else APART


def _overall(table: _Table, weights: Floats, why: str) -> tuple[Figure, Figure, Figure]:
    """Alpha, Fleiss' kappa and percent agreement, all from how many coders gave a unit each set.

    Alpha is not left to the package krippendorff: it makes a table of units times sets times sets, which some thousand
    units do not fit into memory with. Units may have different numbers of coders; Fleiss' kappa then averages over
    units as it does with equal ones.
    """
    n = len(table.units)
    if not n:
        none = Figure(None, None, None, 0, why)
        return none, none, none
    counts, alike = table.counts(), table.sets.alike()
    coders = counts.sum(axis=1)
    pairs = coders * (coders - 1)
    unlike = (coders**2 - (counts @ alike).multiply(counts).sum(axis=1)) / (coders - 1)
    totals, codings = weights @ counts, weights @ coders
    expected = codings**2 - ((totals @ alike) * totals).sum(axis=1)
    alpha = 1 - quotients((codings - 1) * (weights @ unlike), expected)
    percent = weights @ ((counts.multiply(counts).sum(axis=1) - coders) / pairs) / n
    chance = ((totals / codings[:, None]) ** 2).sum(axis=1)
    fleiss = quotients(percent - chance, 1 - chance)
    return figure_of(alpha, n, why), figure_of(fleiss, n, why), figure_of(percent, n, why)


def _codes(table: _Table, weights: Floats, columns: list[int]) -> list[CodeReliability]:
    """Alpha of each code, given or not, and who gives it more often than the others."""
    if not table.units:
        return []
    from krippendorff import alpha

    member = table.sets.member[:, columns]
    given, coders = table.counts() @ member, (table.given >= 0).sum(axis=1)
    once, codings = weights @ given, weights @ coders
    unlike = weights @ _by_row(given, lambda given, coders: 2 * given * (coders - given) / (coders - 1), coders)
    draws = 1 - quotients((codings - 1)[:, None] * unlike, 2 * once * (codings[:, None] - once))
    use = _use(table, weights, member, given, coders)
    reliabilities = []
    dense = given.tocsc()
    for n, column in enumerate(columns):
        present = dense[:, [n]].toarray()[:, 0]
        if not present.any():
            continue
        if np.isfinite(draws[0, n]):
            draws[0, n] = alpha(value_counts=np.stack([coders - present, present], 1), level_of_measurement="nominal")
        figure = figure_of(draws[:, n], len(table.units), CONSTANT)
        reliabilities.append(CodeReliability(table.sets.codes[column], int((present > 0).sum()), figure, tuple(use[n])))
    return sorted(reliabilities, key=lambda each: (-each.given, str(each.code)))


def _by_row(matrix: Any, compute: Callable[[Floats, Floats], Floats], of_rows: Floats) -> Any:
    """A sparse matrix whose numbers are computed from those there are and one number of their rows.

    What ``multiply`` gives in its place has its columns out of order at times, and says that they are not: a difference
    of two such matrices then takes numbers from one column off those of another (SciPy 1.17).
    """
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    computed = matrix.copy()
    computed.data = compute(matrix.data, of_rows[rows])
    return computed


def _use(table: _Table, weights: Floats, member: Any, given: Any, coders: Floats) -> dict[int, list[Use]]:
    """Per wanted code every coder who shares a unit with another, beside those others."""
    uses: dict[int, list[Use]] = defaultdict(list)
    for column, coder in enumerate(table.coders):
        there = table.given[:, column] >= 0
        if not there.any():
            continue
        own = table.counts(column) @ member
        others = _by_row(given - own, lambda given, share: given * share, there / np.maximum(coders - 1, 1))
        more = weights @ (own - others)
        low, high = np.quantile(more[1:], (0.025, 0.975), axis=0)
        own_sum, other_sum = own.sum(axis=0), others.sum(axis=0)
        for n in range(member.shape[1]):
            uses[n].append(Use(coder, int(own_sum[n]), float(other_sum[n]), float(low[n]), float(high[n])))
    return uses


def _pair(table: _Table, first: int, second: int, *, selected: Collection[Any] | None, seed: int) -> CoderPair:
    """Two coders, by Cohen's kappa over sets of codes and over each code."""
    both, silent = table.shared((first, second))
    names = (table.coders[first], table.coders[second])
    n = len(both.units)
    if not n:
        none = Figure(None, None, None, 0, SILENT if silent else NOT_TOGETHER)
        return CoderPair(names, none, none, silent, {})
    from sklearn.metrics import cohen_kappa_score

    weights = draw_weights(n, seed)
    sides = [both.counts(column) for column in (0, 1)]
    same = weights @ (both.given[:, 0] == both.given[:, 1]).astype(float) / n
    chance = np.multiply(*(weights @ side / n for side in sides)).sum(axis=1)
    kappa = quotients(same - chance, 1 - chance)
    if np.isfinite(kappa[0]):
        kappa[0] = cohen_kappa_score(both.given[:, 0], both.given[:, 1])
    codes = [k for k, code in enumerate(both.sets.codes) if selected is None or code in selected]
    given = [side @ both.sets.member[:, codes] for side in sides]
    a, b, ab = (weights @ each / n for each in (*given, given[0].multiply(given[1])))
    chances = a * b + (1 - a) * (1 - b)
    kappas = quotients(1 - a - b + 2 * ab - chances, 1 - chances)
    used = np.flatnonzero(a[0] + b[0])
    by_code = {both.sets.codes[codes[k]]: figure_of(kappas[:, k], n, CONSTANT) for k in used}
    return CoderPair(names, figure_of(kappa, n, CONSTANT), figure_of(same, n, ""), silent, by_code)
