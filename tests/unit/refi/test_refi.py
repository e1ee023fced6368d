"""REFI-QDA: a project that QualCoder wrote, what this project writes, and what must not be read."""

import io
import re
import zipfile
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.annotation.import_labels import Importing, plan
from infra.annotation.memos import Memo, add_memo
from infra.codebook.codebook_import import codebook_entries, import_codebook
from infra.codebook.codebook_table import read_codebook_table
from infra.files.refi_archive import read_project
from infra.files.segments import read_segments
from infra.refi.codebook_files import CODEBOOK_FORMATS, write_codebook
from infra.refi.reading import RefiContent, read_refi
from infra.refi.study_project import study_project
from infra.refi.writing import CodedPassage, codebook_xml, project_archive
from infra.storage.store import Store, open_store
from models.codebook.codebook import Codebook
from models.codebook.edits import Act, Curation
from models.errors import InputError
from schemas import Annotation, CodeEvent, Segment
from schemas.ids import code_event_id, code_id
from tests.unit.storage.test_store import assignment

DATA = Path(__file__).parents[2] / "data"
PROJECT, BOOK = DATA / "qualcoder_project.qdpx", DATA / "qualcoder_codebook.qdc"
"""Written by QualCoder's own export code (July 2026) from a project made for these tests."""
AT = datetime(2026, 3, 5, 12, tzinfo=UTC)
LATER = AT.replace(hour=13)
LONG = "I sat there for two hours 😀 and nobody said anything."


@pytest.fixture
def store(tmp_path):
    with closing(open_store(f"sqlite:///{tmp_path / 'study.db'}")) as opened:
        yield opened


def bring_in(store: Store, content: RefiContent, study: str) -> None:
    """What `teach` does with a project."""
    act = Act("lea", AT, "imported", "imported")
    events = import_codebook(codebook_entries(content.nodes), store.code_events(study), study, act).events
    store.record(list(events))
    planned = plan(store.database, content.sheet, Importing(study, "lea", AT, teach_unmatched=True))
    assert [row.reason for row in planned.rejected] == []
    planned.write(store.record)


def tree(store: Store, study: str) -> set[tuple[object, ...]]:
    """A study's codes and themes: level, label, theme, definition, colour."""
    book = Codebook(store.code_events(study))
    return {
        (code.level, code.label, book[code.parent].label if code.parent else None, code.definition, code.color)
        for code in book.values()
        if code.active
    }


def codings(store: Store, study: str) -> set[tuple[object, ...]]:
    """Who gave which text which codes: with source, place, memo and time."""
    return {
        (word.source, word.start, word.text, word.annotator, frozenset(word.labels), word.memo, word.decided_at)
        for word in store.history(Annotation, study)
    }


# What QualCoder writes


def test_a_project_of_qualcoders_has_its_tree_of_codes_with_definitions_and_colours(store):
    bring_in(store, read_refi(PROJECT), "waiting")
    assert tree(store, "waiting") == {
        ("theme", "Access", None, "Everything before the visit", None),
        ("theme", "Access > Inside", None, None, None),
        ("theme", "Staff", None, "All staff", "#0000FF"),
        ("code", "Staff", "Staff", None, None),
        ("code", "Kindness", "Staff", None, "#123456"),
        ("code", "Waiting time", "Access", "Time in the waiting room", "#FF8800"),
        ("code", "Missing information", "Access", None, "#00AA00"),
        ("code", "=Formula", "Access > Inside", None, "#AABBCC"),
        ("code", "Rent; costs, fees", None, "a name with separators", "#CCCCCC"),
    }


