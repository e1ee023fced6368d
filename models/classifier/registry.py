"""Which release of a study's classifier serves, and what it makes of segments.

Releases are heard in one thread while another one works on batches: a new one is loaded where no batch waits for it,
and its first batch is the next one. One that cannot be loaded changes nothing.
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import takewhile
from typing import Generic, TypeVar

from schemas import ModelRelease

log = logging.getLogger(__name__)
T = TypeVar("T")

CLASSIFIERS = "classifier/"
"""What the names of classifiers begin with, before their study's."""


class ReleaseRegistry(Generic[T]):
    """What serves each study, made of the newest release that can be loaded.

    Safe to ask in one thread while another one hears.
    """

    def __init__(self, load: Callable[[ModelRelease], T]) -> None:
        """Serve nobody yet.

        Args:
            load: Makes of a release what is wanted of it; whatever it raises, the release is passed over.
        """
        self._load = load
        self._heard: defaultdict[str, dict[tuple[str, str], ModelRelease]] = defaultdict(dict)
        self._serving: dict[str, tuple[ModelRelease, T]] = {}
        self._lock = threading.Lock()

    def of(self, study: str) -> T | None:
        """What serves a study now; a batch asks once, so that one release reads all of it."""
        with self._lock:
            current = self._serving.get(study)
        return None if current is None else current[1]

    def add_releases(self, releases: Iterable[ModelRelease]) -> list[str]:
        """Take releases in, in any order; those heard before change nothing.

        Returns:
            The studies that another release serves now.
        """
        news: dict[str, None] = {}
        for release in releases:
            if release.study is None or release.outcome != "released" or not release.model.startswith(CLASSIFIERS):
                continue
            key = (release.version, release.released_at.isoformat())
            if key not in self._heard[release.study]:
                self._heard[release.study][key] = release
                news[release.study] = None
        return [study for study in news if self._follow(study)]

    def _follow(self, study: str) -> bool:
        newest = sorted(
            self._heard[study].values(), key=lambda release: (release.released_at, release.version), reverse=True
        )
        before = self._serving.get(study)
        for release in takewhile(lambda release: before is None or release.released_at > before[0].released_at, newest):
            same = before is not None and (before[0].version, before[0].sha256) == (release.version, release.sha256)
            loaded = before[1] if before is not None and same else self._loaded(release)
            if loaded is not None:
                with self._lock:
                    self._serving[study] = (release, loaded)
                if not same:
                    log.info("classifier %s serves study %r from the next batch on", release.version, study)
                return not same
        return False

    def _loaded(self, release: ModelRelease) -> T | None:
        try:
            return self._load(release)
        except Exception as error:  # whatever a file holds, the stream goes on with what it has
            log.error(
                "classifier %s of study %r cannot be loaded, so what served goes on serving: %s",
                release.version,
                release.study,
                error,
            )
            return None
