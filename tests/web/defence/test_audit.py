"""The audit log: whatever changes something or carries data away is in it, with who, when and from where."""

import json

import pytest

from infra.accounts.audit import NOBODY, AuditFilter
from models.fakes import HandClock
from tests.web.poison import poison
from tests.web.routes import NEEDED
from tests.web.site import STUDY, make_site, nobody, visit
from tests.web.test_access import GOOD, OTHER, address, send, sign_in

CARRIED = [name for name in NEEDED if name.startswith("GET") and ("/export/" in name or name.endswith((".jsonl", "v")))]
UNNAMED = ("POST /signin", "POST /setup/{secret}", "POST /language", "POST /account/language")
"""By nobody yet, or of nothing but how somebody reads."""
CHANGES = [name for name in NEEDED if not name.startswith("GET") and name not in UNNAMED]


@pytest.fixture
def site(tmp_path):
    made = make_site(tmp_path, clock=HandClock())
    poison(made, [f"plain text {k}" for k in range(3)])
    yield made
    made.store.close()


def entries(site, **narrowed):
    return site.audit.newest(AuditFilter(**narrowed), 1_000)


@pytest.mark.parametrize("name", [*CHANGES, *CARRIED])
def test_what_somebody_does_is_written_down_with_who_and_where_and_how_it_ended(site, name):
    answer = send(visit(site, "admin", study="", name="ada", client=("203.0.113.7", 1)), name)
    (entry,) = entries(site)
    assert (entry.actor, entry.by, entry.action, entry.status) == ("ada", "session", name, answer.status_code)
    assert (entry.address, entry.at) == ("203.0.113.7", site.clock.now())
    assert entry.scope == (STUDY if "{study}" in name else None)


@pytest.mark.parametrize("name", [name for name in CHANGES if "{study}" in name])
def test_what_was_refused_is_written_down_too_and_a_token_s_deeds_under_its_owner(site, name):
    account = site.accounts.create("program")
    token = {"Authorization": f"Bearer {site.accounts.keys.make_token(account, 'nightly')}"}
    assert send(visit(site, None, name="vic"), name).status_code == 403
    assert send(nobody(site), name, headers=token).status_code == 403
    assert [(entry.actor, entry.by, entry.status) for entry in entries(site)] == [
        ("program", "token", 403),
        ("vic", "session", 403),
    ]


def test_sign_ins_are_there_with_the_account_that_was_meant_and_nothing_that_was_typed(site):
    site.accounts.set_password(site.accounts.create("ana"), GOOD)
    sign_in(site)
    sign_in(site, name="ANA", password=OTHER)
    sign_in(site, name="my secret password", password=OTHER)
    told = [(entry.actor, entry.subject, entry.status) for entry in entries(site, action="POST /signin")]
    assert told == [(NOBODY, "", 422), (NOBODY, "ana", 422), ("ana", "ana", 303)]


def test_no_secret_of_a_link_or_token_is_there(site):
    ada = visit(site, "admin", study="", name="ada")
    link = ada.post("/people", data={"name": "ben", "role": "viewer"}).text.partition("/setup/")[2][:43]
    ada.get(f"/setup/{link}")
    ada.post(f"/setup/{link}", data={"password": GOOD, "again": GOOD})
    lines = visit(site, "admin", study="", name="bob").get("/audit.jsonl").text
    assert "ben: viewer in *" in lines
    assert link not in lines
    assert GOOD not in lines


def test_a_flood_of_strangers_does_not_fill_it(site):
    for name in CHANGES:
        send(nobody(site), name)
    for _ in range(30):
        sign_in(site, name="ana", password=OTHER)
    assert len(entries(site)) == 5


def test_the_page_shows_narrows_and_turns_and_the_file_has_everything(site):
    for n in range(150):
        site.audit.add("ana" if n % 2 else "<b>ben</b>", "session", "POST /x", scope=STUDY, subject=f"number {n}.")
    ada = visit(site, "admin", study="", name="ada")
    first = ada.get("/audit", params={"scope": STUDY})
    assert "number 149." in first.text
    assert "number 50." in first.text
    assert "number 49." not in first.text
    assert "&lt;b&gt;ben&lt;/b&gt;" in first.text
    later = first.text.partition('href="/audit?')[2].partition('"')[0].replace("&amp;", "&")
    assert "number 49." in ada.get(f"/audit?{later}").text
    assert "number 148." not in ada.get("/audit", params={"actor": "ana"}).text
    lines = [json.loads(line) for line in ada.get("/audit.jsonl").text.splitlines()]
    assert [line["subject"] for line in lines[:2]] == ["number 0.", "number 1."]
    assert lines[0]["at"].endswith("+00:00")


def test_a_reset_keeps_it(site):
    send(visit(site, "admin", study="", name="ada"), "POST /s/{study}/rules")
    site.store.reset()
    assert len(entries(site)) == 1
    assert address("GET /audit") == "/audit"