def test_a_project_of_qualcoders_has_its_passages_with_places_coders_memos_and_times(store):
    bring_in(store, read_refi(PROJECT), "waiting")
    interview, housing = "Interview 1.txt", "Housing & rent.txt"

    def at(day: int, minute: int) -> datetime:
        return datetime(2026, 3, day, 9 if day == 2 else 10, minute, tzinfo=UTC)

    assert codings(store, "waiting") == {
        (
            interview,
            27,
            LONG,
            "anna",
            frozenset({"Waiting time", "Missing information"}),
            "the longest so far",
            at(1, 6),
        ),
        (interview, 27, LONG, "ben", frozenset({"Waiting time"}), "", at(2, 0)),
        (interview, 59, "nobody said anything", "ben", frozenset({"Missing information"}), "overlaps", at(2, 1)),
        (interview, 102, "The nurse was very kind, Zoë even brought tea.", "anna", frozenset({"Staff"}), "", at(1, 7)),
        (interview, 127, "Zoë even brought tea", "anna", frozenset({"Kindness"}), "", at(1, 8)),
        (housing, 0, "The rent went up again.", "ben", frozenset({"Rent; costs, fees"}), "", at(2, 5)),
        (housing, 52, 'deposit was "never" returned <sic>', "ben", frozenset({"=Formula"}), "=1+1 & <b>", at(2, 6)),
    }


def test_a_project_goes_out_and_into_another_study_and_nothing_is_lost(store, tmp_path):
    bring_in(store, read_refi(PROJECT), "waiting")
    archive, count = study_project(store, "waiting", AT)
    assert count == 7
    path = tmp_path / "out.qdpx"
    path.write_bytes(archive)
    bring_in(store, read_refi(path), "other")
    assert tree(store, "other") == tree(store, "waiting")
    assert codings(store, "other") == codings(store, "waiting")
    before = list(store.history(Annotation, "waiting"))
    bring_in(store, read_refi(path), "waiting")
    assert list(store.history(Annotation, "waiting")) == before
    assert codings(store, "waiting") == codings(store, "other")


def test_places_in_a_source_are_the_same_in_what_is_written(store, tmp_path):
    bring_in(store, read_refi(PROJECT), "waiting")
    path = tmp_path / "out.qdpx"
    path.write_bytes(study_project(store, "waiting", AT)[0])
    project = read_project(path)
    source = next(each for each in project.project.sources.text_source if each.name == "Interview 1.txt")
    text = project.text(source.plain_text_path, source.plain_text_content)
    assert text[27:80] == LONG
    assert text[127:147] == "Zoë even brought tea"


def test_no_mark_stands_before_a_text_for_qualcoder_counts_it_as_a_letter(store, tmp_path):
    bring_in(store, read_refi(PROJECT), "waiting")
    with zipfile.ZipFile(io.BytesIO(study_project(store, "waiting", AT)[0])) as archive:
        texts = [archive.read(name) for name in archive.namelist() if name.endswith(".txt")]
    assert len(texts) == 2
    assert not any(text.startswith(b"\xef\xbb\xbf") for text in texts)


def test_what_the_system_gave_goes_out_under_its_name_and_never_comes_back_as_a_persons(store, tmp_path):
    given = {"study": "doc", "source": "a.txt"}
    one = Segment(**given, id=uuid5(UUID(int=2), "1"), text="two hours", metadata={"position": [40, 49]})
    two = Segment(**given, id=uuid5(UUID(int=2), "2"), text="so kind")
    store.record(
        [one, two, *created("doc", ["waiting", "staff"]), assignment(one, "waiting"), assignment(two, "staff")]
    )
    store.record([Annotation.about(two, "ana", {code_id("doc", "staff"): "staff"}, AT, memo="m")])
    path = tmp_path / "doc.qdpx"
    path.write_bytes(study_project(store, "doc", AT)[0])
    project = read_project(path)
    (source,) = project.project.sources.text_source
    text = project.text(source.plain_text_path, source.plain_text_content)
    selections = [(each.start_position, each.end_position) for each in source.plain_text_selection]
    places = {(text[start:end], start) for start, end in selections}
    assert places == {("two hours", 40), ("so kind", 51)}
    assert {user.name for user in project.project.users.user} == {"ana", "Qualstream"}
    assert [(row.text, row.annotator, row.codes, row.memo) for row in read_refi(path).sheet.rows] == [
        ("so kind", "ana", ("staff",), "m")
    ]


