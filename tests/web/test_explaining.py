"""`qualstream learn explain`: a table of words, JSON for programs, and one line where it cannot be told."""

import json
from uuid import uuid4

import pytest
from click.testing import CliRunner

from infra.cli.learn import learn
from models.errors import InputError
from schemas import Segment
from schemas.ids import segment_id
from tests.web.classifiers import teach
from tests.web.site import STUDY, make_site

TAUGHT = {"the app crashes": "app crashes", "slow checkout": "slow checkout", "kind support": "kind support"}
SEGMENT = Segment(
    id=segment_id(STUDY, "test", "1"), study=STUDY, text="Since the update the app crashes!", source="test"
)


@pytest.fixture
def folder(tmp_path):
    site = make_site(tmp_path)
    site.store.record([SEGMENT])
    site.store.close()
    return tmp_path


@pytest.fixture
def taught(folder):
    site = make_site(folder)
    site.store.record([teach(folder, TAUGHT)])
    site.store.close()
    return folder


def explain(folder, *arguments):
    environment = {"QUALSTREAM_DATA_DIR": str(folder)}
    return CliRunner(env=environment).invoke(learn, ["explain", *map(str, arguments)])


def test_a_table_has_every_word_with_its_share(taught):
    done = explain(taught, SEGMENT.id, "--code", "App Crashes")
    assert done.exit_code == 0, done.output
    assert "'app crashes'" in done.stdout
    assert all(word in done.stdout for word in SEGMENT.text.split())
    assert "unexplained" in done.stderr


def test_json_has_the_words_in_their_order_and_they_add_up(taught):
    told = json.loads(explain(taught, SEGMENT.id, "--code", "app crashes", "--json").stdout)
    assert [one["word"] for one in told["words"]] == SEGMENT.text.split()
    assert sum(abs(one["share"]) for one in told["words"]) == pytest.approx(1, abs=1e-3)
    assert {one["label"] for one in told["guesses"]} == set(TAUGHT.values())
    assert abs(told["gap"]) < 0.02


def test_without_a_code_the_likeliest_is_explained(taught):
    told = json.loads(explain(taught, SEGMENT.id, "--json").stdout)
    assert told["label"] == told["guesses"][0]["label"]


def test_a_code_that_was_not_taught_is_named_with_the_nearest(taught):
    error = explain(taught, SEGMENT.id, "--code", "app crash").exception
    assert isinstance(error, InputError)
    assert "not taught a code 'app crash'; the nearest is 'app crashes'" in str(error)


def test_a_study_without_a_classifier_and_a_segment_that_is_not_there_are_said(folder):
    assert "has none to ask" in str(explain(folder, SEGMENT.id).exception)
    assert "no segment" in str(explain(folder, uuid4()).exception)
