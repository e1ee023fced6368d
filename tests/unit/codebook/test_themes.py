"""Codes find their theme once and stay; what people decide is never undone; a replay gives the same tree."""

import random
from datetime import timedelta
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.codebook.clustering import agglomerate
from models.codebook.codebook import Codebook, CodeState
from models.codebook.themes import (
    AUTHOR,
    Code,
    Theme,
    ThemeSettings,
    arrange,
    codes_and_themes,
    takes_side,
    theme_id,
    to_events,
)
from models.coding.labels import label_fault
from models.errors import SettingError
from models.fakes import HandClock, HashEmbedder
from schemas import CodeEvent
from schemas.ids import code_event_id, code_id, normalised_label

EMBEDDER = HashEmbedder()
STUDY = "app"
LABELS = [
    *("slow login", "login fails", "login", "slow checkout", "checkout", "checkout price", "price too high", "price"),
    *("dark mode", "dark mode missing", "helpful answers", "helpful for homework", "not helpful", "wrong answers"),
    *("answers", "image generation", "image generation fails", "free", "not free", "Price!", "😀", "app", "great app"),
]


def code(label, segments=1, theme=None, settled=False):
    return Code(code_id(STUDY, label), label, segments, theme, settled)


def codes(*labels):
    return [code(label) for label in labels]


def homes(arrangement, given):
    names = {theme.id: theme.label for theme in arrangement.themes}
    return {one.label: names.get(arrangement.homes.get(one.id)) for one in given}


class Notebook:
    """A study's history of codes, written as the refiner, people and our job would."""

    def __init__(self):
        self.events: list[CodeEvent] = []
        self.clock = HandClock()

    def add(self, what, kind, author="r@1", **more):
        self.clock.advance(1)
        label = more.pop("label", None) or CodeState.replay(e for e in self.events if e.code_id == what).label
        given = {"id": code_event_id(what, kind, str(len(self.events))), "code_id": what, "study": STUDY, "kind": kind}
        event = CodeEvent(**given, label=label, author=author, at=self.clock.now(), **more)
        self.events.append(event)
        return event

    def code(self, *labels):
        for label in labels:
            self.add(code_id(STUDY, label), "created", label=label)

    def run(self, **chosen):
        """Group what there is; returns the events that this added."""
        self.clock.advance(1)
        book = Codebook(self.events)
        found, themes = codes_and_themes(book, STUDY, {})
        used = {one.id for one in book.values() if one.level == "theme"}
        made = arrange(STUDY, found, themes, EMBEDDER, ThemeSettings(**chosen), used=used)
        added = to_events(made, book, STUDY, f"{AUTHOR} {EMBEDDER.version}", self.clock.now())
        self.events += added
        return added

    def tree(self, events=None):
        """Code to theme, of those that live."""
        found, themes = codes_and_themes(Codebook(events or self.events), STUDY, {})
        return {one.id: one.theme for one in found}, {one.id: one.label for one in themes}

    def home(self, label):
        placed, themes = self.tree()
        return themes.get(placed[code_id(STUDY, label)])


@pytest.fixture
def notebook():
    book = Notebook()
    book.code("slow login", "login fails", "slow checkout", "checkout price", "dark mode")
    book.run()
    return book


# Grouping


def test_codes_that_share_their_matter_share_a_theme_named_after_it():
    given = codes("login slow", "login fails", "dark mode")
    made = arrange(STUDY, given, [], EMBEDDER)
    assert homes(made, given) == {"login slow": "login", "login fails": "login", "dark mode": None}
    assert made.created == (Theme(theme_id(STUDY, "login"), "login"),)


def test_a_code_alone_is_a_theme_only_from_as_many_segments_as_asked():
    given = [code("dark mode", 5), code("login", 4)]
    assert homes(arrange(STUDY, given, [], EMBEDDER), given) == {"dark mode": None, "login": None}
    made = arrange(STUDY, given, [], EMBEDDER, ThemeSettings(alone_from=5))
    assert homes(made, given) == {"dark mode": "dark mode", "login": None}


def test_opposites_share_a_theme_where_its_name_takes_no_side():
    given = codes("image generation", "image generation fails")
    assert set(homes(arrange(STUDY, given, [], EMBEDDER), given).values()) == {"image generation"}


def test_a_code_is_left_out_of_a_theme_whose_name_says_the_opposite():
    given = codes("helpful homework", "helpful writing", "not helpful")
    placed = homes(arrange(STUDY, given, [], EMBEDDER, ThemeSettings(0.3)), given)
    assert placed == {"helpful homework": "helpful", "helpful writing": "helpful", "not helpful": None}


