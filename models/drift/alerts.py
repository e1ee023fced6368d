"""From what moved to an alert that says so."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import UUID, uuid5

from models.drift.attribution import cause_of, codes_and_sources, kind_of, near_to
from models.drift.change_point import ChangePoint, locate
from models.drift.embedding_drift import TextFinding, TextWatch
from models.drift.observation import KnownChange
from models.drift.scan import Finding, Moved
from models.drift.signal_watch import SignalWatch
from models.drift.signals import DriftCause, Signal
from models.drift.tail_tests import to_score
from models.drift.terms.term_watch import TermFinding
from schemas import DriftAlert

_NAMESPACE = UUID("0b0f5b62-6a3c-5a52-8a4e-3d9a5b8e6d10")
_EXAMPLES, _NAMED = 5, 12
"""Segments that an alert shows, and codes, sources and changes that it names at most: what a person reads at once."""
_SLACK = timedelta(hours=1)
"""How far outside a change point's interval a change on purpose may lie: clocks differ, queues take a while."""
_PROBABLE = 0.05  # p-value, looked at once, up to which a signal counts as moved with the one that raised the alert
_OTHERS = 3  # that a sentence names beside the surest one


@dataclass(frozen=True)
class AlertBuilder:
    """Makes a study's alerts of findings: since when, what is behind it, and a sentence for people."""

    study: str
    false_alarms: float

    def alert(
        self,
        watch: SignalWatch,
        finding: Finding,
        all_watches: Sequence[SignalWatch],
        texts: TextWatch,
        changes: Sequence[KnownChange],
        detected: float,
    ) -> tuple[DriftAlert, ChangePoint, tuple[Moved, ...]]:
        """Say what a finding is about, since when, and what is behind it; and all cells that moved with it."""
        signal, table = watch.signal, watch.table
        point = locate(table, finding)
        again = watch.scan(_PROBABLE).run(table, watch.dispersion, since=point.at)
        if again is not None:  # from the change point on more codes may show that they moved
            finding = replace(finding, moved=(*finding.moved, *again.moved))
        near = near_to(changes, point, _SLACK)
        evidence = self._evidence(watch, finding, all_watches, point)
        cause = cause_of(signal, finding, near, evidence, texts.moved() if signal.family == "said" else None)
        evidence[cause] = evidence.get(cause, 0.0) + float(to_score(finding.p * _PROBABLE))
        why = next((change.what for change in near if change.kind == cause), "")
        codes, sources = codes_and_sources(signal, table, finding)
        first, kind = finding.moved[0], kind_of(signal, finding)
        name = json.dumps([self.study, signal.name, round(point.at, 3), first.cell, first.group])
        alert = DriftAlert(
            id=uuid5(_NAMESPACE, name),
            study=self.study,
            kind=kind,
            cause=cause,
            at=_time(point.at),
            detected_at=_time(detected),
            p=min(1.0, finding.p * self.false_alarms),
            effect=first.after - first.before,
            codes=codes[:_NAMED],
            sources=sources[:_NAMED],
            examples=[seen.segment for seen in point.segments[:_EXAMPLES]],
            earliest=_time(point.earliest),
            latest=_time(point.latest),
            before=finding.before,
            after=point.after,
            says=sentence(signal, finding, point, cause, why),
            causes=_shares(evidence),
            changes=_changes(finding, signal),
        )
        return alert, point, finding.moved

    def of_texts(self, finding: TextFinding, changes: Sequence[KnownChange], detected: float) -> DriftAlert:
        """Say that the texts of a window are others than those of the reference."""
        first, last = finding.texts[0].at, finding.texts[-1].at
        near = [c for c in changes if c.kind != "people" and _time(first) - _SLACK <= c.at <= _time(last)]
        why = f"; about then: {near[-1].what}" if near else ""
        sources = sorted({text.source for text in finding.texts})
        return DriftAlert(
            id=uuid5(_NAMESPACE, json.dumps([self.study, "texts", round(first, 3)])),
            study=self.study,
            kind="texts",
            cause="input",
            at=_time(first),
            detected_at=_time(detected),
            p=min(1.0, finding.p * self.false_alarms),
            effect=finding.effect,
            sources=sources[:_NAMED],
            examples=list(finding.examples),
            earliest=_time(first),
            latest=_time(last),
            before=finding.before,
            after=len(finding.texts),
            says=f"The texts from {_time(first):%Y-%m-%d %H:%M} on are others than before, within their sources{why}.",
            causes={"input": 1.0},
        )

    def of_terms(self, finding: TermFinding, terms: str, changes: Sequence[KnownChange], detected: float) -> DriftAlert:
        """Say that more segments than before have some words, or some codes.

        Args:
            finding: What rose.
            terms: ``words`` or ``codes``: what it is that rose.
            changes: What was changed on purpose.
            detected: When it was seen, seconds since 1970.
        """
        first = finding.risen[0]
        kind = f"{terms} of a day" if finding.burst else terms
        near = [change for change in changes if change.kind != "people" and _within(change, finding)]
        why = f"; about then: {near[-1].what}" if near and terms == "words" else ""
        risen = [each.term for each in finding.risen[:_NAMED]]
        return DriftAlert(
            id=uuid5(_NAMESPACE, json.dumps([self.study, kind, round(finding.start, 3), first.term])),
            study=self.study,
            kind=kind,
            cause="input",
            at=_time(finding.start),
            detected_at=_time(detected),
            p=min(1.0, finding.p * self.false_alarms),
            effect=first.after - first.before,
            codes=risen if terms == "codes" else [],
            terms=risen if terms == "words" else [],
            examples=list(finding.examples),
            earliest=_time(finding.earliest),
            latest=_time(finding.latest),
            before=finding.before,
            after=finding.after,
            says=_says_of_terms(finding, terms) + why + ".",
            causes={"input": 1.0},
            changes={each.term: (round(each.before, 6), round(each.after, 6)) for each in finding.risen[:_NAMED]},
        )

    def _evidence(
        self, watch: SignalWatch, finding: Finding, watches: Sequence[SignalWatch], point: ChangePoint
    ) -> dict[DriftCause, float]:
        """By cause, how surely other signals moved at the same time: ``-log10`` of the p-value."""
        scores: dict[DriftCause, float] = {}
        for other in watches:
            signal = other.signal
            if signal.name == watch.signal.name or signal.family == watch.signal.family:
                continue
            score = moved_since(other, point.at)
            scores[signal.cause] = max(scores.get(signal.cause, 0.0), score)
        return {cause: score for cause, score in scores.items() if score > 0}


