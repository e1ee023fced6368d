"""Codes by attribute, codes together and quotes: counted over final codes, on the page and as files."""

import csv
import io
from uuid import UUID

import docx
import psycopg
import pytest

from infra.storage.analysis.crosstab import OTHERS, WITHOUT, cooccurrence, crosstab
from infra.storage.store import open_store
from infra.web.pages.analysis.figures import code_network
from schemas import Annotation, StudyRules
from schemas.ids import code_id
from tests.unit.storage.test_outcomes import coded, event
from tests.unit.storage.test_store import minutes
from tests.web.site import HOSTILE, STUDY, fill, visit

BASE = f"/s/{STUDY}/analysis"


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    url = f"sqlite:///{tmp_path / 'q.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
    opened = open_store(url)
    opened.record([event("created", label, 0) for label in "abc"])
    yield opened
    opened.close()


def take(store, rows):
    for n, (label, metadata, source) in enumerate(rows):
        segment, assignment = coded(n, label)
        store.record([segment.model_copy(update={"metadata": metadata, "source": source}), assignment])


def say(store, n, *labels):
    segment, _ = coded(n, "a")
    ids = [code_id("app", label) for label in labels]
    word = {"segment_id": segment.id, "study": "app", "annotator": "ana", "labels": list(labels), "code_ids": ids}
    store.record([Annotation(**word, decided_at=minutes(n))])


def test_codes_are_counted_by_an_attribute_of_any_kind(store):
    take(store, [("a", {"stars": 2}, "x"), ("a", {"stars": 10}, "x"), ("b", {"stars": "2"}, "x"), ("b", {}, "y")])
    with store.database.reading() as connection:
        table = crosstab(connection, "app", "stars")
    assert table.values == ["2", "10", WITHOUT]
    assert dict(zip([code.label for code in table.codes], table.counts, strict=True)) == {
        "a": [1, 1, 0],
        "b": [1, 0, 1],
    }
    assert (table.totals, table.single, table.whole.degrees) == ([2, 1, 1], True, 2)
    assert (table.row_share(0, 0), table.column_share(0, 1)) == (0.5, 1.0)


def test_what_nobody_has_admitted_or_agreed_on_is_not_coded(store):
    take(store, [("a", {}, "x"), ("b", {}, "y"), ("c", {}, "y")])
    segment, assignment = coded(3, "unheard of")
    store.record([segment.model_copy(update={"source": "z"}), assignment.model_copy(update={"standing": "proposed"})])
    segment, assignment = coded(4, "nothing like it")
    none = assignment.model_copy(update={"standing": "none"})
    store.record([segment.model_copy(update={"source": "z"}), none])
    say(store, 2, "a")
    other = {"segment_id": coded(2, "c")[0].id, "study": "app", "annotator": "ben", "labels": ["b"]}
    store.record([Annotation(**other, code_ids=[code_id("app", "b")], decided_at=minutes(9))])
    with store.database.reading() as connection:
        table = crosstab(connection, "app", "source")
    assert (table.values, table.totals) == (["x", "y"], [1, 1])


def test_what_people_decided_counts_and_several_codes_take_the_whole_test_away(store):
    take(store, [("a", {}, "x"), ("a", {}, "y"), ("b", {}, "y"), ("c", {}, "y")])
    say(store, 0, "b", "c")
    say(store, 3)
    with store.database.reading() as connection:
        table, together = crosstab(connection, "app", "source"), cooccurrence(connection, "app", "segment")
        in_documents = cooccurrence(connection, "app", "document")
    assert {code.label: row for code, row in zip(table.codes, table.counts, strict=True)} == {
        "a": [0, 1],
        "b": [1, 1],
        "c": [1, 0],
    }
    assert (table.totals, table.single, table.whole) == ([1, 3], False, None)
    assert [code.label for code in together.codes] == ["b", "a", "c"]
    assert together.counts == [[2, 0, 1], [0, 1, 0], [1, 0, 1]]
    assert together.jaccard(0, 2) == 0.5
    assert in_documents.counts[0] == [2, 1, 1]


def test_many_values_are_put_together(store):
    take(store, [("a", {"n": n}, "x") for n in range(30)])
    with store.database.reading() as connection:
        table = crosstab(connection, "app", "n")
    assert (len(table.values), table.values[-1], table.counts[0][-1]) == (21, OTHERS, 10)


