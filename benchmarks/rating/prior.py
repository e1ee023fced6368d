"""Fits how sure a profile is before anybody labels, on blind ratings: `python -m benchmarks.rating.prior [--write]`.

Rated are codes of texts that may ship: of `small`, whose codes a verifier judged (docs/results/ratings/ship.jsonl), and
of `tiny`, whose members elect them (docs/results/ratings/tiny.jsonl). The router uses what is written to
models/routing/rated_prior.json; how well it ranks codes of other texts is on the page of `benchmarks.rating report`.
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.pages.layout import RESULTS, ROOT
from infra.profiles.loading import load_profile
from models.backends.lora.coder import model_version
from models.routing.rated_prior import RATED_CERTAINTY
from models.routing.risk_control import promise

OUT = ROOT / "models" / "routing" / "rated_prior.json"
PENALTY = 0.3  # scikit-learn's C: few ratings, so weights are held small
FOLDS = 10
WRONG_SHARES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)  # that are tried to be proven


@dataclass(frozen=True)
class Rated:
    """A kind of rated codes."""

    profile: str
    ratings: Path
    signals: tuple[str, ...]

    def rows(self) -> list[dict[str, Any]]:
        """The ratings of codes that have all the signals."""
        rows = [json.loads(line) for line in self.ratings.read_text(encoding="utf-8").splitlines()]
        return [row for row in rows if row["profile"] == self.profile and set(self.signals) <= set(row["signals"])]


KINDS = {
    "judged": Rated("small", RESULTS / "ratings" / "ship.jsonl", ("verifier", "log_probability")),
    "elected": Rated("tiny", RESULTS / "ratings" / "tiny.jsonl", ("log_probability", "stems_in_text")),
}


def fitted(rows: list[dict[str, Any]], signals: Sequence[str]) -> dict[str, Any]:
    """A logistic regression over the ratings of a profile's codes, in the signals' own units."""
    inputs = np.array([[row["signals"][name] for name in signals] for row in rows])
    stands, texts = np.array([row["stands"] for row in rows]), [row["id"] for row in rows]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY))
    apart = cross_val_predict(model, inputs, stands, groups=texts, cv=GroupKFold(FOLDS), method="predict_proba")[:, 1]
    sets = [row["set"] for row in rows]
    unseen = cross_val_predict(model, inputs, stands, groups=sets, cv=LeaveOneGroupOut(), method="predict_proba")[:, 1]
    model.fit(inputs, stands)
    scaler, regression = model.named_steps["standardscaler"], model.named_steps["logisticregression"]
    weights = regression.coef_[0] / scaler.scale_
    return {
        "weights": {name: round(float(weight), 4) for name, weight in zip(signals, weights, strict=True)},
        "intercept": round(float(regression.intercept_[0] - weights @ scaler.mean_), 4),
        "proven": proven(unseen.tolist(), stands.tolist()),
        "card": {
            "meaning": f"probability that a blind rater lets the code of profile `{rows[0]['profile']}` stand",
            "rater": "a language model in the role of the researcher, who saw no sources",
            "ratings": len(rows),
            "stand": round(float(stands.mean()), 3),
            "sets": dict(sorted(Counter(row["set"] for row in rows).items())),
            "auroc_cross_validated": round(float(roc_auc_score(stands, apart)), 3),
            "proof": "each set's ratings by a prior fitted on the other sets; certainty 0.95",
            "command": "python -m benchmarks.rating.prior --write",
        },
    }


def all_fitted() -> dict[str, Any]:
    """Both kinds; the elected codes' with the members that elected them and their revisions."""
    priors = {name: fitted(kind.rows(), kind.signals) for name, kind in KINDS.items()}
    members = load_profile(KINDS["elected"].profile).members
    versions = {each.name: model_version(str(each.base), Path(each.adapter or "")) for each in members}
    return priors | {"elected": {"members": versions} | priors["elected"]}


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


def main() -> None:
    """Fit, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    text = json.dumps(all_fitted(), indent=2) + "\n"
    print(text)
    if given.write:
        OUT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
