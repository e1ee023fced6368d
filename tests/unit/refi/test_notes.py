"""What other programs note of codes, documents and passages: memos here, and notes again when a project goes out."""

import zipfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.annotation.import_labels import Importing
from infra.annotation.memos import change_memo, keep_memos, study_memos
from infra.cli import cli
from infra.erasure.rows import erase_segments
from infra.factory.stores import build_store
from infra.files.refi_archive import read_project
from infra.refi.reading import read_refi
from infra.refi.rest import with_the_rest
from infra.refi.study_import import plan_refi
from infra.refi.study_project import study_project
from infra.settings import load_settings
from infra.storage.store import open_store
from models.codebook.codebook import Codebook
from models.text.labels import LONGEST_MEMO
from schemas import Annotation, Segment
from schemas.ids import segment_id
from tests.integration.stack import FAKES
from tests.unit.refi.test_refi import AT, LONG, PROJECT

ANNA, BEN = "25695e33-ef2c-4c95-9d90-d2c21975cd14", "50377fc9-3a93-45e4-ac5a-30e7ffd056f1"
WAITING, ACCESS = "52abdc72-7a80-434b-95a1-58682bf4b7fe", "cc0bf32e-9b69-439d-873a-71ac0ac88c40"
CODED, KIND = "c897dc61-8114-428f-b1ca-a08d6e50abc7", "6a454c42-a844-4955-b4c1-05e650804e53"
STUDY, INTERVIEW, HOUSING = "waiting", "Interview 1.txt", "Housing & rent.txt"


def guid(n: int) -> str:
    return f"00000000-0000-4000-8000-{n:012d}"


def note(n: int, inner: str, who: str = ANNA, name: str = "", more: str = "") -> str:
    named = f' name="{name}"' if name else ""
    made = f'creatingUser="{who}" creationDateTime="2026-03-03T10:0{n % 10}:00Z"'
    return f'<Note guid="{guid(n)}"{named} {made}{more}>{inner}</Note>'


def worded(words: str) -> str:
    return f"<PlainTextContent>{words}</PlainTextContent>"


def ref(n: int) -> str:
    return f'<NoteRef targetGUID="{guid(n)}" />'


NOTES = "".join(
    [
        note(1, worded("Only what happens before the door.")),
        note(2, worded("Both visits were short."), BEN, "Visits"),
        note(3, "", name="In a file", more=f' plainTextPath="internal://{guid(3)}.txt"'),
        note(
            4,
            worded("quoted by QualCoder")
            + f'<PlainTextSelection guid="{guid(40)}" startPosition="0" endPosition="11" />',
        ),
        note(5, worded("why two hours?")),
        note(6, worded("Zoe is the cleaner"), BEN),
        note(7, worded("A linked note")),
        note(8, worded("a diary about nothing")),
        note(9, worded("All of access")),
    ]
)
LINKS = f'<Links><Link guid="{guid(90)}" direction="OneWay" originGUID="{guid(7)}" targetGUID="{WAITING}" /></Links>'


@pytest.fixture
def original(tmp_path) -> Path:
    """QualCoder's project with notes as several programs write them."""
    path = tmp_path / "noted.qdpx"
    with zipfile.ZipFile(PROJECT) as before, zipfile.ZipFile(path, "w") as archive:
        for entry in before.infolist():
            content = before.read(entry)
            if entry.filename.endswith(".qde"):
                content = _noted(content.decode()).encode()
            archive.writestr(entry, content)
        archive.writestr(f"sources/{guid(3)}.txt", "Read from a file.\r\nIn two lines.")
    return path


