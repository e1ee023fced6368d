"""A part of a text is marked and coded with its place; parts are shown, counted, exported, compared and erased."""

import csv
import io
from uuid import uuid4

import pytest

from infra.clock import SystemClock
from infra.erasure.erase import Eraser
from infra.storage.analysis.code_counts import code_counts
from infra.storage.analysis.spans import span_counts, spans
from infra.storage.annotations import codings
from models.annotation.spans import pieces
from schemas import Annotation, StudyRules
from schemas.ids import code_id, span_id
from tests.web.site import STUDY, fill, visit
from tests.web.test_exchange import OTHER, confirmed, upload

BASE = f"/s/{STUDY}"
TEXT = "Ä 😀 checkout is slow, and nobody answers."


@pytest.fixture
def whole(site):
    """A segment whose place in its document is known."""
    (segment,) = fill(site, 1, people=0)
    site.store.reset(STUDY)
    placed = segment.model_copy(update={"text": TEXT, "metadata": {"position": [100, 141]}, "source": "one & two.docx"})
    site.store.take_in([placed])
    return placed


def mark(client, segment, words, *labels, **form):
    start = segment.text.index(words)
    data = {"cause": str(uuid4()), "start": start, "end": start + len(words), "new": list(labels), **form}
    return client.post(f"{BASE}/segments/{segment.id}/spans", data=data)


def standing(site):
    with site.store.database.reading() as connection:
        return spans(connection, STUDY)


def test_a_part_is_coded_with_its_place_in_code_points_and_shown_in_the_document(site, whole):
    client = visit(site, "annotator")
    page = mark(client, whole, "checkout is slow", "slow", "checkout", memo="both").text
    (span,) = standing(site)
    assert (span.start, span.end, span.text, span.coder) == (4, 20, "checkout is slow", "ana")
    assert [label for _, label in span.codes] == ["slow", "checkout"]
    assert (span.annotation.within, span.annotation.start, span.annotation.memo) == (whole.id, 104, "both")
    assert 'title="slow, checkout (ana)">checkout is slow</mark>' in page
    assert "1 marked part" in page
    codes = {event.label: event.segment_id for event in site.store.code_events(STUDY)}
    assert codes == {"slow": whole.id, "checkout": whole.id}


def test_parts_overlap_and_the_text_is_cut_where_any_begins_or_ends(site, whole):
    client = visit(site, "annotator")
    mark(client, whole, "checkout is slow", "a")
    mark(client, whole, "slow, and nobody", "b")
    cut = pieces(whole.text, standing(site))
    assert "".join(piece.text for piece in cut) == TEXT
    assert [(piece.text, len(piece.spans)) for piece in cut] == [
        ("Ä 😀 ", 0),
        ("checkout is ", 1),
        ("slow", 2),
        (", and nobody", 1),
        (" answers.", 0),
    ]


def test_the_same_part_again_gets_other_codes_and_its_coder_takes_it_back(site, whole):
    ana, ben = visit(site, "annotator"), visit(site, "annotator", name="ben")
    mark(ana, whole, "slow", "a")
    mark(ana, whole, "slow", "b")
    mark(ben, whole, "slow", "a")
    assert sorted((span.coder, span.codes[0][1]) for span in standing(site)) == [("ana", "b"), ("ben", "a")]
    own = span_id(whole.id, 16, 20, "ana")
    assert ben.post(f"{BASE}/spans/{own}/remove").status_code == 404
    ana.post(f"{BASE}/spans/{own}/remove")
    assert [span.coder for span in standing(site)] == ["ben"]


@pytest.mark.parametrize(("start", "end"), [(3, 3), (-1, 4), (0, 999), (1, 2), (9, 5)])
def test_a_place_without_words_is_refused(site, whole, start, end):
    form = {"cause": str(uuid4()), "start": start, "end": end, "new": "a"}
    page = visit(site, "annotator").post(f"{BASE}/segments/{whole.id}/spans", data=form)
    assert "marks no words" in page.text
    assert standing(site) == []


