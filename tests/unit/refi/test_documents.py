"""A project's texts are taken in as documents, with its variables and cases as their attributes."""

import zipfile
from contextlib import closing

import pytest

from infra.files.segments import read_segments
from infra.refi.reading import read_refi
from infra.storage.store import open_store
from models.annotation.spans import document_start
from schemas import Segment
from tests.unit.refi.test_refi import PROJECT, bring_in, codings
from tests.unit.refi.test_rest import original  # noqa: F401 - a fixture


def segments_of(path):
    return [each for each in read_segments(path, study="waiting") if isinstance(each, Segment)]


def test_all_texts_are_segments_of_their_documents_at_their_places():
    segments = segments_of(PROJECT)
    assert {segment.source for segment in segments} == {"Interview 1.txt", "Housing & rent.txt"}
    texts = {}
    with zipfile.ZipFile(PROJECT) as archive:
        for name in archive.namelist():
            if name.endswith(".txt"):
                text = archive.read(name).decode("utf-8-sig")
                texts["Interview 1.txt" if "nurse" in text else "Housing & rent.txt"] = text
    for segment in segments:
        start = document_start(segment.metadata)
        assert texts[segment.source][start : start + len(segment.text)] == segment.text


def test_cases_and_variables_are_attributes(original):  # noqa: F811
    by_source = {}
    for segment in segments_of(original):
        by_source.setdefault(segment.source, []).append(segment.metadata)
    assert {(each.get("case"), each.get("age")) for each in by_source["Interview 1.txt"]} == {("Mrs Berg", 71)}
    assert all("case" not in each for each in by_source["Uncoded.txt"])


def test_its_codes_are_taught_onto_the_segments(tmp_path):
    with closing(open_store(f"sqlite:///{tmp_path / 'study.db'}")) as store:
        store.record(segments_of(PROJECT))
        bring_in(store, read_refi(PROJECT), "waiting")
        words = codings(store, "waiting")
    assert {word[2] for word in words} >= {"nobody said anything", "Zoë even brought tea"}


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_places_are_those_of_the_text_whatever_its_line_ends(tmp_path, ends):
    text = ends.join(["First paragraph here.", "", "Second one there.", "", "Third."])
    path = tmp_path / "p.qdpx"
    xml = (
        '<Project xmlns="urn:QDA-XML:project:1.0" name="p"><Sources><TextSource name="a.txt" '
        'guid="00000000-0000-4000-8000-000000000001" plainTextPath="internal://a.txt" /></Sources></Project>'
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("project.qde", xml)
        archive.writestr("sources/a.txt", text.encode())
    for segment in segments_of(path):
        start, end = segment.metadata["position"]
        assert text[start:end].strip() == segment.text
