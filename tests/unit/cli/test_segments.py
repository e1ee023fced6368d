"""`qualstream segments`: a segment's story by its own id or ours, and deleting it wherever it is kept."""

import json

import pytest
from click.testing import CliRunner

from infra.cli import cli
from infra.storage.store import open_store
from models.errors import InputError
from schemas import Annotation
from schemas.ids import code_id
from tests.unit.storage.test_store import assignment, decision, minutes, segment


@pytest.fixture
def folder(tmp_path):
    store = open_store(f"sqlite:///{tmp_path / 'qualstream.db'}")
    one, two = (segment(n, own_id=f"row {n}", metadata={"rating": n}) for n in (1, 2))
    said = Annotation(
        segment_id=one.id,
        study="app",
        annotator="ana",
        code_ids=[code_id("app", "late reply")],
        labels=["late reply"],
        decided_at=minutes(1),
    )
    store.record([one, two, decision(one, "slow"), assignment(one, "slow"), said])
    store.close()
    return tmp_path, one, two


def run(folder, *words):
    return CliRunner(env={"QUALSTREAM_DATA_DIR": str(folder)}).invoke(
        cli, ["segments", *map(str, words), "--study", "app"], catch_exceptions=False
    )


def test_a_segment_is_shown_with_what_models_proposed_and_people_decided(folder):
    path, one, _ = folder
    story = json.loads(run(path, "show", one.id, "--json").stdout)
    assert (story["text"], story["code"], story["final codes"]) == (one.text, "slow", ["late reply"])
    assert story["people"] == ["ana: late reply"]
    shown = run(path, "show", one.id).stdout
    assert "late reply" in shown
    assert "asked" not in shown


def test_a_segment_that_nobody_has_coded_yet_is_shown_as_far_as_it_is_known(folder):
    path, _, two = folder
    story = json.loads(run(path, "show", two.id, "--json").stdout)
    assert story["final codes"] == []
    assert "code" not in story


def test_a_segment_is_found_by_the_id_that_its_source_gave_it(folder):
    path, _, two = folder
    assert json.loads(run(path, "show", "row 2", "--json").stdout)["id"] == str(two.id)


def test_a_name_that_no_segment_has_is_an_error_that_says_so(folder):
    with pytest.raises(InputError, match="study 'app' has no segment 'row 99'"):
        run(folder[0], "show", "row 99")


def test_what_is_deleted_is_gone_and_the_receipt_says_so(folder):
    path, one, two = folder
    receipt = json.loads(run(path, "delete", one.id, "--yes").stdout)
    assert "segments by id" in json.dumps(receipt)
    with pytest.raises(InputError, match=str(one.id)):
        run(path, "show", one.id)
    assert run(path, "show", two.id).exit_code == 0
