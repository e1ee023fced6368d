"""A stream that ends is looked at as a whole: changes that no window shows, in few segments or of many codes."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest

from models.drift.counts.stratified import StratifiedCounts
from models.drift.end_test import LEAST, EndTest
from models.drift.monitor import Monitor
from models.drift.observation import Observed
from models.drift.settings import DriftSettings

START = datetime(2026, 1, 1, tzinfo=UTC)
SEEDS = range(4)
MINUTES = 14.4


def code_of(n, length, codes, size, random):
    """Half of the codes up to the middle; then a share ``size`` of the segments is of the other half."""
    half = codes // 2
    return f"code {(half if n >= length // 2 and random.random() < size else 0) + random.integers(half)}"


def table_of(length, codes, size, seed):
    random, table = np.random.default_rng([seed, length, codes]), StratifiedCounts()
    for n in range(length):
        source = f"source {random.integers(2)}"
        table.add(60 * MINUTES * n, UUID(int=n + 1), (source, ""), code_of(n, length, codes, size, random))
        if n % 25 == 24 or n == length - 1:
            table.close_block(1 + n // 25, 60 * MINUTES * n)
    return table


def end_test(table, alpha=0.005):
    return EndTest(table, alpha, DriftSettings().tolerated_sd, DriftSettings().seasonal_sd, seed=1)


def power(length, codes, size):
    return sum(end_test(table_of(length, codes, size, seed)).run() is not None for seed in SEEDS)


def alerts_of(length, codes, size, seed, at=None):
    random, monitor = np.random.default_rng([seed, length]), Monitor("demo", DriftSettings(lateness=timedelta()))
    alerts = []
    for n in range(length):
        code = code_of(n - (at or length // 2) + length // 2, length, codes, size, random)
        alerts += monitor.update(Observed(START + timedelta(minutes=MINUTES * n), UUID(int=n + 1), "shop", code))
    return alerts + monitor.finish(), monitor


@pytest.mark.parametrize("length", [60, 100, 150, 200, 250, 300, 320])
@pytest.mark.parametrize("codes", [2, 4])
def test_a_whole_swap_midway_is_found_from_the_least_number_of_segments_on(length, codes):
    alerts, _ = alerts_of(length, codes, 1.0, 1)
    assert set(alerts[0].codes) & {f"code {n}" for n in range(codes)}


@pytest.mark.parametrize("place", [0.25, 0.4, 0.6, 0.75])
def test_a_swap_is_found_wherever_it_is_in_a_short_stream(place):
    (alert,), _ = alerts_of(300, 2, 1.0, 3, at=int(300 * place))
    moment = START + timedelta(minutes=MINUTES * int(300 * place))
    assert abs(alert.at - moment) <= timedelta(hours=5)


@pytest.mark.parametrize("codes", [2, 4, 10, 40])
@pytest.mark.parametrize("length", [300, 1_000])
def test_power_rises_with_the_change_whatever_the_number_of_codes(codes, length):
    found = [power(length, codes, size) for size in (0.1, 0.3, 0.6, 1.0)]
    assert found == sorted(found)
    assert found[-2:] == [len(SEEDS)] * 2


@pytest.mark.parametrize(("codes", "size"), [(2, 0.3), (4, 0.3), (10, 0.3), (40, 0.3)])
def test_power_rises_with_the_number_of_segments(codes, size):
    found = [power(length, codes, size) for length in (60, 300, 1_000)]
    assert found == sorted(found)
    assert found[-1] == len(SEEDS)


def test_where_nothing_changes_alarms_are_as_rare_as_they_may_be():
    alpha, streams = 0.1, 100
    raised = sum(end_test(table_of(60, 6, 0.0, seed), alpha).run() is not None for seed in range(streams))
    assert raised <= 18  # 10 are due; more than 18 come once in a hundred drawings


def test_fewer_segments_than_the_least_are_not_compared():
    alerts, monitor = alerts_of(LEAST - 1, 2, 1.0, 1)
    assert alerts == []
    assert not monitor.compared(coded=True)
    assert monitor.too_few()[0].endswith(f" of {LEAST}")


def test_hours_that_were_not_seen_yet_are_no_change():
    random, table = np.random.default_rng(5), StratifiedCounts()
    for n in range(300):
        night = n >= 150
        table.add(60.0 * n, UUID(int=n + 1), ("shop", ""), "late" if random.random() < 0.35 + 0.1 * night else "cost")
        if n % 25 == 24:
            table.close_block(1 + n // 25, 60.0 * n)
    assert end_test(table).run() is None


def test_what_was_found_already_is_not_found_again():
    random, monitor = np.random.default_rng(2), Monitor("demo", DriftSettings(lateness=timedelta()))
    alerts = []
    for n in range(1_000):
        code = code_of(n, 1_000, 2, 1.0, random)
        alerts += monitor.update(Observed(START + timedelta(minutes=MINUTES * n), UUID(int=n + 1), "shop", code))
    assert len(alerts) == 1
    assert monitor.finish() == []
