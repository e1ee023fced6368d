"""Messages that no role can work on: each is set aside, the good ones around it are coded, and no role ends."""

import json
import sys
from pathlib import Path

from infra.local.stack import CODING
from infra.storage.store import Store
from schemas import DeadLetter
from schemas.feedback import LONGEST_TEXT
from schemas.ids import segment_id
from streams.publish import Outgoing
from streams.runner import ENDS_PROCESSES
from streams.stage import RAW_KEPT
from streams.topology import FEEDBACK, LARGEST_MESSAGE
from tests.brokers.chosen import Brokers
from tests.brokers.deadly_coders import DEADLY, FAILING
from tests.integration.stack import STUDY, publish, running, segments, until

GOOD = segments(30)


def _changed(**fields: object) -> bytes:
    return json.dumps(json.loads(GOOD[0].to_bytes()) | {"id": "6c5f9c0e-5d0e-5b7e-9a55-0d2f8a6f1c11"} | fields).encode()


POISON = {
    "a number that no database holds": _changed(cut_from=10**30),
    "a number below zero": _changed(cut_from=-1),
    "a moment before the calendar": _changed(timestamp="0001-01-01T00:00:00+14:00"),
    "a moment after the calendar": _changed(timestamp="9999-12-31T23:59:59-14:00"),
    "a text that is a book": _changed(text="x" * (LONGEST_TEXT + 1)),
    "millions of bytes of garbage": b"\xff" * 4_300_000,
    "a deep nest": b'{"metadata": ' + b"[" * 100_000,
    "a field with an endless name": _changed(**{"metadata": {"x" * 1_000_000: 1}, "source": ""}),
    "no number": _changed(metadata={"share": float("inf")}, cut_from=float("nan")),
}


def _letters(store: Store) -> list[DeadLetter]:
    return [kept.letter for kept in store.dead_letters()]


def test_what_cannot_be_worked_on_is_set_aside_and_what_stands_around_it_is_coded(
    tmp_path: Path, brokers: Brokers
) -> None:
    large = GOOD[1].model_copy(update={"id": GOOD[0].id, "metadata": {"page": "x" * (LARGEST_MESSAGE + 700_000)}})
    with running(tmp_path / "data", brokers=brokers) as (stack, store):
        store.take_in([large, *GOOD[1:]])
        for value in POISON.values():
            publish(stack.cluster, [Outgoing(FEEDBACK.name, b"k" * 3_000, value)])
        until(lambda: store.counts(STUDY).routed >= len(GOOD) - 1, stack)
        until(lambda: len(_letters(store)) >= len(POISON) + 1, stack)
        letters = _letters(store)
        assert stack.restarts == 0
    assert store.open_segments() == 0
    assert store.counts(STUDY).routed == len(GOOD) - 1
    (refused,) = [letter for letter in letters if letter.segment_id == large.id]
    assert refused.study == STUDY
    assert f"has {len(large.to_bytes()):,} bytes, which the brokers refuse" in refused.reason
    for value in POISON.values():
        assert any(value.startswith(letter.raw) for letter in letters if letter.raw)
    (garbage,) = [letter for letter in letters if letter.size and letter.topic == FEEDBACK.name and letter.offset >= 0]
    assert garbage.size == len(POISON["millions of bytes of garbage"])
    for letter in letters:
        assert len(letter.to_bytes()) < 2 * RAW_KEPT
        assert len(letter.reason) <= 2_000


def test_a_text_that_ends_the_process_that_reads_it_is_set_aside_and_its_neighbours_are_coded(
    tmp_path: Path, brokers: Brokers
) -> None:
    deadly = [
        GOOD[7].model_copy(update={"text": text, "id": segment_id(STUDY, "deadly", text)}) for text in (DEADLY, FAILING)
    ]
    roles = [role for role in CODING if role != "coders"]
    with running(tmp_path / "data", brokers=brokers, roles=roles) as (stack, store):
        store.take_in([*GOOD[:10], *deadly, *GOOD[10:]])
        coders = stack.add("coders", [sys.executable, "-m", "tests.brokers.deadly_coders"])
        until(lambda: store.open_segments() == 0, stack, seconds=150)
        letters = _letters(store)
        assert coders.pid is not None
    assert store.counts(STUDY).routed == len(GOOD)
    assert {letter.segment_id for letter in letters} == {segment.id for segment in deadly}
    assert {letter.reason for letter in letters} == {ENDS_PROCESSES}
