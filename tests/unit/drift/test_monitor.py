"""The monitor over made streams: what it says, and when it says nothing."""

import gzip
import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from models.drift.monitor import Monitor
from models.drift.observation import KnownChange, Observed
from models.drift.settings import DriftSettings
from models.drift.signals import CODES_OF_A_DAY, SIGNALS, TEXTS, WORDS_OF_A_DAY, WORDS_THAT_LAST
from models.errors import SettingError
from schemas import DriftAlert

START = datetime(2020, 1, 1, tzinfo=UTC)
IN_ORDER = DriftSettings(lateness=timedelta())
AT = 1_000
RECORDED = Path(__file__).parents[2] / "data" / "drift_state_3.json.gz"
"""A state of format 3, written when the modules had other names: 520 segments of :func:`told_by_the_minute`."""


def stream(seed=1, n=1_800, share=lambda i: 0.05, source=None, **more):
    rng = np.random.default_rng(seed)
    for i in range(n):
        code = "wanted" if rng.random() < share(i) else f"code {rng.integers(0, 9)}"
        where = source(i, rng) if source else f"source {rng.integers(0, 3)}"
        known = {name: value(i, rng) for name, value in more.items()}
        yield Observed(START + timedelta(minutes=10 * i), UUID(int=i + 1), where, code, **known)


def run(observed, settings=IN_ORDER):
    monitor = Monitor("demo", settings)
    return monitor.extend(observed) + monitor.finish()


def minute(i):
    return START + timedelta(minutes=10 * i)


@pytest.fixture(scope="module")
def risen():
    return run(stream(share=lambda i: 0.05 if i < AT else 0.25))


def test_a_code_that_rises_is_found_soon_and_named_with_its_change_point(risen):
    alert = risen[0]
    assert len(risen) == 1
    assert alert.codes[0] == "wanted"
    assert alert.cause == "input"
    assert minute(AT) <= alert.detected_at <= minute(AT + 200)
    assert alert.earliest <= alert.at <= alert.latest
    assert abs(alert.at - minute(AT)) <= timedelta(minutes=10 * 60)
    assert alert.p <= 0.05
    assert alert.effect > 0.05
    assert alert.examples
    assert "'wanted'" in alert.says
    assert f"(95%: {alert.earliest:%Y-%m-%d %H:%M} to {alert.latest:%Y-%m-%d %H:%M})" in alert.says


def test_an_alert_crosses_a_topic_whole(risen):
    assert DriftAlert.from_bytes(risen[0].to_bytes()) == risen[0]


def test_a_new_source_is_volume_and_not_something_else_being_said():
    alerts = run(stream(source=lambda i, rng: "newcomer" if i >= AT and rng.random() < 0.4 else "old"))
    assert [alert.cause for alert in alerts] == ["volume"]
    assert alerts[0].sources[0] == "newcomer"
    assert alerts[0].kind == "emerging source"


def test_a_source_that_grows_with_codes_of_its_own_does_not_count_as_a_change_of_what_is_said():
    rng = np.random.default_rng(5)
    rows = []
    for i in range(1_800):
        ill = rng.random() < (0.2 if i < AT else 0.6)
        code = "wanted" if rng.random() < (0.5 if ill else 0.05) else "other"
        rows.append(Observed(minute(i), UUID(int=i + 1), "ill" if ill else "well", code))
    assert {alert.cause for alert in run(rows)} == {"volume"}


def test_a_release_near_the_change_point_is_named_as_the_model():
    confidence = {"confidence": lambda i, rng: float(rng.beta(6, 2) if i < AT else rng.beta(3, 3))}
    alerts = run(stream(**confidence, models=lambda i, rng: "profile 1" if i < AT else "profile 2"))
    assert {alert.cause for alert in alerts} == {"model"}
    assert "profile 2" in alerts[0].says


def test_codes_that_one_other_takes_over_are_a_matter_of_the_codebook():
    rng = np.random.default_rng(3)
    names = ["late", "delay", "cost", "staff", "food"]
    rows = []
    for i in range(1_800):
        code = names[rng.integers(0, 5)]
        rows.append(Observed(minute(i), UUID(int=i + 1), "app", "delay" if i >= AT and code == "late" else code))
    alerts = run(rows)
    assert alerts[0].cause == "codebook"
    assert {"late", "delay"} <= set(alerts[0].codes)


