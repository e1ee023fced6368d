"""A document reads in its own order with its codes in the margin; attributes narrow lists and stand in them."""

import re

from infra.storage.segment_search import Filters, find
from schemas import Segment, StudyRules
from schemas.feedback import READING_NOTES
from schemas.ids import segment_id
from tests.web.analysis.test_tables import store, take  # noqa: F401
from tests.web.site import STUDY, coded, fill, visit


def interview(site):
    """Turns that came in disorder, as rows of a file whose times say nothing."""
    places = ((3, [40, 60]), (1, [0, 10]), (2, [11, 39]))
    segments = fill(site, 3, people=0)
    turns = []
    for segment, (turn, position) in zip(segments, places, strict=True):
        said = {"speaker": f"S{turn}", "turn": turn, "position": position, "question": f"Q{turn}?"}
        turns.append(segment.model_copy(update={"id": segment.id, "metadata": said, "source": "one.docx"}))
    site.store.reset(STUDY)
    site.store.take_in(turns)
    return turns


def test_a_document_reads_in_its_own_order(site):
    turns = interview(site)
    page = visit(site, "viewer").get(f"/s/{STUDY}/documents", params={"source": "one.docx"}).text
    order = [page.index(f'id="p-{turn.id}"') for turn in (turns[1], turns[2], turns[0])]
    assert order == sorted(order)
    assert re.findall(r"Q\d\?", page) == ["Q1?", "Q2?", "Q3?"]
    assert "S1 · 1" in page
    assert "not coded" in page


def test_documents_are_listed_and_an_unknown_one_is_not_found(site):
    fill(site, 4)
    client = visit(site, "viewer")
    page = client.get(f"/s/{STUDY}/documents").text
    assert "source=store.csv" in page
    assert client.get(f"/s/{STUDY}/documents?source=nothing").status_code == 404


def test_the_margin_tells_nothing_that_is_to_be_read_blind(site):
    segments = fill(site, 4, people=4)
    site.store.record([StudyRules(study=STUDY, blind=True, author="lea", at=site.clock.now())])
    page = visit(site, "annotator").get(f"/s/{STUDY}/documents", params={"source": segments[0].source}).text
    assert page.count("read blind") == 2
    assert 'class="tag hue-' not in page


ASKED = {("stars", "2"): [0, 1], ("stars", "3.5"): [2], ('a "b"', "ä"): [3], ("new", "true"): [3], ("stars", ""): []}
HAD = [{"stars": 2}, {"stars": "2"}, {"stars": 3.5}, {'a "b"': "ä", "new": True}]


def test_an_attribute_narrows_whatever_its_kind_and_name(store):  # noqa: F811
    take(store, [("a", attributes, "x") for attributes in HAD])
    for asked, expected in ASKED.items():
        page = find(store.database, "app", Filters(attributes=(asked,)))
        assert sorted(match.text for match in page.matches) == [f"text {n}" for n in expected], asked


def test_attributes_are_columns_of_the_list_and_are_taken_away_again(site):
    fill(site, 6)
    client = visit(site, "viewer")
    page = client.get(f"/s/{STUDY}/segments", params={"attribute": "stars", "value": "2", "columns": "version"}).text
    assert '<th scope="col">version</th><th scope="col">stars</th>' in page
    assert '<td class="small">2.1</td><td class="small">2</td>' in page
    assert "1 segment, newest first" in page
    away = re.search(r'<a class="[^"]+" href="([^"]+)">stars: 2', page)[1]
    assert "6 segments, newest first" in client.get(away.replace("&amp;", "&")).text


def test_notes_of_how_a_text_was_read_are_no_attributes_on_any_page(site):
    for n in range(4):
        metadata = {**dict.fromkeys(READING_NOTES, f"<b>{n % 2}</b>"), "stars": n % 2}
        id_ = segment_id(STUDY, "f", str(n))
        segment = Segment(id=id_, study=STUDY, text="loud", source="f", metadata=metadata)
        site.store.record(coded(segment, "noise", at=site.clock.now(), new=not n, confidence=0.35))
    client = visit(site, "lead")
    for path in ("", "segments", "analysis", "analysis/groups", "queue", "coding", f"segments/{id_}"):
        page = client.get(f"/s/{STUDY}/{path}").text
        assert "stars" in page, path
        assert [note for note in READING_NOTES if note in page] == [], path
    assert "&lt;b&gt;1&lt;/b&gt;" in page
