"""Exports of a real store, read back by the readers that people use."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow.parquet as pq
import pytest

from infra.files import tables
from infra.files.export import COLUMNS, export
from infra.files.segment_export import INNER, SegmentChoice
from infra.storage.store import Store, open_store
from models.errors import InputError
from schemas import Segment
from tests.unit.storage.test_store import AT, assignment, decision, segment


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'q.db'}")
    yield opened
    opened.close()


@pytest.fixture
def three(store: Store) -> list[Segment]:
    coded = segment(1, text='=HYPERLINK("http://x","y"), "quoted"\nand a second line 😀', language="en")
    bare = segment(2, text="-- not coded yet", timestamp=None)
    store.record([coded, bare, segment(3, "shop"), decision(coded)])
    store.record([assignment(coded, "+slow", new=True, similarity=-0.25, confidence=0.5, route="people")])
    return [coded, bare]


SHORT, FULL = SegmentChoice(), SegmentChoice(full=True)


def exported(store: Store, fmt: str, study: str | None = "app", choice: SegmentChoice = SHORT) -> io.BytesIO:
    out = io.BytesIO()
    assert export(store, study, fmt, out, choice) == (2 if study else 3)
    out.seek(0)
    return out


def test_json_lines_hold_every_segment_with_what_became_of_it(store: Store, three: list[Segment]) -> None:
    first, second = [json.loads(line) for line in exported(store, "jsonl", choice=FULL)]
    assert first == {
        "id": str(three[0].id),
        "own_id": None,
        "study": "app",
        "text": three[0].text,
        "source": "reviews.csv",
        "timestamp": (AT + timedelta(minutes=1)).isoformat(),
        "language": "en",
        "code": "+slow",
        "code_id": str(assignment(three[0], "+slow").code_id),
        "theme": None,
        "new": True,
        "similarity": -0.25,
        "confidence": 0.5,
        "confidence_stage": None,
        "route": "people",
        "verdict": "picked",
        "standing": "code",
        "proposed": "+slow",
        "proposals": [json.loads(decision(three[0]).proposals[0].model_dump_json())],
        "models": {"refiner": "r@1"},
        "metadata": {"row": 1},
        "human_codes": [],
        "annotators": [],
        "final_codes": ["+slow"],
        "final_code_ids": [str(assignment(three[0], "+slow").code_id)],
        "decided_by": "model",
        "disputed": False,
        "disputed_rule": "majority",
        "row": 1,
    }
    assert {name for name, value in second.items() if value is None} == {*COLUMNS, *INNER} - {
        "disputed",
        "disputed_rule",
        "id",
        "study",
        "text",
        "source",
        "metadata",
        "human_codes",
        "annotators",
        "final_codes",
        "final_code_ids",
    }


def test_csv_cells_that_a_spreadsheet_would_run_begin_with_an_apostrophe(store: Store, three: list[Segment]) -> None:
    rows = list(csv.DictReader(io.TextIOWrapper(exported(store, "csv", choice=FULL), encoding="utf-8", newline="")))
    assert tuple(rows[0]) == (*COLUMNS, *INNER, "row")
    assert rows[0]["text"] == "'" + three[0].text
    assert rows[1]["text"] == "'-- not coded yet"
    assert rows[0]["code"] == rows[0]["proposed"] == "'+slow"
    assert rows[0]["similarity"] == "-0.25"
    assert json.loads(rows[0]["models"]) == {"refiner": "r@1"}
    assert (rows[1]["code"], rows[1]["timestamp"], rows[1]["proposals"]) == ("", "", "")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_every_start_of_a_formula_is_made_harmless(store: Store, start: str) -> None:
    store.take_in([segment(1, text=f"{start}1+1")])
    out = io.BytesIO()
    export(store, None, "csv", out)
    row = next(csv.DictReader(io.StringIO(out.getvalue().decode(), newline="")))
    assert row["text"] == f"'{start}1+1"


def test_parquet_keeps_types_and_is_written_in_row_groups(
    store: Store, three: list[Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ROW_GROUP", 1)
    file = pq.ParquetFile(exported(store, "parquet", choice=FULL))
    assert file.num_row_groups == 2
    first, second = file.read().to_pylist()
    assert first["text"] == three[0].text
    assert (first["new"], first["similarity"], first["timestamp"]) == (True, -0.25, three[0].timestamp)
    assert json.loads(first["metadata"]) == {"row": 1}
    assert (second["new"], second["timestamp"], second["code"]) == (None, None, None)


@pytest.mark.parametrize("fmt", ["csv", "jsonl", "parquet"])
def test_an_empty_study_gives_an_empty_file_that_can_be_read(store: Store, fmt: str) -> None:
    out = io.BytesIO()
    assert export(store, "app", fmt, out) == 0
    out.seek(0)
    if fmt == "parquet":
        assert pq.read_table(out).column_names == list(COLUMNS)
    else:
        assert len(out.read().splitlines()) == (1 if fmt == "csv" else 0)


@pytest.mark.parametrize("fmt", ["csv", "jsonl", "parquet"])
def test_an_export_goes_through_a_pipe_and_leaves_it_open(
    store: Store, three: list[Segment], tmp_path: Path, fmt: str
) -> None:
    pipe = tmp_path / "pipe"
    with pipe.open("wb") as out:
        unseekable = _Unseekable(out)
        export(store, None, fmt, cast(BinaryIO, unseekable))
        assert not out.closed
    assert pipe.read_bytes() == exported(store, fmt, None).getvalue()


class _Unseekable(io.RawIOBase):
    """A stream that can only be written, as a pipe is."""

    def __init__(self, out: io.BufferedWriter) -> None:
        self._out = out

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        return self._out.write(data)  # type: ignore[arg-type]


def test_an_unknown_format_is_an_input_error(store: Store) -> None:
    with pytest.raises(InputError, match="'xlsx' but one of csv, jsonl, parquet was expected"):
        export(store, "app", "xlsx", io.BytesIO())


def test_an_attribute_is_a_column_of_its_own_whatever_it_is_called(store: Store) -> None:
    plain = segment(1).model_copy(update={"metadata": {"stars": 4, 'a "b"': True, "theme": "dark", "position": [0, 9]}})
    store.record([plain, segment(2).model_copy(update={"metadata": {}})])
    first, second = [json.loads(line) for line in exported(store, "jsonl")]
    assert (first["stars"], first['a "b"'], first["attribute:theme"], first["position"]) == (4, True, "dark", [0, 9])
    assert second["stars"] is first["theme"] is None
    assert "models" not in first
    row = next(csv.DictReader(io.TextIOWrapper(exported(store, "csv"), encoding="utf-8", newline="")))
    assert (row["stars"], row['a "b"'], row["position"]) == ("4", "true", "[0, 9]")
    assert pq.read_table(exported(store, "parquet")).to_pylist()[0]["stars"] == "4"
