"""Directions in Qdrant: a server for clusters, its in-process engine for one machine; both behind one port.

A collection is a view of something that is kept elsewhere and can be filled again from it. A point belongs to one
study; its payload is small and says what the caller needs to know of it.
"""

from pathlib import Path

from infra.vectors.local import LocalVectors
from infra.vectors.points import Collection, Vectors
from infra.vectors.server import ServerVectors
from models.errors import SettingError


def open_vectors(url: str, collection: Collection, api_key: str | None = None) -> Vectors:
    """Open a collection, and make it if it is not there.

    Args:
        url: ``http://HOST:PORT`` or ``https://HOST:PORT`` of a Qdrant server; else ``file:FOLDER`` or a folder.
        collection: Which, and what for.
        api_key: The server's, if it wants one.

    Raises:
        SettingError: If the collection holds vectors of another length, another process has the folder, the folder
            cannot be written or the server refuses the key.
        UnavailableError: If the server does not answer now; any method may raise it later too.
    """
    if url.startswith(("http://", "https://")):
        return ServerVectors(url, collection, api_key)
    if "://" in url and not url.startswith("file:"):
        raise SettingError(
            f"the {collection.what} is '{url}' but http://HOST:PORT, https://HOST:PORT or file:FOLDER was expected"
        )
    return LocalVectors(Path(url.removeprefix("file://").removeprefix("file:")), collection)
