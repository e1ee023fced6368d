"""Who may do what: every route against every role, and what every answer must and must not carry."""

import html
import re
from collections.abc import Iterator
from uuid import uuid4

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.routing import APIRoute

from infra.accounts.accounts import ROLES
from infra.accounts.audit import AuditFilter
from infra.accounts.keys import SCOPES
from infra.web.errors import local_path
from infra.web.guard import COOKIE, allowed_hosts, host_of
from infra.web.sessions import signing_key
from models.errors import InputError, SettingError, UnavailableError
from models.fakes import HandClock
from schemas import CodeEvent, StudyRules
from schemas.ids import code_event_id, code_id
from tests.web.poison import code_of, poison, segment_of
from tests.web.routes import ANYBODY, BY_HAND, ENDLESS, IN_PERSON, INGESTS, NEEDED, OPEN
from tests.web.site import BASE, STUDY, Visit, app_of, fill, make_site, nobody, visit

GOOD, OTHER = "correct horse battery", "four quiet green words"

# --- who may ---


def routes(app: FastAPI) -> dict[str, APIRoute]:
    """Every route by method and path, those of included routers too."""

    def walk(some) -> Iterator[APIRoute]:
        for each in some:
            if isinstance(each, APIRoute):
                yield each
            elif hasattr(each, "original_router"):
                yield from walk(each.original_router.routes)

    return {f"{method} {route.path}": route for route in walk(app.routes) for method in sorted(route.methods)}


def address(name: str, study: str = STUDY) -> str:
    """A route's path, with what its study really has."""
    values = {"study": study, "segment": str(segment_of(0)), "code": str(code_of(0)), "action": "rename"}
    values |= {
        "account": str(uuid4()),
        "alert": str(uuid4()),
        "rule": str(uuid4()),
        "span": str(uuid4()),
        "memo": str(uuid4()),
        "comment": str(uuid4()),
        "rating": str(uuid4()),
        "token": str(uuid4()),
        "secret": "nothing",
        "what": "labels.csv",
    }
    return name.partition(" ")[2].format(**values)


def send(client: Visit, name: str, **options):
    method, path = name.partition(" ")[0], address(name)
    if method == "GET":
        return client.get(path, follow_redirects=False, **options)
    return client.post(path, follow_redirects=False, **options)


def test_a_study_that_nobody_made_is_not_found_on_any_page_and_in_no_answer(site):
    client, missing = visit(site, "admin", study=""), []
    for name in routes(app_of(site)):
        if name.startswith("GET ") and "{study}" in name:
            missing += [name] if client.get(address(name, "nigths"), follow_redirects=False).status_code != 404 else []
    assert missing == []
    assert "There is no study &#39;nigths&#39;" in client.get("/s/nigths/").text
    assert client.get("/api/v1/studies/nigths/segments").json()["detail"].startswith("there is no study 'nigths'")


@pytest.mark.parametrize("made", ["text", "rules", "codes", "person"])
def test_a_study_is_there_before_its_first_text_where_somebody_made_it(site, made):
    client, at = visit(site, "admin", study=""), site.clock.now()
    if made == "text":
        assert client.post("/s/new/texts", data={"at_once": "true"}, files={"file": ("a.csv", b"text\na\n")}).is_success
    elif made == "person":
        site.accounts.grant(site.accounts.create("new person"), "new", "viewer")
    elif made == "rules":
        site.store.record([StudyRules(study="new", author="lea", at=at)])
    else:
        code = code_id("new", "noise")
        named = {"study": "new", "label": "noise", "author": "lea", "at": at}
        site.store.record([CodeEvent(id=code_event_id(code, "created", "x"), code_id=code, kind="created", **named)])
    assert client.get("/s/new/").status_code == 200


def test_a_role_in_a_study_that_nobody_made_is_given_and_said(site):
    client = visit(site, "admin", study="")
    fill(site, 1)
    account = site.accounts.create("ben")
    for study, said in ((STUDY, False), ("nigths", True), ("nigths", False)):
        page = client.post(f"/people/{account}/grant", data={"role": "viewer", "scope": study}, follow_redirects=True)
        assert ("There was no study “nigths” so far" in page.text) == said


