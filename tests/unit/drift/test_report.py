"""The HTML report: whole in itself, and nothing of the data is markup."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import numpy as np
import pytest

from infra.drift.charts import distance
from infra.drift.report_data import BINS, ReportData, change_points, main_change
from infra.drift.report_html import report, write_report
from models.drift.observation import Observed
from models.errors import InputError
from schemas import DriftAlert

START = datetime(2026, 1, 5, tzinfo=UTC)
SPACE = UUID(int=7)
HOSTILE = '<script>alert("1")</script>'


def segments(count=2_000, change=1_200):
    draw = np.random.default_rng(5)
    for n in range(count):
        code = HOSTILE if n >= change and draw.random() < 0.5 else str(draw.choice(["price", "food", "crew"]))
        vector = draw.normal(size=8).astype(np.float32) + (2 if n >= change else 0)
        at = START + timedelta(minutes=n)
        yield Observed(at, uuid5(SPACE, str(n)), "a" if n % 3 else "b", code, confidence=0.5, vector=vector)


def picture(**given):
    found = ReportData(given.get("count", 2_000))
    for one in segments(**given):
        found.add(one)
    return found


def alert(minute=1_200, **given):
    at = START + timedelta(minutes=minute)
    values = {"kind": "rising code", "cause": "input", "p": 0.001, "effect": 0.4, "codes": [HOSTILE], "sources": ["a"]}
    values |= {"id": uuid5(SPACE, str(minute)), "study": "s", "at": at, "detected_at": at + timedelta(hours=2)}
    values |= {"earliest": at - timedelta(hours=1), "latest": at, "says": f"{HOSTILE} rose", "causes": {"input": 1.0}}
    return DriftAlert.model_validate(values | given)


def test_everything_from_the_data_is_escaped():
    shown = alert(examples=[uuid5(SPACE, "1300")], changes={HOSTILE: (0.0, 0.5)})
    page = report(HOSTILE, [shown], picture(), {uuid5(SPACE, "1300"): HOSTILE})
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 5


def test_what_is_new_in_texts_is_shown_and_escaped():
    page = report("a file", [alert(terms=[HOSTILE], nearest=["late refund"], name="Refunds")], picture(), {})
    for said in ("new words and phrases", "nearest codes", "late refund", "Refunds"):
        assert said in page
    assert "<script" not in page


def test_a_stream_with_too_few_segments_says_so():
    page = report("a file", [], picture(change=9_999), {}, "too few to tell: 6 of 250 segments")
    assert "Too few to tell: 6 of 250 segments." in page
    assert "No change" not in page


def test_the_page_asks_for_nothing_from_elsewhere():
    page = report("a file", [alert()], picture(), {})
    assert not re.search(r"https?://|src=|@import|url\(", page)


def test_the_page_shows_every_part():
    page = report("a file", [alert()], picture(), {})
    for heading in (
        "What changed",
        "Shares of the codes over time",
        "Distance from what came before",
        "Codes on the rise",
        "Where it comes from",
        "How it is coded",
        "The texts, before and after 2026-01-05 20:00",
    ):
        assert heading in page
    assert page.count('role="img"') == 4
    assert page.count('class="mark"') == 3


def test_a_stream_without_alerts_says_so():
    page = report("a file", [], picture(change=9_999), {})
    assert "No change was found." in page
    assert "What changed" not in page


def test_distances_pass_their_limit_at_the_change_and_seldom_elsewhere():
    found = picture(change=1_200).distances([])
    before = [one for one in found if one.at < START + timedelta(minutes=1_200)]
    after = [one for one in found if one not in before]
    assert sum(one.value > one.limit for one in before) <= 2
    assert all(one.value > one.limit for one in after[:3])


def test_the_line_of_distances_is_broken_where_the_reference_was_begun_anew():
    found = picture(change=1_200)
    change = START + timedelta(minutes=1_200)
    distances = found.distances([change])
    anew = next(n for n, one in enumerate(found.bins) if one.start >= change)
    assert [one.at for one in distances if not one.follows] == [found.bins[n].start for n in (3, anew + 3)]
    ends = (found.bins[0].start, found.bins[-1].end)
    drawn = distance(distances, [], ends)
    lines = [line.split() for line in re.findall(r'class="line" points="([^"]*)"', drawn)]
    assert sum(len(line) for line in lines) == len(distances) == drawn.count("<circle")
    assert len(lines) == drawn.count('class="limit"') == 2
    assert distance(found.distances([]), [], ends).count('class="line"') == 1


def test_a_rules_alert_is_no_change_that_before_and_after_are_told_by():
    rule = alert(kind="rule", p=1.0)
    assert change_points([rule, alert(1_300)]) == [alert(1_300).at]
    assert (main_change([rule]), main_change([rule, alert(1_300, p=1.0)])) == (None, alert(1_300).at)


def test_a_word_that_came_later_counts_for_how_it_is_coded_and_not_as_a_segment():
    found, first = ReportData(100), next(segments())
    found.add(replace(first, accepted=True, judged=True))
    for one in segments(count=100):
        found.add(one)
    found.add(replace(first, accepted=False, judged=True))
    found.add(replace(first, agreed=True, judged=True))
    assert found.segments == 100
    assert found.quarters()["two people agree"] == [None, None, None, 1.0]
    assert "let stand by people" not in found.quarters()  # the mean is 0
    assert "two people agree" in report("a file", [], found, {})


@pytest.mark.parametrize("count", [4, 60, 99, 130, 2_001])
def test_a_quarter_holds_a_fourth_of_the_segments_however_few_there_are(count):
    found = ReportData(count)
    for n, one in enumerate(segments(count)):
        found.add(replace(one, confidence=float(n)))
    fourths = np.array_split(np.arange(count), 4)
    assert found.quarters()["confidence"] == pytest.approx([part.mean() for part in fourths], abs=1)


def test_a_code_rises_in_the_last_fourth_of_a_short_stream_and_is_first_seen_when_it_was_said():
    found = ReportData(60)
    for n, one in enumerate(segments(60, change=60)):
        found.add(replace(one, code="late" if n >= 46 else "early"))
    (late,) = found.emerging()
    assert (late.code, late.segments, late.after) == ("late", 14, pytest.approx(14 / 15))
    assert late.first == START + timedelta(minutes=46)


def test_shares_add_up_and_a_stream_of_any_length_has_as_many_stretches():
    for count in (200, 4_000, 40_000):
        found = ReportData(count)
        for n in range(count):
            found.add(Observed(START + timedelta(minutes=n), SPACE, "a", "xyz"[n % 3]))
        shares = found.shares("codes", ["x", "y"])
        assert shares.sum(axis=0) == pytest.approx(1)
        assert len(found.bins) <= BINS


def test_a_code_that_is_new_in_the_last_quarter_is_emerging():
    found = picture(change=1_600).emerging()
    assert [one.code for one in found] == [HOSTILE]
    assert found[0].first >= START + timedelta(minutes=1_500)


def test_the_distance_is_0_where_nothing_changes_and_1_where_nothing_is_shared():
    data = ReportData(200)
    for n in range(200):
        data.add(Observed(START + timedelta(minutes=n), SPACE, "a", "abcde"[n % 5] if n < 150 else "new"))
    values = [each.value for each in data.distances([])]
    assert values[:3] == pytest.approx([0, 0, 0])
    assert values[3] == pytest.approx(1)


def test_a_place_that_cannot_be_written_is_a_one_line_error(tmp_path):
    with pytest.raises(InputError, match="give another file with --html"):
        write_report(tmp_path / "no" / "x.html", "a", [], ReportData(0), {})
