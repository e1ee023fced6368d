"""Tables as programs write them: dialects, short rows, titles above the header, sheets, survey tools' own rows."""

import csv
import io
import json
from datetime import date, datetime

import pytest
from openpyxl import Workbook, load_workbook
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from infra.files.labels.label_sheet import read_label_file
from models.errors import InputError
from tests.unit.files.reading.reader import Read, book

# Dialects


@pytest.mark.parametrize("mark", [";", "|", "\t"])
def test_excels_own_line_says_the_delimiter_and_is_no_row(tmp_path, mark):
    read = Read(tmp_path, f"sep={mark}\r\nid{mark}comment\r\n1{mark}hard, to find\r\n")
    assert read.texts == ["hard, to find"]


def test_quotes_escaped_by_a_backslash_are_read_and_said(tmp_path):
    read = Read(tmp_path, 'id,comment\n1,"He said \\"wait\\", then left"\n2,"Fine, thanks"\n3,"ends in \\\\"\n')
    assert read.texts == ['He said "wait", then left', "Fine, thanks", "ends in \\\\"]
    assert "quotes escaped by a backslash" in read.remarks


def test_a_single_row_with_backslashes_among_doubled_quotes_is_read_too(tmp_path):
    rows = "".join(f'{n},"say ""so"", {n}"\n' for n in range(300))
    read = Read(tmp_path, f'id,comment\n{rows}x,"He said \\"wait\\" and left"\n')
    assert read.rejected == []
    assert read.texts[-1] == 'He said "wait" and left'


def test_a_path_that_ends_in_a_backslash_stays(tmp_path):
    assert Read(tmp_path, 'id,comment\n1,"C:\\new\\"\n2,"b, c"\n').texts == ["C:\\new\\", "b, c"]


def test_what_is_wrong_with_a_row_is_never_said_in_pythons_words(tmp_path):
    read = Read(tmp_path, 'id,comment\n1,"a "quoted" word"\n2,b\n')
    assert read.texts == ["b"]
    assert read.rejected[0].reason == (
        "broken row: text follows a closing quote; write a quote inside a quoted cell twice"
    )


def test_a_column_of_its_own_keeps_its_commas(tmp_path):
    assert Read(tmp_path, "comment\nGood, but slow, really\nbad\n").texts == ["Good, but slow, really", "bad"]


def test_semicolons_win_over_commas_inside_the_texts(tmp_path):
    rows = "".join(f"{n};4,5;nett, sauber, ruhig\n" for n in range(5))
    assert Read(tmp_path, "Nr;Note;Kommentar\n" + rows).texts == ["nett, sauber, ruhig"] * 5


# Rows that are shorter or longer


def test_a_short_row_lacks_its_last_cells_in_a_table_as_in_a_workbook(tmp_path):
    rows = [["id", "comment", "rating", "country"], [1, "menu", 2, "DE"], [2, "colours"], [3, "ads", 1]]
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    table, sheet = Read(tmp_path, out.getvalue()), Read(tmp_path, book(tmp_path, Sheet=rows), "b.xlsx")
    assert table.texts == sheet.texts == ["menu", "colours", "ads"]
    assert table.rejected == sheet.rejected == []
    assert sheet.segments[1].metadata == {"rating": None, "country": None}


def test_a_longer_row_is_rejected_unless_its_last_cells_are_empty(tmp_path):
    read = Read(tmp_path, "id,comment\n1,a,,\n2,b,c\n")
    assert read.texts == ["a"]
    assert [row.line for row in read.rejected] == [3]


def test_a_short_row_that_swallowed_its_neighbours_says_so(tmp_path):
    read = Read(tmp_path, 'id,comment,stars\n1,"open,2\n2,b,3\n3,c"\n4,d,5\n')
    assert read.texts == ["d"]
    assert "is a quote not closed?" in read.rejected[0].reason


# The header


def test_titles_above_the_header_are_passed_over_and_said(tmp_path):
    table = Read(tmp_path, "Survey of 2026\n\nid,date,comment\n1,2026-01-02,lift broken\n")
    titled = [["Export of the hotel"], ["made", "today"], ["id", "date", "comment"], [1, "2026-01-02", "lift broken"]]
    sheet = Read(tmp_path, book(tmp_path, Sheet=titled), "b.xlsx")
    assert table.texts == sheet.texts == ["lift broken"]
    assert "line 3 names the columns" in table.remarks
    assert "line 3 names the columns" in sheet.remarks


