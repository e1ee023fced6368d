"""The export command: which segments a file has, and what an unknown study is told."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from infra.cli import cli
from infra.settings import load_settings
from infra.storage.store import open_store
from models.errors import InputError
from tests.unit.annotation.test_human_decision import ASSIGNED, OPENED, SEGMENT, said
from tests.unit.annotation.test_human_decision import STUDY as REVIEWS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QUALSTREAM_DATA_DIR", str(tmp_path))
    store = open_store(load_settings().store_url)
    segment = SEGMENT.model_copy(update={"metadata": {"stars": 1}})
    store.record([segment, ASSIGNED, *OPENED, said("ana", "price"), said("ben", "slow")])
    store.close()
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ((), 1),
        (("--undecided",), 1),
        (("--decided",), 0),
        (("--code", "Price"), 0),
        (("--attribute", "stars=1", "--source", SEGMENT.source), 1),
        (("--attribute", "stars=2"), 0),
        (("--from", "2020-01-01", "--to", "2100-01-01"), 1),
        (("--to", "2020-01-01"), 0),
    ],
)
def test_options_narrow_what_is_exported(folder, options, rows):
    done = run("export", "--study", REVIEWS, "--format", "jsonl", *options)
    assert (done.exit_code, len(done.stdout.splitlines())) == (0, rows)


@pytest.mark.parametrize(("rule", "final"), [("majority", []), ("none", []), ("model", ["ads"])])
def test_the_rule_for_coders_who_differ_stands_in_each_row(folder, rule, final):
    row = json.loads(run("export", "--study", REVIEWS, "--format", "jsonl", "--disputed", rule).stdout)
    assert (row["final_codes"], row["disputed_rule"], row["disputed"]) == (final, rule, True)


@pytest.mark.parametrize("command", [("export",), ("codebook", "export")])
def test_an_unknown_study_is_an_error_that_names_the_known_ones(folder, command):
    done = run(*command, "--study", "revews")
    assert isinstance(done.exception, InputError)
    assert f"no study 'revews' in 'sqlite:///{folder}/qualstream.db'; those that there are: {REVIEWS}" in str(
        done.exception
    )


def test_texts_are_not_taken_into_a_study_that_nobody_named(folder, monkeypatch):
    texts = folder / "texts.csv"
    texts.write_text("text\nslow\n")
    monkeypatch.delenv("QUALSTREAM_STUDY", raising=False)
    done = run("ingest", str(texts))
    assert "no study is named" in str(done.exception)
    assert REVIEWS in str(done.exception)
    assert run("ingest", str(texts), "--study", "new").exit_code == 0
    monkeypatch.setenv("QUALSTREAM_STUDY", "newer")
    assert run("ingest", str(texts)).exit_code == 0
