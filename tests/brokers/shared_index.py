"""A code index that several processes share, as a Qdrant server is one, and a refiner that uses it.

``python -m tests.brokers.shared_index HOST:PORT`` runs a refiner on the index that ``served_index`` serves there.
"""

import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.managers import BaseManager, Server
from uuid import UUID

from infra.roles import refiner
from infra.roles.run import run_role
from infra.settings import Settings, load_settings
from models.fakes import MemoryCodeIndex
from models.ports import CodeIndex, Embedder, Embeddings, IndexedCode
from schemas import Neighbour

_KEY = b"a test's"


class LockedIndex(MemoryCodeIndex):
    """An index in memory for several threads."""

    def __init__(self) -> None:
        """Start without codes."""
        super().__init__()
        self._lock = threading.RLock()  # ``put`` removes a code that moves to another study

    def nearest(self, study: str, vector: Embeddings, limit: int) -> list[Neighbour]:
        """As the index without a lock."""
        with self._lock:
            return super().nearest(study, vector, limit)

    def put(self, codes: Sequence[IndexedCode]) -> None:
        """As the index without a lock."""
        with self._lock:
            super().put(codes)

    def origins(self, study: str | None = None) -> dict[UUID, UUID | None]:
        """As the index without a lock."""
        with self._lock:
            return super().origins(study)

    def remove(self, ids: Iterable[UUID]) -> None:
        """As the index without a lock."""
        with self._lock:
            super().remove(ids)


class _Manager(BaseManager):
    """Serves one index."""


@contextmanager
def served_index() -> Iterator[str]:
    """Serve an empty index on a free port of this machine; yields ``host:port``."""
    index = LockedIndex()
    _Manager.register("index", callable=lambda: index)
    server: Server = _Manager(("127.0.0.1", 0), _KEY).get_server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host, port = server.address
    yield f"{host}:{port}"


def main(address: str) -> None:
    """Run a refiner on the index at an address, until SIGTERM."""
    host, port = address.split(":")
    _Manager.register("index")
    manager = _Manager((host, int(port)), _KEY)
    manager.connect()

    def shared(settings: Settings, embeds: Embedder) -> CodeIndex:
        return manager.index()  # type: ignore[attr-defined, no-any-return]

    refiner.build_code_index = shared
    run_role("refiner", load_settings().model_copy(update={"qdrant_url": "http://shared"}))


if __name__ == "__main__":
    main(sys.argv[1])