@pytest.mark.parametrize("gap", [None, 1, 2, 9], ids=["no places", "lines", "paragraphs", "questions between"])
def test_a_document_goes_out_whole_whichever_of_its_segments_are_coded(store, tmp_path, gap):
    said = [f"On night {n} nobody came." for n in range(5)]
    each = len(said[0]) + (gap or 0)
    places = [{} if gap is None else {"position": [n * each, n * each + len(said[0])]} for n in range(5)]
    texts = [Segment(study="s", source="n.txt", id=uuid5(UUID(int=4), text), text=text, metadata=place)
             for text, place in zip(said, places, strict=True)]  # fmt: skip
    store.take_in(texts)
    store.record([*created("s", ["alone"]), assignment(texts[1], "alone", study="s")])
    store.record([Annotation.about(texts[3], "ana", {code_id("s", "alone"): "alone"}, AT)])
    path = tmp_path / "s.qdpx"
    path.write_bytes(study_project(store, "s", AT)[0])
    assert [segment.text for segment in read_segments(path, study="again")] == said
    (source,) = read_project(path).project.sources.text_source
    assert [selection.name for selection in source.plain_text_selection] == [said[1], said[3]]


def test_what_was_merged_goes_out_as_what_it_became(store, tmp_path):
    one = Segment(study="s", source="n.txt", id=uuid5(UUID(int=4), "1"), text="Nobody came.")
    store.record([one, *created("s", ["alone", "alone at night"]), assignment(one, "alone", study="s")])
    store.record([Annotation.about(one, "ana", {code_id("s", "alone"): "alone"}, AT)])
    at_night, alone = code_id("s", "alone at night"), code_id("s", "alone")
    events, act = list(store.code_events("s")), Act("lea", LATER, "same", "c")
    themes = [event for name in ("Night", "Dark") for event in Curation(events, "s", act).create(name, "theme")]
    events += themes
    events += Curation(events, "s", act).move(at_night, themes[0].code_id)
    events += Curation(events, "s", act).merge([themes[0].code_id], themes[1].code_id)
    store.record([*events, *Curation(events, "s", act).merge([alone], at_night)])
    book, files = Codebook(store.code_events("s")), {}
    for fmt in CODEBOOK_FORMATS:
        write_codebook(book, "s", {}, fmt, files.setdefault(fmt, io.BytesIO()))
    path = tmp_path / "s.qdpx"
    path.write_bytes(study_project(store, "s", AT)[0])
    (theme,) = read_project(path).project.code_book.codes.code
    (code,) = theme.code
    assert (theme.name, code.name) == ("Dark", "alone at night")
    assert {row.codes for row in read_refi(path).sheet.rows} == {("alone at night",)}
    (tmp_path / "s.qdc").write_bytes(files["qdc"].getvalue())
    (tmp_path / "s.csv").write_bytes(files["csv"].getvalue())
    for nodes in (read_refi(tmp_path / "s.qdc").nodes, read_codebook_table(tmp_path / "s.csv")):
        assert [node.above for node in nodes if node.name == "alone at night"] == [("Dark",)]
    assert "Without a theme" not in files["md"].getvalue().decode()


