"""Many codes are merged, moved and retired in one act, and one word takes all of it back."""

import re
from uuid import uuid4

import pytest

from models.codebook.near_duplicates import LabelUse, near_duplicates, size_after
from models.codebook.themes import theme_id
from models.fakes import HashEmbedder
from tests.web.site import LABELS, STUDY, book, code, fill, visit

BASE = f"/s/{STUDY}/codebook"


@pytest.fixture
def site(site):
    fill(site, 22)
    return site


def bulk(client, action, *labels, **more):
    form = {"cause": str(uuid4()), "action": action, "code": [str(code(label)) for label in labels], **more}
    return client.post(f"{BASE}/bulk", data=form)


def undo(client, page):
    """Send the notice's own form."""
    form = re.search(r'action="[^"]*/codebook/undo">.*?name="event" value="([^"]+)"', page.text, re.DOTALL)
    return client.post(f"{BASE}/undo", data={"cause": str(uuid4()), "event": form[1]})


def test_ticked_codes_become_the_most_used_of_them_and_one_click_brings_all_back(site, lead):
    page = bulk(lead, "merge", "app crashes", "slow checkout", "login fails", reason="all broken")
    assert "2 changes of the codebook" in page.text
    assert [book(site)[code(label)].active for label in ("slow checkout", "app crashes", "login fails")] == [1, 0, 0]
    assert dict(site.store.top_codes(STUDY, 9))["slow checkout"] == 10
    assert "2 changes" in undo(lead, page).text
    assert all(book(site)[code(label)].active for label in LABELS)
    assert "is taken back already" in undo(lead, page).text


def test_the_target_of_a_merge_can_be_chosen(site, lead):
    bulk(lead, "merge", "app crashes", "slow checkout", into=str(code("app crashes")))
    assert book(site).current_code(code("slow checkout")) == code("app crashes")


def test_ticked_codes_are_moved_and_retired_together(site, lead):
    lead.post(f"{BASE}/new", data={"cause": str(uuid4()), "label": "slow start", "theme": " speed "})
    theme = theme_id(STUDY, "speed")
    assert book(site)[code("slow start")].parent == theme
    bulk(lead, "move", "slow checkout", "app crashes", "slow start", theme=str(theme))
    assert {book(site)[code(label)].parent for label in ("slow checkout", "app crashes")} == {theme}
    assert "stands there already" in bulk(lead, "move", "slow checkout", theme=str(theme)).text
    page = bulk(lead, "retire", "nice design", "good advice")
    assert not book(site)[code("nice design")].active
    undo(lead, page)
    assert book(site)[code("good advice")].active


def test_a_new_code_goes_under_a_theme_that_there_is_by_its_name(site, lead):
    for label in ("one", "two"):
        lead.post(
            f"{BASE}/new", data={"cause": str(uuid4()), "label": label, "theme": "Speed" if label == "two" else "speed"}
        )
    assert book(site)[code("two")].parent == theme_id(STUDY, "speed")


@pytest.mark.parametrize(
    ("action", "labels", "words"),
    [
        ("merge", ["app crashes"], "t least two"),
        ("move", [], "stands there already"),
        ("retire", [], "No code is ticked"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(site, lead, action, labels, words):
    before = len(list(site.store.code_events(STUDY)))
    assert words in bulk(lead, action, *labels).text
    assert len(list(site.store.code_events(STUDY))) == before


def test_a_change_is_taken_back_from_the_history_with_all_that_belongs_to_it(site, lead):
    bulk(lead, "merge", "app crashes", "slow checkout", "login fails")
    page = lead.get(f"{BASE}/history").text
    events = re.findall(r'form="undo" name="event" value="([^"]+)"', page)
    assert len(events) == 2
    lead.post(f"{BASE}/undo", data={"cause": str(uuid4()), "event": events[1]})
    assert book(site)[code("app crashes")].active
    assert book(site)[code("login fails")].active
    assert 'form="undo"' not in visit(site, "viewer", name="vic").get(f"{BASE}/history").text


def test_near_codes_are_offered_at_a_threshold_and_merged_as_ticked(site, lead):
    lead.get(f"{BASE}/similar")
    site.nearby.wait()
    lead.post(f"{BASE}/new", data={"cause": str(uuid4()), "label": "slow checkout here"})
    page = lead.get(f"{BASE}/similar", params={"threshold": 0.7}).text
    assert "<strong>8</strong> codes become <strong>7</strong>" in page
    pairs = re.findall(r'name="pair" value="([^"]+)" checked', page)
    assert pairs == [f"{code('slow checkout here')}={code('slow checkout')}"]
    part = lead.get(f"{BASE}/similar?threshold=0.99", headers={"HX-Request": "true", "HX-Target": "similar"}).text
    assert "<h1>" not in part
    assert "<strong>8</strong> codes become <strong>8</strong>" in part
    assert "Merge into slow checkout…" in lead.get(f"{BASE}/codes/{code('slow checkout here')}").text
    lead.post(f"{BASE}/similar", data={"cause": str(uuid4()), "pair": pairs})
    assert book(site).current_code(code("slow checkout here")) == code("slow checkout")
    assert site.similar.preview(STUDY, 0.7).codes == 7
    nonsense = lead.post(f"{BASE}/similar", data={"cause": str(uuid4()), "pair": ["x=y"]}).text
    assert "names no two codes" in nonsense


def test_opposite_labels_are_never_near_and_the_most_used_is_the_target():
    labels = ("slow app", "app is slow", "app is not slow")
    codes = [LabelUse(code(label), label, n) for n, label in enumerate(labels)]
    vectors = HashEmbedder().embed(["slow app"] * 3)
    (near,) = near_duplicates(codes[:2], vectors[:2], 0.9)
    assert (near.target.label, [other.label for other, _ in near.others]) == ("app is slow", ["slow app"])
    groups = near_duplicates(codes[1:], vectors[1:], 0.9)
    assert (groups, size_after(2, groups)) == ([], 2)