def may(role: str | None, name: str) -> bool:
    needed = NEEDED[name]
    if needed == OPEN:
        return True
    if role is None:
        return False
    if needed in (ANYBODY, IN_PERSON):
        return True
    return ROLES.index(role) >= ROLES.index(needed)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = make_site(tmp_path_factory.mktemp("access"))
    poison(made, [f"plain text {k}" for k in range(3)])
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def cookies(site):
    """Somebody of each role, everywhere, and somebody whose roles are in another study."""
    return {role: cookie_of(site, role) for role in (*ROLES, "stranger")}


def cookie_of(site, role: str) -> tuple[str, str]:
    stranger = role == "stranger"
    client = visit(site, "admin" if stranger else role, study="elsewhere" if stranger else "", name=f"the {role}")
    return client.cookies[COOKIE], client.csrf


@pytest.fixture
def enter(site, cookies):
    """A fresh browser of somebody."""

    def make(role: str | None, **options) -> Visit:
        client = Visit(app_of(site), base_url=BASE, **options)
        if role is not None:
            session = app_of(site).state.sessions.read(cookies[role][0])
            if not site.accounts.sessions.holds(session.id, session.account):
                cookies[role] = cookie_of(site, role)  # a test has signed it out
            cookie, client.csrf = cookies[role]
            client.cookies.set(COOKIE, cookie, domain="127.0.0.1")
        return client

    return make


def test_every_route_has_its_role_in_the_table_and_none_is_there_in_vain(site):
    assert set(routes(app_of(site))) == set(NEEDED)


def test_every_route_of_a_study_asks_for_a_role(site):
    for name, route in routes(app_of(site)).items():
        if "{study}" in name:
            asked = [getattr(each.call, "role", None) for each in route.dependant.dependencies]
            assert NEEDED[name] in asked, name


@pytest.mark.parametrize("name", NEEDED)
def test_a_route_lets_in_who_has_its_role_and_nobody_else(enter, name):
    for role in (None, *ROLES):
        if may(role, name) and name in ENDLESS:
            continue
        answer = send(enter(role), name)
        if name.startswith("POST") and role is None:
            assert answer.status_code in (401, 403, 303), (name, role)
        if may(role, name) and role is not None:
            assert answer.status_code not in (401, 403, 405, 500), (name, role, answer.text[-500:])
        elif role is None and "/api/" in name and NEEDED[name] != OPEN:
            assert (answer.status_code, answer.headers["content-type"]) == (401, "application/json"), name
        elif role is None and NEEDED[name] != OPEN:
            assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/signin"), (name, role)
        elif role is not None:
            assert answer.status_code == 403, (name, role)


@pytest.mark.parametrize("name", [name for name in NEEDED if "{study}" in name])
def test_a_role_in_one_study_is_none_in_another(enter, name):
    assert send(enter("stranger"), name).status_code == 403


@pytest.fixture(scope="module")
def tokens(site):
    made = {}
    for role in ROLES:
        account = site.accounts.create(f"program of the {role}")
        site.accounts.grant(account, "*", role)
        made[role] = site.accounts.keys.make_token(account, "test")
    return made


@pytest.mark.parametrize("name", NEEDED)
def test_a_token_may_what_its_account_may_except_with_accounts(enter, tokens, name):
    for role in ROLES:
        by_hand = NEEDED[name] == IN_PERSON or name in BY_HAND or "/people" in name or "/audit" in name
        allowed = may(role, name) and not by_hand
        if allowed and (name in ENDLESS or NEEDED[name] == OPEN):
            continue
        answer = send(enter(None), name, headers={"Authorization": f"Bearer {tokens[role]}"})
        if allowed:
            assert answer.status_code not in (401, 403, 405, 500), (name, role, answer.text[-500:])
        elif NEEDED[name] != OPEN:
            assert answer.status_code == 403, (name, role)
            assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", [name for name in NEEDED if "{study}" in name and name not in ENDLESS | BY_HAND])
