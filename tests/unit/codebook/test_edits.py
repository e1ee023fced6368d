"""What people do to a codebook holds, can be taken back, and any past version can be had again."""

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.codebook.codebook import Codebook, CodeState
from models.codebook.diff import compare
from models.codebook.edits import Act, Curation, Notes
from models.codebook.themes import theme_id
from models.errors import InputError
from models.fakes import HandClock
from schemas import CodeEvent
from schemas.ids import code_event_id, code_id

STUDY = "reviews"
LABELS = ["slow app", "great music", "too many ads", "login fails"]


def code(label):
    return code_id(STUDY, label)


class Book:
    """A study's history as it grows; every change is a minute after the one before."""

    def __init__(self, *labels):
        self.events, self.clock, self.count = [], HandClock(), 0
        for label in labels:
            self.do("create", label)

    def do(self, action, *given, **named):
        self.clock.advance(60)
        self.count += 1
        act = Act("ana", self.clock.now(), f"because {self.count}", f"form {self.count}")
        made = getattr(Curation(self.events, STUDY, act), action)(*given, **named)
        self.events += [CodeEvent.from_bytes(one.to_bytes()) for one in made]
        return made

    def now(self, then=None):
        return Codebook(e for e in self.events if then is None or e.at <= then)

    def of(self, label):
        return self.now()[code(label)]

    def live(self, then=None):
        return {one.id: state(one) for one in self.now(then).values() if one.active}


def state(one):
    return one.label, one.level, one.parent, Notes.of(one)


def test_every_change_says_who_when_and_why_and_has_an_id_of_its_own():
    book = Book("slow app")
    (made,) = book.do("rename", code("slow app"), "  performance ")
    assert (made.kind, made.label, made.author, made.reason) == ("renamed", "performance", "ana", "because 2")
    assert made.at == book.clock.now()
    assert made.id == code_event_id(code("slow app"), "renamed", "form 2")


def test_a_change_comes_after_all_that_is_known_whatever_the_clock_says():
    book = Book("slow app")
    late = Act("ben", book.clock.now() - timedelta(days=1), "", "x")
    (made,) = Curation(book.events, STUDY, late).rename(code("slow app"), "performance")
    assert CodeState.replay([*book.events, made]).label == "performance"


def test_a_label_that_another_code_has_is_refused_in_any_spelling():
    book = Book(*LABELS)
    with pytest.raises(InputError, match=r"a code 'great music' already; merge the two instead"):
        book.do("rename", code("slow app"), "Great  Music!")
    book.do("rename", code("slow app"), "Slow App")  # its own in another spelling
    assert book.of("slow app").label == "Slow App"


@pytest.mark.parametrize(
    ("before", "label", "said"),
    [
        ([], "great music", "there is a code 'great music' already"),
        ([("rename", code("slow app"), "performance")], "slow app", "what 'performance' was called before"),
        ([("retire", code("slow app"))], "slow app", "which has ended; restore it"),
        ([], "???", "is no code"),
    ],
)
def test_a_code_is_not_created_twice(before, label, said):
    book = Book(*LABELS)
    for step in before:
        book.do(*step)
    with pytest.raises(InputError, match=said) as error:
        book.do("create", label)
    assert "\n" not in str(error.value)


def test_what_a_code_means_is_said_and_cleared():
    book = Book("slow app")
    book.do("define", code("slow app"), Notes("it takes long", "waiting", "crashes", [" so slow ", ""]))
    assert Notes.of(book.of("slow app")) == Notes("it takes long", "waiting", "crashes", ("so slow",))
    book.do("define", code("slow app"), Notes("it takes long"))
    assert Notes.of(book.of("slow app")) == Notes("it takes long")
    with pytest.raises(InputError, match="nothing about the code is changed"):
        book.do("define", code("slow app"), Notes("it takes long"))
    with pytest.raises(InputError, match="5000 characters"):
        book.do("define", code("slow app"), Notes("x" * 5000))


def test_a_code_stands_under_a_theme_and_under_none():
    book, theme = Book("slow app"), theme_id(STUDY, "speed")
    book.do("create", "speed", "theme")
    book.do("move", code("slow app"), theme)
    assert book.of("slow app").parent == theme
    with pytest.raises(InputError, match="stands there already"):
        book.do("move", code("slow app"), theme)
    with pytest.raises(InputError, match="a theme is expected"):
        book.do("move", code("slow app"), code("slow app"))
    book.do("move", code("slow app"), None)
    assert book.of("slow app").parent is None