def test_a_header_of_unknown_names_below_a_title_is_told_from_its_width(tmp_path):
    content = "A title\nNr,When,What they told us\n1,2026-01-02,lift\n2,2026-01-03,food\n"
    assert Read(tmp_path, content, text_column="What they told us").texts == ["lift", "food"]


def test_the_line_of_the_header_can_be_named(tmp_path):
    read = Read(tmp_path, "text,text b\nid,text\n1,a\n", header_row=2)
    assert read.texts == ["a"]
    with pytest.raises(InputError, match=r"no row of column names on line 9.*--header-row"):
        Read(tmp_path, "id,text\n1,a\n", header_row=9)


def test_an_answer_that_is_called_like_a_column_is_no_header(tmp_path):
    assert Read(tmp_path, "id,text\n1,comment\n2,review\n").texts == ["comment", "review"]


# Workbooks


def test_the_first_sheet_with_texts_is_read_and_the_others_named(tmp_path):
    cover, data = [["About", "this file"], ["made by", "us"]], [["id", "comment"], [1, "lift broken"]]
    content = book(tmp_path, Cover=cover, Answers=data, Empty=[])
    read = Read(tmp_path, content, "b.xlsx")
    assert read.texts == ["lift broken"]
    assert "sheet 'Answers' of 'Cover', 'Answers', 'Empty' is read" in read.remarks


@pytest.mark.parametrize("sheet", ["second", "Second", "2"])
def test_a_sheet_is_named_or_numbered(tmp_path, sheet):
    content = book(tmp_path, First=[["comment"], ["a"]], Second=[["comment"], ["b"]])
    assert Read(tmp_path, content, "b.xlsx", sheet=sheet).texts == ["b"]


def test_a_sheet_that_is_not_there_names_those_that_are(tmp_path):
    content = book(tmp_path, First=[["comment"], ["a"]], Second=[["comment"], ["b"]])
    with pytest.raises(InputError, match="no sheet 'Third'; it has 'First', 'Second', give one of them with --sheet"):
        Read(tmp_path, content, "b.xlsx", sheet="Third")


def test_cells_are_read_as_people_see_them(tmp_path):
    rows = [["id", "comment"], [1, "First line_x000D_\nsecond"], [2, "#NAME?"], [3, "#N/A"], [4, True], [5, 10]]
    read = Read(tmp_path, book(tmp_path, Sheet=rows), "b.xlsx")
    assert read.texts == ["First line\nsecond", "TRUE", "10"]
    assert [(row.line, row.reason) for row in read.rejected] == [
        (3, "'comment' is the spreadsheet's error #NAME?; text is expected"),
        (4, "'comment' is the spreadsheet's error #N/A; text is expected"),
    ]


# Ids


@pytest.mark.parametrize("ids", [("1", "2"), ("1.0", "2.0"), ("1 ", " 2"), ("1", "2.0")])
def test_whole_numbers_are_one_id_however_they_are_written(tmp_path, ids):
    read = Read(tmp_path, "".join(["id,text\n", *(f"{id_},t{n}\n" for n, id_ in enumerate(ids))]))
    plain = Read(tmp_path, "id,text\n1,t0\n2,t1\n")
    assert read.ids == ["1", "2"]
    assert [segment.id for segment in read.segments] == [segment.id for segment in plain.segments]


def test_a_workbooks_and_a_json_files_numbers_are_the_same_ids(tmp_path):
    sheet = Read(tmp_path, book(tmp_path, Sheet=[["id", "text"], [1.0, "a"], [2, "b"]]), "b.xlsx")
    lines = Read(tmp_path, '{"id": 1.0, "text": "a"}\n{"id": "2", "text": "b"}\n', "b.jsonl")
    assert sheet.ids == lines.ids == ["1", "2"]


def test_ids_that_are_no_whole_numbers_stay_as_they_are(tmp_path):
    assert Read(tmp_path, "id,text\n1.0,a\n1.1,b\nv2,c\n").ids == ["1.0", "1.1", "v2"]
    assert Read(tmp_path, "id,text\n007,a\n8,b\n").ids == ["007", "8"]


