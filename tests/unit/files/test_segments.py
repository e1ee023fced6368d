"""Readers: files as people have them, good rows taken and bad ones named."""

import io
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from infra.files.reading.cells import readable, spreadsheet_error
from infra.files.segments import ReadingOptions, Rejected, read_segments
from infra.files.timestamps import read_time
from models.errors import InputError
from schemas import Segment
from schemas.feedback import LONGEST_TEXT
from schemas.ids import segment_id

NOON = datetime(2024, 5, 1, 12)  # noqa: DTZ001 - a spreadsheet's times have no zone


def read(content: bytes | str, name: str = "reviews.csv", *, folder: Path, **options) -> list[Segment | Rejected]:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_segments(path, study="demo", **options))


def texts(items: list[Segment | Rejected]) -> list[str]:
    return [item.text for item in items if isinstance(item, Segment)]


def faults(items: list[Segment | Rejected]) -> list[tuple[int, str]]:
    return [(item.line, item.reason) for item in items if isinstance(item, Rejected)]


# --- columns


def test_columns_are_guessed_and_the_others_kept(tmp_path):
    (segment,) = read("Review ID,Review,Stars,Date,Lang\nr1,too slow,2,2024-05-01,en\n", folder=tmp_path)
    assert segment.text == "too slow"
    assert segment.id == segment_id("demo", "reviews.csv", "r1")
    assert segment.timestamp == datetime(2024, 5, 1, tzinfo=UTC)
    assert segment.language == "en"
    assert segment.metadata == {"Stars": "2"}
    assert segment.source == "reviews.csv"


def test_a_table_without_a_text_column_names_file_line_columns_and_option(tmp_path):
    with pytest.raises(InputError) as caught:
        read("a,b\n1,2\n", folder=tmp_path)
    assert str(caught.value) == "reviews.csv, line 1: no column of text among 'a', 'b'; name it with --text-column"


def test_named_columns_win_over_guessed_ones(tmp_path):
    (segment,) = read(
        "text,note,id,nr,at,seen\nx,the one,1,2,2020-01-01,2021-01-01\n",
        folder=tmp_path,
        text_column="note",
        id_column="nr",
        time_column="seen",
        source_name="forum",
    )
    assert segment.text == "the one"
    assert segment.id == segment_id("demo", "forum", "2")
    assert segment.timestamp == datetime(2021, 1, 1, tzinfo=UTC)
    assert segment.metadata == {"text": "x", "id": "1", "at": "2020-01-01"}
    assert segment.source == "forum"


@pytest.mark.parametrize(("option", "said"), [("text_column", "--text-column"), ("id_column", "--id-column")])
def test_a_named_column_that_is_not_there_is_an_error(tmp_path, option, said):
    with pytest.raises(InputError, match=f"line 1: no column 'nope' among 'text', 'b'.*{said}"):
        read("text,b\n1,2\n", folder=tmp_path, **{option: "nope"})


def test_a_rows_own_source_is_its_source(tmp_path):
    line = {"id": "1", "text": "a", "source": "app store"}
    (segment,) = read(json.dumps(line), "a.jsonl", folder=tmp_path)
    assert segment.source == "app store"
    assert segment.id == segment_id("demo", "app store", "1")
    (segment,) = read(json.dumps(line), "a.jsonl", folder=tmp_path, source_name="mine")
    assert (segment.source, segment.metadata) == ("mine", {"source": "app store"})


def test_nameless_and_repeated_columns_are_kept_apart(tmp_path):
    (segment,) = read("text,,a,a\nt,1,2,3\n", folder=tmp_path)
    assert segment.metadata == {"column 2": "1", "a": "2", "a 4": "3"}


# --- ids


def test_rows_without_an_id_keep_theirs_when_read_again_and_equal_texts_stay_apart(tmp_path):
    first = read("text\nsame\nother\nsame\n", folder=tmp_path)
    again = read("text\nsame\nother\nsame\n", folder=tmp_path)
    assert [s.id for s in first] == [s.id for s in again]
    assert len({s.id for s in first}) == 3


def test_an_id_used_for_two_texts_is_told_and_not_overwritten(tmp_path):
    items = read("id,text\n1,a\n1,a\n1,b\n", folder=tmp_path)
    assert texts(items) == ["a", "a"]
    assert items[0].id == items[1].id
    ((line, reason),) = faults(items)
    assert line == 4
    assert "id '1' already stands for another text" in reason


