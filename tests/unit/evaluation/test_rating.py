"""Codes for blind raters: nothing tells where a code comes from, and ratings add up."""

import json
from statistics import mean

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmarks.rating import reuse
from benchmarks.rating.__main__ import read_lines, sheet
from benchmarks.rating.page import publish_ratings, rated_systems, wilson
from infra.profiles.loading import load_profile
from models.evaluation.association import auroc


def item(n: int, human: str, swapped: str, tiny: str, small: str, verifier: float = 0.5) -> dict:
    coded = {"signals": {"agreement": 0.5}, "log_probability": -0.5}
    return {
        "id": f"set-{n}", "set": "set", "text": f"text {n}", "human": human, "swapped": swapped,
        "tiny": {"code": tiny, **coded}, "small": {"code": small, **coded}, "verifier": {tiny: 0.1, small: verifier},
    }  # fmt: skip


ITEMS = [
    item(1, "slow app", "price", "Slow app", "long start", 0.9),
    item(2, "too dear", "slow app", "price", "too dear", 0.8),
    item(3, "ads", "too dear", "music", "noise", 0.2),
]


def ratings(key: list[dict], good: set[tuple[str, str]]) -> list[dict]:
    return [
        {
            "item": line["item"], "clarity": 4, "conciseness": 5, "relevance": 3,
            "stands": any((line["id"], system) in good for system in line["systems"]),
        }
        for line in key
    ]  # fmt: skip


def test_equal_codes_of_a_text_are_rated_once_and_nothing_tells_the_source():
    lines, key = sheet(ITEMS)
    assert len(lines) == len(key) == 10
    assert all(set(line) == {"item", "text", "code"} for line in lines)
    assert ["human", "tiny"] in [line["systems"] for line in key if line["id"] == "set-1"]
    assert [line["item"] for line in lines] == sorted(line["item"] for line in lines)


def test_a_sheet_of_more_texts_has_the_same_items():
    fewer, more = ({line["item"]: line for line in sheet(items)[0]} for items in (ITEMS[:2], ITEMS))
    assert fewer.items() <= more.items()


def test_a_text_without_a_human_code_has_the_systems_codes_alone():
    _, key = sheet([ITEMS[0] | {"human": None, "swapped": None}])
    assert sorted(line["systems"] for line in key) == [["small"], ["tiny"]]


def test_ratings_of_several_raters_are_averaged():
    _, key = sheet(ITEMS[:1])
    twice = ratings(key, {("set-1", "small")}) + ratings(key, set())
    assert rated_systems(key, twice)["small"]["set-1"]["stands"] == 0.5


def test_the_report_says_what_stands_and_what_knew_it(capsys):
    _, key = sheet(ITEMS)
    good = {(f"set-{n}", "human") for n in (1, 2, 3)} | {("set-1", "small"), ("set-2", "small")}
    figures = publish_ratings(ITEMS, key, ratings(key, good), write=False)
    assert figures["human"]["stands"] == 1
    assert figures["small"]["stands"] == pytest.approx(2 / 3, abs=1e-4)
    assert figures["tiny"]["stands"] == pytest.approx(1 / 3, abs=1e-4), "of text 1 it is the person's own"
    assert figures["small - tiny"]["mean"] == pytest.approx(1 / 3, abs=1e-4)
    assert figures["verifier of small"]["auroc"] == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["systems"] == figures


def test_wilson_is_as_published():
    assert wilson(0.9, 100) == pytest.approx((0.8256, 0.9448), abs=1e-4)
    assert wilson(1.0, 10)[1] == pytest.approx(1.0)


def test_the_area_counts_ties_half_and_is_none_without_both_kinds():
    assert auroc([0.9, 0.5, 0.5], [True, True, False]) == 0.75
    assert auroc([0.9], [True]) is None


def test_a_code_that_counts_twice_is_as_two_in_the_area():
    scores, stands, counts = [0.9, 0.4, 0.6, 0.2, 0.4], [True, False, True, True, False], [2.0, 1.0, 0.0, 3.0, 1.0]
    many = [(ok, score) for score, ok, n in zip(scores, stands, counts, strict=True) for _ in range(int(n))]
    whole = roc_auc_score([ok for ok, _ in many], [score for _, score in many])
    assert auroc(scores, stands, np.array(counts)) == pytest.approx(whole)


def test_the_threshold_of_tiny_lies_where_reused_codes_were_rated_to_stand_about_as_often_as_those_they_replace():
    rows = read_lines(reuse.RATINGS)
    below, above = (reuse.band(rows, *cosines) for cosines in ((0.75, 0.8), (0.8, 0.85)))
    lost = [mean(row["proposed_stands"] - row["reused_stands"] for row in part) for part in (below, above)]
    assert lost[0] > 0.3
    assert lost[1] < 0.1
    assert load_profile("tiny").refiner.threshold == 0.8
    assert reuse.report(rows).figures["0.75 to 0.8"]["texts"] == len(below)
