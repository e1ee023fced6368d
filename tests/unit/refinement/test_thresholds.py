"""Thresholds move by what people decide, never the wrong way, and say where they come from."""

import json
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from infra.cli.codebook import threshold
from infra.codebook.thresholds_job import judged
from infra.profiles.loading import load_profile
from infra.profiles.study_rules import refiner_settings
from infra.settings import load_settings
from infra.storage.store import open_store
from models.annotation.human_decision import AsWritten
from models.fakes import HandClock, HashEmbedder
from models.refinement.thresholds import (
    Correction,
    Judgement,
    Threshold,
    adapted,
    corrections,
    judgements,
    learn,
    learned,
)
from schemas import Annotation, Assignment, CodeEvent, Neighbour
from schemas.ids import code_event_id, code_id, segment_id

AT = HandClock().now()
FAKES = Path(__file__).parents[2] / "data" / "fakes.toml"


def judgement(similarity, same):
    return Judgement("a", "b", similarity, same, "ann", "merge", AT)


SIMILARITY = st.floats(-1, 1)
DEFAULT = st.floats(0.4, 1)
EVIDENCE = st.lists(st.builds(judgement, SIMILARITY, st.booleans()), max_size=12)


def test_the_learned_threshold_is_the_one_worked_out_by_hand():
    """At t = c the logistic is 1/2: (c - default) / 0.03² = n / 2 / 0.05, so c lies n * 0.009 from the default."""
    assert learn(0.7, [judgement(0.709, False)]) == pytest.approx(0.709, abs=1e-6)
    assert learn(0.7, [judgement(0.691, True)]) == pytest.approx(0.691, abs=1e-6)
    assert learn(0.7, [judgement(0.88, False)] * 20) == pytest.approx(0.88, abs=1e-6)
    assert learn(0.7, [judgement(0.8, False), judgement(0.6, True)]) == pytest.approx(0.7, abs=1e-6)


def test_without_evidence_the_default_stays():
    assert learn(0.42, []) == 0.42
    assert learned(Threshold(0.7, "the default"), []) == Threshold(0.7, "the default")


@given(DEFAULT, SIMILARITY, st.booleans())
def test_one_judgement_moves_little(default, similarity, same):
    assert abs(learn(default, [judgement(similarity, same)]) - default) < 0.018 + 1e-6


@given(DEFAULT, EVIDENCE, SIMILARITY)
@example(0.99, [], 0.96)
def test_different_never_lowers_and_same_never_raises(default, evidence, similarity):
    before = learn(default, evidence)
    assert learn(default, [*evidence, judgement(similarity, False)]) >= before - 2e-6
    assert learn(default, [*evidence, judgement(similarity, True)]) <= before + 2e-6


@given(DEFAULT, EVIDENCE)
def test_what_is_learned_stays_in_bounds_and_does_not_depend_on_order(default, evidence):
    found = learn(default, evidence)
    assert min(0.5, default) - 1e-6 <= found <= max(0.95, default) + 1e-6
    assert learn(default, reversed(evidence)) == found
    assert learn(default, sorted(evidence, key=lambda one: one.similarity)) == found


def test_many_judgements_decide_whatever_the_default():
    clear = [judgement(0.85, False)] * 40 + [judgement(0.9, True)] * 40
    assert 0.85 < learn(0.7, clear) < learn(0.95, clear) < 0.9


def test_what_no_threshold_could_serve_counts_for_nothing():
    assert learn(0.7, [judgement(0.3, True)] * 50 + [judgement(0.97, False)] * 50) == 0.7


def test_a_vague_label_needs_more_and_a_clear_one_less():
    text = "the export to spreadsheets drops every second column"
    assert adapted(0.7, text, "good app") > 0.7 > adapted(0.7, text, "export drops columns")
    assert adapted(0.7, "ok", "good app") > adapted(0.7, text, "good app")
    assert adapted(0.7, "", "") == pytest.approx(0.75)


@given(st.floats(0, 1), st.text(max_size=80), st.text(max_size=40))
def test_any_label_and_text_adapt_a_threshold_by_a_twentieth_at_most(given_, text, label):
    found = adapted(given_, text, label)
    assert 0 <= found <= 1
    assert abs(found - given_) <= 0.05 + 1e-6


