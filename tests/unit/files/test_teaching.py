"""Files of texts that people coded: what is read from them, what they come to, and where it is kept."""

import json
import os
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZipFile

import pytest
from click.testing import CliRunner

from infra.annotation.import_labels import Importing, plan
from infra.brokers import data_folder_lock, publish_or_keep
from infra.cli.codebook import teach
from infra.cli.export import export
from infra.factory.stores import build_store
from infra.files.coded_texts import read_human_coded
from infra.files.labels.label_columns import SheetColumns
from infra.files.labels.label_sheet import read_label_file
from infra.settings import load_settings
from infra.storage.database import open_database
from models.annotation.human_decision import LatestAnnotations
from models.codebook.codebook import Codebook
from models.errors import InputError, SettingError
from models.fakes import HashEmbedder
from models.moderation.precedents import Precedents
from models.text.labels import LONGEST_LABEL
from schemas import Annotation, CodeEvent, Record
from schemas.feedback import LONGEST_TEXT
from schemas.ids import code_event_id, code_id, segment_id

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
        ("text,stars\nlogin is slow,3\n", {}, "line 1: no column with codes among text, stars; one of codes, "),
        ("text\nlogin is slow\n", {}, "no column with codes among text; one of codes, code, "),
        ("text,codes\nlogin is slow,a\n", {"codes_column": "kod"}, "'kod' is expected; name it with --codes-column"),
        ("text,codes\nlogin,\n", {}, "holds no coded text; expected a text and its codes in each row"),
        ("text,codes\nlogin,...\n", {}, "(line 2: 'codes': '...' is no code; at most 120 characters with a letter"),
        ("stars,codes\n3,a\n", {}, "neither a column with text nor one with ids among stars, codes"),
        ("", {}, "empty; rows of text or ids with codes are expected"),
    ],
)
def test_a_file_that_is_not_as_it_must_be_is_refused_with_its_place(tmp_path, content, options, found):
    with pytest.raises(InputError, match=r"coded\.csv") as refused:
        read(tmp_path, content, **options)
    assert found in str(refused.value)


@pytest.mark.parametrize("code", [{"code": "a"}, ["a"], True, "x" * (LONGEST_LABEL + 1)])
def test_what_can_be_no_code_is_refused(tmp_path, code):
    with pytest.raises(InputError, match=r"line 1: 'codes': .* is no code; at most 120 characters"):
        read(tmp_path, jsonl({"text": "login is slow", "codes": [code]}), "coded.jsonl")


def test_a_text_that_no_segment_can_have_is_left_out(tmp_path):
    rows = [{"text": "x" * (LONGEST_TEXT + 1), "codes": "long"}, {"text": "y", "codes": "short"}]
    assert read(tmp_path, jsonl(*rows), "coded.jsonl") == [("y", ("short",))]


def test_a_row_that_cannot_be_taken_does_not_stop_the_others(tmp_path):
    rows = "id,text,codes\n1,login,slow\n2,,\n3,,ads\n4,menu,...\n5,logout,fast\n6,login,\n"
    assert read(tmp_path, rows) == [("login", ("slow",)), ("logout", ("fast",))]


def test_equal_texts_with_different_codes_are_one_text_and_with_the_same_code_two(tmp_path):
    rows = "text,code\nok,good\nok,short\nok,good\n"
    assert read(tmp_path, rows) == [("ok", ("good", "short")), ("ok", ("good",))]