def _noted(xml: str) -> str:
    uncoded = (
        '<PlainTextSelection guid="{}" startPosition="24" endPosition="33" creatingUser="{}">{}</PlainTextSelection>'
    )
    described = uncoded.format(guid(41), BEN, "<Description>as MAXQDA has it</Description>")
    for before, after in (
        (
            "<Description>Time in the waiting room</Description>\n",
            f"<Description>Time in the waiting room</Description>{ref(1)}",
        ),
        (
            "<Description>Everything before the visit</Description>\n",
            f"<Description>Everything before the visit</Description>{ref(9)}",
        ),
        ("<Description>first visit</Description>\n", "<Description>first visit</Description>\n"),
        ("</TextSource>\n<TextSource", f"{ref(2)}{ref(4)}</TextSource>\n<TextSource"),
        ("</TextSource>\n</Sources>", f"{described}{ref(3)}</TextSource>\n</Sources>"),
        ("<Description>the longest so far</Description>\n", "<Description>the longest so far</Description>"),
        ("</Sources>\n", f"</Sources><Notes>{NOTES}</Notes>{LINKS}"),
    ):
        assert xml.count(before) == 1, before
        xml = xml.replace(before, after)
    first = xml.index("</Coding>", xml.index(CODED)) + len("</Coding>")
    xml = xml[:first] + ref(5) + xml[first:]
    coding = xml.index("</Coding>", xml.index(KIND))
    return xml[:coding] + ref(6) + xml[coding:]


@pytest.fixture
def store(tmp_path):
    with closing(open_store(f"sqlite:///{tmp_path / 'study.db'}")) as opened:
        yield opened


def bring_in(store, path: Path, study: str = STUDY):
    """What the import on the page does with a project."""
    planned = plan_refi(store, read_refi(path), path.name, Importing(study, "lea", AT, teach_unmatched=True))
    planned.write(store.record)
    keep_memos(store.database, study, planned.memos)
    return planned


def memos(store, study: str = STUDY):
    """Who noted what of what, and when."""
    book = Codebook(store.code_events(study))
    return {
        (book[m.code].label if m.code else m.document, m.author, m.text, m.at)
        for m in study_memos(store.database, study)
    }


def on_passages(store, study: str = STUDY):
    return {(word.text, word.annotator, word.memo) for word in store.history(Annotation, study) if word.memo}


def at(minute: int) -> datetime:
    return datetime(2026, 3, 3, 10, minute, tzinfo=UTC)


def test_notes_become_memos_on_codes_themes_and_documents(store, original):
    planned = bring_in(store, original)
    begun = datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert memos(store) == {
        ("Waiting time", "anna", "Only what happens before the door.", at(1)),
        ("Waiting time", "anna", "A linked note", at(7)),
        ("Access", "anna", "All of access", at(9)),
        (INTERVIEW, "ben", "Visits\nBoth visits were short.", at(2)),
        (INTERVIEW, "anna", "first visit", begun),
        (INTERVIEW, "anna", "“I: How was”\nquoted by QualCoder", at(4)),
        (HOUSING, "anna", "In a file\nRead from a file.\nIn two lines.", at(3)),
        (HOUSING, "ben", "“Heating c”\nas MAXQDA has it", AT),
    }
    assert "memos on codes and documents: 8 new" in planned.notes
    assert any("1 notes about nothing of these" in each for each in planned.notes)


def test_notes_on_passages_are_memos_of_who_coded_them_and_definitions_stay_definitions(store, original):
    bring_in(store, original)
    assert (LONG, "anna", "the longest so far\nwhy two hours?") in on_passages(store)
    assert ("Zoë even brought tea", "anna", "ben: Zoe is the cleaner") in on_passages(store)
    book = Codebook(store.code_events(STUDY))
    assert book.named("Waiting time", STUDY).definition == "Time in the waiting room"


def test_the_same_project_again_brings_nothing_and_a_note_written_anew_takes_the_place_of_the_old_one(store, original):
    bring_in(store, original)
    before = memos(store)
    again = bring_in(store, original)
    assert (again.memos, memos(store)) == ([], before)
    later = original.with_name("later.qdpx")
    with zipfile.ZipFile(original) as old, zipfile.ZipFile(later, "w") as archive:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename.endswith(".qde"):
                head = f'guid="{guid(1)}"'
                content = (
                    content.decode()
                    .replace("before the door.", "before the gate.")
                    .replace(head, f'{head} modifiedDateTime="2026-03-04T10:00:00Z"')
                    .encode()
                )
            archive.writestr(entry, content)
    bring_in(store, later)
    texts = {text for _, _, text, _ in memos(store)}
    assert "Only what happens before the gate." in texts
    assert "Only what happens before the door." not in texts
    bring_in(store, original)
    assert "Only what happens before the gate." in {text for _, _, text, _ in memos(store)}


