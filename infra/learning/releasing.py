"""Which release of a study's classifier serves, and how one goes back to an earlier one."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from infra.learning.checkpoints import Checkpoints
from models.errors import InputError, SettingError
from models.ports import Clock
from models.serving import CLASSIFIERS
from schemas import ModelRelease

_TICK = timedelta(microseconds=1)


def classifier_of(study: str) -> str:
    """The name under which a study's classifier is released."""
    return CLASSIFIERS + study


def serving(releases: Iterable[ModelRelease]) -> ModelRelease | None:
    """The one that serves: the newest with the outcome ``released``; refused ones leave the old one at work."""
    released = [one for one in releases if one.outcome == "released"]
    return max(released, key=lambda one: (one.released_at, one.version), default=None)


def find(releases: Iterable[ModelRelease], version: str) -> ModelRelease:
    """A version that has served.

    Raises:
        InputError: If there is no such version, or it was refused and so has never served.
    """
    known = {one.version: one for one in sorted(releases, key=lambda one: one.outcome == "released")}
    found = known.get(version)
    if found is None:
        raise InputError(f"no version '{version[:80]}' of this classifier was released; see the list of releases")
    if found.outcome != "released":
        raise InputError(f"version '{version}' was refused and has never served; choose one that was released")
    return found


def again(release: ModelRelease, current: ModelRelease | None, author: str, clock: Clock) -> ModelRelease:
    """The message by which a version that has served serves again.

    Args:
        release: The version to go back to; see ``find``.
        current: The one that serves now; see ``serving``.
        author: Who goes back.
        clock: Tells the time; the message is later than ``current`` even where the clocks of two machines differ.

    Raises:
        InputError: If that version was refused, or serves already.
    """
    if release.outcome != "released":
        raise InputError(f"version '{release.version}' was refused and has never served; choose one that was released")
    if current is not None and current.version == release.version:
        raise InputError(f"version '{release.version}' serves already; choose another")
    at = clock.now()
    if current is not None:
        at = max(at, current.released_at + _TICK)
    gone = None if current is None else current.version
    return release.model_copy(
        update={
            "replaces": gone,
            "author": author,
            "why": "back to it" + (f" from {gone}" if gone else ""),
            "released_at": at,
        }
    )


def kept(data_dir: Path, release: ModelRelease) -> bool:
    """Whether a release can be loaded again, as far as this machine can tell: old ones are cleared away.

    A machine that has no classifiers of the study at all, such as a page beside a trainer elsewhere, cannot tell.
    """
    try:
        folder = Checkpoints(data_dir).folder(release.uri)
    except SettingError:
        return False
    return folder.is_dir() or not folder.parent.is_dir()