@pytest.mark.parametrize(
    ("cells", "codes"),
    [
        (["rent, heating", "heating", "deposit, rent"], [("rent", "heating"), ("heating",), ("deposit", "rent")]),
        (
            ["Delivery, late", "Delivery, wrong door", "price"],
            [("Delivery, late",), ("Delivery, wrong door",), ("price",)],
        ),
        (["rent#heating", "heating"], [("rent", "heating"), ("heating",)]),
        (["C#", "C# tools"], [("C#",), ("C# tools",)]),
        (["a, b", "a, c", "b, c"], [("a", "b"), ("a", "c"), ("b", "c")]),
        (["a, b", "c, d"], [("a, b",), ("c, d",)]),
        (['{"choices": ["a; b", "c"]}', '["d, e"]'], [("a; b", "c"), ("d, e",)]),
        (["2.0", "3", "-1.0"], [("2",), ("3",), ("-1",)]),
        (["version 2.0", "3.0"], [("version 2.0",), ("3.0",)]),
        (["1.0", "2.0;3.0"], [("1",), ("2", "3")]),
        (["['rent', 'heating']", "['heating']"], [("rent", "heating"), ("heating",)]),
        (
            ["['rent' 'heating']", "['rent'\n 'late \"fee\"' \"it's cold\"]"],
            [("rent", "heating"), ("rent", 'late "fee"', "it's cold")],
        ),
        (["('rent', 'heating')", "('heating',)", "(other)"], [("rent", "heating"), ("heating",), ("(other)",)]),
        (["家賃、暖房", "暖房", "家賃"], [("家賃", "暖房"), ("暖房",), ("家賃",)]),
        (["家賃；暖房", "rent\theating"], [("家賃", "暖房"), ("rent", "heating")]),
        (["food / drink", "food", "drink"], [("food / drink",), ("food",), ("drink",)]),
        (["rent", "NA", "n/a", "-", "?", "none"], [("rent",), ("none",)]),
    ],
)
def test_what_parts_codes_is_told_from_the_whole_column(tmp_path, cells, codes):
    rows = [{"text": f"text {n}", "codes": cell} for n, cell in enumerate(cells)]
    assert [found for _, found in read(tmp_path, jsonl(*rows), "coded.jsonl")] == codes


def test_columns_of_yes_and_no_are_codes(tmp_path):
    rows = "id,text,rent,heating,deposit\n1,a,1,0,0\n2,b,0,0,0\n3,c,x,yes,\n4,d,,,\n"
    sheet = read_label_file(file(tmp_path, rows), "ana")
    assert [(row.text, row.codes, row.coded) for row in sheet.rows] == [
        ("a", ("rent",), True),
        ("b", (), True),
        ("c", ("rent", "heating"), True),
        ("d", (), False),
    ]
    assert "rent, heating, deposit" in sheet.notes[0]


@pytest.mark.parametrize(
    ("yes", "no"),
    [*(("ja", "nein"), ("WAHR", "FALSCH"), ("oui", "non"), ("✓", ""), ("X", ""), ("Rent", ""), ("1.0", "0.0"))],
)
def test_yes_and_no_are_known_in_the_languages_of_spreadsheets(tmp_path, yes, no):
    sheet = read_label_file(file(tmp_path, f"id,text,Rent,Heating\n1,a,{yes},{no}\n2,b,{yes},{no or 'no'}\n"), "ana")
    assert {row.codes for row in sheet.rows} == {("Rent",)}


def test_counts_in_columns_that_were_named_are_codes_and_what_is_no_count_is_said(tmp_path):
    rows = "id,text,rent,heating\n1,a,2,0\n2,b,0,1\n3,c,maybe,0\n"
    sheet = read_label_file(file(tmp_path, rows), "ana", SheetColumns(indicators=("rent", "heating")))
    assert [row.codes for row in sheet.rows] == [("rent",), ("heating",)]
    assert "'rent' has 'maybe'" in sheet.rejected[0].reason


@pytest.mark.parametrize("names", ["Code 1,Code 2", "code1,code2", "Kode_1,Kode_2", "Tag 01,Tag 02"])
def test_numbered_columns_hold_a_code_each(tmp_path, names):
    sheet = read_label_file(file(tmp_path, f"id,text,{names}\n1,a,rent,heating\n2,b,heating,\n3,c,,\n"), "ana")
    assert [(row.codes, row.coded) for row in sheet.rows] == [
        (("rent", "heating"), True),
        (("heating",), True),
        ((), False),
    ]


