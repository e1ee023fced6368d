"""Tables whose cells stand in single quotes, as databases write them, and apostrophes that are none of these."""

import pytest

from tests.unit.files.reading.reader import Read


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (
            "id,text,code\n1,'Waiting, far too long','time'\n2,'It''s fine, really','ok'\n",
            ["Waiting, far too long", "It's fine, really"],
        ),
        (
            "'id','text'\n'1','First line\nsecond line, with a comma'\n'2','Kind'\n",
            ["First line\nsecond line, with a comma", "Kind"],
        ),
        ("'ID';'Kommentar'\n'1';'zu spät; leider'\n'2';'gut'\n", ["zu spät; leider", "gut"]),
        ("'id','text'\n'1','It\\'s late, again'\n'2','too \"dear\"'\n", ["It's late, again", 'too "dear"']),
        ("text,code\n'late','time'\n'too dear','price'\n", ["late", "too dear"]),
    ],
)
def test_cells_in_single_quotes_are_read_without_them_and_said(tmp_path, content, texts):
    read = Read(tmp_path, content)
    assert read.texts == texts
    assert "cells in single quotes" in read.remarks


@pytest.mark.parametrize(
    "texts",
    [
        ["'Tis the season for waiting", "I don't know what's wrong", "the 'new' app is slow"],
        ["'bout time", "rock 'n' roll"],
        ["'quoted' start", "and 'quoted'"],
        ["'I waited' she said", "fine"],
    ],
)
def test_an_apostrophe_that_begins_or_ends_a_text_stays(tmp_path, texts):
    content = "id,text,code\n" + "".join(f"{n},{text},a\n" for n, text in enumerate(texts))
    assert Read(tmp_path, content).texts == texts


def test_double_quotes_around_a_cell_win(tmp_path):
    assert Read(tmp_path, 'id,text\n1,"\'late\', he said"\n2,"fine, really"\n').texts == [
        "'late', he said",
        "fine, really",
    ]
