"""What is to be read blind: whoever may still have to read it learns its code nowhere.

Two sites differ in nothing but which of two such segments has which code. Whoever could tell them apart, by any route,
would know a code; a lead can.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import pytest

from infra.annotation.comments import NewComment, add_comment
from infra.annotation.memos import Memo, add_memo
from infra.annotation.rating.rating_studies import QuotedItem, RatingStudy, start_rating
from infra.storage.database import Database
from models.evaluation.rating_study import RatedItem
from models.fakes import HandClock
from schemas import Annotation, DriftAlert, Record, Segment
from schemas.ids import code_id, segment_id
from tests.web.poison import SPACE
from tests.web.routes import ENDLESS, NEEDED
from tests.web.site import BASE, LABELS, STUDY, app_of, coded, make_site, visit

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ONE, OTHER = segment_id(STUDY, "blind", "one"), segment_id(STUDY, "blind", "other")
RATING = uuid5(SPACE, "rating")
CODES = LABELS[:2]
PUBLIC = tuple(name for name in NEEDED if name.startswith("GET /s/") and name not in ENDLESS)
SEARCHES = (
    *(f"segments?q=zebra&code={code_id(STUDY, label)}" for label in CODES),
    *(f"segments?q=giraffe&code={code_id(STUDY, label)}" for label in CODES),
    "segments?q=zebra&human=undecided",
    *(f"segments?by=meaning&q=zebra&code={code_id(STUDY, label)}" for label in CODES),
    "segments?q=zebra&low=0.3&high=0.32",
    "segments?q=giraffe&high=0.32",
    "segments?q=zebra&route=people&low=0.35",
    "segments?q=zebra&annotator=ben&low=0.35",
    *(f"export/{what}?fmt={fmt}{more}" for what in ("segments", "labels") for fmt in ("csv", "jsonl", "parquet")
      for more in ("", "&history=true")),
    "agreement?models=true",
    "documents?source=mail",
    "comments?show=all",
    *(f"ratings/{RATING}?number={n}" for n in (1, 2)),
    "export/comments?fmt=jsonl",
    "export/memos?fmt=jsonl",
    *(f"drift/export/{what}.csv" for what in ("shares", "distance", "sources", "texts")),
    "agreement/figures.json?models=true",
    *(f"codebook/codes/{code_id(STUDY, label)}" for label in CODES),
)  # fmt: skip


def labelled(segment: UUID, annotator: str, label: str) -> Annotation:
    return Annotation(
        segment_id=segment,
        study=STUDY,
        annotator=annotator,
        code_ids=[code_id(STUDY, label)],
        labels=[label],
        blind=True,
        decided_at=AT + timedelta(minutes=5),
        memo=f"because of {label}",
    )


def records(first: str, second: str) -> Iterator[Record]:
    for k, label in enumerate(LABELS * 2):
        at = AT - timedelta(hours=20 - k)
        plain = Segment(
            id=segment_id(STUDY, "plain", str(k)), study=STUDY, text=f"plain {k}", source="mail", timestamp=at
        )
        yield from coded(plain, label, at=at, new=k < len(LABELS))
    for identity, text, label, other, confidence in (
        (ONE, "a zebra", first, second, 0.31),
        (OTHER, "a giraffe", second, first, 0.42),
    ):
        segment = Segment(id=identity, study=STUDY, text=text, source="mail", timestamp=AT)
        sure = confidence if first == CODES[0] else round(0.73 - confidence, 2)
        for record in coded(segment, label, at=AT, new=False, confidence=sure):
            blind = {"blind": True, "coders": 4, "priority": 0.5}
            yield record.model_copy(update=blind) if type(record).__name__ == "AnnotationRequest" else record
        yield labelled(identity, "ben", label)
        yield labelled(identity, "carl", other)
        yield labelled(identity, "dan", label)
    yield DriftAlert(
        id=uuid5(SPACE, "blind alert"), study=STUDY, kind="codes", cause="input", at=AT, detected_at=AT,
        p=0.001, effect=0.3, codes=[CODES[0]], examples=[ONE if first == CODES[0] else OTHER], says="more of it",
    )  # fmt: skip


def discuss(database: Database, first: str, second: str) -> None:
    """Comments on the two segments, a memo on their document and a rating study, which say what they were coded as."""
    for segment, label in ((ONE, first), (OTHER, second)):
        comment = NewComment(uuid5(segment, "comment"), "ben", f"surely {label}", AT, segment=segment)
        add_comment(database, STUDY, comment)
    rating = RatingStudy(RATING, STUDY, ("moderator",), 2, 3, 1, "lea", AT)
    items = ((ONE, RatedItem("1a", "a zebra", first, (), ("moderator",))),)
    items += ((OTHER, RatedItem("2b", "a giraffe", second, (), ("moderator",))),)
    start_rating(database, rating, [QuotedItem(*each) for each in items])
    memo = Memo(uuid5(ONE, "memo"), "carl", f"the zebra is {first}", AT, document="mail")
    add_memo(database, STUDY, memo)


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    pair = []
    for order in (CODES, CODES[::-1]):
        site = make_site(tmp_path_factory.mktemp("blind"), clock=HandClock())
        site.store.record(list(records(*order)))
        discuss(site.store.database, *order)
        pair.append(site)
    yield pair
    for site in pair:
        site.store.close()


def addresses() -> list[str]:
    paths = []
    for name in PUBLIC:
        for segment in (ONE, OTHER):
            values = {"study": STUDY, "segment": segment, "code": code_id(STUDY, CODES[0]), "what": "segments"}
            values |= {"rating": RATING}
            paths.append(name.partition(" ")[2].format(**values))
    return list(dict.fromkeys([*paths, *(f"/s/{STUDY}/{path}" for path in SEARCHES)]))


def seen(site, role: str, path: str) -> list[str]:
    """What somebody gets, without what differs from one answer to the next."""
    app_of(site)
    client = visit(site, role, name="ana")
    answer = client.get(path, headers={"HX-Request": "true"} if path.endswith("/why") else {})
    text = answer.content.decode("utf-8", "replace")
    for key in (client.csrf, *re.findall(r'name="(?:cause|form)" value="([^"]+)"', text)):
        text = text.replace(key, "-")
    return [str(answer.status_code), *re.sub(r'<time datetime="[^"]*[.][^<]*</time>', "", text).splitlines()]


@pytest.mark.parametrize("path", addresses())
@pytest.mark.parametrize("role", ["viewer", "annotator"])
def test_nobody_who_may_have_to_read_it_can_tell_a_segment_s_code_by(sites, role, path):
    one, other = (seen(site, role, path) for site in sites)
    assert [pair for pair in zip(one, other, strict=True) if pair[0] != pair[1]] == []


TELLING = [
    f"/s/{STUDY}/segments/{ONE}",
    f"/s/{STUDY}/agreement/{ONE}",
    f"/s/{STUDY}/agreement",
    f"/s/{STUDY}/export/segments?fmt=jsonl",
    f"/s/{STUDY}/export/labels?fmt=csv",
    f"/s/{STUDY}/segments?q=zebra&code={code_id(STUDY, CODES[0])}",
    f"/s/{STUDY}/codebook/codes/{code_id(STUDY, CODES[0])}",
    f"/s/{STUDY}/drift",
    f"/s/{STUDY}/comments",
    f"/s/{STUDY}/ratings/{RATING}",
    f"/s/{STUDY}/documents?source=mail",
]


@pytest.mark.parametrize("path", TELLING)
def test_a_lead_can(sites, path):
    one, other = (seen(site, "lead", path) for site in sites)
    assert one[0] == "200"
    assert one != other


def test_a_token_learns_no_more_than_its_owner(sites):
    texts = []
    for site in sites:
        account = site.accounts.create("program")
        site.accounts.grant(account, STUDY, "annotator")
        token = {"Authorization": f"Bearer {site.accounts.keys.make_token(account, 'export')}"}
        answer = visit(site, None, name="nobody").get(f"{BASE}/s/{STUDY}/export/segments?fmt=jsonl", headers=token)
        texts.append(answer.text)
    assert texts[0] == texts[1]
    assert "zebra" in texts[0]
