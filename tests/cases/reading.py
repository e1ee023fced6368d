"""The cases about reading: what a file's rows become."""

from typing import Any

from tests.cases.product import Product


def ingested(product: Product, name: str, *options: object, study: str = "s") -> tuple[list[dict[str, Any]], str]:
    """A file's segments, and what was said of it."""
    done = product.run("ingest", product.file(name), "--study", study, *options)
    assert done.status == 0, done.words[:200]
    return product.rows(study), done.words


def texts(rows: list[dict[str, Any]]) -> list[str]:
    """Of segments."""
    return [row["text"] for row in rows]


def f01(product: Product) -> str:
    """The user's own id comes out."""
    rows, _ = ingested(product, "hello.csv")
    assert [row["own_id"] for row in rows] == ["1", "2"]
    return "own_id 1 and 2 in code, export and page"


def f02(product: Product) -> str:
    """Google Play's file as downloaded."""
    rows, _ = ingested(product, "play_utf16.csv")
    assert any((row["timestamp"] or "").startswith("2026-03-02T09:15:11") for row in rows)
    assert "de" in {row["language"] for row in rows}
    return "UTF-16, time and language without options"


def f03(product: Product) -> str:
    """Qualtrics' three header rows."""
    rows, _ = ingested(product, "qualtrics.csv")
    assert len(rows) == 2
    assert "ImportId" not in "".join(texts(rows))
    assert all(row["timestamp"] for row in rows)
    return "2 segments; questions and import ids are left out, times read"


def f04(product: Product) -> str:
    """A JSON array."""
    counts = [len(ingested(product, name, study=name[:9])[0]) for name in ("array_pretty.json", "array_line.json")]
    assert counts == [3, 3]
    return "3 segments of either"


def f05(product: Product) -> str:
    """Rows without their last cells."""
    counts = [len(ingested(product, f"short_rows.{ending}", study=ending)[0]) for ending in ("csv", "xlsx")]
    assert counts == [4, 4]
    return "4 segments of CSV and of XLSX"


def f06(product: Product) -> str:
    """A German CSV of Excel's."""
    rows, _ = ingested(product, "semicolon_cp1252.csv")
    assert rows[1]["text"] == "Für mich zu teuer – leider"
    assert rows[2]["timestamp"].startswith("2026-02-15")
    return "columns, umlauts and 15.02.26 without options"


def f07(product: Product) -> str:
    """A first line sep=;."""
    assert len(ingested(product, "sep_line.csv")[0]) == 2
    return "2 segments"


def f08(product: Product) -> str:
    """Line ends of an old Macintosh."""
    assert len(ingested(product, "mac_cr.csv")[0]) == 3
    return "3 segments"


def f09(product: Product) -> str:
    """Shift-JIS."""
    rows, words = ingested(product, "sjis.csv")
    assert all(
        "\u3040" <= character <= "\u9fff" or character in "がとをもてです。、" for character in rows[0]["text"][:4]
    )
    assert "shift_jis" in words.replace("-", "_").casefold() or "cp932" in words.casefold()
    return "read as Shift-JIS, with its confidence; --encoding"


def f10(product: Product) -> str:
    """Transcripts by turn."""
    for name in ("interview.vtt", "interview.txt"):
        rows, _ = ingested(product, name, study=name[-3:])
        assert not any("-->" in text or "WEBVTT" in text or text.startswith("I:") for text in texts(rows))
        assert not any("How do you usually" in text for text in texts(rows))
    return "answers by turn, with speaker and time; the interviewer's words are left out"


def f11(product: Product) -> str:
    """Word, RTF and REFI-QDA."""
    assert ingested(product, "interview.docx", study="docx")[0]
    assert ingested(product, "interview.rtf", study="rtf")[0]
    done = product.taught("study.qdpx", "qdpx")
    assert done.status == 0, done.words
    assert set(product.codebook("qdpx")) == {"Cost", "Hidden fees"}
    return "DOCX and RTF by ingest; a .qdpx project by teach: its codes, tree and coded passages"


