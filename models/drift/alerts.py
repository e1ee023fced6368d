"""From what moved to an alert that says so."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import UUID, uuid5

from models.drift.attribution import cause_of, codes_and_sources, kind_of, near_to
from models.drift.change_point import Located, locate
from models.drift.embedding_drift import TextsMoved, TextWatch
from models.drift.observation import Change
from models.drift.scan import Finding, Moved
from models.drift.signal_watch import Watch
from models.drift.signals import Cause, Signal
from models.drift.tail_tests import to_score
from schemas import DriftAlert

_NAMESPACE = UUID("0b0f5b62-6a3c-5a52-8a4e-3d9a5b8e6d10")
_EXAMPLES, _NAMED = 5, 12
_SLACK = timedelta(hours=1)
_PROBABLE = 0.05


@dataclass(frozen=True)
class Alerting:
    """Makes a study's alerts."""

    study: str
    false_alarms: float

    def alert(
        self,
        watch: Watch,
        finding: Finding,
        all_watches: Sequence[Watch],
        texts: TextWatch,
        changes: Sequence[Change],
        detected: float,
    ) -> tuple[DriftAlert, Located, tuple[Moved, ...]]:
        """Say what a finding is about, since when, and what is behind it; and all cells that moved with it."""
        signal, table = watch.signal, watch.table
        located = locate(table, finding)
        again = watch.scan(_PROBABLE).run(table, watch.dispersion, since=located.at)
        if again is not None:  # from the change point on more codes may show that they moved
            finding = replace(finding, moved=(*finding.moved, *again.moved))
        near = near_to(changes, located, _SLACK)
        evidence = self._evidence(watch, finding, all_watches, located)
        cause = cause_of(signal, finding, near, evidence, texts.moved() if signal.family == "said" else None)
        evidence[cause] = evidence.get(cause, 0.0) + float(to_score(finding.p * _PROBABLE))
        why = next((change.what for change in near if change.kind == cause), "")
        codes, sources = codes_and_sources(signal, table, finding)
        first, kind = finding.moved[0], kind_of(signal, finding)
        name = json.dumps([self.study, signal.name, round(located.at, 3), first.cell, first.group])
        alert = DriftAlert(
            id=uuid5(_NAMESPACE, name),
            study=self.study,
            kind=kind,
            cause=cause,
            at=_time(located.at),
            detected_at=_time(detected),
            p=min(1.0, finding.p * self.false_alarms),
            effect=first.after - first.before,
            codes=codes[:_NAMED],
            sources=sources[:_NAMED],
            examples=[seen.segment for seen in located.segments[:_EXAMPLES]],
            earliest=_time(located.earliest),
            latest=_time(located.latest),
            before=finding.before,
            after=located.after,
            says=sentence(signal, finding, located, cause, why),
            causes=_parts(evidence),
            changes=_changes(finding, signal),
        )
        return alert, located, finding.moved

    def of_texts(self, found: TextsMoved, changes: Sequence[Change], detected: float) -> DriftAlert:
        """Say that the texts of a window are others than those of the reference."""
        first, last = found.texts[0].at, found.texts[-1].at
        near = [c for c in changes if c.kind != "people" and _time(first) - _SLACK <= c.at <= _time(last)]
        why = f"; about then: {near[-1].what}" if near else ""
        sources = sorted({text.source for text in found.texts})
        return DriftAlert(
            id=uuid5(_NAMESPACE, json.dumps([self.study, "texts", round(first, 3)])),
            study=self.study,
            kind="texts",
            cause="input",
            at=_time(first),
            detected_at=_time(detected),
            p=min(1.0, found.p * self.false_alarms),
            effect=found.effect,
            sources=sources[:_NAMED],
            examples=list(found.examples),
            earliest=_time(first),
            latest=_time(last),
            before=found.before,
            after=len(found.texts),
            says=f"The texts from {_time(first):%Y-%m-%d %H:%M} on are others than before, within their sources{why}.",
            causes={"input": 1.0},
        )

    def _evidence(
        self, watch: Watch, finding: Finding, watches: Sequence[Watch], located: Located
    ) -> dict[Cause, float]:
        """By cause, how surely other signals moved at the same time: ``-log10`` of the p-value."""
        found: dict[Cause, float] = {}
        for other in watches:
            signal = other.signal
            if signal.name == watch.signal.name or signal.family == watch.signal.family:
                continue
            score = moved_since(other, located.at)
            found[signal.cause] = max(found.get(signal.cause, 0.0), score)
        return {cause: score for cause, score in found.items() if score > 0}


def moved_since(watch: Watch, at: float) -> float:
    """How surely a signal moved at some time, alone and looked at once; 0 where the p-value is above 0.05."""
    finding = watch.scan(_PROBABLE).run(watch.table, watch.dispersion, since=at)
    return 0.0 if finding is None else float(to_score(finding.p * _PROBABLE))


def _parts(evidence: Mapping[Cause, float]) -> dict[str, float]:
    whole = sum(evidence.values())
    order = [cause for cause in get_args(Cause) if evidence.get(cause)]
    return {cause: round(evidence[cause] / whole, 4) for cause in order}


def _changes(finding: Finding, signal: Signal) -> dict[str, tuple[float, float]]:
    named: dict[str, tuple[float, float]] = {}
    for m in finding.moved[:_NAMED]:
        place = m.cell if signal.name in {"codes", "themes", "sources"} else f"{signal.name}, {m.cell}"
        named.setdefault(f"{place} in {m.group}" if m.group else place, (round(m.before, 6), round(m.after, 6)))
    return named


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


_OTHERS = 3  # that are named beside the surest one


def sentence(signal: Signal, finding: Finding, located: Located, cause: Cause, why: str) -> str:
    """What happened, since when, and what is behind it."""
    first = finding.moved[0]
    named = signal.name in {"codes", "themes", "sources"}
    about = first.cell if named else f"{signal.name}, {first.cell}"
    change = f"'{about}'{_where(first)} went {_way(first)}"
    ends = f"{_utc_time(located.earliest)} to {_time(located.latest)}"
    return f"{change}{_others(finding)} since {_utc_time(located.at)} (95%: {ends}); {_reason(signal, cause, why)}."


def _others(finding: Finding) -> str:
    """The cells that moved with the surest one, each as it moved in all groups together where it did."""
    seen: dict[str, Moved] = {}
    for one in sorted(finding.moved, key=lambda moved: moved.group is not None):
        seen.setdefault(one.cell, one)
    rest = [seen[cell] for cell in dict.fromkeys(one.cell for one in finding.moved)][1:]
    if not rest:
        return ""
    told = ", ".join(f"'{one.cell}'{_where(one)} {_way(one)}" for one in rest[:_OTHERS])
    more = f", {len(rest) - _OTHERS} more" if len(rest) > _OTHERS else ""
    return f" (and {told}{more})"


def _where(moved: Moved) -> str:
    return f" in {moved.group}" if moved.group else ""


def _way(moved: Moved) -> str:
    return f"from {moved.before:.1%} to {moved.after:.1%}"


def _reason(signal: Signal, cause: Cause, why: str) -> str:
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
