"""Personal data on the page: previewed, masked when it is taken in, shown again to nobody but a lead with the key."""

import json

import pytest
from sqlalchemy import select

from infra.accounts.audit import AuditFilter
from infra.masking.keys import write_key
from infra.storage.tables import metadata
from schemas import Annotation, Segment, StudyRules
from schemas.ids import segment_id
from tests.web.site import STUDY, make_site, nobody, visit

TEXT = "Call me on 0170 1234567 or write to zoe@x.org"
MASKED = "Call me on [phone 1] or write to [mail 1]"
FILE = ("calls.csv", f'id,text,author\n1,"{TEXT}",Zoe Zebra\n2,slow since 03.04.2026,\n'.encode())


@pytest.fixture
def site(tmp_path):
    write_key(tmp_path / "masking.key")
    made = make_site(tmp_path / "data", masking_key_file=tmp_path / "masking.key")
    yield made
    made.store.close()


@pytest.fixture
def lead(site):
    return visit(site, "lead", name="lea", study="")


def bring_in(client, study: str = STUDY, masking: str = "patterns", **files):
    page = client.post(f"/s/{study}/texts", data={"masking": masking}, files={"file": files.get("file", FILE)})
    token = page.text.partition(f'action="/s/{study}/texts/')[2].partition('"')[0]
    assert page.status_code == 200, page.text
    taken = client.post(f"/s/{study}/texts/{token}", data={"masking": masking})
    assert taken.status_code == 200, taken.text
    return page, taken


def texts(site, study: str = STUDY) -> list[str]:
    return [each.text for each in site.store.history(Segment, study)]


def first(site) -> str:
    (segment, *_) = site.store.history(Segment, STUDY)
    return f"/s/{STUDY}/segments/{segment.id}"


def anywhere(site, *words: str) -> list[str]:
    """Tables and files of the data folder in which one of these words stands."""
    with site.store.database.reading() as connection:
        rows = {table.name: connection.execute(select(table)).all() for table in metadata.sorted_tables}
    tables = [name for name, each in rows.items() if any(word in repr(each) for word in words)]
    files = [path for path in site.settings.data_dir.rglob("*") if path.is_file()]
    return tables + [path.name for path in files if any(word.encode() in path.read_bytes() for word in words)]


def test_the_preview_shows_what_would_be_masked_and_the_outcome_how_many_were(site, lead):
    page, taken = bring_in(lead)
    assert MASKED in page.text
    assert "zoe@x.org" not in page.text
    assert "1 segment masked (1 mail, 1 name, 1 phone)" in page.text
    assert "Personal data was masked in 1 segment." in taken.text
    assert texts(site) == [MASKED, "slow since 03.04.2026"]
    assert anywhere(site, "zoe@x.org", "0170 1234567", "Zoe Zebra") == []


def test_an_upload_that_waits_for_a_yes_is_not_readable_on_the_disk(site, lead):
    lead.post(f"/s/{STUDY}/texts", data={"masking": "patterns"}, files={"file": FILE})
    assert anywhere(site, "zoe@x.org", "Zoe Zebra") == []


def test_what_the_form_asks_for_becomes_a_rule_of_the_study(site, lead):
    bring_in(lead)
    (rules,) = site.store.history(StudyRules, STUDY)
    assert (rules.masking, rules.author) == ("patterns", "lea")
    _, taken = bring_in(lead, masking="", file=("more.csv", b"text\nmail bob@x.org\n"))
    assert "masked in 1" in taken.text
    assert texts(site)[-1] == "mail [mail 2]"


def test_a_new_study_can_begin_masked(site, lead):
    page = lead.post("/studies/new", data={"name": "fresh", "masking": "patterns"}, files={"file": FILE})
    token = page.text.partition('action="/s/fresh/texts/')[2].partition('"')[0]
    lead.post(f"/s/fresh/texts/{token}", data={"masking": "patterns"})
    assert texts(site, "fresh")[0] == MASKED


def test_rules_set_masking_and_say_what_becomes_of_originals(site, lead):
    page = lead.post(f"/s/{STUDY}/rules", data={"mode": "people", "masking": "patterns"})
    assert "Originals are kept encrypted" in page.text
    assert [each.masking for each in site.store.history(StudyRules, STUDY)] == ["patterns"]


def test_names_cannot_be_wanted_where_no_model_knows_them(tmp_path):
    site = make_site(tmp_path, masking_models="en=no_such_model")
    lead = visit(site, "lead", name="lea")
    answer = lead.post(f"/s/{STUDY}/rules", data={"mode": "people", "masking": "names"})
    assert (answer.status_code, "no_such_model" in answer.text) == (422, True)
    assert list(site.store.history(StudyRules, STUDY)) == []
    answer = lead.post(f"/s/{STUDY}/texts", data={"masking": "names"}, files={"file": FILE})
    assert answer.status_code >= 400
    assert texts(site) == []
    site.store.close()