# What a history says


class Book:
    """A codebook's history as people and the refiner write it."""

    def __init__(self):
        self.events = []
        self.clock = HandClock()

    def add(self, kind, label, *, author="ann", study="reviews", cause=None, **other):
        self.clock.advance(1)
        code = code_id(study, label)
        made = CodeEvent(
            id=code_event_id(code, kind, cause or str(len(self.events))),
            code_id=code,
            study=study,
            kind=kind,
            label=label,
            author=author,
            at=self.clock.now(),
            **other,
        )
        self.events.append(made)
        return made

    def refined(self, *labels):
        for label in labels:
            segment = segment_id("reviews", "test", label)
            self.add("created", label, author="consensus", cause=str(segment), segment_id=segment)

    def said(self, corrected=(), *, default=0.5, gate=True):
        found = judgements(self.events, corrected, HashEmbedder(), lambda study: default, polarity_gate=gate)
        return {frozenset((one.a, one.b)): one.same for one in found.get("reviews", [])}


def ids(*labels):
    return [code_id("reviews", label) for label in labels]


def pair(*labels):
    return frozenset(labels)


def test_codes_that_only_the_refiner_made_say_nothing_and_nothing_is_embedded():
    book = Book()
    book.refined("slow app", "slow app start")
    assert judgements(book.events, [], None, lambda study: 0.5) == {}


def test_a_merge_says_same_until_it_is_taken_back_and_again_when_that_is_taken_back():
    book = Book()
    book.refined("slow app", "app slowness")
    merged = book.add("merged", "app slowness", into=ids("slow app"))
    assert book.said() == {pair("slow app", "app slowness"): True}
    undone = book.add("restored", "app slowness", undoes=merged.id)
    assert book.said() == {pair("slow app", "app slowness"): False}
    book.add("merged", "app slowness", into=ids("slow app"), undoes=undone.id)
    assert book.said() == {pair("slow app", "app slowness"): True}


def test_a_split_says_that_the_code_and_its_parts_differ_and_no_part_counts_as_a_code_of_their_own():
    book = Book()
    book.refined("slow app")
    book.add("split", "slow app", into=ids("slow start", "slow search"))
    book.add("created", "slow start")
    book.add("created", "slow search")
    apart = [pair("slow app", "slow start"), pair("slow app", "slow search"), pair("slow start", "slow search")]
    assert book.said() == dict.fromkeys(apart, False)


def test_a_code_of_their_own_differs_from_the_nearest_that_stood_where_the_default_would_have_merged_it():
    book = Book()
    book.refined("slow app", "great music")
    book.add("created", "slow app start")
    assert book.said() == {pair("slow app start", "slow app"): False}
    assert book.said(default=0.99) == {}


def test_the_last_word_on_a_pair_counts_and_disorder_and_repeats_change_nothing():
    book = Book()
    book.refined("slow app", "slow app start")
    book.add("split", "slow app", into=ids("slow app", "slow app start"))
    book.add("merged", "slow app start", into=ids("slow app"))
    assert book.said() == {pair("slow app", "slow app start"): True}
    book.events = [*reversed(book.events), *book.events]
    assert book.said() == {pair("slow app", "slow app start"): True}


def test_opposites_say_nothing_about_a_threshold_where_the_gate_keeps_them_apart():
    book = Book()
    book.refined("slow app", "fast app")
    book.add("split", "slow app", into=ids("slow app", "fast app"))
    assert book.said() == {}
    assert book.said(gate=False) == {pair("slow app", "fast app"): False}


def test_themes_are_no_codes():
    book = Book()
    book.refined("slow app")
    book.add("created", "slow apps", level="theme")
    book.add("merged", "slow app", into=ids("slow apps"))
    assert book.said() == {}


def assignment(key, label, *, new, runner_up=None):
    second = Neighbour(code_id=code_id("reviews", runner_up), label=runner_up, similarity=0.6) if runner_up else None
    return Assignment(
        segment_id=segment_id("reviews", "test", key),
        study="reviews",
        code_id=code_id("reviews", label),
        label=label,
        proposed=label,
        new=new,
        similarity=0.8,
        runner_up=second,
        why="",
        verdict="consensus",
        assigned_at=AT,
    )


