"""Timestamped rows looked through for changes."""

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console

from infra.drift.scan_file import ScanOptions, ScanResult
from infra.drift.scan_file import scan as scan_texts
from infra.drift.timestamped_texts import ReadOptions, read_timestamped
from infra.factory.models import Models
from infra.files.row_tally import RowTally
from infra.settings import load_settings
from models.drift.settings import DriftSettings
from models.ports import Embedder


def scan(
    rows: Iterable[Mapping[str, Any]],
    *,
    embed: bool | None = None,
    texts_only: bool = False,
    study: str | None = None,
    profile: str | None = None,
    **options: Any,
) -> ScanResult:
    """Say what changed in timestamped texts, coded or not; the same as ``qualstream drift scan``.

    Args:
        rows: Dictionaries with ``text`` and ``time`` (a ``datetime``, or a date as text), and, where there are any,
            ``code`` and ``source``. They need not be in order.
        embed: Whether texts are compared too; default: unless there are very many.
        texts_only: Leave codes alone.
        study: What the alerts are said of.
        profile: Whose sentence model embeds texts.
        options: Of the detector, such as ``false_alarms=0.01`` or ``window=200``; see ``DriftSettings``.

    Returns:
        The alerts, in ``alerts``, and in ``verdict`` what is to be said where there is none: that nothing changed, or
        that there were too few rows to tell.

    Raises:
        InputError: If no row has a text and a time.
    """
    settings = load_settings(study=study, profile=profile)
    detector = DriftSettings(**{"lateness": timedelta(), **options})
    how = ScanOptions(settings.study, detector, embed, texts_only)
    embedder: Callable[[], Embedder] = lambda: Models.of(settings).embedder  # noqa: E731 - loaded where it is needed
    with tempfile.TemporaryDirectory(prefix="qualstream-") as folder:
        path = Path(folder, "rows.jsonl")
        with path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(_plain(row), ensure_ascii=False) + "\n" for row in rows)
        with read_timestamped(path, ReadOptions(), RowTally(Console(quiet=True))) as texts:
            return scan_texts(texts, how, embedder)


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
