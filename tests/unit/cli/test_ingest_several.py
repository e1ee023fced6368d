"""`ingest` with several files: each a source of its own, and a bad one loses no other."""

import json

import pytest
from click.testing import CliRunner

from infra.cli import cli
from infra.factory.stores import build_store
from infra.settings import load_settings
from schemas import Segment
from tests.integration.stack import FAKES


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("QUALSTREAM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("QUALSTREAM_PROFILE", str(FAKES))
    (tmp_path / "may").mkdir()
    (tmp_path / "a.csv").write_text("id,text\n1,It hangs\n2,n/a\n")
    (tmp_path / "b.txt").write_text("I: Why?\nB: The pay.\nI: And?\nB: The nights.\n")
    (tmp_path / "may" / "a.csv").write_text("id,text\n1,It is dear\n")
    (tmp_path / "c.mp3").write_bytes(b"\xff\xfb")

    def invoke(*args: str):
        done = CliRunner().invoke(cli, ["ingest", *(each.format(folder=tmp_path) for each in args), "--study", "s"])
        return done.exit_code, done.stdout, done.stderr + str(done.exception or "")

    return invoke


def kept(folder):
    store = build_store(load_settings(data_dir=folder / "data"))
    texts = {(each.source, each.text) for each in store.history(Segment)}
    store.close()
    return texts


def test_each_file_is_a_source_and_all_are_summed_up(run, tmp_path):
    status, out, _ = run("{folder}/a.csv", "{folder}/b.txt", "--json")
    assert status == 0
    report = json.loads(out)
    assert (report["read"], report["new"], report["left_out"]) == (3, 3, 3)
    assert kept(tmp_path) == {("a.csv", "It hangs"), ("b.txt", "The pay."), ("b.txt", "The nights.")}


def test_a_file_that_cannot_be_read_is_named_in_the_end_and_the_others_are_taken(run, tmp_path):
    status, _, words = run("{folder}/c.mp3", "{folder}/a.csv", "{folder}/may/a.csv", "{folder}/no.csv")
    assert status != 0
    assert "have it transcribed first" in words
    assert "another file of this name is among them" in words
    assert "no such file" in words
    assert "3 of 4 files were not taken in" in words
    assert "1 segments read, 1 of them new" in words
    assert kept(tmp_path) == {("a.csv", "It hangs")}


def test_a_dry_run_shows_each_file_and_writes_nothing(run, tmp_path):
    status, out, _ = run("{folder}/a.csv", "{folder}/b.txt", "--dry-run")
    assert status == 0
    assert "It hangs" in out
    assert "The nights." in out
    assert not (tmp_path / "data").exists()
