"""What each role makes of a batch: messages to send, messages to acknowledge, dead letters for what cannot be read."""

from itertools import count
from uuid import UUID

import pytest

from models.classifier.predictions import Classifiers, OutOfFoldPredictions, StudyClassifier
from models.classifier.registry import ReleaseRegistry
from models.errors import InputError, UnavailableError, WorkerFault
from models.fakes import FakeClassifier, FakeCoder, HandClock, HashEmbedder, MemoryCodeIndex
from models.moderation.decision import ConsensusModerator
from models.moderation.proposal_join import JoinSettings, ProposalJoin
from models.refinement.refiner import Refiner
from models.routing.router import Router
from schemas import AnnotationRequest, Assignment, CodeEvent, DeadLetter, Decision, Proposals, StudyRules
from schemas.ids import code_id
from streams.stage import Received, readable
from streams.stages.coders import CodersStage
from streams.stages.moderator import ModeratorStage
from streams.stages.recorder import RecorderStage
from streams.stages.refiner import RefinerStage
from streams.stages.router import RouterStage
from streams.topology import (
    ASSIGNMENTS,
    CODEBOOK,
    DEAD_LETTERS,
    DECISIONS,
    FEEDBACK,
    LABELS,
    PROPOSALS,
    RELEASES,
    REQUESTS,
    STUDIES,
    role,
)
from tests.unit.builders import decision, judgements, proposal, release, rules, segment

CLOCK = HandClock()
EMBEDDER = HashEmbedder()
UNREADABLE = [
    (b"\xff\xfe", "not UTF-8: byte 0 is 0xff"),
    (b'{"id": "6c5f', "Invalid JSON"),
    (b"[]", "not a "),
    (b'{"schema_version": 2}', "schema_version is 2"),
]


def received(value, offset=0, topic=FEEDBACK, partition=0, key=b"k"):
    raw = value if value is None or isinstance(value, bytes) else value.to_bytes()
    return Received(topic.name, partition, offset, key, raw)


def sent(result, topic, record):
    return [record.from_bytes(message.value) for message in result.messages if message.topic == topic.name]


def letters(result):
    return sent(result, DEAD_LETTERS, DeadLetter)


def coders(**how):
    return CodersStage(FakeCoder(**how), 100, CLOCK)


# coders


def test_a_segment_becomes_one_message_with_all_proposals_under_its_own_id():
    one = segment("login is slow")
    result = coders().step([received(one)])
    (message,) = result.send
    assert (message.topic, message.key) == (PROPOSALS.name, str(one.id).encode())
    said = Proposals.from_bytes(message.value)
    assert said.segment == one
    assert [p.member for p in said.proposals] == ["a", "b", "c"]


@pytest.mark.parametrize(("raw", "reason"), UNREADABLE)
def test_what_cannot_be_read_is_kept_whole_and_its_neighbours_are_coded(raw, reason):
    batch = [received(segment("good one"), 4), received(raw, 5, partition=3), received(segment("good two"), 6)]
    result = coders().step(batch)
    (letter,) = letters(result)
    assert reason in letter.reason
    assert "\n" not in letter.reason
    assert (letter.topic, letter.partition, letter.offset, letter.key, letter.raw) == ("feedback", 3, 5, b"k", raw)
    assert (letter.role, letter.at) == ("coders", CLOCK.now())
    assert [p.segment.text for p in sent(result, PROPOSALS, Proposals)] == ["good one", "good two"]
    assert result.done == batch


def test_a_deletion_is_done_with_and_no_dead_letter_and_its_neighbours_are_coded():
    batch = [received(segment("good one")), received(None, 1), received(segment("good two"), 2)]
    result = coders().step(batch)
    assert letters(result) == []
    assert [p.segment.text for p in sent(result, PROPOSALS, Proposals)] == ["good one", "good two"]
    assert result.done == batch


def test_the_same_unreadable_message_read_twice_is_the_same_dead_letter():
    first, again = (letters(coders().step([received(b"?", 7)]))[0].id for _ in range(2))
    assert first == again
    assert letters(coders().step([received(b"?", 8)]))[0].id != first


def test_a_dead_letter_names_the_segment_where_message_or_key_tells_it():
    one = segment("   ", "blank")
    by_message = letters(coders().step([received(one)]))[0]
    assert (by_message.segment_id, by_message.study) == (one.id, one.study)
    by_key = letters(coders().step([received(b"?", key=str(one.id).encode())]))[0]
    assert (by_key.segment_id, by_key.study) == (one.id, None)
    assert letters(coders().step([received(b"?", key=None)]))[0].segment_id is None


