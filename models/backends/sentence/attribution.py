"""Which words of a text speak for a code and which against it: integrated gradients through head and body."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from models.backends.sentence.embedder import SentenceEmbedder
from models.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from models.backends.sentence.classifier import TextClassifier

STEPS = 32
"""Points on the way from nothing to the text."""
_AT_ONCE = 8  # of them are read in one batch, so that a long text does not take gigabytes
_NO_BLANKS = r"\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"  # Thai, Lao, Japanese, Chinese
_WORD = re.compile(rf"[{_NO_BLANKS}]|[^\s{_NO_BLANKS}]+")
"""A run between blanks; where a script writes no blanks, a character."""


@dataclass(frozen=True)
class Word:
    """A word of the text and what it adds to the code's log-odds."""

    start: int
    end: int
    text: str
    weight: float | None
    """None where the sentence model did not read as far."""


@dataclass(frozen=True)
class Attribution:
    """What made a classifier say how likely a text has a code."""

    words: tuple[Word, ...]
    """All of the text's, in order."""
    log_odds: float
    """Of the text; above 0 the code is likelier than not."""
    baseline: float
    """Log-odds of a text as long in which every word piece is the model's padding."""

    @property
    def probability(self) -> float:
        """The classifier's own."""
        return _sigmoid(self.log_odds)

    @property
    def baseline_probability(self) -> float:
        """The classifier's own, of such a text of padding."""
        return _sigmoid(self.baseline)

    @property
    def gap(self) -> float:
        """What the words leave unexplained of the way from the baseline, in log-odds: 0 with endless steps."""
        return self.log_odds - self.baseline - sum(word.weight or 0.0 for word in self.words)


def _sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def attribute(classifier: "TextClassifier", text: str, code: UUID, *, steps: int = STEPS) -> Attribution:
    """Share the log-odds of one code out among the words of a text; one thread at a time, and no other use meanwhile.

    Args:
        classifier: Its body must be a sentence model that torch runs.
        text: What was classified.
        code: One that the classifier knows.
        steps: Points on the way; each is one reading of the text, all in one batch.

    Raises:
        InputError: If the classifier does not know the code, or its body cannot be looked into.

    Source:
        Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks" (ICML 2017); points and weights are
        Gauss and Legendre's, which need fewer of them than equal steps do.
    """
    if code not in classifier.codes:
        raise InputError(f"the classifier was not taught the code {code}; it knows {len(classifier.codes)} others")
    if not isinstance(classifier.body, SentenceEmbedder):
        raise InputError(f"the body {classifier.body.version!r} cannot be looked into; a sentence model is needed")
    row = classifier.codes.index(code)
    body = classifier.body.model
    readable = text.encode("utf-8", "replace").decode()  # as it was classified: lone surrogates have no UTF-8
    features, offsets = _tokens(body, readable)
    score = _scorer(body, features, classifier.head.weights[row], float(classifier.head.bias[row]))
    inside = np.array([end > start for start, end in offsets])
    weights, log_odds, baseline = _integrate(body, features, score, inside, steps)
    return Attribution(tuple(_words(text, offsets, weights)), log_odds, baseline)


def _tokens(body: Any, text: str) -> tuple[dict[str, "Tensor"], list[tuple[int, int]]]:
    """A batch of one, and where each token stands in the text; (0, 0) for those that the model adds."""
    try:
        read = body.tokenizer(
            text,
            truncation=True,
            max_length=body.max_seq_length,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
            return_tensors="pt",
        )
    except NotImplementedError as error:  # a slow tokenizer's word for no offsets
        raise InputError("this sentence model's tokenizer does not tell where a token stands in the text") from error
    added = read.pop("special_tokens_mask")[0].tolist()
    places = read.pop("offset_mapping")[0].tolist()
    offsets = [(0, 0) if mark else (start, end) for (start, end), mark in zip(places, added, strict=True)]
    return {name: tensor.to(body.device) for name, tensor in read.items()}, offsets


def _scorer(
    body: Any, features: dict[str, "Tensor"], weights: NDArray[np.float32], bias: float
) -> Callable[[int], "Tensor"]:
    """The code's log-odds of so many readings of the text, shape ``(n,)``."""
    import torch
    from torch.nn.functional import normalize

    column = torch.from_numpy(np.array(weights, dtype=np.float32)).to(body.device)

    def score(n: int) -> "Tensor":
        batch = {name: tensor.expand(n, -1) for name, tensor in features.items()}
        return normalize(body(batch)["sentence_embedding"], dim=1) @ column + bias

    return score


def _integrate(
    body: Any,
    features: dict[str, "Tensor"],
    log_odds_of: Callable[[int], "Tensor"],
    inside: NDArray[np.bool_],
    steps: int,
) -> tuple[NDArray[np.float64], float, float]:
    """Each token's share of the way from the baseline's log-odds to the text's, and the two."""
    import torch

    nodes, parts = np.polynomial.legendre.leggauss(steps)
    layer = body[0].auto_model.get_input_embeddings()
    ids = features["input_ids"]
    padding = torch.full_like(ids, body.tokenizer.pad_token_id or 0)
    nothing = torch.where(torch.from_numpy(inside).to(ids.device), padding, ids)
    with torch.no_grad():
        full, empty = layer(ids).detach(), layer(nothing).detach()
    places = torch.tensor(np.concatenate([(nodes + 1) / 2, [0.0, 1.0]]), dtype=full.dtype, device=full.device)
    shares = torch.tensor(np.concatenate([parts / 2, [0.0, 0.0]]), dtype=full.dtype, device=full.device)
    scores, mean = [], torch.zeros_like(full)
    for at in range(0, len(places), _AT_ONCE):
        points, share = places[at : at + _AT_ONCE], shares[at : at + _AT_ONCE]
        path = (empty + points[:, None, None] * (full - empty)).requires_grad_()
        with _instead(layer, path), torch.enable_grad():
            score = log_odds_of(len(points))
            (slopes,) = torch.autograd.grad(score.sum(), path)
        scores += score.tolist()
        mean += (share[:, None, None] * slopes).sum(dim=0, keepdim=True)
    weights = (mean * (full - empty))[0].sum(dim=-1).cpu().numpy().astype(np.float64)
    return weights, scores[-1], scores[-2]


@contextmanager
def _instead(layer: Any, output: "Tensor") -> Iterator[None]:
    """Let a layer give this, whatever it reads."""
    hook = layer.register_forward_hook(lambda *_: output)
    try:
        yield
    finally:
        hook.remove()


def _words(text: str, offsets: list[tuple[int, int]], weights: NDArray[np.float64]) -> Iterator[Word]:
    """Word pieces put together; each counts for the word in which it begins."""
    reached = max((end for _, end in offsets), default=0)
    spans = [match.span() for match in _WORD.finditer(text)]
    sums = [0.0] * len(spans)
    at = 0
    for (start, end), weight in zip(offsets, weights, strict=True):
        if end <= start:
            continue
        while at + 1 < len(spans) and spans[at + 1][0] <= start:
            at += 1
        if spans:
            sums[at] += float(weight)
    for (start, end), total in zip(spans, sums, strict=True):
        yield Word(start, end, text[start:end], total if start < reached else None)
