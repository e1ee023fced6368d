"""The classifier's page, going back to an earlier version, and why it gives a segment a code."""

import json
import re
from datetime import timedelta
from html import unescape
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from infra.storage.releases import history
from infra.storage.tables import outbox
from infra.training.releases import again, classifier_of, find, kept, serving
from infra.web.pages.segments import index_of
from models.errors import InputError, UnavailableError
from models.fakes import HandClock
from schemas import Annotation, AnnotationRequest, Decision
from schemas.coding import Classified, Guess
from schemas.ids import code_id
from tests.web.classifiers import refused, release, teach
from tests.web.site import HOSTILE, STUDY, app_of, fill, make_site, visit

PAGE = f"/s/{STUDY}/classifier"
BACK = f"{PAGE}/rollback"
HX = {"HX-Request": "true"}
TAUGHT = {
    "the app crashes": "app crashes",
    "crash since the update": "app crashes",
    "slow checkout": "slow checkout",
    "the checkout is slow": "slow checkout",
    "kind support": "kind support",
}


@pytest.fixture
def site(tmp_path):
    made = make_site(tmp_path)
    yield made
    index_of(app_of(made)).close()
    made.store.close()


def read(client, path=PAGE):
    answer = client.get(path)
    assert answer.status_code == 200
    return " ".join(unescape(answer.text).split())


def releases(site):
    return history(site.store.database, classifier_of(STUDY))


def waiting(site):
    with site.store.database.reading() as connection:
        return connection.execute(select(func.count()).select_from(outbox)).scalar_one()


def label(site, segments, who="ana"):
    for segment in segments:
        given = next(name for name in ("slow checkout", "app crashes", "kind support") if name in segment.text)
        site.store.record(
            [
                Annotation(
                    segment_id=segment.id,
                    study=STUDY,
                    annotator=who,
                    code_ids=[code_id(STUDY, given)],
                    labels=[given],
                    text=segment.text,
                    decided_at=site.clock.now(),
                )
            ]
        )


def told(segments):
    """Those whose code is one of three."""
    return [
        one for one in segments if any(name in one.text for name in ("slow checkout", "app crashes", "kind support"))
    ]


# without one


def test_a_study_without_a_classifier_says_what_it_waits_for(site):
    text = read(visit(site, "annotator"))
    assert "No classifier yet" in text
    assert 'About <span class="num">40</span> more labelled segments' in text
    assert "0 of 40" in text
    assert "Go to the queue" in text


def test_labels_bring_the_first_one_nearer_and_the_page_names_who_gave_them(site):
    segments = told(fill(site, 40))
    label(site, segments)
    text = read(visit(site, "viewer"))
    asked = int(re.search(r'About <span class="num">(\d+)</span> more', text)[1])
    assert asked == 40 - len(segments) > 0
    assert f"{len(segments)} segments have labels" in text
    assert "ana (" in text
    assert '<span class="tag good">slow checkout</span>' in text
    assert "No trainer is at work" in text
    assert "Go to the queue" not in text  # a viewer has none


def test_refusals_are_shown_with_their_reasons_before_anything_serves(site):
    site.store.record([refused(1, metrics={"held_out": 5.0}, why="5 labels are too few: 35 more")])
    text = read(visit(site, "lead"))
    assert "No classifier yet" in text
    assert '<span class="tag bad">refused</span>' in text
    assert "trainer: 5 labels are too few: 35 more" in text
    assert "Go back to it" not in text


# with some


