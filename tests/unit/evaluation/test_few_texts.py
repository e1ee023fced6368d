"""What measures say of very few texts: no interval of one, and none that leaves what its figure can be."""

import json

import pytest

from infra.cli.measuring.evaluate import _of_few
from models.evaluation.report import EvaluationOptions, GoldRow, evaluate
from models.fakes import HashEmbedder

CODES = ["late again", "too dear", "kind staff", "broken door", "no parking"]
COUNTED = ("distinct", "words", "distinct_ratio")


def measured(texts, wrong=0):
    gold = [GoldRow(code, (code,)) for code in CODES[:texts]]
    codes = [f"other {n}" if n < wrong else code for n, code in enumerate(CODES[:texts])]
    return evaluate(gold, {"ours": codes}, HashEmbedder(), options=EvaluationOptions(resamples=300))


@pytest.mark.parametrize("texts", [2, 3, 5])
@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_no_interval_leaves_what_its_figure_can_be(texts, wrong):
    for name, score in measured(texts, wrong).pooled.scores["ours"].items():
        most = texts if name == "distinct" else float("inf") if name in COUNTED else 1.0
        least = -1.0 if name == "cosine" else 0.0
        assert least - 1e-6 <= score.low <= score.high <= most + 1e-6, name


def test_one_text_has_figures_without_intervals():
    report = measured(1).to_json()
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    score = report["parts"]["pooled"]["systems"]["ours"]["rouge_1"]
    assert score == {"value": 1.0, "low": None, "high": None}


@pytest.mark.parametrize(
    ("texts", "said"), [(1, "no intervals; two or more are needed"), (3, "3 texts: intervals of so few"), (10, "")]
)
def test_so_few_texts_are_said_to_be_few(texts, said):
    assert (said in _of_few(texts)) if said else not _of_few(texts)
