"""`qualstream code` in each coding mode, with a codebook and without."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from infra.cli.data import code

FAKES = str(Path("tests/data/fakes.toml").resolve())
TEXTS = ["a nice app", "bad battery", "nice app indeed"]


@pytest.fixture
def run(tmp_path):
    texts, codebook, coded = (tmp_path / name for name in ("texts.csv", "codebook.csv", "coded.csv"))
    texts.write_text("text\n" + "\n".join(TEXTS) + "\n")
    codebook.write_text("code,definition\nnice app,They like it\nprice,What it costs them\n")
    coded.write_text("text,codes\nwhat a nice thing,nice app\n")
    places = {"CODEBOOK": str(codebook), "CODED": str(coded), "NONE": str(tmp_path / "none.csv")}

    def runs(*options: str) -> Result:
        arguments = [places.get(option, option) for option in options]
        environment = {"QUALSTREAM_DATA_DIR": str(tmp_path / "data")}
        return CliRunner(env=environment).invoke(code, [str(texts), "--profile", FAKES, *arguments])

    return runs


def rows(done: Result) -> list[dict[str, object]]:
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_without_a_mode_models_open_codes_as_ever(run):
    found = rows(run())
    assert [(row["standing"], row["new"]) for row in found] == [("code", True), ("code", True), ("code", False)]


def test_an_inductive_study_uses_a_codebook_and_opens_what_it_lacks(run):
    found = rows(run("--codebook", "CODEBOOK"))
    assert (found[0]["code"], found[0]["new"]) == ("nice app", False)
    assert found[1]["new"]


@pytest.mark.parametrize("given", [("--codebook", "CODEBOOK"), ("--coded", "CODED")])
def test_a_deductive_study_gives_codes_of_the_codebook_alone_and_the_rest_goes_to_people(run, given):
    done = run("--mode", "deductive", *given)
    first, second, third = rows(done)
    assert (first["code"], first["standing"], first["new"]) == ("nice app", "code", False)
    assert (second["code"], second["code_id"], second["standing"], second["route"]) == (None, None, "none", "people")
    assert str(second["why"]).startswith("none of these: ")
    assert second["nearest"] in ("nice app", "price")
    assert third["code"] == "nice app"
    assert "2 segments coded, 0 could not be; 1 fit no code of the codebook and go to people" in done.stderr


def test_a_mixed_study_proposes_codes_that_a_person_has_to_admit(run):
    done = run("--mode", "mixed", "--codebook", "CODEBOOK")
    first, second, _ = rows(done)
    assert (first["code"], first["standing"]) == ("nice app", "code")
    assert (second["code"], second["standing"], second["proposed"], second["route"]) == (
        *(None, "proposed", "bad battery", "people"),
    )
    assert "1 have a proposed code that a person has to admit" in done.stderr


def test_a_mixed_study_may_begin_without_a_codebook(run):
    assert {row["standing"] for row in rows(run("--mode", "mixed"))} == {"proposed"}


def test_a_deductive_study_without_a_codebook_is_refused_before_a_text_is_read(run):
    done = run("--mode", "deductive")
    assert done.exit_code == 1
    assert done.stdout == ""
    assert "there is no codebook to choose codes from; give one with --codebook" in str(done.exception or done.stderr)


def test_a_codebook_that_is_not_there_is_an_error_in_one_line(run):
    done = run("--mode", "deductive", "--codebook", "NONE")
    assert done.exit_code != 0
    assert "none.csv" in str(done.exception) + done.stderr
