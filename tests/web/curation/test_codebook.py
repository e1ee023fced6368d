"""The codebook's pages: what a lead changes holds at once, is told with who and why, and can be had back."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from infra.storage.outcomes import Assigned, outcomes
from infra.storage.tables import requests
from models.codebook.themes import theme_id
from schemas import Annotation, AnnotationRequest, CodeEvent
from tests.web.site import HOSTILE, STUDY, book, code, fill, make_site, visit

BASE = f"/s/{STUDY}/codebook"


@pytest.fixture
def site(site):
    fill(site, 21)
    return site


def last(site, label):
    return str(book(site)[code(label)].last_event.id)


def change(client, site, label, action, /, **fields):
    """Send a form about a code, as its page would now."""
    form = {"cause": str(uuid4()), "last": last(site, label), "reason": "tidying", **fields}
    return client.post(f"{BASE}/codes/{code(label)}/{action}", data=form, follow_redirects=False)


def ok(response):
    assert response.status_code == 303, response.text[:2000]
    return response


def test_codes_are_listed_with_their_segments_by_theme_and_found_by_words(site, lead):
    page = lead.get(BASE).text
    assert page.count("<h1>") == 1
    assert all(label in page for label in ("slow checkout", "good advice"))
    found = lead.get(f"{BASE}?q=login").text
    assert "login fails" in found
    assert "good advice" not in found
    assert "Nothing matches" in lead.get(f"{BASE}?q=zebra").text


def test_a_segment_with_two_codes_of_a_theme_counts_as_two_codings_of_it(site, lead):
    made = {"cause": str(uuid4()), "level": "theme", "label": "speed", "parent": ""}
    ok(lead.post(f"{BASE}/new", data=made, follow_redirects=False))
    theme = theme_id(STUDY, "speed")
    labels = ["slow checkout", "login fails"]
    for label in labels:
        ok(change(lead, site, label, "move", theme=str(theme)))
    for segment in fill(site, 40):
        word = {"segment_id": segment.id, "study": STUDY, "annotator": "ana", "decided_at": site.clock.now()}
        site.store.record([Annotation(**word, labels=labels, code_ids=[code(each) for each in labels])])
    assert "80 codings" in lead.get(BASE).text
    assert "80 codings" in lead.get(f"{BASE}/codes/{theme}").text


def test_an_empty_study_says_what_to_do(tmp_path):
    site = make_site(tmp_path)
    lead = visit(site, "lead")
    assert "No codes yet" in lead.get(BASE).text
    assert "No changes by people yet" in lead.get(f"{BASE}/history").text
    site.store.close()


def test_a_code_is_made_defined_moved_and_renamed_and_its_page_tells_who_and_why(site, lead):
    made = {"cause": str(uuid4()), "level": "theme", "label": "speed", "parent": ""}
    ok(lead.post(f"{BASE}/new", data=made, follow_redirects=False))
    theme = theme_id(STUDY, "speed")
    made = {"cause": str(uuid4()), "label": "slow start", "parent": str(theme), "examples": "so slow\r\n\r\nit hangs"}
    where = ok(lead.post(f"{BASE}/new", data=made, follow_redirects=False)).headers["location"]
    assert where == f"{BASE}/codes/{code('slow start')}?done=created"
    ok(change(lead, site, "slow checkout", "move", theme=str(theme)))
    ok(change(lead, site, "slow checkout", "define", definition="Paying takes long", inclusion="waiting"))
    ok(change(lead, site, "slow checkout", "rename", label="slow payment", reason="clearer"))
    now = book(site)[code("slow checkout")]
    assert (now.label, now.parent, now.definition, now.inclusion) == (
        "slow payment",
        theme,
        "Paying takes long",
        "waiting",
    )
    assert book(site)[code("slow start")].examples == ("so slow", "it hangs")
    page = lead.get(f"{BASE}/codes/{now.id}?done=rename").text
    for said in ("Paying takes long", "renamed to “slow payment”", "clearer", "ana", "speed", "It holds for the next"):
        assert said in page
    assert "slow payment" in lead.get(f"{BASE}/codes/{theme}").text
    assert [one for one in site.store.top_codes(STUDY, 9) if one[0] == "slow payment"] == [("slow payment", 3)]
    assert site.outbox.backlog() == 5


def test_a_label_that_another_code_has_is_refused_and_what_was_typed_stays(site, lead):
    refused = change(lead, site, "slow checkout", "rename", label="Login Fails")
    assert refused.status_code == 422
    assert "There is a code &#39;login fails&#39; already" in refused.text
    assert 'value="Login Fails"' in refused.text
    again = lead.post(f"{BASE}/new", data={"cause": str(uuid4()), "label": "login fails", "definition": "mine"})
    assert again.status_code == 422
    assert "mine</textarea>" in again.text
    assert site.outbox.backlog() == 0


def test_what_somebody_else_changed_meanwhile_is_shown_and_not_overwritten(site, lead):
    seen = last(site, "slow checkout")
    ok(change(visit(site, "lead", name="ben"), site, "slow checkout", "rename", label="payment"))
    late = change(lead, site, "slow checkout", "rename", label="checkout", last=seen)
    assert late.status_code == 409
    assert "was changed by ben while you had it open (renamed)" in late.text
    assert book(site)[code("slow checkout")].label == "payment"


@pytest.fixture(params=["sqlite", "postgresql"])
def pages(request, tmp_path):
    """Two pages over one store, each as a process of its own has it."""
    shared = {}
    if request.param == "postgresql":
        shared["database_url"] = request.getfixturevalue("postgresql_url")
    pages = [make_site(tmp_path, **shared) for _ in range(2)]
    pages[0].store.reset()
    fill(pages[0], 21)
    yield pages
    for page in pages:
        page.store.close()


def test_of_two_pages_that_change_one_code_at_once_the_second_sees_what_the_first_did(pages):
    gate = threading.Barrier(2)
    clients = [visit(page, "lead", name=name) for page, name in zip(pages, ("ana", "ben"), strict=True)]

    def rename(client, cause, seen, label):
        form = {"cause": cause, "last": seen, "label": label}
        gate.wait()
        return client.post(f"{BASE}/codes/{code('slow checkout')}/rename", data=form, follow_redirects=False)

    for client in clients:
        assert client.get(BASE).status_code == 200  # the routes are built by the first request, and not by two at once
    for turn in range(8):
        seen = last(pages[0], "slow checkout")
        with ThreadPoolExecutor(2) as pool:
            sent = [
                pool.submit(rename, client, str(uuid4()), seen, f"turn {turn} {n}") for n, client in enumerate(clients)
            ]
            assert sorted(each.result().status_code for each in sent) == [303, 409]
    renamed = [each for each in pages[1].store.code_events(STUDY) if each.kind == "renamed"]
    assert len(renamed) == 8
    assert len({each.at for each in renamed}) == 8


def test_a_form_that_is_sent_twice_is_one_change(site, lead):
    form = {"cause": str(uuid4()), "last": last(site, "slow checkout"), "label": "payment"}
    for _ in range(2):
        ok(lead.post(f"{BASE}/codes/{code('slow checkout')}/rename", data=form, follow_redirects=False))
    assert site.outbox.backlog() == 1


def test_a_merge_says_how_many_segments_move_moves_them_and_undo_brings_them_back(site, lead):
    here = f"{BASE}/codes/{code('login fails')}"
    page = lead.get(f"{here}/merge?q=crashes").text
    assert "3 segments with “login fails”" in page
    assert str(code("app crashes")) in page
    assert str(code("good advice")) not in page
    ok(change(lead, site, "login fails", "merge", into=str(code("app crashes"))))
    assert dict(site.store.top_codes(STUDY, 9))["app crashes"] == 6
    assert "It was merged into" in lead.get(here).text
    assert lead.get(f"{BASE}/codes/{code('app crashes')}").text.count("login fails, ") == 3  # their texts
    event = next(one for one in site.store.code_events(STUDY) if one.kind == "merged")
    ok(change(lead, site, "login fails", "undo", event=str(event.id)))
    assert dict(site.store.top_codes(STUDY, 9))["login fails"] == 3
    page = lead.get(here).text
    assert "took back: merged into “app crashes”" in page
    again = change(lead, site, "login fails", "undo", event=str(event.id))
    assert again.status_code == 422
    assert "is taken back already" in again.text


def test_a_codes_page_tells_what_became_it_and_takes_that_back(site, lead):
    ok(change(lead, site, "login fails", "merge", into=str(code("app crashes"))))
    ok(change(lead, site, "slow checkout", "split", parts="app crashes\npayment"))
    page = lead.get(f"{BASE}/codes/{code('app crashes')}").text
    history = page[page.index('id="history"') :]
    for was, words in (("login fails", "merged into “app crashes”"), ("slow checkout", "split into “app crashes”")):
        assert re.search(f">{was}</a>: {words}", history)
        (form,) = re.findall(f'action="({BASE}/codes/{code(was)}/undo)">(.*?)</form>', history, re.S)
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[1]))
        ok(lead.post(form[0], data=fields, follow_redirects=False))
        assert book(site)[code(was)].active
    history = lead.get(f"{BASE}/codes/{code('app crashes')}").text
    assert "took back: merged into “app crashes”" in history


def test_a_split_places_segments_by_hand_asks_people_about_the_rest_and_leaves_some(site, lead):
    here = f"{BASE}/codes/{code('login fails')}"
    page = lead.get(f"{here}/split", params={"parts": "password wrong\nlogin fails\npassword  wrong"}).text
    offered = re.findall(r'value="([0-9a-f-]{36})=0"', page)
    assert len(offered) == 3
    first, second, third = (UUID(one) for one in offered)
    place = [f"{first}=0", f"{second}=", f"{third}=leave"]
    parts = "password wrong\nno mail"
    ok(change(lead, site, "login fails", "split", parts=parts, place=place, rest="again"))
    (said,) = site.store.history(Annotation, STUDY)
    assert (said.segment_id, said.code_ids, said.labels) == (first, [code("password wrong")], ["password wrong"])
    assert (said.annotator, said.kind, said.shown, said.accepted) == ("ana", "adjudication", "login fails", False)
    assert said.text
    assert said.memo == "tidying"
    asked = [one for one in site.store.history(AnnotationRequest, STUDY) if one.reason == "asked again"]
    assert [(one.segment_id, one.author, one.why) for one in asked] == [(second, "ana", "tidying")]
    with site.store.database.reading() as connection:
        settled = outcomes(connection, {first: Assigned(code("login fails"), "login fails")})
        lacks = connection.execute(select(requests.c.lacks).where(requests.c.segment_id == second)).scalar_one()
    assert [one.label for one in settled[first].codes] == ["password wrong"]
    assert lacks == 1
    assert not book(site)[code("login fails")].active


def test_a_split_into_one_is_refused_with_its_parts_kept(site, lead):
    refused = change(lead, site, "login fails", "split", parts="password wrong")
    assert refused.status_code == 422
    assert "is split into 1 code" in refused.text
    assert ">password wrong</textarea>" in refused.text


def test_a_retired_code_is_listed_apart_and_restored(site, lead):
    ok(change(lead, site, "login fails", "retire"))
    assert "login fails" not in lead.get(BASE).text
    assert "login fails" in lead.get(f"{BASE}?show=ended").text
    ok(change(lead, site, "login fails", "restore"))
    assert "login fails" in lead.get(BASE).text


def test_two_versions_are_compared_and_the_earlier_one_is_restored(site, lead):
    then = max(one.at for one in site.store.code_events(STUDY)).isoformat()
    before = {one.id: (one.label, one.active) for one in book(site).values()}
    ok(change(lead, site, "login fails", "rename", label="no login"))
    ok(change(lead, site, "app crashes", "merge", into=str(code("login fails"))))
    ok(lead.post(f"{BASE}/new", data={"cause": str(uuid4()), "label": "brand new"}, follow_redirects=False))
    page = lead.get(f"{BASE}/compare", params={"then": then}).text
    for said in ("renamed", "merged", "added", "no login", "brand new", "Restore this version"):
        assert said in page
    between = lead.get(f"{BASE}/compare", params={"then": then, "now": then}).text
    assert "Nothing is different" in between
    assert lead.get(f"{BASE}/compare?then=yesterdayish").status_code == 422
    form = {"cause": str(uuid4()), "then": then, "reason": "a mistake"}
    ok(lead.post(f"{BASE}/history", data=form, follow_redirects=False))
    assert {one.id: (one.label, one.active) for one in book(site).values() if one.id in before} == before
    assert not book(site)[code("brand new")].active
    refused = lead.post(f"{BASE}/history", data=form | {"cause": str(uuid4())})
    assert refused.status_code == 422
    assert "there is nothing to restore" in refused.text
    history = lead.get(f"{BASE}/history").text
    assert "a mistake" in history
    assert "refiner@1" not in history
    assert "refiner@1" in lead.get(f"{BASE}/history?show=all").text


@pytest.mark.parametrize("role", ["viewer", "annotator"])
def test_only_a_lead_changes_the_codebook_others_read_it(site, role):
    client = visit(site, role, name=role)
    here = f"{BASE}/codes/{code('login fails')}"
    for address in (BASE, here, f"{BASE}/history"):
        page = client.get(address)
        assert page.status_code == 200
        assert 'action="' + here not in page.text
        assert "New code" not in page.text
    for address in (f"{BASE}/new", f"{here}/merge", f"{here}/split"):
        assert client.get(address).status_code == 403
    assert change(client, site, "login fails", "retire").status_code == 403
    assert client.post(f"{BASE}/new", data={"cause": str(uuid4()), "label": "x"}).status_code == 403
    form = {"cause": str(uuid4()), "then": "2026-01-01"}
    assert client.post(f"{BASE}/history", data=form).status_code == 403


def test_what_is_not_there_is_said_in_one_line(site, lead):
    assert lead.get(f"{BASE}/codes/{uuid4()}").status_code == 404
    lost = {"cause": str(uuid4()), "last": str(uuid4()), "label": "x"}
    assert lead.post(f"{BASE}/codes/{uuid4()}/rename", data=lost).status_code == 404
    assert change(lead, site, "login fails", "merge").status_code == 422
    assert change(lead, site, "login fails", "move", theme="nonsense").status_code == 422


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_a_code_is_called_and_said_to_mean_stays_text(site, lead, text):
    said = " ".join(text.replace("\0", " ").split())
    event = CodeEvent.model_validate(
        {"id": uuid4(), "code_id": code("login fails"), "study": STUDY, "kind": "renamed", "label": text[:120]}
        | {"author": text[:120], "at": site.clock.now(), "reason": text}
    )
    site.write([event])
    defined = change(lead, site, "login fails", "define", definition=said, examples=said)
    assert defined.status_code == 303
    here = f"{BASE}/codes/{code('login fails')}"
    then = event.at.isoformat()
    for address in (BASE, here, f"{here}/merge?q={said[:9]}", f"{here}/split?parts=a", f"{BASE}/history"):
        assert_harmless(lead.get(address).text)
    assert_harmless(lead.get(f"{BASE}/compare", params={"then": then}).text)


def assert_harmless(page):
    main = page.split("<main", 1)[1]
    for tag in ("<script", "<img", "<iframe", "<svg", "<style", "<base", "<math", "<b hx", '<a href="javascript'):
        assert tag not in main.split("</main>")[0].lower()
    assert not re.search(r"<[^>]* on\w+=", re.sub(r'"[^"]*"', '""', main))