def test_several_codes_are_merged_into_one():
    book = Book(*LABELS)
    book.do("merge", [code(one) for one in LABELS[1:]], code("slow app"))
    assert {one.into for one in book.now().values() if not one.active} == {(code("slow app"),)}
    with pytest.raises(InputError, match="has ended"):
        book.do("merge", [code("great music")], code("slow app"))
    with pytest.raises(InputError, match="into itself"):
        book.do("merge", [code("slow app")], code("slow app"))


def test_a_code_is_split_into_new_and_existing_ones_and_may_stay_among_them():
    book = Book(*LABELS)
    book.do("split", code("slow app"), ["slow start", "slow start", "great music", code("login fails")])
    assert book.of("slow app").into == (code("slow start"), code("great music"), code("login fails"))
    assert (book.of("slow app").active, book.of("slow start").active) == (False, True)
    book.do("split", code("great music"), ["great music", "loud music"])
    assert book.of("great music").active
    with pytest.raises(InputError, match="split into 1 code, at least 2"):
        book.do("split", code("great music"), ["quiet music"])


def test_what_was_retired_comes_back_unless_its_name_is_taken():
    book = Book(*LABELS)
    book.do("retire", code("slow app"))
    with pytest.raises(InputError, match="has ended"):
        book.do("retire", code("slow app"))
    book.do("rename", code("great music"), "slow app")
    with pytest.raises(InputError, match="a code 'slow app' already"):
        book.do("restore", code("slow app"))
    book.do("rename", code("great music"), "music")
    book.do("restore", code("slow app"))
    assert book.of("slow app").active


# Taking back


@pytest.mark.parametrize(
    "change",
    [
        ("create", "new"),
        ("rename", code("slow app"), "performance"),
        ("define", code("slow app"), Notes("d", "i", "e", ["x"])),
        ("move", code("slow app"), theme_id(STUDY, "speed")),
        ("merge", [code("slow app")], code("great music")),
        ("split", code("slow app"), ["slow start", "great music", "slow end"]),
        ("retire", code("slow app")),
    ],
)
def test_what_was_done_is_taken_back_done_again_and_taken_back(change):
    book = Book(*LABELS)
    book.do("create", "speed", "theme")
    before = book.live()
    made = book.do(*change)
    after = book.live()
    assert before != after
    undo = book.do("undo", made[-1].id)
    assert book.live() == before
    assert len(undo) == (3 if change[0] == "split" else 1)
    assert all(one.label == book.now()[one.code_id].label for one in undo)
    with pytest.raises(InputError, match="is taken back already"):
        book.do("undo", made[-1].id)
    redo = book.do("undo", next(one for one in undo if one.undoes == made[-1].id).id)
    assert book.live() == after
    book.do("undo", next(one for one in redo if one.code_id == made[-1].code_id).id)
    assert book.live() == before


def test_what_later_changes_build_on_is_not_taken_back():
    book = Book(*LABELS)
    (first,) = book.do("rename", code("slow app"), "a")
    book.do("rename", code("slow app"), "b")
    (merged,) = book.do("merge", [code("too many ads")], code("great music"))
    created = next(one for one in book.events if one.code_id == code("great music"))
    refused = [(first, "overtaken by a later one"), (created, "'too many ads' has become 'great music'")]
    book.do("create", "too many adverts")
    book.do("rename", code("too many adverts"), "too many ads")
    refused.append((merged, "a code 'too many ads' already"))
    for event, said in refused:
        with pytest.raises(InputError, match=said):
            book.do("undo", event.id)
    (made,) = (one for one in book.events if one.code_id == code("slow app") and one.kind == "created")
    with pytest.raises(InputError, match="was changed since it was made"):
        book.do("undo", made.id)
    with pytest.raises(InputError, match="has no event"):
        book.do("undo", code("slow app"))


def test_codes_that_became_each_other_do_not_come_about_by_an_undo():
    book = Book("a b", "c d")
    (merged,) = book.do("merge", [code("a b")], code("c d"))
    (undone,) = book.do("undo", merged.id)
    book.do("merge", [code("c d")], code("a b"))
    with pytest.raises(InputError, match="lives no more"):
        book.do("undo", undone.id)


# Versions


