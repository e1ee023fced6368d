"""SetFit as its library does it: pairs of texts tune the body, then a head of scikit-learn's or of torch's is fitted.

What comes of it is a body and a linear head as every other classifier has, so it is saved as safetensors and JSON,
never with SetFit's own ``save_pretrained``, whose head is a pickle.
"""

import copy
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from models.backends.sentence.heads import DifferentiableHead, LogisticHead, Targets, check_shapes
from models.errors import SettingError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_QUIET = {"report_to": "none", "save_strategy": "no", "logging_strategy": "no", "show_progress_bar": False}


@dataclass(frozen=True)
class SetFitSettings:
    """How SetFit teaches; the values are its authors', who draw 20 times the texts as alike and as unlike pairs."""

    head: Literal["logistic", "differentiable"] = "logistic"
    iterations: int = 20
    """Pairs a text of each kind: SetFit's later default, all pairs, grows with the square of the labels."""
    batch: int = 16
    head_epochs: int = 16
    """Of the differentiable head."""
    seed: int = 42


def teach(
    body: "SentenceTransformer", texts: Sequence[str], targets: Targets, settings: SetFitSettings | None = None
) -> tuple["SentenceTransformer", LogisticHead | DifferentiableHead]:
    """Tune a copy of a body and fit a head, both with SetFit.

    Args:
        body: The model to start from; it stays as it is.
        texts: What people coded.
        targets: Which text has which code, shape ``(len(texts), k)``.
        settings: How to teach.

    Returns:
        The tuned copy, in evaluation mode, and a head over its embeddings of unit length.

    Raises:
        ValueError: If texts and targets do not fit together or there are none.
        SettingError: If SetFit is not installed.
    """
    check_shapes(texts, targets)
    settings = settings or SetFitSettings()
    setfit, datasets = _libraries()
    mixed = targets.any(axis=0) & ~targets.all(axis=0)  # of other codes there is nothing to learn
    tuned = copy.deepcopy(body)
    dim = int(tuned.get_embedding_dimension() or 0)
    weights, bias = np.zeros((targets.shape[1], dim), np.float32), np.zeros(targets.shape[1], np.float32)
    if not mixed.all():
        bias[~mixed] = LogisticHead.fit(np.zeros((len(targets), dim), np.float32), targets[:, ~mixed]).bias
    if mixed.any():
        head = _empty_head(setfit, tuned, int(mixed.sum()), settings)
        rows = datasets.Dataset.from_dict({"text": _readable(texts), "label": _labels(targets[:, mixed])})
        _train(setfit, tuned, head, rows, settings)
        weights[mixed], bias[mixed] = _linear(head, int(mixed.sum()), settings)
    kind = LogisticHead if settings.head == "logistic" else DifferentiableHead
    return tuned.eval(), kind(weights, bias)


def _libraries() -> tuple[Any, Any]:
    try:
        import datasets
        import setfit
    except ImportError as error:
        raise SettingError(f"SetFit is not installed ({error}); install 'qualstream[setfit]'") from error
    setfit.logging.set_verbosity_error()
    return setfit, datasets


def _readable(texts: Sequence[str]) -> list[str]:
    return [text.encode("utf-8", "replace").decode() for text in texts]  # lone surrogates have no UTF-8


def _labels(targets: Targets) -> list[list[int]]:
    """One column a code; SetFit's heads want two at least, so a single code gets its absence beside it."""
    alone = targets.shape[1] == 1
    columns: list[list[int]] = (np.hstack([targets, ~targets]) if alone else targets).astype(int).tolist()
    return columns


def _empty_head(setfit: Any, body: "SentenceTransformer", codes: int, settings: SetFitSettings) -> Any:
    if settings.head == "logistic":
        from sklearn.linear_model import LogisticRegression
        from sklearn.multiclass import OneVsRestClassifier

        return OneVsRestClassifier(LogisticRegression())
    dim = body.get_embedding_dimension()
    return setfit.SetFitHead(in_features=dim, out_features=max(2, codes), multitarget=True, device=body.device)


def _train(setfit: Any, body: "SentenceTransformer", head: Any, rows: Any, settings: SetFitSettings) -> None:
    """Both of SetFit's phases, in place; the random numbers of others go on as they would have."""
    import torch

    model = setfit.SetFitModel(body, head, "one-vs-rest", normalize_embeddings=True)
    with tempfile.TemporaryDirectory(prefix="qualstream-setfit-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arguments = setfit.TrainingArguments(
            output_dir=folder,
            num_iterations=settings.iterations,
            batch_size=(settings.batch, 2),
            num_epochs=(1, settings.head_epochs),
            seed=settings.seed,
            **_QUIET,
        )
        with torch.random.fork_rng(devices=[body.device] if body.device.type == "cuda" else []):
            torch.manual_seed(settings.seed)
            setfit.Trainer(model=model, args=arguments, train_dataset=rows).train()


def _linear(head: Any, codes: int, settings: SetFitSettings) -> tuple[Any, Any]:
    """Weights, shape ``(codes, dim)``, and biases of a fitted head, from which its own probabilities follow."""
    if settings.head == "logistic":
        fitted = head.estimators_[:codes]
        return np.vstack([each.coef_ for each in fitted]), np.concatenate([each.intercept_ for each in fitted])
    scale = 1 / (head.temperature + head.eps)
    weight, bias = head.linear.weight.detach().cpu().numpy(), head.linear.bias.detach().cpu().numpy()
    return weight[:codes] * scale, bias[:codes] * scale
