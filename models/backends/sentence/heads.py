"""What turns a text's embedding into probabilities, code by code: logistic by default, a torch layer for comparison."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from models.ports import Embeddings

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Targets = NDArray[np.bool_]
"""Which text has which code, shape ``(n, k)``; a row may have none."""

STRENGTH = 3.0
"""How much the labels weigh against small weights (scikit-learn's C), for rows of unit length."""
LABEL_PULL = 6.0
"""Length of the weights, in the direction of a code's own label, from which its examples start.

Chosen among 0, 3, 6 and 10 on one draw of five sets. Right of BANKING77's intents with 100, 200, 400 and 800 labels:
0.435, 0.615, 0.767, 0.841 without and 0.512, 0.690, 0.801, 0.848 with it; airline tweets, NHS comments and app reviews
0 to 0.013 better, game reviews up to 0.005 worse.
"""
_CERTAIN = 1e-3
"""Probability of a code that no example, and one minus that of a code that every example has."""


class Head(Protocol):
    """One linear classifier a code."""

    @property
    def weights(self) -> NDArray[np.float32]:
        """Shape ``(k, dim)``."""
        ...

    @property
    def bias(self) -> NDArray[np.float32]:
        """Shape ``(k,)``."""
        ...

    def probabilities(self, embeddings: Embeddings) -> NDArray[np.float64]:
        """How likely each row has each code, shape ``(n, k)``."""
        ...


@dataclass(frozen=True)
class LogisticHead:
    """One logistic regression a code; code and its absence weigh the same, so 0.5 is where either is as likely."""

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    @classmethod
    def fit(
        cls,
        embeddings: Embeddings,
        targets: Targets,
        *,
        labels: Embeddings | None = None,
        strength: float = STRENGTH,
        start: "LogisticHead | None" = None,
    ) -> Self:
        """Fit all codes at once, which takes milliseconds.

        Args:
            embeddings: Rows of unit length, shape ``(n, dim)``.
            targets: Shape ``(n, k)``. A code that all rows have, or none, gets no weights and a bias that says so.
            labels: The codes' own labels, rows of unit length, shape ``(k, dim)``: what a code is called says something
                of its texts, the more the fewer of them there are. Weights are held near them and not near zero.
            strength: What the rows weigh beside the weights' squared distance from the labels, or from zero.
            start: A head of the same codes that is nearly as good, from which the search for the best one begins: that
                changes how long it takes, not what is found.

        Raises:
            ValueError: If rows and targets do not fit together or there are none.
        """
        check_shapes(embeddings, targets)
        examples = targets.sum(axis=0)
        mixed = (examples > 0) & (examples < len(targets))
        weights = np.zeros((targets.shape[1], embeddings.shape[1]), dtype=np.float32)
        bias = np.where(examples == 0, -1.0, 1.0).astype(np.float32) * np.float32(np.log((1 - _CERTAIN) / _CERTAIN))
        if mixed.any():
            near = np.zeros_like(weights) if labels is None else LABEL_PULL * labels
            first = cls(near, np.zeros_like(bias)) if start is None else start
            begin = np.hstack([first.weights, first.bias[:, None]])[mixed]
            columns = targets[:, mixed]
            weights[mixed], bias[mixed] = _fit_columns(embeddings, columns, near[mixed], strength, begin)
        return cls(weights, bias)

    def probabilities(self, embeddings: Embeddings) -> NDArray[np.float64]:
        """How likely each row has each code, shape ``(n, k)``."""
        return _sigmoid(embeddings.astype(np.float64) @ self.weights.T.astype(np.float64) + self.bias)


def _fit_columns(
    embeddings: Embeddings, targets: Targets, near: Embeddings, strength: float, begin: Embeddings
) -> tuple[Any, Any]:
    """Minimise the sum of all columns' losses: they share no weight, so that is the minimum of each."""
    from scipy.optimize import minimize

    rows = np.hstack([embeddings, np.ones((len(embeddings), 1))]).astype(np.float32)
    signs = np.where(targets, 1.0, -1.0).astype(np.float32)
    share = targets.mean(axis=0)
    costs = (strength * np.where(targets, 0.5 / share, 0.5 / (1 - share))).astype(np.float32)
    shape = (targets.shape[1], rows.shape[1])

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(shape)
        margins = signs * (rows @ weights.T.astype(np.float32))
        slopes = -signs * costs * _sigmoid(-margins)
        gradient = (slopes.T @ rows).astype(np.float64)
        away = weights[:, :-1] - near
        gradient[:, :-1] += away  # the bias is not held down
        value = float((costs * np.logaddexp(0, -margins)).sum()) + float((away**2).sum()) / 2
        return value, gradient.ravel()

    options = {"maxiter": 200, "ftol": 1e-6, "maxcor": 10}
    with _thread_pools().limit(limits=1, user_api="blas"):  # beside other work, more threads wait ten times as long
        solution = minimize(loss, begin.astype(np.float64).ravel(), jac=True, method="L-BFGS-B", options=options)
    weights = solution.x.reshape(shape).astype(np.float32)
    return weights[:, :-1], weights[:, -1]


@cache
def _thread_pools() -> Any:
    """The process's; looking them up takes as long as a small fit."""
    import scipy.linalg  # brings its BLAS, so that it is among them
    from threadpoolctl import ThreadpoolController

    assert scipy.linalg
    return ThreadpoolController()


def _sigmoid(x: NDArray[Any]) -> NDArray[Any]:
    from scipy.special import expit

    result: NDArray[Any] = expit(x)
    return result


def check_shapes(rows: Sequence[Any] | NDArray[Any], targets: Targets) -> None:
    """See that each row has its targets.

    Raises:
        ValueError: If there are no rows, or targets of another number.
    """
    if targets.ndim != 2 or len(rows) != len(targets) or not len(rows):
        raise ValueError(f"{len(rows)} rows and targets of shape {targets.shape}; one row of targets each is needed")


@dataclass(frozen=True)
class HeadTraining:
    """How a differentiable head is trained; the values are SetFit's defaults."""

    epochs: int = 16
    batch: int = 2
    head_learning_rate: float = 1e-2
    body_learning_rate: float = 1e-5
    weight_decay: float = 0.01
    seed: int = 0


@dataclass(frozen=True)
class DifferentiableHead:
    """A linear layer trained by gradient descent; with little data it is worse than ``LogisticHead``."""

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    @classmethod
    def fit(cls, embeddings: Embeddings, targets: Targets, training: HeadTraining | None = None) -> Self:
        """Train the layer alone, on embeddings of a body that stays as it is.

        Raises:
            ValueError: If rows and targets do not fit together or there are none.
        """
        import torch

        check_shapes(embeddings, targets)
        rows = torch.from_numpy(np.ascontiguousarray(embeddings, dtype=np.float32))
        return cls(*_descend(lambda batch: rows[batch], rows.shape[1], targets, training or HeadTraining(), []))

    @classmethod
    def fit_end_to_end(
        cls,
        body: "SentenceTransformer",
        texts: Sequence[str],
        targets: Targets,
        training: HeadTraining | None = None,
    ) -> tuple["SentenceTransformer", Self]:
        """Train the layer and a copy of the body together.

        Returns:
            The trained copy, in evaluation mode, and its head.

        Raises:
            ValueError: If texts and targets do not fit together or there are none.
        """
        import copy

        from torch.nn.functional import normalize

        check_shapes(texts, targets)
        body = copy.deepcopy(body).train()

        def embed(batch: Sequence[int]) -> Any:
            features = body.preprocess([texts[i] for i in batch])
            features = {k: v.to(body.device) if hasattr(v, "to") else v for k, v in features.items()}
            return normalize(body(features)["sentence_embedding"], dim=1)

        dim = int(body.get_embedding_dimension() or 0)
        fitted = _descend(embed, dim, targets, training or HeadTraining(), list(body.parameters()), str(body.device))
        return body.eval(), cls(*fitted)

    def probabilities(self, embeddings: Embeddings) -> NDArray[np.float64]:
        """How likely each row has each code, shape ``(n, k)``."""
        return _sigmoid(embeddings.astype(np.float64) @ self.weights.T.astype(np.float64) + self.bias)


def _descend(
    embed: Any, dim: int, targets: Targets, training: HeadTraining, body: list[Any], device: str = "cpu"
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Train a layer on what ``embed`` gives for a batch of row numbers; ``body`` are the parameters that move too."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(training.seed)
        layer = torch.nn.Linear(dim, targets.shape[1]).to(device)
        expected = torch.from_numpy(targets.astype(np.float32)).to(device)
        groups = [{"params": list(layer.parameters()), "lr": training.head_learning_rate}]
        groups += [{"params": body, "lr": training.body_learning_rate}] if body else []
        optimizer = torch.optim.AdamW(groups, weight_decay=training.weight_decay)
        for _ in range(training.epochs):
            for batch in torch.split(torch.randperm(len(targets)), training.batch):
                logits = layer(embed(batch.tolist()))
                loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, expected[batch])
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
    return layer.weight.detach().cpu().numpy().copy(), layer.bias.detach().cpu().numpy().copy()
