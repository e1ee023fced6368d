"""`qualstream rules`: those in force, and asking people about what is coded already."""

import json

import pytest
from click.testing import CliRunner

from infra.cli import cli
from infra.storage.outbox import Outbox
from infra.storage.store import open_store
from models.errors import InputError
from schemas import AnnotationRequest, StudyRules
from tests.unit.storage.test_store import assignment, decision, minutes, segment


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path / 'qualstream.db'}")
    rules = StudyRules(study="app", mode="people", audit_share=0.0, author="lea", at=minutes(0))
    for n in range(3):
        coded = segment(n)
        route = None if n == 0 else "accepted"
        opened.record([coded, decision(coded, "slow"), assignment(coded, "slow", route=route), rules])
    yield opened
    opened.close()


def run(tmp_path, *words):
    return CliRunner(env={"QUALSTREAM_DATA_DIR": str(tmp_path)}).invoke(
        cli, ["rules", *words, "--study", "app"], catch_exceptions=False
    )


def test_the_rules_in_force_are_printed(store, tmp_path):
    values = json.loads(run(tmp_path, "show", "--json").stdout)
    assert (values["mode"], values["author"]) == ("people", "lea")
    assert "mode" in run(tmp_path, "show").stdout


def test_a_dry_run_counts_and_asks_nobody(store, tmp_path):
    counted = json.loads(run(tmp_path, "apply", "--dry-run", "--json").stdout)
    assert (counted["coded"], counted["asked"], counted["reasons"]) == (2, 2, {"every segment": 2})
    assert list(store.history(AnnotationRequest, "app")) == []


def test_people_are_asked_and_the_requests_wait_for_the_broker(store, tmp_path):
    done = run(tmp_path, "apply")
    assert done.stderr.strip() == "of 2 coded segments 2 are asked about (2 every segment)"
    assert len(list(store.history(AnnotationRequest, "app"))) == 2
    assert Outbox(store.database).backlog() == 2
    assert json.loads(run(tmp_path, "apply", "--json").stdout)["asked"] == 0


@pytest.mark.parametrize(
    "command",
    [
        ["rules", "apply"],
        ["agreement"],
        ["bias"],
        ["check"],
        ["codebook", "export"],
        ["dead-letters", "list"],
        ["export"],
        ["reopen"],
    ],
    ids=" ".join,
)
def test_an_unknown_study_is_an_error_that_names_those_there_are(store, tmp_path, command):
    with pytest.raises(InputError, match=r"no study 'none' in .*; those that there are: app"):
        CliRunner(env={"QUALSTREAM_DATA_DIR": str(tmp_path)}).invoke(
            cli, [*command, "--study", "none"], catch_exceptions=False
        )
