"""A moderator whose codes are judged: the best-judged stands, and how it was judged is told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from models.errors import UncodableError
from models.fakes import HandClock, HashEmbedder
from models.moderation.decision import Answer, ConsensusModerator
from models.moderation.memory import StudyMemory
from models.moderation.precedents import CodedText, PrecedentModerator, Precedents
from models.moderation.verified import Question, VerifiedModerator, VerifierSettings
from models.routing.confidence import prior
from schemas import CodeEvent, Proposals
from schemas.ids import code_event_id, code_id
from tests.unit.builders import proposal, proposals, segment

EMBEDDER = HashEmbedder()


@dataclass
class Judge:
    """Knows what each label is worth, and what it was asked."""

    worth: dict[str, float]
    version: str = "judge"
    asked: list[Question] = field(default_factory=list)

    def judge(self, questions: Sequence[Question]) -> list[list[float]]:
        self.asked += questions
        return [[self.worth.get(label, 0.1) for label in question.labels] for question in questions]


@dataclass
class Pen:
    """Writes the same for every segment."""

    text: str
    asked: list[Proposals] = field(default_factory=list)

    def write(self, batch: Sequence[Proposals]) -> list[Answer]:
        self.asked += batch
        return [Answer(self.text)] * len(batch)


def case(*labels: str, text: str = "it takes ages to open") -> Proposals:
    return proposals(*labels, text=text)


def moderator(judge: Judge, pen: Pen | None = None, **settings: float) -> VerifiedModerator:
    return VerifiedModerator(
        ConsensusModerator(EMBEDDER), judge, EMBEDDER, writer=pen, settings=VerifierSettings(**settings)
    )


def code_event(label: str, *, kind: str = "created", minute: int = 0, **more: str) -> CodeEvent:
    code = code_id("reviews", label)
    at = HandClock().now() + timedelta(minutes=minute)
    given = {"study": "reviews", "label": label, "author": "lea", "at": at, **more}
    return CodeEvent(id=code_event_id(code, kind, str(minute)), code_id=code, kind=kind, **given)


def test_the_code_that_is_judged_best_stands_and_is_told():
    judge = Judge({"slow app": 0.3, "slow to open": 0.9})
    (decision,) = moderator(judge).decide([case("slow app", "slow app", "slow to open")])
    assert (decision.label, decision.verdict, decision.picked) == ("slow to open", "picked", "c")
    assert decision.signals["verifier"] == 0.9
    assert decision.signals["verifier_lead"] == pytest.approx(0.6)
    assert "judged to stand at 0.90, the best of 2 codes" in decision.why


def test_each_code_is_judged_once_without_saying_who_said_it_and_the_decided_one_first():
    judge = Judge({})
    moderator(judge).decide([case("Slow app", "slow app", "ads")])
    (question,) = judge.asked
    assert [label.casefold() for label in question.labels] == ["slow app", "ads"]


def test_the_order_of_the_proposals_changes_nothing():
    worth = {"slow app": 0.5, "ads": 0.5, "hangs": 0.5}
    decided = {
        moderator(Judge(worth)).decide([case(*labels)])[0].label
        for labels in (["slow app", "ads", "hangs"], ["hangs", "slow app", "ads"], ["ads", "hangs", "slow app"])
    }
    assert len(decided) == 1


def test_a_code_that_is_judged_better_by_less_than_the_lead_does_not_take_the_place():
    judge = Judge({"slow app": 0.5, "ads": 0.55})
    (kept,) = moderator(judge, lead=0.1).decide([case("slow app", "slow app", "ads")])
    assert (kept.label, kept.verdict, kept.signals["verifier"]) == ("slow app", "consensus", 0.5)


@pytest.mark.parametrize(("share", "stands"), [(0.55, "slow app"), (0.65, "ads")])
def test_what_most_members_said_gives_way_only_to_a_code_that_is_judged_clearly_better(share, stands):
    judge = Judge({"slow app": 0.5, "ads": share})
    (decision,) = moderator(judge).decide([case("slow app", "slow app", "ads")])
    assert decision.label == stands
    (divided,) = moderator(judge).decide([case("slow app", "slow app", "ads", "music")])
    assert divided.label == "ads"


def test_the_writer_is_asked_only_where_all_codes_are_doubtful():
    pen = Pen("takes ages")
    judge = Judge({"slow app": 0.9, "takes ages": 0.8})
    sure, doubtful = case("slow app", text="a"), case("ads", text="b")
    decisions = moderator(judge, pen, doubt=0.5).decide([sure, doubtful])
    assert pen.asked == [doubtful]
    assert [decision.label for decision in decisions] == ["slow app", "takes ages"]
    assert decisions[1].verdict == "rewrote"
    assert decisions[1].signals["verifier"] == 0.8


def test_members_that_agree_are_judged_and_the_writer_asked_all_the_same():
    pen = Pen("takes ages")
    moderator(Judge({}), pen, doubt=0.5).decide([case("ads", "ads", "ads")])
    assert len(pen.asked) == 1


@pytest.mark.parametrize("written", ["", "one two three four five six", "ADS", "<<<"])
def test_what_the_writer_may_not_write_or_has_been_judged_changes_nothing(written):
    judge = Judge({"ads": 0.2})
    (decision,) = moderator(judge, Pen(written), doubt=0.5).decide([case("ads")])
    assert decision.label == "ads"
    assert sum(len(question.labels) for question in judge.asked) == 1


def test_what_people_coded_is_judged_but_not_replaced_by_a_proposal():
    precedents = Precedents(EMBEDDER)
    precedents.add_texts([CodedText("reviews", str(n), "it takes ages to open", ("long start",)) for n in range(9)])
    led = PrecedentModerator(ConsensusModerator(EMBEDDER), EMBEDDER, precedents)
    judge = Judge({"ads": 0.9, "long start": 0.4})
    (decision,) = VerifiedModerator(led, judge, EMBEDDER).decide([case("ads")])
    assert (decision.label, decision.verdict) == ("long start", "precedent")
    assert decision.signals["verifier"] == 0.4
    assert "precedent_similarity" in decision.signals


def test_a_judged_decision_is_no_fallback_and_its_signal_is_a_share():
    (decision,) = moderator(Judge({"ads": 1.0})).decide([case("ads")])
    assert 0 <= decision.signals["verifier"] <= 1
    assert prior(decision.signals) <= 1


def test_a_segment_without_a_usable_proposal_is_nobodys_to_decide():
    with pytest.raises(UncodableError):
        moderator(Judge({})).decide([Proposals(segment=segment("a"), proposals=[proposal("", fault="empty")])])


def test_a_study_remembers_what_was_decided_and_how_often():
    memory = StudyMemory(EMBEDDER)
    judged = VerifiedModerator(ConsensusModerator(EMBEDDER), Judge({}), EMBEDDER, memory=memory)
    judged.decide([case("slow app", text="a"), case("slow app", text="b"), case("ads", text="c")])
    recalled = memory.recall("reviews", "it is slow", ["slow app"])
    assert [(code.label, code.uses) for code in recalled.codes] == [("slow app", 2), ("ads", 1)]
    assert memory.recall("another study", "it is slow", ["slow app"]).codes == ()


def test_a_study_knows_the_codebooks_codes_with_definitions_and_what_people_gave():
    precedents = Precedents(EMBEDDER)
    precedents.add_texts([CodedText("reviews", key, f"text {key}", ("slow app",)) for key in "ab"])
    memory = StudyMemory(EMBEDDER, precedents)
    created = code_event("slow app", definition="everything that takes long")
    memory.update_codebook([created, code_event("gone"), code_event("gone", kind="retired", minute=1)])
    (code,) = memory.recall("reviews", "it is slow", ["slow app"]).codes
    assert (code.label, code.definition, code.uses) == ("slow app", "everything that takes long", 2)


def test_what_people_write_of_a_code_later_and_a_new_name_reach_the_memory_while_it_runs():
    memory = StudyMemory(EMBEDDER)
    memory.update_codebook([code_event("slow app")])
    memory.update_codebook([code_event("slow app", kind="defined", minute=1, definition="it takes long")])
    memory.update_codebook([code_event("slow app", kind="defined", minute=2, inclusion="people wait")])
    (code,) = memory.recall("reviews", "it is slow", ["slow app"]).codes
    assert (code.label, code.definition) == ("slow app", "it takes long; people wait")
    renamed = code_event("slow app", kind="renamed", minute=3).model_copy(update={"label": "long waits"})
    memory.update_codebook([renamed])
    (code,) = memory.recall("reviews", "it is slow", ["slow app"]).codes
    assert (code.label, code.definition) == ("long waits", "it takes long; people wait")


def test_a_study_recalls_the_texts_that_people_coded():
    precedents = Precedents(EMBEDDER)
    precedents.add_texts([CodedText("reviews", "1", "it takes ages", ("long start",))])
    (text,) = StudyMemory(EMBEDDER, precedents).recall("reviews", "it takes ages", ["ads"]).texts
    assert (text.text, text.codes) == ("it takes ages", ("long start",))