def test_an_empty_id_column_means_none(tmp_path):
    items = read("id,text\n1,a\n1,b\n", folder=tmp_path, id_column="")
    assert len({s.id for s in items}) == 2
    assert items[0].metadata == {"id": "1"}


# --- delimiters, quotes, broken rows


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_told_from_the_content(tmp_path, delimiter):
    content = f"id{delimiter}text\n1{delimiter}one, two\n2{delimiter}three\n".replace(
        "one, two", '"one, two"' if delimiter == "," else "one, two"
    )
    assert texts(read(content, folder=tmp_path)) == ["one, two", "three"]


def test_quoted_line_breaks_keep_line_numbers_right(tmp_path):
    items = read('id,text\r\n1,"a\r\nb ""c"""\r\n2\r\n3,d\r\n', folder=tmp_path)
    assert texts(items) == ['a\r\nb "c"', "d"]
    assert faults(items) == [(4, "'text' is empty; text is expected")]


def test_a_row_with_too_many_cells_is_rejected_and_its_neighbours_taken(tmp_path):
    items = read("id,text\n1,a\n2,b,c\n3,d\n", folder=tmp_path)
    assert texts(items) == ["a", "d"]
    assert faults(items)[0][0] == 3


def test_a_quote_that_is_never_closed_costs_one_row(tmp_path):
    items = read('id,text\n1,"open\n2,b\n3,"c, d"\n4,e\n', folder=tmp_path)
    assert texts(items) == ["b", "c, d", "e"]
    ((line, reason),) = faults(items)
    assert line == 2
    assert reason.startswith("broken row")


def test_an_unclosed_quote_at_the_end_costs_one_row_however_long_the_file(tmp_path):
    rows = "".join(f"{n},text {n}\n" for n in range(3000))
    items = read(f'id,text\nx,"open\n{rows}', folder=tmp_path)
    assert len(texts(items)) == 3000
    assert faults(items) == [(2, "broken row: a quote is opened and not closed")]


