"""A moderator whose codes are judged before they stand: the one that a verifier would most likely let stand is taken.

Writing a code is easier than knowing whether it is good, and a model that writes no better codes may still tell good
ones from bad ones. So the decided code and all that members proposed are judged, each by itself and without saying who
proposed it; where even the best is doubtful, a writer is asked for another, who sees all these and the study's memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from models.coding.labels import clean_label, label_fault
from models.moderation.classifier_vote import CLASSIFIER, with_guess
from models.moderation.decision import Answer, decide_from_answers
from models.moderation.memory import StudyMemory
from models.ports import Embedder, Moderator, load
from schemas import Decision, Proposals
from schemas.coding import rounded_signal, usable
from schemas.ids import normalised_label

_ANYTHING = -1.0  # cosine from which a judged label is believed: the verifier has judged it
_LONGEST_VERSION = 120  # schemas.CodeEvent.author


@dataclass(frozen=True)
class Question:
    """Codes for one text, each to be judged by itself."""

    text: str
    labels: tuple[str, ...]


class Verifier(Protocol):
    """Says how likely a researcher would let a code stand."""

    @property
    def version(self) -> str:
        """The model with its revision."""
        ...

    def judge(self, questions: Sequence[Question]) -> list[list[float]]:
        """Judge every label of every question.

        Returns:
            One list a question, one number a label, in order: 0 to 1.
        """
        ...


class Writer(Protocol):
    """Writes a code for a segment when it has seen what others proposed."""

    def write(self, batch: Sequence[Proposals]) -> list[Answer]:
        """One answer a segment, in order."""
        ...


@dataclass(frozen=True)
class VerifierSettings:
    """When what is judged counts."""

    lead: float = 0.0
    """How much better than the decided code another one must be judged to take its place."""
    agreed_lead: float = 0.1
    """The same where more than half of the members said the decided code.

    On 128 rated texts that may ship, where three of four members agreed and another code was judged better by less
    than 0.1, it stood in 6 of 10 and theirs in 9; by more, or where fewer agreed, the better judged stood more often.
    """
    doubt: float = 0.5
    """Where the best is judged below this, the writer is asked, if there is one."""


@dataclass
class _Case:
    """A segment, what was decided, and the judged codes."""

    proposals: Proposals
    decision: Decision
    labels: list[str]
    shares: list[float]

    @property
    def fixed(self) -> bool:
        """Whether people's own codes decided: then the code is judged, but not replaced by what a member proposed."""
        return self.decision.verdict == "precedent" or self.decision.picked == CLASSIFIER

    def best(self, settings: VerifierSettings) -> int:
        """The place of the code that stands: the decided one is the first."""
        if self.fixed:
            return 0
        lead = settings.agreed_lead if self._agreed else settings.lead
        best = max(range(len(self.labels)), key=lambda n: (self.shares[n], -n))
        return best if self.shares[best] > self.shares[0] + lead else 0

    @property
    def _agreed(self) -> bool:
        """Whether more than half of the members said what was decided."""
        said = [normalised_label(p.label) for p in usable(self.proposals.proposals)]
        return said.count(normalised_label(self.decision.label)) * 2 > len(self.proposals.proposals)


class VerifiedModerator:
    """Judges what a moderator decided beside what the members proposed, and lets the best stand."""

    def __init__(
        self,
        moderator: Moderator,
        verifier: Verifier,
        embedder: Embedder,
        *,
        writer: Writer | None = None,
        memory: StudyMemory | None = None,
        settings: VerifierSettings | None = None,
    ) -> None:
        """Stand behind a moderator.

        Args:
            moderator: Decides first.
            verifier: Judges.
            embedder: For the agreement with what was chosen.
            writer: Asked where all codes are doubtful.
            memory: Told what is decided, for the writer to know of.
            settings: When.
        """
        self._moderator, self.verifier, self._embedder = moderator, verifier, embedder
        self._writer, self._memory = writer, memory
        self._settings = settings or VerifierSettings()

    @property
    def version(self) -> str:
        """The moderator's and the verifier's."""
        return f"{self._moderator.version}, judged by {self.verifier.version}"[:_LONGEST_VERSION]

    def load(self) -> None:
        """Load all weights now."""
        for part in (self._moderator, self.verifier, self._writer):
            load(part)

    def decide(self, batch: Sequence[Proposals]) -> list[Decision]:
        """Decide each segment, in order.

        Raises:
            UncodableError: If no proposal of a segment can be used.
            UnavailableError: As the moderator does.
        """
        decisions = self._moderator.decide(batch)
        labels = [_candidates(p, d.label) for p, d in zip(batch, decisions, strict=True)]
        questions = [Question(p.segment.text, tuple(each)) for p, each in zip(batch, labels, strict=True)]
        judged = self.verifier.judge(questions)
        cases = [_Case(*parts) for parts in zip(batch, decisions, labels, judged, strict=True)]
        self._ask_writer([case for case in cases if case.shares[case.best(self._settings)] < self._settings.doubt])
        settled = self._settle(cases)
        if self._memory is not None:
            self._memory.note(settled)
        return settled

    def _ask_writer(self, doubtful: Sequence[_Case]) -> None:
        """Put what the writer writes beside the codes of the doubtful cases, where it is another one."""
        if self._writer is None or not doubtful:
            return
        written = [clean_label(answer.text) for answer in self._writer.write([case.proposals for case in doubtful])]
        fresh = [
            (case, label)
            for case, label in zip(doubtful, written, strict=True)
            if label_fault(label) is None and normalised_label(label) not in map(normalised_label, case.labels)
        ]
        judged = self.verifier.judge([Question(case.proposals.segment.text, (label,)) for case, label in fresh])
        for (case, label), (share,) in zip(fresh, judged, strict=True):
            case.labels.append(label)
            case.shares.append(share)

    def _settle(self, cases: Sequence[_Case]) -> list[Decision]:
        places = [case.best(self._settings) for case in cases]
        changed = [(case, place) for case, place in zip(cases, places, strict=True) if place]
        replaced = iter(
            decide_from_answers(
                [Answer(case.labels[place]) for case, place in changed],
                [case.proposals for case, _ in changed],
                self._embedder,
                moderator=self.version,
                limit=_ANYTHING,
            )
        )
        return [
            _judged(next(replaced) if place else case.decision, case, place)
            for case, place in zip(cases, places, strict=True)
        ]


def _candidates(proposals: Proposals, decided: str) -> list[str]:
    """The decided label, then the other usable ones in an order that does not tell who said them."""
    labels = {normalised_label(p.label): p.label for p in usable(with_guess(proposals).proposals)}
    labels.pop(normalised_label(decided), None)
    return [decided, *(labels[key] for key in sorted(labels))]


def _judged(decision: Decision, case: _Case, place: int) -> Decision:
    share = case.shares[place]
    others = [value for n, value in enumerate(case.shares) if n != place]
    signals = {"verifier": rounded_signal(share)}
    if others:
        signals["verifier_lead"] = rounded_signal(share - max(others))
    of = f", the best of {len(case.labels)} codes" if share >= max(case.shares) and others else ""
    why = f"{decision.why}; judged to stand at {share:.2f}{of}"
    return decision.model_copy(update={"why": why, "signals": case.decision.signals | decision.signals | signals})
