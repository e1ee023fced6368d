"""Reuse an earlier code, or create one, and say why."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

import numpy as np

from models.classifier.predictions import classifier_signals
from models.codebook.chronicle import Chronicle, is_code
from models.codebook.codebook import Standing
from models.errors import SettingError
from models.moderation.classifier_vote import CLASSIFIER
from models.ports import Clock, CodeIndex, Embedder, Embeddings, IndexedCode
from models.refinement.batch_index import DIGITS, CodeView, Near
from models.refinement.features import embedded_for, signals_of
from models.refinement.reindexing import put_codes
from models.refinement.thresholds import Threshold, adapted
from models.text.polarity import opposite
from schemas import Assignment, CodeEvent, Decision, Neighbour
from schemas.ids import code_event_id, code_id, normalised_label

By = Literal["code", "text", "both"]

_REMEMBERED = 50_000  # segments with their assignments: one that comes again is given the same


@dataclass(frozen=True)
class RefinerSettings:
    """When a code is near enough to be reused.

    Source: house plan, decision 6; in the paper the best threshold ran from 0.5 to 0.8, by study.
    """

    threshold: float = 0.7
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Study to threshold, where people set one for it."""
    adaptive: bool = False
    """Whether a vague label needs more and a clear one less; see ``models.refinement.thresholds.adapted``."""
    by: By = "code"
    """What is compared: the codes, the texts they were created for, or the mean direction of both."""
    polarity_gate: bool = True
    """Whether a code that says the opposite is refused, however near it is."""

    def __post_init__(self) -> None:
        """Refuse what cannot be a threshold.

        Raises:
            SettingError: If a value is out of its range.
        """
        if not 0 <= self.threshold <= 1:
            raise SettingError(f"the refiner's threshold is {self.threshold}; a cosine from 0 to 1 is expected")
        for study, threshold in self.thresholds.items():
            if not 0 <= threshold <= 1:
                raise SettingError(f"study {study!r} has threshold {threshold}; a cosine from 0 to 1 is expected")
        if self.by not in ("code", "text", "both"):
            raise SettingError(f"the refiner compares by {self.by!r}; 'code', 'text' or 'both' is expected")

    def of(self, study: str) -> Threshold:
        """The study's threshold before anything is learned."""
        if study in self.thresholds:
            return Threshold(self.thresholds[study], "set for this study")
        return Threshold(self.threshold, "the default")


@dataclass(frozen=True)
class Refined:
    """A segment's assignment, and the event of the code that it created, if it did."""

    assignment: Assignment
    event: CodeEvent | None


@dataclass(frozen=True)
class Refinement:
    """What a batch of decisions comes to, before the refiner and its index know of it."""

    refined: list[Refined]
    created: list[IndexedCode]


@dataclass(frozen=True)
class _Found:
    """What one label came to: the code, and the best one that was not taken."""

    code: Near
    new: bool
    runner_up: Near | None
    why: str
    margin: float
    """How much nearer the code is than the runner-up; of a new code, how far that is under the threshold."""


