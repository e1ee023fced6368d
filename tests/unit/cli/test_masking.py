"""What commands say and keep of personal data in the files that they read."""

import json

import pytest
from click.testing import CliRunner

from infra.cli import cli
from infra.factory.stores import build_store
from infra.settings import load_settings
from schemas import Segment
from tests.integration.stack import FAKES

ROWS = 'id,text,author\n1,"hangs, ask zoe@x.org or 0170 1234567",Zoe Zebra\n2,slow since 03.04.2026,\n'


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("QUALSTREAM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("QUALSTREAM_PROFILE", str(FAKES))
    (tmp_path / "rows.csv").write_text(ROWS)

    def invoke(*args: str, fails: bool = False):
        done = CliRunner().invoke(cli, [each.format(folder=tmp_path) for each in args])
        assert (done.exit_code != 0) == fails, done.output
        return done

    return invoke


def texts(folder) -> list[str]:
    store = build_store(load_settings(data_dir=folder / "data"))
    kept = [each.text for each in store.history(Segment)]
    store.close()
    return kept


def test_a_dry_run_says_what_would_be_masked_and_makes_nothing(run, tmp_path):
    output = run("ingest", "{folder}/rows.csv", "--study", "s", "--mask", "patterns", "--dry-run").output
    assert "personal data: 1 segment masked (1 mail, 1 name, 1 phone)" in output
    assert "hangs, ask [mail 1] or [phone 1]" in output
    assert "zoe@x.org" not in output
    assert not (tmp_path / "data").exists()


def test_the_outcome_says_how_many_were_masked_and_whether_anybody_can_see_them_again(run, tmp_path, monkeypatch):
    output = run("ingest", "{folder}/rows.csv", "--study", "s", "--mask", "patterns").output
    assert "1 segment masked (1 mail, 1 name, 1 phone) (no key is set, so originals are not kept)" in output
    run("masking-key", "{folder}/masking.key")
    monkeypatch.setenv("QUALSTREAM_MASKING_KEY_FILE", str(tmp_path / "masking.key"))
    (tmp_path / "rows.csv").write_text(ROWS.replace("1,", "7,", 1))
    assert (
        "originals are kept encrypted"
        in run("ingest", "{folder}/rows.csv", "--study", "s", "--mask", "patterns").output
    )


def test_a_changed_text_is_taken_as_a_masked_version_and_never_printed(run, tmp_path):
    run("ingest", "{folder}/rows.csv", "--study", "s", "--mask", "patterns")
    (tmp_path / "rows.csv").write_text(ROWS.replace("hangs,", "froze,"))
    again = ("ingest", "{folder}/rows.csv", "--study", "s", "--mask", "patterns", "--changed", "version")
    output = run(*again).output
    assert "zoe@x.org" not in output
    assert "1 taken as new versions" in output
    assert sorted(texts(tmp_path))[0] == "froze, ask [mail 2] or [phone 2]"
    report = json.loads(run("ingest", "{folder}/rows.csv", "--study", "s", "--mask", "patterns", "--json").stdout)
    assert (report["new"], report["masked"]) == (0, 0)


def test_code_masks_what_models_see_and_what_it_prints(run):
    done = run("code", "{folder}/rows.csv", "--study", "s", "--mask", "patterns")
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert (first["text"], first["metadata"]["author"]) == ("hangs, ask [mail 1] or [phone 1]", "[name 1]")
    assert second["text"] == "slow since 03.04.2026"
    assert "1 segment masked" in done.stderr
    assert "zoe" not in done.stdout.casefold()


def test_coded_texts_and_segments_have_one_numbering(run, tmp_path):
    (tmp_path / "coded.csv").write_text("text,codes\nask ben@x.org,help\nask zoe@x.org,help\n")
    done = run("code", "{folder}/rows.csv", "--study", "s", "--mask", "patterns", "--coded", "{folder}/coded.csv")
    first = json.loads(done.stdout.splitlines()[0])
    assert first["text"] == "hangs, ask [mail 2] or [phone 1]"
    assert "1 segment masked (1 mail, 1 name, 1 phone)" in done.stderr
    assert "x.org" not in done.stdout


def test_teach_masks_the_texts_that_it_keeps(run, tmp_path):
    (tmp_path / "coded.csv").write_text("text,codes\nask zoe@x.org,help\n")
    run("teach", "{folder}/coded.csv", "--study", "s", "--coder", "ana", "--mask", "patterns")
    kept = [path for path in (tmp_path / "data").rglob("*") if path.is_file() and b"zoe@x.org" in path.read_bytes()]
    assert kept == []


def test_a_level_that_there_is_not_is_refused(run):
    assert "patterns" in run("ingest", "{folder}/rows.csv", "--study", "s", "--mask", "all", fails=True).output
