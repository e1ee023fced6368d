"""Any segment can be coded: on its page, through a list, several at once; what was said before is shown."""

import re
from html import unescape
from uuid import uuid4

from schemas import Annotation, StudyRules
from schemas.ids import code_id
from tests.web.site import STUDY, fill, visit

BASE = f"/s/{STUDY}"


def words(site):
    return list(site.store.history(Annotation, STUDY))


def save(client, segment, **form):
    return client.post(f"{BASE}/segments/{segment.id}/code", data={"segment": segment.id, "cause": uuid4(), **form})


def test_a_segment_that_nobody_was_asked_about_is_coded_and_shows_what_was_said(site):
    segment = fill(site, 3)[-1]
    client = visit(site, "annotator")
    assert "Code this segment" in client.get(f"{BASE}/segments/{segment.id}").text
    chosen = [code_id(STUDY, "app crashes"), code_id(STUDY, "slow checkout")]
    page = save(client, segment, code=chosen, new="a new one", memo="read twice")
    assert page.status_code == 200
    (word,) = words(site)
    assert (word.annotator, word.memo, word.reason, word.shown) == ("ana", "read twice", None, "kind support")
    assert set(word.labels) == {"app crashes", "slow checkout", "a new one"}
    assert "Your coding" in page.text
    assert "read twice</textarea>" in page.text
    ticked = re.findall(r'<input type="checkbox" name="code" value="([^"]+)"[^>]* checked', page.text)
    assert set(ticked) == {str(each) for each in word.code_ids}


def test_a_second_thought_takes_the_place_of_the_first(site):
    segment = fill(site, 3)[-1]
    client = visit(site, "annotator")
    save(client, segment, accept="true")
    save(client, segment, new="better")
    first, second = words(site)
    assert (first.accepted, second.accepted, second.labels) == (True, False, ["better"])


def test_a_segment_without_any_code_of_the_system_is_coded(site):
    plain = fill(site, 1)[0].model_copy(update={"id": uuid4(), "own_id": "alone"})
    site.store.take_in([plain])
    client = visit(site, "annotator")
    page = client.get(f"{BASE}/segments/{plain.id}")
    assert (page.status_code, "The system&#39;s code" in page.text) == (200, False)
    assert save(client, plain, accept="true").status_code == 422
    save(client, plain, new="mine")
    (word,) = words(site)
    assert (word.labels, word.accepted, word.shown, word.confidence) == (["mine"], None, None, None)


def test_choosing_nothing_is_said_on_the_page_and_keeps_what_was_entered(site):
    segment = fill(site, 3)[-1]
    page = save(visit(site, "annotator"), segment, memo="half a thought")
    assert page.status_code == 422
    assert "No code is chosen" in page.text
    assert "half a thought</textarea>" in page.text
    assert words(site) == []


def test_who_may_not_code_sees_no_panel(site):
    segment = fill(site, 1)[0]
    client = visit(site, "viewer")
    assert 'id="decision"' not in client.get(f"{BASE}/segments/{segment.id}").text
    assert save(client, segment, accept="true").status_code == 403


def test_what_is_read_blind_is_coded_blind_on_the_panel_too(site):
    segments = fill(site, 3, people=3)
    site.store.record([StudyRules(study=STUDY, blind=True, author="lea", at=site.clock.now())])
    client = visit(site, "annotator")
    assert (
        "kind support"
        not in client.get(f"{BASE}/segments/{segments[2].id}")
        .text.partition("Similar")[0]
        .replace(segments[2].text, "")
        .partition("Nearest codes")[0]
    )
    save(client, segments[2], new="mine")
    assert words(site)[0].blind


def test_a_list_is_coded_one_after_another_skipping_and_ending(site):
    segments = fill(site, 6)
    mail = segments[1::2][::-1]
    client = visit(site, "annotator")
    listed = client.get(f"{BASE}/segments?source=mail").text
    address = unescape(re.search(r'href="([^"]+/coding\?[^"]+)"', listed)[1])
    page = client.get(address)
    for segment, left in zip(mail[:2], (3, 2), strict=True):
        assert f"<strong>{left}</strong> not coded by you yet" in page.text
        assert unescape(page.text).count(segment.text) == 1
        onward = unescape(re.search(r'name="onward" value="([^"]+)"', page.text)[1])
        page = save(client, segment, new="mine", onward=onward)
    assert [each.segment_id for each in words(site)] == [each.id for each in mail[:2]]
    fault = save(client, mail[2], onward=onward)
    assert (fault.status_code, "No code is chosen" in fault.text) == (422, True)
    save(client, mail[2], new="mine")
    assert "You have coded all of them" in client.get(address).text


def test_a_skipped_segment_is_offered_again_at_the_end(site):
    fill(site, 2)
    client = visit(site, "annotator")
    page = client.get(f"{BASE}/coding")
    skip = unescape(re.search(r'href="([^"]+)" data-key="s"', page.text)[1])
    last = client.get(skip)
    assert 'data-key="s"' not in last.text
    assert "<strong>2</strong>" in last.text


def test_ticked_segments_get_one_code_and_keep_their_memos(site):
    segments = fill(site, 5)
    client = visit(site, "annotator")
    save(client, segments[0], new="other", memo="kept")
    data = {"cause": uuid4(), "segment": [str(each.id) for each in segments[:3]], "code": "", "new": "together"}
    page = client.post(f"{BASE}/segments/code", data={**data, "onward": "source=mail"})
    assert "3 segments coded" in page.text
    last = {word.segment_id: word for word in words(site)}
    assert {tuple(word.labels) for word in last.values()} == {("together",)}
    assert last[segments[0].id].memo == "kept"
    assert dict(site.store.top_codes(STUDY, 9))["together"] == 3
    assert client.post(f"{BASE}/segments/code", data={**data, "new": ""}).status_code == 422
    assert client.post(f"{BASE}/segments/code", data={**data, "segment": [str(uuid4())]}).status_code == 404
