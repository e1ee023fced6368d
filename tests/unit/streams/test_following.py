"""What people do to the codebook holds for the very next segment."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.codebook.codebook import Codebook
from models.errors import UnavailableError
from models.fakes import HandClock, HashEmbedder, MemoryCodeIndex
from models.refinement.refiner import Refiner
from models.refinement.reindexing import reconcile
from schemas import Assignment, CodeEvent
from schemas.ids import code_event_id, code_id
from streams.stage import Received
from streams.stages.refiner import RefinerStage
from streams.topology import ASSIGNMENTS, CODEBOOK, DECISIONS, role
from tests.unit.builders import decision

EMBEDDER = HashEmbedder()
CLOCK = HandClock()
LABELS = ["slow app", "great music", "too many ads", "login fails"]


def code(label):
    return code_id("reviews", label)


def event(kind, label, minute, *, of=None, into=(), author="ann", **other):
    about = code(of or label)
    return CodeEvent(
        id=code_event_id(about, kind, f"{author} {minute}"),
        code_id=about,
        study="reviews",
        kind=kind,
        label=label,
        author=author,
        at=CLOCK.now() + timedelta(minutes=minute),
        into=[code(one) for one in into],
        **other,
    )


class Follower:
    """A refiner's stage as a worker drives it: batches on one side, what it hears on the other."""

    def __init__(self, *history, index=None):
        self.index = index or MemoryCodeIndex()
        self.refiner = Refiner(self.index, EMBEDDER, CLOCK)
        self.stage = RefinerStage(self.refiner, CLOCK, self.load)
        self.count, self.events = 0, []
        self.hear(*history)
        self.stage.side_inputs_loaded()

    def load(self, history):
        reconcile(self.index, EMBEDDER, history)
        self.refiner.load_history(history)

    def hear(self, *events):
        self.events += events
        for one in events:  # one by one, as a listener hands them over
            self.stage.side_inputs()[CODEBOOK.name]([one.to_bytes()])

    def code(self, *labels):
        batch = []
        for label in labels:
            self.count += 1
            raw = decision(label, str(self.count)).to_bytes()
            batch.append(Received(DECISIONS.name, 0, self.count, b"reviews", raw))
        result = self.stage.step(batch)
        result.settle()
        sent = result.messages
        self.events += [CodeEvent.from_bytes(one.value) for one in sent if one.topic == CODEBOOK.name]
        return [Assignment.from_bytes(one.value) for one in sent if one.topic == ASSIGNMENTS.name]


def test_what_people_create_is_reused_by_the_next_segment():
    follower = Follower()
    (before,) = follower.code("slow app start")
    assert before.new
    follower.hear(event("created", "great music", 1))
    again, near = follower.code("great music", "great music indeed")
    assert (again.new, again.code_id) == (False, code("great music"))
    assert near.code_id == code("great music")
    assert again.why == "reused 'great music', the same label"


def test_a_label_that_people_renamed_brings_the_new_name_and_the_new_name_brings_the_code():
    follower = Follower(event("created", "slow app", 0))
    follower.hear(event("renamed", "performance", 1, of="slow app"))
    old, new = follower.code("slow app", "Performance")
    assert old.code_id == new.code_id == code("slow app")
    assert (old.label, old.new, old.similarity) == ("performance", False, 1)
    assert (new.label, new.new) == ("performance", False)
    assert old.why == "reused 'performance', as 'slow app' is called now"
    assert new.why == "reused 'performance', the same label"


def test_a_label_whose_code_people_merged_brings_the_code_that_it_became_over_every_step():
    follower = Follower(*(event("created", label, 0) for label in LABELS))
    follower.hear(event("merged", "slow app", 1, into=["great music"]))
    (moved,) = follower.code("slow app")
    assert (moved.code_id, moved.label, moved.new) == (code("great music"), "great music", False)
    assert moved.why == "reused 'great music', which 'slow app' became"
    follower.hear(event("merged", "great music", 2, into=["login fails"]), event("renamed", "x", 3, of="login fails"))
    both = follower.code("slow app", "great music")
    assert {(one.code_id, one.label, one.new) for one in both} == {(code("login fails"), "x", False)}


