"""A Qdrant server that tests are given: ``QDRANT_URL`` and, where it wants one, ``QDRANT_API_KEY``."""

import os
import warnings

import pytest


def empty_server() -> tuple[str, str | None]:
    """The server's address and key, without any collection; skips the test where no server is given."""
    url, key = os.environ.get("QDRANT_URL"), os.environ.get("QDRANT_API_KEY")
    if not url:
        pytest.skip("QDRANT_URL is not set, so there is no Qdrant server to test")
    from qdrant_client import QdrantClient

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a key in the clear, on this machine
        client = QdrantClient(url=url, api_key=key, check_compatibility=False)
    for collection in client.get_collections().collections:
        client.delete_collection(collection.name)
    client.close()
    return url, key