def test_a_long_field_is_taken_whole(tmp_path):
    long = "word " * (LONGEST_TEXT // 5)
    assert texts(read(f'text\n"{long}"\n', folder=tmp_path)) == [long]


def test_a_text_that_is_a_book_is_rejected_and_its_neighbour_taken(tmp_path):
    items = read(f'text\n"{"word " * LONGEST_TEXT}"\nshort\n', folder=tmp_path)
    assert texts(items) == ["short"]
    assert [line for line, _ in faults(items)] == [2]


def test_blank_lines_and_rows_of_empty_cells_are_passed_over(tmp_path):
    assert texts(read("\n\nid,text\n\n1,a\n,\n\n2,b\n\n", folder=tmp_path)) == ["a", "b"]


@pytest.mark.parametrize("text", ["", "   ", '"\n"', "\0"])
def test_an_empty_text_is_rejected(tmp_path, text):
    items = read(f"id,text\n1,{text}\n2,b\n", folder=tmp_path)
    assert texts(items) == ["b"]
    assert faults(items) == [(2, "'text' is empty; text is expected")]


def test_a_nul_is_taken_out_and_noted(tmp_path):
    (segment,) = read("id,text\n1,a\0b\n", folder=tmp_path)
    assert (segment.text, segment.metadata) == ("ab", {"_nul_removed": True})


# --- encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_is_told_from_its_mark(tmp_path, encoding):
    (segment,) = read("text,id\ncafé 😊\u2028line,1\n".encode(encoding), folder=tmp_path)
    assert segment.text == "café 😊\u2028line"
    assert segment.metadata == {}


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_told_from_its_zeros(tmp_path, encoding):
    assert texts(read("text,id\nplain words,1\n".encode(encoding), folder=tmp_path)) == ["plain words"]


def test_a_line_that_is_not_utf8_is_read_as_windows_1252_and_noted(tmp_path):
    first, second = read(
        "id,text\n1,caf\u00e9\n".encode() + "2,caf\u00e9 \u201cx\u201d\n".encode("cp1252"), folder=tmp_path
    )
    assert first.text == "café"
    assert first.metadata == {}
    assert second.text == "café “x”"
    assert second.metadata == {"_encoding": "cp1252"}


def test_a_named_encoding_is_used(tmp_path):
    assert texts(
        read("text\nпривет\n".encode("koi8-r"), folder=tmp_path, options=ReadingOptions(encoding="koi8-r"))
    ) == ["привет"]


# --- JSON lines


def test_json_lines_are_taken_and_bad_ones_named(tmp_path):
    content = "\n".join(
        [
            '{"id": 1, "text": "a", "timestamp": 1714521600, "tags": ["x"], "n": null}',
            '{"text": "b"',
            "[1]",
            '{"text": 3}',
            '{"text": null}',
            '{"review": "other"}',
            "",
            '{"text": "\\ud800"}',
            "[" * 100_000,
            '{"text": "c", "lang": "de"}',
        ]
    )
    items = read(content, "a.jsonl", folder=tmp_path)
    assert texts(items) == ["a", "c"]
    assert items[0].metadata == {"tags": ["x"], "n": None}
    assert items[0].timestamp == datetime(2024, 5, 1, tzinfo=UTC)
    assert items[-1].language == "de"
    assert [line for line, _ in faults(items)] == [2, 3, 4, 5, 6, 8, 9]
    reasons = [reason for _, reason in faults(items)]
    assert reasons[0].startswith("not JSON: ")
    assert reasons[1] == "a JSON array found; an object is expected"
    assert reasons[2] == "'text' is a number; text is expected"
    assert reasons[3] == "'text' is empty; text is expected"
    assert reasons[4] == "no text: 'text' is expected among 'review'"


def test_json_objects_that_never_have_a_text_are_an_error(tmp_path):
    with pytest.raises(InputError, match="line 1: no column of text among 'a'; name it with --text-column"):
        read('{"a": "x"}\n{"a": "y"}\n', "a.jsonl", folder=tmp_path)


@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_array_is_read_as_its_objects(tmp_path, indent):
    rows = [{"id": 1, "text": "x"}, {"id": 2, "text": "y"}]
    assert texts(read(json.dumps(rows, indent=indent), "a.json", folder=tmp_path)) == ["x", "y"]


def test_an_object_with_one_array_is_read_as_the_arrays_objects(tmp_path):
    content = json.dumps({"count": 1, "reviews": [{"text": "x"}]}, indent=1)
    assert texts(read(content, "a.json", folder=tmp_path)) == ["x"]


def test_a_broken_json_array_is_an_error_with_its_line(tmp_path):
    with pytest.raises(InputError, match=r"a\.json, line 2: not JSON"):
        read('[{"text": "x"},\n{"text": ]', "a.json", folder=tmp_path)


# --- XLSX


def workbook(folder: Path, *rows: list[object]) -> Path:
    book, path = Workbook(), folder / "a.xlsx"
    for row in rows:
        book.active.append(row)
    book.save(path)
    book.close()
    return path


def test_a_workbook_is_read_with_its_types(tmp_path):
    path = workbook(
        tmp_path,
        ["id", "comment", "at", "stars"],
        [1, "good", NOON, 5],
        [],
        [2, 10],
        [3, None, None, 1],
    )
    items = list(read_segments(path, study="demo"))
    assert texts(items) == ["good", "10"]
    assert items[0].timestamp == datetime(2024, 5, 1, 12, tzinfo=UTC)
    assert items[0].metadata == {"stars": 5}
    assert faults(items) == [(5, "'comment' is empty; text is expected")]


def test_a_workbook_may_come_as_a_stream(tmp_path):
    content = workbook(tmp_path, ["text"], ["a"]).read_bytes()
    assert texts(list(read_segments(io.BytesIO(content), study="demo"))) == ["a"]


@pytest.mark.parametrize("content", [b"PK\x03\x04 and no more", b"text\na\n"])
def test_what_is_no_workbook_is_an_error(tmp_path, content):
    with pytest.raises(InputError, match=r"a\.xlsx: not an XLSX workbook"):
        read(content, "a.xlsx", folder=tmp_path)


# --- streams and whole files


def test_a_stream_of_plain_lines_is_read_and_stays_open():
    stream = io.BytesIO(b"\xef\xbb\xbfone\r\n\n  two\n")
    items = list(read_segments(stream, study="demo"))
    assert texts(items) == ["one", "  two"]
    assert not stream.closed
    assert items[0].source == "standard input"


def test_a_stream_of_json_is_told_from_its_first_byte():
    assert texts(list(read_segments(io.BytesIO(b' {"text": "a"}\n'), study="demo"))) == ["a"]


def test_a_stream_of_utf16_stays_open():
    stream = io.BytesIO("text\na\n".encode("utf-16"))
    assert texts(list(read_segments(stream, study="demo", fmt="csv"))) == ["a"]
    assert not stream.closed


def test_an_empty_stream_is_an_error():
    with pytest.raises(InputError, match="standard input: empty"):
        list(read_segments(io.BytesIO(b""), study="demo"))


def test_a_missing_file_a_folder_and_an_empty_file_are_told_at_once(tmp_path):
    (tmp_path / "empty.csv").touch()
    for name, said in [("none.csv", "no such file"), (".", "a folder found"), ("empty.csv", "empty")]:
        with pytest.raises(InputError, match=said):
            read_segments(tmp_path / name, study="demo")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"study": "a/b"}, "study 'a/b'"),
        ({"fmt": "doc"}, "format 'doc'"),
        ({"options": ReadingOptions(encoding="utf-9")}, "encoding 'utf-9'"),
    ],
)
def test_a_wrong_argument_is_told_at_once(tmp_path, options, said):
    with pytest.raises(InputError, match=said):
        read_segments(tmp_path, **{"study": "demo"} | options)


