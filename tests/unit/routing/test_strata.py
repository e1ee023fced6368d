"""Labels of doubtful codes, asked for more often, prove together with the others what is wrong of what comes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.experiments.loop.worlds import STREAMS, StreamWorld, play_stream
from models.routing.risk_control import promise
from models.routing.strata import drawn_by_chance, weighed

LABELS = st.lists(st.tuples(st.integers(0, 20).map(lambda n: n / 20), st.booleans()), min_size=1, max_size=200)
STREAM = st.lists(st.integers(0, 20).map(lambda n: n / 20), min_size=1, max_size=200)


def world(seed, count):
    """Confidences that are true, and whether each code is let stand."""
    draw = np.random.default_rng(seed)
    sure = 1 / (1 + np.exp(-(2.2 + 1.5 * draw.normal(size=count))))
    return sure, draw.random(count) < sure


def asked(seed, drawn, doubtful):
    """Labels drawn by chance, and more of those under 0.93."""
    sure, right = world(seed, drawn + 40 * doubtful)
    low = drawn + np.flatnonzero(sure[drawn:] < 0.93)[:doubtful]
    rows = np.concatenate([np.arange(drawn), low])
    return sure[rows].tolist(), right[rows].tolist(), sure.tolist()


@settings(deadline=None)
@given(LABELS, STREAM)
def test_labels_never_prove_more_than_as_many_that_were_drawn_by_chance(labels, stream):
    known = weighed([c for c, _ in labels], [a for _, a in labels], stream)
    counts = [sum(c >= threshold for c, _ in labels) for threshold in known.thresholds]
    assert (known.sizes <= np.array(counts) + 1e-9).all()
    assert (known.wrongs <= known.sizes + 1e-9).all()
    assert (known.sizes > 0).all()


@settings(deadline=None)
@given(LABELS)
def test_too_few_labels_for_strata_count_as_they_are(labels):
    few = labels[:15]
    confidences, accepted = [c for c, _ in few], [a for _, a in few]
    plain, same = drawn_by_chance(confidences, accepted), weighed(confidences, accepted, confidences)
    assert same.thresholds.tolist() == plain.thresholds.tolist()
    assert same.wrongs == pytest.approx(plain.wrongs)
    assert same.sizes == pytest.approx(plain.sizes)


def test_what_is_wrong_is_estimated_without_bias_though_doubtful_codes_were_asked_for_more_often():
    shares, truths, plain = [], [], []
    for seed in range(25):
        sure, right, stream = asked(seed, 100, 200)
        known, unweighed = weighed(sure, right, stream), drawn_by_chance(sure, right)
        at = int(np.searchsorted(-known.thresholds, -0.6))
        shares.append(known.wrongs[at] / known.sizes[at])
        plain.append(unweighed.wrongs[at] / unweighed.sizes[at])
        truths.append(np.mean([1 - each for each in stream if each >= 0.6]))
    assert np.mean(shares) == pytest.approx(np.mean(truths), abs=0.015)
    assert np.mean(plain) > np.mean(truths) + 0.03


def test_with_labels_of_doubtful_codes_more_is_accepted():
    shares = []
    for seed in range(25):
        sure, right, stream = asked(seed, 150, 300)
        made = promise(sure[:150], right[:150]), promise(sure, right, stream=stream[:1_000])
        shares.append([0.0 if one.threshold is None else np.mean(np.array(stream) >= one.threshold) for one in made])
    drawn_only, all_labels = np.mean(shares, axis=0)
    assert all_labels > drawn_only


def test_the_promised_share_is_exceeded_in_at_most_one_of_twenty_with_labels_of_both_kinds():
    truth, stands = world(1_000, 100_000)
    broken = 0
    for seed in range(100):
        sure, right, stream = asked(seed, 150, 200)
        made = promise(sure, right, stream=stream[:1_000])
        if made.threshold is not None:
            broken += np.mean(~stands[truth >= made.threshold]) > 0.1
    assert broken / 100 <= 0.05


def test_no_label_is_no_evidence_and_as_many_answers_as_confidences_are_needed():
    assert promise([], [], stream=[0.9] * 200).threshold is None
    with pytest.raises(ValueError, match="2 confidences but 1 labels"):
        weighed([0.9, 0.8], [True], [0.9])


@pytest.mark.parametrize("weighed", [False, True])
def test_a_whole_stream_of_looks_keeps_the_promise(weighed):
    stream = StreamWorld("short", 2.7, 1.5, segments=1_000)
    outcomes = [play_stream(stream, seed, 0.1, weighed=weighed) for seed in range(10)]
    assert sum(each.wrong > 0.1 for each in outcomes) <= 1
    assert np.mean([each.spared for each in outcomes]) > 0.4


def test_made_up_streams_drift_as_they_say():
    first, last = STREAMS[-1].shift()[[0, -1]]
    assert last - first == STREAMS[-1].drift > 0
