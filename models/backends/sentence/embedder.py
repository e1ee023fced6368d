"""Sentence embeddings of labels and short texts."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.backends.devices import available_device
from models.backends.weight_parts import WEIGHT_PARTS, installed_folder
from models.backends.weights import PACKAGED, packaged_path, quiet, weights_sha256
from models.errors import SettingError
from models.ports import Embeddings

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_BATCH = 64  # texts in one pass, which memory bounds; vectors do not depend on it but for rounding


def load_body(name: str = "all-MiniLM-L6-v2", device: str = "cpu", cache: Path | None = None) -> "SentenceTransformer":
    """Load a sentence model.

    Args:
        name: A name in ``weights.PACKAGED`` or ``weight_parts.WEIGHT_PARTS``, a folder, or a hub's name.
        device: ``cpu``, ``cuda``, ``cuda:0`` and so on.
        cache: Where models lie that were brought with ``qualstream weights``.

    Raises:
        SettingError: If the model is not to be had, or the device is not there.
    """
    from sentence_transformers import SentenceTransformer

    device = available_device(device)
    quiet()
    source = sentence_model_source(name, cache)
    try:
        model = SentenceTransformer(
            source, device=device, local_files_only=Path(source).is_dir(), model_kwargs={"dtype": "float32"}
        )
    except OSError as error:
        raise SettingError(
            f"no sentence model {name!r}: it is neither in a package ({', '.join(PACKAGED)}), nor a folder, nor on the "
            f"hub ({str(error).splitlines()[0]})"
        ) from error
    model.model_card_data.model = None  # its way back keeps a dropped model, and each copy, until a full collection
    return model


def sentence_model_source(name: str, cache: Path | None = None) -> str:
    """What the libraries are given for a name.

    Raises:
        SettingError: If its package is not installed, or it was not brought yet.
    """
    if name in PACKAGED:
        return str(packaged_path(name))
    return str(installed_folder(name, cache or Path())) if name in WEIGHT_PARTS else name


class SentenceEmbedder:
    """A ``sentence-transformers`` model; labels come back again and again, so the latest vectors are kept."""

    def __init__(
        self,
        name: str = "all-MiniLM-L6-v2",
        device: str = "cpu",
        *,
        cache: Path | None = None,
        kept: int = 10_000,
    ) -> None:
        """Take the model's name; weights load on first use.

        Args:
            name: A name in ``weights.PACKAGED`` or ``weight_parts.WEIGHT_PARTS``, a folder, or a hub's name.
            device: ``cpu``, ``cuda``, ``cuda:0`` and so on.
            cache: Where models lie that were brought with ``qualstream weights``.
            kept: Most texts whose vectors are kept.
        """
        self._name, self._device, self._cache, self._kept = name, device, cache, kept
        self._vectors: OrderedDict[str, Embeddings] = OrderedDict()
        self._lock = threading.Lock()

    @cached_property
    def version(self) -> str:
        """The model, with eight hex digits of its weights' SHA-256 where a package carries it."""
        brought = WEIGHT_PARTS.get(self._name)
        digest = weights_sha256(self._name) if brought is None else brought.sha256
        return self._name if digest is None else f"{self._name}@{digest[:8]}"

    @cached_property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self._model.get_embedding_dimension())

    @property
    def model(self) -> Any:
        """The ``SentenceTransformer`` itself, for those who must look inside; loaded on first use.

        Raises:
            SettingError: If the model is not to be had.
        """
        return self._model

    def load(self) -> None:
        """Load the weights now.

        Raises:
            SettingError: If the model is not to be had.
        """
        _ = self._model

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """Embed the texts, shape ``(len(texts), dim)``, rows of unit length.

        Raises:
            SettingError: If the model is not to be had.
        """
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        with self._lock:
            new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
            fresh = dict(zip(new, self._encode(new), strict=True)) if new else {}
            vectors = np.stack([fresh[text] if text in fresh else self._vectors[text] for text in texts])
            for text in dict.fromkeys(texts):
                self._vectors[text] = fresh[text] if text in fresh else self._vectors[text]
                self._vectors.move_to_end(text)
            while len(self._vectors) > self._kept:
                self._vectors.popitem(last=False)
        return vectors

    def _encode(self, texts: Sequence[str]) -> Embeddings:
        readable = [text.encode("utf-8", "replace").decode() for text in texts]  # lone surrogates have no UTF-8
        vectors: Embeddings = self._model.encode(
            readable, batch_size=_BATCH, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        return vectors.astype(np.float32, copy=False)

    @cached_property
    def _model(self) -> Any:
        return load_body(self._name, self._device, self._cache)
