"""Uploads that would take the machine's memory or time: refused, within a stated memory, while others are served."""

import io
import json
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import httpx
import pytest
from openpyxl import Workbook

from infra.files import sandbox, uploads
from infra.web.sessions import COOKIE
from tests.web.site import STUDY, fill, make_site, visit
from tests.web.test_overview import served

IMPORT = f"/s/{STUDY}/import"
_SHEET = '<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'


def workbook() -> dict[str, bytes]:
    """The parts of a sound XLSX."""
    book = Workbook()
    book.active.append(["text", "code"])
    book.active.append(["it is slow", "slow"])
    whole = io.BytesIO()
    book.save(whole)
    with zipfile.ZipFile(whole) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return whole.getvalue()


def with_part(name: str, content: bytes) -> bytes:
    return packed(workbook() | {name: content})


def sheet_of(row: str, times: int) -> bytes:
    return with_part("xl/worksheets/sheet1.xml", f"{_SHEET}{row * times}</sheetData></worksheet>".encode())


def lying_archive() -> bytes:
    """An archive whose directory says that its sheet is small."""
    whole = bytearray(sheet_of("<row><c><v>1</v></c></row>", 2_000_000))
    at = whole.rfind(b"PK\x01\x02", 0, whole.rfind(b"xl/worksheets/sheet1.xml"))
    whole[at + 24 : at + 28] = (1_000).to_bytes(4, "little")
    return bytes(whole)


CELL = '<c t="inlineStr"><is><t>slow</t></is></c>'
BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "an XLSX with much inside": ("a.xlsx", lambda: sheet_of("<row>" + " " * 400 + "</row>", 1_000_000)),
    "an XLSX of many cells": ("a.xlsx", lambda: sheet_of(f"<row>{CELL * 100}</row>", 25_000)),
    "an XLSX of many empty rows": ("a.xlsx", lambda: sheet_of("<row/>", 3_000_000)),
    "an XLSX whose strings are long": (
        "a.xlsx",
        lambda: with_part("xl/sharedStrings.xml", b"<sst><si><t>" + b"a" * 150_000_000 + b"</t></si></sst>"),
    ),
    "an XLSX that lies": ("a.xlsx", lying_archive),
    "an XLSX of entities": (
        "a.xlsx",
        lambda: with_part(
            "xl/worksheets/sheet1.xml",
            b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
            + b"".join(b'<!ENTITY %c "%b">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
            + b"]>"
            + _SHEET.partition("?>")[2].encode()
            + b"<row><c><v>&j;</v></c></row></sheetData></worksheet>",
        ),
    ),
    "an archive of many parts": ("a.xlsx", lambda: packed(workbook() | {f"x{n}": b"" for n in range(2_000)})),
    "an archive named CSV": ("a.csv", lambda: sheet_of("<row/>" + " " * 400, 1_000_000)),
    "a CSV of many rows": ("a.csv", lambda: b"text,code\n" + b"it is slow,slow\n" * 200_000),
    "a CSV of many columns": (
        "a.csv",
        lambda: b"text,code" + b",x" * 300_000 + b"\n" + (b"a" + b"," * 300_001 + b"\n") * 20,
    ),
    "a CSV that is one quote": ("a.csv", lambda: b'text,code\n"' + b"a\n" * 10_000_000),
}  # fmt: skip