def test_a_broken_model_stops_the_stage_and_nothing_is_set_aside():
    with pytest.raises(WorkerFault, match="every one of 8 segments failed in the model: RuntimeError"):
        coders(fail_on="text").step([received(segment(f"text {n}"), n) for n in range(8)])


def classifying():
    """A stage whose classifiers are named by their versions: each knows one label, by the word that it is."""

    def load(one):
        word = one.version
        return StudyClassifier(FakeClassifier({code_id("reviews", word): word}, word), [word])

    return CodersStage(FakeCoder(), 100, CLOCK, Classifiers(ReleaseRegistry(load)))


def test_coders_hear_releases_and_the_next_batch_is_read_by_the_new_classifier_and_nothing_twice():
    stage = classifying()
    assert set(stage.side_inputs()) == {heard.name for heard in role("coders").side_inputs}
    hear = stage.side_inputs()[RELEASES.name]

    def read(text, offset):
        (said,) = sent(stage.step([received(segment(text), offset)]), PROPOSALS, Proposals)
        return said.classified and said.classified.model

    assert read("one", 0) is None
    hear([b"?", None, release("slow", 1).to_bytes()])
    assert read("two", 1) == "slow"
    hear([release("ads", 2).to_bytes(), release("refused", 3, outcome="refused").to_bytes()])
    assert read("three", 2) == "ads"
    hear([release("slow", 4).to_bytes()])  # somebody went back
    assert read("four", 3) == "slow"


def test_coders_without_classifiers_hear_nothing():
    assert coders().side_inputs() == {}


# moderator


def apart(quorum=2, moderator=None, clock=None):
    clock = clock or HandClock()
    join = ProposalJoin(JoinSettings(("a", "b", "c"), quorum, 30, 300), clock)
    return ModeratorStage(moderator or ConsensusModerator(EMBEDDER), join, clock)


def said(*members, text="login is slow", label="slow login"):
    return Proposals(segment=segment(text), proposals=[proposal(label, m) for m in members])


def proposals_message(record, offset, partition=0):
    return received(record, offset, PROPOSALS, partition)


def test_a_decision_is_sent_under_its_study_so_that_one_refiner_owns_it():
    result = apart().step([proposals_message(said("a", "b", "c"), 0)])
    (message,) = result.send
    assert (message.topic, message.key) == (DECISIONS.name, b"reviews")
    assert Decision.from_bytes(message.value).label == "slow login"


def test_what_is_not_complete_is_held_and_not_acknowledged():
    stage = apart()
    first, second = proposals_message(said("a"), 0), proposals_message(said("b", "c"), 0, partition=1)
    result = stage.step([first])
    assert (result.send, result.done) == ([], [])
    result = stage.step([second])
    assert result.done == [first, second]
    assert len(sent(result, DECISIONS, Decision)[0].proposals) == 3


def test_an_unreadable_neighbour_is_finished_while_others_are_held():
    bad = proposals_message(b"?", 1)
    result = apart().step([proposals_message(said("a"), 0), bad])
    assert result.done == [bad]
    assert len(letters(result)) == 1


def test_a_quorum_is_decided_once_the_deadline_has_passed():
    clock = HandClock()
    stage = apart(clock=clock)
    message = proposals_message(said("a", "b"), 0)
    stage.step([message])
    assert stage.tick().done == []
    clock.advance(30)
    result = stage.tick()
    assert result.done == [message]
    assert len(sent(result, DECISIONS, Decision)[0].proposals) == 2


def test_a_segment_without_a_quorum_becomes_a_dead_letter_that_names_who_is_missing():
    clock = HandClock()
    stage = apart(clock=clock)
    message = proposals_message(said("b"), 0)
    stage.step([message])
    clock.advance(300)
    result = stage.tick()
    (letter,) = letters(result)
    assert letter.reason == "only 1 of 3 members answered within 300 s (quorum 2); missing: a, c"
    assert letter.segment_id == segment("login is slow").id
    assert result.done == [message]


def test_a_segment_without_a_usable_label_becomes_a_dead_letter():
    hopeless = Proposals(segment=segment("x"), proposals=[proposal("", m, fault="empty") for m in "abc"])
    result = apart().step([proposals_message(hopeless, 0), proposals_message(said("a", "b", "c"), 1)])
    assert [letter.segment_id for letter in letters(result)] == [hopeless.segment.id]
    assert len(sent(result, DECISIONS, Decision)) == 1
    assert len(result.done) == 2


class ComesAndGoes(ConsensusModerator):
    """A moderator behind a server that is away at first."""

    def decide(self, batch):
        if not hasattr(self, "asked"):
            object.__setattr__(self, "asked", True)
            raise UnavailableError("no answer")
        return super().decide(batch)


