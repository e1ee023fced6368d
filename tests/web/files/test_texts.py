"""Texts brought in on the page: shown as they are understood, taken in when somebody says yes."""

import re

from tests.web.site import STUDY, visit

DUTCH_DAYS = "id,date,comment\n1.0,03/04/2026,café is loud\n2.0,13/04/2026,n/a\n3.0,14/04/2026,kind staff\n"


def upload(client, body, name="answers.csv", **form):
    body = body.encode() if isinstance(body, str) else body
    return client.post(f"/s/{STUDY}/texts", data=form, files={"file": (name, body)}, follow_redirects=False)


def confirm(client, page):
    action = re.search(rf'action="(/s/{STUDY}/texts/[0-9a-f-]+)"', page.text)[1]
    return client.post(action, follow_redirects=False)


def kept(site):
    return {row["own_id"]: (row["text"], row["timestamp"]) for row in site.store.rows(STUDY)}


def test_a_file_is_shown_as_it_is_understood_and_nothing_is_taken_in(site):
    page = upload(visit(site, "lead"), DUTCH_DAYS)
    assert page.status_code == 200
    assert "the day comes first in dates such as 03/04/2026" in page.text
    assert "no answer in &#39;comment&#39;" in page.text
    assert "café is loud" in page.text
    assert kept(site) == {}


def test_a_date_stays_that_day_and_a_time_without_a_zone_as_it_was_written(site):
    client = visit(site, "lead")
    page = upload(
        client, "id;text;date\n1;dear;2026-11-03\n2;late;03.11.2026 18:57\n3;zoned;2026-11-04T00:30:00+01:00\n"
    )
    confirm(client, page)
    there = client.get(f"/s/{STUDY}/segments", params={"since": "2026-11-03", "until": "2026-11-03"})
    shown = {"day": ["2026-11-03"], "time": ["2026-11-03 18:57 UTC", "2026-11-03 23:30 UTC"]}
    for each in (page, there):
        assert {kind: sorted(re.findall(rf'data-kept="{kind}">([^<]*)<', each.text)) for kind in shown} == shown


def test_notes_of_how_a_text_is_read_are_no_attributes_in_the_preview(site):
    assert "Attributes: stars<" in upload(visit(site, "lead"), "id,text,stars\n1,<b>loud</b>,2\n").text


def test_what_was_shown_is_taken_in_when_somebody_says_yes(site):
    client = visit(site, "lead")
    assert confirm(client, upload(client, DUTCH_DAYS)).headers["location"].endswith("?taken=2&changed=0")
    assert {key: text for key, (text, _) in kept(site).items()} == {"1": "café is loud", "3": "kind staff"}


def test_a_known_id_with_another_text_is_said_and_the_old_one_kept(site):
    client = visit(site, "lead")
    confirm(client, upload(client, "id,text\n1,old\n"))
    answer = confirm(client, upload(client, "id,text\n1,new\n"))
    assert answer.headers["location"].endswith("?taken=0&changed=1")
    assert kept(site)["1"][0] == "old"
    assert "1 known id came with another text" in client.get(answer.headers["location"]).text


def test_an_interview_is_read_by_its_turns(site):
    client = visit(site, "lead")
    page = upload(client, "I: Why?\nB: Trust.\nI: And?\nB: Price.\n", "interview.txt")
    assert "&#39;I&#39; asks: left out" in page.text
    confirm(client, page)
    assert {text for text, _ in kept(site).values()} <= {"Trust.", "Price."}


def test_an_encoding_and_columns_are_taken_from_the_form(site):
    client = visit(site, "lead")
    body = "q1;q2\nгромко;дорого\n".encode("koi8-r")
    page = upload(client, body, text_column="q1, q2", encoding="koi8-r")
    assert "громко" in page.text
    assert "answers.csv: q2" in page.text


def test_a_program_takes_in_a_file_at_once_and_gets_figures(site):
    answer = upload(visit(site, "lead"), DUTCH_DAYS, at_once="true")
    figures = answer.json()
    assert {name: figures[name] for name in ("read", "new", "rejected", "left_out", "changed")} == {
        **{"read": 2, "new": 2, "rejected": 0},
        **{"left_out": 1, "changed": 0},
    }
    assert len(kept(site)) == 2


def test_a_file_that_cannot_be_read_says_why_in_one_line(site):
    answer = upload(visit(site, "lead"), b"a,b\n1,2\n")
    assert answer.status_code == 422
    assert (
        "answers.csv, line 1: no column of text among &#39;a&#39;, &#39;b&#39;; name it with “Column of the text”"
        in answer.text
    )


def test_an_upload_of_labels_is_no_upload_of_texts(site):
    client = visit(site, "lead")
    page = client.post(f"/s/{STUDY}/import", data={"coder": "ana"}, files={"file": ("l.csv", b"text,codes\na,b\n")})
    token = re.search(r"/import/([0-9a-f-]+)", page.text)
    token = token[1] if token else "00000000-0000-0000-0000-000000000000"
    answer = client.post(f"/s/{STUDY}/texts/{token}", follow_redirects=False)
    assert answer.status_code == 422


def test_labels_are_imported_in_the_encoding_and_with_the_separator_of_the_form(site):
    client = visit(site, "lead")
    form = {"coder": "ana", "encoding": "koi8-r", "separator": "/", "teach_unmatched": "true"}
    file = {"file": ("l.csv", "text,codes\nгромко,шум/люди\n".encode("koi8-r"))}
    page = client.post(f"/s/{STUDY}/import", data=form, files=file)
    assert page.status_code == 200
    assert "громко" in page.text
    assert ">шум<" in page.text
    assert ">люди<" in page.text