ROWS: dict[str, Callable[[], bytes]] = {
    "that is nested": lambda: b'{"text": ' + b"[" * 5_000_000 + b"]" * 5_000_000 + b', "code": "x"}\n',
    "of many keys": lambda: json.dumps({f"k{n}": 1 for n in range(1_900_000)}).encode() + b"\n",
    "with a long number": lambda: b'{"text": ' + b"9" * 20_000_000 + b', "code": "x"}\n',
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = make_site(tmp_path_factory.mktemp("bombs"))
    fill(made, 6)
    yield made
    made.store.close()


@pytest.fixture(autouse=True)
def none_waits(site):
    site.uploads.forget_all(STUDY)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_that_would_take_too_much_is_refused_and_the_rest_is_read(site, row):
    sent = ROWS[row]() + b'{"text": "it is slow", "code": "slow"}\n'
    lea = visit(site, "lead", name="lea")
    answer = lea.post(IMPORT, data={"coder": "lea", "teach_unmatched": "true"}, files={"file": ("a.jsonl", sent)})
    assert (answer.status_code, answer.text.count("it is slow") > 0) in ((200, True), (422, False)), answer.text[:500]
    assert len(answer.content) < 100_000


def test_others_are_served_while_a_file_is_read(site, monkeypatch):
    reading, goes_on = Event(), Event()
    run = sandbox.subprocess.run

    def slow(*args, **options):
        reading.set()
        goes_on.wait(20)
        return run(*args, **options)

    monkeypatch.setattr(sandbox.subprocess, "run", slow)
    with served(site) as (url, *_), ThreadPoolExecutor() as pool:
        lea = visit(site, "lead", name="lea")
        headers = {"Cookie": f"{COOKIE}={lea.cookies[COOKIE]}", "X-CSRF-Token": lea.csrf}
        sheet = {"file": ("a.csv", b"text,code\nslow,slow\n")}
        uploads_ = [
            pool.submit(httpx.post, url + IMPORT, files=sheet, data={"coder": "lea"}, headers=headers, timeout=30)
            for _ in range(4)
        ]
        assert reading.wait(20)
        assert httpx.get(f"{url}/signin", timeout=10).status_code == 200
        goes_on.set()
        answers = [each.result(30).status_code for each in uploads_]
    assert set(answers) <= {200, 503}
    assert answers.count(200) >= 2


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_file_that_would_take_too_much_is_refused_and_nothing_of_it_stays(site, bomb):
    name, content = BOMBS[bomb]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    lea = visit(site, "lead", name="lea")
    sent = content()
    mine = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    answer = lea.post(IMPORT, data={"coder": "lea"}, files={"file": (name, sent)})
    assert answer.status_code in (413, 422), answer.text[:300]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before - mine
    assert grown < 4 * len(sent) / 1_000 + 100_000, f"{grown} kB for {len(sent)} bytes"
    assert [path for path in (site.settings.data_dir / "imports").rglob("*") if path.is_file()] == []


_MEASURE = """
import resource, sys
from pathlib import Path
from infra.files.sandbox import SheetColumns, read_labels_apart
try:
    read_labels_apart(Path(sys.argv[1]), sys.argv[2], "lea", SheetColumns())
except Exception as error:
    print(type(error).__name__, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.parametrize("bomb", ["an XLSX of many cells", "an XLSX that lies", "a CSV of many columns"])
def test_a_reader_stays_within_its_memory(tmp_path, bomb):
    name, content = BOMBS[bomb]
    (tmp_path / name).write_bytes(content())
    command = [sys.executable, "-c", _MEASURE, str(tmp_path / name), name]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert said[0] == "InputError"
    assert int(said[1]) < sandbox.MEMORY / 1_000


def test_a_sound_file_is_read_and_only_its_rows_are_kept(site):
    lea = visit(site, "lead", name="lea")
    answer = lea.post(
        IMPORT, data={"coder": "lea", "teach_unmatched": "true"}, files={"file": ("a.xlsx", packed(workbook()))}
    )
    assert answer.status_code == 200
    kept = [path for path in (site.settings.data_dir / "imports").rglob("*") if path.is_file()]
    assert sorted(path.suffix for path in kept) == [".json", ".sheet"]


def test_previews_have_a_quota(site, monkeypatch):
    lea = visit(site, "lead", name="lea")
    for n in range(uploads.EACH_STUDY + 3):
        sheet = {"file": ("a.csv", f"text,code\ntext {n},slow\n".encode())}
        assert lea.post(IMPORT, data={"coder": "lea", "teach_unmatched": "true"}, files=sheet).status_code == 200
    assert len(list((site.settings.data_dir / "imports").rglob("*.sheet"))) == uploads.EACH_STUDY
    monkeypatch.setattr(uploads, "ROOM", 10)
    assert lea.post(IMPORT, data={"coder": "lea"}, files=sheet).status_code == 422


def test_uploads_that_go_while_others_are_counted_do_no_harm(site, monkeypatch):
    lea = visit(site, "lead", name="lea")
    asked = {"data": {"coder": "lea", "teach_unmatched": "true"}, "files": {"file": ("a.csv", b"text,code\na,slow\n")}}
    lea.post(IMPORT, **asked)
    listings = []

    def with_one_that_is_gone(name, whole):
        def listing(path, *pattern):
            paths = list(whole(path, *pattern))
            if path.is_relative_to(site.settings.data_dir / "imports") and paths:
                listings.append(name)
                paths.append(paths[0].with_name("gone-since-it-was-listed.sheet"))
            return iter(paths)

        return listing

    for name in ("iterdir", "glob", "rglob"):
        monkeypatch.setattr(Path, name, with_one_that_is_gone(name, getattr(Path, name)))
    assert lea.post(IMPORT, **asked).status_code == 200
    assert {"iterdir", "glob", "rglob"} <= set(listings)


def test_the_reader_knows_no_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("QUALSTREAM_WEB_SECRET", "x" * 40)
    path = tmp_path / "a.csv"
    path.write_bytes(b"text,code\na,b\n")
    run, environments = sandbox.subprocess.run, []

    def watched(*args, **options):
        environments.append(options["env"])
        return run(*args, **options)

    monkeypatch.setattr(sandbox.subprocess, "run", watched)
    sandbox.read_labels_apart(path, "a.csv", "lea", sandbox.SheetColumns())
    assert not [name for name in environments[0] if "QUALSTREAM" in name]
