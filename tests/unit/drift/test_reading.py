"""Files of timestamped texts are read as all other files are: dates from the whole column, no answers left out."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from infra.drift.timestamped_texts import ReadOptions, read_timestamped
from infra.files.row_tally import RowTally
from infra.files.rows import ReadingOptions


def read(folder: Path, content: bytes, **reading) -> tuple[list[str], RowTally, str]:
    (folder / "rows.csv").write_bytes(content)
    words = io.StringIO()
    tally = RowTally(Console(file=words, width=300))
    with read_timestamped(folder / "rows.csv", ReadOptions(reading=ReadingOptions(**reading)), tally) as texts:
        return [f"{row.moment:%Y-%m-%d} {row.text}" for row in texts], tally, words.getvalue()


def test_day_first_dates_are_all_read_where_one_row_proves_the_order(tmp_path):
    rows, tally, words = read(tmp_path, b"date,text\n01/02/2026,a\n02/02/2026,b\n13/02/2026,c\n")
    assert rows == ["2026-02-01 a", "2026-02-02 b", "2026-02-13 c"]
    assert tally.rejected == []
    assert "the day comes first in dates such as 01/02/2026" in words


def test_an_order_that_nothing_proves_is_said_with_the_option(tmp_path):
    content = b"date,text\n01/02/2026,a\n2026-02-03,b\n"
    rows, tally, words = read(tmp_path, content)
    assert rows == ["2026-02-03 b"]
    assert len(tally.rejected) == 1
    assert "--date-order" in words
    assert read(tmp_path, content, date_order="day")[0] == ["2026-02-01 a", "2026-02-03 b"]


@pytest.mark.parametrize(
    "written", ["2026-01", "Jan 2026", "01. Januar 2026", "01.01.26", "46023", "2026-01-01 10:00 EST"]
)
def test_times_of_every_kind_are_read(tmp_path, written):
    assert read(tmp_path, f"date,text\n{written},a\n".encode())[0] == ["2026-01-01 a"]


def test_the_time_is_told_from_the_cells_where_no_name_is_known_and_said(tmp_path):
    rows, _, words = read(tmp_path, b"text,gesagt\na,13.02.2026\nb,14.02.2026\n")
    assert rows == ["2026-02-13 a", "2026-02-14 b"]
    assert "'gesagt' is taken as the time" in words


def test_an_encoding_is_told_from_the_bytes(tmp_path):
    content = "date,text\n2026-01-01,店員の対応がとても悪かったです\n".encode("cp932")
    assert read(tmp_path, content)[0] == ["2026-01-01 店員の対応がとても悪かったです"]


def test_what_is_no_answer_is_left_out_and_counted(tmp_path):
    content = b"created_utc,body\n1767312000,[deleted]\n1767312000,dark mode &amp; light\n"
    rows, tally, words = read(tmp_path, content, leave_out_non_answers=True)
    assert rows == ["2026-01-02 dark mode & light"]
    assert tally.left_out == 1
    assert "1 x left out: no answer in 'body' (line 2)" in words
