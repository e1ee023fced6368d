"""Texts over HTTP and on the page: what may be sent, what is refused and why, and a study that begins with a file."""

import json

import pytest

from schemas import Segment, StudyRules
from schemas.ids import segment_id
from tests.web.site import STUDY, make_site, nobody, visit

PATH = "/api/v1/studies/lifts/segments"
ROW = {"text": "the lift is broken", "id": "7", "timestamp": "2026-03-01T12:00:00Z", "metadata": {"floor": 3}}


@pytest.fixture
def site(tmp_path):
    made = make_site(tmp_path, intake_backlog=100)
    yield made
    made.store.close()


@pytest.fixture
def send(site):
    account = site.accounts.create("program")
    site.accounts.grant(account, "*", "lead")
    token = site.accounts.keys.make_token(account, "sends", scopes=["ingest"])

    def post(body, kind="application/json", path=PATH):
        content = body if isinstance(body, str | bytes) else json.dumps(body)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
        return nobody(site).post(path, content=content, headers=headers)

    return post


LINES = "\n".join([json.dumps(ROW), "", "{no json", "7", json.dumps({"text": ""}), json.dumps({"text": "b"})])
TABLE = '\ufefftext,id,timestamp,floor\n"the lift, is broken",7,01.03.2026 12:00,3\nx,8,never,\ny,9,,,too many\n'


@pytest.mark.parametrize(
    ("body", "kind", "new", "refused"),
    [
        (ROW, "application/json", 1, []),
        ([ROW, {"text": "b"}], "application/json; charset=utf-8", 2, []),
        ({"segments": [ROW, {"txt": "b"}, "c"]}, "application/json", 1, [1, 2]),
        (LINES, "application/x-ndjson", 2, [1, 2, 3]),
        (LINES, "application/jsonl", 2, [1, 2, 3]),
        (TABLE, "text/csv", 1, [1, 2]),
    ],
)
def test_segments_come_in_whatever_form_once_and_each_that_cannot_is_named(site, send, body, kind, new, refused):
    for fresh in (new, 0):
        answer = send(body, kind)
        assert answer.status_code == 202, answer.text
        taken = answer.json()
        assert (taken["new"], [each["index"] for each in taken["refused"]]) == (fresh, refused)
        assert all(each["detail"] for each in taken["refused"])
        assert [n for n, each in enumerate(taken["ids"]) if each is None] == refused
    (first, *_) = site.store.history(Segment, "lifts")
    assert str(first.id) == taken["ids"][0] == str(segment_id("lifts", "api", "7"))
    assert (first.timestamp is not None, str(first.metadata["floor"])) == (True, "3")


BAD = {"text": "b", "stars": 3}


@pytest.mark.parametrize(
    ("body", "kind", "reasons"),
    [
        ({"txt": "b"}, "application/json", ["text: Field required"]),
        ([BAD, {"text": ""}, 7], "application/json", ["stars: no such field", "text: String", "int found"]),
        ({"segments": [BAD]}, "application/json", ["stars: no such field"]),
        (json.dumps(BAD), "application/x-ndjson", ["stars: no such field"]),
        ("{no json\n7\n", "application/jsonl", ["no JSON", "int found"]),
        ("text,timestamp\nx,never\ny,2026-03-01,too many\n", "text/csv", ["timestamp: 'never'", "1 more cells"]),
        ('text\n""\n', "text/csv", ["text: Field required"]),
    ],
)
def test_where_every_row_is_refused_the_whole_request_is_with_the_reason_of_each(site, send, body, kind, reasons):
    answer = send(body, kind)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["detail"].startswith("the segment is refused" if len(reasons) == 1 else "all ")
    assert [each["index"] for each in problem["refused"]] == list(range(len(reasons)))
    for each, reason in zip(problem["refused"], reasons, strict=True):
        assert each["detail"].startswith(reason)
    assert site.store.counts("lifts").taken_in == 0


def test_known_segments_alone_are_no_refusal(send):
    assert [send(ROW).status_code for _ in range(2)] == [202, 202]
    assert send({**ROW, "text": "another"}).status_code == 202


def test_the_schema_says_what_is_answered_where_nothing_is_taken(site):
    described = nobody(site).get("/api/v1/openapi.json").json()
    answers = described["paths"]["/api/v1/studies/{study}/segments"]["post"]["responses"]
    named = [answers[status]["content"]["application/json"]["schema"]["$ref"] for status in ("202", "422")]
    assert [name.rpartition("/")[2] for name in named] == ["Taken", "NothingTaken"]
    assert described["components"]["schemas"]["NothingTaken"]["properties"].keys() == {"detail", "refused"}


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ("{", "application/json", 422),
        ("[]", "application/json", 422),
        ("7", "application/json", 422),
        ('{"segments": [], "more": 1}', "application/json", 422),
        (b"\xff", "application/json", 422),
        ("", "application/x-ndjson", 422),
        ("txt\nx\n", "text/csv", 422),
        ('text\n"x', "text/csv", 422),
        ("text\n" + "x\n" * 5001, "text/csv", 422),
        ("<a/>", "application/xml", 415),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_whole(site, send, body, kind, status):
    answer = send(body, kind)
    assert (answer.status_code, bool(answer.json()["detail"])) == (status, True)
    assert site.store.counts("lifts").taken_in == 0


def test_an_attribute_beside_the_fields_is_refused_and_told_where_it_goes(site, send):
    (refused,) = send({**ROW, "stars": 3}).json()["refused"]
    assert refused["detail"] == "stars: no such field; attributes go under 'metadata'"


