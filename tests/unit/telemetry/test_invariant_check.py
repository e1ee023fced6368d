"""`qualstream check` on a read model without a broker."""

import json
import sys

import pytest

from infra import cli
from infra.settings import load_settings
from infra.storage.store import open_store
from tests.unit.builders import segment
from tests.unit.evaluation.test_invariants import Ledger


@pytest.fixture
def checked(tmp_path, monkeypatch, capsys):
    """Records in, what the command prints and its exit status out."""
    monkeypatch.setenv("QUALSTREAM_DATA_DIR", str(tmp_path))
    store = open_store(load_settings().store_url)

    def check(records, *options):
        store.record(records)
        monkeypatch.setattr(sys, "argv", ["qualstream", "check", *options])
        status = 0
        try:
            cli.main()
        except SystemExit as end:
            status = end.code
        return capsys.readouterr(), status

    yield check
    store.close()


def test_a_read_model_without_faults_exits_with_0_and_says_that_the_topics_were_not_read(checked):
    printed, status = checked(Ledger().records)
    assert status == 0
    assert "3 taken in = 0 open + 3 coded + 0 set aside" in printed.out
    assert "broken" not in printed.out
    assert "the topics were not read: no broker" in printed.err


def test_a_fault_exits_with_1_and_its_segment_is_named_to_programs_too(checked):
    ledger = Ledger()
    ledger.requests.pop(0)
    printed, status = checked(ledger.records, "--json")
    assert status == 1
    (fault,) = json.loads(printed.out)["faults"]
    assert fault["invariant"] == "routed to people is asked"
    assert (fault["count"], fault["ids"]) == (1, [str(ledger.segments[0].id)])


def test_a_fault_of_another_study_does_not_count(checked):
    ledger = Ledger()
    ledger.requests.pop(0)
    _, status = checked([*ledger.records, segment(study="interviews")], "--study", "interviews")
    assert status == 0
