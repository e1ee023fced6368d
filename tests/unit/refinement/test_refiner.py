"""Codes are reused where they say the same, created where they do not, and a replay changes nothing."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import SettingError
from models.fakes import HandClock, HashEmbedder, MemoryCodeIndex
from models.ports import IndexedCode
from models.refinement.refiner import Refiner
from models.refinement.reindexing import reconcile
from models.refinement.settings import RefinerSettings
from models.refinement.thresholds import Threshold
from schemas import CodeEvent
from schemas.ids import code_event_id, code_id, normalised_label
from tests.unit.builders import classified, decision, proposal

EMBEDDER = HashEmbedder()
LABELS = ["slow app", "app slow", "slow app start", "Slow App", "ads", "no ads", "too many ads", "great music", "music"]


def refiner(index=None, embedder=EMBEDDER, **chosen):
    return Refiner(index or MemoryCodeIndex(), embedder, HandClock(), RefinerSettings(**chosen))


def batches():
    label = st.tuples(st.sampled_from(LABELS), st.sampled_from(["one", "two"]))
    return st.lists(label, min_size=1, max_size=12)


def decisions(labels):
    return [decision(label, str(n), study=study) for n, (label, study) in enumerate(labels)]


@given(batches(), st.integers(1, 11))
def test_how_decisions_fall_into_batches_does_not_matter(labels, size):
    made = decisions(labels)
    pieces = refiner()
    apart = [one for start in range(0, len(made), size) for one in pieces.refine(made[start : start + size])]
    assert apart == refiner().refine(made)


@given(batches())
def test_every_code_is_created_once_by_the_first_segment_that_has_it(labels):
    refined = refiner().refine(decisions(labels))
    events = [one.event for one in refined if one.event]
    assert len({event.code_id for event in events}) == len(events)
    seen = set()
    for one in refined:
        assert one.assignment.new == (one.assignment.code_id not in seen) == (one.event is not None)
        seen.add(one.assignment.code_id)


@given(batches())
def test_equal_labels_of_a_study_get_one_code_and_studies_share_none(labels):
    refined = refiner().refine(decisions(labels))
    codes = {}
    for (label, study), one in zip(labels, refined, strict=True):
        assert codes.setdefault((study, normalised_label(label)), one.assignment.code_id) == one.assignment.code_id
    studies = [{one.assignment.code_id for one in refined if one.assignment.study == s} for s in ("one", "two")]
    assert not studies[0] & studies[1]


@given(batches())
@settings(max_examples=50)
def test_a_replay_right_after_a_crash_gives_the_same_outcome_before_and_after_a_restart(labels):
    index = MemoryCodeIndex()
    made = decisions(labels)
    first = refiner(index).refine(made[:1])
    assert refiner(index).refine(made[:1]) == first
    everything = refiner(index)
    everything.refine(made)
    before = {one.event.id for one in everything.refine(made) if one.event}
    again = refiner(index).refine(made)
    assert {one.event.id for one in again if one.event} == before
    assert all(one.assignment.similarity == 1 for one in again if one.assignment.new)


def test_the_second_segment_of_a_batch_sees_the_code_that_the_first_created():
    first, second = refiner().refine([decision("slow app", "1"), decision("slow app start", "2")])
    assert first.event is not None
    assert first.event.id == code_event_id(first.assignment.code_id, "created", str(first.assignment.segment_id))
    assert (first.event.author, first.event.segment_id) == ("consensus", first.assignment.segment_id)
    assert second.event is None
    assert second.assignment.code_id == first.assignment.code_id
    assert second.assignment.proposed == "slow app start"
    near = f"{second.assignment.similarity:.2f}"
    assert second.assignment.why == f"reused 'slow app' at {near}, threshold 0.70 (the default)"


def test_two_calls_of_the_embedder_serve_a_batch_the_labels_and_what_its_signals_need():
    calls = []

    class Counting(HashEmbedder):
        def embed(self, texts):
            calls.append(len(texts))
            return super().embed(texts)

    refiner(embedder=Counting()).refine(decisions([("ads", "one"), ("music", "one"), ("ads", "two")]))
    assert calls == [3, 5]  # the second: three texts, two labels


def test_what_is_under_the_threshold_is_new_and_names_its_runner_up():
    _, second = refiner(threshold=0.99).refine([decision("slow app", "1"), decision("slow app start", "2")])
    assert second.assignment.new
    assert second.assignment.runner_up.label == "slow app"
    assert second.assignment.why.startswith("new: nearest 'slow app' at ")
    assert second.assignment.why.endswith("is under 0.99 (the default)")


def test_a_study_has_its_own_threshold_and_what_was_learned_wins():
    made = [
        decision(label, str(n), study=study) for study in "ab" for n, label in enumerate(("slow app", "slow app start"))
    ]
    own = refiner(threshold=0.5, thresholds={"b": 0.99})
    refined = [one.assignment for one in own.refine(made)]
    assert [one.new for one in refined] == [True, False, True, True]
    assert refined[1].why.endswith("threshold 0.50 (the default)")
    assert refined[3].why.endswith("is under 0.99 (set for this study)")
    taught = refiner(threshold=0.5, thresholds={"b": 0.99})
    taught.set_thresholds({"b": Threshold(0.6, "learned from 14 judgements")})
    again = taught.refine(made)[3].assignment
    assert not again.new
    assert again.why.endswith("threshold 0.60 (learned from 14 judgements)")


def test_an_adaptive_refiner_asks_more_of_a_vague_label_and_says_so():
    index = MemoryCodeIndex()
    good, app = EMBEDDER.embed(["good", "app"])
    index.put([IndexedCode(code_id("reviews", "app"), "reviews", "app", (0.72 * app + 0.1 * good).astype("float32"))])
    cosine = index.nearest("reviews", EMBEDDER.embed(["good app"])[0], 1)[0].similarity
    for adaptive in (False, True):
        one = refiner(index, threshold=cosine - 0.01, adaptive=adaptive).refine([decision("good app", "1", text="ok")])
        assert one[0].assignment.new == adaptive
        index.remove([code_id("reviews", "good app")])
    assert one[0].assignment.why.endswith(
        f"is under {cosine + 0.04:.2f} ({cosine - 0.01:.2f} (the default) for this label)"
    )


def test_a_replay_after_something_was_learned_gives_the_same_signals():
    made = [decision("slow app", "1"), decision("great music", "2")]
    index = MemoryCodeIndex()
    before = refiner(index)
    first = before.refine(made)
    restarted = refiner(index)
    restarted.set_thresholds({"reviews": Threshold(0.9, "learned from 30 judgements")})
    restarted.load_assignments(one.assignment for one in first)
    assert restarted.refine(made) == first


def test_a_near_code_that_says_the_opposite_is_refused_and_the_next_one_taken():
    index = MemoryCodeIndex()
    gated = refiner(index, threshold=0.4)
    gated.refine([decision("disable login code", "1")])
    (alone,) = gated.refine([decision("enable login code", "2")])
    assert alone.assignment.new
    assert alone.assignment.runner_up.label == "disable login code"
    assert alone.assignment.why.endswith("says the opposite")
    assert alone.assignment.signals["margin"] < 0
    (open_to_all,) = refiner(index, threshold=0.4, polarity_gate=False).refine([decision("allow login code", "3")])
    assert not open_to_all.assignment.new


def test_a_far_text_does_not_hide_the_code_of_the_same_label():
    by_text = refiner(by="text")
    first, second = by_text.refine(
        [decision("speed", "1", text="the checkout is slow"), decision("Speed", "2", text="music never loads")]
    )
    assert second.assignment.code_id == first.assignment.code_id
    assert (second.assignment.new, second.assignment.similarity) == (False, 1)


@pytest.mark.parametrize("by", ["code", "text", "both"])
def test_every_way_to_compare_gives_unit_vectors_and_reuses_the_same_again(by):
    index = MemoryCodeIndex()
    refiner(index, by=by).refine([decision("speed", "1", text="the checkout is slow")])
    (again,) = refiner(index, by=by).refine([decision("speed of it", "2", text="the checkout is slow")])
    assert -1 <= again.assignment.runner_up.similarity <= 1 if again.assignment.new else True


def test_signals_and_models_say_what_had_a_say():
    made = [proposal("slow app", "a"), proposal("", "b", "empty")]
    one = Refiner(MemoryCodeIndex(), EMBEDDER, HandClock(), versions={"refiner": "r@1"}).refine(
        [decision("slow app", "1", proposals=made, log_probability=-0.5, moderator="m@1", text="three little words")]
    )[0]
    assert one.assignment.models == {
        "a": "a@1",
        "b": "b@1",
        "moderator": "m@1",
        "embedder": "word-hash-32@1",
        "refiner": "r@1",
    }
    told = {"agreement": 0.8, "moderator_log_probability": -0.5, "similarity": 1, "margin": 0.7, "new": 1}
    signals = one.assignment.signals
    assert signals | told | {"usable_share": 0.5, "words": 3, "tone_clash": 0} == signals


def test_what_was_assigned_stays_although_a_nearer_code_has_come_since():
    made = [decision("slow app start", "2")]
    index = MemoryCodeIndex()
    refiner(index).refine([decision("slow app", "1")])
    first = refiner(index, threshold=0.5).refine(made)
    nearer = EMBEDDER.embed(["slow app start"])[0]
    index.put([IndexedCode(code_id("reviews", "app start slow"), "reviews", "app start slow", nearer)])
    (moved,) = refiner(index, threshold=0.5).refine(made)
    assert moved.assignment.code_id != first[0].assignment.code_id
    restarted = refiner(index, threshold=0.5)
    restarted.load_assignments(one.assignment for one in first)
    assert restarted.refine(made) == first


def test_a_code_that_another_refiner_created_for_this_segment_is_created_again_not_reused():
    index = MemoryCodeIndex()
    late = refiner(index)
    first = refiner(index).refine([decision("slow app", "1")])
    assert late.refine([decision("slow app", "1")]) == first


def event(kind, label, code, **other):
    cause = other.pop("cause", kind)
    return CodeEvent(
        id=code_event_id(code, kind, cause),
        code_id=code,
        study="reviews",
        kind=kind,
        label=label,
        author="ann",
        at=HandClock().now(),
        **other,
    )


def test_the_index_is_made_equal_to_the_history():
    ads, music, gone, ghost = (code_id("reviews", label) for label in ("ads", "music", "gone", "ghost"))
    index = MemoryCodeIndex()
    vectors = EMBEDDER.embed(["ads", "gone", "ghost"])
    held = zip((ads, gone, ghost), ("ads", "gone", "ghost"), vectors, strict=True)
    index.put([IndexedCode(id_, "reviews", label, vector) for id_, label, vector in held])
    history = [
        event("created", "ads", ads),
        event("created", "gone", gone),
        event("created", "music", music),
        event("renamed", "advertising", ads),
        event("merged", "gone", gone, into=[ads]),
        event("created", "ads", ads),  # a replay, which must not undo the new name
    ]
    assert reconcile(index, EMBEDDER, history) == (1, 2)
    assert index.origins().keys() == {ads, music}
    assert index.nearest("reviews", EMBEDDER.embed(["advertising"])[0], 1)[0].label == "advertising"
    assert reconcile(index, EMBEDDER, history) == (0, 0)


def test_a_retired_code_comes_back_when_it_is_restored():
    ads = code_id("reviews", "ads")
    index = MemoryCodeIndex()
    history = [event("created", "ads", ads), event("retired", "ads", ads)]
    assert reconcile(index, EMBEDDER, history) == (0, 0)
    assert reconcile(index, EMBEDDER, [*history, event("restored", "ads", ads)]) == (1, 0)


@pytest.mark.parametrize("chosen", [{"threshold": 1.5}, {"by": "colour"}, {"thresholds": {"spring": -1}}])
def test_settings_out_of_range_are_refused(chosen):
    with pytest.raises(SettingError, match="expected"):
        RefinerSettings(**chosen)


def test_an_empty_batch_gives_nothing():
    assert refiner().refine([]) == []


def test_a_theme_is_never_a_code_to_reuse_whatever_is_told_of_it_later():
    theme = code_id("reviews", "theme:ads")
    history = [
        event("renamed", "adverts", theme),  # a later event need not say again that it is one
        event("created", "ads", theme, level="theme"),
        event("created", "ads", code_id("reviews", "ads")),
    ]
    index = MemoryCodeIndex()
    assert reconcile(index, EMBEDDER, history) == (1, 0)
    assert set(index.origins()) == {code_id("reviews", "ads")}


# What a classifier named


def named(label, key="new", said=None, **how):
    made = classified(label, "ads", **how)
    return decision(said or label, key, picked="classifier" if said is None else "a", classified=made)


def happened(label, kind, at, *, to=None, into=()):
    code = code_id("reviews", label)
    return CodeEvent(
        id=code_event_id(code, kind, f"{at}"),
        code_id=code,
        study="reviews",
        kind=kind,
        label=to or label,
        author="ana",
        at=HandClock().now() + timedelta(minutes=at),
        into=list(into),
    )


def test_the_code_that_a_classifier_named_is_found_by_its_id_under_whatever_name_it_has_now():
    refines = refiner()
    refines.apply_events([happened("slow app", "created", 1), happened("slow app", "renamed", 2, to="waiting")])
    refines.apply_events([happened("slow app", "renamed", 3, to="patience lost")])
    made = named("slow app").model_copy(update={"label": "waiting"})
    (one,) = refines.refine([made])
    assert (one.assignment.code_id, one.assignment.label) == (code_id("reviews", "slow app"), "patience lost")
    assert "which the classifier named" in one.assignment.why


def test_a_guess_whose_code_was_merged_is_taken_for_what_it_became():
    refines = refiner()
    refines.apply_events([happened(label, "created", 1) for label in ("slow app", "speed")])
    refines.apply_events([happened("slow app", "merged", 2, into=[code_id("reviews", "speed")])])
    (one,) = refines.refine([named("slow app", sure=True)])
    assert (one.assignment.label, one.event) == ("speed", None)
    assert one.assignment.signals["classifier"] == 0.9
    assert (one.assignment.signals["classifier_agrees"], one.assignment.signals["classifier_sure"]) == (1, 1)


def test_the_classifier_s_release_and_its_signals_stand_in_the_assignment():
    refines = refiner()
    refines.apply_events([happened(label, "created", 1) for label in ("slow app", "ads", "great music")])
    agreed, other, new = (
        one.assignment
        for one in refines.refine(
            [named("slow app", "1"), named("slow app", "2", "great music"), named("slow app", "3", "dark mode")]
        )
    )
    assert agreed.models["classifier"] == "20260101T000000Z-fake"
    assert (agreed.signals["classifier"], agreed.signals["classifier_margin"]) == (0.9, 0.45)
    assert (other.signals["classifier"], other.signals["classifier_margin"]) == (0.0, -0.9)
    assert new.new
    assert "classifier" not in new.signals
    (without,) = refines.refine([decision("ads", "4")])
    assert not {name for name in without.assignment.signals if name.startswith("classifier")}
    assert "classifier" not in without.assignment.models
