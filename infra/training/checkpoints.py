"""Classifiers on disk: written whole or not at all, verified before anything of them is read, never a pickle.

<data folder>/classifiers/<study>/<version>/    manifest.json, head.safetensors, head.json, out_of_fold.json,
                                               redecided.json; of a tuned body tuned_on.json, body/
<data folder>/classifiers/bodies/<sha256>/      tuned bodies; the files in ``body/`` are links to these
"""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC
from hashlib import sha256
from pathlib import Path
from typing import Literal
from uuid import UUID, uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from models.backends.sentence.safe_files import refuse_unsafe
from models.classifier.predictions import Redecided
from models.errors import SettingError, SpareError
from schemas import ModelRelease
from schemas.record import Label, Share, describe

MANIFEST, OUT_OF_FOLD, REDECIDED, TUNED_ON = "manifest.json", "out_of_fold.json", "redecided.json", "tuned_on.json"
BODY, TUNED = "body", "sha256:"
FORMAT = 1
_OURS = ("bodies", "lock")
_STAGED = ".staged-"
_DATA = "data:"


class TaughtCode(BaseModel):
    """A code that a classifier knows."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    label: Label
    threshold: Share = Field(description="Probability from which it counts as there.")


class Manifest(BaseModel):
    """What a checkpoint is, and the SHA-256 of each of its files."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    study: str
    made_at: AwareDatetime
    tier: Literal["head", "tuned"] = Field(description="Whether only a head was fitted, or the body tuned too.")
    body: str = Field(description="A sentence model with its revision; a tuned one as sha256: and its content's.")
    codes: tuple[TaughtCode, ...] = Field(description="In the order of the head's columns.")
    sure_from: float | None = Field(default=None, description="Probability from which the best guess is sure.")
    labels: int = Field(ge=0, description="Segments that it was taught.")
    data: str = Field(description="SHA-256 of the labels, see ``models.classifier.training_set``.")
    files: dict[str, str] = Field(default_factory=dict, description="Path below the folder to SHA-256, in hex.")


@dataclass(frozen=True)
class _Written:
    """A classifier on disk, whole."""

    folder: Path
    manifest: Manifest
    sha256: str
    """Of the manifest."""

    @property
    def version(self) -> str:
        """When it was made, and what it is."""
        return f"{self.manifest.made_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{self.sha256[:8]}"


class Staged(_Written):
    """One that is not in its place yet."""


class Checkpoint(_Written):
    """One in its place, verified."""

    def out_of_fold(self) -> dict[UUID, dict[UUID, float]]:
        """By labelled segment the probability of each code, each by a classifier that was not taught the segment."""
        rows = json.loads((self.folder / OUT_OF_FOLD).read_bytes())
        return {
            UUID(segment): {UUID(code): float(value) for code, value in row.items()} for segment, row in rows.items()
        }

    def tuned_on(self) -> frozenset[UUID]:
        """The segments that a tuned body has seen; in older checkpoints perhaps any that there were labels of."""
        if (self.folder / TUNED_ON).exists():
            return frozenset(map(UUID, json.loads((self.folder / TUNED_ON).read_bytes())))
        return frozenset(self.out_of_fold()) if self.manifest.body.startswith(TUNED) else frozenset()

    def redecided(self) -> dict[UUID, Redecided]:
        """By labelled segment what it would be coded with, were its label away; of none in older checkpoints."""
        path = self.folder / REDECIDED
        rows = json.loads(path.read_bytes()) if path.exists() else {}
        return {UUID(segment): Redecided(row["label"], row["signals"]) for segment, row in rows.items()}


def _seal(folder: Path, manifest: Manifest) -> Staged:
    """Write the manifest over what is in a folder, and have all of it on the disk."""
    refuse_unsafe(folder)
    files = {str(path.relative_to(folder)): _sha256(path) for path in _files(folder)}
    body = content_of(files)
    whole = manifest.model_copy(update={"files": files} | ({"body": TUNED + body} if body else {}))
    raw = whole.model_dump_json(indent=1).encode()
    (folder / MANIFEST).write_bytes(raw)
    _sync(folder)
    return Staged(folder, whole, sha256(raw).hexdigest())