def test_a_part_without_a_code_is_refused_and_a_segment_of_another_study_is_not_found(site, whole):
    client = visit(site, "annotator")
    assert "No code is chosen" in mark(client, whole, "slow").text
    form = {"cause": str(uuid4()), "start": 0, "end": 4, "new": "a"}
    assert client.post(f"{BASE}/segments/{uuid4()}/spans", data=form).status_code == 404


def test_parts_are_a_file_with_their_places_and_count_beside_segments_not_among_them(site, whole):
    client = visit(site, "annotator")
    mark(client, whole, "checkout", "a")
    mark(client, whole, "slow", "a")
    (first, second) = csv.DictReader(io.StringIO(client.get(f"{BASE}/spans.csv").text, newline=""))
    assert (first["document"], first["start"], first["end"], first["document_start"]) == (
        "one & two.docx",
        "4",
        "12",
        "104",
    )
    assert (second["text"], second["codes"], second["document_end"]) == ("slow", "a", "120")
    assert span_counts(standing(site)) == {code_id(STUDY, "a"): 2}
    with site.store.database.reading() as connection:
        assert code_counts(connection, STUDY) == []
    assert codings(site.store.database, STUDY) == []


def test_a_marked_part_is_no_decision_of_the_queue(site):
    segments = fill(site, 4, people=4)
    client = visit(site, "annotator")
    mark(client, segments[0], segments[0].text[:8], "a")
    page = client.get(f"{BASE}/queue").text
    assert "<strong>0</strong> by you today" in page
    assert "Your last decision" not in page


def test_what_is_read_blind_shows_no_part_of_it_to_those_who_may_read_it(site):
    segment = fill(site, 4, people=4)[0]
    mark(visit(site, "annotator"), segment, segment.text[:6], "a")
    site.store.record([StudyRules(study=STUDY, blind=True, author="lea", at=site.clock.now())])
    other = visit(site, "annotator", name="ben")
    page = other.get(f"{BASE}/documents", params={"source": segment.source}).text
    assert "<mark" not in page
    assert len(other.get(f"{BASE}/spans.csv").text.splitlines()) == 1
    assert "<mark" in visit(site, "lead", name="lea").get(f"{BASE}/documents", params={"source": segment.source}).text


def test_parts_go_when_their_segment_is_erased_and_do_not_come_again(site, whole):
    mark(visit(site, "annotator"), whole, "slow", "a")
    words = list(site.store.history(Annotation, STUDY))
    receipt = Eraser(site.settings, site.store, SystemClock()).segments({whole.id}, "by id")
    assert receipt.segments == 1
    assert standing(site) == []
    site.store.record(words)
    assert standing(site) == []


@pytest.mark.parametrize("position", [{"position": [100, 141]}, {}])
def test_parts_go_out_and_come_into_another_study_at_their_places(site, whole, position):
    segment = whole.model_copy(update={"metadata": position})
    site.store.reset(STUDY)
    site.store.take_in([segment])
    client = visit(site, "lead")
    mark(client, segment, "slow", "a", memo="why?")
    mark(client, segment, "checkout is slow", "a", "b")
    project = client.get(f"{BASE}/export/project").content
    assert "Nothing is to be imported" in upload(client, project, "again.qdpx").text
    site.store.take_in([segment.model_copy(update={"study": OTHER, "id": uuid4()})])
    lead = visit(site, "lead", study=OTHER, name="lea")
    confirmed(lead, upload(lead, project, "parts.qdpx", study=OTHER), study=OTHER)
    with site.store.database.reading() as connection:
        there = spans(connection, OTHER)
    assert [(span.start, span.text, [label for _, label in span.codes]) for span in there] == [
        (4, "checkout is slow", ["a", "b"]),
        (16, "slow", ["a"]),
    ]
    assert [span.annotation.memo for span in there] == ["", "why?"]


def test_a_codes_page_and_the_frequencies_count_its_parts(site, whole):
    client = visit(site, "annotator")
    mark(client, whole, "slow", "a")
    assert "1 in all" in client.get(f"{BASE}/codebook/codes/{code_id(STUDY, 'a')}").text
    file = client.get(f"{BASE}/analysis/export/frequencies.csv").text
    assert list(csv.DictReader(io.StringIO(file, newline=""))) == [
        {"code": "a", "segments": "0", "people": "0", "parts": "1"}
    ]