def moved_since(watch: SignalWatch, at: float) -> float:
    """How surely a signal moved at some time, alone and looked at once; 0 where the p-value is above 0.05."""
    finding = watch.scan(_PROBABLE).run(watch.table, watch.dispersion, since=at)
    return 0.0 if finding is None else float(to_score(finding.p * _PROBABLE))


def _within(change: KnownChange, finding: TermFinding) -> bool:
    return _time(finding.earliest) - _SLACK <= change.at <= _time(finding.latest) + _SLACK


def _says_of_terms(finding: TermFinding, terms: str) -> str:
    """What rose, when, and by how much, without the full stop."""
    named = [f"'{each.term}' from {each.before:.1%} to {each.after:.1%}" for each in finding.risen[: _OTHERS + 1]]
    more = f" and {len(finding.risen) - len(named)} more" if len(finding.risen) > len(named) else ""
    listed = ", ".join(named) + more
    if finding.burst:
        return f"On {_time(finding.start):%Y-%m-%d} alone {terms} were more frequent, within their sources: {listed}"
    return f"Since {_utc_time(finding.start)} more texts have these {terms}, within their sources: {listed}"


def _shares(evidence: Mapping[DriftCause, float]) -> dict[str, float]:
    whole = sum(evidence.values())
    order = [cause for cause in get_args(DriftCause) if evidence.get(cause)]
    return {cause: round(evidence[cause] / whole, 4) for cause in order}


def _changes(finding: Finding, signal: Signal) -> dict[str, tuple[float, float]]:
    named: dict[str, tuple[float, float]] = {}
    for m in finding.moved[:_NAMED]:
        place = _cell_name(signal, m.cell)
        named.setdefault(f"{place} in {m.group}" if m.group else place, (round(m.before, 6), round(m.after, 6)))
    return named


def _cell_name(signal: Signal, cell: str) -> str:
    """A cell as people know it: by itself where it has a name of its own, else with its signal."""
    return cell if signal.names else f"{signal.name}, {cell}"


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def sentence(signal: Signal, finding: Finding, point: ChangePoint, cause: DriftCause, why: str) -> str:
    """What happened, since when, and what is behind it."""
    first = finding.moved[0]
    change = f"'{_cell_name(signal, first.cell)}'{_where(first)} went {_way(first)}"
    ends = f"{_utc_time(point.earliest)} to {_utc_time(point.latest)}"
    return f"{change}{_others(finding)} since {_utc_time(point.at)} (95%: {ends}); {_reason(signal, cause, why)}."


def _others(finding: Finding) -> str:
    """The cells that moved with the surest one, each as it moved in all groups together where it did."""
    by_cell: dict[str, Moved] = {}
    for moved in sorted(finding.moved, key=lambda moved: moved.group is not None):
        by_cell.setdefault(moved.cell, moved)
    rest = [by_cell[cell] for cell in dict.fromkeys(moved.cell for moved in finding.moved)][1:]
    if not rest:
        return ""
    others = ", ".join(f"'{moved.cell}'{_where(moved)} {_way(moved)}" for moved in rest[:_OTHERS])
    more = f", {len(rest) - _OTHERS} more" if len(rest) > _OTHERS else ""
    return f" (and {others}{more})"


def _where(moved: Moved) -> str:
    return f" in {moved.group}" if moved.group else ""


def _way(moved: Moved) -> str:
    return f"from {moved.before:.1%} to {moved.after:.1%}"


def _reason(signal: Signal, cause: DriftCause, why: str) -> str:
    if why:
        return f"about then: {why}"
    return {
        "input": "customers say other things within the same sources",
        "volume": "the sources' shares of all segments moved, not what is said within them",
        "codebook": "codes took each other's place, as when they are merged, split or renamed",
        "model": "segments of the same codes are coded otherwise: look at the models",
        "people": "people judge codes otherwise, and nothing else about the models moved",
    }[cause]


def _utc_time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