def test_a_known_id_with_another_text_is_counted_and_the_old_text_stays(site, send):
    send(ROW)
    answer = send({**ROW, "text": "another"}).json()
    assert answer | {"ids": []} == {"ids": [], "new": 0, "changed": 1, "masked": 0, "refused": []}
    assert [each.text for each in site.store.history(Segment, "lifts")] == [ROW["text"]]


def test_while_too_much_waits_more_is_refused_for_a_while(site, send):
    assert send([{"text": f"text {n}"} for n in range(100)]).status_code == 202
    answer = send(ROW)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
    site.store.mark_published([each.id for each in site.store.unpublished(100)])
    assert send(ROW).status_code == 202


def test_a_token_that_was_not_made_for_it_sends_nothing(site):
    account = site.accounts.create("reader")
    site.accounts.grant(account, "*", "lead")
    token = site.accounts.keys.make_token(account, "reads", scopes=["read"])
    assert nobody(site).post(PATH, json=ROW, headers={"Authorization": f"Bearer {token}"}).status_code == 403


@pytest.mark.parametrize(("path", "words"), [("/healthz", "ok"), ("/readyz", "ready")])
def test_a_probe_is_answered_under_any_name_without_signing_in(site, path, words):
    answer = nobody(site).get(path, headers={"Host": "10.0.0.7:8642"})
    assert (answer.status_code, answer.text) == (200, words)


def begin(client, name, file=("texts.csv", b"text,city\nthe lift hangs,Graz\n"), **form):
    return client.post("/studies/new", data={"name": name, **form}, files={"file": file})


def test_a_study_begins_with_a_file_that_was_looked_at_first(site):
    client = visit(site, "lead", study="")
    page = begin(client, "new lifts")
    assert "the lift hangs" in page.text
    assert "Attributes: city" in page.text
    assert site.store.counts("new lifts").taken_in == 0
    confirm = page.text.partition('action="/s/new%20lifts/texts/')[2].partition('"')[0]
    client.post(f"/s/new lifts/texts/{confirm}")
    (segment,) = site.store.history(Segment, "new lifts")
    assert segment.metadata == {"city": "Graz"}
    assert begin(client, "new lifts").status_code == 422
    assert begin(client, "a/b").status_code == 422


INTERVIEW = b"Anna: How was it?\nMara: Long, and quiet.\nAnna: And then?\nMara: I went home.\n"


def confirm(client, page, study, **form):
    token = page.text.partition(f'action="/s/{study}/texts/')[2].partition('"')[0]
    return client.post(f"/s/{study}/texts/{token}", data=form)


@pytest.mark.parametrize(
    ("file", "looks", "chosen", "rules"),
    [
        (("a.txt", INTERVIEW), "interviews", "interviews", ("people", "mixed")),
        (("a.txt", INTERVIEW), "interviews", "reviews", ("suggest", "inductive")),
        (("a.csv", b"text,stars\nthe lift hangs,1\nslow,2\n"), "reviews", "reviews", ("suggest", "inductive")),
        (("a.csv", b"text,turn\nlong,1\nquiet,2\n"), "interviews", "interviews", ("people", "mixed")),
    ],
)
def test_a_study_is_asked_what_it_holds_and_gets_the_rules_of_that(site, file, looks, chosen, rules):
    client = visit(site, "lead", study="")
    page = begin(client, "fresh", file)
    assert f'value="{looks}" checked' in page.text
    landed = confirm(client, page, "fresh", kind=chosen)
    assert landed.url.path == "/s/fresh/"
    (written,) = site.store.history(StudyRules, "fresh")
    assert (written.mode, written.coding_mode, written.author) == (*rules, "ana")
    assert site.store.counts("fresh").taken_in == 2


def test_a_study_that_has_segments_or_rules_is_not_asked_again(site):
    client = visit(site, "lead", study="")
    confirm(client, begin(client, "fresh"), "fresh", kind="interviews")
    more = client.post("/s/fresh/texts", files={"file": ("b.csv", b"text\nanother\n")})
    assert "What does this study hold?" not in more.text
    confirm(client, more, "fresh", kind="reviews")
    assert [rules.mode for rules in site.store.history(StudyRules, "fresh")] == ["people"]
    site.write([StudyRules(study="ruled", author="ana", at=site.clock.now())])
    assert "What does this study hold?" not in begin(client, "ruled").text


def test_a_token_for_texts_alone_sets_no_rules(site):
    client = visit(site, "lead", study="")
    page = begin(client, "fresh")
    token = site.accounts.keys.make_token(site.accounts.all()[0].id, "sends", scopes=["ingest"])
    upload = page.text.partition('action="/s/fresh/texts/')[2].partition('"')[0]
    sender = nobody(site)
    answer = sender.post(
        f"/s/fresh/texts/{upload}", data={"kind": "interviews"}, headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 403
    assert site.store.counts("fresh").taken_in == 0


def test_another_column_is_named_and_previewed_again(site):
    client = visit(site, "lead", study="")
    page = begin(client, "x", ("t.csv", b"text,words\nshort,the lift hangs again\n"), text_column="words")
    assert "the lift hangs again" in page.text


@pytest.mark.parametrize(("interviewer", "segments"), [("", 2), ("Mara", 2), ("none", 4)])
def test_the_interviewer_is_named_on_the_page(site, interviewer, segments):
    client = visit(site, "lead", study="")
    page = begin(client, "fresh", ("a.txt", INTERVIEW), interviewer=interviewer)
    assert f"Take in {segments} segments" in page.text
    assert ("Anna: How was it" in page.text, "<td>How was it?" in page.text) == (False, interviewer != "")


def test_rules_come_before_the_first_segment(site):
    client = visit(site, "lead", study="")
    assert client.get("/studies/empty?name=soon").url.path == "/s/soon/rules"
    assert visit(site, "lead", name="ben").get("/studies/new").status_code == 403
    assert STUDY not in client.get("/").text