def test_a_respondents_number_is_the_id_of_rows_only_where_it_is_unique(tmp_path):
    assert Read(tmp_path, "respondent,text\n1,a\n2,b\n").ids == ["1", "2"]
    read = Read(tmp_path, "respondent,text\n1,a\n1,b\n2,c\n")
    assert read.ids == [None, None, None]
    assert read.rejected == []
    assert "'respondent' is not taken as the rows' id" in read.remarks
    assert read.segments[0].metadata == {"respondent": "1"}


# Survey tools


def qualtrics(*answers: tuple[str, ...]) -> str:
    names = ("StartDate", "EndDate", "RecordedDate", "ResponseId", "Q1", "Q12", "Q13")
    asked = (
        "Start Date",
        "End Date",
        "Recorded Date",
        "Response ID",
        "How satisfied?",
        "What should\nwe improve?",
        "Else?",
    )
    ids = ("startDate", "endDate", "recordedDate", "_recordId", "QID1", "QID12_TEXT", "QID13_TEXT")
    out = io.StringIO()
    csv.writer(out).writerows([names, asked, [json.dumps({"ImportId": each}) for each in ids], *answers])
    return out.getvalue()


def test_qualtrics_questions_and_import_ids_are_no_answers(tmp_path):
    when = ("2026-02-01 08:00:05", "2026-02-01 08:04:11", "2026-02-01 08:04:12")
    read = Read(
        tmp_path, qualtrics((*when, "R_1", "4", "too crowded", ""), (*when, "R_2", "2", "nobody answers", "no parking"))
    )
    assert read.texts == ["too crowded", "nobody answers", "no parking"]
    assert read.ids == ["R_1", "R_2", "R_2"]
    assert read.segments[0].metadata["question"] == "What should we improve?"
    assert read.segments[0].source == "reviews.csv: Q12"
    assert read.times[0] == "2026-02-01T08:04:12+00:00"
    assert "a Qualtrics export" in read.remarks


def test_qualtrics_with_one_named_column_keeps_its_question(tmp_path):
    read = Read(tmp_path, qualtrics(("", "", "", "R_1", "4", "too crowded", "x")), text_column="Q12")
    assert read.texts == ["too crowded"]
    assert read.segments[0].metadata["question"] == "What should we improve?"


def test_qualtrics_with_the_questions_alone_is_known_by_its_own_columns(tmp_path):
    content = "StartDate,EndDate,ResponseId,Q1\nStart Date,End Date,Response ID,What else?\n,,R_1,more light\n"
    read = Read(tmp_path, content, text_column="Q1")
    assert [(each.own_id, each.text, each.metadata["question"]) for each in read.segments] == [
        ("R_1", "more light", "What else?")
    ]


def test_names_of_columns_that_come_again_are_no_row(tmp_path):
    read = Read(tmp_path, "id,text\n1,a\nid,text\n2,b\n")
    assert read.texts == ["a", "b"]
    assert "stand on line 3 again" in read.remarks


def test_excels_unicode_text_is_a_table_whatever_it_is_called(tmp_path):
    assert Read(tmp_path, "id\tcomment\r\n1\tGrüße\r\n".encode("utf-16"), "answers.txt").texts == ["Grüße"]


def test_a_workbook_that_is_called_a_csv_is_a_workbook(tmp_path):
    assert Read(tmp_path, book(tmp_path, Sheet=[["comment"], ["a"]]), "answers.csv").texts == ["a"]


def test_programs_empty_ids_and_numbers_are_empty(tmp_path):
    assert Read(tmp_path, '{"id": NaN, "text": "a", "x": NaN}\n', "a.jsonl").segments[0].metadata == {
        "id": None,
        "x": None,
    }
    assert Read(tmp_path, "id,text\nnan,a\nnan,b\n").ids == [None, None]


def test_survey_monkeys_second_row_says_which_questions_are_open(tmp_path):
    rows = [
        ["Respondent ID", "Collector ID", "Start Date", "End Date", "Which?", "", "What else?", "Anything more?"],
        ["", "", "", "", "Red", "Blue", "Open-Ended Response", "Open-Ended Response"],
        ["11", "5", "01/02/2026 10:00:00", "01/13/2026 10:05:00", "Red", "", "more chairs", ""],
        ["12", "5", "01/03/2026 10:00:00", "01/03/2026 10:05:00", "", "Blue", "", "less noise"],
    ]
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    read = Read(tmp_path, out.getvalue())
    assert [(s.own_id, s.text, s.metadata["question"]) for s in read.segments] == [
        ("11", "more chairs", "What else?"),
        ("12", "less noise", "Anything more?"),
    ]
    assert read.times == ["2026-01-13T10:05:00+00:00", "2026-01-03T10:05:00+00:00"]
    assert read.segments[0].metadata["Which?: Red"] == "Red"