def test_people_who_overrule_more_are_people_until_the_models_speak_too():
    def accepted(i, rng):
        return None if rng.random() < 0.5 else bool(rng.random() > (0.1 if i < AT else 0.5))

    assert {alert.cause for alert in run(stream(accepted=accepted))} == {"people"}


def judged(rows, agrees, seed=8):
    """Every second segment is coded by two people a while after it came; a word of its own says whether they agree."""
    draw = random.Random(seed)
    for i, row in enumerate(rows):
        yield row
        if i >= 100 and i % 2 == 0:
            yield replace(rows[i - 100], at=row.at, agreed=draw.random() < agrees(i), judged=True)


def test_annotators_who_agree_less_are_people_and_those_who_agree_as_ever_are_nothing():
    rows = list(stream())
    (alert,) = run(judged(rows, lambda i: 0.9 if i < AT else 0.5))
    assert (alert.cause, alert.kind) == ("people", "annotators")
    assert "disagreed" in alert.says
    assert alert.effect > 0.2
    assert run(judged(rows, lambda _: 0.9)) == []


def test_a_stream_may_raise_so_many_false_alarms_in_all():
    whole = sum(signal.budget + signal.at_the_end for signal in (*SIGNALS, TEXTS))
    assert whole + WORDS_THAT_LAST + WORDS_OF_A_DAY + CODES_OF_A_DAY == pytest.approx(1)


def test_a_merge_that_is_noted_is_named():
    monitor = Monitor("demo", IN_ORDER)
    monitor.note(KnownChange(minute(AT), "codebook", "merged 'waited' into 'wanted'"))
    alerts = monitor.extend(stream(share=lambda i: 0.05 if i < AT else 0.25))
    assert alerts[0].cause == "codebook"
    assert "merged 'waited'" in alerts[0].says


def test_texts_that_move_are_seen_without_any_code_moving():
    def vector(i, rng):
        x = rng.standard_normal(8) + (0 if i < AT else 1.5) * np.eye(8)[0]
        return (x / np.linalg.norm(x)).astype(np.float32)

    alerts = run(stream(n=2_000, vector=vector))
    assert [(alert.kind, alert.cause) for alert in alerts] == [("texts", "input")]


def test_a_burst_of_repeats_is_no_alert():
    rows = list(stream(n=1_500))
    for start in (600, 900, 1_200):
        for i in range(start, start + 15):
            rows[i] = Observed(rows[i].at, rows[i].segment, "source 1", "copied")
    assert run(rows) == []


def test_streams_in_which_nothing_changes_raise_hardly_any_alert():
    alarmed = sum(bool(run(stream(seed=seed, n=900))) for seed in range(100, 108))
    assert alarmed <= 1


def test_a_restart_in_the_middle_changes_nothing():
    rows = list(stream(share=lambda i: 0.05 if i < AT else 0.25, confidence=lambda i, rng: float(rng.random())))
    waiting = DriftSettings()
    monitor, alerts = Monitor("demo", waiting), []
    for part in (rows[:777], rows[777:1_033], rows[1_033:]):
        alerts += monitor.extend(part)
        monitor = Monitor.restore(json.loads(json.dumps(monitor.state())))
    assert alerts + monitor.finish() == run(rows, waiting)
    assert alerts


def told_by_the_minute(n):
    late = n % 10 == 0 if n < 500 else n % 3 == 0
    at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=n)
    return Observed(at, UUID(int=n), "shop", "late" if late else f"code {n % 7}", confidence=(n % 17) / 17)


def test_a_state_that_was_written_under_other_names_is_read_and_gives_the_alerts_of_an_unbroken_run():
    monitor = Monitor.restore(json.loads(gzip.decompress(RECORDED.read_bytes())))
    alerts = monitor.extend(told_by_the_minute(n) for n in range(520, 1_000)) + monitor.finish()
    unbroken = Monitor("app")
    assert alerts == unbroken.extend(told_by_the_minute(n) for n in range(1_000)) + unbroken.finish()
    assert [str(alert.id) for alert in alerts] == ["5e57df03-1be0-5e88-bf71-570f0715c5eb"]


