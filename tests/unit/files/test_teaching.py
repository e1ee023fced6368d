"""Files of texts that people coded: what is read from them, what they come to, and where it is kept."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.brokers import data_folder_lock, publish_or_keep
from infra.cli.codebook import teach
from infra.codebook.seed_codebook import history
from infra.factory.stores import build_store
from infra.files.coded_texts import read_human_coded
from infra.settings import load_settings
from models.codebook.codebook import Codebook
from models.errors import InputError, SettingError
from models.fakes import HashEmbedder
from models.moderation.precedents import Precedents
from models.text.labels import LONGEST_LABEL
from schemas import Annotation, CodeEvent, Record
from schemas.ids import code_id, segment_id

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
CSV = "id,text,codes\n1,login is slow,slow login; Speed\n2,too many ads,ads|speed\n3,nothing to say,\n"


def file(folder: Path, content: str, name: str = "coded.csv") -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def read(folder: Path, content: str, name: str = "coded.csv", **options: str | None) -> list[tuple[str, tuple]]:
    found = read_human_coded(file(folder, content, name), "reviews", **options)
    return [(one.segment.text, one.codes) for one in found]


def jsonl(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


# Reading


def test_codes_of_a_table_are_parted_and_texts_without_any_are_left_out(tmp_path):
    assert read(tmp_path, CSV) == [("login is slow", ("slow login", "Speed")), ("too many ads", ("ads", "speed"))]


def test_codes_of_a_json_line_may_be_a_list_a_text_or_a_number(tmp_path):
    rows = jsonl(
        {"text": "login is slow", "labels": ["slow  login", " ", None, "Slow Login", "a;b"]},
        {"text": "too many ads", "labels": "ads; "},
        {"text": "ten of ten", "labels": 10},
        {"text": "no idea", "labels": []},
        {"text": "nor here", "labels": None},
    )
    assert read(tmp_path, rows, "coded.jsonl") == [
        ("login is slow", ("slow login", "a;b")),
        ("too many ads", ("ads",)),
        ("ten of ten", ("10",)),
    ]


def test_rows_of_one_id_are_one_text_with_all_their_codes(tmp_path):
    rows = (
        "id,text,code\n1,login is slow,slow login\n2,too many ads,ads\n1,login is slow,Speed\n1,login is slow,speed\n"
    )
    assert read(tmp_path, rows) == [("login is slow", ("slow login", "Speed")), ("too many ads", ("ads",))]


def test_columns_are_guessed_by_their_usual_names_or_named(tmp_path):
    assert read(tmp_path, "Review,Theme\nlogin is slow,speed\n") == [("login is slow", ("speed",))]
    rows = "text,code,second opinion\nlogin is slow,a,b\n"
    assert read(tmp_path, rows, codes_column="Second Opinion") == [("login is slow", ("b",))]
    assert read(tmp_path, rows) == [("login is slow", ("a",))]


@pytest.mark.parametrize(
    ("content", "options", "found"),
    [
        ("text,stars\nlogin is slow,3\n", {}, "segment 1: no column with codes; found stars, expected one of codes, "),
        ("text\nlogin is slow\n", {}, "found only the text, expected one of codes, code, "),
        ("text,codes\nlogin is slow,a\n", {"codes_column": "kod"}, "expected 'kod'; name it with --codes-column"),
        ("text,codes\nlogin,a\nlogin,a,b,c\n", {}, "line 3: "),
        ("text,codes\nlogin,a\n,b\n", {}, "line 3: 'text' is empty; text is expected; correct the row or take it out"),
        ("text,codes\nlogin,\n", {}, "holds no coded text; expected a text and its codes in each row"),
        ("text,codes\nlogin,ok\nlogout,...\n", {}, "segment 2: '...' is no code; at most 120 characters with a letter"),
        ("stars,codes\n3,a\n", {}, "no column of text among 'stars', 'codes'; name it with --text-column"),
        ("", {}, "empty; rows of text are expected"),
    ],
)
def test_a_file_that_is_not_as_it_must_be_is_refused_with_its_place(tmp_path, content, options, found):
    with pytest.raises(InputError, match=r"coded\.csv") as refused:
        read(tmp_path, content, **options)
    assert found in str(refused.value)


@pytest.mark.parametrize("code", [{"code": "a"}, ["a"], "x" * (LONGEST_LABEL + 1)])
def test_what_can_be_no_code_is_refused(tmp_path, code):
    with pytest.raises(InputError, match=r"segment 1: .* is no code; at most 120 characters"):
        read(tmp_path, jsonl({"text": "login is slow", "codes": [code]}), "coded.jsonl")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_human_coded(tmp_path / "nowhere.csv", "reviews")


# What it comes to


def records(folder: Path, content: str = CSV, coder: str = "ana", at: datetime = AT) -> list[Record]:
    return list(history(read_human_coded(file(folder, content), "reviews"), coder, at))


def test_each_code_is_created_once_by_its_author_and_each_text_is_annotated(tmp_path):
    made = records(tmp_path)
    events = [one for one in made if isinstance(one, CodeEvent)]
    assert [(one.label, one.kind, one.author, one.at) for one in events] == [
        (label, "created", "ana", AT) for label in ("slow login", "Speed", "ads")
    ]
    assert [one.code_id for one in events] == [code_id("reviews", one.label) for one in events]
    first, second = (one for one in made if isinstance(one, Annotation))
    assert (first.labels, first.text, first.annotator) == (["slow login", "Speed"], "login is slow", "ana")
    assert first.segment_id == segment_id("reviews", "coded.csv", "1")
    assert second.labels == ["ads", "Speed"]
    assert second.code_ids == [code_id("reviews", label) for label in ("ads", "speed")]


def test_the_longest_code_fits_every_record_and_its_precedent(tmp_path):
    long = "x" * LONGEST_LABEL
    made = records(tmp_path, f"text,codes\nlogin is slow,{long}\n")
    precedents = Precedents(HashEmbedder())
    precedents.update_annotations(one for one in made if isinstance(one, Annotation))
    (found,) = precedents.nearest("reviews", HashEmbedder().embed(["login"]), 5)[0]
    assert found.codes == (long,)


def test_when_something_was_said_is_not_when_it_was_coded(tmp_path):
    made = records(tmp_path, "text,codes,date\nlogin is slow,speed,2020-01-01\n")
    assert [one.decided_at for one in made if isinstance(one, Annotation)] == [AT]


def test_nothing_comes_of_nothing():
    assert list(history([], "ana", AT)) == []


# Where it is kept


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of its own, without a broker."""
    monkeypatch.setenv("QUALSTREAM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("QUALSTREAM_KAFKA_URL", raising=False)
    return tmp_path / "data"


def run(*args: object) -> str:
    done = CliRunner().invoke(teach, [str(one) for one in args], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    return done.stderr


def kept(study: str = "reviews") -> tuple[list[CodeEvent], list[Annotation]]:
    store = build_store(load_settings())
    events, said = list(store.history(CodeEvent, study)), list(store.history(Annotation, study))
    store.close()
    return events, said


def test_without_a_broker_it_is_kept_for_the_next_start_and_teaching_twice_changes_nothing(data, tmp_path):
    path = file(tmp_path, CSV)
    said = run(path, "--study", "reviews", "--coder", " Ana  B. ")
    assert said == (
        "2 texts with 3 codes of Ana B. taught to study 'reviews', kept; the next `qualstream up` publishes it\n"
    )
    first = kept()
    assert [len(some) for some in first] == [3, 2]
    assert {one.author for one in first[0]} == {one.annotator for one in first[1]} == {"Ana B."}
    run(path, "--study", "reviews", "--coder", "Ana B.")
    assert kept() == first
    assert kept("other") == ([], [])


def test_a_corrected_file_takes_the_place_of_what_was_taught_before(data, tmp_path):
    path = file(tmp_path, "id,text,codes,date\n1,login is slow,speed,2020-01-01\n")
    run(path, "--study", "reviews", "--coder", "ana")
    path.write_text(path.read_text().replace("speed", "slow login"))
    later = datetime.now(UTC) + timedelta(minutes=1)
    os.utime(path, (later.timestamp(), later.timestamp()))
    run(path, "--study", "reviews", "--coder", "ana")
    events, said = kept()
    precedents = Precedents(HashEmbedder())
    precedents.update_annotations(said)
    (found,) = precedents.nearest("reviews", HashEmbedder().embed(["login"]), 5)[0]
    assert found.codes == ("slow login",)
    assert {one.label for one in Codebook(events).values()} == {"speed", "slow login"}


def test_codes_that_members_may_not_write_are_counted(data, tmp_path):
    path = file(tmp_path, "text,codes\nlogin is slow,takes far too long to log in\nads,ads\n")
    assert run(path, "--coder", "ana").endswith("; 1 of the codes are none that members may write\n")


@pytest.mark.parametrize("name", [" ", "x" * 121])
def test_a_coder_without_a_name_that_fits_is_refused(data, tmp_path, name):
    with pytest.raises(InputError, match="1 to 120 characters are expected in --coder"):
        run(file(tmp_path, CSV), "--coder", name)


def test_while_another_process_holds_the_data_folder_without_a_broker_nothing_is_written(data, tmp_path):
    data.mkdir()
    settings = load_settings()
    with data_folder_lock(settings), pytest.raises(SettingError, match="is in use by process"):
        publish_or_keep(settings, records(tmp_path))
    assert kept() == ([], [])