@pytest.mark.parametrize(
    ("name", "label", "against"),
    [
        ("helpful", "not helpful", True),
        ("too expensive", "worth the price", True),
        ("price", "too expensive", False),
        ("image generation", "image generation fails", False),
        ("answers", "wrong answers", False),
    ],
)
def test_a_topic_takes_no_side(name, label, against):
    assert takes_side(name, label) == against


def test_two_groups_never_get_one_name():
    taken = Theme(theme_id(STUDY, "login"), "login")
    elsewhere = code("dark mode", theme=taken.id)
    given = [*codes("login slow", "login fails"), elsewhere]
    made = arrange(STUDY, given, [taken], EMBEDDER)
    (created,) = made.created
    assert created.label != "login"


def test_an_id_that_a_theme_once_had_is_not_given_again():
    given = codes("login slow", "login fails")
    made = arrange(STUDY, given, [], EMBEDDER, used=[theme_id(STUDY, "login")])
    assert made.created
    assert theme_id(STUDY, "login") not in {theme.id for theme in made.created}


def test_a_theme_of_labels_without_words_gets_a_name_all_the_same():
    given = [code("😀", 9), code("🎉", 9)]
    made = arrange(STUDY, given, [], EMBEDDER, ThemeSettings(alone_from=5))
    assert sorted(theme.label for theme in made.created) == ["theme", "theme 2"]


def test_a_theme_that_a_person_made_and_nothing_stands_under_attracts_by_its_name():
    made_by_hand = Theme(UUID(int=7), "login")
    given = codes("login slow")
    assert homes(arrange(STUDY, given, [made_by_hand], EMBEDDER), given) == {"login slow": "login"}


@given(st.lists(st.sampled_from(LABELS), unique=True), st.floats(0.1, 0.9), st.integers(1, 40))
def test_every_name_is_short_sound_and_its_own_and_no_code_stands_under_its_opposite(labels, threshold, segments):
    given_codes = [code(label, 1 + n * segments % 7) for n, label in enumerate(dict.fromkeys(labels))]
    made = arrange(STUDY, given_codes, [], EMBEDDER, ThemeSettings(threshold))
    names = {theme.id: theme.label for theme in made.themes}
    assert len({normalised_label(name) for name in names.values()}) == len(names)
    for name in names.values():
        assert label_fault(name) is None
    assert set(made.homes.values()) == set(names)
    for one in given_codes:
        assert one.id not in made.homes or not takes_side(names[made.homes[one.id]], one.label)


@given(st.permutations(LABELS))
def test_the_order_of_codes_does_not_matter(labels):
    assert arrange(STUDY, codes(*labels), [], EMBEDDER) == arrange(STUDY, codes(*LABELS), [], EMBEDDER)


def test_average_linkage_joins_by_the_mean_and_counts_a_row_by_its_weight():
    turn = np.deg2rad([0, 50, 90])
    vectors = np.stack([np.cos(turn), np.sin(turn)], axis=1).astype(np.float32)
    # cosines: 0.643 between the first two, 0.766 between the last two, 0 between the outer ones
    assert agglomerate(vectors, np.ones(3), 0.7) == [[0], [1, 2]]
    assert agglomerate(vectors, np.ones(3), 0.33) == [[0], [1, 2]]  # (0.643 + 0) / 2 is under it
    assert agglomerate(vectors, np.ones(3), 0.32) == [[0, 1, 2]]
    assert agglomerate(vectors, np.array([1.0, 2.0, 1.0]), 0.42) == [[0, 1, 2]]  # (2 * 0.643 + 0) / 3


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_and_one_row_are_groups_of_their_own(n):
    assert agglomerate(np.ones((n, 1), np.float32), np.ones(n), 0.5) == [[0]][:n]


def test_a_threshold_that_is_no_cosine_is_refused():
    with pytest.raises(SettingError, match=r"1\.5; a cosine from 0 to 1"):
        ThemeSettings(1.5)


# Over time


def test_a_second_run_changes_nothing(notebook):
    assert notebook.run() == []


def test_a_new_code_joins_a_theme_or_opens_one(notebook):
    before = notebook.tree()
    notebook.code("login page", "dark colours", "voice")
    notebook.run()
    after = notebook.tree()
    assert before[0].items() <= {**after[0], code_id(STUDY, "dark mode"): None}.items()
    assert before[1].items() < after[1].items()
    assert notebook.home("login page") == notebook.home("login fails") == "login"
    assert notebook.home("dark mode") == notebook.home("dark colours") == "dark"
    assert notebook.home("voice") is None