def test_what_serves_is_told_with_its_figures_and_what_they_rest_on(site):
    more = {"difference": 0.04, "difference_low": -0.01, "difference_high": 0.09, "macro_f1_before": 0.46}
    newest = release(2)
    newest = newest.model_copy(update={"metrics": newest.metrics | more})
    site.store.record([release(1), newest, refused(3)])
    text = read(visit(site, "viewer"))
    assert '<span class="big num">0.50</span> <span>macro-F1 on 14 segments; 95% interval 0.30 to 0.80' in text
    assert "on the same segments: 0.50 against 0.46, +0.04, 95% interval -0.01 to +0.09" in text
    assert 'Taught on <strong class="num">50</strong> segments' in text
    row = text.split('<th scope="row">slow checkout', 1)[1].split("</tr>")[0]
    assert re.findall(r'<td class="num">([^<]*)</td>', row) == ["0.60", "0.55", "0"]
    assert '<span class="tag warn">few examples</span>' in row
    assert text.count('<span class="tag good">serves</span>') == 1
    assert "trainer: not better: training 3" in text


def test_beside_what_serves_stands_how_many_labels_there_are_by_now(site):
    site.store.record([release(1)])
    segments = told(fill(site, 40))
    label(site, segments)
    text = read(visit(site, "viewer"))
    assert f"{len(segments)} segments have labels by now" in text


def test_the_learning_curve_has_every_training_once_and_a_table(site):
    back = again(release(1), release(2), "lea", site.clock)
    site.store.record([release(1), release(2), refused(3), back])
    text = read(visit(site, "viewer"))
    chart = json.loads(text.split('data-curve="', 1)[1].split('" aria-hidden', 1)[0])
    assert chart["x"] == [40, 50, 60]
    assert chart["released"] == [0.45, 0.5, None]
    assert chart["refused"] == [None, None, 0.55]
    assert chart["low"] == [0.3, 0.3, 0.3]
    table = text.split("Macro-F1 by segments taught", 1)[1].split("</table>")[0]
    assert table.count('<th scope="row"') == 3


@pytest.mark.parametrize(
    ("metrics", "says"),
    [
        ({}, "Too few trainings to tell yet."),
        ({"stop_kappa": 1.0, "stop_delta_f": 1.0}, "Labelling more of the same has stopped paying"),
        ({"stop_kappa": 1.0, "stop_delta_f": 0.0}, "Labelling pays less and less"),
        ({"stop_kappa": 0.0, "stop_delta_f": 0.0}, "Labelling still pays"),
        ({"stop_kappa": 0.0, "stop_delta_f": 0.0, "trainings": 2.0}, "Too early to tell"),
    ],
)
def test_the_stopping_criteria_advise(site, metrics, says):
    one = release(1)
    site.store.record([one.model_copy(update={"metrics": one.metrics | metrics})])
    assert says in read(visit(site, "viewer"))


def test_a_release_that_says_little_of_itself_is_shown_all_the_same(site):
    site.store.record([release(1, metrics={}, per_code={}, why="")])
    text = read(visit(site, "lead"))
    assert '<span class="big num">–</span>' in text
    assert "says nothing about its codes" in text
    assert "no reason given" in text
    assert "data-curve" not in text


# going back


def test_a_lead_goes_back_and_the_coders_will_hear_of_it(site):
    site.store.record([release(1), release(2)])
    client = visit(site, "lead", name="lea")
    answer = client.post(BACK, data={"version": release(1).version}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}?back=true")
    newest = serving(releases(site))
    assert (newest.version, newest.replaces, newest.author) == (release(1).version, release(2).version, "lea")
    assert (newest.sha256, newest.uri, newest.per_code) == (release(1).sha256, release(1).uri, release(1).per_code)
    assert waiting(site) == 1
    text = read(client, f"{PAGE}?back=true")
    assert "Done." in text
    assert '<span class="tag good">serves</span> <span class="tag warn">again</span>' in text
    assert text.count("Go back to it") == 1  # to the one that it came from, and to that once


@pytest.mark.parametrize("role", ["viewer", "annotator"])
def test_who_does_not_lead_may_not_go_back(site, role):
    site.store.record([release(1), release(2)])
    client = visit(site, role)
    assert "Go back to it" not in read(client)
    assert client.post(BACK, data={"version": release(1).version}).status_code == 403
    assert waiting(site) == 0


