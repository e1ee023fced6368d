"""When it changed, segment by segment, and how well that is known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.drift.counts.snapshots import BlockSnapshot, Counts
from models.drift.counts.stratified import RecentSegment, StratifiedCounts
from models.drift.scan import Finding, Moved

_LEVEL = 0.95  # of the interval: the usual one
_STRENGTHS = (0.4, 0.6, 0.8, 1.0, 1.2)  # of the change, on the scale of log odds: its size is a guess itself
_MOST_TEMPERED = 3.0  # by which a likelihood is divided at most, where segments cling together
_PSEUDO_COUNT = 0.5  # added to counts, so that a cell that was never seen has odds (Haldane and Anscombe)


@dataclass(frozen=True)
class ChangePoint:
    """A change point, seconds since 1970, with its 95% interval."""

    at: float
    earliest: float
    latest: float
    after: int
    """Segments since then."""
    segments: tuple[RecentSegment, ...]
    """Those since then that show the change, the newest last, as far as they are remembered."""


@dataclass(frozen=True)
class _Timeline:
    """The stream since the reference began: blocks where it is long ago, then segments."""

    at: NDArray[np.float64]
    """When each begins, shape ``(n,)``."""
    size: Counts
    """Shape ``(n, strata)``."""
    hits: Counts
    """Shape ``(n, strata)``."""


def locate(table: StratifiedCounts, finding: Finding) -> ChangePoint:
    """Where the surest cells of a finding began to have another share.

    The odds of these cells, stratum by stratum as they were in the reference, are taken to be multiplied by the same
    number from some segment on. Every segment (or block, where it is long ago) is a candidate, all equally likely
    beforehand; the interval holds 95% of what is likely afterwards.

    With odds ``o`` before and ``o L`` after, a change at ``t`` has the log likelihood ratio
    ``sum_(i >= t) hit_i log L + log((1 + o_i) / (1 + o_i L))``. ``log L`` is that of window against reference, times
    each of five strengths, which count alike; the ratio is divided by what the counts vary more than chance.

    >>> from uuid import UUID
    >>> from models.drift.overdispersion import Dispersion
    >>> from models.drift.scan import Scan
    >>> table = StratifiedCounts()
    >>> for n in range(1_200):
    ...     late = n % 10 == 0 if n < 800 else n % 3 == 0
    ...     table.add(60.0 * n, UUID(int=n), ("shop", ""), "late" if late else f"code {n % 7}")
    ...     if n % 25 == 24:
    ...         table.close_block(1 + n // 25, 60.0 * n)
    >>> finding = Scan(least=200, tolerated_sd=0.03, seasonal_sd=0.22, alpha=0.01).run(table, Dispersion())
    >>> point = locate(table, finding)
    >>> point.earliest <= 60.0 * 800 <= point.latest, abs(point.at / 60 - 800) < 10
    (True, True)

    Source:
        Smith, "A Bayesian Approach to Inference about a Change-Point in a Sequence of Random Variables",
        Biometrika 62 (1975).
    """
    first = finding.moved[0]
    alike = [m for m in finding.moved if m.rose == first.rose and m.group == first.group]
    columns = sorted({table.cells[m.cell] for m in ([first] if table.steps else alike)})
    inside = np.array([first.group in {None, name} for name in table.groups])
    base = max((table.history.since(column) for column in columns), key=lambda start: start.block)
    timeline = _timeline(table, base, columns, inside)
    odds = _odds(finding.start.counts - base.counts, columns)[: len(inside)]
    lift = _lift([first] if table.steps else alike)
    tempered = min(finding.factor, _MOST_TEMPERED)
    paths = np.stack([_path(timeline, odds, lift * strength) / tempered for strength in _STRENGTHS])
    return _interval(table, timeline, np.logaddexp.reduce(paths, axis=0), columns)


def _timeline(table: StratifiedCounts, base: BlockSnapshot, columns: list[int], inside: NDArray[np.bool_]) -> _Timeline:
    """Blocks up to the first remembered segment, then segments one by one."""
    recent = [seen for seen in table.recent if seen.at >= base.at]
    start = recent[0].at if recent and len(recent) == table.recent.maxlen else base.at
    blocks = [base, *(block for block in table.history.blocks if base.block < block.block and block.at <= start)]
    strata = len(inside)
    counts = np.stack([block.counts[:strata] for block in blocks])
    passed = np.diff(counts, axis=0)
    edge = blocks[-1].at
    recent = [seen for seen in recent if seen.at > edge or len(blocks) == 1]
    size, hits = np.zeros((len(recent), strata)), np.zeros((len(recent), strata))
    for n, seen in enumerate(recent):
        size[n, seen.stratum] = 1
        hits[n, seen.stratum] = _hit(seen, columns, bool(table.steps))
    old = passed[..., columns].sum(axis=2)
    at = [block.at for block in blocks[:-1]] + [seen.at for seen in recent]
    return _Timeline(
        np.array(at), np.concatenate([passed[..., 0], size]) * inside, np.concatenate([old, hits]) * inside
    )


def _interval(
    table: StratifiedCounts, timeline: _Timeline, path: NDArray[np.float64], columns: list[int]
) -> ChangePoint:
    likely = np.exp(path - path.max())
    known = np.cumsum(likely / likely.sum())
    best, last = int(likely.argmax()), len(known) - 1
    low = min(int(np.searchsorted(known, (1 - _LEVEL) / 2)), best)
    high = max(min(int(np.searchsorted(known, (1 + _LEVEL) / 2)), last), best)
    at = float(timeline.at[best])
    shown = tuple(s for s in table.recent if s.at >= at and _hit(s, columns, bool(table.steps)))
    after = int(timeline.size[best:].sum())
    return ChangePoint(at, float(timeline.at[low]), float(timeline.at[high]), after, shown)


def _hit(seen: RecentSegment, columns: list[int], steps: bool) -> bool:
    return 0 < seen.cell <= columns[0] if steps else seen.cell in columns


def _odds(reference: Counts, columns: list[int]) -> NDArray[np.float64]:
    """Odds of the cells in each stratum, drawn towards the odds in all strata where there is little, ``(strata,)``."""
    hits, n = reference[:, columns].sum(axis=1), reference[:, 0]
    whole = (hits.sum() + _PSEUDO_COUNT) / (n.sum() + 2 * _PSEUDO_COUNT)
    share = np.clip((hits + 4 * whole) / (n + 4), 1e-6, 1 - 1e-6)
    return np.asarray(share / (1 - share))


def _lift(moved: list[Moved]) -> float:
    """Log odds in the window, less those in the reference."""
    size = moved[0].size + 2 * _PSEUDO_COUNT
    counts = sum(m.observed for m in moved), sum(m.expected for m in moved)
    after, before = ((count + _PSEUDO_COUNT) / size for count in counts)
    after, before = (min(max(share, 1e-4), 1 - 1e-4) for share in (after, before))
    return float(np.log(after / (1 - after)) - np.log(before / (1 - before)))


def _path(timeline: _Timeline, odds: NDArray[np.float64], lift: float) -> NDArray[np.float64]:
    """Log likelihood of a change at each step, against none at all, shape ``(n,)``."""
    miss = np.log1p(odds) - np.log1p(odds * np.exp(lift))
    each = timeline.hits.sum(axis=1) * lift + timeline.size @ miss
    return np.asarray(np.cumsum(each[::-1])[::-1])