def annotation(key, *labels, seconds=0, **other):
    return Annotation(
        segment_id=segment_id("reviews", "test", key),
        study="reviews",
        annotator="ann",
        code_ids=ids(*labels),
        labels=list(labels),
        decided_at=AT + timedelta(seconds=seconds),
        **other,
    )


def test_a_reused_code_that_is_replaced_differs_and_a_new_one_replaced_by_its_runner_up_is_the_same():
    given_ = [assignment("1", "slow app", new=False), assignment("2", "app slowness", new=True, runner_up="slow app")]
    said = [annotation("1", "slow app start"), annotation("2", "slow app")]
    found = corrections(given_, said, AsWritten())
    assert [(one.given, one.replacement, one.same) for one in found] == [
        (*ids("slow app", "slow app start"), False),
        (*ids("app slowness", "slow app"), True),
    ]
    book = Book()
    book.refined("slow app", "slow app start", "app slowness")
    assert book.said(found) == {pair("slow app", "slow app start"): False, pair("slow app", "app slowness"): True}


@pytest.mark.parametrize(
    "said",
    [
        [annotation("1", "slow app", "ads")],
        [annotation("1", "ads", unsure=True)],
        [annotation("1", "ads"), annotation("1", "slow app", seconds=1)],
        [annotation("none such", "ads")],
    ],
    ids=["kept", "unsure", "changed their mind", "unknown segment"],
)
def test_an_annotation_that_replaces_nothing_says_nothing(said):
    assert corrections([assignment("1", "slow app", new=False)], said, AsWritten()) == []


def test_a_new_code_replaced_by_any_other_than_its_runner_up_was_only_the_wrong_code():
    given_ = [assignment("1", "slow app", new=True, runner_up="ads")]
    assert corrections(given_, [annotation("1", "music")], AsWritten()) == []


def test_a_correction_to_a_code_that_the_history_does_not_know_is_passed_over():
    book = Book()
    book.refined("slow app")
    assert book.said([Correction(ids("slow app")[0], uuid4(), False, "ann", "", AT)]) == {}


# The profile and the command


def profile(folder, refiner):
    path = folder / "mine.toml"
    path.write_text(f"{FAKES.read_text('utf-8')}[refiner]\n{refiner}\n", encoding="utf-8")
    return path


def test_a_profile_gives_a_study_its_own_threshold(tmp_path):
    path = profile(tmp_path, "threshold = 0.6\nadaptive = true\n[refiner.studies]\nspring = 0.8")
    settings = refiner_settings(load_profile(path))
    assert settings.of("spring") == Threshold(0.8, "set for this study")
    assert settings.of("autumn") == Threshold(0.6, "the default")
    assert settings.adaptive


@pytest.mark.parametrize("refiner", ["learn = false", 'by = "text"'])
def test_nothing_is_learned_where_the_profile_says_so_or_texts_are_compared(tmp_path, refiner):
    book = Book()
    book.refined("slow app", "app slowness")
    book.add("merged", "app slowness", into=ids("slow app"))
    assert judged(load_profile(profile(tmp_path, refiner)), HashEmbedder(), book.events, [], []) == {}


def test_the_command_prints_default_threshold_and_judgements(tmp_path, monkeypatch):
    book = Book()
    book.refined("slow app", "slow app start")
    book.add("merged", "slow app start", into=ids("slow app"), author="[bold]ann")
    monkeypatch.setenv("QUALSTREAM_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("QUALSTREAM_PROFILE", str(profile(tmp_path, "threshold = 0.9")))
    store = open_store(load_settings().store_url)
    store.record(book.events)
    store.close()
    shown = CliRunner().invoke(threshold, ["--study", "reviews"], catch_exceptions=False).output
    assert "default    0.90 (the default)" in shown
    assert "(learned from 1 judgement)" in shown
    assert "[bold]ann" in shown
    told = json.loads(CliRunner().invoke(threshold, ["--study", "reviews", "--json"], catch_exceptions=False).output)
    assert told["judgements"][0]["same"] is True
    assert 0.88 < told["threshold"]["value"] < told["default"]["value"] == 0.9
