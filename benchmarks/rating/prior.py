"""Fits what `small` is sure of before anybody labels, on ratings: `python -m benchmarks.rating.prior [--write]`.

Rated are codes of texts that may ship, docs/results/ratings/ship.jsonl. The router uses what is written to
models/routing/rated_prior.json; how well it ranks codes of other texts is on the page of `benchmarks.rating report`.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.pages.layout import RESULTS, ROOT
from models.routing.rated_prior import RATED_CERTAINTY
from models.routing.risk_control import promise

RATINGS = RESULTS / "ratings" / "ship.jsonl"
OUT = ROOT / "models" / "routing" / "rated_prior.json"
SIGNALS = ("verifier", "log_probability")
PENALTY = 0.3  # scikit-learn's C: few ratings, so weights are held small
FOLDS = 10
WRONG_SHARES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)  # that are tried to be proven


def fitted(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A logistic regression over the ratings of a profile whose codes were judged, in the signals' own units."""
    inputs = np.array([[row["signals"][name] for name in SIGNALS] for row in rows])
    stands, texts = np.array([row["stands"] for row in rows]), [row["id"] for row in rows]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY))
    apart = cross_val_predict(model, inputs, stands, groups=texts, cv=GroupKFold(FOLDS), method="predict_proba")[:, 1]
    sets = [row["set"] for row in rows]
    unseen = cross_val_predict(model, inputs, stands, groups=sets, cv=LeaveOneGroupOut(), method="predict_proba")[:, 1]
    model.fit(inputs, stands)
    scaler, regression = model.named_steps["standardscaler"], model.named_steps["logisticregression"]
    weights = regression.coef_[0] / scaler.scale_
    return {
        "weights": {name: round(float(weight), 4) for name, weight in zip(SIGNALS, weights, strict=True)},
        "intercept": round(float(regression.intercept_[0] - weights @ scaler.mean_), 4),
        "proven": proven(unseen.tolist(), stands.tolist()),
        "card": {
            "meaning": "probability that a blind rater lets the code of profile `small` stand",
            "rater": "a language model in the role of the researcher, who saw no sources",
            "ratings": len(rows),
            "stand": round(float(stands.mean()), 3),
            "sets": dict(sorted(Counter(row["set"] for row in rows).items())),
            "auroc_cross_validated": round(float(roc_auc_score(stands, apart)), 3),
            "proof": "each set's ratings by a prior fitted on the other sets; certainty 0.95",
            "command": "python -m benchmarks.rating.prior --write",
        },
    }


def proven(confidences: list[float], stands: list[bool]) -> list[dict[str, float]]:
    """From which probability on at most which share of codes is wrong, as ratings of sets that did not teach prove."""
    bounds = {
        wrong: promise(confidences, stands, wrong_share=wrong, certainty=RATED_CERTAINTY, probabilities=True).threshold
        for wrong in WRONG_SHARES
    }
    return [
        {"wrong_share": wrong, "threshold": round(threshold, 4)}
        for wrong, threshold in bounds.items()
        if threshold is not None
    ]


def read_rated(path: Path) -> list[dict[str, Any]]:
    """Ratings of codes that a verifier judged."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if set(SIGNALS) <= set(row["signals"])]


def main() -> None:
    """Fit, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    text = json.dumps(fitted(read_rated(RATINGS)), indent=2) + "\n"
    print(text)
    if given.write:
        OUT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
