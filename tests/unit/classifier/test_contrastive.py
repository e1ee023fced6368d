"""Contrastive tuning: what pairs say, that a body is never changed, that it is the same each time and costs no more."""

import gc
import weakref

import numpy as np
import pytest

from infra.training.classifier_factory import saved_body
from models.backends.sentence.contrastive import TunedBody, TuningSettings, pair_loss, tune
from models.backends.sentence.embedder import load_body

torch = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")

TEXTS = [
    "the app is slow",
    "so slow today",
    "loading takes ages",
    "it crashes all day",
    "crashed again",
    "closes by itself",
    "hello",
    "my cat is grey",
]
TARGETS = np.array([[1, 0]] * 3 + [[0, 1]] * 3 + [[0, 0]] * 2, dtype=bool)
QUICK = TuningSettings(passes=3, learning_rate=2e-4, seed=3)


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def tuned(body):
    return tune(body, TEXTS, TARGETS, QUICK)


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def apart(model) -> float:
    """How much nearer texts with a common code are than those without."""
    rows = TunedBody(model, "any").embed(TEXTS[:6])
    near = rows @ rows.T
    same = TARGETS[:6] @ TARGETS[:6].T & ~np.eye(6, dtype=bool)
    return float(near[same].mean() - near[:3, 3:].mean())


def test_texts_with_a_common_code_come_nearer_than_those_without(body, tuned) -> None:
    assert apart(tuned) > apart(body) + 0.1


def test_the_body_that_was_given_stays_as_it_is(body) -> None:
    body.eval()  # it is loaded for training, and whoever asked it before this test has changed that
    before, states = weights(body).clone(), [p.requires_grad for p in body.parameters()]
    tune(body, TEXTS, TARGETS, TuningSettings(passes=1))
    assert (weights(body) == before).all()
    assert [p.requires_grad for p in body.parameters()] == states
    assert not body.training


def test_a_seed_gives_the_same_weights_again_and_leaves_the_worlds_chance_alone(body, tuned) -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    again = tune(body, TEXTS, TARGETS, QUICK)
    assert torch.rand(1) == expected
    assert (weights(again) == weights(tuned)).all()


def test_frozen_layers_and_word_embeddings_stay(body) -> None:
    model = tune(body, TEXTS, TARGETS, TuningSettings(passes=1, frozen_layers=2))
    changed = {
        name.split("layer.")[-1][0] if "layer." in name else "embeddings"
        for (name, new), old in zip(model.named_parameters(), body.parameters(), strict=True)
        if "pooler" not in name and not torch.equal(new, old)
    }
    assert changed == {"2", "3", "4", "5"}


def test_a_body_that_is_dropped_leaves_memory_at_once(body, tmp_path) -> None:
    embedder = TunedBody(tune(body, TEXTS, TARGETS, QUICK), "tuned")
    embedder.embed(TEXTS)
    embedder.save(tmp_path / "body")
    saved = saved_body(tmp_path / "body", "cpu")
    saved.embed(TEXTS)
    models = [weakref.ref(each.model) for each in (embedder, saved)]
    gc.disable()  # a full collection of a large process is rare
    try:
        del embedder, saved
        assert [model() for model in models] == [None, None]
    finally:
        gc.enable()


@pytest.mark.parametrize("rows", [2, 33, 150])
def test_each_text_is_read_once_a_pass_and_a_step_has_at_most_so_many(body, rows: int) -> None:
    read: list[int] = []
    model = load_body()
    model[0].register_forward_pre_hook(lambda module, args: read.append(len(args[0]["input_ids"])))
    texts, targets = [f"text {n}" for n in range(rows)], np.arange(rows)[:, None] % 2 == 0
    tune(model, texts, targets, TuningSettings(passes=1, step=40))
    assert sum(read) == rows
    assert max(read) <= 40


def test_texts_without_any_code_are_no_evidence_that_they_are_alike() -> None:
    rows = torch.eye(4, requires_grad=True)
    assert pair_loss(rows, torch.zeros(4, 2), 0.1) is None
    targets = torch.tensor([[1.0, 0], [1, 0], [0, 0], [0, 0]])
    pair_loss(rows, targets, 0.1).backward()
    assert torch.equal(rows.grad[2], rows.grad[3])
    assert (rows.grad[2][2:] == 0).all()  # nothing pulls the two together or apart
    assert (rows.grad[2][:2] > 0).all()  # a step leads away from both that share a code


def test_pairs_that_share_more_codes_are_drawn_nearer() -> None:
    rows = torch.eye(3, requires_grad=True)
    targets = torch.tensor([[1.0, 1, 0], [1, 1, 0], [0, 1, 1]])
    pair_loss(rows, targets, 1.0).backward()
    assert rows.grad[0, 1] < rows.grad[0, 2]


def test_labels_that_no_two_texts_share_change_nothing(body) -> None:
    model = tune(body, TEXTS[:2], np.eye(2, dtype=bool), QUICK)
    assert (weights(model) == weights(body)).all()


@pytest.mark.parametrize("text", ["", "\ud800", "word " * 2_000])
def test_any_text_can_be_learnt_from(body, text: str) -> None:
    model = tune(body, [text, *TEXTS[:2]], TARGETS[:3], TuningSettings(passes=1))
    assert torch.isfinite(weights(model)).all()


def test_texts_without_their_targets_are_refused(body) -> None:
    with pytest.raises(ValueError, match="one row of targets each"):
        tune(body, TEXTS, TARGETS[:3])
