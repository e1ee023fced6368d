"""Reddit's listings and dumps, YouTube's threads, Google Play's reviews: who wrote what, and below what."""

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


def comment(id_, text):
    return {"id": id_, "snippet": {"textOriginal": text, "publishedAt": "2026-01-01T00:00:00Z"}}


def thread(id_, text, *replies):
    above = {"id": id_, "snippet": {"videoId": "v", "topLevelComment": comment(id_, text)}}
    return above | ({"replies": {"comments": list(replies)}} if replies else {})


THREADS = [
    thread("a", "Far too quick"),
    thread("b", "Great examples", comment("b.1", "I agree"), comment("b.2", "Same for me")),
    thread("c", "Please add subtitles"),
]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("threads.json", json.dumps({"kind": "youtube#commentThreadListResponse", "items": THREADS})),
        ("threads.json", json.dumps(THREADS)),
        ("threads.json", json.dumps([{"items": THREADS[:2]}, {"items": THREADS[2:]}])),
        ("threads.jsonl", "\n".join(map(json.dumps, THREADS))),
        ("threads.jsonl", json.dumps(THREADS[1])),
    ],
)
def test_a_comment_with_replies_is_read_before_them(tmp_path, name, content):
    read = Read(tmp_path, content, name)
    expected = ["a", "b", "b.1", "b.2", "c"] if "c" in read.ids else ["b", "b.1", "b.2"]
    assert (read.ids, read.rejected) == (expected, [])
    assert read.texts[expected.index("b")] == "Great examples"


def test_rows_have_what_the_object_above_them_says_but_share_no_id(tmp_path):
    one = {"id": "r1", "date": "2026-03-01", "place": "Bonn", "answers": [{"text": "Too slow"}]}
    two = {"id": "r2", "date": "2026-03-02", "answers": [{"text": "Kind"}, {"text": "Loud", "date": "2026-04-01"}]}
    read = Read(tmp_path, json.dumps([one, two]), "answers.json")
    assert read.ids == ["r1", None, None]
    assert [time[:10] for time in read.times] == ["2026-03-01", "2026-03-02", "2026-04-01"]
    assert read.segments[0].metadata["place"] == "Bonn"


def test_a_review_of_google_play_is_what_its_user_wrote(tmp_path):
    user = {"text": "Logs me out", "lastModified": {"seconds": "1767225600", "nanos": 0}, "starRating": 1}
    reply = {"developerComment": {"text": "Sorry to hear", "lastModified": {"seconds": "1767999999"}}}
    reviews = [
        {"reviewId": "gp:1", "authorName": "X", "comments": [{"userComment": user}, reply]},
        {"reviewId": "gp:2", "authorName": "Y", "comments": [{"userComment": user | {"text": "Great"}}]},
    ]
    for content in (json.dumps({"reviews": reviews}), json.dumps({"data": {"reviews": reviews}}, indent=1)):
        read = Read(tmp_path, content, "play.json")
        assert (read.texts, read.ids) == (["Logs me out", "Great"], ["gp:1", "gp:2"])
        assert {time[:10] for time in read.times} == {"2026-01-01"}
        assert read.segments[0].metadata["developerComment"] == "Sorry to hear"
