"""From which similarity a code is used again: by study, by what people decided, and by how vague a label is."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np

from models.annotation.human_decision import HumanDecision, LatestAnnotations, Succession
from models.ports import Embedder, Embeddings
from models.text.polarity import opposite
from schemas import Annotation, Assignment, CodeEvent
from schemas.ids import code_event_id, normalised_label

LOWEST, HIGHEST = 0.5, 0.95  # what is learned stays between them
_TRUST = 0.03  # standard deviation of the threshold about the study's default, before anybody has judged
_DOUBT = 0.05  # cosine over which people go from "different" to "same"
_HALVINGS = 50  # of an interval of less than 1: behind them a float does not change
_DIGITS = 6  # a cosine differs behind them with the batch that a label was embedded in

_BY_LABEL, _BY_TEXT = 0.04, 0.01  # most that label and text move a threshold, either way
_CLEAR_LABEL, _CLEAR_TEXT = 3, 12  # words that say something, from which a label or text is as clear as it gets
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_EMPTY_WORDS = (
    # glue
    "a about all also am an and any are as at be been but by can do does for from get had has have how i if in into is "
    "it its just like me more my no not of on only or other our out so some than that the their them they this to too "
    "up very was we what when which who will with would you your "
    # said of anything
    "app application product service system tool thing things stuff way lot aspect use used using user users people "
    "good great nice bad poor best better amazing awesome excellent okay ok fine helpful useful love need needs "
    "improvement information issue issues problem problems experience quality feature features feedback opinion "
    "general overall work works working time "
    # hedges
    "maybe perhaps somewhat kind sort might could seems guess think probably possibly sure dunno"
)
_EMPTY = frozenset(_EMPTY_WORDS.split())


@dataclass(frozen=True)
class Threshold:
    """A cosine from which a code is reused, and where it comes from."""

    value: float
    origin: str

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.origin})"


@dataclass(frozen=True)
class Judgement:
    """Two codes of a study that people said to be the same, or not."""

    a: str
    b: str
    similarity: float
    same: bool
    author: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class Correction:
    """A segment's code that a person replaced by another one that stood."""

    given: UUID
    replacement: UUID
    same: bool
    author: str
    reason: str
    at: datetime


def learn(default: float, evidence: Iterable[Judgement]) -> float:
    """Find the threshold that is most probable after what people judged.

    People say "same" of two codes at cosine ``c`` with probability ``1 / (1 + exp(-(c - t) / 0.05))``, and ``t`` is
    normal about the default with deviation 0.03. The logarithm of the posterior is concave, and its slope

        (default - t) / 0.03² + (sum over different: s((c - t) / 0.05) - sum over same: s((t - c) / 0.05)) / 0.05

    with ``s`` the logistic function falls throughout, so its root is the one maximum. One judgement moves the
    threshold by less than 0.018; twenty at 0.18 over the default move it there. No allowed threshold could serve a
    "same" under 0.5 or a "different" from 0.95 on, so these count for nothing.

    Args:
        default: The study's threshold without evidence.
        evidence: Judgements in any order.

    Returns:
        From 0.5 to 0.95, or to the default where that lies outside; a "different" never lowers it, a "same" never
        raises it.

    Source:
        MacKay, "Information Theory, Inference, and Learning Algorithms", 2003, chapter 41 (the logistic model, MAP).
    """
    low, high = min(LOWEST, default), max(HIGHEST, default)
    used = [(judgement.similarity, judgement.same) for judgement in evidence]
    used = [(c, same) for c, same in used if (c >= low if same else c < high)]
    if not used:
        return default
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _slope(middle, default, used) > 0 else (low, middle)
    return round((low + high) / 2, _DIGITS)


def _slope(t: float, default: float, used: Sequence[tuple[float, bool]]) -> float:
    pulls = math.fsum(-_logistic((t - c) / _DOUBT) if same else _logistic((c - t) / _DOUBT) for c, same in used)
    return (default - t) / _TRUST**2 + pulls / _DOUBT


def _logistic(x: float) -> float:
    return 0.5 + 0.5 * math.tanh(x / 2)


def learned(default: Threshold, evidence: Sequence[Judgement]) -> Threshold:
    """The study's threshold with what was judged, and how many judgements that were."""
    if not evidence:
        return default
    number = f"{len(evidence)} judgement" + ("s" if len(evidence) > 1 else "")
    return Threshold(learn(default.value, evidence), f"learned from {number}")


