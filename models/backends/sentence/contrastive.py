"""Contrastive tuning of a sentence model on people's codes, with the loss over all pairs of a step.

SetFit draws pairs and reads both texts of each: 145 labels become about 20,000 pairs, and their number grows with the
square of the labels. Here a step's texts are read once and every pair of them counts, so the cost is linear in labels.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.backends.sentence.embedder import SentenceEmbedder
from models.backends.sentence.heads import Targets, check_shapes
from models.backends.weights import quiet

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

_CHUNK_TOKENS = 512
"""Texts of like length are read together up to so many tokens, padding included: longer ones slow no short ones."""


@dataclass(frozen=True)
class TuningSettings:
    """How a body is tuned; chosen on halves of open sets on which nothing is reported (docs/results/retraining.md)."""

    passes: int = 5
    step: int = 64
    """Most texts a step; all pairs of them count."""
    learning_rate: float = 1e-4
    warm_up: float = 0.1
    """Share of the updates in which the learning rate rises; then it falls to 0."""
    weight_decay: float = 0.01
    temperature: float = 0.1
    """Cosines are divided by it: the smaller, the more the nearest texts without a common code count."""
    max_tokens: int = 256
    """Tokens of a text that are read, at most the body's own limit."""
    frozen_layers: int = 0
    """Lower layers that stay as they are; word embeddings always do, where the model's parts are known."""
    seed: int = 0


class TunedBody(SentenceEmbedder):
    """An embedder over a model that is at hand, tuned and not yet saved."""

    def __init__(self, model: "SentenceTransformer", name: str, *, kept: int = 10_000) -> None:
        """Take the model and a name for it."""
        super().__init__(name, str(model.device), kept=kept)
        self._model = model

    def save(self, folder: Path) -> None:
        """Write the model into a folder of its own, as safetensors and JSON."""
        quiet()
        self._model.save_pretrained(str(folder), create_model_card=False, safe_serialization=True)


def tune(
    body: "SentenceTransformer", texts: Sequence[str], targets: Targets, settings: TuningSettings | None = None
) -> "SentenceTransformer":
    """Tune a copy of a body so that texts with common codes come near each other.

    Args:
        body: The model to start from; it stays as it is.
        texts: What people coded.
        targets: Which text has which code, shape ``(len(texts), k)``.
        settings: How to tune.

    Returns:
        The tuned copy, in evaluation mode; on one machine the same arguments give the same weights.

    Raises:
        ValueError: If texts and targets do not fit together or there are none.
    """
    import torch

    check_shapes(texts, targets)
    settings = settings or TuningSettings()
    model = copy.deepcopy(body).train()
    _freeze(model, settings.frozen_layers)
    with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
        torch.manual_seed(settings.seed)  # order of the texts, and dropout
        _Tuning(model, texts, targets, settings).run()
    for parameter in model.parameters():
        parameter.requires_grad = True
    return model.eval()


def pair_loss(rows: "Tensor", targets: "Tensor", temperature: float) -> "Tensor | None":
    """Supervised contrastive loss over all pairs of a step, each pair as alike as its code sets are (Jaccard).

    Each text that shares a code with another is an anchor, and all anchors weigh the same: it is to be nearer to those
    it shares codes with, by how much they share, than to all others. Texts without a code are what anchors keep
    away from, but never anchors: that two texts have none of the codes does not make them alike.

    Args:
        rows: Embeddings of unit length, shape ``(n, dim)``.
        targets: 0 or 1, shape ``(n, k)``.
        temperature: What cosines are divided by.

    Returns:
        The mean over anchors; ``None`` if no two texts share a code.

    Source:
        Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, equation 2, with weights for shared codes.
    """
    import torch

    common = targets @ targets.T
    counts = targets.sum(dim=1)
    alike = (common / (counts[:, None] + counts - common).clamp(min=1)).fill_diagonal_(0)
    weight = alike.sum(dim=1)
    anchors = weight > 0
    if not anchors.any():
        return None
    itself = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    logits = (rows @ rows.T / temperature).masked_fill(itself, -1e9)
    logs = logits - torch.logsumexp(logits, dim=1, keepdim=True)
    return -((alike * logs).sum(dim=1)[anchors] / weight[anchors]).mean()


