"""Codes that take the place of others, from a few of them to all: the larger the change, the surer it is found."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest

from models.drift.counts.caps import BurstCaps
from models.drift.counts.codec import decode_counts, encode_counts
from models.drift.counts.stratified import StratifiedCounts
from models.drift.monitor import Monitor
from models.drift.observation import Observed
from models.drift.settings import DriftSettings

START = datetime(2026, 1, 1, tzinfo=UTC)
LENGTH, AT = 1_000, 500
SIZES = (0.05, 0.15, 0.3, 0.6, 1.0)
SEEDS = range(4)


def turnover(codes, size, seed, *, sources=1, length=LENGTH):
    """Half of the codes before; then a share ``size`` of the segments is of the other half."""
    random = np.random.default_rng([codes, seed])
    half = codes // 2
    for n in range(length):
        new = half if n >= length // 2 and random.random() < size else 0
        code = f"code {new + random.integers(half)}"
        yield Observed(START + timedelta(minutes=5 * n), UUID(int=n + 1), f"source {n % sources}", code)


def alerts_of(stream, **settings):
    monitor = Monitor("demo", DriftSettings(lateness=timedelta(), **settings))
    return monitor.extend(stream) + monitor.finish()


def found(codes, size, seed):
    """Whether the change was found behind it."""
    changed = START + timedelta(minutes=5 * AT)
    return any(alert.detected_at > changed for alert in alerts_of(turnover(codes, size, seed)))


@pytest.mark.parametrize("codes", [2, 4, 12, 40])
def test_a_larger_change_is_found_no_less_often_and_a_whole_one_always(codes):
    power = [sum(found(codes, size, seed) for seed in SEEDS) for size in SIZES]
    assert power == sorted(power)
    assert power[-2:] == [len(SEEDS)] * 2


@pytest.mark.parametrize(("before", "after"), [(0.0, 1.0), (0.0, 0.5), (0.05, 1.0), (0.1, 0.9), (0.2, 0.8), (0.3, 0.9)])
def test_two_codes_that_swap_are_found_whatever_their_shares(before, after):
    random = np.random.default_rng(7)
    rows = [
        Observed(
            START + timedelta(minutes=5 * n),
            UUID(int=n + 1),
            "shop",
            "crash" if random.random() < (before if n < AT else after) else "price",
        )
        for n in range(LENGTH)
    ]
    (alert,) = alerts_of(rows)
    assert abs(alert.at - rows[AT].at) <= timedelta(hours=2)
    assert set(alert.codes) == {"crash", "price"}


@pytest.mark.parametrize("settings", [{"window": 100}, {"reference": "fixed"}, {"window": timedelta(days=1)}])
def test_a_whole_turnover_is_found_with_other_windows_and_references(settings):
    assert alerts_of(turnover(2, 1.0, 1, length=3_000), history=1_000, **settings)


@pytest.mark.parametrize("sources", [3, 10])
def test_a_whole_turnover_is_found_within_each_of_several_sources(sources):
    assert alerts_of(turnover(6, 1.0, 1, sources=sources, length=2_000))


def test_what_goes_on_is_counted_again_and_a_burst_of_twelve_is_not():
    caps = BurstCaps()
    caps.add_stratum()
    caps.update(np.array([[500.0, 500.0, 0.0]]), np.array([[100.0, 100.0, 0.0]]))
    for _ in range(60):
        assert not caps.exceeded(0, 1)
    assert sum(not caps.exceeded(0, 2) for _ in range(12)) == 2
    assert not any(caps.exceeded(0, 1) for _ in range(60))
    counted = [not caps.exceeded(0, 2) for _ in range(60)]
    assert sum(counted[:20]) == 2
    assert all(counted[40:])


def test_a_code_that_is_alone_in_its_source_is_counted_from_the_first_segment_on():
    table = StratifiedCounts()
    for n in range(150):
        table.add(float(n), UUID(int=n), ("shop", ""), "price")
        if n % 25 == 24:
            table.close_block(1 + n // 25, float(n))
    assert table.total == 150


def test_what_goes_on_is_remembered_over_a_restart():
    table = StratifiedCounts()
    for n in range(210):
        table.add(float(n), UUID(int=n), ("shop", ""), "price" if n < 190 else "crash")
    again = decode_counts(encode_counts(table))
    assert list(table.caps.earlier[0])[-10:] == [2] * 10
    assert again.caps.earlier == table.caps.earlier