def test_a_code_that_a_person_moved_stays(notebook):
    theme = notebook.tree()[0][code_id(STUDY, "slow checkout")]
    notebook.add(code_id(STUDY, "login fails"), "moved", "ana", parent_id=theme)
    assert notebook.run() == []
    assert notebook.home("login fails") == "checkout"


def test_a_code_that_a_person_took_out_of_its_theme_stays_out(notebook):
    notebook.add(code_id(STUDY, "login fails"), "moved", "ana", parent_id=None)
    assert notebook.run() == []
    assert notebook.home("login fails") is None


@pytest.mark.parametrize("kind", ["moved", "restored"])
def test_a_move_that_a_person_took_back_is_not_made_again(notebook, kind):
    (move,) = (e for e in notebook.events if e.kind == "moved" and e.code_id == code_id(STUDY, "login fails"))
    notebook.add(move.code_id, kind, "ana", undoes=move.id)
    assert notebook.home("login fails") is None
    assert notebook.run() == []


def test_a_renamed_theme_keeps_its_id_and_its_name(notebook):
    (theme,) = (id_ for id_, name in notebook.tree()[1].items() if name == "login")
    notebook.add(theme, "renamed", "ana", label="signing in")
    notebook.code("login page")
    notebook.run()
    placed, themes = notebook.tree()
    assert placed[code_id(STUDY, "login page")] == theme
    assert themes[theme] == "signing in"


def test_the_codes_of_a_merged_theme_follow_it_and_those_of_a_retired_one_are_placed_anew(notebook):
    themes = {name: id_ for id_, name in notebook.tree()[1].items()}
    notebook.add(themes["login"], "merged", "ana", into=[themes["checkout"]])
    moved = notebook.run()
    assert {(e.kind, e.parent_id) for e in moved} == {("moved", themes["checkout"])}
    assert notebook.home("login fails") == "checkout"
    notebook.add(themes["checkout"], "retired", "ana")
    assert notebook.run()
    assert notebook.home("slow login") is not None
    assert not set(themes.values()) & set(notebook.tree()[1])
    assert notebook.run() == []


def test_codes_that_were_merged_or_retired_are_left_out():
    book = Notebook()
    book.code("login slow", "login fails", "login late", "login page")
    book.add(code_id(STUDY, "login late"), "merged", "ana", into=[code_id(STUDY, "login slow")])
    book.add(code_id(STUDY, "login page"), "retired", "ana")
    assert {e.code_id for e in book.run() if e.kind == "moved"} == {
        code_id(STUDY, "login slow"),
        code_id(STUDY, "login fails"),
    }


def test_our_events_come_after_those_of_a_clock_that_is_ahead(notebook):
    notebook.code("login page")
    notebook.events[-1] = notebook.events[-1].model_copy(update={"at": notebook.clock.now() + timedelta(hours=1)})
    notebook.run()
    assert notebook.home("login page") == "login"


def test_a_second_creation_of_a_code_does_not_move_it(notebook):
    notebook.add(code_id(STUDY, "login fails"), "created", label="login fails")
    assert notebook.home("login fails") == "login"
    assert notebook.run() == []


@settings(max_examples=40)
@given(st.lists(st.lists(st.sampled_from(LABELS), max_size=6), max_size=6), st.randoms(use_true_random=False))
def test_however_codes_arrive_themes_keep_their_ids_codes_their_parents_and_a_replay_gives_the_same(batches, chance):
    book, placed, themes = Notebook(), {}, {}
    for batch in batches:
        book.code(*(label for label in dict.fromkeys(batch) if code_id(STUDY, label) not in placed))
        book.run(threshold=0.4)
        before, (placed, after) = placed, book.tree()
        assert themes.items() <= after.items()
        themes = after
        for one, home in before.items():
            assert home is None or placed[one] == home
        assert set(placed.values()) <= {None, *themes}
    assert book.run(threshold=0.4) == []
    assert book.tree(chance.sample(book.events * 2, len(book.events) * 2)) == (placed, themes)


@settings(max_examples=40)
@given(st.randoms(use_true_random=False))
def test_what_a_person_decides_is_never_overridden(chance: random.Random):
    book = Notebook()
    decided = {}
    for start in range(0, len(LABELS), 6):
        book.code(*LABELS[start : start + 6])
        book.run(threshold=0.35)
        placed, themes = book.tree()
        one = chance.choice(sorted(placed))
        decided[one] = chance.choice([None, *sorted(themes)])
        book.add(one, "moved", "ana", parent_id=decided[one])
        book.run(threshold=0.35)
        placed, _ = book.tree()
        assert {code: placed[code] for code in decided} == decided