def test_what_somebody_changed_here_stays(store, original):
    bring_in(store, original)
    (memo,) = [each for each in study_memos(store.database, STUDY) if "before the door" in each.text]
    change_memo(store.database, STUDY, memo.id, "anna", "mine now", AT)
    bring_in(store, original)
    texts = {text for _, _, text, _ in memos(store)}
    assert "mine now" in texts
    assert "Only what happens before the door." not in texts


@pytest.mark.parametrize("with_original", [False, True])
def test_they_go_out_as_notes_and_come_into_another_study_the_same(store, original, tmp_path, with_original):
    bring_in(store, original)
    archive, _ = study_project(store, STUDY, AT)
    if with_original:
        archive, _ = with_the_rest(archive, original)
    path = tmp_path / "again.qdpx"
    path.write_bytes(archive)
    bring_in(store, path, "another")
    assert memos(store, "another") == memos(store)
    assert on_passages(store, "another") == on_passages(store)
    back = bring_in(store, path)
    assert back.memos == []


def test_with_the_original_every_note_is_in_the_project_once(store, original, tmp_path):
    bring_in(store, original)
    path = tmp_path / "again.qdpx"
    path.write_bytes(with_the_rest(study_project(store, STUDY, AT)[0], original)[0])
    project = read_project(path).project
    texts = [note.plain_text_content or note.plain_text_path for note in project.notes.note]
    assert len(texts) == len(set(texts)) == 11
    refs = [ref.target_guid for source in project.sources.text_source for ref in source.note_ref]
    assert len(refs) == len(set(refs)) == 5


def test_a_long_note_is_kept_whole_in_several_memos(store, original):
    words = "\n".join(f"line {n} of a long memo" for n in range(600))
    long = original.with_name("long.qdpx")
    with zipfile.ZipFile(original) as old, zipfile.ZipFile(long, "w") as archive:
        for entry in old.infolist():
            content = old.read(entry)
            changed = (
                content.decode().replace("A linked note", words).encode()
                if entry.filename.endswith(".qde")
                else content
            )
            archive.writestr(entry, changed)
    bring_in(store, long)
    parts = [memo.text for memo in study_memos(store.database, STUDY) if "of a long memo" in memo.text]
    assert all(len(part) <= LONGEST_MEMO for part in parts)
    assert sorted("\n".join(parts).split("\n")) == sorted(words.split("\n"))


def test_a_memo_on_a_document_goes_to_the_one_that_the_study_has(store, original):
    read = read_refi(original)
    book = plan_refi(store, read, "p.qdpx", Importing(STUDY, "lea", AT))
    assert any("left out: the study does not have their code or document" in each for each in book.notes)
    own = Segment(id=segment_id(STUDY, INTERVIEW, "1"), study=STUDY, text="I sat there", source="Interview  1.txt")
    store.record([own])
    planned = plan_refi(store, read, "p.qdpx", Importing(STUDY, "lea", AT))
    assert {memo.document for memo in planned.memos if memo.document} == {"Interview  1.txt"}


def test_commands_bring_notes_in_and_say_so(original, tmp_path, monkeypatch):
    monkeypatch.setenv("QUALSTREAM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("QUALSTREAM_PROFILE", str(FAKES))

    def run(*command: str) -> str:
        done = CliRunner().invoke(cli, [*command, str(original), "--study", STUDY])
        assert done.exit_code == 0, done.output
        return done.stderr

    assert "memos on codes and documents: 5 new; 3 left out" in run("ingest")
    assert "memos on codes and documents: 3 new; 5 there already" in run("codebook", "import")
    assert "memos on codes and documents: 0 new; 8 there already" in run("teach")
    with closing(build_store(load_settings(data_dir=tmp_path / "data"))) as kept:
        assert len(study_memos(kept.database, STUDY)) == 8
        assert ("Zoë even brought tea", "anna", "ben: Zoe is the cleaner") in on_passages(kept)


def test_erasing_another_segment_leaves_notes_on_documents_that_labels_alone_name(store, original):
    bring_in(store, original)
    other = Segment(id=segment_id(STUDY, "mail", "1"), study=STUDY, text="something else", source="mail")
    store.record([other])
    before = memos(store)
    erase_segments(store.database, {other.id}, AT)
    assert memos(store) == before
    erase_segments(store.database, {word.segment_id for word in store.history(Annotation, STUDY)}, AT)
    assert {about for about, *_ in memos(store)} == {"Waiting time", "Access"}