@pytest.mark.parametrize(
    ("version", "says"),
    [
        (release(2).version, "serves already"),
        (release(3).version, "was refused and has never served"),
        ("v0", "No version 'v0' of this classifier was released"),
        ("", "No version ''"),
    ],
)
def test_what_cannot_serve_again_is_refused_in_one_line(site, version, says):
    site.store.record([release(1), release(2), refused(3)])
    answer = visit(site, "lead").post(BACK, data={"version": version})
    assert answer.status_code == 422
    assert says in unescape(answer.text)
    assert waiting(site) == 0


def test_a_version_that_was_cleared_away_is_not_offered_and_not_taken(site):
    first = teach(site.settings.data_dir, TAUGHT)
    gone = release(1, uri="data:classifiers/reviews/cleared", version="cleared")
    site.store.record([gone, first.model_copy(update={"released_at": gone.released_at + timedelta(hours=1)})])
    client = visit(site, "lead")
    assert "Go back to it" not in read(client)
    answer = client.post(BACK, data={"version": "cleared"})
    assert (answer.status_code, "no longer kept on disk" in answer.text) == (422, True)


def test_going_back_is_later_than_what_it_replaces_whatever_the_clock_says(site):
    current = release(2)
    back = again(release(1), current, "lea", HandClock())
    assert back.released_at > current.released_at
    assert serving([back, current, release(1)]).version == release(1).version
    with pytest.raises(InputError, match="serves already"):
        again(back, back, "lea", HandClock())
    with pytest.raises(InputError, match="has never served"):
        again(refused(3), current, "lea", HandClock())
    assert find([refused(1), release(1)], release(1).version).outcome == "released"  # refused first, then taken
    assert not kept(site.settings.data_dir, refused(1))  # of a refused one nothing is kept


# why


@pytest.fixture
def segment(site):
    """A segment that a classifier on disk has guessed at."""
    one = fill(site, 3)[1]
    serves = teach(site.settings.data_dir, TAUGHT)
    decided = next(each for each in site.store.history(Decision) if each.segment.id == one.id)
    guesses = [
        Guess(code_id=code_id(STUDY, name), label=name, probability=p)
        for name, p in (("app crashes", 0.8), ("slow checkout", 0.3))
    ]
    classified = Classified(model=serves.version, guesses=guesses, sure=True)
    site.store.record([serves, decided.model_copy(update={"classified": classified})])
    return one


def story(segment):
    return f"/s/{STUDY}/segments/{segment.id}"


def test_a_segments_page_shows_the_classifiers_guesses(site, segment):
    text = read(visit(site, "viewer"), story(segment))
    guesses = text.split("The classifier's guesses", 1)[1].split("</table>")[0]
    assert re.findall(r'<td class="num">([^<]*)</td>', guesses) == ["80 %", "30 %"]
    assert guesses.count("Why?") == 2
    assert guesses.count('<span class="tag good">sure</span>') == 1
    assert "is loaded first: that takes some seconds" in text


def test_words_are_coloured_by_what_they_add_and_a_table_says_the_same(site, segment):
    client = visit(site, "viewer")
    for headers in (HX, {}):
        answer = client.get(
            f"{story(segment)}/why", params={"code": str(code_id(STUDY, "app crashes"))}, headers=headers
        )
        assert answer.status_code == 200
        text = " ".join(unescape(answer.text).split())
        assert ("<html" in text) == (headers == {})
        coloured = text.split('<p class="segment why" aria-hidden="true">', 1)[1].split("</p>")[0]
        assert re.sub(r"<[^>]*>", "", coloured) == " ".join(segment.text.split())
        assert re.search(r'class="(for|against)-4"', coloured)
        table = text.split("Words and what they add", 1)[1].split("</table>")[0]
        assert table.count('<th scope="row">') == len(segment.text.split())
        assert "style=" not in answer.text
    assert "is loaded first" not in read(client, story(segment))


def test_without_a_code_the_likeliest_is_explained(site, segment):
    text = unescape(visit(site, "viewer").get(f"{story(segment)}/why", headers=HX).text)
    best = re.search(r"Why “([^”]+)”", text)[1]
    assert f">{best} " in text  # first of what it says now


