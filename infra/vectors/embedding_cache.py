"""Embeddings kept on disk by their texts' hashes, so that a restart embeds nothing twice."""

import logging
import os
import re
import threading
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from uuid import uuid4

import numpy as np

from models.ports import Embedder, Embeddings

log = logging.getLogger(__name__)
_KEY = 16  # bytes
_MOST_PARTS = 32
_KEYS, _VECTORS = "keys", "vectors"


def forget_texts(folder: Path, texts: Iterable[str]) -> int:
    """Take the embeddings of some texts out of what is kept, whichever model made them.

    Args:
        folder: That of ``CachedEmbedder``, with a folder for each version of a model.
        texts: As they were embedded.

    Returns:
        How many embeddings were taken out. Those in the memory of a process that runs are not written again.
    """
    from safetensors.numpy import load_file, save_file

    gone, count = {_hash(text) for text in texts}, 0
    for part in sorted(folder.glob("*/*.safetensors")):
        tensors = load_file(part)
        kept = [n for n, key in enumerate(tensors[_KEYS]) if bytes(key) not in gone]
        if len(kept) < len(tensors[_KEYS]):
            count += len(tensors[_KEYS]) - len(kept)
            save_file({name: tensor[kept] for name, tensor in tensors.items()}, part.with_name(f".{part.name}"))
            os.replace(part.with_name(f".{part.name}"), part)
    return count


def _hash(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_KEY).digest()


class CachedEmbedder:
    """An embedder whose vectors outlive the process. Implements ``models.ports.Embedder``; threads may share it."""

    def __init__(self, embedder: Embedder, folder: Path) -> None:
        """Keep an embedder's vectors in a folder of its own below ``folder``.

        Args:
            embedder: Embeds what is not known yet.
            folder: Where; each version of a model has a folder in it.
        """
        self._embedder = embedder
        self._folder = folder / re.sub(r"[^\w.@-]+", "-", embedder.version)[-100:]
        self._vectors: dict[bytes, Embeddings] | None = None
        self._lock = threading.Lock()

    @property
    def version(self) -> str:
        """The embedder's."""
        return self._embedder.version

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._embedder.dim

    def load(self) -> None:
        """Load the embedder's weights, if it has any, and what is kept."""
        method = getattr(self._embedder, "load", None)
        if method is not None:
            method()
        with self._lock:
            self._known()

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """Embed the texts, shape ``(len(texts), dim)``, rows of unit length; new ones are on disk when this returns."""
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        keys = [_hash(text) for text in texts]
        with self._lock:
            known = self._known()
            missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
            if missing:
                fresh = dict(zip(missing, self._embedder.embed(list(missing.values())), strict=True))
                known.update(fresh)
                self._write(fresh)
            return np.stack([known[key] for key in keys])

    def _known(self) -> dict[bytes, Embeddings]:
        if self._vectors is None:
            self._vectors = {}
            parts = self._parts()
            for part in parts:
                self._vectors.update(_read(part, self.dim))
            for part in self._parts() - parts:  # others may have made one of many while these were read
                self._vectors.update(_read(part, self.dim))
            if len(parts) > _MOST_PARTS and self._vectors:
                self._write(self._vectors)
                for part in parts:
                    part.unlink(missing_ok=True)
        return self._vectors

    def _parts(self) -> set[Path]:
        return set(self._folder.glob("*.safetensors"))

    def _write(self, vectors: dict[bytes, Embeddings]) -> None:
        """Add a part; one that cannot be written costs only time at the next start."""
        from safetensors.numpy import save_file

        name = f"{uuid4().hex}.safetensors"
        keys = np.frombuffer(b"".join(vectors), dtype=np.uint8).reshape(-1, _KEY)
        tensors = {_KEYS: keys.copy(), _VECTORS: np.stack(list(vectors.values())).astype(np.float32)}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            save_file(tensors, self._folder / f".{name}")
            os.replace(self._folder / f".{name}", self._folder / name)
        except OSError as error:
            log.warning("embeddings cannot be kept in '%s': %s", self._folder, error)


def _read(part: Path, dim: int) -> dict[bytes, Embeddings]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(part)
        keys, vectors = tensors[_KEYS], tensors[_VECTORS].astype(np.float32)
    except FileNotFoundError:
        return {}  # it is in another part by now
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        log.warning("'%s' is no part of the kept embeddings and is passed over: %s", part, error)
        return {}
    if keys.shape != (len(vectors), _KEY) or vectors.shape[1:] != (dim,):
        log.warning("'%s' holds vectors of shape %s and is passed over", part, vectors.shape)
        return {}
    return {bytes(key): vector for key, vector in zip(keys, vectors, strict=True)}
