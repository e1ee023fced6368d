"""A running stack as a program sees it: texts in, codes and people's decisions out."""

import io
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from infra.annotation.agreement import study_agreement
from infra.annotation.import_labels import Importing, plan
from infra.annotation.part_agreement import part_agreement
from infra.api.coding import make_data_folder
from infra.brokers import open_history
from infra.factory.stores import build_store
from infra.files.export import labels, segments_coded
from infra.files.labels.label_sheet import read_labels
from infra.files.segments import LeftOut, ReadingOptions, Rejected, read_segments
from infra.masking.intake import Masking, MaskingTally
from infra.settings import Settings, load_settings
from infra.storage.store import StageCounts, Store
from models.errors import InputError, UnavailableError
from schemas import Segment

_LOOK_S = 0.5  # between two looks at what has been coded


@dataclass(frozen=True)
class Ingested:
    """What became of rows that were sent."""

    read: int
    """Rows that are segments."""
    new: int
    """Those of them that the study did not have yet."""
    left_out: Sequence[str]
    """What was not taken, and why, a row each: no answers such as ``n/a``, rows without a text."""
    masked: int = 0
    """New segments in which personal data was masked."""


class Connection:
    """One study of a running stack. Use it as a context, or close it.

    It reads and writes where the settings say, exactly as the command line does: the same ``QUALSTREAM_`` variables
    reach the same data folder, database and brokers.
    """

    def __init__(self, settings: Settings) -> None:
        """Open the read model; see ``connect``."""
        self._settings = settings
        self._store: Store = build_store(settings)
        self._masking = Masking(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the read model."""
        self._store.close()

    @property
    def study(self) -> str:
        """Which study it is about."""
        return self._settings.study

    def ingest(self, rows: Iterable[str | Mapping[str, Any]], source: str | None = None) -> Ingested:
        """Send texts to the study; the running stack, or the next one that starts, codes them.

        The rows are read as ``qualstream ingest`` reads a file of JSON lines: the usual names of columns are known,
        every other key is kept as an attribute, and a row whose ``id`` was sent before changes nothing.

        Args:
            rows: Texts, or dictionaries with ``text`` and, where there are any, ``id``, ``timestamp`` and attributes.
            source: Where they come from, 1 to 200 characters. Default: each row's own ``source``, else ``python``.

        Returns:
            What became of them.
        """
        good: list[Segment] = []
        left_out: list[str] = []
        stream = io.BytesIO(b"".join(_json_line(_with_source(row, source)) for row in rows))
        if not stream.getbuffer().nbytes:
            return Ingested(0, 0, ())
        options = ReadingOptions(leave_out_non_answers=self._settings.non_answers == "leave-out")
        for row in read_segments(stream, study=self.study, fmt="jsonl", options=options):
            if isinstance(row, Rejected | LeftOut):
                left_out.append(f"row {row.line}: {row.reason}")
            else:
                good.append(row)
        masked = MaskingTally()
        return Ingested(len(good), self._store.take_in(good, masked=masked.add), left_out, masked.segments)

    def counts(self) -> StageCounts:
        """How many segments stand at each stage of the stream."""
        return self._store.counts(self.study)

    def wait(self, timeout_s: float = 60.0) -> StageCounts:
        """Wait until every segment of the study has an outcome: a code, or a place among the dead letters.

        Raises:
            UnavailableError: If some have none after that time; is a stack running? (``qualstream status``)
        """
        until = time.monotonic() + timeout_s
        while left := self._store.open_segments(self.study):
            if time.monotonic() >= until:
                raise UnavailableError(
                    f"{left} segments of study '{self.study}' have no outcome after {timeout_s:g} s; see `qualstream "
                    "status`, or wait longer"
                )
            time.sleep(_LOOK_S)
        return self.counts()

    def segments(self) -> Iterator[dict[str, Any]]:
        """Every segment with the models' code and the final one, in the order it was said.

        Yields:
            The columns of ``qualstream export`` as a dictionary; ``code`` is the models', ``final_codes`` what holds in
            the end and ``decided_by`` whose word that is.
        """
        return segments_coded(self._store, self.study)

    def final_codes(self) -> dict[str, list[str]]:
        """By segment (the id that its source gave it, else its own) the codes that hold in the end."""
        return {row["own_id"] or str(row["id"]): list(row["final_codes"]) for row in self.segments()}

    def labels(self, *, history: bool = False) -> Iterator[dict[str, Any]]:
        """What people decided: the columns of ``qualstream export --labels``.

        Args:
            history: Also what they changed or took back later.
        """
        return labels(self._store, self.study, history=history)

    def agreement(self, *, models: bool = False) -> dict[str, Any]:
        """How well the study's coders agree: the same figures as ``qualstream agreement --json``.

        Args:
            models: Also compare the models, on whole segments and with people's marked parts.

        Returns:
            ``overall``, ``pairs`` and ``codes`` on whole segments; ``parts`` on marked parts: precision, recall and
            F1 over characters and over parts, and alpha for unitizing, of each pair and code.
        """
        figures = study_agreement(self._store.database, self.study, with_models=models).to_json()
        return {**figures, "parts": part_agreement(self._store.database, self.study, with_models=models).to_json()}

    def teach(self, examples: Iterable[tuple[str, str | Sequence[str]]], coder: str) -> str:
        """Give the study texts that a person coded; the same as ``qualstream teach``.

        Args:
            examples: A text and its code, or its codes.
            coder: Who coded them.

        Returns:
            What was done, in words: ``published``, kept for the next start, or that nothing was new.

        Raises:
            InputError: If there is no example.
        """
        rows = [{"text": text, "codes": [codes] if isinstance(codes, str) else list(codes)} for text, codes in examples]
        if not rows:
            raise InputError("there is no example to teach; give texts with their codes")
        sheet = read_labels(io.BytesIO(b"".join(map(_json_line, rows))), "python.jsonl", coder)
        who = Importing(self.study, coder, datetime.now(UTC), teach_unmatched=True, masking=self._masking)
        with open_history(self._settings) as history:
            planned = plan(self._store.database, sheet, who)
            return planned.write(history.write) if planned.changes else "nothing is new"


def connect(study: str | None = None, **settings: Any) -> Connection:
    """Connect to the stack that the settings name: its data folder, database and brokers.

    Args:
        study: Which study. Default: ``QUALSTREAM_STUDY``.
        settings: Any further setting by its name, such as ``data_dir="/srv/qualstream"`` or ``database_url=...``.

    Raises:
        SettingError: If a setting is not as it must be.
        UnavailableError: If the database does not answer.
    """
    chosen = load_settings(study=study, **settings)
    make_data_folder(chosen)
    return Connection(chosen)


def _with_source(row: str | Mapping[str, Any], source: str | None) -> Mapping[str, Any]:
    known = {"text": row} if isinstance(row, str) else row
    return {"source": "python", **known} if source is None else {**known, "source": source}


def _json_line(row: Mapping[str, Any]) -> bytes:
    return (json.dumps(row, ensure_ascii=False, default=_as_text) + "\n").encode()


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