def test_a_token_may_only_what_it_was_made_for(enter, scoped_tokens, name, scope):
    needed = "read" if name.startswith("GET") else "labels" if NEEDED[name] == "annotator" else "manage"
    if name in INGESTS:
        needed = "ingest"
    answer = send(enter(None), name, headers={"Authorization": f"Bearer {scoped_tokens[scope]}"})
    assert (answer.status_code == 403) == (scope != needed), (name, scope, answer.text)
    if scope != needed:
        assert f"'{needed}'" in answer.json()["detail"]


@pytest.fixture(scope="module")
def scoped_tokens(site):
    account = site.accounts.create("scoped")
    site.accounts.grant(account, "*", "admin")
    return {scope: site.accounts.keys.make_token(account, scope, scopes=[scope]) for scope in SCOPES}


def test_a_wrong_token_is_refused_even_beside_a_good_cookie(enter):
    for given in ("Bearer nonsense", "Bearer ", "Basic YTpi", "nonsense"):
        answer = enter("admin").get("/", headers={"Authorization": given})
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/json")


# --- forms ---

POSTS = [name for name in NEEDED if name.startswith("POST")]


@pytest.mark.parametrize("name", POSTS)
def test_a_form_without_its_session_s_token_changes_nothing(enter, name):
    for wrong in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": enter("viewer").csrf}):
        client = enter("admin")
        for data in (wrong, wrong | {"name": "x"}):
            answer = super(Visit, client).post(address(name), data=data, follow_redirects=False)
            assert answer.status_code == 403, name
            assert "open the page again" in answer.text, name
    as_json = enter("admin").post(address(name), json={"csrf": enter("admin").csrf})
    assert as_json.status_code == 403


@pytest.mark.parametrize("name", POSTS)
def test_a_form_from_another_site_is_refused(enter, name):
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"{BASE}.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        answer = send(enter("admin"), name, headers=headers)
        assert answer.status_code == 403, (name, headers)
        assert "another site" in answer.text


def test_a_form_is_taken_with_the_token_in_a_header_and_from_our_own_page(enter):
    client = enter("viewer")
    good = {"X-CSRF-Token": client.csrf, "Origin": BASE, "Sec-Fetch-Site": "same-origin"}
    answer = super(Visit, client).post("/account/tokens", data={"name": ""}, headers=good)
    assert answer.status_code == 422


def test_signing_in_needs_a_token_of_the_sign_in_page_too(site):
    answer = nobody(site).post("/signin", data={"name": "ana", "password": GOOD}, follow_redirects=False)
    assert answer.status_code == 403


# --- sessions ---


@pytest.fixture
def fresh(tmp_path):
    clock = HandClock()
    made = make_site(tmp_path, clock=clock)
    account = made.accounts.create("ana")
    made.accounts.set_password(account, GOOD)
    made.accounts.grant(account, STUDY, "lead")
    yield made
    made.store.close()


def token_of(page: str) -> str:
    return re.search(r'name="csrf" value="(\w+)"', page)[1]


def sign_in(site, name="ana", password=GOOD, next_="/account", base=BASE, **headers):
    client = nobody(site, base)
    client.csrf = token_of(client.get("/signin").text)
    form = {"name": name, "password": password, "next": next_}
    answer = client.post("/signin", data=form, follow_redirects=False, headers=headers)
    if answer.status_code == 303:
        shown = re.search(r'name="csrf" content="(\w+)"', client.get("/account").text)
        client.csrf = shown[1] if shown else ""
    return client, answer


def test_the_session_cookie_is_for_this_page_s_own_requests_alone(fresh):
    _, answer = sign_in(fresh)
    assert answer.headers["location"] == "/account"
    (cookie,) = answer.headers.get_list("set-cookie")
    parts = cookie.split("; ")
    assert parts[0].startswith(f"{COOKIE}=")
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(parts)
    assert "Secure" not in parts
    assert not any(part.startswith("Domain") for part in parts)


def test_the_session_cookie_stays_on_https_where_the_browser_came_by_it(fresh):
    _, direct = sign_in(fresh, base="https://127.0.0.1:8642")
    assert "Secure" in direct.headers["set-cookie"].split("; ")
    _, behind = sign_in(fresh, Origin="https://127.0.0.1:8642")
    assert "Secure" in behind.headers["set-cookie"].split("; ")


