"""Heads over embeddings: every code by itself, in milliseconds, whatever the columns hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.backends.sentence.heads import DifferentiableHead, HeadTraining, LogisticHead, Targets
from models.ports import Embeddings

HEADS = (LogisticHead, DifferentiableHead)


def made(rows: int, codes: int, seed: int = 0, dim: int = 384) -> tuple[Embeddings, Targets]:
    """Unit rows in which each code that a row has leaves its direction."""
    random = np.random.default_rng(seed)
    targets = random.random((rows, codes)) < 0.15
    vectors = targets @ random.normal(size=(codes, dim)) + 0.5 * random.normal(size=(rows, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), targets


def test_the_minimum_is_that_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    embeddings, targets = made(120, 3, dim=16)
    head = LogisticHead.fit(embeddings, targets)
    for column in range(3):
        # balanced classes weigh n / 2 each there and here
        theirs = LogisticRegression(C=3.0, class_weight="balanced", tol=1e-8, max_iter=2_000)
        theirs.fit(embeddings, targets[:, column])
        expected = theirs.predict_proba(embeddings)[:, 1]
        assert np.abs(head.probabilities(embeddings)[:, column] - expected).max() < 0.02


def test_a_head_is_fitted_on_one_thread_and_leaves_others_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    import scipy.optimize
    from threadpoolctl import threadpool_info

    def threads() -> set[int]:
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    seen: list[set[int]] = []
    minimize = scipy.optimize.minimize

    def watched(*given: object, **named: object) -> object:
        seen.append(threads())
        return minimize(*given, **named)

    monkeypatch.setattr(scipy.optimize, "minimize", watched)
    before = threads()
    LogisticHead.fit(*made(40, 3, dim=16))
    assert seen == [{1}]
    assert threads() == before


@pytest.mark.parametrize("kind", HEADS)
def test_what_was_taught_is_found_again(kind: type[LogisticHead | DifferentiableHead]) -> None:
    embeddings, targets = made(150, 4)
    head = kind.fit(embeddings[:100], targets[:100])
    found = head.probabilities(embeddings[100:])
    assert found.shape == (50, 4)
    assert ((found > 0.5) == targets[100:]).mean() > 0.95


@pytest.mark.parametrize("value", [True, False])
def test_a_code_that_all_or_none_have_says_so_and_leaves_the_others_alone(value: bool) -> None:
    embeddings, targets = made(60, 3)
    alone = LogisticHead.fit(embeddings, targets[:, [0, 2]])
    targets[:, 1] = value
    head = LogisticHead.fit(embeddings, targets)
    assert (head.probabilities(embeddings)[:, 1] > 0.99 if value else head.probabilities(embeddings)[:, 1] < 0.01).all()
    assert np.abs(head.probabilities(embeddings)[:, [0, 2]] - alone.probabilities(embeddings)).max() < 0.02


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(0, 4), st.integers(0, 2**16))
def test_any_targets_give_finite_probabilities(rows: int, codes: int, seed: int) -> None:
    embeddings, _ = made(rows, 2, seed, dim=8)
    targets = np.random.default_rng(seed).random((rows, codes)) < 0.5
    found = LogisticHead.fit(embeddings, targets).probabilities(embeddings)
    assert found.shape == (rows, codes)
    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 1)).all()


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("rows", [0, 2])
def test_rows_without_their_targets_are_refused(kind: type[LogisticHead | DifferentiableHead], rows: int) -> None:
    with pytest.raises(ValueError, match="one row of targets each"):
        kind.fit(np.zeros((rows, 8), np.float32), np.zeros((0, 2), bool))


def test_a_differentiable_head_is_the_same_each_time_and_another_with_another_seed() -> None:
    embeddings, targets = made(20, 2, dim=16)
    one, again, other = (
        DifferentiableHead.fit(embeddings, targets, HeadTraining(epochs=2, seed=seed)) for seed in (1, 1, 2)
    )
    assert (one.weights == again.weights).all()
    assert (one.weights != other.weights).any()