@pytest.mark.parametrize("names", ["code_anna,code_ben", "anna codes,ben codes", "Codes (anna),Codes (ben)"])
def test_columns_of_codes_may_name_their_coders(tmp_path, names):
    sheet = read_label_file(file(tmp_path, f"id,text,{names}\n1,a,rent,heating\n"))
    assert [(row.annotator, row.codes) for row in sheet.rows] == [("anna", ("rent",)), ("ben", ("heating",))]


def test_columns_of_other_codes_name_no_coders(tmp_path):
    with pytest.raises(InputError, match="no column with codes"):
        read_label_file(file(tmp_path, "id,text,country_code,zip_code\n1,a,DE,10115\n"), "ana")


@pytest.mark.parametrize("name", ["Kode", "Códigos", "codename", "Thema", "コード", "Category", "Kategorie"])
def test_codes_are_known_by_their_name_in_more_languages(tmp_path, name):
    assert read(tmp_path, f"id,text,{name}\n1,a,rent;heating\n") == [("a", ("rent", "heating"))]


def test_a_column_of_themes_beside_the_codes_is_what_they_stand_under(tmp_path):
    sheet = read_label_file(file(tmp_path, "text,theme,code\na,Housing,rent\nb,Housing,heating\n"), "ana")
    assert (sheet.themes, [row.codes for row in sheet.rows]) == (
        {"rent": "Housing", "heating": "Housing"},
        [("rent",), ("heating",)],
    )
    apart = read_label_file(file(tmp_path, "text,theme,code\na,Housing,rent\nb,Money,rent\n"), "ana")
    assert (apart.themes, [row.codes for row in apart.rows]) == ({}, [("rent",), ("rent",)])
    assert "a code stands under several names in 'theme'" in apart.notes[-1]


def test_codes_of_two_levels_stand_in_two_columns(tmp_path):
    sheet = read_label_file(file(tmp_path, "text,code,subcode\na,Access,waiting\nb,Staff,\n"), "ana")
    assert [row.codes for row in sheet.rows] == [("waiting",), ("Staff",)]
    assert sheet.themes == {"waiting": "Access"}


def test_a_date_of_coding_whose_order_nothing_tells_costs_no_label(tmp_path):
    rows = "text,codes,decided_at\na,rent,03/02/2026\nb,rent,04/02/2026\nc,rent,soon\n"
    sheet = read_label_file(file(tmp_path, rows), "ana")
    assert [(row.codes, row.at) for row in sheet.rows] == [(("rent",), None)] * 2
    assert "2 times in 'decided_at' cannot be read (line 2, 3)" in sheet.notes[-1]
    assert [row.line for row in sheet.rejected] == [4]


def test_a_column_that_may_hold_the_codes_is_proposed(tmp_path):
    rows = "id,text,stars,verdict\n" + "".join(f"{n},text {n},{n},{'good' if n % 2 else 'bad'}\n" for n in range(6))
    with pytest.raises(InputError, match=r"--codes-column \(verdict may be it\), or columns of yes and no"):
        read_label_file(file(tmp_path, rows), "ana")


def test_a_column_a_coder_is_that_coders_codes(tmp_path):
    rows = "id,text,coder_anna,coder_ben\n1,a,rent,\n2,b,rent;heating,energy\n"
    sheet = read_label_file(file(tmp_path, rows))
    assert [(row.annotator, row.codes) for row in sheet.rows if row.coded] == [
        ("anna", ("rent",)),
        ("anna", ("rent", "heating")),
        ("ben", ("energy",)),
    ]


def test_a_path_is_a_code_under_a_theme_and_one_label_in_two_places_is_two_codes(tmp_path):
    cells = ["Access > Waiting time", "Price > High", "Quality > High", "Money > Fees > Hidden"]
    sheet = read_label_file(file(tmp_path, jsonl(*({"text": c, "codes": c} for c in cells)), "c.jsonl"), "ana")
    assert [row.codes for row in sheet.rows] == [("Waiting time",), ("Price > High",), ("Quality > High",), ("Hidden",)]
    assert sheet.themes == {
        "Waiting time": "Access",
        "Price > High": "Price",
        "Quality > High": "Quality",
        "Hidden": "Money > Fees",
    }