def test_a_label_whose_code_people_split_brings_the_nearest_part():
    follower = Follower(event("created", "slow app", 0))
    parts = ["slow app start", "login fails"]
    created = (event("created", label, 1) for label in parts)
    follower.hear(*created, event("split", "slow app", 2, into=parts))
    (one,) = follower.code("slow app")
    assert (one.label, one.new) == ("slow app start", False)
    assert one.why == "reused 'slow app start', which 'slow app' became"
    assert one.similarity < 1


def test_a_retired_code_does_not_come_back_by_itself_when_a_member_says_its_label_again():
    follower = Follower(event("created", "slow app", 0), event("created", "great music", 0))
    follower.hear(event("retired", "slow app", 1))
    (assignment,) = follower.code("slow app")
    assert (assignment.code_id, assignment.new) == (code("great music"), False)
    assert assignment.why == "took 'great music', the nearest: people retired 'slow app'"
    assert follower.index.origins().keys() == {code("great music")}


def test_a_retired_code_is_no_more_reused_until_it_is_restored():
    follower = Follower(event("created", "slow app", 0))
    follower.hear(event("retired", "slow app", 1))
    (near,) = follower.code("slow app start")
    assert (near.new, near.runner_up) == (True, None)
    follower.hear(event("restored", "slow app", 2))
    (back,) = follower.code("slow app")
    assert (back.new, back.code_id) == (False, code("slow app"))


def test_a_merge_that_is_taken_back_holds_no_more():
    follower = Follower(event("created", "slow app", 0), event("created", "great music", 0))
    merge = event("merged", "slow app", 1, into=["great music"])
    follower.hear(merge)
    assert follower.code("slow app")[0].code_id == code("great music")
    follower.hear(event("restored", "slow app", 2, undoes=merge.id))
    assert follower.code("slow app")[0].code_id == code("slow app")


def test_a_refiner_that_starts_after_a_merge_was_taken_back_knows_it():
    made = [event("created", "slow app", 0), event("created", "great music", 0)]
    merge = event("merged", "slow app", 1, into=["great music"])
    late = Follower(*made, merge, event("restored", "slow app", 2, undoes=merge.id))
    assert late.index.origins().keys() == {code("slow app"), code("great music")}
    assert late.code("slow app")[0].code_id == code("slow app")


def test_codes_merged_into_each_other_have_no_heir_and_one_is_created_again():
    follower = Follower(event("created", "slow app", 0), event("created", "great music", 0))
    follower.hear(
        event("merged", "slow app", 1, into=["great music"]), event("merged", "great music", 2, into=LABELS[:1])
    )
    assert follower.code("slow app")[0].new


def test_a_code_that_becomes_a_theme_is_not_given_any_more():
    follower = Follower(event("created", "slow app", 0))
    follower.hear(event("created", "slow app", 1, author="themes@1", level="theme"))
    follower.stage.step([])
    assert follower.index.origins() == {}


def test_what_it_knows_already_and_what_it_made_itself_costs_nothing():
    class Counting(MemoryCodeIndex):
        changes = 0

        def put(self, codes):
            self.changes += bool(codes)
            super().put(codes)

        def remove(self, ids):
            self.changes += bool(list(ids))
            super().remove(ids)

    history = [event("created", "slow app", 0), event("merged", "ads", 1, into=["slow app"])]
    follower = Follower(*history, index=Counting())
    follower.code("great music")
    before = follower.index.changes
    follower.hear(*follower.events)
    follower.code("great music")
    assert follower.index.changes == before


def test_what_another_refiner_created_is_left_as_that_one_put_it():
    follower = Follower()
    other = Refiner(follower.index, EMBEDDER, CLOCK)
    (made,) = other.refine([decision("slow app", "elsewhere")])
    follower.hear(made.event)
    (again,) = follower.code("slow app")
    assert (again.new, again.code_id) == (False, made.event.code_id)
    assert follower.index.origins() == {made.event.code_id: made.event.segment_id}


def test_while_the_index_is_away_nothing_that_was_heard_is_lost():
    class ComesAndGoes(MemoryCodeIndex):
        away = False

        def remove(self, ids):
            if self.away:
                raise UnavailableError("no answer")
            super().remove(ids)

    follower = Follower(event("created", "slow app", 0), event("created", "great music", 0), index=ComesAndGoes())
    follower.hear(event("merged", "slow app", 1, into=["great music"]))
    follower.index.away = True
    with pytest.raises(UnavailableError):
        follower.code("slow app")
    follower.index.away = False
    assert follower.code("slow app")[0].code_id == code("great music")


