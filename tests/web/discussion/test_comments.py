"""Comments between coders: threads answered, settled and deleted; nobody reads them who still has to read blind."""

from uuid import uuid4

import pytest

from infra.accounts.audit import AuditFilter
from infra.annotation.comments import threads
from infra.erasure.erase import Eraser
from infra.erasure.rows import GONE
from schemas import AnnotationRequest
from tests.web.site import HOSTILE, LABELS, STUDY, code, fill, visit


def say(client, text="is this slow or broken?", **about):
    form = {"cause": str(uuid4()), "text": text} | {name: str(value) for name, value in about.items()}
    return client.post(f"/s/{STUDY}/comments", data=form, follow_redirects=False)


def kept(site, **narrow):
    return threads(site.store.database, STUDY, "", **narrow)


def words(site, **narrow):
    return [[comment.text for comment in thread.comments] for thread in kept(site, **narrow)]


def asked_blind(site, segment):
    request = AnnotationRequest(
        segment_id=segment.id, study=STUDY, code_id=code(LABELS[0]), label=LABELS[0], confidence=0.3, reason="audit",
        blind=True, requested_at=site.clock.now(),
    )  # fmt: skip
    site.store.record([request])


@pytest.fixture
def segment(site):
    return fill(site, 6, people=0)[0]


def test_a_thread_on_a_segment_is_asked_answered_and_settled(site, segment):
    ana, ben = visit(site, "annotator"), visit(site, "annotator", name="ben")
    assert say(ana, segment=segment.id).headers["location"] == f"/s/{STUDY}/segments/{segment.id}#comments"
    (thread,) = kept(site)
    say(ben, "broken, I think", thread=thread.id)
    page = visit(site, "viewer", name="vic").get(f"/s/{STUDY}/segments/{segment.id}").text
    assert page.index("is this slow or broken?") < page.index("broken, I think")
    assert "<strong>ben</strong>" in page
    ben.post(f"/s/{STUDY}/comments/{thread.id}/settle", data={"settled": "true"})
    (settled,) = kept(site)
    assert (settled.settled_by, kept(site, unsettled=True)) == ("ben", [])
    say(ana, "no, look again", thread=thread.id)
    assert [one.settled for one in kept(site)] == [False]


def test_a_lead_sees_how_many_are_open_and_which(site, segment):
    ana, lea = visit(site, "annotator"), visit(site, "lead", name="lea")
    assert "open comment" not in lea.get(f"/s/{STUDY}/").text
    say(ana, segment=segment.id)
    say(ana, "two codes in one", code=code(LABELS[0]))
    assert "2 open comments" in lea.get(f"/s/{STUDY}/").text
    assert '2<span class="visually-hidden"> open' in lea.get(f"/s/{STUDY}/codebook").text
    listed = lea.get(f"/s/{STUDY}/comments").text
    assert "is this slow or broken?" in listed
    assert "two codes in one" in listed
    newest = kept(site)[0]
    back = lea.post(
        f"/s/{STUDY}/comments/{newest.id}/settle", data={"settled": "true", "back": "list"}, follow_redirects=False
    )
    assert back.headers["location"] == f"/s/{STUDY}/comments#comments"
    assert "two codes in one" not in lea.get(f"/s/{STUDY}/comments").text
    assert "two codes in one" in lea.get(f"/s/{STUDY}/comments?show=all").text


def test_a_comment_on_a_merged_code_is_read_at_the_code_that_it_became(site, segment):
    lea = visit(site, "lead", name="lea")
    say(lea, "moved with it", code=code(LABELS[0]))
    form = {"cause": str(uuid4()), "code": [str(code(label)) for label in LABELS[:2]], "action": "merge"}
    lea.post(f"/s/{STUDY}/codebook/bulk", data=form | {"into": str(code(LABELS[1]))})
    assert "moved with it" in lea.get(f"/s/{STUDY}/codebook/codes/{code(LABELS[1])}").text


def test_own_comments_are_deleted_and_what_others_answered_stays(site, segment):
    ana, ben = visit(site, "annotator"), visit(site, "annotator", name="ben")
    say(ana, segment=segment.id)
    first = kept(site)[0].comments[0]
    assert ben.post(f"/s/{STUDY}/comments/{first.id}/remove").status_code == 404
    say(ben, "broken", thread=first.id)
    assert ana.post(f"/s/{STUDY}/comments/{first.id}/remove").status_code == 200
    assert words(site) == [["", "broken"]]
    assert "(deleted)" in ben.get(f"/s/{STUDY}/segments/{segment.id}").text
    assert ana.post(f"/s/{STUDY}/comments/{first.id}/remove").status_code == 404
    answer = kept(site)[0].comments[1]
    assert ben.post(f"/s/{STUDY}/comments/{answer.id}/remove").status_code == 200
    assert kept(site) == []


