"""Nothing is acknowledged past a message that is still in flight."""

from hypothesis import given
from hypothesis import strategies as st

from streams.ordered_acks import OrderedAcks


def reading(*offsets, partition="p"):
    acks = OrderedAcks()
    for offset in offsets:
        acks.read(partition, offset, f"event {offset}")
    return acks


def test_what_finishes_in_order_is_released_at_once():
    acks = reading(4, 5, 6)
    assert [acks.finish("p", offset) for offset in (4, 5, 6)] == [["event 4"], ["event 5"], ["event 6"]]
    assert len(acks) == 0


def test_what_finishes_early_waits_for_those_before_it():
    acks = reading(4, 5, 6, 9)
    assert acks.finish("p", 6) == []
    assert acks.finish("p", 5) == []
    assert len(acks) == 4
    assert acks.finish("p", 4) == ["event 4", "event 5", "event 6"]
    assert len(acks) == 1


def test_partitions_do_not_wait_for_each_other():
    acks = reading(1, 2, partition=("feedback", 0))
    acks.read(("feedback", 1), 1, "other")
    assert acks.finish(("feedback", 0), 2) == []
    assert acks.finish(("feedback", 1), 1) == ["other"]


def test_gaps_between_offsets_do_not_hold_anything_back():
    acks = reading(10, 700, 90_000)  # a compacted topic
    assert acks.finish("p", 10) == ["event 10"]
    assert acks.finish("p", 700) == ["event 700"]


def test_what_was_read_from_a_revoked_partition_is_never_released():
    acks = reading(4, 5)
    acks.finish("p", 5)
    acks.forget(["p", "never seen"])
    assert acks.finish("p", 4) == []
    assert len(acks) == 0


def test_a_partition_that_comes_back_starts_afresh():
    acks = reading(4, 5)
    acks.finish("p", 5)
    acks.forget(["p"])
    acks.read("p", 4, "again 4")
    acks.read("p", 5, "again 5")
    assert acks.finish("p", 4) == ["again 4"]
    assert acks.finish("p", 5) == ["again 5"]


@given(st.permutations(range(12)))
def test_in_whatever_order_messages_finish_they_are_released_in_order_and_once(order):
    acks = reading(*range(12))
    released = []
    for n, offset in enumerate(order):
        released += acks.finish("p", offset)
        done = set(order[: n + 1])
        assert len(released) == next((k for k in range(12) if k not in done), 12)
    assert released == [f"event {offset}" for offset in range(12)]
