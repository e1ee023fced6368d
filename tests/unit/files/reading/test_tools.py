"""Tables and JSON of other tools: what their columns are called, and what stands in them."""

import json

import pytest

from infra.files.labels.label_sheet import read_label_file
from infra.files.reading.headers import tree_path
from tests.unit.files.reading.reader import Read

PLAY = (
    "Package Name,App Version Code,Reviewer Language,Device,Review Submit Date and Time,"
    "Review Submit Millis Since Epoch,Star Rating,Review Title,Review Text,Developer Reply Text\n"
    "com.x,1,de,pix,2026-03-02T09:15:11Z,1772442911000,2,Nein,Es schließt sich,Danke\n"
)
MAXQDA = (
    "Color;Comment;Document group;Document name;Code;Begin;End;Weight score;Segment;Created by;Created on\n"
    "x;he means it;Wave 1;Interview 3;Access > Waiting;1;1;0;two hours;anna;02/02/2026\n"
    "x;;Wave 1;Interview 3;Staff;1;1;0;two hours;ben;13/02/2026\n"
    "x;;Wave 1;Interview 3;Staff;2;2;0;the nurse was kind;ben;13/02/2026\n"
)


def row(read: Read) -> tuple[str | None, str, str, str | None, str | None]:
    segment = read.segments[0]
    return segment.own_id, segment.text, segment.source, segment.language, read.times[0]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (PLAY, (None, "Es schließt sich", "reviews.csv", "de", "2026-03-02T09:15:11+00:00")),
        (
            'Review ID,Territory,Rating,Title,Review,Author,Date\n9,US,2,Bad,It closes,me,"Mar 2, 2026"\n',
            ("9", "It closes", "reviews.csv", None, "2026-03-02T00:00:00+00:00"),
        ),
        (
            "Review Id,Review Created (UTC),Review Title,Review Content,Review Stars,Review Language\n"
            "9,2026-03-02 10:00:00,Bad,It closes,1,en\n",
            ("9", "It closes", "reviews.csv", "en", "2026-03-02T10:00:00+00:00"),
        ),
        (
            "id,title,selftext,created_utc,subreddit\na,T,Dark mode hurts,1767312000,s\n",
            ("a", "Dark mode hurts", "reviews.csv", None, "2026-01-02T00:00:00+00:00"),
        ),
        (
            "ID,Document,Quotation Name,Quotation Content,Codes,Comment,Creation Date\n"
            "1:2,Doc 1,two,two hours,Waiting,memo,2026-02-03 10:00:00\n",
            ("1:2", "two hours", "Doc 1", None, "2026-02-03T10:00:00+00:00"),
        ),
        (
            "Media Title,Excerpt Creator,Excerpt Date,Excerpt,Codes Applied Combined\n"
            "int.docx,anna,2/13/2026,hours,W\n",
            (None, "hours", "int.docx", None, "2026-02-13T00:00:00+00:00"),
        ),
    ],
)
def test_the_columns_of_a_tools_table_are_known(tmp_path, content, expected):
    assert row(Read(tmp_path, content)) == expected


APPLE = {
    "data": [{"id": "r1", "attributes": {"body": "It closes", "createdDate": "2026-02-13T10:00:00Z"}}],
    "links": {},
}
FEED = {"feed": {"entry": [{"id": {"label": "r1"}, "content": {"label": "It closes", "attributes": {"type": "text"}}}]}}
CHAT = {"type": "conversation.list", "conversations": [{"id": "r1", "source": {"id": "9", "body": "It closes"}}]}
LISTING = {"kind": "Listing", "data": {"children": [{"kind": "t1", "data": {"id": "r1", "body": "It closes"}}]}}
PARTS = {"messages": [{"id": "r1", "text": ["It ", {"type": "bold", "text": "closes"}]}, {"id": 2, "text": "Late"}]}


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(
    "value",
    [
        *(APPLE, FEED, CHAT, LISTING, [LISTING], PARTS),
        {"columns": ["id", "text"], "index": [0], "data": [["r1", "It closes"]]},
        {"id": {"0": "r1"}, "text": {"0": "It closes"}},
        {"r1": {"text": "It closes"}, "r2": {"text": "Late"}},
        [["id", "text"], ["r1", "It closes"]],
    ],
)
def test_json_as_interfaces_and_programs_write_it_is_rows(tmp_path, value, indent):
    read = Read(tmp_path, json.dumps(value, indent=indent), "a.json")
    assert (read.segments[0].own_id, read.segments[0].text) == ("r1", "It closes")