def test_a_quote_is_the_text_and_the_comment_beside_it_a_memo(tmp_path):
    rows = "ID,Quotation Content,Comment,Codes,Created by\n1:1,The nurse was kind,check again,staff,Ben\n"
    sheet = read_label_file(file(tmp_path, rows), "ana")
    (row,) = sheet.rows
    assert (row.text, row.memo, row.annotator, row.codes) == ("The nurse was kind", "check again", "Ben", ("staff",))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_human_coded(tmp_path / "nowhere.csv", "reviews")


# What it comes to


def records(folder: Path, content: str = CSV, coder: str = "ana", at: datetime = AT) -> list[Record]:
    """What a file comes to in an empty study."""
    database = open_database(f"sqlite:///{folder / 'empty.db'}")
    sheet = read_label_file(file(folder, content), coder, SheetColumns(coder_given=True))
    planned = plan(database, sheet, Importing("reviews", coder, at, teach_unmatched=True))
    database.close()
    return planned.write(list)


def test_each_code_is_created_once_by_its_author_and_each_text_is_annotated(tmp_path):
    made = records(tmp_path)
    events = [one for one in made if isinstance(one, CodeEvent)]
    assert [(one.label, one.kind, one.author, one.at) for one in events] == [
        (label, "created", "ana", AT) for label in ("slow login", "Speed", "ads")
    ]
    assert [one.code_id for one in events] == [code_id("reviews", one.label) for one in events]
    first, second = (one for one in made if isinstance(one, Annotation))
    assert (first.labels, first.text, first.annotator) == (["slow login", "Speed"], "login is slow", "ana")
    assert (first.segment_id, first.source) == (segment_id("reviews", "coded.csv", "1"), "coded.csv")
    assert second.labels == ["ads", "Speed"]
    assert second.code_ids == [code_id("reviews", label) for label in ("ads", "speed")]


def test_the_longest_code_fits_every_record_and_its_precedent(tmp_path):
    long = "x" * LONGEST_LABEL
    made = records(tmp_path, f"text,codes\nlogin is slow,{long}\n")
    precedents = Precedents(HashEmbedder())
    precedents.update_annotations(one for one in made if isinstance(one, Annotation))
    (found,) = precedents.nearest("reviews", HashEmbedder().embed(["login"]), 5)[0]
    assert found.codes == (long,)


@pytest.mark.parametrize("name", ["date", "time", "at"])
def test_when_something_was_said_is_not_when_it_was_coded(tmp_path, name):
    made = records(tmp_path, f"text,codes,{name}\nlogin is slow,speed,2020-01-01\n")
    assert [one.decided_at for one in made if isinstance(one, Annotation)] == [AT]


@pytest.mark.parametrize("name", ["decided_at", "coded_at", "time", "at", "date"])
def test_what_the_columns_are_read_as_is_said_the_time_of_coding_too(tmp_path, name):
    sheet = read_label_file(file(tmp_path, f"quote,codes,coder,{name}\nslow,speed,ana,2020-01-01\n"))
    assert [row.at for row in sheet.rows] == [datetime(2020, 1, 1, tzinfo=UTC)]
    assert sheet.columns == f"columns: codes 'codes', text 'quote', coder 'coder', time of coding '{name}'"
    sheet = read_label_file(file(tmp_path, "text,codes,day\nslow,speed,2020-01-01\n"), "ana")
    assert sheet.columns == "columns: codes 'codes', text 'text'; no column of time of coding"


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
        "2 texts with 3 codes of Ana B. taught to study 'reviews', kept; the next `qualstream up` publishes it; "
        "1 not coded yet\n"
    )
    first = kept()
    assert [len(some) for some in first] == [3, 2]
    assert {one.author for one in first[0]} == {one.annotator for one in first[1]} == {"Ana B."}
    run(path, "--study", "reviews", "--coder", "Ana B.")
    assert kept() == first
    assert kept("other") == ([], [])


