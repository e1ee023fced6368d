"""Reddit's listings and dumps, in which posts, comments and what was deleted stand together."""

import json

import pytest

from tests.unit.files.reading.reader import Read

POST = {"id": "p1", "title": "Checkout broken?", "selftext": "It crashes every time", "created_utc": 1767225600.0}
ONLY_TITLE = {"id": "p2", "title": "Only a title", "selftext": "", "created_utc": 1767225700}
COMMENT = {"id": "c1", "body": "Same here", "created_utc": 1767225800, "author": "u2", "replies": ""}
GONE = {"id": "c2", "body": "[removed]", "created_utc": 1767225900}
TEXTS = ["It crashes every time", "Only a title", "Same here"]


def thing(kind, data):
    return {"kind": kind, "data": data}


def listing(*children):
    return thing("Listing", {"after": None, "children": list(children)})


@pytest.mark.parametrize(
    "content",
    [
        "\n".join(json.dumps(each) for each in (POST, ONLY_TITLE, COMMENT, GONE)),
        "\n".join(json.dumps(each) for each in (COMMENT, GONE, POST, ONLY_TITLE)),
        json.dumps([POST, COMMENT, ONLY_TITLE, GONE]),
        json.dumps(listing(thing("t3", POST), thing("t3", ONLY_TITLE), thing("t1", COMMENT), thing("t1", GONE))),
        json.dumps(
            [listing(thing("t3", POST), thing("t3", ONLY_TITLE)), listing(thing("t1", COMMENT), thing("t1", GONE))]
        ),
    ],
)
def test_posts_and_comments_of_one_file_are_all_read(tmp_path, content):
    read = Read(tmp_path, content, "reddit.json", leave_out_non_answers=True)
    assert sorted(read.texts) == sorted(TEXTS)
    assert len(read.left_out) == 1
    assert {time[:10] for time in read.times} == {"2026-01-01"}
    assert set(read.ids) == {"p1", "p2", "c1"}


def test_comments_below_comments_are_rows_and_those_that_were_not_sent_are_counted(tmp_path):
    deep = COMMENT | {"id": "c9", "body": "Reinstall helped", "replies": ""}
    above = COMMENT | {"replies": listing(thing("t1", deep))}
    more = thing("more", {"count": 3, "children": ["x", "y", "z"]})
    read = Read(tmp_path, json.dumps([listing(thing("t3", POST)), listing(thing("t1", above), more)]), "thread.json")
    assert read.texts == ["It crashes every time", "Same here", "Reinstall helped"]
    assert [left.kind for left in read.left_out] == ["comments that the file does not hold"]
    assert "replies" not in read.segments[1].metadata


@pytest.mark.parametrize("column", ["selftext", "title"])
def test_a_column_that_was_named_is_taken_all_the_same(tmp_path, column):
    content = "\n".join(json.dumps({**POST, "id": str(n)}) for n in range(2))
    assert Read(tmp_path, content, "posts.jsonl", text_column=column).texts == [POST[column]] * 2