def test_a_codebook_that_cannot_be_loaded_is_loaded_whole_the_next_time():
    index, loaded = MemoryCodeIndex(), []
    refiner = Refiner(index, EMBEDDER, CLOCK)

    def load(history):
        loaded.append(list(history))
        if len(loaded) == 1:
            raise UnavailableError("no answer")

    stage = RefinerStage(refiner, CLOCK, load)
    first, second = event("created", "slow app", 0), event("created", "great music", 1)
    stage.side_inputs()[CODEBOOK.name]([first.to_bytes()])
    with pytest.raises(UnavailableError):
        stage.side_inputs_loaded()
    stage.side_inputs()[CODEBOOK.name]([second.to_bytes()])
    stage.side_inputs_loaded()
    assert loaded == [[first], [first, second]]
    assert index.origins().keys() == {code("slow app"), code("great music")}


def test_what_cannot_be_read_is_passed_over():
    follower = Follower(event("created", "slow app", 0))
    follower.stage.side_inputs()[CODEBOOK.name]([b"?", None])
    assert not follower.code("slow app")[0].new


def test_on_a_shared_index_what_people_ended_is_removed_and_what_is_not_known_stays():
    index = MemoryCodeIndex()
    Refiner(index, EMBEDDER, CLOCK).refine([decision("slow app", "1"), decision("great music", "2")])
    history = [event("created", "slow app", 0), event("retired", "slow app", 1)]
    assert reconcile(index, EMBEDDER, history, remove=False) == (0, 1)
    assert index.origins().keys() == {code("great music")}


@st.composite
def changes(draw):
    kinds = st.sampled_from(["created", "renamed", "merged", "retired", "restored", "undo"])
    steps = draw(st.lists(st.tuples(kinds, st.sampled_from(LABELS), st.sampled_from(LABELS)), max_size=12))
    made = [event("created", label, n) for n, label in enumerate(LABELS[: draw(st.integers(0, 4))])]
    for minute, (kind, label, other) in enumerate(steps, 10):
        mine = [one for one in made if one.code_id == code(label)]
        if kind == "undo":
            made += [event("restored", label, minute, undoes=one.id) for one in mine[-1:]]
            continue
        into = [other] if kind == "merged" else ()
        made.append(event(kind, f"{other} anew" if kind == "renamed" else label, minute, of=label, into=into))
    return made, draw(st.integers(0, len(made)))


@given(changes())
@settings(max_examples=100, deadline=None)
def test_a_refiner_that_heard_it_all_holds_what_one_that_starts_then_holds(case):
    made, start = case
    heard, fresh = Follower(*made[:start]), MemoryCodeIndex()
    heard.hear(*made[start:])
    heard.stage.step([])
    reconcile(fresh, EMBEDDER, made)
    assert heard.index.origins() == fresh.origins()
    for row in EMBEDDER.embed(LABELS):
        found = [
            {one.code_id: (one.label, round(one.similarity, 5)) for one in index.nearest("reviews", row, 8)}
            for index in (heard.index, fresh)
        ]
        assert found[0] == found[1]


@given(changes(), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_the_order_in_which_events_are_heard_does_not_matter(case, random):
    made, _ = case
    shuffled = random.sample(made, len(made))
    one, other = Codebook(), Codebook()
    one.add(made)
    for each in shuffled:
        other.add([each])
        assert other.add([each]) == []
    unheard = {code(label) for label in LABELS} - one.keys()
    for label in LABELS:
        assert one.successors(code(label)) == other.successors(code(label))
        assert one.label(code(label)) == other.label(code(label))
        assert one.successors(code(label)) <= {*unheard, *(each.id for each in one.values() if each.active)}


def test_the_stages_listen_to_what_the_topology_says():
    refiner = RefinerStage(Refiner(MemoryCodeIndex(), EMBEDDER, CLOCK), CLOCK)
    assert set(refiner.side_inputs()) == {heard.name for heard in role("refiner").side_inputs}