def last_words(study: str = "reviews") -> dict[str, tuple[str, ...]]:
    """By text, the codes of the last word; texts whose word was taken back are left out."""
    latest = LatestAnnotations(kept(study)[1])
    words = [word for segment in latest for word in latest.of(segment)]
    return {word.text or "": tuple(word.labels) for word in words}


V1 = "id,text,codes\n1,The rent went up again,rnet\n2,Heating costs doubled,heating\n3,All fine here,praise\n"
V2 = V1.replace("rnet", "rent").replace(",praise", ",")


@pytest.mark.parametrize("name", ["coded.csv", "corrected.csv"])
@pytest.mark.parametrize("age", [-3600, 0, 3600])
def test_a_corrected_file_takes_the_place_of_what_was_taught_before_whatever_its_name_and_date(
    data, tmp_path, name, age
):
    run(file(tmp_path, V1), "--coder", "ana", "--study", "reviews")
    path = file(tmp_path, V2, name)
    when = datetime.now(UTC).timestamp() + age
    os.utime(path, (when, when))
    said = run(path, "--coder", "ana", "--study", "reviews")
    assert "1 corrected; 1 taken back, their cells are empty; 1 there already" in said
    assert last_words() == {"The rent went up again": ("rent",), "Heating costs doubled": ("heating",)}
    before = kept()
    assert "nothing is new; 2 there already; 1 not coded yet" in run(path, "--coder", "ana", "--study", "reviews")
    assert kept() == before


def test_an_empty_cell_takes_back_what_a_file_said_and_no_decision_that_was_made_here(data, tmp_path):
    run(file(tmp_path, "id,text,codes\n1,login,slow\n2,menu,\n"), "--coder", "ana", "--study", "reviews")
    with closing(build_store(load_settings())) as store:
        login, menu = (segment_id("reviews", "coded.csv", key) for key in "12")
        decided = [
            Annotation(segment_id=id_, study="reviews", annotator="ana", text=text, code_ids=[code_id("reviews", "x")],
                       labels=["x"], decided_at=datetime.now(UTC), seconds=3)
            for id_, text in ((login, "login"), (menu, "menu"))
        ]  # fmt: skip
        store.record(decided)
    run(file(tmp_path, "id,text,codes\n1,login,slow\n2,menu,\n"), "--coder", "ana", "--study", "reviews")
    assert last_words() == {"login": ("x",), "menu": ("x",)}
    run(file(tmp_path, "id,text,codes\n1,login,fast\n2,menu,\n"), "--coder", "ana", "--study", "reviews")
    assert last_words() == {"login": ("fast",), "menu": ("x",)}
    run(file(tmp_path, "id,text,codes\n1,login,\n2,menu,\n"), "--coder", "ana", "--study", "reviews")
    assert last_words() == {"menu": ("x",)}


