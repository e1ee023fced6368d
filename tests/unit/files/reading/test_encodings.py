"""Encodings: told from the bytes of the whole file, said with a confidence, in doubt warned of."""

import codecs
import io

import pytest

from infra.files.reading.encodings import survey
from infra.files.rows import read_rows
from infra.files.segments import ReadingOptions, Segment, read_segments
from tests.unit.files.reading.reader import Read

WRITTEN = {
    "cp1252": ["Gute Öffnungszeiten, nettes Personal", "Für mich zu teuer – leider", "Die Tür klemmt"],
    "cp932": ["店員の対応がとても悪かったです", "料理は美味しいが待ち時間が長い", "アプリがすぐ落ちる"],
    "gb18030": ["服务太慢了，等了半个小时", "价格太贵", "环境很好"],
    "cp1251": ["Очень медленное обслуживание", "Дорого и невкусно", "Приложение вылетает при запуске"],
    "cp949": ["서비스가 너무 느려요", "가격이 비싸요", "배송이 늦었습니다"],
    "big5": ["服務太慢了，等了半個小時", "價格太貴", "環境很好"],
    "euc_jp": ["店員の対応がとても悪かったです", "料理は美味しいが待ち時間が長い"],
    "koi8_r": ["Очень медленное обслуживание", "Дорого и невкусно"],
    "cp1250": ["Obsługa była bardzo wolna, źle", "Za drogo, żenada", "Przyszłość łącznie"],
    "iso8859_2": ["Obsługa była bardzo wolna, źle", "Dostawa za późno", "Przyszłość łącznie, żenada"],
    "cp1253": ["Η εξυπηρέτηση ήταν πολύ αργή", "Πολύ ακριβό"],
    "mac_roman": ["Gute Öffnungszeiten, nettes Personal", "Für mich zu teuer – leider", "Die Tür klemmt"],
}


def table(rows: list[str], end: str = "\n") -> str:
    return end.join(["id;text", *(f"{n};{row}" for n, row in enumerate(rows, 1))]) + end


@pytest.mark.parametrize("encoding", WRITTEN)
def test_a_file_of_one_encoding_is_read_in_it_and_the_confidence_said(tmp_path, encoding):
    read = Read(tmp_path, table(WRITTEN[encoding]).encode(encoding))
    assert read.texts == WRITTEN[encoding]
    assert "encoding: " in read.remarks
    assert "confidence 0." in read.remarks
    assert all("_encoding" not in segment.metadata for segment in read.segments)


def test_letters_that_are_shifted_to_are_japanese(tmp_path):
    assert Read(tmp_path, table(WRITTEN["cp932"]).encode("iso2022_jp")).texts == WRITTEN["cp932"]


@pytest.mark.parametrize(
    "text", ["très bien, ça va", "It’s café-like", "¿por qué? mañana", "£5 – too much", "100 €", "Öl"]
)
def test_a_few_western_letters_are_windows_1252(tmp_path, text):
    assert Read(tmp_path, table([text, "plain", "words"]).encode("cp1252")).texts == [text, "plain", "words"]


def test_the_first_accent_may_come_late(tmp_path):
    rows = [*(f"plain words of row {n}" for n in range(8000)), "Die Tür klemmt"]
    assert Read(tmp_path, table(rows).encode("cp1252")).texts[-1] == "Die Tür klemmt"


def test_a_short_text_in_doubt_is_warned_of_with_the_way_out(tmp_path):
    read = Read(tmp_path, table(["好"]).encode("gb18030"))
    assert "the encoding is in doubt" in read.warnings
    assert "--encoding" in read.warnings


def test_a_named_encoding_is_not_doubted(tmp_path):
    read = Read(tmp_path, table(["好"]).encode("gb18030"), encoding="GB18030")
    assert read.texts == ["好"]
    assert read.warnings == ""


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        *((b"", "utf-8"), (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le")),
        *((codecs.BOM_UTF16_BE, "utf-16-be"), (b"", "utf-16-le"), (b"", "utf-16-be")),
    ],
)
def test_unicode_with_and_without_a_mark_is_certain(tmp_path, mark, encoding):
    rows = ["café 😊", "plain words, many of them", "and more plain words"]
    read = Read(tmp_path, mark + table(rows).encode(encoding))
    assert read.texts == rows
    assert read.warnings == ""


def test_lines_of_another_encoding_among_utf8_are_read_and_noted(tmp_path):
    read = Read(tmp_path, "id;text\n1;café\n".encode() + "2;Crème brûlée\n".encode("cp1252"))
    assert read.texts == ["café", "Crème brûlée"]
    assert [segment.metadata.get("_encoding") for segment in read.segments] == [None, "cp1252"]
    assert "UTF-8, with lines in cp1252 among it" in read.remarks


def test_a_pipe_of_json_lines_warns_of_a_line_that_is_not_utf8():
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    options = ReadingOptions()
    content = b'{"text": "plain"}\n' + '{"text": "caf\u00e9"}\n'.encode("cp1252")
    items = list(read_segments(Pipe(content), study="demo", options=options))
    assert [item.text for item in items if isinstance(item, Segment)] == ["plain", "café"]
    assert "some lines are not utf-8" in options.report.warnings[0]


def test_a_text_that_was_decoded_wrongly_before_is_warned_of_with_its_line(tmp_path):
    broken = "Die TÃ¼r klemmt, fÃ¼r mich zu teuer â€“ leider"
    read = Read(tmp_path, f"id,text\n1,fine\n2,{broken!s}\n".replace(", f", " f"))
    assert "1 x text that was decoded wrongly before" in read.summaries
    assert "line 3" in read.summaries


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_age_are_read(tmp_path, end):
    read = Read(tmp_path, table(["parking is hard to find", "too noisy"], end))
    assert read.texts == ["parking is hard to find", "too noisy"]


def test_a_survey_leaves_the_stream_to_be_read_from_where_it_stood():
    stream = io.BufferedReader(io.BytesIO(b"skipped" + "text\nTür\n".encode("cp1252")))
    stream.read(7)
    assert survey(stream).name == "cp1252"
    stream.seek(7)
    assert [row.cells for row in read_rows(stream, "csv", "f") if hasattr(row, "cells")] == [{"text": "Tür"}]