class Refiner:
    """Gives each decision a code of its study; one refiner at a time owns a study."""

    def __init__(
        self,
        index: CodeIndex,
        embedder: Embedder,
        clock: Clock,
        settings: RefinerSettings | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> None:
        """Load which segment created which code.

        Args:
            index: The codes of all studies.
            embedder: The one that the index was filled by.
            clock: Dates assignments and events.
            settings: When to reuse; the defaults if left out.
            versions: Further models to name in every assignment, role to revision.
        """
        self._index = index
        self._embedder = embedder
        self._clock = clock
        self._settings = settings or RefinerSettings()
        self._versions = dict(versions or {})
        self._learned: dict[str, Threshold] = {}
        self._origins = index.origins()
        self._chronicle = Chronicle()
        self._to_follow: dict[UUID, Standing] = {}
        self._given: OrderedDict[UUID, Assignment] = OrderedDict()

    def learned(self, thresholds: Mapping[str, Threshold]) -> None:
        """Take these studies' thresholds in place of those in the settings; see ``models.refinement.thresholds``."""
        self._learned |= thresholds

    def threshold(self, study: str) -> Threshold:
        """The study's threshold, before it is adapted to a label."""
        return self._learned.get(study) or self._settings.of(study)

    def remember(self, assignments: Iterable[Assignment]) -> None:
        """Know assignments that were made before, so that a message which is read again changes nothing.

        The codebook may have grown since, and another code be nearer now; the last 50,000 are kept.
        """
        for assignment in assignments:
            known = self._given.get(assignment.segment_id)
            if assignment.route is None or known is None or known.code_id != assignment.code_id:
                self._given[assignment.segment_id] = _unrouted(assignment)
            self._given.move_to_end(assignment.segment_id)
        while len(self._given) > _REMEMBERED:
            self._given.popitem(last=False)

    def recall(self, history: Iterable[CodeEvent]) -> None:
        """Know a history that the index was made equal to; see ``reconcile``."""
        self._chronicle.add(history)
        self._origins = self._index.origins()

    def follow(self, events: Iterable[CodeEvent]) -> None:
        """Let the index follow what others do to the codebook from now on; what is known already changes nothing.

        Args:
            events: In any order. Codes that other refiners created are in the index: their creators put them there.

        Raises:
            UnavailableError: If the index is away; the next call goes on with these events.
        """
        self._to_follow |= {code.id: code for code in self._chronicle.add(events)}
        if not self._to_follow:
            return
        changed = self._to_follow.values()
        live, gone = [one for one in changed if is_code(one)], [one.id for one in changed if not is_code(one)]
        self._index.remove(gone)
        put_codes(
            self._index, self._embedder, [c for c in live if c.last.kind != "created" or c.last.segment_id is None]
        )
        for code in gone:
            self._origins.pop(code, None)
        self._origins.update({one.id: one.origin for one in live})
        self._to_follow.clear()

    def refine(self, decisions: Sequence[Decision]) -> list[Refined]:
        """Give each decision a code; the index holds the new ones before this returns.

        Returns:
            One a decision, in order.
        """
        refinement = self.decide(decisions)
        self.keep(refinement)
        return refinement.refined

    def decide(self, decisions: Sequence[Decision]) -> Refinement:
        """Give each decision a code. Nobody knows of it before ``keep``: it may turn out to be another's to say.

        Decisions are taken one after the other, so that the second of a batch sees the code that the first
        created. One that was taken before comes to what it came to then, byte for byte. A decision whose segment
        created its code before (a replay) creates it again: the same ids, so that what is published overwrites itself.
        """
        before = {one.segment.id: again for one in decisions if (again := self._again(one)) is not None}
        fresh: dict[UUID, Decision] = {}
        for one in decisions:
            if one.segment.id not in before:
                fresh.setdefault(one.segment.id, one)
        new, created = self._decide(list(fresh.values()))
        known = before | {one.assignment.segment_id: one for one in new}
        return Refinement([known[one.segment.id] for one in decisions], created)

    def _decide(self, decisions: Sequence[Decision]) -> tuple[list[Refined], list[IndexedCode]]:
        if not decisions:
            return [], []
        view, found = CodeView(self._index, self._origins), []
        for decision, vector in zip(decisions, self._embed(decisions), strict=True):
            one = self._find(decision, vector, view)
            found.append(one)
            segment, code = decision.segment, one.code
            if one.new and view.named(code.id, code.label) is None:
                view.create(IndexedCode(code.id, segment.study, code.label, vector, segment.id))
        seen = self._signals(decisions, found)
        now = self._clock.now()
        refined = [self._record(*each, now) for each in zip(decisions, found, seen, strict=True)]
        return refined, list(view.created.values())

    def keep(self, refinement: Refinement) -> None:
        """Know what a batch came to, the index included, before it is published.

        Raises:
            UnavailableError: If the index is away; it may be called again.
        """
        if refinement.created:
            self._index.put(refinement.created)
            self._origins.update({code.id: code.origin for code in refinement.created})
        self._chronicle.add(one.event for one in refinement.refined if one.event)
        self.remember(one.assignment for one in refinement.refined)

    def _again(self, decision: Decision) -> Refined | None:
        """What this very decision came to before, if its code still stands."""
        before = self._given.get(decision.segment.id)
        if before is None or before.proposed != decision.label or before.code_id not in self._origins:
            return None
        return Refined(before, self._event(before, decision))

    def _embed(self, decisions: Sequence[Decision]) -> Embeddings:
        """What is compared, in one call of the embedder, shape ``(len(decisions), dim)``."""
        labels = [decision.label for decision in decisions]
        texts = [decision.segment.text for decision in decisions]
        if self._settings.by != "both":
            return self._embedder.embed(labels if self._settings.by == "code" else texts)
        both = self._embedder.embed(labels + texts)
        sums = both[: len(labels)] + both[len(labels) :]
        sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
        return sums

    def _needed(self, decision: Decision) -> Threshold:
        """The cosine that this decision's label needs."""
        base, segment = self.threshold(decision.segment.study), decision.segment
        if not self._settings.adaptive:
            return base
        value = adapted(base.value, segment.text, decision.label)
        return Threshold(value, f"{base} for this label" if value != base.value else base.origin)

    def _find(self, decision: Decision, vector: Embeddings, view: CodeView) -> _Found:
        study, label = decision.segment.study, decision.label
        near, needed = view.nearest(study, vector), self._needed(decision)
        taken, why = self._by_guess(decision, view)
        if taken is None:
            taken, why = self._by_name(study, label, near, view)
        if taken is None:
            taken = next((one for one in near if self._reusable(label, one, needed)), None)
            why = f"reused {taken.label!r} at {taken.similarity:.2f}, threshold {needed}" if taken else ""
        runner_up = next((one for one in near if taken is None or one.id != taken.id), None)
        second = runner_up.similarity if runner_up else 0.0
        if taken is None:
            taken = Near(code_id(study, label), label, 1.0)
        elif view.origin(study, taken.id) == decision.segment.id:  # a replay creates again what it created
            taken = taken._replace(similarity=1.0)
        else:
            return _Found(taken, False, runner_up, why, round(taken.similarity - second, DIGITS))
        margin = round(needed.value - second, DIGITS)
        return _Found(taken, True, runner_up, self._why_new(label, runner_up, needed), margin)

    def _by_guess(self, decision: Decision, view: CodeView) -> tuple[Near | None, str]:
        """The code that a classifier named, by its id: the classifier may not have heard of its newest label."""
        if decision.picked != CLASSIFIER or decision.classified is None:
            return None, ""
        guess = decision.classified.guesses[0]
        code = self._now(guess.code_id)
        taken = view.named(code, self._chronicle.label(code) or guess.label)
        return taken, f"reused {taken.label!r}, which the classifier named" if taken else ""

    def _now(self, code: UUID) -> UUID:
        """The one code that a code was merged into, else itself."""
        heirs = self._chronicle.heirs(code)
        return next(iter(heirs)) if len(heirs) == 1 else code

    def _by_name(self, study: str, label: str, near: Sequence[Near], view: CodeView) -> tuple[Near | None, str]:
        """The code of this very label, or what people made of it, however far its vector is; and why."""
        folded = normalised_label(label)
        same = next((one for one in near if normalised_label(one.label) == folded), None)
        if same is not None:
            return same._replace(similarity=1.0), f"reused {same.label!r}, the same label"
        code = code_id(study, label)
        same = view.named(code, self._chronicle.label(code) or label)
        if same is not None:
            how = "the same label" if normalised_label(same.label) == folded else f"as {label!r} is called now"
            return same, f"reused {same.label!r}, {how}"
        heirs = self._chronicle.heirs(code)
        heir = next((one for one in near if one.id in heirs), None)
        if len(heirs) == 1:  # people said that the two are the same
            (only,) = heirs
            heir = view.named(only, self._chronicle.label(only) or label)
        return heir, f"reused {heir.label!r}, which {label!r} became" if heir else ""

    def _reusable(self, label: str, near: Near, needed: Threshold) -> bool:
        return near.similarity >= needed.value and not self._refused(label, near)

    def _refused(self, label: str, near: Near) -> bool:
        return self._settings.polarity_gate and opposite(label, near.label)

    def _why_new(self, label: str, runner_up: Near | None, needed: Threshold) -> str:
        if runner_up is None:
            return "new: the study has no other code"
        named = f"{runner_up.label!r} at {runner_up.similarity:.2f}"
        if runner_up.similarity < needed.value:
            return f"new: nearest {named} is under {needed}"
        if self._refused(label, runner_up):
            return f"new: {named} says the opposite"
        return f"new: created by this segment before {named}"

    def _record(self, decision: Decision, found: _Found, signals: dict[str, float], now: datetime) -> Refined:
        segment, code = decision.segment, found.code
        assignment = Assignment(
            segment_id=segment.id,
            study=segment.study,
            code_id=code.id,
            label=code.label,
            proposed=decision.label,
            new=found.new,
            similarity=code.similarity,
            runner_up=_neighbour(found.runner_up),
            why=found.why,
            verdict=decision.verdict,
            signals=signals,
            models={p.member: p.model for p in decision.proposals}
            | ({CLASSIFIER: decision.classified.model} if decision.classified else {})
            | {"moderator": decision.moderator, "embedder": self._embedder.version}
            | self._versions,
            assigned_at=now,
        )
        return Refined(assignment, self._event(assignment, decision))

    def _event(self, assignment: Assignment, decision: Decision) -> CodeEvent | None:
        """The event of the code that an assignment created, if it did; one that stands already as it stands."""
        if not assignment.new:
            return None
        event = _created(assignment, decision)
        return self._chronicle.event(event.code_id, event.id) or event

    def _signals(self, decisions: Sequence[Decision], found: Sequence[_Found]) -> list[dict[str, float]]:
        """What a confidence can be made from; a study without a second code has a runner-up at 0."""
        codes = [one.code.label for one in found]
        texts = embedded_for(decisions, codes)
        vectors = dict(zip(texts, self._embedder.embed(texts), strict=True))
        reuse = [{"similarity": o.code.similarity, "margin": o.margin, "new": float(o.new)} for o in found]
        seen = [signals_of(*each, vectors) for each in zip(decisions, codes, reuse, strict=True)]
        return [signals | self._guessed(d, one) for signals, d, one in zip(seen, decisions, found, strict=True)]

    def _guessed(self, decision: Decision, found: _Found) -> dict[str, float]:
        """What the study's classifier says of the code, its guesses taken for what their codes are by now."""
        if decision.classified is None:
            return {}
        guesses: dict[UUID, float] = {}
        for guess in decision.classified.guesses:
            code = self._now(guess.code_id)
            guesses[code] = max(guess.probability, guesses.get(code, 0.0))
        return classifier_signals(guesses, found.code.id, sure=decision.classified.sure, known=not found.new)


def _created(assignment: Assignment, decision: Decision) -> CodeEvent:
    """The event of the code that an assignment created."""
    code, study = assignment.code_id, assignment.study
    same = code == code_id(study, decision.label)
    return CodeEvent(
        id=code_event_id(code, "created", str(assignment.segment_id)),
        code_id=code,
        study=study,
        kind="created",
        label=decision.label if same else assignment.label,  # a replay after a renaming gives the first label again
        author=decision.moderator,
        at=assignment.assigned_at,
        reason=assignment.why,
        segment_id=assignment.segment_id,
    )


def _unrouted(assignment: Assignment) -> Assignment:
    """An assignment as the refiner writes it."""
    if assignment.route is None:
        return assignment
    return assignment.model_copy(update={"route": None, "confidence": None})


def _neighbour(near: Near | None) -> Neighbour | None:
    return None if near is None else Neighbour(code_id=near.id, label=near.label, similarity=near.similarity)