def test_nobody_who_may_have_to_read_a_segment_blind_reads_or_writes_about_it(site, segment):
    ana, lea = visit(site, "annotator"), visit(site, "lead", name="lea")
    say(lea, "surely a crash", segment=segment.id)
    (thread,) = kept(site)
    asked_blind(site, segment)
    for address in (f"segments/{segment.id}", "comments?show=all", "comments", "", "codebook"):
        page = ana.get(f"/s/{STUDY}/{address}").text
        assert "surely a crash" not in page
        assert "open comment" not in page
        assert "visually-hidden> open" not in page
    assert "surely" not in ana.get(f"/s/{STUDY}/export/comments?fmt=jsonl").text
    assert "surely" in lea.get(f"/s/{STUDY}/export/comments?fmt=jsonl").text
    assert say(ana, segment=segment.id).status_code == 403
    assert say(ana, thread=thread.id).status_code == 403
    assert ana.post(f"/s/{STUDY}/comments/{thread.id}/settle", data={"settled": "true"}).status_code == 403
    assert ana.post(f"/s/{STUDY}/comments/{thread.id}/remove").status_code == 403
    assert "surely a crash" in lea.get(f"/s/{STUDY}/segments/{segment.id}").text
    assert words(site) == [["surely a crash"]]


def test_a_token_needs_the_scope_of_labels_and_a_form_its_session(site, segment):
    account = site.accounts.create("program")
    site.accounts.grant(account, STUDY, "annotator")
    form = {"cause": str(uuid4()), "text": "from a program", "segment": str(segment.id)}
    client = visit(site, None, name="nobody")
    client.cookies.clear()
    for scopes, status in ((["read"], 403), (["read", "labels"], 303)):
        token = site.accounts.keys.make_token(account, "t", scopes=scopes)
        header = {"Authorization": f"Bearer {token}"}
        answer = client.post(f"/s/{STUDY}/comments", data=form, headers=header, follow_redirects=False)
        assert answer.status_code == status
    ana = visit(site, "annotator")
    assert ana.post(f"/s/{STUDY}/comments", data=form | {"csrf": "wrong"}).status_code == 403
    assert words(site) == [["from a program"]]


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"text": " "}, "The comment is empty"),
        ({"text": "x" * 4001}, "at most 4000"),
        ({"text": "x", "segment": ""}, "about a segment or a code"),
        ({"text": "x", "code": uuid4()}, "about one of the two"),
        ({"text": "x", "segment": uuid4()}, "has no segment"),
    ],
)
def test_what_is_no_comment_is_refused_in_words(site, segment, form, why):
    answer = say(visit(site, "annotator"), **{"segment": segment.id, **form})
    assert (answer.status_code, why in answer.text) == (422, True)


def test_an_answer_to_no_thread_and_a_second_comment_of_one_id_are_refused(site, segment):
    ana, cause = visit(site, "annotator"), str(uuid4())
    assert say(ana, thread=uuid4()).status_code == 404
    for _ in range(2):
        assert say(ana, "once", segment=segment.id, cause=cause).status_code == 303
    assert words(site) == [["once"]]
    say(ana, "an answer", thread=cause)
    answer = kept(site)[0].comments[1].id
    assert say(ana, "elsewhere", segment=segment.id, cause=answer).status_code == 422


def test_comments_are_in_the_audit_log_without_their_words(site, segment):
    say(visit(site, "annotator"), "something of mine", segment=segment.id)
    (entry,) = site.audit.newest(AuditFilter(action="POST /s/{study}/comments"), 5)
    assert (entry.actor, entry.status) == ("ana", 303)
    assert str(kept(site)[0].id) in entry.subject
    assert "mine" not in entry.subject


def test_an_erased_person_leaves_no_word_and_an_erased_segment_no_thread(site, segment):
    ana, ben = visit(site, "annotator"), visit(site, "annotator", name="ben")
    say(ana, "of ana alone", code=code(LABELS[0]))
    say(ana, "of ana, answered", segment=segment.id)
    thread = kept(site)[0]
    say(ben, "of ben", thread=thread.id)
    ana.post(f"/s/{STUDY}/comments/{thread.id}/settle", data={"settled": "true"})
    eraser = Eraser(site.settings, site.store, site.clock)
    assert eraser.person("ana").rows["comments"] == 2
    (left,) = kept(site)
    assert [(each.author, each.text) for each in left.comments] == [(GONE, ""), ("ben", "of ben")]
    assert left.settled_by == GONE
    eraser.segments([segment.id], "segments by id")
    assert kept(site) == []


def test_hostile_comments_stay_text(site, segment):
    ana = visit(site, "annotator")
    for text in HOSTILE:
        say(ana, text, segment=segment.id)
    page = ana.get(f"/s/{STUDY}/comments").text
    assert "<script>alert" not in page