def test_the_file_is_read_as_a_stream():
    class Endless(io.RawIOBase):
        """Lines without end; reading it whole would never return."""

        def readable(self):
            return True

        def readinto(self, buffer):
            line = b'{"text": "again"}\n'
            buffer[: len(line)] = line
            return len(line)

    segments = read_segments(Endless(), study="demo")
    assert len({next(segments).id for _ in range(1000)}) == 1000


@given(st.binary(min_size=1, max_size=400), st.sampled_from(["csv", "tsv", "jsonl", "lines", "xlsx"]))
def test_no_bytes_make_a_reader_fail_but_by_its_own_error(content, fmt):
    try:
        items = list(read_segments(io.BytesIO(content), study="demo", fmt=fmt))
    except InputError:
        return
    assert all(isinstance(item, Segment | Rejected) for item in items)


def plain(text: str) -> bool:
    """Whether a text is neither a spreadsheet's error nor has entities."""
    return readable(text) == text and not spreadsheet_error(text)


@given(st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=8))
def test_what_the_csv_writer_wrote_comes_back(rows):
    import csv

    rows = [row for row in rows if row.strip() and "\0" not in row and plain(row)] or ["a"]
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([["id", "text"], *([str(n), row] for n, row in enumerate(rows))])
    content = out.getvalue().encode("utf-8")
    assert texts(list(read_segments(io.BytesIO(content), study="demo", fmt="csv"))) == rows


# --- times


@pytest.mark.parametrize(
    "value",
    [
        *("2024-05-13T10:20:00", "2024-05-13T10:20:00Z", "2024-05-13 10:20", "2024/05/13 10:20:00", "13.05.2024 10:20"),
        *("13/05/2024 10:20", "05/13/2024 10:20 AM", "May 13, 2024 10:20 AM", "13 May 2024 10:20", "20240513T1020"),
        *("Mon, 13 May 2024 10:20:00 GMT", "2024-05-13 10:20:00 UTC", "2024-05-13T12:20:00+02:00"),
        *(1715595600, "1715595600", 1715595600000, "1715595600000"),
    ],
)
def test_common_times_are_read(value):
    assert read_time(value) == datetime(2024, 5, 13, 10, 20, tzinfo=UTC)


def test_a_zone_is_kept():
    assert read_time("2024-05-13T12:20:00+02:00").tzinfo == timezone(timedelta(hours=2))


@pytest.mark.parametrize("value", ["03/04/2024", "yesterday", "", "99.99.2024", None, True, 5, ["2024"], "1e400"])
def test_what_cannot_be_told_is_not_guessed(value):
    assert read_time(value) is None


def test_an_unreadable_time_is_kept_with_the_row(tmp_path):
    (segment,) = read("text,date\na,03/04/2024\n", folder=tmp_path)
    assert segment.timestamp is None
    assert segment.metadata == {"date": "03/04/2024"}


@pytest.mark.parametrize("head", [b"text,rating\n", b'"Review";stars\n', b"\xef\xbb\xbftext\n", b"id\tcomment\n"])
def test_a_stream_that_starts_with_a_header_is_a_table(head):
    rows = b"".join(
        head.replace(b"\xef\xbb\xbf", b"").upper().translate(None, b'"').replace(b"T", b"D") for _ in range(2)
    )
    assert len(list(read_segments(io.BytesIO(head + rows), study="demo"))) == 2
