"""Codes that look alike are offered for merging where a researcher works."""

import re
import threading
from dataclasses import replace
from uuid import uuid4

import pytest

from models.fakes import HashEmbedder
from schemas import StudyRules
from tests.web.site import STUDY, code, fill, make_site, visit

BASE = f"/s/{STUDY}/codebook"
PAGES = (BASE, f"/s/{STUDY}/")
OFFER = re.compile(r'<a href="/s/reviews/codebook/similar">([^<]*alike[^<]*)</a>')


class CountingEmbedder(HashEmbedder):
    """Counts the texts that it embeds, and waits for leave."""

    def __init__(self):
        self.texts, self.leave = 0, threading.Event()
        self.leave.set()

    def embed(self, texts):
        assert self.leave.wait(60)
        self.texts += len(texts)
        return super().embed(texts)


@pytest.fixture
def site(tmp_path):
    made = make_site(tmp_path)
    made = replace(made, embedder=CountingEmbedder())
    fill(made, 22)
    made.store.record([StudyRules(study=STUDY, reuse_threshold=0.7, author="lea", at=made.clock.now())])
    yield made
    made.embedder.leave.set()
    made.nearby.wait()
    made.similar.wait()
    made.store.close()


def offers(client):
    return [OFFER.findall(client.get(page).text) for page in PAGES]


def shown(site, client):
    """The offers once every label is embedded and compared."""
    for _ in range(2):
        client.get(BASE)
        site.nearby.wait()
        site.similar.wait()
    return offers(client)


def add(client, *labels):
    for label in labels:
        client.post(f"{BASE}/new", data={"cause": str(uuid4()), "label": label}, follow_redirects=False)


def test_codebook_and_overview_offer_codes_that_look_alike_with_their_number(site, lead):
    assert shown(site, lead) == [[], []]
    add(lead, "slow checkout here")
    assert shown(site, lead) == [["1 pair of codes looks alike: look at it"]] * 2
    add(lead, "kind support here")
    assert shown(site, lead) == [["2 pairs of codes look alike: look at them"]] * 2
    page = lead.get(f"{BASE}/similar").text
    assert len(re.findall(r'name="pair" value="[^"]+" checked', page)) == 2


def test_the_offer_is_gone_when_the_codes_are_merged(site, lead):
    add(lead, "slow checkout here")
    assert shown(site, lead) != [[], []]
    pair = f"{code('slow checkout here')}={code('slow checkout')}"
    lead.post(f"{BASE}/similar", data={"cause": str(uuid4()), "pair": [pair]})
    assert shown(site, lead) == [[], []]


def test_the_offer_goes_by_the_studys_threshold(site, lead):
    add(lead, "slow checkout here")
    assert shown(site, lead) != [[], []]
    lead.post(f"{BASE}/similar/threshold", data={"threshold": "0.98"})
    assert offers(lead) == [[], []]
    assert shown(site, lead) == [[], []]
    lead.post(f"{BASE}/similar/threshold", data={"threshold": "0.7"})
    assert shown(site, lead) != [[], []]


def test_no_page_waits_for_a_model_and_what_was_counted_last_stays_meanwhile(site, lead):
    site.embedder.leave.clear()
    assert offers(lead) == [[], []]
    site.embedder.leave.set()
    add(lead, "slow checkout here")
    before = shown(site, lead)
    assert before != [[], []]
    site.embedder.leave.clear()
    add(lead, "kind support here")
    assert offers(lead) == before
    site.embedder.leave.set()
    assert shown(site, lead) == [["2 pairs of codes look alike: look at them"]] * 2


def test_a_codebook_that_stays_as_it_is_is_embedded_once_however_often_it_is_looked_at(site, lead):
    add(lead, "slow checkout here")
    shown(site, lead)
    embedded = site.embedder.texts
    for _ in range(3):
        assert offers(visit(site, "viewer", name="vic")) != [[], []]
    assert site.embedder.texts == embedded
