"""The SQL store and the code index that the settings name."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from infra.masking.intake import Masking
from infra.settings import Settings, ensure_data_dir
from infra.storage.store import Store, open_store

if TYPE_CHECKING:
    from models.ports import CodeIndex, Embedder


def build_store(settings: Settings) -> Store:
    """The SQL store, migrated; it masks what is taken in as the settings and each study want."""
    return open_store(settings.store_url, Masking(settings))


@contextmanager
def opened_store(settings: Settings) -> Iterator[Store]:
    """The SQL store for one command: the data folder is made where there is none, and the store closed at the end."""
    ensure_data_dir(settings)
    with closing(build_store(settings)) as store:
        yield store


def build_code_index(settings: Settings, embedder: "Embedder") -> "CodeIndex":
    """The code index: Qdrant's server or its engine in this process."""
    from infra.vectors.code_index import open_code_index

    key = settings.qdrant_api_key.get_secret_value() if settings.qdrant_api_key else None
    return open_code_index(settings.index_url, embedder.dim, key, embedder.version)


def forget_codes(settings: Settings, study: str | None) -> None:
    """Take a study's codes, or all, out of the index."""
    from infra.factory.models import Models

    index = build_code_index(settings, Models.of(settings).embedder)
    try:
        index.remove(index.origins(study))
    finally:
        index.close()