def test_several_columns_of_text_are_a_source_each(tmp_path):
    content = "respondent,age,Q1_like,Q2_dislike\n1,34,Friendly staff,Long queue\n2,51,Clean rooms,\n"
    read = Read(tmp_path, content, text_column=["Q1_like", "Q2_dislike"])
    assert [(s.text, s.source, s.own_id, s.metadata) for s in read.segments] == [
        ("Friendly staff", "reviews.csv: Q1_like", "1", {"age": "34", "question": "Q1_like"}),
        ("Long queue", "reviews.csv: Q2_dislike", "1", {"age": "34", "question": "Q2_dislike"}),
        ("Clean rooms", "reviews.csv: Q1_like", "2", {"age": "51", "question": "Q1_like"}),
    ]
    assert len(read.left_out) == 1
    assert len({segment.id for segment in read.segments}) == 3


def test_columns_without_a_known_name_are_proposed_by_their_texts(tmp_path):
    content = (
        "nr,stars,was_gut,was_schlecht\n1,4,das Personal war nett,die lange Schlange am Eingang\n2,3,saubere Zimmer,\n"
    )
    with pytest.raises(InputError, match=r"no column of text among .*'was_schlecht', 'was_gut' hold the longest texts"):
        Read(tmp_path, content)


# Times


def test_day_or_month_first_is_told_from_the_whole_column_and_said(tmp_path):
    day = Read(tmp_path, "id,date,text\n1,03/04/2026,a\n2,13/04/2026,b\n3,5/4/26,c\n")
    month = Read(tmp_path, "id,date,text\n1,03/04/2026 5:10 PM,a\n2,04/13/2026 5:10 PM,b\n")
    assert day.times == ["2026-04-03T00:00:00+00:00", "2026-04-13T00:00:00+00:00", "2026-04-05T00:00:00+00:00"]
    assert month.times == ["2026-03-04T17:10:00+00:00", "2026-04-13T17:10:00+00:00"]
    assert "'date': the day comes first in dates such as 03/04/2026 (1 of its dates prove it)" in day.remarks
    assert "the month comes first" in month.remarks


def test_an_order_that_nothing_proves_is_asked_for_and_not_guessed(tmp_path):
    content = "id,date,text\n1,03/04/2026,a\n2,05/04/2026,b\n"
    read = Read(tmp_path, content)
    assert read.times == [None, None]
    assert "2 dates such as 03/04/2026 may begin with the day or the month" in read.warnings
    assert "--date-order" in read.warnings
    assert "2 x time in 'date' that cannot be read" in read.summaries
    assert Read(tmp_path, content, date_order="month").times[0] == "2026-03-04T00:00:00+00:00"