@st.composite
def histories(draw):
    book, moments = Book(*LABELS[:3]), []
    book.do("create", "speed", "theme")
    book.do("create", "sound", "theme")
    actions = ["create", "rename", "define", "move", "merge", "split", "retire", "restore", "undo", "version"]
    some = st.sampled_from(["one", "two", "three", *LABELS])
    for _ in range(draw(st.integers(0, 12))):
        action, label, other = draw(st.sampled_from(actions)), draw(some), draw(some)
        known = sorted(book.now())
        a, b = (draw(st.sampled_from(known)) for _ in range(2))
        given_ = {
            "create": (label,),
            "rename": (a, label),
            "define": (a, Notes(label, "", other, draw(st.lists(some, max_size=2)))),
            "move": (a, draw(st.sampled_from([theme_id(STUDY, "speed"), theme_id(STUDY, "sound"), None]))),
            "merge": ([a], b),
            "split": (a, [label, other, b]),
            "retire": (a,),
            "restore": (a,),
            "undo": (draw(st.sampled_from(book.events)).id,),
            "version": (draw(st.sampled_from(book.events)).at,),
        }[action]
        with suppress(InputError):
            book.do("restore_version" if action == "version" else action, *given_)
        moments.append(book.clock.now())
    return book, draw(st.sampled_from(moments or [book.clock.now()]))


@given(histories())
@settings(max_examples=80, deadline=None)
def test_after_any_changes_a_version_that_is_restored_is_the_codebook_of_that_time(case):
    book, then = case
    labels = [(one[0].casefold(), one[1]) for one in book.live().values()]
    assert len(set(labels)) == len(labels)
    wanted = book.live(then)
    with suppress(InputError):  # where it is so already
        book.do("restore_version", then)
    assert book.live() == wanted
    old = book.now(then)
    assert {c: book.now()[c].into for c in old} == {c: one.into for c, one in old.items()}
    assert compare(old, book.now()) == []


@given(histories(), st.data())
@settings(max_examples=50, deadline=None)
def test_a_merge_that_is_taken_back_leaves_all_as_it_was(case, data):
    book, _ = case
    live = sorted(one.id for one in book.now().values() if one.active and one.level == "code")
    if len(live) < 2:
        return
    into, *merged = data.draw(st.permutations(live))
    merged = merged[: data.draw(st.integers(1, len(merged)))]
    before = book.live()
    made = book.do("merge", merged, into)
    for event in data.draw(st.permutations(made)):
        book.do("undo", event.id)
    assert book.live() == before


def test_two_moments_are_compared():
    book = Book(*LABELS)
    book.do("create", "speed", "theme")
    before = book.now()
    book.do("rename", code("slow app"), "performance")
    book.do("define", code("slow app"), Notes("d"))
    book.do("move", code("slow app"), theme_id(STUDY, "speed"))
    book.do("merge", [code("great music")], code("login fails"))
    book.do("retire", code("too many ads"))
    book.do("split", code("login fails"), ["no password", "no mail"])
    found = [(one.kind, one.code.label) for one in compare(before, book.now())]
    assert found == [
        *(("added", "no mail"), ("added", "no password"), ("removed", "too many ads"), ("merged", "great music")),
        *(("split", "login fails"), ("renamed", "performance"), ("redefined", "performance")),
        ("moved", "performance"),
    ]
    back = {one.kind for one in compare(book.now(), before)}
    assert back == {"added", "removed", "renamed", "redefined", "moved"}


# What a code is


def told(*kinds):
    book = Book()
    for kind, label, *into in kinds:
        book.clock.advance(60)
        cause = str(len(book.events))
        book.events.append(
            CodeEvent(
                id=code_event_id(code("a b"), kind, cause),
                code_id=code("a b"),
                study=STUDY,
                kind=kind,
                label=label,
                author="ana",
                at=book.clock.now(),
                into=[code(one) for one in into],
            )
        )
    return CodeState.replay(book.events)


def test_a_refiner_that_creates_a_living_code_again_in_another_spelling_does_not_rename_it():
    assert told(("created", "a b"), ("created", "A B")).label == "a b"
    assert told(("created", "a b"), ("renamed", "c"), ("created", "A B")).label == "c"


def test_a_code_that_is_created_again_after_it_ended_has_its_new_spelling():
    again = told(("created", "a b"), ("renamed", "c"), ("retired", "c"), ("created", "A B"))
    assert (again.label, again.active) == ("A B", True)


def test_a_change_by_somebody_who_had_not_heard_of_the_new_name_does_not_bring_the_old_one_back():
    assert told(("created", "a b"), ("renamed", "c"), ("moved", "a b")).label == "c"