def test_signing_in_begins_another_session_than_the_one_before(fresh):
    client = nobody(fresh)
    before = token_of(client.get("/signin").text)
    cookie = client.cookies[COOKIE]
    client.csrf = before
    client.post("/signin", data={"name": "ana", "password": GOOD})
    assert client.cookies[COOKIE] != cookie
    assert token_of(client.get("/account").text) != before


def test_a_cookie_that_was_changed_or_signed_by_another_key_is_none(fresh, tmp_path):
    client, _ = sign_in(fresh)
    value = client.cookies[COOKIE]
    other = make_site(tmp_path / "other")
    stranger = visit(other, "admin", study="", name="ana")
    other.store.close()
    for wrong in (value[:-2], value[:5] + "x" + value[6:], "", "a.b.c", stranger.cookies[COOKIE]):
        asks = nobody(fresh)
        asks.cookies.set(COOKIE, wrong, domain="127.0.0.1")
        assert asks.get("/account", follow_redirects=False).status_code == 303


def test_a_session_ends_after_twelve_idle_hours_and_after_a_week_whatever_is_done(fresh):
    client, _ = sign_in(fresh)
    fresh.clock.advance(11.9 * 3600)
    assert client.get("/account", follow_redirects=False).status_code == 200
    fresh.clock.advance(11.9 * 3600)
    assert client.get("/account", follow_redirects=False).status_code == 200
    fresh.clock.advance(12.1 * 3600)
    assert client.get("/account", follow_redirects=False).status_code == 303
    client, _ = sign_in(fresh)
    for _ in range(14):
        assert client.get("/account", follow_redirects=False).status_code == 200
        fresh.clock.advance(11.9 * 3600)
    fresh.clock.advance(2 * 3600)
    assert client.get("/account", follow_redirects=False).status_code == 303


@pytest.mark.parametrize("change", ["password", "disable", "sign out"])
def test_a_session_is_void_after(fresh, change):
    client, _ = sign_in(fresh)
    account = fresh.accounts.named("ana").id
    assert client.get("/account", follow_redirects=False).status_code == 200
    if change == "password":
        fresh.accounts.set_password(account, OTHER)
    elif change == "disable":
        fresh.accounts.disable(account)
    else:
        fresh.accounts.sign_out(account)
    assert client.get("/account", follow_redirects=False).status_code == 303
    assert client.post("/account/tokens", data={"name": "x"}, follow_redirects=False).status_code == 303


COPIED_AFTER = {
    "signing out": lambda client, site: client.post("/signout", follow_redirects=False),
    "signing out everywhere": lambda client, site: client.post("/signout", data={"everywhere": "yes"}),
    "signing in again": lambda client, site: begin_again(client),
}


def begin_again(client):
    client.csrf = token_of(client.get("/account").text)
    return client.post("/signin", data={"name": "ana", "password": GOOD})


@pytest.mark.parametrize("event", COPIED_AFTER)
def test_a_copy_of_a_cookie_is_worth_nothing_after(fresh, event):
    client, _ = sign_in(fresh)
    copy = nobody(fresh)
    copy.cookies.set(COOKIE, client.cookies[COOKIE], domain="127.0.0.1")
    assert copy.get("/account", follow_redirects=False).status_code == 200
    COPIED_AFTER[event](client, fresh)
    assert copy.get("/account", follow_redirects=False).status_code == 303


def cookies_of(answer) -> dict[str, set[str]]:
    """Each cookie that an answer sets, with its attributes but for how long it lasts."""
    parts = [cookie.split("; ") for cookie in answer.headers.get_list("set-cookie")]
    lasts = ("max-age", "expires")
    return {each[0].partition("=")[0]: {p for p in each[1:] if not p.lower().startswith(lasts)} for each in parts}


def keep_cookies(client, answer):
    """Send an answer's cookies with every later request, as a browser beyond a proxy does."""
    client.cookies.clear()
    client.headers["Cookie"] = "; ".join(each.partition(";")[0] for each in answer.headers.get_list("set-cookie"))


