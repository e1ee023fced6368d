"""The newest release that can be loaded serves a study; swapping it loses nothing, and what fails changes nothing."""

import logging
import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import pytest

from models.classifier.predictions import GUESSES, Classifiers, OutOfFoldPredictions, StudyClassifier
from models.classifier.registry import ReleaseRegistry
from models.errors import SettingError
from models.fakes import FakeClassifier, FakeCoder, HandClock
from models.pipeline import code_batch
from schemas import CodeEvent, ModelRelease
from schemas.ids import code_id
from tests.unit.builders import release, segment

SLOW, ADS = code_id("reviews", "slow app"), code_id("reviews", "ads")


def named(one: ModelRelease) -> str:
    """What is served in these tests: the version itself."""
    if "broken" in one.version:
        raise SettingError(f"{one.version}/head.pkl is not read")
    return one.version


def heard(*releases):
    serving = ReleaseRegistry(named)
    return serving, serving.add_releases(releases)


def test_the_newest_release_serves_whatever_the_order_they_come_in():
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        serving, changed = heard(*(release(f"v{minute}", minute) for minute in order))
        assert serving.of("reviews") == "v2"
        assert changed == ["reviews"]


def test_refused_releases_and_those_of_other_models_are_passed_over():
    others = [
        release("v2", 2, outcome="refused"),
        release("v3", 3, model="embedder/reviews"),
        release("v4", 4, study=None),
    ]
    serving, _ = heard(release("v1", 1), *others)
    assert serving.of("reviews") == "v1"


def test_each_study_has_its_own():
    serving, changed = heard(release("v1", 1), release("w1", 1, study="exams"))
    assert [serving.of(study) for study in ("reviews", "exams", "music")] == ["v1", "w1", None]
    assert changed == ["reviews", "exams"]


def test_an_earlier_version_that_is_released_again_serves_again():
    serving, _ = heard(release("v1", 1), release("v2", 2))
    assert serving.add_releases([release("v1", 3)]) == ["reviews"]
    assert serving.of("reviews") == "v1"


def test_what_was_heard_before_changes_nothing_and_is_not_loaded_again():
    loaded = []
    serving = ReleaseRegistry(lambda one: loaded.append(one.version) or one.version)
    history = [release("v1", 1), release("v2", 2)]
    serving.add_releases(history)
    assert serving.add_releases(history) == []
    assert serving.add_releases([release("v2", 3)]) == []  # the one that serves, again
    assert loaded == ["v2"]


def test_one_that_cannot_be_loaded_is_named_and_the_old_one_serves_on(caplog):
    serving, _ = heard(release("v1", 1))
    with caplog.at_level(logging.ERROR):
        assert serving.add_releases([release("broken", 2)]) == []
    assert serving.of("reviews") == "v1"
    (line,) = caplog.messages
    assert "broken/head.pkl is not read" in line
    assert "goes on serving" in line
    assert serving.add_releases([release("v3", 3)]) == ["reviews"]


def test_a_process_that_starts_after_a_broken_release_serves_the_one_before():
    serving, _ = heard(release("v1", 1), release("broken", 2))
    assert serving.of("reviews") == "v1"


def test_loading_holds_nobody_up_and_a_batch_that_is_under_way_keeps_its_classifier():
    loading, may_end = threading.Event(), threading.Event()

    def slowly(one):
        if one.version == "v2":
            loading.set()
            assert may_end.wait(10)
        return one.version

    serving = ReleaseRegistry(slowly)
    serving.add_releases([release("v1", 1)])
    hearing = threading.Thread(target=serving.add_releases, args=([release("v2", 2)],))
    hearing.start()
    assert loading.wait(10)
    assert serving.of("reviews") == "v1"  # while the other thread loads
    may_end.set()
    hearing.join(10)
    assert serving.of("reviews") == "v2"


# what it makes of segments


def study_classifier(confidence_threshold=None, **how):
    fake = FakeClassifier({SLOW: "slow", ADS: "ads"}, **how)
    return StudyClassifier(fake, ["slow app", "ads"], confidence_threshold)


def classifiers(*served, first=False):
    left = iter(served)
    serving = ReleaseRegistry(lambda one: next(left))
    serving.add_releases([release("v0", 0)])
    return Classifiers(serving, first=first)


def test_the_likeliest_codes_are_told_best_first_and_it_is_sure_from_its_threshold_on():
    (sure,) = study_classifier(confidence_threshold=0.95).classify(["the app is slow"])
    assert [(guess.label, guess.code_id) for guess in sure.guesses] == [("slow app", SLOW), ("ads", ADS)]
    assert (sure.guesses[0].probability, sure.sure, sure.model) == (0.95, True, "20260101T000000Z-fake")
    assert not study_classifier(confidence_threshold=0.96).classify(["the app is slow"])[0].sure
    assert not study_classifier().classify(["the app is slow"])[0].sure


def test_at_most_five_codes_are_told():
    codes = {uuid5(SLOW, str(n)): f"word{n}" for n in range(8)}
    (made,) = StudyClassifier(FakeClassifier(codes), [f"code {n}" for n in range(8)]).classify(["word6 and word7"])
    assert len(made.guesses) == GUESSES
    assert [guess.label for guess in made.guesses[:2]] == ["code 6", "code 7"]


def test_segments_of_studies_without_a_classifier_are_left_as_they_are():
    found = classifiers(study_classifier()).classify([segment("ads"), segment("ads", study="exams")])
    assert [one is None for one in found] == [False, True]