def test_a_column_that_proves_both_orders_is_warned_of(tmp_path):
    read = Read(tmp_path, "id,date,text\n1,13/04/2026,a\n2,04/13/2026,b\n3,03/04/2026,c\n")
    assert read.times == ["2026-04-13T00:00:00+00:00", "2026-04-13T00:00:00+00:00", None]
    assert "some dates prove the one order, some the other" in read.warnings


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        *((46023, "2026-01-01T00:00:00+00:00"), (46024.5, "2026-01-02T12:00:00+00:00")),
        *(("46026", "2026-01-04T00:00:00+00:00"), (datetime(2026, 1, 5, 9), "2026-01-05T09:00:00+00:00")),  # noqa: DTZ001
    ],
)
def test_a_spreadsheets_days_are_dates_in_a_column_of_time(tmp_path, cell, expected):
    read = Read(tmp_path, book(tmp_path, Sheet=[["id", "date", "text"], [1, cell, "a"]]), "b.xlsx")
    assert read.times == [expected]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        *(("2026-01", "2026-01-01T00:00:00+00:00"), ("Jan 2026", "2026-01-01T00:00:00+00:00")),
        *(("01. Januar 2026", "2026-01-01T00:00:00+00:00"), ("3 mars 2026", "2026-03-03T00:00:00+00:00")),
        *(("15.02.26", "2026-02-15T00:00:00+00:00"), ("2026-01-01 23:30:00 EST", "2026-01-01T23:30:00-05:00")),
        *(("2026-01-01 10:00 CET", "2026-01-01T10:00:00+01:00"), ("Jan 5, 2026", "2026-01-05T00:00:00+00:00")),
        *(("2026.02.13", "2026-02-13T00:00:00+00:00"), ("20260213", "2026-02-13T00:00:00+00:00")),
        ("Mon Feb 09 2026 10:00:00 GMT+0100 (Central European Standard Time)", "2026-02-09T10:00:00+01:00"),
        *(("1767312000", "2026-01-02T00:00:00+00:00"), ("1767312000.0", "2026-01-02T00:00:00+00:00")),
        *(("2026", "2026-01-01T00:00:00+00:00"), ("Q3 2026", "2026-07-01T00:00:00+00:00")),
        *(("2026-Q4", "2026-10-01T00:00:00+00:00"), ("20260213101112", "2026-02-13T10:11:12+00:00")),
        *(("2026/02/13 2:05:33 PM GMT+1", "2026-02-13T14:05:33+01:00"), ("2026. 2. 13.", "2026-02-13T00:00:00+00:00")),
        *(("13/02/2026 10:11 p. m.", "2026-02-13T22:11:00+00:00"), ("13.02.2026 10.11", "2026-02-13T10:11:00+00:00")),
        *(("13/Feb/26 10:11 AM", "2026-02-13T10:11:00+00:00"), ("2026年2月13日", "2026-02-13T00:00:00+00:00")),
        ("2026-02-13T10:11:12+01:00[Europe/Berlin]", "2026-02-13T10:11:12+01:00"),
        ("02/16/2026 10:11 America/New_York", "2026-02-16T10:11:00-05:00"),
        ("2026-02-13 10:00:00 GMT+5:30", "2026-02-13T10:00:00+05:30"),
        ("13/Feb/2026:10:11:12 +0000", "2026-02-13T10:11:12+00:00"),
        ("13 กุมภาพันธ์ 2569", "2026-02-13T00:00:00+00:00"),
    ],
)
def test_months_names_zones_and_short_years_are_read(tmp_path, written, expected):
    assert Read(tmp_path, f'id,date,text\n1,"{written}",a\n').times == [expected]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("Marca temporal,text", "13/02/2026 14:05:33,a"),
        ("タイムスタンプ,text", "2026/02/13 14:05:33,a"),
        ("#,text,Submit Date (UTC)", "p1,a,2026-02-13 14:05:33"),
        ("id. Response ID,submitdate. Date submitted,text", "1,2026-02-13 14:05:33,a"),
        ("text,createdAt", "a,2026-02-13T14:05:33Z"),
        ("text,Wann war das?,Geburtsdatum", "a,13.02.2026 14:05:33,01.01.1980"),
        ("Date,Time,text", "13/02/2026,14:05:33,a"),
        ("Datum;Uhrzeit;Kommentar", "13.02.2026;14:05:33;a"),
    ],
)
def test_the_time_is_known_by_its_name_in_many_tools_or_by_its_cells(tmp_path, header, row):
    assert Read(tmp_path, f"{header}\n{row}\n").times == ["2026-02-13T14:05:33+00:00"]


def test_a_column_that_is_taken_as_the_time_by_its_cells_is_said(tmp_path):
    read = Read(tmp_path, "text,gesagt\na,13.02.2026\nb,14.02.2026\n")
    assert "'gesagt' is taken as the time: all its cells are dates" in read.remarks
    assert Read(tmp_path, "text,gesagt\na,13.02.2026\nb,soon\n").times == [None, None]


def test_a_workbook_that_counts_from_1904_has_the_same_dates_with_and_without_their_format(tmp_path):
    workbook = Workbook()
    workbook.epoch = CALENDAR_MAC_1904
    for cells in (["id", "date", "text"], [1, date(2026, 2, 13), "a"], [2, 44604, "b"]):
        workbook.active.append(cells)
    workbook.save(tmp_path / "mac.xlsx")
    times = Read(tmp_path, (tmp_path / "mac.xlsx").read_bytes(), "mac.xlsx").times
    assert times == ["2026-02-13T00:00:00+00:00"] * 2


