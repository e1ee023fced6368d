"""Halving finds the bad items and loses no good one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.bisection import isolate_failures
from models.errors import SettingError, UnavailableError, UncodableError, WorkerFault


def failing_on(bad, calls=None):
    def step(items):
        if calls is not None:
            calls.append(len(items))
        if bad & set(items):
            raise ValueError(f"cannot take {sorted(bad & set(items))}")
        return [item * 10 for item in items]

    return step


@given(st.lists(st.integers(0, 20), max_size=24), st.sets(st.integers(0, 20)))
def test_exactly_the_bad_items_fail_and_the_order_is_kept(items, bad):
    results = isolate_failures(failing_on(bad), items)
    assert [isinstance(result, UncodableError) for result in results] == [item in bad for item in items]
    assert [r for r in results if not isinstance(r, UncodableError)] == [i * 10 for i in items if i not in bad]


def test_a_good_batch_takes_one_call_and_an_empty_one_none():
    calls = []
    isolate_failures(failing_on(set(), calls), [1, 2, 3])
    isolate_failures(failing_on(set(), calls), [])
    assert calls == [3]


def test_the_reason_is_one_short_line_with_the_kind_of_error():
    def step(items):
        raise MemoryError("out of\nmemory " + "x" * 1_000)

    (bad,) = isolate_failures(step, [1])
    assert str(bad).startswith("MemoryError: out of memory xxx")
    assert len(str(bad)) == 300


def test_an_uncodable_item_keeps_its_own_reason():
    def step(items):
        raise UncodableError("no usable label")

    assert str(isolate_failures(step, [1])[0]) == "no usable label"


@pytest.mark.parametrize("error", [UnavailableError, SettingError, KeyboardInterrupt])
def test_what_halving_cannot_mend_is_raised_at_once(error):
    calls = []

    def step(items):
        calls.append(len(items))
        raise error("away")

    with pytest.raises(error):
        isolate_failures(step, [1, 2, 3, 4])
    assert calls == [4]


def test_a_step_that_loses_a_result_is_a_fault_of_the_worker():
    with pytest.raises(WorkerFault, match="1 results for 2 items"):
        isolate_failures(lambda items: items[:1], [1, 2])