def test_proposals_carry_what_the_classifier_says_and_all_members_are_asked():
    (read,) = code_batch(FakeCoder(), [segment("too many ads")], 100, classifiers(study_classifier(0.9)))
    assert read.classified.guesses[0].label == "ads"
    assert ([p.member for p in read.proposals], read.skipped) == (["a", "b", "c"], [])


def test_a_cascade_spares_the_members_where_the_classifier_is_sure():
    asked = []

    class Listening(FakeCoder):
        def propose(self, segments):
            asked.extend(one.text for one in segments)
            return super().propose(segments)

    batch = [segment("too many ads"), segment("   ", "blank"), segment("great music")]
    first, blank, other = code_batch(Listening(), batch, 100, classifiers(study_classifier(0.9), first=True))
    assert asked == ["great music"]
    (alone,) = first.proposals
    assert (alone.member, alone.label, alone.model) == ("classifier", "ads", "20260101T000000Z-fake")
    assert first.skipped == ["a", "b", "c"]
    assert blank.reason.startswith("no text to code")
    assert ([p.member for p in other.proposals], other.skipped) == (["a", "b", "c"], [])


def test_a_classifier_that_fails_is_logged_and_the_members_decide(caplog):
    batch = [segment("BOOM"), segment("too many ads")]
    with caplog.at_level(logging.ERROR):
        read = code_batch(FakeCoder(), batch, 100, classifiers(study_classifier(0.9, fail_on="BOOM"), first=True))
    assert [one.classified for one in read] == [None, None]
    assert all(len(one.proposals) == 3 for one in read)
    assert "failed on 2 segments" in caplog.text


# what it says of labelled segments

SEGMENT = segment("one").id


def taught(row, confidence_threshold=None):
    return OutOfFoldPredictions({SLOW: "slow app", ADS: "ads"}, {SEGMENT: row}, confidence_threshold)


def test_a_labelled_segment_s_signals_are_those_of_the_release_that_was_not_taught_it():
    said = taught({SLOW: 0.7, ADS: 0.2}, 0.7).updated_signals(
        SEGMENT, {"agreement": 0.5, "classifier": 0.1, "classifier_sure": 0.0}, SLOW, "slow app"
    )
    assert said == {
        "agreement": 0.5,
        "classifier": 0.7,
        "classifier_margin": 0.5,
        "classifier_agrees": 1.0,
        "classifier_sure": 1.0,
    }


@pytest.mark.parametrize("code", [None, SLOW])
def test_a_segment_that_the_release_does_not_know_keeps_its_signals(code):
    signals = {"classifier": 0.4}
    assert taught({SLOW: 0.7}).updated_signals(segment("another").id, signals, code, "slow app") == signals
    assert taught({SLOW: 0.7}).updated_signals(SEGMENT, signals, None, None) == signals


def test_a_code_is_found_by_its_label_where_it_was_renamed_before():
    said = taught({SLOW: 0.7, ADS: 0.2}).updated_signals(SEGMENT, {}, UUID(int=7), "Slow  app")
    assert said["classifier"] == 0.7


def test_nothing_is_said_of_a_code_that_the_release_does_not_know():
    said = taught({SLOW: 0.7, ADS: 0.2}).updated_signals(SEGMENT, {"classifier": 0.3}, UUID(int=7), "music")
    assert "classifier" not in said
    assert (said["classifier_margin"], said["classifier_agrees"]) == (-0.7, 0.0)


def test_a_routed_zero_is_taken_away_only_where_the_code_is_not_known():
    known = taught({})
    assert known.of_known({"classifier": 0.0, "agreement": 1.0}, UUID(int=7)) == {"agreement": 1.0}
    assert known.of_known({"classifier": 0.0}, SLOW) == {"classifier": 0.0}
    assert known.of_known({"classifier": 0.8}, UUID(int=7)) == {"classifier": 0.8}  # merged into it since


def test_releases_of_the_same_time_are_told_apart_by_their_version():
    at = HandClock().now() + timedelta(minutes=1)
    both = [release("v1", 1), release("v2", 1)]
    assert {one.released_at for one in both} == {at}
    assert heard(*both)[0].of("reviews") == heard(*reversed(both))[0].of("reviews") == "v2"


# codes that are no more


def code_event(code, kind, n, label="slow app", **more):
    return CodeEvent(
        id=uuid5(code, f"{kind} {n}"),
        code_id=code,
        study="reviews",
        kind=kind,
        label=label,
        author="lead",
        at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=n),
        **more,
    )


def guessed(*events):
    asked = classifiers(study_classifier(confidence_threshold=0.9))
    asked.update_codebook(
        [code_event(code, "created", 0, label=label) for code, label in ((SLOW, "slow app"), (ADS, "ads"))]
    )
    asked.update_codebook(events)
    (made,) = asked.classify([segment("the app is slow")])
    return made


def test_a_guess_of_a_retired_code_does_not_stand_and_nothing_is_sure_in_its_place():
    made = guessed(code_event(SLOW, "retired", 1))
    assert ([guess.label for guess in made.guesses], made.sure) == (["ads"], False)


def test_a_guess_of_a_split_code_does_not_stand():
    parts = [uuid5(SLOW, name) for name in ("start", "scroll")]
    born = [code_event(part, "created", 1, label=name) for part, name in zip(parts, ("start", "scroll"), strict=True)]
    assert [one.label for one in guessed(*born, code_event(SLOW, "split", 2, into=parts)).guesses] == ["ads"]


def test_a_guess_of_a_merged_code_stands_because_its_heir_is_known():
    assert guessed(code_event(SLOW, "merged", 1, into=[ADS])).sure


def test_where_every_guessed_code_is_retired_the_classifier_says_nothing():
    assert guessed(code_event(SLOW, "retired", 1), code_event(ADS, "retired", 1)) is None