def test_an_array_of_texts_is_a_text_a_row_and_recognised_speech_has_its_times(tmp_path):
    assert Read(tmp_path, '["good one", "bad one"]', "a.json").texts == ["good one", "bad one"]
    speech = {"text": "How? Good.", "segments": [{"start": 0.0, "end": 2.0, "text": " How?"}]}
    read = Read(tmp_path, json.dumps(speech), "b.json")
    assert (read.texts, read.segments[0].metadata["end_s"]) == (["How?"], 2.0)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "Nombre del documento;Código;Segmento;Comentario;Autor\nInt 1;Acceso > Espera;una hora;ver;Ana\n",
            ("una hora", ("Espera",), "Ana", "Int 1", "ver"),
        ),
        (
            "Document name;Code;Segment;Author;Comment\nInt 1;Access > Wait;an hour;Ana;see\n",
            ("an hour", ("Wait",), "Ana", "Int 1", "see"),
        ),
        (
            'Media Title,Excerpt Creator,Excerpt Copy,Codes Applied Combined\nInt 1,Ana,an hour,"Access, Wait"\n',
            ("an hour", ("Access", "Wait"), "Ana", "Int 1", ""),
        ),
        (
            "Codename,Coded text,File name,Coder,Coded memo\nWait,an hour,Int 1,Ana,see\n",
            ("an hour", ("Wait",), "Ana", "Int 1", "see"),
        ),
        (
            "Hierarchical Name,Source Name,Coded Text,Coded By Initials\nNodes\\\\Wait,Int 1,an hour,Ana\n",
            ("an hour", ("Wait",), "Ana", "Int 1", ""),
        ),
        (
            'annotation_id,annotator,id,lead_time,topic,text\n1,Ana,7,3,"{""choices"":[""a"",""b""]}",an hour\n',
            ("an hour", ("a", "b"), "Ana", None, ""),
        ),
    ],
)
def test_coded_passages_of_more_programs_and_languages_are_read(tmp_path, content, expected):
    (tmp_path / "coded.csv").write_text(content)
    (row,) = read_label_file(tmp_path / "coded.csv").rows
    assert (row.text, row.codes, row.annotator, row.source, row.memo) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"id": 1, "text": "Rome is far", "entities": [{"label": "place", "start_offset": 0, "end_offset": 4}]}, "me"),
        ({"text": "Rome is far", "annotations": [{"label": "place", "user": 4}]}, "4"),
        ({"text": "Rome is far", "topic.responses": [["place"]], "topic.responses.users": ["ana"]}, "ana"),
        ({"text": "Rome is far", "prediction": None, "annotation": "place", "annotation_agent": "ana"}, "ana"),
        (
            {"fields": {"text": "Rome is far"}, "responses": {"topic": [{"value": "place", "user_id": "ana"}]}}
            | {"suggestions": {}},
            "ana",
        ),
    ],
)
def test_further_forms_of_doccano_and_argilla_give_codes_and_coders(tmp_path, value, expected):
    notes = (
        {"responses": value["responses"] | {"note": [{"value": "hm", "user_id": "ana"}]}} if "fields" in value else {}
    )
    (tmp_path / "a.jsonl").write_text(json.dumps(value | notes))
    (row,) = read_label_file(tmp_path / "a.jsonl", "" if expected != "me" else "me").rows
    assert (row.text, row.codes, row.annotator) == ("Rome is far", ("place",), expected)


def test_a_task_that_nobody_annotated_needs_no_coder(tmp_path):
    (tmp_path / "tasks.json").write_text(json.dumps(LABEL_STUDIO))
    sheet = read_label_file(tmp_path / "tasks.json")
    assert (sheet.uncoded, sheet.rejected) == (1, [])


def test_a_coded_passage_is_one_segment_whatever_codes_it_has(tmp_path):
    read = Read(tmp_path, MAXQDA)
    assert read.texts == ["two hours", "the nurse was kind"]
    assert [out.kind for out in read.left_out] == ["a passage with a further code"]
    assert {segment.source for segment in read.segments} == {"Interview 3"}
    assert "a table of MAXQDA" in read.remarks


def test_a_passages_codes_coder_memo_and_tree_are_read(tmp_path):
    (tmp_path / "coded.csv").write_text(MAXQDA)
    sheet = read_label_file(tmp_path / "coded.csv")
    assert [(each.text, each.codes, each.annotator, each.memo) for each in sheet.rows] == [
        ("two hours", ("Waiting",), "anna", "he means it"),
        ("two hours", ("Staff",), "ben", ""),
        ("the nurse was kind", ("Staff",), "ben", ""),
    ]
    assert sheet.themes == {"Waiting": "Access"}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Codes\\\\Access\\Waiting", "Access > Waiting"),
        *(("Access\\Waiting", "Access > Waiting"), ("Nodes\\\\Staff", "Staff"), ("Staff", "Staff"), (None, None)),
    ],
)
def test_a_path_with_backslashes_is_the_same_path(written, expected):
    assert tree_path(written) == expected