def test_a_state_has_the_keys_that_it_always_had():
    recorded = json.loads(gzip.decompress(RECORDED.read_bytes()))
    monitor = Monitor("app")
    monitor.extend(told_by_the_minute(n) for n in range(520))
    assert as_recorded(json.loads(json.dumps(monitor.state())), recorded) == recorded


def as_recorded(state, recorded):
    """A state without the keys that came later: a state that lacks them is read all the same."""
    if isinstance(recorded, list) and len(recorded) == len(state):
        return [as_recorded(*both) for both in zip(state, recorded, strict=True)]
    if not isinstance(recorded, dict):
        return state
    return {key: as_recorded(state[key], each) for key, each in recorded.items()}


def test_segments_out_of_order_are_placed_by_their_own_time():
    rows = list(stream(n=1_300, share=lambda i: 0.05 if i < AT else 0.4))
    settings = DriftSettings(lateness=timedelta(hours=2))
    shuffled = [
        row for k in range(0, len(rows), 6) for row in random.Random(k).sample(rows[k : k + 6], len(rows[k : k + 6]))
    ]
    expected = run(rows, settings)
    assert expected
    assert run(shuffled, settings) == expected


def test_a_segment_that_comes_too_late_is_counted_and_left_out():
    monitor = Monitor("demo", DriftSettings(lateness=timedelta(minutes=30)))
    rows = list(stream(n=20))
    monitor.extend(rows[5:])
    monitor.update(rows[0])
    assert monitor.late == 1


def test_windows_may_be_of_time_and_the_reference_fixed_or_of_the_season():
    for reference in ("fixed", "seasonal-hour", "seasonal-weekday"):
        settings = DriftSettings(
            lateness=timedelta(), window=timedelta(days=3), reference=reference, history=500, false_alarms=0.05
        )
        alerts = run(stream(n=2_500, share=lambda i: 0.05 if i < 2_000 else 0.5), settings)
        assert "wanted" in alerts[0].codes, reference


def test_a_setting_out_of_its_range_is_refused_in_a_line():
    with pytest.raises(SettingError, match="must be one of fixed, sliding"):
        DriftSettings(reference="last year")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="between 0 and 1"):
        DriftSettings(false_alarms=0)


def test_settings_survive_json():
    settings = DriftSettings(window=timedelta(hours=6))
    assert DriftSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_a_code_that_moved_leaves_the_others_what_was_known_of_them():
    monitor = Monitor("demo", IN_ORDER)
    alerts = monitor.extend(stream(n=1_400, share=lambda i: 0.05 if i < AT else 0.25))
    table = monitor.watches[0].table
    assert {table.names[column] for column in table.history.rebased} == set(alerts[0].codes)
    assert table.history.base.block == 0
    assert table.history.since(table.cells["wanted"]).at >= minute(AT - 50).timestamp()


def test_day_and_night_are_no_change_and_a_change_is_found_among_them():
    def share(i, more=0.0):
        return 0.12 * (1 + 0.4 * np.sin(i / 144 * 2 * np.pi)) + more

    assert run(stream(n=2_000, share=share)) == []
    alerts = run(stream(n=2_000, share=lambda i: share(i, 0.15 if i >= 1_500 else 0.0)))
    assert [alert.codes[0] for alert in alerts] == ["wanted"]


def test_a_word_on_an_earlier_segment_is_heard_by_those_who_watch_people_alone():
    rows = list(stream(n=600))
    quiet, heard = Monitor("demo", IN_ORDER), Monitor("demo", IN_ORDER)
    quiet.extend(rows)
    for n, row in enumerate(rows):
        heard.update(row)
        if n % 5 == 0:
            heard.update(replace(rows[n // 2], at=row.at, accepted=True, agreed=True, judged=True))
    for one, other in zip(quiet.watches, heard.watches, strict=True):
        same = one.state() == other.state()
        assert same == (one.signal.family != "people"), one.signal.name