def test_a_moderator_that_is_away_costs_no_segment_whose_members_answer_apart():
    stage = apart(moderator=ComesAndGoes(EMBEDDER))
    first, second = proposals_message(said("a"), 0), proposals_message(said("b", "c"), 1)
    stage.step([first])
    with pytest.raises(UnavailableError):
        stage.step([second])
    result = stage.step([second])  # as the runner does
    assert result.done == [first, second]
    assert len(sent(result, DECISIONS, Decision)[0].proposals) == 3


def test_a_moderator_that_is_away_at_the_deadline_costs_no_segment():
    clock = HandClock()
    stage = apart(moderator=ComesAndGoes(EMBEDDER), clock=clock)
    held = [proposals_message(said("a", "b", text="one"), 0), proposals_message(said("a", text="two"), 1)]
    stage.step(held)
    clock.advance(300)
    with pytest.raises(UnavailableError):
        stage.tick()
    result = stage.tick()
    assert result.done == held
    assert (len(sent(result, DECISIONS, Decision)), len(letters(result))) == (1, 1)


def test_what_is_held_from_a_revoked_partition_is_left_to_its_new_reader():
    clock = HandClock()
    stage = apart(clock=clock)
    stage.step([proposals_message(said("a", "b", text="one"), 0), proposals_message(said("a", "b", text="two"), 0, 1)])
    stage.revoked({(PROPOSALS.name, 0)})
    clock.advance(30)
    assert [d.segment.text for d in sent(stage.tick(), DECISIONS, Decision)] == ["two"]


# refiner


def settled(stage, batch):
    """A step of which the stage keeps what it is to keep, as the runner has it."""
    result = stage.step(batch)
    result.settle()
    return result


def refiner():
    return RefinerStage(Refiner(MemoryCodeIndex(), EMBEDDER, CLOCK), CLOCK)


def test_the_second_segment_reuses_the_code_that_the_first_created_and_its_event_goes_out_first():
    batch = [received(decision("slow login", str(n)), n, DECISIONS) for n in range(2)]
    result = refiner().step(batch)
    assert [message.topic for message in result.messages] == [CODEBOOK.name, ASSIGNMENTS.name, ASSIGNMENTS.name]
    (event,) = sent(result, CODEBOOK, CodeEvent)
    first, second = sent(result, ASSIGNMENTS, Assignment)
    assert (first.new, second.new) == (True, False)
    assert event.code_id == first.code_id == second.code_id
    assert result.messages[0].key == str(event.code_id).encode()
    assert result.done == batch


def test_a_batch_that_is_refined_again_creates_nothing_new():
    stage, batch = refiner(), [received(decision("slow login", "1"), 0, DECISIONS)]
    first, again = settled(stage, batch), settled(stage, batch)
    ids = [[a.code_id for a in sent(result, ASSIGNMENTS, Assignment)] for result in (first, again)]
    assert ids[0] == ids[1]
    assert {e.id for e in sent(again, CODEBOOK, CodeEvent)} <= {e.id for e in sent(first, CODEBOOK, CodeEvent)}


# router


def assignments(*labels):
    batch = [received(decision(label, str(n)), n, DECISIONS) for n, label in enumerate(labels)]
    return sent(refiner().step(batch), ASSIGNMENTS, Assignment)


def test_an_assignment_is_routed_and_the_doubtful_one_is_asked_about():
    stage = RouterStage(Router(lambda study: rules(study, threshold=1.0)), CLOCK)
    result = stage.step([received(a, n, ASSIGNMENTS) for n, a in enumerate(assignments("slow login", "late reply"))])
    routed = sent(result, ASSIGNMENTS, Assignment)
    assert len(routed) == 2
    assert all(a.route and a.confidence is not None for a in routed)
    asked = [message for message in result.messages if message.topic == REQUESTS.name]
    assert len(asked) == sum(a.route == "people" for a in routed) > 0


def test_the_router_passes_over_what_it_wrote_itself():
    stage = RouterStage(Router(), CLOCK)
    (routed,) = sent(stage.step([received(assignments("slow login")[0], 0, ASSIGNMENTS)]), ASSIGNMENTS, Assignment)
    own = [received(routed, 1, ASSIGNMENTS)]
    assert stage.step(own).send == []
    assert stage.step(own).done == own


