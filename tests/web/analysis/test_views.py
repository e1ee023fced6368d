"""A filter of the list is kept under a name, for oneself or by a lead for all, and is forgotten again."""

import re
from html import unescape

from infra.annotation.saved_views import saved
from infra.erasure.rows import erase_person
from tests.web.site import STUDY, fill, visit

LIST, VIEWS = f"/s/{STUDY}/segments", f"/s/{STUDY}/views"


def links(client):
    shown = client.get(LIST).text.partition('aria-label="Saved views"')[2].partition("</div>")[0]
    return [unescape(each) for each in re.findall(r'<a class="tag" href="([^"]+)"', shown)]


def test_a_view_leads_to_the_list_as_it_was_and_is_its_owners_alone(site):
    fill(site, 10)
    ana, ben = visit(site, "viewer"), visit(site, "viewer", name="ben")
    page = ana.get(LIST, params={"q": "slow & a.b", "a.stars": "2"}).text
    query = unescape(re.search(r'name="query" value="([^"]+)"', page)[1])
    assert ana.post(VIEWS, data={"name": " two  stars ", "query": query}).status_code == 200
    assert links(ana) == [f"{LIST}?{query}"]
    assert 'value="slow &amp; a.b"' in ana.get(links(ana)[0]).text
    assert links(ben) == []
    ana.post(VIEWS, data={"name": "two stars", "query": "q=other"})
    assert links(ana) == [f"{LIST}?q=other"]
    assert ana.post(f"{VIEWS}/remove", data={"name": "two stars"}).status_code == 200
    assert links(ana) == []
    assert ana.post(f"{VIEWS}/remove", data={"name": "two stars"}).status_code == 404


def test_only_a_lead_keeps_and_forgets_a_view_for_everybody(site):
    fill(site, 2)
    ana, lea = visit(site, "annotator"), visit(site, "lead", name="lea")
    shared = {"name": "doubtful", "query": "high=0.5", "shared": "true"}
    assert ana.post(VIEWS, data=shared).status_code == 403
    lea.post(VIEWS, data=shared)
    assert links(ana) == [f"{LIST}?high=0.5"]
    assert ana.post(f"{VIEWS}/remove", data=shared).status_code == 403
    lea.post(f"{VIEWS}/remove", data=shared)
    assert links(ana) == []


def test_a_view_needs_a_name_and_stays_text(site):
    fill(site, 2)
    ana = visit(site, "viewer")
    assert ana.post(VIEWS, data={"name": " ", "query": "q=a"}).status_code == 422
    ana.post(VIEWS, data={"name": "<script>alert(1)</script>", "query": '"><script>alert(1)</script>'})
    page = ana.get(LIST).text
    assert "<script>alert(1)" not in page


def test_views_go_with_who_is_erased(site):
    fill(site, 2)
    visit(site, "viewer").post(VIEWS, data={"name": "mine", "query": "q=a"})
    visit(site, "lead", name="lea").post(VIEWS, data={"name": "all", "query": "q=b", "shared": "true"})
    for name in ("ana", "lea"):
        erase_person(site.store.database, name, site.clock.now())
    assert [(view.name, view.author) for view in saved(site.store.database, STUDY, "ana")] == [("all", "(erased)")]