class _Tuning:
    """One run: the texts' tokens, the parameters that move, the optimizer."""

    def __init__(self, model: Any, texts: Sequence[str], targets: Targets, settings: TuningSettings) -> None:
        import torch

        self._model, self._settings = model, settings
        self._targets = torch.from_numpy(targets.astype(np.float32)).to(model.device)
        readable = [text.encode("utf-8", "replace").decode() for text in texts]  # lone surrogates have no UTF-8
        limit = min(settings.max_tokens, model.max_seq_length or settings.max_tokens)
        self._tokens = model.tokenizer(readable, truncation=True, max_length=limit)
        self._lengths = [len(ids) for ids in self._tokens["input_ids"]]
        self._trainable = [p for p in model.parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW(
            self._trainable, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )

    def run(self) -> None:
        """Go over the texts ``passes`` times, in steps of equal size and new order."""
        import torch

        settings, texts = self._settings, len(self._lengths)
        steps = math.ceil(texts / settings.step)
        for update in range(settings.passes * steps):
            if update % steps == 0:
                batches = torch.tensor_split(torch.randperm(texts), steps)
            for group in self._optimizer.param_groups:
                group["lr"] = settings.learning_rate * _lr_factor(update, settings.passes * steps, settings.warm_up)
            self._update(batches[update % steps].tolist())

    def _update(self, batch: list[int]) -> None:
        import torch

        batch = sorted(batch, key=lambda i: self._lengths[i])
        kind = self._model.device.type
        with torch.autocast(kind, torch.bfloat16, enabled=multiplies_bfloat16(kind)):
            rows = torch.cat([self._embed(chunk) for chunk in _chunks(batch, self._lengths)])
        loss = pair_loss(rows.float(), self._targets[batch], self._settings.temperature)
        if loss is None:
            return
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._trainable, 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def _embed(self, batch: Sequence[int]) -> "Tensor":
        from torch.nn.functional import normalize

        chosen = {name: [values[i] for i in batch] for name, values in self._tokens.items()}
        features = self._model.tokenizer.pad(chosen, return_tensors="pt").to(self._model.device)
        return normalize(self._model(dict(features))["sentence_embedding"].float(), dim=1)


def _chunks(batch: Sequence[int], lengths: Sequence[int]) -> list[list[int]]:
    """Texts, sorted by length, in parts of at most ``_CHUNK_TOKENS`` with padding, or of one text."""
    chunks: list[list[int]] = [[]]
    for i in batch:
        if chunks[-1] and (len(chunks[-1]) + 1) * lengths[i] > _CHUNK_TOKENS:
            chunks.append([])
        chunks[-1].append(i)
    return chunks


def _lr_factor(update: int, updates: int, warm_up: float) -> float:
    """Share of the learning rate: up over the first updates, then down to 0."""
    warm = max(1, round(updates * warm_up))
    return (update + 1) / warm if update < warm else (updates - update) / max(1, updates - warm)


def _freeze(model: Any, layers: int) -> None:
    """Leave word embeddings and lower layers as they are, where the model is built like BERT."""
    inner = getattr(model[0], "auto_model", None)
    frozen = [getattr(inner, "embeddings", None), *list(getattr(getattr(inner, "encoder", None), "layer", []))[:layers]]
    for part in frozen:
        for parameter in part.parameters() if part is not None else ():
            parameter.requires_grad = False


def multiplies_bfloat16(kind: str) -> bool:
    """Whether the device has instructions for products in bfloat16; not measured, so that each run says the same."""
    import torch

    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    capabilities = torch.cpu.get_capabilities()
    return kind == "cpu" and bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
