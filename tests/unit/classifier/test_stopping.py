import numpy as np
import pytest

from models.classifier.stopping import Advice, advise


def decisions(changed=0.0, trainings=4, seed=0):
    rng = np.random.default_rng(seed)
    found = [rng.random((200, 5)) > 0.7]
    for _ in range(trainings - 1):
        found.append(found[-1] ^ (rng.random((200, 5)) < changed))
    return found


def test_decisions_that_no_longer_change_stop_the_labelling():
    advice = advise(decisions())
    assert advice.stops
    assert (advice.kappa, advice.delta_f) == (1.0, 0.0)
    assert "has stopped paying" in advice.sentence


def test_decisions_that_change_with_each_training_do_not():
    advice = advise(decisions(changed=0.2))
    assert not advice.stops
    assert "still pays" in advice.sentence


def test_one_criterion_alone_is_said_but_does_not_stop():
    advice = advise(decisions(changed=0.008))
    assert (advice.kappa_stops, advice.delta_f_stops, advice.stops) == (False, True, False)
    assert "one of two criteria" in advice.sentence


@pytest.mark.parametrize("trainings", [0, 1, 2, 3])
def test_few_trainings_tell_nothing(trainings):
    advice = advise(decisions(trainings=trainings)[:trainings])
    assert not advice.stops
    assert f"there {'was' if trainings == 1 else 'were'} {trainings}" in advice.sentence


def test_only_the_last_trainings_count():
    settled = decisions(seed=1)
    assert advise([*decisions(changed=0.3), *settled, settled[-1]]).stops


def test_a_classifier_that_never_says_yes_has_settled_on_nothing():
    advice = advise([np.zeros((50, 3), dtype=bool)] * 5)
    assert advice.delta_f is None
    assert not advice.stops
    assert "change of F unknown" in advice.sentence


def test_other_segments_or_codes_are_refused():
    with pytest.raises(ValueError, match="the same segments and codes are expected"):
        advise([np.zeros((5, 3), dtype=bool), np.zeros((5, 4), dtype=bool)])


def test_a_release_carries_the_advice_in_numbers_and_says_nothing_where_it_has_none():
    advice = advise(decisions())
    assert Advice.of(advice.metrics) == advice
    unknown = advise([])
    assert set(unknown.metrics) == {"trainings", "stop_kappa", "stop_delta_f"}
    assert Advice.of(unknown.metrics) == unknown
    assert Advice.of({"macro_f1": 0.5}) is None