@pytest.mark.parametrize("ids", [["1.75E+18", "1.75E+18", "1.75E+18"], ["1,75E+18", "1,75E+18", "3"]])
def test_ids_that_a_spreadsheet_rounded_are_none_and_no_row_is_lost(tmp_path, ids):
    read = Read(tmp_path, "id;text\n" + "".join(f"{each};text {n}\n" for n, each in enumerate(ids)))
    assert read.texts == ["text 0", "text 1", "text 2"]
    assert read.ids == [None] * 3
    assert "a spreadsheet rounded" in read.warnings


def test_the_same_id_and_text_again_is_one_segment_and_counted(tmp_path):
    read = Read(tmp_path, "id,text\n1,Good service\n1,Good service \n2,Slow\n1,Bad\n")
    assert len({segment.id for segment in read.segments}) == 2
    assert "1 x the id and text of an earlier row" in read.summaries
    assert [row.line for row in read.rejected] == [5]


def test_a_hidden_sheet_and_one_that_describes_the_data_are_not_the_data(tmp_path):
    data = [["id", "comment"], [1, "Good service"]]
    content = book(tmp_path, Codebook=[["Variable", "Description"], ["q1", "What?"]], Data=data)
    assert Read(tmp_path, content, "a.xlsx").texts == ["Good service"]
    workbook = load_workbook(tmp_path / "a.xlsx")
    workbook.create_sheet("Old", 0).append(["comment"])
    workbook["Old"].append(["old"])
    workbook["Old"].sheet_state = "hidden"
    workbook.save(tmp_path / "b.xlsx")
    assert Read(tmp_path, (tmp_path / "b.xlsx").read_bytes(), "b.xlsx").texts == ["Good service"]


def test_a_further_sheet_with_the_same_columns_is_warned_of(tmp_path):
    content = book(tmp_path, **{"2025": [["id", "text"], [1, "a"]], "2026": [["id", "text"], [2, "b"]]})
    read = Read(tmp_path, content, "a.xlsx")
    assert read.texts == ["a"]
    assert "'2026': the same columns as '2025', and not read" in read.warnings


def test_so_it_is_below_titles_and_no_other_sheet_is_named(tmp_path):
    months = {name: [[f"{name} 2026"], [], ["id", "text"], [1, name]] for name in ("May", "June")}
    content = book(tmp_path, **months, Staff=[["Staff"], [], ["id", "name"], [1, "Anna"]])
    assert Read(tmp_path, content, "a.xlsx").warnings == (
        "'June': the same columns as 'May', and not read; read each with --sheet"
    )


def test_a_zone_by_name_is_said(tmp_path):
    assert "zones by name, such as EST" in Read(tmp_path, "date,text\n2026-01-01 23:30:00 EST,a\n").remarks


@pytest.mark.parametrize(
    "written", ["03.11.2026 18:57", "2026-11-03T18:57:00", "3 Nov 2026 6:57 PM", "03.11.2026 18.57"]
)
def test_that_a_time_without_a_zone_counts_as_utc_is_said(tmp_path, written):
    read = Read(tmp_path, f"date;text\n{written};a\n")
    assert read.segments[0].timestamp == datetime.fromisoformat("2026-11-03T18:57Z")
    assert "'date': a time of day without a zone stays as it is written, and counts as UTC" in read.remarks


@pytest.mark.parametrize(
    "written", ["2026-11-03", "03.11.2026", "2026-11-03T18:57Z", "2026-11-03 18:57 +01:00", "2026"]
)
def test_dates_and_times_with_a_zone_need_no_such_word(tmp_path, written):
    assert "counts as UTC" not in Read(tmp_path, f"date;text\n{written};a\n").remarks


def test_times_that_cannot_be_read_are_counted_with_their_lines(tmp_path):
    read = Read(tmp_path, "date,text\n2026-01-01,a\nlast week,b\nsoon,c\n,d\n")
    assert read.texts == ["a", "b", "c", "d"]
    assert read.summaries == "2 x time in 'date' that cannot be read, such as 'last week' (lines 3, 4)"


# Text


def test_tags_and_entities_are_read_and_the_raw_text_kept(tmp_path):
    raw = "<p>The seat was broken.<br/>Nobody cared &amp; it&#39;s dirty</p>"
    read = Read(tmp_path, f'id,review\n1,"{raw}"\n2,a < b & c > d\n3,AT&T\n')
    assert read.texts == ["The seat was broken.\nNobody cared & it's dirty", "a < b & c > d", "AT&T"]
    assert read.segments[0].metadata == {"_raw": raw}
    assert read.segments[1].metadata == {}


