"""When it changed, segment by segment, and how well that is known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.drift.counts import Seen, Table
from models.drift.scan import Finding, Moved
from models.drift.snapshots import Counts, Mark

_LEVEL = 0.95
_STRENGTHS = (0.4, 0.6, 0.8, 1.0, 1.2)  # of the change, on the scale of log odds: its size is a guess itself
_MOST = 3.0  # by which a likelihood is tempered where segments cling together
_PAUSE = 0.5  # added to counts, so that a cell that was never seen has odds


@dataclass(frozen=True)
class Located:
    """A change point, seconds since 1970, with its 95% interval."""

    at: float
    earliest: float
    latest: float
    after: int
    """Segments since then."""
    segments: tuple[Seen, ...]
    """Those since then that show the change, the newest last, as far as they are remembered."""


@dataclass(frozen=True)
class _Steps:
    """The stream since the reference began: blocks where it is long ago, then segments."""

    at: NDArray[np.float64]
    """When each begins, shape ``(n,)``."""
    size: Counts
    """Shape ``(n, strata)``."""
    hits: Counts
    """Shape ``(n, strata)``."""


def locate(table: Table, finding: Finding) -> Located:
    """Where the surest cells of a finding began to have another share.

    The odds of these cells, stratum by stratum as they were in the reference, are taken to be multiplied by the same
    number from some segment on. Every segment (or block, where it is long ago) is a candidate, all equally likely
    beforehand; the interval holds 95% of what is likely afterwards.

    Source:
        Smith, "A Bayesian Approach to Inference about a Change-Point in a Sequence of Random Variables",
        Biometrika 62 (1975).
    """
    first = finding.moved[0]
    alike = [m for m in finding.moved if m.rose == first.rose and m.group == first.group]
    columns = sorted({table.cells[m.cell] for m in ([first] if table.steps else alike)})
    inside = np.array([first.group in {None, name} for name in table.groups])
    base = max((table.since(column) for column in columns), key=lambda mark: mark.block)
    steps = _steps(table, base, columns, inside)
    odds = _odds(finding.mark.counts - base.counts, columns)[: len(inside)]
    lift = _lift([first] if table.steps else alike)
    paths = np.stack([_path(steps, odds, lift * strength) / min(finding.factor, _MOST) for strength in _STRENGTHS])
    return _read(table, steps, np.logaddexp.reduce(paths, axis=0), columns)


def _steps(table: Table, base: Mark, columns: list[int], inside: NDArray[np.bool_]) -> _Steps:
    """Blocks up to the first remembered segment, then segments one by one."""
    recent = [seen for seen in table.recent if seen.at >= base.at]
    start = recent[0].at if recent and len(recent) == table.recent.maxlen else base.at
    marks = [base, *(mark for mark in table.marks if base.block < mark.block and mark.at <= start)]
    strata = len(inside)
    counts = np.stack([mark.counts[:strata] for mark in marks])
    passed = np.diff(counts, axis=0)
    edge = marks[-1].at
    recent = [seen for seen in recent if seen.at > edge or len(marks) == 1]
    size, hits = np.zeros((len(recent), strata)), np.zeros((len(recent), strata))
    for n, seen in enumerate(recent):
        size[n, seen.stratum] = 1
        hits[n, seen.stratum] = _hit(seen, columns, bool(table.steps))
    old = passed[..., columns].sum(axis=2)
    at = [mark.at for mark in marks[:-1]] + [seen.at for seen in recent]
    return _Steps(np.array(at), np.concatenate([passed[..., 0], size]) * inside, np.concatenate([old, hits]) * inside)


def _read(table: Table, steps: _Steps, path: NDArray[np.float64], columns: list[int]) -> Located:
    likely = np.exp(path - path.max())
    known = np.cumsum(likely / likely.sum())
    best, last = int(likely.argmax()), len(known) - 1
    low = min(int(np.searchsorted(known, (1 - _LEVEL) / 2)), best)
    high = max(min(int(np.searchsorted(known, (1 + _LEVEL) / 2)), last), best)
    at = float(steps.at[best])
    shown = tuple(s for s in table.recent if s.at >= at and _hit(s, columns, bool(table.steps)))
    after = int(steps.size[best:].sum())
    return Located(at, float(steps.at[low]), float(steps.at[high]), after, shown)


def _hit(seen: Seen, columns: list[int], steps: bool) -> bool:
    return 0 < seen.cell <= columns[0] if steps else seen.cell in columns


def _odds(reference: Counts, columns: list[int]) -> NDArray[np.float64]:
    """Odds of the cells in each stratum, drawn towards the odds in all strata where there is little, ``(strata,)``."""
    hits, n = reference[:, columns].sum(axis=1), reference[:, 0]
    whole = (hits.sum() + _PAUSE) / (n.sum() + 2 * _PAUSE)
    share = np.clip((hits + 4 * whole) / (n + 4), 1e-6, 1 - 1e-6)
    return np.asarray(share / (1 - share))


def _lift(moved: list[Moved]) -> float:
    """Log odds in the window, less those in the reference."""
    size = moved[0].size + 2 * _PAUSE
    counts = sum(m.observed for m in moved), sum(m.expected for m in moved)
    after, before = ((count + _PAUSE) / size for count in counts)
    after, before = (min(max(share, 1e-4), 1 - 1e-4) for share in (after, before))
    return float(np.log(after / (1 - after)) - np.log(before / (1 - before)))


def _path(steps: _Steps, odds: NDArray[np.float64], lift: float) -> NDArray[np.float64]:
    """Log likelihood of a change at each step, against none at all, shape ``(n,)``."""
    miss = np.log1p(odds) - np.log1p(odds * np.exp(lift))
    each = steps.hits.sum(axis=1) * lift + steps.size @ miss
    return np.asarray(np.cumsum(each[::-1])[::-1])
