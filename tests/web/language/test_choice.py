"""Which language a page is in: a person's own choice, their browser's, the setting's; whatever a stranger sends."""

import pytest

from infra.settings import load_settings
from infra.web.app import make_app
from infra.web.language.catalogs import languages
from infra.web.language.choice import COOKIE_NAME
from models.errors import SettingError
from tests.web.site import STUDY, make_site, nobody, visit

GERMAN, ENGLISH = '<html lang="de">', '<html lang="en">'


def page(client, header: str | None = None, path: str = "/signin") -> str:
    return client.get(path, headers={} if header is None else {"Accept-Language": header}).text


def test_a_persons_own_choice_comes_before_their_browsers_and_the_settings(tmp_path):
    site = make_site(tmp_path, web_language="de")
    client = nobody(site)
    assert GERMAN in page(client)
    assert ENGLISH in page(client, "en-GB,en;q=0.9")
    client.cookies.set(COOKIE_NAME, "de", domain="127.0.0.1")
    assert GERMAN in page(client, "en-GB,en;q=0.9")
    site.store.close()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("de", GERMAN),
        ("de-AT,de;q=0.9", GERMAN),
        ("DE", GERMAN),
        ("De-aT", GERMAN),
        ("de_DE", ENGLISH),
        ("fr,de;q=0.5,en;q=0.1", GERMAN),
        ("en;q=0.3,de;q=0.7", GERMAN),
        ("de;q=0,en", ENGLISH),
        ("de;q=0", ENGLISH),
        ("fr,it", ENGLISH),
        ("*", ENGLISH),
        ("en-US,en;q=0.9,de;q=0.8", ENGLISH),
    ],
)
def test_the_language_that_a_browser_wants_most_among_those_there_are(site, header, expected):
    assert expected in page(nobody(site), header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        ",;,;=",
        "de;q=nan",
        "de;q=inf",
        "de;q=-1",
        "../../de",
        "de/LC_MESSAGES",
        "<script>alert(1)</script>",
        "x" * 20_000,
        "de," * 9_000,
        "%00de",
    ],
)
def test_a_hostile_header_or_cookie_is_answered_as_any_other(site, header):
    client = nobody(site)
    answer = client.get("/signin", headers={"Accept-Language": header})
    assert answer.status_code == 200
    assert answer.headers["content-language"] in languages()
    sent = client.get("/signin", headers={"Cookie": f"{COOKIE_NAME}={header[:3_000].replace(';', '')}"})
    assert sent.status_code == 200
    assert ENGLISH in sent.text
    assert "alert(1)" not in sent.text


def test_an_answer_says_its_language_and_what_it_depends_on(site):
    answer = nobody(site).get("/signin", headers={"Accept-Language": "de"})
    assert answer.headers["content-language"] == "de"
    assert {"Cookie", "Accept-Language"} <= {name.strip() for name in answer.headers["vary"].split(",")}
    assert answer.headers["cache-control"] == "no-store"


def test_the_switch_keeps_a_language_and_goes_back_to_the_page(site):
    client = visit(site, "lead")
    back = f"/s/{STUDY}/segments?q=slow+checkout"
    assert f'name="next" value="{back}"' in client.get(back).text
    answer = client.post("/language", data={"language": "de", "next": back}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, back)
    assert "httponly" in answer.headers["set-cookie"].casefold()
    assert GERMAN in page(client, "en", back)
    client.post("/language", data={"language": "en", "next": back})
    assert ENGLISH in page(client, "de", back)


def test_the_language_of_an_account_comes_before_this_browsers(site):
    visit(site, "lead").post("/language", data={"language": "de"})
    elsewhere = visit(site, "lead")
    elsewhere.cookies.set(COOKIE_NAME, "en", domain="127.0.0.1")
    answer = elsewhere.get("/account", headers={"Accept-Language": "en"})
    assert GERMAN in answer.text
    assert answer.headers["content-language"] == "de"
    assert ENGLISH in page(nobody(site), "en")
    assert ENGLISH in page(visit(site, "lead", name="ben"), "en", "/account")


def test_a_refusal_is_in_the_language_of_the_account(site):
    client = visit(site, "viewer")
    client.post("/account/language", data={"language": "de"})
    refused = client.get("/people", headers={"Accept-Language": "en"})
    assert (refused.status_code, GERMAN in refused.text) == (403, True)


def test_an_account_may_leave_it_to_each_browser_again(site):
    client = visit(site, "lead")
    assert client.post("/account/language", data={"language": "de"}).status_code == 200
    assert '<option value="de" lang="de" selected>' in client.get("/account").text
    client.post("/account/language", data={"language": ""})
    assert ENGLISH in page(client, "en", "/account")
    assert client.post("/account/language", data={"language": "fr"}).status_code == 422


def test_a_language_that_is_not_there_any_more_is_passed_over(site):
    client = visit(site, "lead")
    site.accounts.set_language(site.accounts.named("ana").id, "xx")
    assert ENGLISH in page(client, "en", "/account")


def test_whoever_has_not_signed_in_may_switch_as_well(site):
    client = nobody(site)
    shown = client.get("/signin").text
    client.csrf = shown.partition('name="csrf" value="')[2].partition('"')[0]
    client.post("/language", data={"language": "de", "next": "/signin"})
    assert "Anmelden" in page(client)


@pytest.mark.parametrize("language", ["", "fr", "DE", "../de", "<b>"])
def test_a_language_that_there_is_none_of_is_refused_and_nothing_kept(site, language):
    client = visit(site, "lead")
    answer = client.post("/language", data={"language": language}, follow_redirects=False)
    assert answer.status_code == 422
    assert COOKIE_NAME not in client.cookies


@pytest.mark.parametrize(
    "onward", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_the_switch_leads_to_no_other_site(site, onward):
    answer = visit(site, "lead").post("/language", data={"language": "de", "next": onward}, follow_redirects=False)
    assert answer.headers["location"] == "/"


def test_a_switch_without_the_sessions_token_is_refused(site):
    client = visit(site, "lead")
    client.csrf = "another"
    assert client.post("/language", data={"language": "de"}, follow_redirects=False).status_code == 403


def test_switching_is_no_entry_of_the_audit_log(site):
    visit(site, "lead").post("/language", data={"language": "de"})
    assert "/language" not in visit(site, "admin", study="", name="ada").get("/audit.jsonl").text


def test_a_form_that_was_refused_is_switched_to_where_it_stands(site):
    client = visit(site, "lead")
    form = f"/s/{STUDY}/codebook/new"
    refused = client.post(form, data={"label": ""}, headers={"Referer": f"http://127.0.0.1:8642{form}?level=code"})
    assert f'name="next" value="{form}?level=code"' in refused.text


def test_a_setting_that_is_no_language_of_the_page_is_refused(tmp_path):
    site = make_site(tmp_path, web_language="xx")
    with pytest.raises(SettingError, match="QUALSTREAM_WEB_LANGUAGE is 'xx'; expected one of en, de"):
        make_app(site)
    site.store.close()


def test_a_language_is_a_word_and_no_path():
    with pytest.raises(SettingError, match="WEB_LANGUAGE"):
        load_settings(web_language="../de")