def test_only_a_lead_sees_the_original_and_the_audit_log_has_who_did(site, lead):
    bring_in(lead)
    page = lead.get(first(site))
    assert "1 mail, 1 name, 1 phone" in page.text
    assert "Show the original" in page.text
    assert TEXT not in page.text
    shown = lead.post(f"{first(site)}/original")
    assert TEXT in shown.text
    assert "Zoe Zebra" in shown.text
    for role in ("annotator", "viewer"):
        other = visit(site, role, name=f"a {role}")
        assert "Show the original" not in other.get(first(site)).text
        refused = other.post(f"{first(site)}/original")
        assert (refused.status_code, "zoe@x.org" in refused.text) == (403, False)
    stranger = visit(site, "lead", name="else", study="elsewhere")
    assert stranger.post(f"{first(site)}/original").status_code == 403
    looks = [each for each in site.audit.newest(AuditFilter(), 50) if each.action.endswith("/original")]
    assert [(each.actor, each.status) for each in looks if each.status == 200] == [("lea", 200)]
    assert anywhere(site, "zoe@x.org") == []


def test_no_token_and_no_link_shows_an_original(site, lead):
    bring_in(lead)
    account = site.accounts.create("program")
    site.accounts.grant(account, "*", "admin")
    token = site.accounts.keys.make_token(account, "all")
    answer = nobody(site).post(f"{first(site)}/original", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, "zoe@x.org" in answer.text) == (403, False)
    assert lead.get(f"{first(site)}/original").status_code == 405


def test_without_the_key_nothing_can_be_shown_and_the_page_says_so(site, lead, tmp_path):
    bring_in(lead)
    keyless = make_site(tmp_path / "data")
    other = visit(keyless, "lead", name="lou")
    assert "no key to open it" in other.get(first(site)).text
    refused = other.post(f"{first(site)}/original")
    assert (refused.status_code, "QUALSTREAM_MASKING_KEY_FILE" in refused.text) == (409, True)
    keyless.store.close()


def test_masking_without_a_key_says_that_it_cannot_be_taken_back(tmp_path):
    site = make_site(tmp_path)
    lead = visit(site, "lead", name="lea")
    page, _ = bring_in(lead)
    assert "Originals are not kept, since no key is set" in page.text
    assert "the original is not kept" in lead.get(first(site)).text
    assert texts(site)[0] == MASKED
    site.store.close()


def test_a_segment_that_is_to_be_read_blind_shows_no_code_with_its_original(site, lead):
    bring_in(lead)
    shown = lead.post(f"{first(site)}/original").text
    assert "tag" not in shown.partition('id="original"')[2].partition("</section>")[0]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", json.dumps({"text": TEXT, "id": "zoe@x.org", "metadata": {"email": "zoe@x.org"}})),
        ("application/x-ndjson", json.dumps({"text": TEXT, "id": "zoe@x.org"})),
        ("text/csv", f'text,id,email\n"{TEXT}",zoe@x.org,zoe@x.org\n'),
    ],
)
def test_what_programs_send_is_masked_too_and_counted(tmp_path, kind, body):
    site = make_site(tmp_path, masking="patterns")
    account = site.accounts.create("program")
    site.accounts.grant(account, "*", "lead")
    token = site.accounts.keys.make_token(account, "sends", scopes=["ingest"])
    headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
    for fresh in (1, 0):
        answer = nobody(site).post("/api/v1/studies/lifts/segments", content=body, headers=headers).json()
        assert (answer["new"], answer["masked"], answer["changed"]) == (fresh, fresh, 0)
    (segment,) = site.store.history(Segment, "lifts")
    assert segment.id == segment_id("lifts", "api", "zoe@x.org")
    assert segment.own_id == "[mail 1]"
    assert anywhere(site, "zoe@x.org", "0170 1234567") == []
    site.store.close()


def import_labels(client, content: str, **form):
    page = client.post(f"/s/{STUDY}/import", data={"coder": "ana", **form}, files={"file": ("l.csv", content.encode())})
    token = page.text.partition(f'action="/s/{STUDY}/import/')[2].partition('"')[0]
    assert page.status_code == 200, page.text
    return page, client.post(f"/s/{STUDY}/import/{token}")


def test_labels_of_texts_as_they_came_find_their_masked_segments(site, lead):
    bring_in(lead)
    page, _ = import_labels(lead, f'text,code,memo\n"{TEXT}",stuck,ask zoe@x.org\n')
    assert "zoe@x.org" not in page.text
    (label,) = site.store.history(Annotation, STUDY)
    assert f"/s/{STUDY}/segments/{label.segment_id}" == first(site)
    assert (label.text, label.memo) == (MASKED, "ask [mail 1]")
    assert anywhere(site, "zoe@x.org") == []


def test_texts_that_are_taught_are_masked_with_numbers_of_the_study(site, lead):
    bring_in(lead)
    content = "text,code\nbob@x.org is away,absent\nmail ann@x.org,absent\n"
    for _ in range(2):
        import_labels(lead, content, teach_unmatched="true")
    assert sorted(each.text for each in site.store.history(Annotation, STUDY)) == [
        *("[mail 2] is away", "mail [mail 3]"),
    ]
    bring_in(lead, masking="", file=("more.csv", b"text\nmail new@x.org and ann@x.org\n"))
    assert texts(site)[-1] == "mail [mail 4] and [mail 3]"
    assert anywhere(site, "bob@x.org", "ann@x.org", "new@x.org") == []