TLS = {
    "directly": ({}, "https://127.0.0.1:8642", {}),
    "through a proxy that says so": ({"web_proxies": "10.0.0.0/8"}, BASE, {"X-Forwarded-Proto": "https"}),
    "as the settings say": ({"web_tls": True}, BASE, {}),
}


@pytest.mark.parametrize("way", TLS)
def test_every_answer_s_cookies_are_for_https_alone_where_the_browser_comes_by_it(tmp_path, way):
    settings, base, headers = TLS[way]
    site = make_site(tmp_path, clock=HandClock(), **settings)
    site.accounts.set_password(site.accounts.create("ana"), GOOD)
    client = nobody(site, base, headers=headers, client=("10.0.0.1", 50_000))
    shown = client.get("/signin")
    client.csrf = token_of(shown.text)
    keep_cookies(client, shown)
    signed = client.post("/signin", data={"name": "ana", "password": GOOD}, follow_redirects=False)
    keep_cookies(client, signed)
    site.clock.advance(3600)
    renewed = client.get("/account")
    client.csrf = token_of(renewed.text)
    ended = client.post("/signout", follow_redirects=False)
    for answer in (shown, signed, renewed, ended):
        assert COOKIE in cookies_of(answer)
        for attributes in cookies_of(answer).values():
            assert attributes == {"HttpOnly", "Path=/", "SameSite=lax", "Secure"}
    for answer in (shown, signed, renewed, ended, client.get("/static/style.css"), client.get("/nothing")):
        assert answer.headers["strict-transport-security"].startswith("max-age=")
    site.store.close()


def test_without_https_no_answer_asks_for_it_and_a_stranger_cannot_claim_it(fresh):
    client, answer = sign_in(fresh)
    for each in (answer, client.get("/account", headers={"X-Forwarded-Proto": "https"})):
        assert "strict-transport-security" not in each.headers


@pytest.mark.parametrize(
    ("came_from", "forwarded", "address"),
    [
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
    ],
)
def test_an_address_is_the_proxy_s_word_only_where_the_settings_name_the_proxy(tmp_path, came_from, forwarded, address):
    site = make_site(tmp_path, web_proxies="10.0.0.0/8")
    client = nobody(site, client=(came_from, 50_000))
    client.csrf = token_of(client.get("/signin").text)
    client.post("/signin", data={"name": "ana", "password": "x"}, headers={"X-Forwarded-For": forwarded})
    (entry,) = site.audit.newest(AuditFilter(), 5)
    assert entry.address == address
    site.store.close()


def test_changing_one_s_password_keeps_this_session_and_ends_the_others(fresh):
    here, _ = sign_in(fresh)
    there, _ = sign_in(fresh)
    form = {"old": GOOD, "password": OTHER, "again": OTHER}
    assert here.post("/account/password", data=form).status_code == 200
    assert here.get("/account", follow_redirects=False).status_code == 200
    assert there.get("/account", follow_redirects=False).status_code == 303


def test_a_role_that_is_taken_away_is_gone_at_the_next_request(fresh):
    client, _ = sign_in(fresh)
    assert client.get(f"/s/{STUDY}/segments").status_code == 200
    fresh.accounts.revoke(fresh.accounts.named("ana").id, STUDY)
    assert client.get(f"/s/{STUDY}/segments").status_code == 403