def test_an_exported_file_that_was_corrected_counts_although_its_times_are_the_old_ones(data, tmp_path):
    run(file(tmp_path, V1), "--coder", "ana", "--study", "reviews")
    out = tmp_path / "labels.csv"
    done = CliRunner().invoke(export, ["--labels", "--study", "reviews", "--out", str(out)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "nothing is new" in run(out, "--study", "reviews")
    out.write_text(out.read_text().replace("rnet", "rent"))
    assert "1 corrected" in run(out, "--study", "reviews")
    assert last_words()["The rent went up again"] == ("rent",)


def test_two_coders_files_about_the_same_texts_meet(data, tmp_path):
    rows = "id,text,codes\n1,ok,good\n2,ok,bad\n3,The rent went up,rent;heating\n"
    run(file(tmp_path, rows, "anna.csv"), "--coder", "anna", "--study", "reviews")
    header, *lines = rows.splitlines()
    shuffled = "\n".join([header, *reversed(lines)])
    run(file(tmp_path, shuffled, "ben.csv"), "--coder", "ben", "--study", "reviews")
    coded = {(word.segment_id, word.annotator): set(word.labels) for word in kept()[1]}
    assert len({segment for segment, _ in coded}) == 3
    assert all(coded[segment, "anna"] == coded[segment, "ben"] for segment, _ in coded)


def test_files_with_the_same_ids_and_other_texts_stay_apart(data, tmp_path):
    run(file(tmp_path, "id,text,codes\n1,login,slow\n", "one.csv"), "--coder", "ana", "--study", "reviews")
    run(file(tmp_path, "id,text,codes\n1,menu,fast\n", "two.csv"), "--coder", "ana", "--study", "reviews")
    assert last_words() == {"login": ("slow",), "menu": ("fast",)}


def test_ids_that_stand_for_other_texts_are_said(data, tmp_path):
    run(file(tmp_path, "id,text,codes\n1,login,slow\n", "one.csv"), "--coder", "ana", "--study", "reviews")
    said = run(file(tmp_path, "id,text,codes\n1,menu,fast\n", "two.csv"), "--coder", "ana", "--study", "reviews")
    assert "1 rows have ids that stand for other texts in another file" in said
    said = run(file(tmp_path, "id,text,codes\n1,log in,slow\n", "one.csv"), "--coder", "ana", "--study", "reviews")
    assert "line 2: the segment with this id has another text" in said


def test_rows_that_were_numbered_anew_go_by_their_texts_and_a_new_text_among_them_is_left_out(data, tmp_path):
    rows = "id,text,codes\n1,login,slow\n2,menu,fast\n3,price,high\n"
    run(file(tmp_path, rows, "one.csv"), "--coder", "ana", "--study", "reviews")
    anew = "id,text,codes\n1,menu,quick\n2,price,dear\n3,colours,dull\n"
    said = run(file(tmp_path, anew, "one.csv"), "--coder", "ben", "--study", "reviews")
    given = {(word.text, word.annotator): word.labels for word in kept()[1]}
    by_ben = {text: codes for (text, coder), codes in given.items() if coder == "ben"}
    assert {text: tuple(codes) for text, codes in by_ben.items()} == {
        "menu": ("quick",),
        "price": ("dear",),
    }
    assert "line 4: the segment with this id has another text" in said
    assert "'colours' is no segment of the study; left out" in said
    assert "line 2: the segment with this id has another text; the one with this text is taken" in said


def test_a_sheet_with_codes_of_several_questions_gives_an_answer_those_of_its_own_question(data, tmp_path):
    rows = "ID,Q1_like,Q1_code,Q2_dislike,Q2_code\n1,Friendly staff,staff,Long queues,waiting\n2,Nice view,view,,\n"
    path = file(tmp_path, rows, "wide.csv")
    run(path, "--coder", "ana", "--study", "reviews", "--text-column", "Q1_like")
    assert last_words() == {"Friendly staff": ("staff",), "Nice view": ("view",)}
    run(path, "--coder", "ana", "--study", "reviews", "--text-column", "Q2_dislike")
    assert last_words()["Long queues"] == ("waiting",)
    assert {word.annotator for word in kept()[1]} == {"ana"}


def test_columns_that_are_codes_can_be_named(data, tmp_path):
    rows = "id,text,female,rent,heating\n1,login,yes,1,0\n2,menu,no,0,1\n"
    run(file(tmp_path, rows), "--coder", "ana", "--study", "reviews", "--code-columns", "rent, heating")
    assert last_words() == {"login": ("rent",), "menu": ("heating",)}


def test_a_code_that_was_retired_is_said_where_a_file_uses_it(data, tmp_path):
    path = file(tmp_path, "text,codes\na,rent\nb,heating\n")
    run(path, "--coder", "ana", "--study", "reviews")
    rent = code_id("reviews", "rent")
    retired = {"id": code_event_id(rent, "retired", "x"), "code_id": rent, "study": "reviews", "kind": "retired"}
    with closing(build_store(load_settings())) as store:
        store.record([CodeEvent.model_validate({**retired, "label": "rent", "author": "lea", "at": datetime.now(UTC)})])
    assert "retired or split, and used in the file all the same: rent" in run(
        path, "--coder", "ben", "--study", "reviews"
    )


@pytest.mark.parametrize(
    "rows",
    [
        "Code,Memo\nAccess,Before the visit\nAccess > Waiting,In the room\n",
        "Category,Code name,Description\nAccess,Waiting,In the room\nAccess,Information,\n",
        "code,definition,parent\nAccess,Before the visit,\nWaiting,In the room,Access\n",
        "Level 1,Level 2,Definition\nAccess,Waiting,In the room\n",
        "Oberkategorie,Kode,Beschreibung\nAccess,Waiting,In the room\n",
    ],
)
def test_a_table_that_is_a_codebook_is_taught_as_one(data, tmp_path, rows):
    assert "under 1 themes" in run(file(tmp_path, rows), "--coder", "ana", "--study", "reviews")
    book = Codebook(kept()[0])
    waiting = book[code_id("reviews", "Waiting")]
    assert (waiting.definition, book[waiting.parent].label) == ("In the room", "Access")
    assert "nothing is new" in run(file(tmp_path, rows), "--coder", "ana", "--study", "reviews")


def test_a_codebook_is_read_in_the_encoding_that_was_named(data, tmp_path):
    (tmp_path / "book.csv").write_bytes("code,definition\nЦена,дорого\n".encode("cp866"))
    run(tmp_path / "book.csv", "--coder", "ana", "--study", "reviews", "--encoding", "cp866")
    assert Codebook(kept()[0])[code_id("reviews", "Цена")].definition == "дорого"


def test_a_project_whose_texts_lie_elsewhere_brings_its_codes_and_says_what_it_lacks(data, tmp_path):
    project = Path(__file__).parents[2] / "data" / "qualcoder_project.qdpx"
    with ZipFile(project) as whole, ZipFile(tmp_path / "bare.qdpx", "w") as bare:
        name = next(each for each in whole.namelist() if each.endswith(".qde"))
        bare.writestr(name, whole.read(name))
    words = run(tmp_path / "bare.qdpx", "--study", "reviews")
    assert "codebook: " in words
    assert "texts outside the file" in words


def test_a_label_means_the_code_that_is_called_so_now(data, tmp_path):
    path = file(tmp_path, "text,codes\na,rent\nb,heating\n")
    run(path, "--coder", "ana", "--study", "reviews")
    rent, heating = code_id("reviews", "rent"), code_id("reviews", "heating")
    with closing(build_store(load_settings())) as store:
        at = datetime.now(UTC)
        renamed = {"study": "reviews", "kind": "renamed", "author": "lea", "at": at}
        store.record(
            [
                CodeEvent.model_validate(
                    {**renamed, "id": code_event_id(code, "renamed", label), "code_id": code, "label": label}
                )
                for code, label in ((rent, "housing costs"), (heating, "rent"))
            ]
        )
    run(file(tmp_path, "text,codes\nNew contract,rent\n", "later.csv"), "--coder", "ben", "--study", "reviews")
    (word,) = (word for word in kept()[1] if word.annotator == "ben")
    assert (word.code_ids, word.labels) == ([heating], ["rent"])


def test_the_files_own_coders_are_kept(data, tmp_path):
    rows = "text,codes,annotator\na,x,anna\na,y,ben\nb,z,\n"
    run(file(tmp_path, rows), "--coder", "cleo", "--study", "reviews")
    assert {(word.text, word.annotator, *word.labels) for word in kept()[1]} == {
        ("a", "anna", "x"),
        ("a", "ben", "y"),
        ("b", "cleo", "z"),
    }


def test_without_a_coder_rows_that_name_none_are_left_out(data, tmp_path):
    said = run(file(tmp_path, "text,codes,coder\na,x,anna\nb,z,\n"), "--study", "reviews")
    assert "line 3: nobody is named as its coder" in said
    assert [word.annotator for word in kept()[1]] == ["anna"]


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
