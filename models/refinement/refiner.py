"""Reuse an earlier code, or create one, and say why."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np

from models.classifier.predictions import classifier_signals
from models.codebook.codebook import Codebook, CodeState
from models.codebook.coding_modes import CodingModes, standing_of
from models.moderation.classifier_vote import CLASSIFIER
from models.ports import Clock, CodeIndex, Embedder, Embeddings, IndexedCode
from models.refinement.allowed_codes import AllowedCodes
from models.refinement.batch_index import DIGITS, BatchIndex, NearCode
from models.refinement.features import embedded_for, signals_of
from models.refinement.refined_records import created_event, neighbour, outside, put_by_its_creator, unrouted
from models.refinement.reindexing import put_codes
from models.refinement.settings import RefinerSettings
from models.refinement.study_thresholds import StudyThresholds
from models.refinement.thresholds import Threshold, adapted
from models.text.polarity import opposite
from schemas import Assignment, CodeEvent, Decision, StudyRules
from schemas.coding import NONE_FITS, OUTSIDE_CODEBOOK, STRETCHED, CodeStanding
from schemas.ids import code_id, normalised_label

_CAME_TO: Mapping[CodeStanding, str] = {"code": "new", "proposed": "proposed as a new code", "none": NONE_FITS}
_ASSIGNMENTS_KEPT = 50_000  # segments with their assignments: one that comes again is given the same


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
class _Match:
    """What one label came to: the code, and the best one that was not taken."""

    code: NearCode
    new: bool
    runner_up: NearCode | None
    why: str
    margin: float
    """How much nearer the code is than the runner-up; of a new code, how far that is under the threshold."""
    standing: CodeStanding = "code"
    stretched: bool = False
    """Whether it was taken although it is under the threshold."""

    @property
    def signals(self) -> dict[str, float]:
        """What a confidence may look at of the reuse."""
        outside = self.standing != "code"
        signals = {"similarity": self.code.similarity, "margin": self.margin, "new": float(self.new or outside)}
        signals |= {STRETCHED: 1.0} if self.stretched else {}
        return signals | ({OUTSIDE_CODEBOOK: 1.0} if outside else {})


class Refiner:
    """Gives each decision a code of its study; one refiner at a time owns a study."""

    def __init__(
        self,
        index: CodeIndex,
        embedder: Embedder,
        clock: Clock,
        settings: RefinerSettings | None = None,
        versions: Mapping[str, str] | None = None,
        modes: CodingModes | None = None,
    ) -> None:
        """Load which segment created which code.

        Args:
            index: The codes of all studies.
            embedder: The one that the index was filled by.
            clock: Dates assignments and events.
            settings: When to reuse; the defaults if left out.
            versions: Further models to name in every assignment, role to revision.
            modes: Whether a study's models may open codes; in every study, if left out.
        """
        self._index, self._embedder, self._clock = index, embedder, clock
        self._settings = settings or RefinerSettings()
        self._versions = dict(versions or {})
        self._modes = modes or CodingModes()
        self._thresholds = StudyThresholds(self._settings)
        self._origins = index.origins()
        self._codebook = Codebook()
        self._allowed = AllowedCodes(embedder, self._codebook)
        self._pending: dict[UUID, CodeState] = {}
        self._assignments: OrderedDict[UUID, Assignment] = OrderedDict()

    def set_thresholds(self, thresholds: Mapping[str, Threshold]) -> None:
        """Take what was learned of these studies, where people set nothing; see ``models.refinement.thresholds``."""
        self._thresholds.learn(thresholds)

    def threshold(self, study: str) -> Threshold:
        """The study's threshold, before it is adapted to a label."""
        return self._thresholds.of(study)

    def update_rules(self, rules: Iterable[StudyRules]) -> None:
        """Hear where studies want codes to come from, and when to use them again; it holds from the next batch on."""
        heard = list(rules)
        self._modes.update(heard)
        self._thresholds.update(heard)

    def load_assignments(self, assignments: Iterable[Assignment]) -> None:
        """Know assignments that were made before, so that a message which is read again changes nothing.

        The codebook may have grown since, and another code be nearer now; the last 50,000 are kept.
        """
        for assignment in assignments:
            known = self._assignments.get(assignment.segment_id)
            if assignment.route is None or known is None or known.code_id != assignment.code_id:
                self._assignments[assignment.segment_id] = unrouted(assignment)
            self._assignments.move_to_end(assignment.segment_id)
        while len(self._assignments) > _ASSIGNMENTS_KEPT:
            self._assignments.popitem(last=False)

    def load_history(self, history: Iterable[CodeEvent]) -> None:
        """Know a history that the index was made equal to; see ``reconcile``."""
        self._codebook.add(history)
        self._origins = self._index.origins()

    def apply_events(self, events: Iterable[CodeEvent]) -> None:
        """Let the index follow what others do to the codebook from now on; what is known already changes nothing.

        Args:
            events: In any order. Codes that other refiners created are in the index: their creators put them there.

        Raises:
            UnavailableError: If the index is away; the next call goes on with these events.
        """
        self._pending |= {state.id: state for state in self._codebook.add(events)}
        if not self._pending:
            return
        assignable = [state for state in self._pending.values() if state.assignable]
        gone = [state.id for state in self._pending.values() if not state.assignable]
        self._index.remove(gone)
        put_codes(self._index, self._embedder, [state for state in assignable if not put_by_its_creator(state)])
        for code in gone:
            self._origins.pop(code, None)
        self._origins.update({state.id: state.origin for state in assignable})
        self._pending.clear()

    def refine(self, decisions: Sequence[Decision]) -> list[Refined]:
        """Give each decision a code; the index holds the new ones before this returns.

        Returns:
            One a decision, in order.
        """
        refinement = self.decide(decisions)
        self.commit(refinement)
        return refinement.refined

    def decide(self, decisions: Sequence[Decision]) -> Refinement:
        """Give each decision a code. Nobody knows of it before ``commit``: it may turn out to be another's to say.

        Decisions are taken one after the other, so that the second of a batch sees the code that the first
        created. One that was taken before comes to what it came to then, byte for byte. A decision whose segment
        created its code before (a replay) creates it again: the same ids, so that what is published overwrites itself.
        """
        repeated = {d.segment.id: before for d in decisions if (before := self._repeat(d)) is not None}
        fresh: dict[UUID, Decision] = {}
        for decision in decisions:
            if decision.segment.id not in repeated:
                fresh.setdefault(decision.segment.id, decision)
        new, created = self._decide(list(fresh.values()))
        known = repeated | {refined.assignment.segment_id: refined for refined in new}
        return Refinement([known[decision.segment.id] for decision in decisions], created)

    def _decide(self, decisions: Sequence[Decision]) -> tuple[list[Refined], list[IndexedCode]]:
        if not decisions:
            return [], []
        batch, matches = BatchIndex(self._index, self._origins), []
        for decision, vector in zip(decisions, self._embed(decisions), strict=True):
            match = self._match(decision, vector, batch)
            matches.append(match)
            segment, code = decision.segment, match.code
            if match.new and batch.get(code.id, code.label) is None:
                batch.create(IndexedCode(code.id, segment.study, code.label, vector, segment.id))
        signals = self._signals(decisions, matches)
        now = self._clock.now()
        refined = [self._record(*each, now) for each in zip(decisions, matches, signals, strict=True)]
        return refined, list(batch.created.values())

    def commit(self, refinement: Refinement) -> None:
        """Know what a batch came to, the index included, before it is published.

        Raises:
            UnavailableError: If the index is away; it may be called again.
        """
        if refinement.created:
            self._index.put(refinement.created)
            self._origins.update({code.id: code.origin for code in refinement.created})
        self._codebook.add(refined.event for refined in refinement.refined if refined.event)
        self.load_assignments(refined.assignment for refined in refinement.refined)

    def _repeat(self, decision: Decision) -> Refined | None:
        """What this very decision came to before, if its code still stands, or never was in the codebook."""
        before = self._assignments.get(decision.segment.id)
        if before is None or before.proposed != decision.label:
            return None
        if before.standing == "code" and before.code_id not in self._origins:
            return None
        return Refined(before, self._event(before))

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

    def _match(self, decision: Decision, vector: Embeddings, batch: BatchIndex) -> _Match:
        study, label = decision.segment.study, decision.label
        nearest, needed = batch.nearest(study, vector), self._needed(decision)
        code, why = self._by_classifier(decision, batch)
        if code is None:
            code, why = self._by_label(study, label, nearest, batch)
        if code is None:
            near_enough = (near for near in nearest if near.similarity >= needed.value)
            code = next((near for near in near_enough if not self._refused(label, near)), None)
            why = f"reused {code.label!r} at {code.similarity:.2f}, threshold {needed}" if code else ""
        mode = self._modes.of(study)
        if code is None and mode == "deductive":
            return self._match_allowed(decision, nearest, needed, batch)
        if code is None and nearest and self._codebook.retired(code_id(study, label)):
            code, why = nearest[0], f"took {nearest[0].label!r}, the nearest: people retired {label!r}"
        runner_up = next((near for near in nearest if code is None or near.id != code.id), None)
        second = runner_up.similarity if runner_up else 0.0
        margin = round(needed.value - second, DIGITS)
        if code is None:
            stands = standing_of(mode, in_codebook=False)
            why = self._why_none(label, runner_up, needed, stands)
            if stands != "code":
                return _Match(outside(study, label, stands, second), False, runner_up, why, margin, stands)
            code = NearCode(code_id(study, label), label, 1.0)
        elif batch.origin(study, code.id) == decision.segment.id:  # a replay creates again what it created
            code, why = code._replace(similarity=1.0), self._why_none(label, runner_up, needed, "code")
        else:
            return _Match(code, False, runner_up, why, round(code.similarity - second, DIGITS))
        return _Match(code, True, runner_up, why, margin)

    def _match_allowed(
        self, decision: Decision, nearest: Sequence[NearCode], needed: Threshold, batch: BatchIndex
    ) -> _Match:
        """The nearest code that a deductive study allows, though it is under the threshold; else that none fits."""
        study, label, fit = decision.segment.study, decision.label, self._settings.fit
        allowed = self._allowed.nearest(decision, batch, self._refused)
        fits = allowed is not None and allowed.code.similarity >= fit
        stands = standing_of("deductive", in_codebook=fits)
        if allowed is None or not fits:
            runner_up = allowed.code if allowed else nearest[0] if nearest else None
            second = runner_up.similarity if runner_up else 0.0
            why = self._why_none(label, runner_up, Threshold(fit, "the least that fits"), stands)
            margin = round(needed.value - second, DIGITS)
            return _Match(outside(study, label, stands, second), False, runner_up, why, margin, stands)
        code = allowed.code
        runner_up = next((near for near in nearest if near.id != code.id), None)
        margin = round(code.similarity - (runner_up.similarity if runner_up else 0.0), DIGITS)
        why = f"took {code.label!r}, the nearest that the codebook allows: {allowed.by} at {code.similarity:.2f}"
        return _Match(code, False, runner_up, why, margin, stretched=True)

    def _by_classifier(self, decision: Decision, batch: BatchIndex) -> tuple[NearCode | None, str]:
        """The code that a classifier named, by its id: the classifier may not have heard of its newest label."""
        if decision.picked != CLASSIFIER or decision.classified is None:
            return None, ""
        guess = decision.classified.guesses[0]
        code = batch.get(*self._current(guess.code_id, guess.label))
        return code, f"reused {code.label!r}, which the classifier named" if code else ""

    def _current(self, code: UUID, label: str) -> tuple[UUID, str]:
        """What a code is by now, or itself where that is no one code, and how it is called."""
        current = self._codebook.current_code(code) or code
        return current, self._codebook.label(current) or label

    def _by_label(
        self, study: str, label: str, nearest: Sequence[NearCode], batch: BatchIndex
    ) -> tuple[NearCode | None, str]:
        """The code of this very label, or what people made of it, however far its vector is; and why."""
        folded = normalised_label(label)
        same = next((near for near in nearest if normalised_label(near.label) == folded), None)
        if same is not None:
            return same._replace(similarity=1.0), f"reused {same.label!r}, the same label"
        code = code_id(study, label)
        same = batch.get(code, self._codebook.label(code) or label)
        if same is not None:
            reason = "the same label" if normalised_label(same.label) == folded else f"as {label!r} is called now"
            return same, f"reused {same.label!r}, {reason}"
        successors = self._codebook.successors(code)
        if len(successors) == 1:  # people said that the two are the same
            successor = batch.get(*self._current(code, label))
        else:
            successor = next((near for near in nearest if near.id in successors), None)
        return successor, f"reused {successor.label!r}, which {label!r} became" if successor else ""

    def _refused(self, label: str, near: NearCode) -> bool:
        return self._settings.polarity_gate and opposite(label, near.label)

    def _why_none(self, label: str, runner_up: NearCode | None, needed: Threshold, stands: CodeStanding) -> str:
        """Why no code that stood was taken."""
        came_to = _CAME_TO[stands]
        if runner_up is None:
            return f"{came_to}: the study has no {'other code' if stands == 'code' else 'code in its codebook yet'}"
        named = f"{runner_up.label!r} at {runner_up.similarity:.2f}"
        if runner_up.similarity < needed.value:
            return f"{came_to}: nearest {named} is under {needed}"
        if self._refused(label, runner_up):
            return f"{came_to}: {named} says the opposite"
        return f"{came_to}: created by this segment before {named}"

    def _record(self, decision: Decision, match: _Match, signals: dict[str, float], now: datetime) -> Refined:
        segment, code = decision.segment, match.code
        assignment = Assignment(
            segment_id=segment.id,
            study=segment.study,
            code_id=code.id,
            label=code.label,
            proposed=decision.label,
            new=match.new,
            standing=match.standing,
            similarity=code.similarity,
            runner_up=neighbour(match.runner_up),
            why=match.why,
            verdict=decision.verdict,
            signals=signals,
            models={p.member: p.model for p in decision.proposals}
            | ({CLASSIFIER: decision.classified.model} if decision.classified else {})
            | {"moderator": decision.moderator, "embedder": self._embedder.version}
            | self._versions,
            assigned_at=now,
        )
        return Refined(assignment, self._event(assignment))

    def _event(self, assignment: Assignment) -> CodeEvent | None:
        """The event of the code that an assignment created, if it did; one that stands already as it stands."""
        if not assignment.new:
            return None
        event = created_event(assignment)
        return self._codebook.event(event.code_id, event.id) or event

    def _signals(self, decisions: Sequence[Decision], matches: Sequence[_Match]) -> list[dict[str, float]]:
        """What a confidence can be made from; a study without a second code has a runner-up at 0."""
        codes = [match.code.label for match in matches]
        texts = embedded_for(decisions, codes)
        vectors = dict(zip(texts, self._embedder.embed(texts), strict=True))
        reuse = [match.signals for match in matches]
        signals = [signals_of(*each, vectors) for each in zip(decisions, codes, reuse, strict=True)]
        return [each | self._guessed(d, m) for each, d, m in zip(signals, decisions, matches, strict=True)]

    def _guessed(self, decision: Decision, match: _Match) -> dict[str, float]:
        """What the study's classifier says of the code, its guesses taken for what their codes are by now."""
        if decision.classified is None:
            return {}
        guesses: dict[UUID, float] = {}
        for guess in decision.classified.guesses:
            code, _ = self._current(guess.code_id, guess.label)
            guesses[code] = max(guess.probability, guesses.get(code, 0.0))
        return classifier_signals(guesses, match.code.id, confident=decision.classified.sure, known=not match.new)
