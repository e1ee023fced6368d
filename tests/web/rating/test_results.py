"""What raters gave: nothing of it before the end, then means, agreement, correlations and a file; gone when erased."""

import csv
import io

import pytest

from infra.accounts.audit import AuditFilter
from infra.annotation.rating.rating_studies import given_ratings, items_of, list_ratings
from infra.erasure.erase import Eraser
from infra.erasure.reset import reset
from infra.erasure.rows import GONE
from models.evaluation.rating_study import SCALES
from schemas import Annotation
from schemas.ids import code_id
from tests.web.rating.raters import RATINGS, begin, rate_all
from tests.web.site import LABELS, STUDY, fill, visit


@pytest.fixture
def lea(site):
    segments = fill(site, 14, people=0)
    at = site.clock.now()
    site.store.record(
        [Annotation.about(each, "carl", {}, at) if n > 11 else _coded(each, n, at) for n, each in enumerate(segments)]
    )  # people decided that no code fits two of them
    return visit(site, "lead", name="lea")


def _coded(segment, n, at):
    label = LABELS[n % len(LABELS)] if n % 3 else f"point {n} of it"
    return Annotation.about(segment, "carl", {code_id(STUDY, label): label}, at)


@pytest.fixture
def rating(site, lea):
    begin(lea, sources=("member:a", "member:c", "refiner", "people"), quotes="8")
    (kept,) = list_ratings(site.store.database, STUDY)
    return kept


@pytest.fixture
def address(rating):
    return f"{RATINGS}/{rating.id}"


def rated(site, address, names=("ana", "ben")):
    """Raters who like a code that is one of the system's; the second one somewhat less."""
    for less, name in enumerate(names):
        rate_all(
            visit(site, "annotator", name=name), address, lambda code, less=less: 5 - less if code in LABELS else 2
        )


def test_before_the_end_a_lead_sees_how_far_raters_are_and_not_whose_codes_got_what(site, lea, rating, address):
    rated(site, address, ("ana",))
    page = lea.get(f"{address}/results").text
    assert '<th scope="row">ana</th>' in page
    assert "Whose codes got what</h2>" not in page
    assert lea.get(f"{address}/ratings.csv").status_code == 403


def test_after_the_end_every_figure_is_there(site, lea, rating, address):
    rated(site, address)
    lea.post(f"{address}/end")
    page = lea.get(f"{address}/results").text
    for words in ("member a", "member c", "the code after refinement", "people&#39;s codes", "ana and ben"):
        assert words in page.replace("people's", "people&#39;s"), words
    assert "Krippendorff" in page
    assert "<code>rouge_1</code>" in page
    assert "<code>cosine</code>" in page


def test_codes_that_raters_like_come_first_and_measures_go_with_them(site, lea, rating, address):
    rated(site, address)
    lea.post(f"{address}/end")
    page = lea.get(f"{address}/results").text.partition('id="systems"')[2]
    assert page.index("member a") < page.index("member c")


def test_nobody_rated_is_said(lea, address):
    lea.post(f"{address}/end")
    assert "Nobody rated" in lea.get(f"{address}/results").text


def test_ratings_come_as_a_file_with_whose_each_code_is_and_no_formula_in_it(site, lea, rating, address):
    rated(site, address)
    lea.post(f"{address}/end")
    answer = lea.get(f"{address}/ratings.csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 2 * len(items_of(site.store.database, rating))
    assert {row["rater"] for row in rows} == {"ana", "ben"}
    assert {row[scale] for row in rows for scale in SCALES} <= {"2", "4", "5"}
    assert {row["stands"] for row in rows} <= {"True", "False"}
    assert any("member:a" in row["sources"] for row in rows)
    entries = site.audit.newest(AuditFilter(action="GET /s/{study}/ratings/{rating}/ratings.csv"), 5)
    assert len(entries) == 1


def test_a_formula_in_a_name_or_a_code_is_guarded(site, lea, address, rating):
    rated(site, address, ("@SUM",))
    lea.post(f"{address}/end")
    assert "'@SUM," in lea.get(f"{address}/ratings.csv").text


def test_beginning_and_ending_are_in_the_audit_log(site, lea, rating, address):
    lea.post(f"{address}/end")
    (begun,) = site.audit.newest(AuditFilter(action="POST /s/{study}/ratings"), 5)
    (ended,) = site.audit.newest(AuditFilter(action="POST /s/{study}/ratings/{rating}/end"), 5)
    assert (begun.actor, ended.actor) == ("lea", "lea")
    assert "member:a, member:c, refiner, people; 8 quotes, 2 raters, seed 1" in begun.subject
    assert str(rating.id) in begun.subject
    assert str(rating.id) in ended.subject


def test_an_erased_rater_leaves_no_rating_and_a_lead_no_name(site, lea, rating, address):
    rated(site, address)
    receipt = Eraser(site.settings, site.store, site.clock).person("ana")
    assert receipt.rows["ratings"] == len(items_of(site.store.database, rating))
    assert {each.rater for each in given_ratings(site.store.database, rating)} == {"ben"}
    Eraser(site.settings, site.store, site.clock).person("lea")
    assert [each.author for each in list_ratings(site.store.database, STUDY)] == [GONE]


def test_an_erased_segment_takes_its_codes_and_ratings_along(site, lea, rating, address):
    rated(site, address)
    segment = items_of(site.store.database, rating)[0].segment
    before = len(given_ratings(site.store.database, rating))
    receipt = Eraser(site.settings, site.store, site.clock).segments([segment], "one segment")
    gone = receipt.rows["rating_items"]
    assert gone >= 1
    assert len(given_ratings(site.store.database, rating)) == before - 2 * gone
    lea.post(f"{address}/end")
    assert lea.get(f"{address}/results").status_code == 200
    assert str(segment) not in lea.get(f"{address}/ratings.csv").text


def test_a_reset_study_has_no_ratings_any_more(site, lea, rating, address):
    rated(site, address, ("ana",))
    reset(site.settings, site.store, STUDY)
    assert list_ratings(site.store.database, STUDY) == []
    assert given_ratings(site.store.database, rating) == []