def test_a_setup_link_works_once(fresh):
    link = fresh.accounts.first_link(BASE)
    client = nobody(fresh)
    client.csrf = token_of(client.get(link).text)
    assert "differ" in client.post(link, data={"password": GOOD, "again": OTHER}).text
    answer = client.post(link, data={"password": GOOD, "again": GOOD}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert client.get("/people").status_code == 200
    assert nobody(fresh).get(link).status_code == 404
    late = nobody(fresh)
    late.csrf = token_of(late.get("/signin").text)
    assert late.post(link, data={"password": OTHER, "again": OTHER}).status_code == 404
    assert fresh.accounts.verify("admin", OTHER) is None


def test_failed_sign_ins_have_to_wait_and_name_and_password_are_not_told_apart(fresh):
    said = {name: sign_in(fresh, name=name, password="wrong password")[1] for name in ("ana", "nobody")}
    assert {answer.status_code for answer in said.values()} == {422}
    assert len({re.search('role="alert">([^<]+)', answer.text)[1] for answer in said.values()}) == 1
    answers = [sign_in(fresh, password="wrong password")[1] for _ in range(6)]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert sign_in(fresh)[1].status_code == 429
    fresh.clock.advance(900)
    assert sign_in(fresh)[1].status_code == 303


def test_nobody_takes_their_own_admin_role_away(fresh):
    admin = visit(fresh, "admin", study="", name="admin")
    own = fresh.accounts.named("admin").id
    for path, data in (("disable", {}), ("revoke", {"scope": "*"}), ("grant", {"scope": "", "role": "viewer"})):
        assert admin.post(f"/people/{own}/{path}", data=data).status_code == 422
    assert fresh.accounts.find(own).may("admin", None)


def test_a_key_is_made_once_and_only_its_owner_may_read_it(tmp_path):
    site = make_site(tmp_path)
    key = signing_key(site.settings)
    assert signing_key(site.settings) == key
    assert (tmp_path / "web.key").stat().st_mode & 0o777 == 0o600
    assert len(list(tmp_path.glob("web.key*"))) == 1
    (tmp_path / "web.key").write_text("short")
    with pytest.raises(SettingError, match="delete it"):
        signing_key(site.settings)
    site.store.close()


# --- addresses ---

ELSEWHERE = (
    "//evil.example",
    "https://evil.example",
    r"/\evil.example",
    r"\\evil.example",
    "javascript:alert(1)",
    "/\t/evil.example",
    "evil.example",
    "",
    "///evil.example",
    "/a\r\nSet-Cookie: a=b",
)


@pytest.mark.parametrize("wanted", ELSEWHERE)
def test_the_sign_in_leads_nowhere_else(fresh, wanted):
    assert local_path(wanted) == "/"
    assert sign_in(fresh, next_=wanted)[1].headers["location"] == "/"


def test_the_sign_in_leads_back_to_the_page_that_was_wanted(fresh):
    asked = nobody(fresh).get(f"/s/{STUDY}/segments?q=a%26b&by=words", follow_redirects=False)
    page = nobody(fresh).get(asked.headers["location"])
    wanted = html.unescape(re.search(r'name="next" value="([^"]*)"', page.text)[1])
    assert wanted == f"/s/{STUDY}/segments?q=a%26b&by=words"


def test_an_htmx_request_without_a_session_leads_the_whole_page_to_the_sign_in(fresh):
    headers = {"HX-Request": "true", "HX-Current-URL": f"{BASE}/s/{STUDY}/queue?a=b"}
    answer = nobody(fresh).get(f"/s/{STUDY}/segments", headers=headers, follow_redirects=False)
    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == f"/signin?next=/s/{STUDY}/queue%3Fa%3Db"


@pytest.mark.parametrize(
    "name", ["evil.example", "127.0.0.1.evil.example", "", "127.0.0.1/static/", "a@127.0.0.1", "[::1"]
)
def test_a_page_that_is_asked_for_by_another_name_is_not_given(site, name):
    for path in ("/signin", "/static/style.css", "/"):
        assert nobody(site).get(path, headers={"Host": name}, follow_redirects=False).status_code == 400


def test_the_names_of_the_settings_are_ours(tmp_path):
    site = make_site(tmp_path, web_host="0.0.0.0", web_hosts="Codes.example, [::1]")
    hosts = allowed_hosts(site.settings)
    assert {host_of(one) in hosts for one in ("codes.example", "CODES.example:443", "localhost:8642", "[::1]:1")} == {
        True
    }
    assert host_of("0.0.0.0") not in hosts
    assert nobody(site, "http://codes.example").get("/signin").status_code == 200
    site.store.close()


@pytest.mark.parametrize(
    "path",
    [
        "../app.py",
        "%2e%2e/app.py",
        "..%2fapp.py",
        "..%5capp.py",
        "....//app.py",
        "%00",
        "/etc/passwd",
        "%2fetc%2fpasswd",
    ],
)
def test_no_path_leads_out_of_the_static_files(site, path):
    answer = nobody(site).get(f"/static/{path}", follow_redirects=False)
    assert answer.status_code in (303, 400, 404)
    assert "FastAPI" not in answer.text


@pytest.mark.parametrize("study", ["%3Cb%3E", "a%00b", "x" * 81, "a%3Fb", "a%0Ab"])
def test_what_is_no_study_s_name_is_not_found(enter, study):
    assert enter("admin").get(f"/s/{study}/segments").status_code == 404


def test_a_body_that_is_too_large_is_refused(enter):
    big = {"csrf": enter("admin").csrf, "name": "x" * 2_100_000}
    assert enter("admin").post("/account/tokens", data=big).status_code == 413
    pieces = (b"x" * 100_000 for _ in range(30))
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert enter("admin").post("/account/tokens", content=pieces, headers=kind).status_code == 413


# --- every answer ---


def assert_headers(answer):
    policy = answer.headers["content-security-policy"]
    for rule in (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ):
        assert rule in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "camera=()" in answer.headers["permissions-policy"]
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert "server" not in answer.headers


@pytest.mark.parametrize("name", [name for name in NEEDED if name not in ENDLESS])
def test_every_answer_carries_the_headers_and_no_page_is_kept(enter, name):
    for role in (None, "viewer", "admin"):
        answer = send(enter(role), name)
        assert_headers(answer)
        assert answer.headers["cache-control"] == "no-store"


def test_static_files_and_refusals_carry_them_too(site, enter):
    for path in ("/static/style.css", "/static/htmx.min.js", "/static/none", "/nothing", "/s/x/y/z"):
        assert_headers(nobody(site).get(path))
    assert_headers(nobody(site).get("/", headers={"Host": "evil.example"}))
    assert_headers(enter("admin").request("PATCH", "/", headers={"X-CSRF-Token": enter("admin").csrf}))
    assert_headers(enter("admin").get("/", headers={"Authorization": "Bearer no"}))


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (InputError("a <b>thing</b> is wrong"), 422, "A &lt;b&gt;thing&lt;/b&gt; is wrong"),
        (UnavailableError("postgres://secret-host is away"), 503, "database does not answer"),
        (SettingError("/secret/path"), 500, "not set up"),
        (RuntimeError("secret words"), 500, "Something went wrong"),
        (HTTPException(409, "somebody was faster"), 409, "Somebody was faster"),
    ],
)
def test_an_error_is_a_page_for_people_and_json_for_programs(tmp_path, error, status, words):
    site = make_site(tmp_path)

    def fail():
        raise error

    app_of(site).add_api_route("/fails", fail)
    page = nobody(site).get("/fails")
    assert page.status_code == status
    assert words in page.text
    assert page.text.count("<h1") == 1
    assert_headers(page)
    as_json = nobody(site).get("/fails", headers={"Accept": "application/json"})
    assert as_json.status_code == status
    assert isinstance(as_json.json()["detail"], str)
    assert "secret" not in page.text + as_json.text
    site.store.close()


def test_while_the_database_is_away_the_page_says_so(enter, site, monkeypatch):
    def away(account):
        raise UnavailableError("the database does not answer")

    monkeypatch.setattr(site.accounts, "find", away)
    answer = enter("admin").get("/people")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert_headers(answer)
    assert nobody(site).get("/static/style.css").status_code == 200


def test_a_study_is_listed_for_whom_it_is_open_and_opened_at_once_where_it_is_the_only_one(tmp_path):
    site = make_site(tmp_path)
    fill(site, 9)
    fill(site, 6, study="other study")
    both = visit(site, "viewer", study="", name="both").get("/")
    assert ">other study<" in both.text
    assert f">{STUDY}<" in both.text
    one = visit(site, "annotator", study="other study", name="one").get("/", follow_redirects=False)
    assert one.headers["location"] in ("/s/other%20study/", "/s/other study/")
    none = visit(site, None, name="none").get("/")
    assert "no study yet" in none.text
    assert STUDY not in none.text
    site.store.close()
