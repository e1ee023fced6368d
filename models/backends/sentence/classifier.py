"""A study's own classifier: a sentence model and a head over people's codes, in safetensors and JSON only."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from models.backends.sentence.contrastive import TunedBody
from models.backends.sentence.embedder import SentenceEmbedder
from models.backends.sentence.heads import DifferentiableHead, Head, LogisticHead
from models.backends.sentence.safe_files import refuse_unsafe
from models.backends.weights import quiet
from models.errors import SettingError
from models.ports import Embedder

HEAD_TENSORS, HEAD_FACTS, BODY = "head.safetensors", "head.json", "body"
FORMAT = 1  # of the head's file: another one is refused
_KINDS: dict[str, type[LogisticHead | DifferentiableHead]] = {
    "logistic": LogisticHead,
    "differentiable": DifferentiableHead,
}


class TextClassifier:
    """Implements ``models.ports.Classifier``; a body that keeps its embeddings makes texts that come back cheap."""

    def __init__(
        self, body: Embedder, head: Head, codes: Sequence[UUID], labels: Sequence[str], *, version: str = ""
    ) -> None:
        """Put body and head together.

        Args:
            body: Embeds texts; a ``TunedBody`` is saved with the head, any other is only named.
            head: One column a code.
            codes: The codes' ids, in the order of the head's columns.
            labels: Their labels, in the same order.
            version: The release's version, given by who releases it.

        Raises:
            ValueError: If codes, labels and head differ in number.
        """
        if not len(codes) == len(labels) == len(head.bias) == len(head.weights):
            raise ValueError(f"{len(codes)} codes, {len(labels)} labels and a head of {len(head.bias)} columns")
        self.body, self.head, self.labels = body, head, tuple(labels)
        self._codes, self._version = tuple(codes), version

    @property
    def version(self) -> str:
        """The release's version."""
        return self._version

    @property
    def codes(self) -> tuple[UUID, ...]:
        """The codes that it knows, in the order of its columns."""
        return self._codes

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """How likely each text has each code, shape ``(len(texts), len(codes))``, each number by itself from 0 to 1."""
        return self.head.probabilities(self.body.embed(texts))

    def save(self, folder: Path) -> None:
        """Write ``head.safetensors``, ``head.json`` and, for a tuned body, ``body/`` into a folder."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        tensors = {"weights": self.head.weights, "bias": self.head.bias}
        save_file({k: np.ascontiguousarray(v, dtype=np.float32) for k, v in tensors.items()}, folder / HEAD_TENSORS)
        facts = {
            "format": FORMAT,
            "kind": "differentiable" if isinstance(self.head, DifferentiableHead) else "logistic",
            "body": self.body.version,
            "tuned": isinstance(self.body, TunedBody),
            "codes": [{"id": str(i), "label": label} for i, label in zip(self.codes, self.labels, strict=True)],
        }
        (folder / HEAD_FACTS).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        if isinstance(self.body, TunedBody):
            self.body.save(folder / BODY)

    @classmethod
    def load(cls, folder: Path, body: Embedder | None = None, *, version: str = "", device: str = "cpu") -> Self:
        """Read what ``save`` wrote; a body's weights load on first use, or with ``ports.load(classifier.body)``.

        Args:
            folder: Where it lies; refused before anything is read if a file in it could hold code.
            body: The body to use; else ``body/`` in the folder, or the one that the head names.
            version: The release's version.
            device: Where a body that is loaded here goes.

        Raises:
            SettingError: If the folder holds no classifier, one of another format, or a file that is not safe.
        """
        refuse_unsafe(folder)
        quiet()
        facts, tensors = _read_head(folder)
        if body is None:
            named = str(folder / BODY) if facts["tuned"] else str(facts["body"]).partition("@")[0]
            body = SentenceEmbedder(named, device)
        if body.dim != tensors["weights"].shape[1]:
            raise SettingError(
                f"the head in {folder} has {tensors['weights'].shape[1]} columns and {body.version} embeds in "
                f"{body.dim}; it was made for {facts['body']}: use that body, or train the classifier again"
            )
        head = _KINDS[facts["kind"]](tensors["weights"], tensors["bias"])
        codes = [UUID(code["id"]) for code in facts["codes"]]
        try:
            return cls(body, head, codes, [code["label"] for code in facts["codes"]], version=version)
        except ValueError as error:
            raise SettingError(f"{folder}: {error}; train the classifier again") from error


def _read_head(folder: Path) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        facts: dict[str, Any] = json.loads((folder / HEAD_FACTS).read_text(encoding="utf-8"))
        tensors = load_file(folder / HEAD_TENSORS)
    except (OSError, ValueError, SafetensorError) as error:
        raise SettingError(f"no classifier in {folder}: {error}; train it again") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT or facts.get("kind") not in _KINDS:
        raise SettingError(f"{folder / HEAD_FACTS} is not of format {FORMAT}; train the classifier again")
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    if shapes.keys() != {"weights", "bias"} or tensors["weights"].ndim != 2 or tensors["bias"].ndim != 1:
        raise SettingError(f"{folder / HEAD_TENSORS} holds {shapes}; weights (k, dim) and bias (k,) were expected")
    return facts, tensors
