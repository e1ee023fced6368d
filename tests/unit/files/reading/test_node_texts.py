"""What NVivo writes of one code as a text: passages by document, in several languages and formats."""

import io

import docx
import pytest

from infra.files.labels.label_sheet import read_label_file
from tests.unit.files.reading.reader import Read

ENGLISH = """<Internals\\\\Interviews\\\\Anna> - § 2 references coded  [3.12% Coverage]

Reference 1 - 1.61% Coverage

We waited three hours.

Reference 2 - 1.51% Coverage

The room was full
and hot.

<Internals\\\\Interviews\\\\Ben> - § 1 reference coded  [2.50% Coverage]

Reference 1 - 2.50% Coverage

Nobody called me.
"""
GERMAN = """<Dateien\\\\Anna> - § 1 Referenz kodiert  [3,12% Abdeckung]

Referenz 1 - 3,12% Abdeckung

Wir haben gewartet.
"""
FRENCH = """<Fichiers\\\\Anna> - § 1 référence encodée  [3,12 % de couverture]

Référence 1 - 3,12 % de couverture

Nous avons attendu.
"""


def written(folder, name, content):
    (folder / name).write_text(content, encoding="utf-8")
    return folder / name


def test_passages_are_segments_of_their_documents(tmp_path):
    read = Read(tmp_path, ENGLISH, "Waiting time.txt")
    assert read.texts == ["We waited three hours.", "The room was full\nand hot.", "Nobody called me."]
    assert [segment.source for segment in read.segments] == ["Anna", "Anna", "Ben"]
    assert "'Waiting time', as the file is called" in read.remarks


@pytest.mark.parametrize(("content", "text"), [(GERMAN, "Wir haben gewartet."), (FRENCH, "Nous avons attendu.")])
def test_other_languages_are_read(tmp_path, content, text):
    assert Read(tmp_path, content, "Code.txt").texts == [text]


@pytest.mark.parametrize(
    ("content", "code"), [(ENGLISH, "Waiting time"), ("Name: Staff\nNickname: \n\n" + ENGLISH, "Staff")]
)
def test_the_code_is_what_the_text_or_the_file_is_called(tmp_path, content, code):
    sheet = read_label_file(written(tmp_path, "Waiting time.txt", content), "anna")
    assert {row.codes for row in sheet.rows} == {(code,)}
    assert [row.source for row in sheet.rows] == ["Anna", "Anna", "Ben"]


def test_a_word_document_of_such_passages_is_read_alike(tmp_path):
    document, buffer = docx.Document(), io.BytesIO()
    for line in ENGLISH.split("\n"):
        document.add_paragraph(line)
    document.save(buffer)
    assert len(Read(tmp_path, buffer.getvalue(), "Waiting time.docx").texts) == 3


def test_a_text_that_only_mentions_a_reference_is_none(tmp_path):
    read = Read(tmp_path, "Reference 1 - see 3% of the page\nThe other line.\n", "notes.txt")
    assert len(read.texts) == 2
