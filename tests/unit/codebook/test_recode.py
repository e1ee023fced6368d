"""A stretch coded again stands beside what was there, and the difference is told code by code."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from infra.cli import cli
from infra.codebook.recode import Stretch, again, difference, history, recode
from infra.factory.pipeline import build_pipeline
from infra.factory.stores import build_store
from infra.settings import load_settings
from models.errors import InputError
from models.evaluation.recoding import RecodedSegment, compare
from models.pipeline import CodedSegment
from schemas import Annotation, Segment
from schemas.ids import code_id, segment_id
from tests.integration.stack import FAKES

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXTS = ("slow checkout page", "slow checkout page today", "login button broken", "lovely music player")


@pytest.fixture
def settings(tmp_path):
    return load_settings(data_dir=tmp_path, profile=str(FAKES), study="app")


@pytest.fixture
def store(settings):
    opened = build_store(settings)
    segments = [
        Segment(
            id=segment_id("app", "test", text), study="app", text=text, source="t", timestamp=AT + timedelta(hours=n)
        )
        for n, text in enumerate(TEXTS)
    ]
    for outcome in build_pipeline(settings).run(segments):
        assert isinstance(outcome, CodedSegment)
        event = [outcome.event] if outcome.event else []
        opened.record([outcome.segment, outcome.decision, outcome.assignment, *event])
    yield opened
    opened.close()


@pytest.fixture
def eager(tmp_path):
    """A profile that reuses whatever code there is."""
    file = tmp_path / "eager.toml"
    file.write_text(FAKES.read_text() + "\n[refiner]\nthreshold = 0.0\npolarity_gate = false\n", encoding="utf-8")
    return load_settings(data_dir=tmp_path, profile=str(file), study="app")


def replayed(store, settings, stretch, book="now"):
    made = again(settings, store, stretch, history(store, stretch.study, book))
    return recode(store, stretch, settings.profile, made, Console(file=StringIO()))


def test_the_same_profile_over_the_same_codebook_changes_nothing(store, settings):
    stretch = Stretch("app", "again")
    before = list(store.rows("app"))
    assert replayed(store, settings, stretch) == len(TEXTS)
    found = difference(store.database, stretch)
    assert (found.segments, found.same, found.uncoded) == (4, 4, 0)
    assert not any(code.moved for code in found.codes)
    assert list(store.rows("app")) == before


def test_another_profile_shows_what_would_move_where(store, eager):
    stretch = Stretch("app", "eager")
    replayed(store, eager, stretch, "empty")
    found = difference(store.database, stretch)
    (winner,) = [code for code in found.codes if code.after]
    assert (winner.code, winner.after) == ("slow checkout page", 4)
    assert sum(winner.came.values()) == 4 - winner.kept
    assert found.codes[0] is winner


def test_a_replay_goes_on_where_it_was_broken_off(store, eager):
    first = Stretch("app", "eager", until=AT + timedelta(minutes=30))
    assert replayed(store, eager, first, "empty") == 1
    assert replayed(store, eager, Stretch("app", "eager"), "empty") == 3
    found = difference(store.database, Stretch("app", "eager"))
    assert {code.code for code in found.codes if code.after} == {"slow checkout page"}


def test_what_people_coded_tells_which_coding_is_nearer(store, eager):
    segment = segment_id("app", "test", TEXTS[2])
    said = Annotation(
        segment_id=segment,
        study="app",
        annotator="ana",
        code_ids=[code_id("app", "login button broken")],
        labels=["login button broken"],
        decided_at=AT,
        unsure=False,
    )
    store.record([said])
    replayed(store, eager, Stretch("app", "eager"), "empty")
    found = difference(store.database, Stretch("app", "eager"))
    assert (found.judged, found.right_before, found.right_after) == (1, 1, 0)


def test_the_codebook_can_be_taken_as_it_stood(store):
    assert history(store, "app", "empty") == []
    assert history(store, "app", "2020-01-01") == []
    assert len(history(store, "app", "now")) == len(history(store, "app", "2100-01-01")) > 0
    with pytest.raises(InputError, match="--codebook is 'yesterday'"):
        history(store, "app", "yesterday")


def test_the_command_prints_the_difference(store, eager, monkeypatch):
    monkeypatch.setenv("QUALSTREAM_DATA_DIR", str(eager.data_dir))
    store.close()
    asked = ["replay", "--study", "app", "--profile", eager.profile, "--codebook", "empty"]
    shown = CliRunner().invoke(cli, asked, catch_exceptions=False)
    assert "4 segments (4 coded now)" in " ".join(shown.stdout.split())
    told = json.loads(CliRunner().invoke(cli, [*asked, "--json"], catch_exceptions=False).stdout)
    assert (told["segments"], told["replay"]) == (4, "fakes")
    with pytest.raises(InputError, match="has no coded segments in that stretch"):
        CliRunner().invoke(cli, [*asked, "--name", "late", "--since", "2090-01-01"], catch_exceptions=False)


PAIRS = st.lists(
    st.builds(RecodedSegment, st.sampled_from("abc"), st.sampled_from(["a", "B", "c", None]), st.just(())), max_size=30
)


@given(PAIRS)
def test_every_segment_is_counted_once_on_either_side(pairs):
    found = compare(pairs)
    assert sum(code.before for code in found.codes) == found.segments == len(pairs)
    assert sum(code.after for code in found.codes) == found.segments - found.uncoded
    assert sum(code.kept for code in found.codes) == found.same
    for code in found.codes:
        assert sum(code.came.values()) == code.after - code.kept
        lost = sum(pair.after is None and pair.before == code.code.lower() for pair in pairs)
        assert sum(code.went.values()) == code.before - code.kept - lost