NON_ANSWERS = [
    "n/a",
    "N/A",
    "none",
    "None.",
    "-",
    ".",
    "No comment",
    "nothing",
    "NA",
    "null",
    "asdf",
    "?",
    "!!!",
    "[deleted]",
]
NON_ANSWERS += ["[removed]", "keine", "k.A.", "aucun", "ninguno", "нет", "特になし", "无"]


def test_what_says_nothing_is_left_out_and_counted_where_that_is_asked_for(tmp_path):
    answers = ["Nothing works since the update", "ok", "no", "👍", "none of the doors open", "5"]
    rows = "".join(f'{n},"{text}"\n' for n, text in enumerate([*NON_ANSWERS, *answers]))
    read = Read(tmp_path, f"id,answer\n{rows}", leave_out_non_answers=True)
    assert read.texts == answers
    assert {row.kind for row in read.left_out} == {"no answer"}
    assert f"{len(NON_ANSWERS)} x left out: no answer in 'answer' (lines 2, 3, 4, 5, 6, ...)" in read.summaries


def test_what_says_nothing_is_kept_where_that_is_asked_for(tmp_path):
    assert Read(tmp_path, "answer\nn/a\nnone\n").texts == ["n/a", "none"]


def test_an_index_without_a_name_is_no_title_above_the_names(tmp_path):
    read = Read(tmp_path, ",text,,\n0,late again,a,b\n1,too dear,c,d\n")
    assert read.texts == ["late again", "too dear"]


@pytest.mark.parametrize(("yes", "no"), [("x", ""), ("ja", "nein"), ("1", "0"), ("TRUE", "FALSE")])
@pytest.mark.parametrize("name", ["time", "Zeit", "date"])
def test_a_code_that_is_called_like_a_time_is_no_column_of_times(tmp_path, name, yes, no):
    content = f"text,{name},price\nlate again,{yes},{no}\ntoo dear,{no},{yes}\n"
    read = Read(tmp_path, content)
    assert read.times == [None, None]
    assert "cannot be read" not in read.summaries
    assert read.segments[0].metadata[name] == yes
    sheet = read_label_file(tmp_path / "reviews.csv", "anna")
    assert [row.codes for row in sheet.rows] == [(name,), ("price",)]


def test_the_sheet_with_long_texts_is_read_where_no_column_is_known_by_its_name(tmp_path):
    rows = [["Respondent", "Why?"], [1, "We waited three hours there"], [2, "It was far too dear for us"]]
    content = book(tmp_path, Summary=[["Code", "Count"], ["time", 3]], Raw=rows)
    assert Read(tmp_path, content, "a.xlsx", text_column="Why?").texts == [row[1] for row in rows[1:]]
    with pytest.raises(InputError, match=r"among 'Respondent', 'Why\?'; name it with --text-column \('Why\?' holds"):
        Read(tmp_path, content, "a.xlsx")


def test_names_of_sections_above_the_names_of_columns_are_passed_over(tmp_path):
    rows = [["", "Section A", "Section A"], ["ID", "Likes", "Comment"], [1, "The kind staff", "The waiting time"]]
    read = Read(tmp_path, book(tmp_path, S=rows), "a.xlsx")
    assert (read.texts, read.ids) == (["The waiting time"], ["1"])


def test_a_survey_whose_text_column_nobody_knows_is_refused_with_its_longest_texts(tmp_path):
    content = "resp,V12,V13,V14\n1,Female,I waited for three hours,3\n2,Male,The staff were kind to me,4\n"
    with pytest.raises(InputError, match=r"no column of text among .* name it with --text-column \('V13' holds"):
        Read(tmp_path, content)
    assert len(Read(tmp_path, content, text_column="V13").texts) == 2


@pytest.mark.parametrize("column", ["annotator_id", "_annotator_id", "coder_name", "rater_email"])
def test_what_says_who_coded_is_no_column_of_codes(tmp_path, column):
    (tmp_path / "a.csv").write_text(f"text,{column},code\nlate again,7,time\n", encoding="utf-8")
    (row,) = read_label_file(tmp_path / "a.csv", "anna").rows
    assert row.codes == ("time",)
