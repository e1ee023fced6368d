"""What a project says that a study has no place for is in what is written again, under the ids that hold there."""

import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.cli import cli
from infra.files.refi_archive import read_project
from infra.refi.reading import read_refi
from infra.refi.rest import with_the_rest
from infra.refi.study_project import study_project
from infra.storage.store import open_store
from tests.unit.refi.test_refi import AT, PROJECT, bring_in, codings

WAITING, STAFF = "52abdc72-7a80-434b-95a1-58682bf4b7fe", "652872cf-d236-4da4-9b47-29efb5d16069"
INTERVIEW, CODED = "7d89ee95-6c8d-497a-ae04-7522c70a9b42", "c76a55c1-414d-4e90-ab46-eb9ea189d0b8"
ANNA = "25695e33-ef2c-4c95-9d90-d2c21975cd14"


def guid(n: int) -> str:
    return f"00000000-0000-4000-8000-{n:012d}"


VARIABLES = f'''<Variables><Variable guid="{guid(1)}" name="age" typeOfVariable="Integer" /></Variables>
<Cases><Case guid="{guid(2)}" name="Mrs Berg"><Description>a case</Description><CodeRef targetGUID="{WAITING}" />
<VariableValue><VariableRef targetGUID="{guid(1)}" /><IntegerValue>71</IntegerValue></VariableValue>
<SourceRef targetGUID="{INTERVIEW}" /><SelectionRef targetGUID="{CODED}" /></Case></Cases>
'''
SOURCES = f'''<TextSource guid="{guid(3)}" name="Uncoded.txt"><PlainTextContent>Nobody coded this.</PlainTextContent>
</TextSource><PictureSource guid="{guid(4)}" name="room.png" path="internal://room.png">
<PictureSelection guid="{guid(5)}" firstX="1" firstY="1" secondX="5" secondY="5">
<Coding guid="{guid(6)}" creatingUser="{ANNA}"><CodeRef targetGUID="{STAFF}" /></Coding>
</PictureSelection></PictureSource></Sources>
<Notes><Note guid="{guid(7)}" name="diary" creatingUser="{ANNA}">
<PlainTextContent>A day.</PlainTextContent></Note></Notes>
<Links><Link guid="{guid(8)}" name="because" direction="OneWay" originGUID="{CODED}" targetGUID="{WAITING}" /></Links>
<Sets><Set guid="{guid(9)}" name="both"><MemberCode targetGUID="{WAITING}" /><MemberSource targetGUID="{INTERVIEW}" />
<MemberNote targetGUID="{guid(7)}" /></Set></Sets>'''


@pytest.fixture
def original(tmp_path) -> Path:
    """QualCoder's project with all that a study has no place for."""
    path = tmp_path / "original.qdpx"
    with zipfile.ZipFile(PROJECT) as before, zipfile.ZipFile(path, "w") as archive:
        for entry in before.infolist():
            content = before.read(entry)
            if entry.filename.endswith(".qde"):
                xml = content.decode().replace("<Sources>", f"{VARIABLES}<Sources>").replace("</Sources>", SOURCES)
                content = xml.encode()
            archive.writestr(entry, content)
        archive.writestr("sources/room.png", b"picture")
    return path


@pytest.fixture
def again(original, tmp_path):
    """The same project, taken into a study and written again."""
    with closing(open_store(f"sqlite:///{tmp_path / 'study.db'}")) as store:
        bring_in(store, read_refi(original), "waiting")
        archive, says = with_the_rest(study_project(store, "waiting", AT)[0], original)
    path = tmp_path / "again.qdpx"
    path.write_bytes(archive)
    return path, says


def codes_of(book) -> dict[str, str]:
    listed = list(book.code)
    return {code.name: code.guid for code in listed} | {k: v for code in listed for k, v in codes_of(code).items()}


def test_what_a_study_has_no_place_for_is_written_again(again):
    path, says = again
    project = read_project(path).project
    assert says == (
        "kept from the original: 1 variables, 1 cases, 1 notes, 1 links, 1 sets, 1 pictures, recordings and films"
    )
    (case,) = project.cases.case
    assert (case.name, case.description, case.variable_value[0].integer_value) == ("Mrs Berg", "a case", 71)
    assert project.description == "A study of waiting"
    assert {source.name for source in project.sources.text_source} == {
        "Interview 1.txt",
        "Housing & rent.txt",
        "Uncoded.txt",
    }
    assert next(s for s in project.sources.text_source if s.name == "Interview 1.txt").description == "first visit"
    with zipfile.ZipFile(path) as archive:
        assert archive.read("sources/room.png") == b"picture"


def test_what_is_kept_names_codes_coders_texts_and_passages_by_their_ids_there(again):
    project = read_project(again[0]).project
    codes = codes_of(project.code_book.codes)
    users = {user.name: user.guid for user in project.users.user}
    interview = next(source for source in project.sources.text_source if source.name == "Interview 1.txt")
    passages = {selection.guid for selection in interview.plain_text_selection}
    (case,), (link,), (both,) = project.cases.case, project.links.link, project.sets.set
    (picture,) = project.sources.picture_source
    coding = picture.picture_selection[0].coding[0]
    assert case.code_ref[0].target_guid == link.target_guid == both.member_code[0].target_guid == codes["Waiting time"]
    assert case.source_ref[0].target_guid == both.member_source[0].target_guid == interview.guid
    assert case.selection_ref[0].target_guid == link.origin_guid
    assert link.origin_guid in passages
    assert (coding.code_ref.target_guid, coding.creating_user) == (codes["Staff"], users["anna"])
    assert project.notes.note[0].creating_user == users["anna"]


def test_the_passages_are_the_same_in_a_further_study(again, original, tmp_path):
    with closing(open_store(f"sqlite:///{tmp_path / 'other.db'}")) as store:
        bring_in(store, read_refi(original), "before")
        bring_in(store, read_refi(again[0]), "after")
        assert codings(store, "after") == codings(store, "before")


def test_written_again_and_again_it_stays_what_it_is(again, tmp_path):
    with closing(open_store(f"sqlite:///{tmp_path / 'other.db'}")) as store:
        bring_in(store, read_refi(again[0]), "waiting")
        archive, says = with_the_rest(study_project(store, "waiting", AT)[0], again[0])
    assert says == again[1]
    path = tmp_path / "third.qdpx"
    path.write_bytes(archive)
    assert len(read_project(path).project.sources.text_source) == 3


def test_the_original_is_only_asked_for_with_a_project():
    refused = CliRunner().invoke(cli, ["export", "--study", "s", "--base", str(PROJECT)])
    assert "--base goes with --format qdpx" in str(refused.exception)