def test_memos_on_codes_and_documents_go_out_as_notes_that_these_refer_to(store, tmp_path):
    bring_in(store, read_refi(PROJECT), "waiting")
    ids = {(code.level, code.label): code.id for code in Codebook(store.code_events("waiting")).values()}
    subjects = {
        "on a code": {"code": ids["code", "Kindness"]},
        "on a theme\nof two lines": {"code": ids["theme", "Staff"]},
        "on a document": {"document": "Interview 1.txt"},
    }
    whole = {"study": "waiting", "source": "Interview 1.txt", "text": "and more of it"}
    store.record([Segment(id=uuid5(UUID(int=3), "1"), **whole)])
    for n, (text, about) in enumerate(subjects.items()):
        add_memo(store.database, "waiting", Memo(UUID(int=n), "lea", text, AT, **about))
    path = tmp_path / "out.qdpx"
    path.write_bytes(study_project(store, "waiting", AT)[0])
    project = read_project(path).project
    texts = {note.guid: note.plain_text_content for note in project.notes.note}
    (user,) = {note.creating_user for note in project.notes.note}
    assert {each.guid: each.name for each in project.users.user}[user] == "lea"
    (staff,) = (code for code in project.code_book.codes.code if code.name == "Staff")
    (kindness,) = (code for code in staff.code if code.name == "Kindness")
    (interview,) = (source for source in project.sources.text_source if source.name == "Interview 1.txt")
    referred = [[texts[ref.target_guid] for ref in each.note_ref] for each in (kindness, staff, interview)]
    assert referred == [[text] for text in subjects]
    assert "1 memos on documents" not in str(read_refi(path).sheet.notes)


def test_a_codebook_of_qualcoders_comes_in_and_goes_out(store, tmp_path):
    act = Act("lea", AT, "imported", "imported")
    store.record(list(import_codebook(codebook_entries(read_refi(BOOK).nodes), [], "book", act).events))
    assert ("code", "Waiting time", "Access", "Time in the waiting room", "#FF8800") in tree(store, "book")
    path = tmp_path / "out.qdc"
    path.write_bytes(codebook_xml(Codebook(store.code_events("book")), "book"))
    store.record(list(import_codebook(codebook_entries(read_refi(path).nodes), [], "again", act).events))
    assert tree(store, "again") == tree(store, "book")
    again = import_codebook(codebook_entries(read_refi(path).nodes), store.code_events("book"), "book", act)
    assert again.events == []


def test_what_is_taken_from_a_project_and_what_is_not_is_said(tmp_path):
    assert read_refi(PROJECT).sheet.notes == []
    xml = rebuilt(PROJECT, lambda xml: xml.replace("</Project>", CASES + "</Project>"))
    path = tmp_path / "cases.qdpx"
    path.write_bytes(xml)
    assert read_refi(path).sheet.notes == ["not taken from the project: 1 cases"]


CASES = '<Cases><Case guid="11111111-1111-4111-8111-111111111111" name="P1"/></Cases>'