def rows(client, what, **asked):
    answer = client.get(f"{BASE}/export/{what}", params=asked)
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def test_every_table_is_a_file_too(site):
    fill(site, 28)
    client = visit(site, "viewer")
    page = client.get(BASE, params={"by": "stars", "within": "document"})
    assert (page.status_code, "All codes: χ² =" in page.text) == (200, True)
    assert sum(int(row["segments"]) for row in rows(client, "frequencies.csv")) == 28
    table = rows(client, "crosstab.csv", by="stars")
    assert (sum(int(row["count"]) for row in table), set(table[0])) == (
        28,
        {"code", "stars", "count", "row_share", "column_share", "chi_square", "degrees", "p", "cramers_v"},
    )
    assert len(rows(client, "cooccurrence.csv", within="document")) == 49
    assert len(rows(client, "quotes.csv")) == 28
    assert client.get(f"{BASE}/export/frequencies.svg").text.startswith("<svg xmlns=")
    assert client.get(f"{BASE}/export/network.svg", params={"within": "document"}).text.count("<circle") == 7
    assert "Quotes by code" in client.get(f"{BASE}/export/quotes.html").text
    assert client.get(f"{BASE}/export/people.csv").status_code == 404
    assert "Nothing to count yet" in visit(site, "viewer", study="empty", name="eva").get("/s/empty/analysis").text


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_runs_in_a_chart_or_a_report(site, text):
    segment = fill(site, 1)[0]
    label = " ".join(text.replace("\0", "").split())[:80] or "x"
    word = {"segment_id": segment.id, "study": STUDY, "annotator": "ana", "labels": [label], "code_ids": [UUID(int=9)]}
    site.write([Annotation(**word, decided_at=minutes(1))])
    client = visit(site, "viewer")
    for path in ("", "/export/frequencies.svg", "/export/network.svg?within=document", "/export/quotes.html"):
        shown = client.get(f"{BASE}{path}").text
        assert "<script>alert" not in shown
        assert "<img src=x" not in shown
    assert not rows(client, "quotes.csv")[0]["code"].startswith(("=", "@"))


def test_what_is_read_blind_is_in_no_table_that_would_tell_it(site):
    segments = fill(site, 6, people=1)
    site.store.record([StudyRules(study=STUDY, blind=True, author="lea", at=site.clock.now())])
    quotes = rows(visit(site, "annotator"), "quotes.csv")
    assert str(segments[0].id) not in {row["id"] for row in quotes}
    assert len(rows(visit(site, "lead", name="lea"), "quotes.csv")) == len(quotes) + 1 == 6


def test_quotes_are_a_word_document_whatever_they_hold(site):
    segments = fill(site, 3, people=0)
    site.store.reset(STUDY)
    site.store.take_in(
        [segment.model_copy(update={"text": f"{segment.text}\x0b\ufffe<b>"}) for segment in segments[:1]]
    )
    word = {
        "segment_id": segments[0].id,
        "study": STUDY,
        "annotator": "ana",
        "labels": ["a"],
        "code_ids": [UUID(int=9)],
    }
    site.write([Annotation(**word, decided_at=minutes(1))])
    file = visit(site, "viewer").get(f"{BASE}/export/quotes.docx").content
    paragraphs = [each.text for each in docx.Document(io.BytesIO(file)).paragraphs]
    assert paragraphs[0] == "Quotes by code"
    assert "a" in paragraphs
    assert any(text.startswith(segments[0].text[:20]) and text.endswith("<b>") for text in paragraphs)


def test_words_are_counted_by_code_without_those_that_say_nothing(site):
    fill(site, 28)
    client = visit(site, "viewer")
    counted = rows(client, "words.csv")
    of_code = {row["word"]: (row["segments"], row["times"]) for row in counted if row["code"] == "slow checkout"}
    assert of_code["checkout"] == ("4", "4")
    assert "the" not in of_code
    page = client.get(BASE, params={"words": str(code_id(STUDY, "app crashes"))}).text
    assert '<li>crashes <span class="muted small num">4</span></li>' in page


def test_codes_that_stand_together_are_drawn_the_same_each_time(store):
    take(store, [("a", {}, "x"), ("b", {}, "x"), ("c", {}, "y")])
    say(store, 0, "a", "b")
    with store.database.reading() as connection:
        together = cooccurrence(connection, "app", "segment")
    drawn = code_network(together)
    assert (drawn.count("<circle"), drawn.count("<line"), "b and a: 1" in drawn) == (2, 1, True)
    assert drawn == code_network(together)
