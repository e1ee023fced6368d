"""Codebooks as tables of other programs: what columns are called, what merged cells leave, what is not read."""

import openpyxl

from infra.codebook.codebook_table import read_codebook_table
from infra.files.reading.items import ReadingOptions


def read(path):
    options = ReadingOptions()
    nodes = read_codebook_table(path, None, options)
    return {(*node.above, node.name): {k: v for k, v in node.notes.items() if v} for node in nodes}, options.report


def csv(folder, *lines):
    path = folder / "book.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_notes_and_levels_go_by_the_names_that_people_give_their_columns(tmp_path):
    header = "Code name,Sub-category,Definition,Include when,Exclude when,Examples from data"
    codes, report = read(csv(tmp_path, header, "Waiting,Time,Any wait,weeks,in the room,six weeks"))
    notes = {"definition": "Any wait", "inclusion": "weeks", "exclusion": "in the room", "examples": ["six weeks"]}
    assert (codes, report.warnings) == ({("Time", "Waiting"): notes}, [])


def test_columns_that_are_not_read_are_said_and_empty_ones_are_not(tmp_path):
    _, report = read(csv(tmp_path, "code,frequency,checked by,unused", "Waiting,12,Lea,"))
    assert report.warnings == ["columns not read: frequency, checked by"]


def test_a_code_with_two_definitions_keeps_the_first_and_all_else_that_is_said(tmp_path):
    codes, report = read(csv(tmp_path, "code,definition,include", "Waiting,Any wait,", "waiting,Long waits,weeks"))
    assert codes == {("Waiting",): {"definition": "Any wait", "inclusion": "weeks"}}
    assert report.warnings == ["the code 'waiting' has several rows that differ in definition; the first counts"]


def test_empty_cells_of_a_workbook_mean_the_cell_above_as_merged_cells_leave_them(tmp_path):
    book = openpyxl.Workbook()
    for row in (["Category", "Code"], ["Access", "Waiting"], [None, "Distance"], ["Feelings", "Fear"]):
        book.active.append(row)
    book.save(tmp_path / "book.xlsx")
    codes, report = read(tmp_path / "book.xlsx")
    assert list(codes) == [("Access", "Waiting"), ("Access", "Distance"), ("Feelings", "Fear")]
    assert "empty cells under 'Category' are read as the cell above them" in report.warnings[0]