def adapted(threshold: float, text: str, label: str) -> float:
    """Ask more of a vague label, which would be taken for anything, and less of one that says much.

    With ``n`` words that say something (no glue, no "good app", no hedge) the label adds ``0.04 * (1 - n / 1.5)``,
    from 0.04 at none to -0.04 at three; the text adds 0.01 at none to -0.01 at twelve in the same way.

    Measured on labels that tuned members gave to 1,234 texts of BANKING77, exam proctoring, scrum interviews and app
    reviews, two labels being the same where their texts share a code. At equal numbers of merges the share of right
    ones (mean of the four sets) went from 0.098 to 0.101 at threshold 0.7, from 0.132 to 0.136 at 0.75, from 0.143 to
    0.144 at 0.8; with the sign turned round it fell to 0.098, 0.127, 0.138. The text alone, its length and its
    hedges, gained nothing on eight sets when texts were compared, hence its small share. In the refiner at a fixed
    threshold, ROUGE-1 of the codes went from 0.323 to 0.336 at 0.7, from 0.347 to 0.345 at 0.75, from 0.349 to 0.351
    at 0.8, and no set gained throughout. So it is off unless a profile turns it on.

    Args:
        threshold: A cosine.
        text: The segment's.
        label: The moderator's.

    Returns:
        At most 0.05 away from the threshold, and never over 1 or under 0.
    """
    shift = _BY_LABEL * _vagueness(label, _CLEAR_LABEL) + _BY_TEXT * _vagueness(text, _CLEAR_TEXT)
    return max(0.0, min(1.0, round(threshold + shift, _DIGITS)))


def _vagueness(text: str, clear: int) -> float:
    """1 where nothing specific is said, -1 from ``clear`` words on."""
    specific = 0
    for match in _WORD.finditer(text.casefold()):
        specific += match[0] not in _EMPTY
        if specific == clear:
            break
    return 1 - 2 * specific / clear


def corrections(
    assignments: Iterable[Assignment], annotations: Iterable[Annotation], codebook: Succession
) -> list[Correction]:
    """What people's decisions say about the refiner: codes it should not have reused, or should have.

    A reused code that people replaced stands apart from the ones they chose; a new code that they replaced by its
    runner-up was none. Decisions that nobody is sure of say nothing; ``models.annotation.human_decision`` has the rule.

    Args:
        assignments: What the refiner gave.
        annotations: What people said, in any order.
        codebook: What codes are by now.
    """
    latest = LatestAnnotations(annotations)
    corrected = []
    for assignment in {assignment.segment_id: assignment for assignment in assignments}.values():
        decision = latest.decision(assignment.segment_id, codebook)
        if decision is not None and not decision.unsure:
            corrected += _corrected(assignment, decision, codebook)
    return corrected


def _corrected(assignment: Assignment, decision: HumanDecision, codebook: Succession) -> list[Correction]:
    given, new, last = assignment.code_id, assignment.new, decision.last
    if assignment.standing != "code" or (codebook.current_code(given) or given) in decision.codes:
        return []
    second = codebook.current_code(assignment.runner_up.code_id) if assignment.runner_up else None
    replacements = [code for code in decision.codes if not new or code == second]
    reason = "replaced a new code by one that stood" if new else "replaced a reused code by another"
    return [Correction(given, code, new, last.annotator, reason, last.decided_at) for code in replacements]