def test_nvivos_hierarchical_names_are_paths(tmp_path):
    content = "Name,Hierarchical Name,File Name,Coded Text\nWaiting,Codes\\\\Access\\Waiting,Int 1,two hours\n"
    (tmp_path / "coded.csv").write_text(content)
    sheet = read_label_file(tmp_path / "coded.csv", "ann")
    assert [each.codes for each in sheet.rows] == [("Waiting",)]
    assert sheet.themes == {"Waiting": "Access"}


LABEL_STUDIO = [
    {
        "id": 7,
        "data": {"review": "two hours", "channel": "mail"},
        "annotations": [
            {"completed_by": {"email": "anna@x"}, "result": [{"value": {"choices": ["waiting", "staff"]}}]},
            {"completed_by": 2, "result": [{"value": {"start": 0, "end": 3, "labels": ["number"]}}]},
            {"completed_by": 3, "was_cancelled": True, "result": []},
        ],
    },
    {"id": 8, "data": {"review": "the nurse"}, "annotations": []},
]
PRODIGY = [
    {"text": "two hours", "_task_hash": 2, "options": [{"id": "w", "text": "waiting"}], "accept": ["w"]}
    | {"answer": "accept", "_annotator_id": "anna", "meta": {"id": 7}},
    {"text": "the nurse", "_task_hash": 4, "label": "staff", "answer": "accept"},
    {"text": "rejected", "_task_hash": 6, "label": "staff", "answer": "reject"},
]
DOCCANO = [
    {"id": 7, "text": "two hours", "label": ["waiting", "staff"]},
    {"id": 8, "text": "Rome is far", "label": [[0, 4, "place"]]},
]
ARGILLA = [
    {"id": "7", "fields": {"text": "two hours"}, "suggestions": {}, "metadata": {"channel": "mail"}}
    | {"responses": {"label": [{"value": "waiting", "user_id": "anna", "status": "submitted"}]}},
    {"id": "8", "fields": {"text": "the nurse"}, "suggestions": []}
    | {"responses": [{"values": {"label": {"value": ["staff"]}}, "user_id": "ben", "status": "draft"}]},
]
EXPECTED = {
    "label_studio": [("7", ("waiting", "staff"), "anna@x"), ("7", ("number",), "2"), ("8", (), "me")],
    "prodigy": [("7", ("waiting",), "anna"), ("4", ("staff",), "me"), ("6", (), "me")],
    "doccano": [("7", ("waiting", "staff"), "me"), ("8", ("place",), "me")],
    "argilla": [("7", ("waiting",), "anna"), ("8", (), "me")],
}


@pytest.mark.parametrize("lines", [True, False])
@pytest.mark.parametrize(
    ("tool", "objects"),
    [("label_studio", LABEL_STUDIO), ("prodigy", PRODIGY), ("doccano", DOCCANO), ("argilla", ARGILLA)],
)
def test_an_annotation_tools_objects_give_ids_codes_and_coders(tmp_path, tool, objects, lines):
    content = "\n".join(map(json.dumps, objects)) if lines else json.dumps(objects, indent=1)
    (tmp_path / "coded.json").write_text(content)
    sheet = read_label_file(tmp_path / "coded.json", "me")
    assert [(each.key, each.codes, each.annotator) for each in sheet.rows] == EXPECTED[tool]
    assert not sheet.rejected


def test_an_annotation_tools_texts_are_ingested_with_what_else_is_said_of_them(tmp_path):
    read = Read(tmp_path, json.dumps(LABEL_STUDIO), "tasks.json")
    assert read.texts == ["two hours", "two hours", "the nurse"]
    assert read.segments[0].metadata["channel"] == "mail"
    assert read.segments[0].id == read.segments[1].id


def test_prodigys_answers_are_known_without_its_hashes(tmp_path):
    lines = [
        {"text": "We waited", "options": [{"id": "t", "text": "time"}], "accept": ["t"], "answer": "accept"},
        {"text": "Too dear", "accept": ["price"], "answer": "reject"},
        {"text": "Skipped", "accept": [], "answer": "ignore"},
    ]
    rows = [json.dumps(line | {"_annotator_id": "s-anna", "_timestamp": 1767225600}) for line in lines]
    (tmp_path / "p.jsonl").write_text("\n".join(rows), encoding="utf-8")
    sheet = read_label_file(tmp_path / "p.jsonl")
    assert [(row.codes, row.coded, row.annotator) for row in sheet.rows] == [
        (("time",), True, "s-anna"),
        ((), False, "s-anna"),
        ((), False, "s-anna"),
    ]