def test_a_segment_coded_before_there_was_a_classifier_may_be_asked_about(site, segment):
    other = next(each for each in site.store.history(Decision) if each.classified is None).segment
    client = visit(site, "viewer")
    text = read(client, story(other))
    assert "It had not been taught when this was coded." in text
    assert "What would it say now?" in text
    assert client.get(f"{story(other)}/why", headers=HX).status_code == 200


@pytest.mark.parametrize("headers", [HX, {}])
def test_what_cannot_be_explained_is_said_in_place(site, segment, headers):
    client = visit(site, "viewer")
    unknown = client.get(f"{story(segment)}/why", params={"code": str(uuid4())}, headers=headers)
    assert (unknown.status_code, "does not know this code" in unknown.text) == (422, True)
    serves = releases(site)[0]
    site.store.record([release(9, sha256="f" * 64, uri=serves.uri, released_at=serves.released_at + timedelta(days=9))])
    changed = client.get(f"{story(segment)}/why", headers=headers)
    assert (changed.status_code, "not as they were released" in changed.text) == (422, True)
    assert str(site.settings.data_dir) not in changed.text


def test_without_a_classifier_nobody_is_asked_why(site):
    one = fill(site, 1)[0]
    client = visit(site, "viewer")
    assert 'id="guessed"' not in read(client, story(one))
    answer = client.get(f"{story(one)}/why", headers=HX)
    assert (answer.status_code, "no classifier yet" in answer.text) == (422, True)
    assert client.get(f"/s/{STUDY}/segments/{uuid4()}/why").status_code == 404


def test_what_is_to_be_read_blind_is_not_explained_to_who_may_read_it(site, segment):
    asked = AnnotationRequest(
        segment_id=segment.id,
        study=STUDY,
        code_id=code_id(STUDY, "app crashes"),
        label="app crashes",
        confidence=0.3,
        reason="query strategy",
        blind=True,
        requested_at=site.clock.now(),
    )
    site.store.record([asked])
    client = visit(site, "annotator")
    assert client.get(f"{story(segment)}/why", headers=HX).status_code == 403
    assert "guesses" not in read(client, story(segment))
    assert visit(site, "lead", name="lea").get(f"{story(segment)}/why", headers=HX).status_code == 200


def test_too_many_who_ask_at_once_are_asked_to_come_again(site, segment):
    from infra.web.pages.explanation import explainer_of

    explainer = explainer_of(app_of(site))
    for _ in range(4):
        explainer._places.acquire()
    with pytest.raises(UnavailableError):
        explainer.explain(releases(site)[0], segment.text)
    answer = visit(site, "viewer").get(f"{story(segment)}/why", headers=HX)
    assert (answer.status_code, "try again in a moment" in answer.text) == (422, True)


def test_hostile_words_stay_words(site, segment):
    client = visit(site, "viewer")
    plain = fill(site, 1)[0]
    for text in HOSTILE:
        site.store.record([plain.model_copy(update={"id": (other := uuid4()), "text": text})])
        answer = client.get(f"/s/{STUDY}/segments/{other}/why", headers=HX)
        assert answer.status_code == 200
        assert set(re.findall(r"<(\w+)", answer.text)) <= {
            *("div", "h2", "p", "span", "details", "summary", "table", "caption", "thead", "tr", "th", "tbody", "td"),
            *("code", "a"),
        }
        assert not re.search(r"<[^>]*\s(on\w+|style)=", answer.text)


def test_the_queue_says_in_plain_words_that_the_classifier_asks(site):
    one = fill(site, 2, people=1)[0]
    (asked,) = site.store.history(AnnotationRequest)
    update = {"reason": "query strategy", "requested_at": site.clock.now(), "segment_id": one.id}
    site.store.record([asked.model_copy(update=update)])
    assert "the classifier wants to learn from this one" in read(visit(site, "annotator"), f"/s/{STUDY}/queue")