class Checkpoints:
    """The classifiers of a data folder. One trainer writes them; whoever likes reads them."""

    def __init__(self, data_dir: Path) -> None:
        """Take the data folder; nothing is made before something is saved."""
        self._data = data_dir.absolute()
        self.root = self._data / "classifiers"

    # Writing

    def hold(self) -> int:
        """Be the one trainer of this folder; the kernel lets it go when the process ends, however it ends.

        Returns:
            The open file that holds the folder; closing it lets the folder go.

        Raises:
            SettingError: If the folder cannot be written.
            SpareError: If another process holds it; the next one may wait to take its place.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise SettingError(
                f"the folder of classifiers '{self.root}' cannot be written ({error.strerror}); mend its rights"
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise SpareError(f"another trainer works in '{self.root}'; this one waits to take its place") from None
        return lock

    def clean(self) -> list[Path]:
        """Remove what was being written when a trainer died; only who holds the folder may."""
        left = sorted(self.root.glob(f"*/{_STAGED}*"))
        for folder in left:
            shutil.rmtree(folder, ignore_errors=True)
        return left

    def stage(
        self,
        manifest: Manifest,
        write: Callable[[Path], None],
        out_of_fold: Mapping[UUID, Mapping[UUID, float]],
        redecided: Mapping[UUID, Redecided] | None = None,
        tuned_on: Iterable[UUID] = (),
    ) -> Staged:
        """Write a classifier beside its place, with all of it on the disk when this returns.

        Args:
            manifest: Without ``files``, and for a tuned body without ``body``: both are found here.
            write: Writes the classifier into a folder: ``head.safetensors``, ``head.json`` and perhaps ``body/``.
            out_of_fold: See ``Checkpoint.out_of_fold``.
            redecided: See ``Checkpoint.redecided``.
            tuned_on: See ``Checkpoint.tuned_on``.

        Raises:
            SettingError: If a file was written that must not be in a checkpoint.
        """
        folder = self.study_folder(manifest.study) / f"{_STAGED}{uuid4().hex}"
        folder.mkdir(parents=True)
        try:
            write(folder)
            rows = {str(s): {str(c): round(p, 6) for c, p in row.items()} for s, row in out_of_fold.items()}
            (folder / OUT_OF_FOLD).write_text(json.dumps(rows), encoding="utf-8")
            if redecided:
                again = {str(segment): asdict(decided) for segment, decided in redecided.items()}
                (folder / REDECIDED).write_text(json.dumps(again), encoding="utf-8")
            seen = sorted(map(str, tuned_on))
            if seen:
                (folder / TUNED_ON).write_text(json.dumps(seen), encoding="utf-8")
            return _seal(folder, manifest)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def keep(self, staged: Staged) -> Checkpoint:
        """Put a staged classifier in its place, at once."""
        self._share_body(staged)
        folder = self.study_folder(staged.manifest.study) / staged.version
        if folder.exists():  # the same second and the same content
            shutil.rmtree(staged.folder)
        else:
            os.replace(staged.folder, folder)
        _sync_folder(folder.parent)
        return Checkpoint(folder, staged.manifest, staged.sha256)

    def discard(self, staged: Staged) -> None:
        """Remove a staged classifier."""
        shutil.rmtree(staged.folder, ignore_errors=True)

    def _share_body(self, staged: Staged) -> None:
        """Keep a tuned body once, however many versions have it: their files are links to one."""
        content = content_of(staged.manifest.files)
        if content is None:
            return
        body, shared = staged.folder / BODY, self.root / "bodies" / content
        if not shared.exists():
            beside = shared.parent / f"{_STAGED}{uuid4().hex}"
            shutil.copytree(body, beside, copy_function=os.link)
            os.replace(beside, shared)
            _sync_folder(shared.parent)
            return
        for path in _files(body):
            path.unlink()
            os.link(shared / path.relative_to(body), path)

    def prune(self, study: str, keep: int, needed: Iterable[str]) -> list[str]:
        """Remove a study's old classifiers: all but the newest and those that are needed, such as the one that serves.

        Returns:
            The versions that were removed.
        """
        kept = set(needed)
        gone = [folder for folder in self.versions(study)[max(1, keep) :] if folder.name not in kept]
        self.remove(gone)
        return [folder.name for folder in gone]

    def versions(self, study: str) -> list[Path]:
        """The folders of a study's classifiers, the newest first."""
        folder = self.study_folder(study)
        there = folder.iterdir() if folder.is_dir() else ()
        return sorted((path for path in there if path.is_dir() and not path.name.startswith(".")), reverse=True)

    def remove(self, folders: Iterable[Path]) -> None:
        """Remove classifiers, and the tuned bodies that no other one has."""
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        for shared in (self.root / "bodies").glob("[0-9a-f]*"):
            if all(path.stat().st_nlink == 1 for path in _files(shared)):  # no version has it any more
                shutil.rmtree(shared, ignore_errors=True)

    # Reading

    def uri(self, checkpoint: Checkpoint) -> str:
        """Where a classifier is, for a release; relative to the data folder, which a container has elsewhere."""
        return _DATA + str(checkpoint.folder.relative_to(self._data))

    def folder(self, uri: str) -> Path:
        """The folder that a release names.

        Raises:
            SettingError: If it is no folder's address, or one outside the data folder.
        """
        scheme, _, rest = uri.partition(":")
        folder = (self._data / rest if scheme == "data" else Path(rest)).resolve()
        inside = folder.is_relative_to(self._data.resolve())
        if scheme not in ("data", "file") or not rest or (scheme == "data" and not inside):
            raise SettingError(
                f"a release's address is '{uri[:120]}'; data: with a path below the data folder, or file: with an "
                "absolute one is expected; release another version"
            )
        return folder

    def load(self, release: ModelRelease) -> Checkpoint:
        """Find and verify what a release names.

        Raises:
            SettingError: If it is not there, not whole, not what was released, or holds a file that could hold code.
        """
        return verify(self.folder(release.uri), release.sha256)

    def study_folder(self, study: str) -> Path:
        """Where a study's classifiers lie."""
        return self.root / slug(study)


