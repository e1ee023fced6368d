"""Why something moved, and what it is about."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from models.drift.change_point import ChangePoint
from models.drift.counts.stratified import StratifiedCounts
from models.drift.observation import KnownChange
from models.drift.scan import Finding, Moved
from models.drift.signals import DriftCause, Signal

_GONE = 0.1  # of what was expected: less than this is gone, but for stragglers
_ALIKE = 0.35  # by how much what came may differ from what went, if one became the other: chance moves both


def cause_of(
    signal: Signal,
    finding: Finding,
    near: Sequence[KnownChange],
    evidence: Mapping[DriftCause, float],
    texts_moved: bool | None,
) -> DriftCause:
    """What is most likely behind a change.

    Args:
        signal: What moved.
        finding: How.
        near: What was changed on purpose about then, the nearest first.
        evidence: By cause, how much else moved at the same time.
        texts_moved: Whether the texts themselves did; none where that is not known.
    """
    if signal.family == "volume":
        return "volume"
    relevant = [change for change in near if _concerns(change, signal, finding)]
    if relevant:
        return relevant[0].kind
    if signal.family == "said":
        if became(finding.moved):
            return "codebook"
        if texts_moved is False and evidence.get("model", 0.0) > 0:
            return "model"
    if signal.family == "people" and evidence.get("model", 0.0) > 0:
        return "model"
    return signal.cause


def became(moved: Iterable[Moved]) -> bool:
    """Whether codes went and others came in their place, as when codes are merged, split or renamed."""
    whole = [m for m in moved if m.group is None]
    gone = sum(m.expected - m.observed for m in whole if m.observed <= _GONE * m.expected)
    came = sum(m.observed - m.expected for m in whole if m.rose)
    return gone > 0 and abs(came - gone) <= _ALIKE * gone


def _concerns(change: KnownChange, signal: Signal, finding: Finding) -> bool:
    if change.kind == "codebook":  # a codebook changes all the time: only what names these codes counts
        what = change.what.casefold()
        return signal.family == "said" and any(m.cell.casefold() in what for m in finding.moved)
    if change.kind == "people":
        return signal.family == "people"
    return signal.family in {"said", "coded", "people"}


def near_to(changes: Iterable[KnownChange], point: ChangePoint, slack: timedelta) -> list[KnownChange]:
    """What was changed on purpose within a change point's interval and some time around it, the nearest first."""
    at, low, high = (datetime.fromtimestamp(t, UTC) for t in (point.at, point.earliest, point.latest))
    within = [change for change in changes if low - slack <= change.at <= high + slack]
    return sorted(within, key=lambda change: (abs(change.at - at), change.what))


def codes_and_sources(signal: Signal, table: StratifiedCounts, finding: Finding) -> tuple[list[str], list[str]]:
    """The codes and the sources that a finding is about, those that contribute most first."""
    cells = list(dict.fromkeys(m.cell for m in finding.moved))
    groups = list(dict.fromkeys(m.group for m in finding.moved if m.group))
    if signal.family == "volume":
        return [], cells
    strongest = strata(table, finding)
    if signal.within == "code":
        return groups or strongest, []
    return (cells if signal.names else []), list(dict.fromkeys([*groups[:1], *strongest]))


def strata(table: StratifiedCounts, finding: Finding, most: int = 3) -> list[str]:
    """The groups that contribute most to a finding's surest cell."""
    first = finding.moved[0]
    column = table.cells[first.cell]
    start = finding.start.counts
    old, new = start - table.history.since(column).counts, table.counts - start
    surplus: dict[str, float] = {}
    for stratum, group in enumerate(table.groups):
        due = new[stratum, 0] * old[stratum, column] / old[stratum, 0] if old[stratum, 0] else new[stratum, column]
        more = new[stratum, column] - due
        surplus[group] = surplus.get(group, 0.0) + (more if first.rose else -more)
    order = sorted(surplus, key=lambda group: (-surplus[group], group))
    return [group for group in order if group and surplus[group] > 0][:most]


def kind_of(signal: Signal, finding: Finding) -> str:
    """A short name of what happened, such as ``emerging code``."""
    first = finding.moved[0]
    if not signal.names:
        return signal.name
    if first.rose and first.expected < _GONE * first.observed:
        return f"emerging {signal.names}"
    if not first.rose and first.observed <= _GONE * first.expected:
        return f"vanishing {signal.names}"
    return signal.name