def judgements(
    events: Iterable[CodeEvent],
    corrected: Iterable[Correction],
    embedder: Embedder,
    default: Callable[[str], float],
    *,
    polarity_gate: bool = True,
) -> dict[str, list[Judgement]]:
    """Read out of a codebook's history which codes people hold to be the same, by study.

    Same: a merge, a split that was taken back. Different: a split (the code and each part, and the parts), a merge
    that was taken back; and, where their cosine reaches the default, a person's own new code beside the nearest that
    stood, and a code that a person put in place of a reused one. The last word on a pair counts. Pairs that the
    polarity gate keeps apart say nothing about a threshold.

    Args:
        events: The codebook's history, in any order.
        corrected: From ``corrections``.
        embedder: The refiner's; it embeds the labels, once, where there is anything to judge.
        default: A study's threshold without evidence.
        polarity_gate: Whether the refiner has the gate.
    """
    history = _History(events)
    pairs = [*history.merged_or_split(), *history.corrected(corrected)]
    if not pairs and not any(event.kind == "created" and not _by_refiner(event) for event in history.events):
        return {}
    vectors = dict(zip(history.labels, embedder.embed(list(history.labels.values())), strict=True))
    by_study: dict[str, dict[frozenset[str], Judgement]] = {}
    for pair in sorted([*pairs, *history.created_by_people(vectors)], key=lambda pair: pair.at):
        a, b = history.labels[pair.a], history.labels[pair.b]
        similarity = round(float(vectors[pair.a] @ vectors[pair.b]), _DIGITS)
        if normalised_label(a) == normalised_label(b) or (polarity_gate and opposite(a, b)):
            continue
        if not pair.explicit and not pair.same and similarity < default(pair.study):
            continue
        judgement = Judgement(a, b, similarity, pair.same, pair.author, pair.reason, pair.at)
        by_study.setdefault(pair.study, {})[frozenset((a, b))] = judgement
    return {study: list(by_pair.values()) for study, by_pair in by_study.items()}


@dataclass(frozen=True)
class _Pair:
    """Two codes, and what was said about them; ``explicit`` where it was said of the pair, and is not inferred."""

    study: str
    a: UUID
    b: UUID
    same: bool
    explicit: bool
    author: str
    reason: str
    at: datetime


class _History:
    """A codebook's history, themes left out, in the order of its time."""

    def __init__(self, events: Iterable[CodeEvent]) -> None:
        known = {event.id: event for event in events}
        themes = {event.code_id for event in known.values() if event.level == "theme"}
        ordered = sorted(known.values(), key=lambda event: (event.at, str(event.id)))
        self.events = [event for event in ordered if event.code_id not in themes]
        self.labels = {event.code_id: event.label for event in self.events}
        self._studies = {event.code_id: event.study for event in self.events}
        self._undone: dict[UUID, CodeEvent] = {}
        for event in reversed(self.events):  # the newest first, so that an undo that was undone takes nothing back
            if event.undoes is not None and event.id not in self._undone:
                self._undone.setdefault(event.undoes, event)

    def merged_or_split(self) -> Iterator[_Pair]:
        """What merges and splits say, and what it says that one was taken back."""
        for event in self.events:
            if event.kind not in ("merged", "split"):
                continue
            by = self._undone.get(event.id)
            same, last = (event.kind == "merged") == (by is None), by or event
            reason = {"merged": "merge", "split": "split"}[event.kind] + (" taken back" if by else "")
            codes = sorted({event.code_id, *event.into} & self.labels.keys())
            for n, a in enumerate(codes):
                for b in codes[n + 1 :]:
                    if event.kind == "split" or event.code_id in (a, b):
                        yield _Pair(event.study, a, b, same, True, last.author, reason, last.at)

    def corrected(self, corrected: Iterable[Correction]) -> Iterator[_Pair]:
        """What annotations say, of codes that the history knows."""
        for each in corrected:
            if each.given in self.labels and each.replacement in self.labels:
                study = self._studies[each.given]
                yield _Pair(study, each.given, each.replacement, each.same, False, each.author, each.reason, each.at)

    def created_by_people(self, vectors: Mapping[UUID, Embeddings]) -> Iterator[_Pair]:
        """New codes that no segment's refinement and no split led to, each beside the nearest that stood."""
        parts = {code for event in self.events if event.kind == "split" for code in event.into}
        live: dict[str, set[UUID]] = {}
        for event in self.events:
            stood, code = live.setdefault(event.study, set()), event.code_id
            own = event.kind == "created" and code not in parts and event.id not in self._undone
            if own and stood and code not in stood and not _by_refiner(event):
                among = sorted(stood)
                cosines = (np.stack([vectors[other] for other in among]) @ vectors[code]).round(_DIGITS)
                near = among[int(np.argmax(cosines))]
                yield _Pair(event.study, code, near, False, False, event.author, "code of their own", event.at)
            ended = event.kind in ("merged", "split", "retired") and code not in event.into
            if ended and event.id not in self._undone:
                stood.discard(code)
            elif event.kind in ("created", "restored"):
                stood.add(code)


def _by_refiner(event: CodeEvent) -> bool:
    """Whether the refiner made a code: the cause in the event's id is the segment."""
    return event.id == code_event_id(event.code_id, "created", str(event.segment_id))
