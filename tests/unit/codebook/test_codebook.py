"""What a code is by now: one rule, whatever the order in which the codebook's events come."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.codebook.codebook import Codebook, CodeState
from models.codebook.themes import theme_id
from schemas import CodeEvent
from schemas.ids import code_event_id, code_id

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
STUDY = "app"
CODES, THEMES = ["a", "b", "c", "d"], ["*t", "*u"]


def code(label: str) -> UUID:
    return theme_id(STUDY, label[1:]) if label[0] == "*" else code_id(STUDY, label)


def event(kind: str, label: str, minute: float, /, *into: str, **more: object) -> CodeEvent:
    given = {"id": code_event_id(code(label), kind, str(minute)), "code_id": code(label), "study": STUDY}
    given |= {"kind": kind, "label": label, "author": "ana", "at": AT + timedelta(minutes=minute)}
    given |= {"into": [code(part) for part in into], "level": "theme" if label[0] == "*" else "code"}
    return CodeEvent.model_validate({**given, **more})


def created(*labels: str) -> list[CodeEvent]:
    return [event("created", label, 0) for label in labels]


def book(*events: CodeEvent) -> Codebook:
    return Codebook([*created(*CODES, *THEMES), *events])


def names(codes: set[UUID]) -> set[str]:
    return {label for label in [*CODES, *THEMES, "unheard"] if code(label) in codes}


def now(codebook: Codebook) -> dict[str, str | None]:
    labels = {code(label): label for label in CODES}
    current = {label: codebook.current_code(code(label)) for label in CODES}
    return {label: None if it is None else labels[it] for label, it in current.items()}


# Merges, splits, endings and what takes them back


def test_a_code_is_the_one_that_it_was_merged_into_over_any_number_of_merges():
    chain = book(event("merged", "a", 1, "b"), event("merged", "b", 2, "c"), event("merged", "c", 3, "d"))
    assert now(chain) == {"a": "d", "b": "d", "c": "d", "d": "d"}
    assert chain.successors(code("d")) == set()


def test_a_code_that_was_split_has_several_successors_and_is_none_of_them():
    split = book(event("split", "a", 1, "b", "c"))
    assert split.current_code(code("a")) is None
    assert names(split.successors(code("a"))) == {"b", "c"}
    split.add([event("merged", "b", 2, "c")])  # its parts are one by now
    assert split.current_code(code("a")) == code("c")


def test_a_code_that_stays_among_its_own_parts_has_not_ended():
    split = book(event("split", "a", 1, "a", "b"))
    assert split.is_active(code("a"))
    assert split.current_code(code("a")) == code("a")


def test_a_retired_code_is_nothing_until_it_is_restored():
    retired = book(event("retired", "a", 1))
    assert (retired.is_active(code("a")), retired.current_code(code("a"))) == (False, None)
    retired.add([event("restored", "a", 2)])
    assert (retired.is_active(code("a")), retired.current_code(code("a"))) == (True, code("a"))


def test_a_merge_that_is_taken_back_is_no_more_and_an_undo_that_is_taken_back_neither():
    merge = event("merged", "a", 1, "b")
    undo = event("restored", "a", 2, undoes=merge.id)
    assert book(merge, undo).current_code(code("a")) == code("a")
    again = event("merged", "a", 3, undoes=undo.id)
    assert book(merge, undo, again).current_code(code("a")) == code("b")


def test_a_code_whose_creation_is_taken_back_has_ended_without_a_successor():
    made = event("created", "e", 1)
    gone = book(made, event("retired", "e", 2, undoes=made.id))
    assert not gone.is_active(code("e"))
    assert gone[code("e")].ending is None


def test_codes_merged_into_each_other_are_none():
    circle = book(event("merged", "a", 1, "b"), event("merged", "b", 2, "c"), event("merged", "c", 3, "a"))
    assert now(circle) == {"a": None, "b": None, "c": None, "d": "d"}


def test_a_theme_is_no_code_and_is_followed_among_themes():
    themes = book(event("merged", "*t", 1, "*u"), event("merged", "a", 1, "*u"))
    assert themes.current_theme(code("*t")) == code("*u")
    assert themes.current_code(code("*t")) is None
    assert themes.current_code(code("a")) is None
    assert themes.current_theme(code("b")) is None
    assert not themes[code("*u")].assignable


def test_what_nobody_has_heard_of_yet_counts_as_active():
    early = book(event("merged", "a", 1, "unheard"))
    assert early.is_active(code("unheard"))
    assert early.current_code(code("unheard")) == early.current_code(code("a")) == code("unheard")
    early.add([event("created", "unheard", 0), event("retired", "unheard", 2)])
    assert early.current_code(code("a")) is None


# Looking up


def test_a_code_is_found_by_its_newest_label_in_any_spelling_within_its_study():
    renamed = book(event("renamed", "a", 1, label="Slow app"), event("retired", "b", 1))
    assert renamed.label(code("a")) == "Slow app"
    assert renamed.named("slow  APP!", STUDY) == renamed[code("a")]
    assert renamed.named("a", STUDY) is None
    assert renamed.named("b", STUDY) is None
    assert renamed.named("slow app", "shop") is None
    assert renamed.named("*t", STUDY, "theme") == renamed[code("*t")]
    assert renamed.label(code("unheard")) is None


def test_it_holds_every_code_and_theme_by_its_id():
    assert {state.label for state in book().values()} == {*CODES, *THEMES}
    assert len(book()) == len(CODES) + len(THEMES)
    with pytest.raises(KeyError):
        book()[code("unheard")]


def test_adding_says_which_codes_came_went_or_changed_their_label():
    grown = Codebook()
    assert [state.label for state in grown.add(created("a", "b"))] == ["a", "b"]
    assert grown.add(created("a")) == []
    assert grown.add([event("defined", "a", 1, definition="all that is slow")]) == []
    (changed,) = grown.add([event("renamed", "a", 2, label="A!"), event("moved", "b", 2, parent_id=code("*t"))])
    assert (changed.label, changed.definition) == ("A!", "all that is slow")
    assert [state.active for state in grown.add([event("merged", "b", 3, "a")])] == [False]


def test_a_copy_stays_as_it_is_when_the_first_one_grows():
    first = book()
    copied = first.copy()
    first.add([event("merged", "a", 1, "b")])
    assert copied.current_code(code("a")) == code("a")
    assert copied.add([event("retired", "a", 1)])
    assert first.current_code(code("a")) == code("b")


# The rule as it was before there was the class


def _old_heirs(code_, into, counts):
    found, seen, left = set(), {code_}, [code_]
    while left:
        for each in into(left.pop()):
            if counts(each):
                found.add(each)
            elif each not in seen:
                seen.add(each)
                left.append(each)
    return found


def _old_final(code_, into, lives):
    if lives(code_):
        return code_
    found = _old_heirs(code_, into, lives)
    return next(iter(found)) if len(found) == 1 else None


class Old:
    """A whole history added up at once, asked with a pair of functions as each place did that asked."""

    def __init__(self, events: list[CodeEvent]) -> None:
        histories: dict[UUID, list[CodeEvent]] = {}
        for each in events:
            histories.setdefault(each.code_id, []).append(each)
        self.states = {about: CodeState.replay(history) for about, history in histories.items()}

    def into(self, about: UUID) -> tuple[UUID, ...]:
        return self.states[about].into if about in self.states else ()

    def refiner_counts(self, about: UUID) -> bool:
        return about in self.states and self.states[about].active and self.states[about].level == "code"

    def trainer_lives(self, about: UUID) -> bool:
        return about not in self.states or self.refiner_counts(about)

    def same_level(self, level: str):
        return lambda about: about in self.states and self.states[about].active and self.states[about].level == level


@st.composite
def histories(draw):
    kinds = ["merged", "split", "retired", "restored", "created", "renamed", "undo"]
    labels = st.sampled_from([*CODES, *THEMES])
    steps = draw(st.lists(st.tuples(st.sampled_from(kinds), labels, labels, labels), max_size=14))
    events = created(*CODES, *THEMES)
    for minute, (kind, label, one, other) in enumerate(steps, 1):
        own = [each for each in events if each.code_id == code(label)]
        into = {"merged": (one,), "split": (one, other)}.get(kind, ())
        more = {"undoes": own[-1].id} if kind == "undo" else {"label": f"{one} anew"} if kind == "renamed" else {}
        events.append(event("restored" if kind == "undo" else kind, label, minute, *into, **more))
    return events


@given(histories())
@settings(max_examples=300, deadline=None)
def test_it_gives_what_each_place_that_asked_by_itself_got(events):
    codebook, old = Codebook(events), Old(events)
    for label in CODES:
        about = code(label)
        assert codebook.successors(about) == _old_heirs(about, old.into, old.refiner_counts)
        assert codebook.current_code(about) == _old_final(about, old.into, old.trainer_lives)
        assert codebook.current_code(about) == _old_final(about, old.into, old.same_level("code"))
        refiner_ended = not old.refiner_counts(about) and len(codebook.successors(about)) != 1
        assert (codebook.current_code(about) is None) == refiner_ended
    for label in THEMES:
        assert codebook.current_theme(code(label)) == _old_final(code(label), old.into, old.same_level("theme"))
    assert dict(codebook) == old.states


@given(histories(), st.integers(0, 20), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_with_codes_that_nobody_has_heard_of_it_gives_what_the_trainer_took_them_for(events, count, random):
    heard = random.sample(events, min(count, len(events)))
    codebook, old = Codebook(heard), Old(heard)
    for label in CODES:
        assert codebook.current_code(code(label)) == _old_final(code(label), old.into, old.trainer_lives)


@given(histories(), st.randoms(use_true_random=False), st.integers(1, 4))
@settings(max_examples=200, deadline=None)
def test_neither_the_order_of_events_nor_hearing_them_again_changes_it(events, random, size):
    disordered = events * 2
    random.shuffle(disordered)
    grown = Codebook()
    for start in range(0, len(disordered), size):
        grown.add(disordered[start : start + size])
    once = Codebook(events)
    assert dict(grown) == dict(once)
    assert grown.add(events) == []
    for label in [*CODES, *THEMES]:
        about = code(label)
        assert grown.current_code(about) == once.current_code(about)
        assert grown.current_theme(about) == once.current_theme(about)
        assert grown.successors(about) == once.successors(about)
        assert grown.successors(about) <= {state.id for state in once.values() if state.assignable}


@given(histories())
@settings(max_examples=100, deadline=None)
def test_what_a_code_became_is_active_and_what_is_active_is_itself(events):
    codebook = Codebook(events)
    for label in CODES:
        about, current = code(label), codebook.current_code(code(label))
        if codebook[about].assignable:
            assert (current, codebook.successors(about)) == (about, set())
        elif current is not None:
            assert codebook.successors(about) == {current}
            assert codebook[current].assignable