def slug(study: str) -> str:
    """A study's folder: its name as far as a path may have it, and what tells it from others."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", study).strip("-")[:40] or "study"
    return plain if plain == study and plain not in _OURS else f"{plain}-{sha256(study.encode()).hexdigest()[:8]}"


def verify(folder: Path, expected: str | None = None) -> Checkpoint:
    """See that a checkpoint is whole and harmless; nothing in it is used before.

    Args:
        folder: Where it lies.
        expected: SHA-256 of its manifest, as the release has it; ``None`` where there is no release to compare with.

    Raises:
        SettingError: One line that names the file, what was found and what was expected.
    """
    if not folder.is_dir():
        raise SettingError(f"there is no classifier in '{folder}'; release another version, or train again")
    refuse_unsafe(folder)
    path = folder / MANIFEST
    try:
        raw = path.read_bytes()
        manifest = Manifest.model_validate_json(raw)
    except OSError as error:
        raise SettingError(f"{path} cannot be read ({error.strerror}); release another version") from None
    except ValidationError as error:
        raise SettingError(f"{path} is no manifest of format {FORMAT}: {describe(error)}; train again") from None
    digest = sha256(raw).hexdigest()
    if expected is not None and digest != expected:
        raise SettingError(
            f"{path} has SHA-256 {digest[:12]}… but {expected[:12]}… was released; release another version"
        )
    _compare(folder, manifest)
    return Checkpoint(folder, manifest, digest)


def _compare(folder: Path, manifest: Manifest) -> None:
    there = {str(path.relative_to(folder)) for path in _files(folder)} - {MANIFEST}
    for name in sorted(there ^ manifest.files.keys()):
        fault = "is there but not in the manifest" if name in there else "is in the manifest but not there"
        raise SettingError(f"{folder / name} {fault}; release another version, or train again")
    for name, digest in manifest.files.items():
        actual = _sha256(folder / name)
        if actual != digest:
            raise SettingError(
                f"{folder / name} has SHA-256 {actual[:12]}… but the manifest says {digest[:12]}…; it was changed: "
                "release another version, or train again"
            )


def taught_segments(folder: Path) -> set[str]:
    """The ids of all segments that a classifier's head was taught or its body was tuned on."""
    files = [folder / name for name in (OUT_OF_FOLD, TUNED_ON)]
    return {segment for path in files if path.is_file() for segment in json.loads(path.read_bytes())}


def content_of(files: Mapping[str, str]) -> str | None:
    """The SHA-256 of a tuned body, by those of its files; ``None`` where there is no body."""
    lines = sorted(f"{name} {digest}" for name, digest in files.items() if name.startswith(f"{BODY}/"))
    return sha256("\n".join(lines).encode()).hexdigest() if lines else None


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sha256(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _sync(folder: Path) -> None:
    """Have all of a folder on the disk."""
    for path in _files(folder):
        with path.open("rb") as file:
            os.fsync(file.fileno())
    for path in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        _sync_folder(path)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
