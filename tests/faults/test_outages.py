"""What is away is waited for, with a line in the log and nothing acknowledged; what is odd costs only itself."""

import signal

import pytest

from infra.local.stack import free_port
from models.fakes import FakeCoder, HandClock
from schemas import DeadLetter, Proposals, Segment
from schemas.ids import segment_id
from streams.cluster import Cluster
from streams.stage import Received
from streams.stages.coders import CodersStage
from streams.topology import DEAD_LETTERS, FEEDBACK, PROPOSALS
from tests.integration.stack import (
    STUDY,
    Started,
    alone,
    create,
    feedback,
    lag,
    messages,
    publish,
    reach,
    running,
    segments,
    until,
    worker,
)

GRACE_S = 20


def coded(cluster: Cluster) -> set:
    return {Proposals.from_bytes(raw).segment.id for raw in messages(cluster, PROPOSALS.name)}


def stops_when_asked(waiting: Started) -> None:
    """A worker that waits still ends when it is told to, without a complaint."""
    assert waiting.runs
    waiting.process.send_signal(signal.SIGTERM)
    assert waiting.process.wait(timeout=GRACE_S) == 0
    assert "Traceback" not in waiting.said


def _says_that_the_broker_is_silent(said: str) -> bool:
    """Before it sends, it asks whether its partitions are still its own: it waits in one of the two."""
    return ("delivery: " in said and "; trying again in " in said) or "the brokers do not say whether" in said


@pytest.mark.slow
def test_a_worker_whose_broker_stops_answering_says_so_and_goes_on_by_itself(tmp_path, brokers):
    port, wanted = free_port(), segments(3_000)  # so many that some are on their way however slowly this is looked at
    cluster = Cluster((f"127.0.0.1:{port}",))
    options = {"kafka_url": cluster.servers[0], "batch_size": "2", "batch_wait_s": "0.05"}
    with alone(brokers, port, tmp_path) as one, worker("coders", tmp_path / "data", **options) as coders:
        create(cluster)
        publish(cluster, feedback(wanted))
        until(lambda: len(messages(cluster, PROPOSALS.name)) > 10)
        one.signal(signal.SIGSTOP)
        until(lambda: _says_that_the_broker_is_silent(coders.said))
        one.signal(signal.SIGCONT)
        until(lambda: coded(cluster) == {segment.id for segment in wanted})
        until(lambda: lag(cluster, "coders") == 0)
        assert coders.runs
        assert messages(cluster, DEAD_LETTERS.name) == []


def test_a_worker_that_is_started_before_its_broker_waits_for_it(tmp_path, brokers):
    port, wanted = free_port(), segments(5)
    cluster = Cluster((f"127.0.0.1:{port}",))
    with worker("coders", tmp_path / "data", kafka_url=cluster.servers[0]) as coders:
        until(lambda: f"brokers at 127.0.0.1:{port}: " in coders.said)
        assert "; trying again in 0.5 s" in coders.said
        with alone(brokers, port, tmp_path):
            create(cluster)
            publish(cluster, feedback(wanted))
            until(lambda: coded(cluster) == {segment.id for segment in wanted})
            stops_when_asked(coders)
    assert coders.said.count("Unable connect to ") <= 5  # the client library says so ten times a second


def test_a_worker_whose_database_is_away_waits_and_says_where_it_should_be(tmp_path):
    port = free_port()
    url = f"postgresql://someone:a-secret@127.0.0.1:{port}/reviews"
    with worker("router", tmp_path / "data", kafka_url="127.0.0.1:9", database_url=url) as router:
        until(lambda: router.said.count("trying again in") >= 2)
        assert (
            f"the database 'postgresql+psycopg://someone:***@127.0.0.1:{port}/reviews' does not answer" in router.said
        )
        assert "a-secret" not in router.said
        stops_when_asked(router)


def test_a_refiner_whose_code_index_is_away_waits_and_reads_nothing(tmp_path, brokers):
    away = free_port()
    url = f"http://127.0.0.1:{away}"
    with (
        running(tmp_path / "data", roles=(), brokers=brokers) as (stack, _),
        worker("refiner", tmp_path / "data", qdrant_url=url, **reach(stack.cluster)) as refiner,
    ):
        until(lambda: refiner.said.count("trying again in") >= 2)
        assert f"Qdrant at {url} does not answer" in refiner.said
        stops_when_asked(refiner)


# Segments that are odd


def step(*texts: str, **how):
    """What the coders make of these texts: segment texts that were coded, with their cut, and dead letters by text."""
    batch = [
        Received(
            FEEDBACK.name,
            0,
            n,
            b"k",
            Segment(id=segment_id(STUDY, "x", str(n)), study=STUDY, text=t, source="x").to_bytes(),
        )
        for n, t in enumerate(texts)
    ]
    result = CodersStage(FakeCoder(**how), 4_000, HandClock()).step(batch)
    assert result.done == batch
    letters = [DeadLetter.from_bytes(m.value) for m in result.send if m.topic == DEAD_LETTERS.name]
    return (
        [Proposals.from_bytes(m.value) for m in result.send if m.topic == PROPOSALS.name],
        {letter.offset: letter.reason for letter in letters},
    )


def test_a_segment_that_the_model_fails_on_is_set_aside_alone():
    texts = [f"login is slow {n}" for n in range(9)] + ["BOOM"] + [f"too many ads {n}" for n in range(6)]
    read, letters = step(*texts, fail_on="BOOM")
    assert [one.segment.text for one in read] == [text for text in texts if text != "BOOM"]
    assert list(letters) == [9]
    assert letters[9].startswith("RuntimeError: ")


@pytest.mark.parametrize("text", ["", " \n\t ", "\x00", "\x00\x01\x1f", "\u200f\u200e\u202e", "\ufeff", "\u0301"])
def test_a_text_with_nothing_to_see_is_set_aside_and_its_neighbours_are_coded(text):
    read, letters = step("one good text", text, "another good text")
    assert len(read) == 2
    assert list(letters) == [1]
    assert letters[1].startswith("no text to code")


@pytest.mark.parametrize(
    "text",
    ["slow\x00login", "\u202eتسجيل الدخول بطيء\u202c", "😀😡", "👩\u200d💻", "?!", "ﷺ", "x", "=cmd()", "{segment}"],
)
def test_a_text_that_can_be_seen_is_read_as_it_came(text):
    ((read,), letters) = step(text)
    assert letters == {}
    assert read.segment.text == text
    assert read.segment.cut_from is None
    assert all(proposal.fault is None and proposal.label for proposal in read.proposals)


def test_a_text_of_100_000_characters_is_cut_and_the_cut_recorded():
    ((read,), letters) = step("login slow " * 9_090 + "and so on.")
    assert letters == {}
    assert len(read.segment.text) == 4_000
    assert read.segment.cut_from == 100_000