def test_the_router_hears_labels_rules_and_releases_and_all_hold_for_the_next_batch():
    told = []
    serving = ReleaseRegistry(lambda one: told.append(one.version) or OutOfFoldPredictions({}, {}))
    stage = RouterStage(Router(lambda study: rules(study, mode="promise", audit_share=0), serving), CLOCK)
    assert set(stage.side_inputs()) == {heard.name for heard in role("router").side_inputs}
    numbers = count()
    sure = assignments("slow login")[0].model_copy(update={"signals": {"agreement": 0.95}})

    def route():
        another = received(sure.model_copy(update={"segment_id": UUID(int=next(numbers))}), 0, ASSIGNMENTS)
        return sent(stage.step([another]), ASSIGNMENTS, Assignment)[0].route

    assert route() == "people"
    stage.side_inputs()[LABELS.name]([b"?", None, *(one.to_bytes() for one in judgements(600))])
    assert route() == "accepted"
    stage.side_inputs()[RELEASES.name]([b"?", release("v1").to_bytes()])
    assert (route(), told) == ("accepted", ["v1"])
    stage.side_inputs()[STUDIES.name]([rules(minute=1, threshold=1.0).to_bytes()])
    assert route() == "people"


def test_the_refiner_hears_rules_and_a_deductive_study_opens_no_code_from_the_next_batch_on():
    stage = RefinerStage(Refiner(MemoryCodeIndex(), EMBEDDER, CLOCK), CLOCK)
    assert set(stage.side_inputs()) == {heard.name for heard in role("refiner").side_inputs}
    opened = stage.step([received(decision("slow login", "1"), 0, DECISIONS)])
    assert len(sent(opened, CODEBOOK, CodeEvent)) == 1
    opened.settle()
    stage.side_inputs()[STUDIES.name]([b"?", rules(minute=1, coding_mode="deductive").to_bytes()])
    closed = stage.step(
        [received(decision(label, label), n, DECISIONS) for n, label in enumerate(["ads", "slow login"])]
    )
    assert sent(closed, CODEBOOK, CodeEvent) == []
    assert [each.standing for each in sent(closed, ASSIGNMENTS, Assignment)] == ["none", "code"]
    (asked,) = sent(
        RouterStage(Router(lambda study: rules(study, threshold=0, audit_share=0)), CLOCK).step(
            [received(each, 0, ASSIGNMENTS) for each in sent(closed, ASSIGNMENTS, Assignment)]
        ),
        REQUESTS,
        AnnotationRequest,
    )
    assert asked.reason == "not in the codebook"


# recorder


def test_the_recorder_stores_what_it_can_read_of_every_topic():
    stored = []
    stage = RecorderStage(stored.extend, CLOCK)
    batch = [received(segment("one")), received(assignments("slow login")[0], 0, ASSIGNMENTS)]
    result = stage.step(batch)
    assert [type(record).__name__ for record in stored] == ["Segment", "Assignment"]
    assert (result.send, result.done) == ([], batch)


def test_the_recorder_sets_aside_only_what_nobody_else_reads():
    stage = RecorderStage(lambda records: None, CLOCK)
    result = stage.step([received(b"?"), received(b"?", 0, DEAD_LETTERS), received(b"?", 0, STUDIES)])
    (letter,) = letters(result)
    assert (letter.topic, letter.role) == (STUDIES.name, "recorder")
    assert letter.reason.startswith(f"not a {StudyRules.__name__}")


def test_a_record_that_the_database_cannot_hold_is_set_aside_and_the_others_are_kept():
    stored = []

    def record(records):
        if any(getattr(each, "text", "") == "bad" for each in records):
            raise InputError("the database cannot hold a value: integer out of range")
        stored.extend(records)

    batch = [received(segment(text)) for text in ("one", "bad", "two", "three")]
    result = RecorderStage(record, CLOCK).step(batch)
    assert [each.text for each in stored] == ["one", "two", "three"]
    (letter,) = letters(result)
    assert letter.reason == "the database cannot hold a value: integer out of range"
    assert result.done == batch


def test_a_dead_letter_that_the_database_cannot_hold_is_told_in_the_log_and_brings_no_other(caplog):
    def record(records):
        raise InputError("the database cannot hold a value")

    letter = letters(RecorderStage(lambda records: None, CLOCK).step([received(b"?", 0, STUDIES)]))[0]
    result = RecorderStage(record, CLOCK).step([received(letter, 0, DEAD_LETTERS)])
    assert result.send == []
    assert "a dead letter at offset" in caplog.text


def test_anything_else_that_goes_wrong_in_recording_is_no_record_s_fault():
    def record(records):
        raise KeyError("no such table")

    with pytest.raises(WorkerFault, match="a batch cannot be recorded: KeyError"):
        RecorderStage(record, CLOCK).step([received(segment("one"))])


def test_reading_a_history_passes_over_what_was_set_aside():
    one = segment("one")
    assert readable([one.to_bytes(), b"?", None], type(one)) == [one]