def rebuilt(path: Path, change) -> bytes:
    """A project with another XML."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(buffer, "w") as new:
        for entry in old.infolist():
            raw = old.read(entry)
            xml = entry.filename.endswith(".qde")
            new.writestr(entry.filename, change(raw.decode()).encode() if xml else raw)
    return buffer.getvalue()


def test_a_source_that_is_coded_as_a_whole_is_a_passage(tmp_path):
    path = tmp_path / "whole.qdpx"
    path.write_bytes(rebuilt(PROJECT, lambda xml: xml.replace("</TextSource>", f"{WHOLE}</TextSource>", 1)))
    before = {row.text for row in read_refi(PROJECT).sheet.rows}
    (whole,) = [row for row in read_refi(path, "cleo").sheet.rows if row.text not in before]
    assert (whole.text[:9], whole.start, whole.annotator, whole.codes) == ("I: How wa", 0, "anna", ("Staff",))


WHOLE = (
    '<Coding guid="22222222-2222-4222-8222-222222222222"><CodeRef targetGUID="652872cf-d236-4da4-9b47-29efb5d16069"/>'
    "</Coding>"
)


def test_passages_that_end_beyond_their_text_are_said(tmp_path):
    path = tmp_path / "beyond.qdpx"
    path.write_bytes(rebuilt(PROJECT, lambda xml: re.sub(r'endPosition="\d+"', 'endPosition="99999"', xml, count=1)))
    assert not any("beyond its text" in note for note in read_refi(PROJECT).sheet.notes)
    assert any("end beyond its text (1; the last at 99999 of" in n for n in read_refi(path).sheet.notes)


def test_codings_of_nobody_are_the_named_coders_or_left_out(tmp_path):
    path = tmp_path / "nobody.qdpx"
    path.write_bytes(rebuilt(PROJECT, lambda xml: xml.replace('name="ben"', 'name=""')))
    assert {row.annotator for row in read_refi(path).sheet.rows} == {"anna"}
    assert "nobody is named as its coder" in read_refi(path).sheet.rejected[0].reason
    assert {row.annotator for row in read_refi(path, "cleo").sheet.rows} == {"anna", "cleo"}


# What must not be read


ENTITY = '<!DOCTYPE Project [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>\n<Project'


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda xml: xml.replace("<Project", ENTITY, 1), "not the XML that REFI-QDA has"),
        (lambda xml: xml[:400], "not the XML that REFI-QDA has"),
        (lambda xml: "<html/>", "not the XML that REFI-QDA has"),
    ],
)
def test_xml_that_is_not_the_standards_is_refused_in_one_line(tmp_path, change, said):
    path = tmp_path / "bad.qdpx"
    path.write_bytes(rebuilt(PROJECT, change))
    with pytest.raises(InputError, match=said) as refused:
        read_refi(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04broken"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "bad.qdpx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a \.qdpx file is expected"):
        read_refi(path)


def test_an_archive_without_a_project_is_refused(tmp_path):
    path = tmp_path / "empty.qdpx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("sources/a.txt", "text")
    with pytest.raises(InputError, match=r"no \.qde file"):
        read_refi(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_refi(tmp_path / "nowhere.qdc")


# Whatever people write

legal = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff")
labels = st.text(legal, min_size=1, max_size=30).filter(lambda text: any(c.isalnum() for c in text))
texts = st.text(st.one_of(legal, st.sampled_from("\n\t\r")), min_size=1, max_size=60).filter(str.strip)


def created(study: str, names: Sequence[str]) -> list[CodeEvent]:
    events = []
    for name in names:
        code = code_id(study, name)
        event = {"id": code_event_id(code, "created", "test"), "code_id": code, "study": study, "kind": "created"}
        events.append(CodeEvent.model_validate({**event, "label": name, "author": "ana", "at": AT}))
    return events


@given(
    names=st.lists(labels, min_size=1, max_size=4),
    passages=st.lists(st.tuples(texts, labels, st.one_of(st.just(""), texts)), min_size=1, max_size=5),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_any_labels_coders_texts_and_memos_come_back_as_they_were(tmp_path_factory, names, passages, data):
    book = Codebook(created("any", names))
    codes = sorted(book)
    coded = [
        CodedPassage(uuid5(UUID(int=0), str(n)), f"source {n % 2}", text, coder.strip(),
                     data.draw(st.lists(st.sampled_from(codes), min_size=1, unique=True)), AT, memo.strip())
        for n, (text, coder, memo) in enumerate(passages)
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("any") / "any.qdpx"
    path.write_bytes(project_archive(book, "any", coded, AT))
    content = read_refi(path)
    found = {(row.text, row.annotator, row.codes, row.memo, row.key) for row in content.sheet.rows}

    def read_back(label: str) -> str:
        return " ".join("".join(c if c.isprintable() else " " for c in label).split())

    assert {key for *_, key in found} == {str(each.segment) for each in coded}
    for each in coded:
        row = next(row for row in content.sheet.rows if row.key == str(each.segment))
        assert (row.text, row.annotator) == (each.text, " ".join(each.coder.split()))
        assert {label.casefold() for label in row.codes} == {
            read_back(book[code].label).casefold() for code in each.codes
        }
        assert row.memo.split() == each.memo.split()
