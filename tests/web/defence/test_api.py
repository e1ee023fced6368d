"""The JSON API: what its schema says is so, whatever is asked, and each route for whom it is meant."""

import json
from urllib.parse import quote
from uuid import uuid4

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from infra.web.api.routes import schema
from schemas import Annotation
from schemas.ids import segment_id
from tests.web.site import STUDY, fill, make_site, nobody, visit

API = "/api/v1"
schemathesis.serializer.alias("application/x-ndjson", "application/json")
_described = schemathesis.openapi.from_dict(schema())


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = make_site(tmp_path_factory.mktemp("api"))
    fill(made, 20, people=6)
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def bearer(site):
    """Asks as a program of an admin."""
    account = site.accounts.create("program")
    site.accounts.grant(account, "*", "admin")
    return {"Authorization": f"Bearer {site.accounts.keys.make_token(account, 'nightly')}"}


@_described.parametrize()
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_asked_is_answered_as_the_schema_says(case, site, bearer):
    answer = _call(case, site, bearer)
    assert answer.status_code < 500
    case.validate_response(answer, checks=[not_a_server_error, status_code_conformance, response_schema_conformance])


def _call(case, site, bearer):
    client = nobody(site, raise_server_exceptions=False)
    asked = case.as_transport_kwargs(base_url="http://127.0.0.1:8642", headers=bearer)
    asked.pop("cookies", None)  # httpx wants them on the client, and the API reads none
    if isinstance(asked.get("data"), str | bytes):
        asked["content"] = asked.pop("data")
    return client.request(**asked)


def test_the_schema_is_there_for_anybody_and_says_how_to_ask(site):
    described = nobody(site).get(f"{API}/openapi.json").json()
    assert described["openapi"].startswith("3.")
    assert described["security"] == [{"token": []}]
    assert all(path.startswith(API) for path in described["paths"])
    for path in described["paths"].values():
        for operation in path.values():
            assert {"401", "403", "422"} <= set(operation["responses"])


def test_without_a_token_every_route_answers_in_json(site):
    for path in ("/studies", f"/studies/{STUDY}/segments", "/nothing"):
        answer = nobody(site).get(f"{API}{path}", follow_redirects=False)
        assert answer.status_code in (401, 404)
        assert isinstance(answer.json()["detail"], str)


def test_segments_come_page_by_page_each_once(site, bearer):
    client, ids, after = nobody(site), [], ""
    while after is not None:
        page = client.get(f"{API}/studies/{STUDY}/segments", params={"limit": 7, "after": after}, headers=bearer).json()
        ids += [each["id"] for each in page["items"]]
        after = page["next"]
    assert len(ids) == len(set(ids)) == 20
    one = client.get(f"{API}/studies/{STUDY}/segments/{ids[0]}", headers=bearer).json()
    assert one["codes"][0]["label"] in one["text"]
    assert client.get(f"{API}/studies/elsewhere/segments/{ids[0]}", headers=bearer).status_code == 404


def test_a_mark_stands_in_an_address_as_it_is_and_earlier_ones_are_read_still(site, bearer):
    client, asked = nobody(site), f"{API}/studies/{STUDY}/segments?limit=7&after="
    mark = client.get(asked, headers=bearer).json()["next"]
    assert quote(mark, safe=":,") == mark
    (following,) = {
        tuple(each["id"] for each in client.get(f"{asked}{each}", headers=bearer).json()["items"])
        for each in (mark, mark.replace("Z", "+00:00"), mark.replace("Z", "%2B00:00"))
    }
    assert len(following) == 7


def test_what_was_sent_comes_out_again_and_no_time_where_none_was_sent(site, bearer):
    at = {"timestamp": "2026-03-01T12:00:00Z", "metadata": {"floor": 3, "open": True, "_inner": 1}}
    sent = [{"text": "The beds squeak."}, {"text": "The lift hangs.", **at}]
    answer = nobody(site).post(f"{API}/studies/beds/segments", json={"segments": sent}, headers=bearer).json()
    beds, lift = (
        nobody(site).get(f"{API}/studies/beds/segments/{id_}", headers=bearer).json() for id_ in answer["ids"]
    )
    assert (beds["timestamp"], beds["metadata"]) == (None, {})
    assert (lift["timestamp"], lift["metadata"]) == (at["timestamp"], {"floor": 3, "open": True})


def test_a_segments_own_id_comes_out_again_and_is_that_of_a_file(site, bearer):
    row = {"text": "the third lift hangs", "id": "1 ", "source": "lifts.csv"}
    assert nobody(site).post(f"{API}/studies/own/segments", json={"segments": [row]}, headers=bearer).status_code == 202
    (kept,) = nobody(site).get(f"{API}/studies/own/segments", headers=bearer).json()["items"]
    assert (kept["own_id"], kept["id"]) == ("1", str(segment_id("own", "lifts.csv", "1")))


def test_segments_are_taken_in_once_and_those_that_cannot_be_are_named(site, bearer):
    rows = [
        {"text": "the lift is broken", "id": "7", "metadata": {"floor": 3}, "timestamp": "2026-03-01T12:00:00Z"},
        {"text": "too much", "metadata": {"x": "y" * 300_000}},
        {"text": "the stairs are fine"},
    ]
    for new in (2, 0):
        answer = nobody(site).post(f"{API}/studies/lifts/segments", json={"segments": rows}, headers=bearer)
        assert answer.status_code == 202
        taken = answer.json()
        assert (taken["new"], [each["index"] for each in taken["refused"]]) == (new, [1])
        assert [identity is None for identity in taken["ids"]] == [False, True, False]
    assert site.store.counts("lifts").taken_in == 2


def test_a_label_is_kept_once_under_the_owner_s_name(site, bearer):
    client = nobody(site)
    (waiting, *_) = [
        each
        for each in client.get(f"{API}/studies/{STUDY}/segments?limit=500", headers=bearer).json()["items"]
        if each["route"] == "people"
    ]
    codes = client.get(f"{API}/studies/{STUDY}/codes", headers=bearer).json()
    said = {"segment_id": waiting["id"], "code_ids": [codes[0]["id"]], "memo": "why", "request_id": str(uuid4())}
    for _ in range(2):
        answer = client.post(f"{API}/studies/{STUDY}/labels", json=said, headers=bearer)
        assert answer.status_code == 201, answer.text
    assert answer.json()["annotator"] == "program"
    kept = [each for each in site.store.history(Annotation, STUDY) if str(each.segment_id) == waiting["id"]]
    assert kept[-1].memo == "why"
    lines = client.get(f"{API}/studies/{STUDY}/labels", headers=bearer).text.splitlines()
    assert json.loads(lines[-1])["annotator"] == "program"


def test_what_is_to_be_read_blind_comes_without_its_code(site):
    vic = visit(site, "viewer", name="vic")
    account = site.accounts.named("vic").id
    token = {"Authorization": f"Bearer {site.accounts.keys.make_token(account, 'reads', scopes=['read'])}"}
    open_ = nobody(site).get(f"{API}/studies/{STUDY}/segments?limit=500", headers=token).json()["items"]
    assert not any(each["blind"] for each in open_)
    vic.post(f"{API}/studies/{STUDY}/labels", json={})
    answer = nobody(site).post(f"{API}/studies/{STUDY}/segments", json={"segments": [{"text": "x"}]}, headers=token)
    assert answer.status_code == 403