def f12(product: Product) -> str:
    """What is no answer."""
    rows, words = ingested(product, "nonanswers.csv")
    assert not {"n/a", "N/A", "none", "-", ".", "nothing", "NA"} & set(texts(rows))
    assert "left out" in words
    return "left out and counted; --non-answers keep"


def f13(product: Product) -> str:
    """A dump of comments."""
    rows, _ = ingested(product, "reddit.jsonl")
    assert rows[0]["timestamp"].startswith("2026-01-02")
    assert not {"[deleted]", "[removed]"} & set(texts(rows))
    assert "&#39;" not in "".join(texts(rows))
    return "created_utc is the time; [deleted] and [removed] are left out, entities decoded"


def f14(product: Product) -> str:
    """Dates that lost their format."""
    rows, _ = ingested(product, "x_serial.xlsx")
    assert [row["timestamp"][:16] for row in rows] == [
        "2026-01-01T00:00",
        "2026-01-02T12:00",
        "2026-01-03T09:00",
        "2026-01-04T00:00",
    ]
    return "46023, 46024.5 and '46026' are dates"


def f15(product: Product) -> str:
    """Titles above the header."""
    assert len(ingested(product, "x_title.xlsx")[0]) == 2
    return "2 segments; --header-row, --sheet"


def f16(product: Product) -> str:
    """A spreadsheet's line breaks and errors."""
    rows, _ = ingested(product, "x_x000d.xlsx")
    assert rows[0]["text"].replace("\r", "") == "First line\nsecond line"
    assert not {"#NAME?", "#N/A"} & set(texts(rows))
    return "'First line' and 'second line'; #NAME? and #N/A are not taken"


def f17(product: Product) -> str:
    """1 and 1.0."""
    with_int, _ = ingested(product, "c_intid.csv", study="int")
    with_float, _ = ingested(product, "c_floatid.csv", study="float")
    assert [row["own_id"] for row in with_int] == [row["own_id"] for row in with_float] == ["1", "2"]
    return "one id"


def f18(product: Product) -> str:
    """Quotes escaped by a backslash."""
    rows, _ = ingested(product, "backslash.csv")
    assert texts(rows) == ['He said "wait", then left', "Fine, thanks"]
    return "both rows taken"


def f19(product: Product) -> str:
    """Several open questions."""
    columns = ("Q1_like", "Q2_dislike", "Q3_other")
    rows, _ = ingested(product, "wide.csv", *(each for name in columns for each in ("--text-column", name)))
    assert len(rows) == 5
    assert len({row["source"] for row in rows}) == 3
    return "one run, a source a question"


def f20(product: Product) -> str:
    """Scripts of many languages."""
    rows, _ = ingested(product, "unicode.csv")
    assert len(rows) == 6
    return "all six kept"


def f21(product: Product) -> str:
    """Columns of the same name."""
    rows, _ = ingested(product, "dup_header.csv")
    assert rows[0]["text"] == "First open answer here"
    assert "second answer" in rows[0].values()
    return "the first is the text, the second is kept"


def f22(product: Product) -> str:
    """Tags and entities."""
    rows, _ = ingested(product, "html.csv")
    assert rows[0]["text"] == "The seat was broken.\nNobody cared & it's dirty"
    assert rows[1]["text"].startswith("Très bien")
    return "decoded; the text as it came is kept"


def f23(product: Product) -> str:
    """The same id with another text."""
    ingested(product, "e/reviews.csv", study="edit")
    changed = product.folder / "reviews.csv"
    changed.parent.mkdir(parents=True, exist_ok=True)
    changed.write_text(product.file("e/reviews.csv").read_text().replace("After the fix", "Before the fix"))
    done = product.run("ingest", changed, "--study", "edit")
    assert "1 with another text" in done.words
    return "said and counted; --changed version takes the new one beside it"


READING = {
    f"F{n:02}": case
    for n, case in enumerate(
        (
            *(f01, f02, f03, f04, f05, f06, f07, f08, f09, f10, f11, f12),
            *(f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23),
        ),
        1,
    )
}
