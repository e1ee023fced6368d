"""What is new in the texts that an alert is about: words and phrases, the nearest codes, a name, and examples."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID, uuid5

import numpy as np

from models.drift.terms.distinctive import SourcedText, Term, distinctive_terms
from models.errors import QualstreamError
from models.ports import Embedder, Moderator
from schemas import DriftAlert, Proposal, Proposals, Segment

MOST_TEXTS = 1_000
"""Texts before a change, and behind it, that are compared."""
_EXAMPLES = 5
_NEAREST = 3
_LABELS = 400
"""Codes that are compared with the examples, the most frequent."""
_NAMING = 4
"""Terms that the moderator chooses a name from."""
_LONGEST = 600
"""Characters of a text that are looked at."""
_CAUSE = "input"
"""What an alert must be about: only then the texts are others."""


class DatedText(NamedTuple):
    """A segment's text with its time and source."""

    at: datetime
    segment: UUID
    source: str
    text: str


@dataclass(frozen=True)
class NoveltyTools:
    """What describes an alert's texts; without an embedder no code is near, without a moderator nothing is named."""

    embedder: Embedder | None = None
    labels: Sequence[str] = ()
    """The codebook's, the most frequent first."""
    moderator: Moderator | None = None


@dataclass
class _Texts:
    """The texts before an alert's change, the newest of them, and those since."""

    alert: DriftAlert
    before: list[DatedText] = field(default_factory=list)
    after: list[DatedText] = field(default_factory=list)

    def take(self, text: DatedText) -> None:
        """Keep a text if it is one of them; texts come in order of time."""
        until = last_moment(self.alert)
        if text.at < self.alert.at:
            self.before.append(text)
            if len(self.before) > 2 * MOST_TEXTS:
                del self.before[:MOST_TEXTS]
        elif text.at <= until and len(self.after) < MOST_TEXTS:
            self.after.append(text)


def last_moment(alert: DriftAlert) -> datetime:
    """Up to when texts are those that an alert is about: the end of its day, or when it was seen."""
    return alert.latest if alert.latest is not None and "of a day" in alert.kind else alert.detected_at


def is_about_texts(alert: DriftAlert) -> bool:
    """Whether what people say changed, so that there may be something new in it."""
    return alert.cause == _CAUSE


def with_novelty(alerts: Sequence[DriftAlert], texts: Iterable[DatedText], tools: NoveltyTools) -> list[DriftAlert]:
    """The alerts, those about what people say with what is new in it.

    Args:
        alerts: Any alerts.
        texts: All texts of the stream, in order of time; read once, and only where an alert needs them.
        tools: What describes them.
    """
    about_texts = [_Texts(alert) for alert in alerts if is_about_texts(alert)]
    for text in texts if about_texts else ():
        for each in about_texts:
            each.take(text)
    described = {
        each.alert.id: describe(each.alert, each.before[-MOST_TEXTS:], each.after, tools) for each in about_texts
    }
    return [described.get(alert.id, alert) for alert in alerts]


def describe(
    alert: DriftAlert, before: Sequence[DatedText], after: Sequence[DatedText], tools: NoveltyTools
) -> DriftAlert:
    """An alert with the words, the codes, the name and the examples of what is new.

    Args:
        alert: One about what people say.
        before: Texts before its change.
        after: Texts since.
        tools: What describes them.
    """
    if not before or not after:
        return alert
    terms = distinctive_terms(_sourced(before), _sourced(after))
    names = [term.term for term in terms]
    about_texts = not alert.codes
    examples = _examples(alert, terms, after) if about_texts else list(alert.examples)
    by_id = {text.segment: text.text for text in after}
    shown = [by_id[id_] for id_ in examples if id_ in by_id]
    said = f" New in them: {', '.join(f'“{name}”' for name in names[:5])}." if names and about_texts else ""
    changed = {
        "terms": names,
        "examples": examples,
        "nearest": _nearest(shown, tools),
        "name": _name(alert, names, shown, tools.moderator),
        "says": alert.says + (said if alert.kind == "texts" else ""),
    }
    return alert.model_copy(update=changed)


def _sourced(texts: Sequence[DatedText]) -> list[SourcedText]:
    return [SourcedText(text.source, text.text[:_LONGEST]) for text in texts]


def _examples(alert: DriftAlert, terms: Sequence[Term], after: Sequence[DatedText]) -> list[UUID]:
    """Five texts that have most of what is new, each once; filled up with those that the monitor named."""
    weights = {term.term: term.weight for term in terms}
    rated: dict[str, tuple[float, UUID]] = {}
    for text in after:
        folded = " ".join(text.text.casefold().split())[:_LONGEST]
        score = sum(weight for term, weight in weights.items() if term in folded)
        if score > 0 and folded not in rated:
            rated[folded] = (score, text.segment)
    best = [segment for _, segment in sorted(rated.values(), key=lambda each: -each[0])[:_EXAMPLES]]
    filled = [*best, *alert.examples, *(text.segment for text in after)]
    return list(dict.fromkeys(filled))[:_EXAMPLES]


def _nearest(texts: Sequence[str], tools: NoveltyTools) -> list[str]:
    """The codes whose labels are nearest to the mean of these texts."""
    labels = list(dict.fromkeys(tools.labels))[:_LABELS]
    if tools.embedder is None or not labels or not texts:
        return []
    mean = np.asarray(tools.embedder.embed([text[:_LONGEST] for text in texts])).mean(axis=0)
    near = np.asarray(tools.embedder.embed(labels)) @ mean
    return [labels[n] for n in np.argsort(-near, kind="stable")[:_NEAREST]]


def _name(alert: DriftAlert, terms: Sequence[str], texts: Sequence[str], moderator: Moderator | None) -> str:
    """What the moderator calls the examples, choosing from the most distinctive terms; empty where it cannot."""
    if moderator is None or not terms or not texts:
        return ""
    read = Segment(
        id=uuid5(alert.id, "name"), study=alert.study, text="\n".join(texts), source="drift", timestamp=alert.at
    )
    proposals = [
        Proposal(member=f"term {n}", model="distinctive terms", label=term, latency_s=0.0)
        for n, term in enumerate(terms[:_NAMING], 1)
    ]
    try:
        (decision,) = moderator.decide([Proposals(segment=read, proposals=proposals)])
    except QualstreamError:
        return ""
    return decision.label
