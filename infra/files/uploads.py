"""Files that somebody uploaded, kept as they were read until somebody says yes to the preview; and no longer."""

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from stat import S_ISREG
from typing import Any, BinaryIO
from uuid import UUID, uuid4

from cryptography.fernet import Fernet, InvalidToken

from infra.files.labels.label_columns import SheetColumns
from infra.files.labels.label_sheet import LabelSheet
from infra.files.preview import TextFiles
from infra.files.rows import ReadingOptions
from infra.files.sandbox import (
    TextsAsked,
    dump_texts,
    parse_sheet,
    parse_texts,
    read_labels_apart,
    read_texts_apart,
)
from models.errors import InputError

KEPT = timedelta(hours=6)
"""How long an upload waits for somebody to say yes."""
EACH_STUDY = 5
"""Uploads of a study that wait at once; the oldest makes room."""
ROOM = 500_000_000
"""Bytes that the uploads of all studies may take."""
_BLOCK = 1 << 20
_NAMED = 10  # files that are named where none can be read


class Uploads:
    """The folder of uploads. Threads and processes may share it."""

    def __init__(self, folder: Path, secret: str | None = None) -> None:
        """Take the folder, which is made when it is needed, and what its files are encrypted with, if they are."""
        self._folder = folder
        self._sealing = secret and Fernet(base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()))

    def keep(self, study: str, file: BinaryIO, asked: Mapping[str, Any], now: datetime) -> UUID:
        """Read an upload of labels, in a process of its own, and keep what it says.

        Args:
            study: Whose.
            file: What was uploaded.
            asked: The form: ``file`` (its name), ``coder``, and the columns ``text`` and ``codes``.
            now: The time.

        Returns:
            What it is to be asked for by.

        Raises:
            InputError: If it cannot be read, takes more than it may, or there is no room.
            ReadersBusy: If others' files are being read.
        """
        name, coder = asked["file"], asked["coder"]
        columns = SheetColumns(
            text=asked["text"],
            codes=asked["codes"],
            separator=asked.get("separator") or None,
            coder_given=bool(str(coder).strip()),
        )
        encoding, sheet, order = (asked.get(each) or None for each in ("encoding", "sheet", "date_order"))
        options = ReadingOptions(encoding=encoding, sheet=sheet, date_order=order)
        return self.keep_read(
            study, file, asked, now, lambda raw: read_labels_apart(raw, name, coder, columns, options)
        )

    def keep_texts(self, files: Sequence[tuple[str, BinaryIO]], asked: TextsAsked, now: datetime) -> UUID:
        """Read files of texts, each in a process of its own, and keep what they come to as one upload; see ``keep``.

        Args:
            files: Each file's name and what was uploaded.
            asked: How they are read, and for whose study.
            now: The time.

        Raises:
            InputError: If none of them can be read, or all of them are too much.
        """
        names = [name for name, _ in files]

        def read(raw: Sequence[Path]) -> bytes:
            texts = read_texts_apart(list(zip(names, raw, strict=True)), asked)
            _check_some(texts)
            return dump_texts(texts)

        return self._keep(asked.study, [file for _, file in files], {"texts": names}, now, read)

    def keep_read(
        self, study: str, file: BinaryIO, asked: Mapping[str, Any], now: datetime, reader: Callable[[Path], bytes]
    ) -> UUID:
        """Keep what a reader makes of an upload; see ``keep``."""
        return self._keep(study, [file], asked, now, lambda raw: reader(raw[0]))

    def _keep(
        self,
        study: str,
        files: Sequence[BinaryIO],
        asked: Mapping[str, Any],
        now: datetime,
        reader: Callable[[Sequence[Path]], bytes],
    ) -> UUID:
        uploads = self._of(study)
        self._sweep(uploads, now)
        token = uuid4()
        raw = [uploads / f"{token}.{n}.data" for n in range(len(files))]
        try:
            for path, file in zip(raw, files, strict=True):
                _copy(file, path)
            sheet = reader(raw)
        finally:
            for path in raw:
                path.unlink(missing_ok=True)
        (uploads / f"{token}.sheet").write_bytes(self._sealing.encrypt(sheet) if self._sealing else sheet)
        (uploads / f"{token}.json").write_text(json.dumps(dict(asked)), encoding="utf-8")
        return token

    def read(self, study: str, token: UUID) -> LabelSheet:
        """The rows of an upload.

        Raises:
            InputError: If it is not kept any more.
        """
        asked, sheet = self.kept(study, token)
        if asked.get("texts"):
            raise InputError("this upload holds texts and no labels; choose the file again")
        return parse_sheet(sheet)

    def read_texts(self, study: str, token: UUID) -> TextFiles:
        """What an upload of texts comes to.

        Raises:
            InputError: If it is not kept any more.
        """
        asked, texts = self.kept(study, token)
        if not asked.get("texts"):
            raise InputError("this upload holds labels and no texts; choose the file again")
        if not isinstance(asked["texts"], list):  # an earlier version kept it
            raise InputError("this upload is not kept any more; choose the file again")
        return parse_texts(texts)

    def kept(self, study: str, token: UUID) -> tuple[dict[str, Any], bytes]:
        """The form of an upload, and what its reader made of it.

        Raises:
            InputError: If it is not kept any more.
        """
        uploads = self._of(study)
        try:
            asked: dict[str, Any] = json.loads((uploads / f"{token}.json").read_text(encoding="utf-8"))
            sheet = (uploads / f"{token}.sheet").read_bytes()
            return asked, self._sealing.decrypt(sheet) if self._sealing else sheet
        except (FileNotFoundError, InvalidToken):
            raise InputError("this upload is not kept any more; choose the file again") from None

    def forget(self, study: str, token: UUID) -> None:
        """Keep an upload no longer."""
        for kept in self._of(study).glob(f"{token}.*"):
            kept.unlink(missing_ok=True)

    def forget_all(self, study: str) -> int:
        """Keep none of a study's uploads; how many there were."""
        kept = list(self._of(study).iterdir())
        for path in kept:
            path.unlink(missing_ok=True)
        return sum(path.suffix == ".sheet" for path in kept)

    def _of(self, study: str) -> Path:
        """A study's folder; its name is no path that somebody wrote."""
        folder = self._folder / hashlib.sha256(study.encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def _sweep(self, uploads: Path, now: datetime) -> None:
        """Forget uploads to which nobody said yes, and make room for one more."""
        for kept, status in _still_there(uploads.iterdir()):
            if status.st_mtime < (now - KEPT).timestamp():
                kept.unlink(missing_ok=True)
        waiting = sorted(
            ((status.st_mtime, path) for path, status in _still_there(uploads.glob("*.sheet"))), reverse=True
        )
        for _, sheet in waiting[EACH_STUDY - 1 :]:
            for kept in uploads.glob(f"{sheet.stem}.*"):
                kept.unlink(missing_ok=True)
        files = (status for _, status in _still_there(self._folder.rglob("*")) if S_ISREG(status.st_mode))
        if sum(status.st_size for status in files) > ROOM:
            raise InputError("too many uploads wait for somebody to say yes; say yes or no to some, or wait some hours")


def _still_there(paths: Iterable[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    """What the file system says of each; others may have forgotten some since they were listed."""
    for path in paths:
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        yield path, status


def _copy(file: BinaryIO, path: Path) -> None:
    with path.open("wb") as kept:
        while block := file.read(_BLOCK):
            kept.write(block)


def _check_some(texts: TextFiles) -> None:
    """Refuse files of which none can be read: there is nothing to say yes to."""
    refused = [file.refused for file in texts.refused]
    if len(refused) < len(texts.files):
        return
    if len(refused) == 1:
        raise InputError(refused[0])
    more = f"; and {len(refused) - _NAMED} more" if len(refused) > _NAMED else ""
    raise InputError(f"none of the {len(refused)} files can be read: {'; '.join(refused[:_NAMED])}{more}")
