import numpy as np
import pytest

from models.classifier.query import DIVERSITY, STRATEGIES, choose
from models.errors import SettingError


def pool(seed=0, texts=60, codes=4, labelled=15):
    rng = np.random.default_rng(seed)
    known = rng.normal(size=(labelled, 8)), rng.random((labelled, codes)) > 0.6
    return rng.random((texts, codes)), rng.normal(size=(texts, 8)), known


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("codes", [1, 2, 6])
def test_as_many_are_chosen_as_asked_for_and_none_twice(strategy, codes):
    chosen = choose(strategy, *pool(codes=codes), 10, np.random.default_rng(1))
    assert len(set(chosen.tolist())) == 10
    assert set(chosen.tolist()) <= set(range(60))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_same_seed_chooses_the_same(strategy):
    once, again = (choose(strategy, *pool(), 10, np.random.default_rng(7)) for _ in range(2))
    assert once.tolist() == again.tolist()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_global_generator_is_left_as_it_was(strategy):
    before = np.random.get_state()[1].tolist()
    choose(strategy, *pool(), 10, np.random.default_rng(7))
    assert np.random.get_state()[1].tolist() == before


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_all_are_chosen_where_there_are_not_more(strategy):
    assert sorted(choose(strategy, *pool(texts=5), 10, np.random.default_rng(0)).tolist()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_without_any_label_chance_chooses(strategy):
    probabilities, embeddings, _ = pool()
    nothing = np.zeros((0, 8)), np.zeros((0, 4), dtype=bool)
    assert len(choose(strategy, probabilities, embeddings, nothing, 10, np.random.default_rng(0))) == 10


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_texts_that_nobody_can_tell_apart_are_drawn_from_too(strategy):
    probabilities, embeddings, known = np.zeros((50, 4)), np.ones((50, 8)), pool()[2]
    assert len(set(choose(strategy, probabilities, embeddings, known, 10, np.random.default_rng(0)).tolist())) == 10


def test_least_confidence_asks_about_the_texts_with_the_lowest_best_guess():
    probabilities = np.array([[0.9, 0.1], [0.55, 0.1], [0.95, 0.2], [0.5, 0.3]])
    embeddings, known = np.zeros((4, 2)), (np.zeros((1, 2)), np.array([[True, False]]))
    chosen = choose("least-confidence", probabilities, embeddings, known, 2, np.random.default_rng(0))
    assert sorted(chosen.tolist()) == [1, 3]


def test_breaking_ties_asks_about_the_nearest_two_guesses():
    probabilities = np.array([[0.9, 0.1], [0.6, 0.55], [0.95, 0.2], [0.3, 0.28]])
    embeddings, known = np.zeros((4, 2)), (np.zeros((1, 2)), np.array([[True, False]]))
    chosen = choose("breaking-ties", probabilities, embeddings, known, 2, np.random.default_rng(0))
    assert sorted(chosen.tolist()) == [1, 3]


def test_category_inconsistency_asks_about_codes_that_the_labelled_texts_do_not_have():
    probabilities = np.array([[0.9, 0.1, 0.1]] * 20 + [[0.1, 0.9, 0.9]] * 5)
    embeddings, known = np.zeros((25, 2)), (np.zeros((9, 2)), np.array([[True, False, False]] * 9))
    chosen = choose("category-inconsistency", probabilities, embeddings, known, 5, np.random.default_rng(0))
    assert sum(row >= 20 for row in chosen.tolist()) >= 4


def test_of_texts_with_the_same_codes_category_inconsistency_asks_about_the_least_certain():
    certainty = np.random.default_rng(0).permutation(np.linspace(0.55, 0.95, 40))
    probabilities = np.stack([certainty, 1 - certainty], axis=1)
    embeddings, known = np.zeros((40, 2)), (np.zeros((6, 2)), np.array([[False, True]] * 6))
    given = probabilities, embeddings, known, 10
    chosen = choose("category-inconsistency", *given, np.random.default_rng(0))
    assert sorted(chosen.tolist()) == sorted(certainty.argsort()[:10].tolist())
    unmended = choose("category-inconsistency-unmended", *given, np.random.default_rng(0))
    assert sorted(unmended.tolist()) != sorted(chosen.tolist())


def test_a_core_set_goes_where_no_label_is():
    rng = np.random.default_rng(0)
    embeddings = np.concatenate([rng.normal([10, 0], 0.1, (20, 2)), rng.normal([0, 10], 0.1, (5, 2))])
    known = rng.normal([10, 0], 0.1, (8, 2)), np.ones((8, 2), dtype=bool)
    chosen = choose("core-set", rng.random((25, 2)), embeddings, known, 1, np.random.default_rng(0))
    assert chosen[0] >= 20


def test_embeddings_count_for_strategies_of_diversity_only():
    probabilities, embeddings, known = pool()
    other = np.random.default_rng(9).normal(size=embeddings.shape)
    for strategy in set(STRATEGIES) - {"random"}:
        once, again = (
            sorted(choose(strategy, probabilities, rows, known, 10, np.random.default_rng(0)).tolist())
            for rows in (embeddings, other)
        )
        assert (once != again) == (strategy in DIVERSITY), strategy


def test_an_unknown_strategy_is_named_with_those_there_are():
    with pytest.raises(SettingError, match=r"'entropy', but one of category-inconsistency, .*random is expected"):
        choose("entropy", *pool(), 10, np.random.default_rng(0))


def test_rows_that_do_not_fit_each_other_are_refused():
    probabilities, embeddings, known = pool()
    with pytest.raises(ValueError, match="60 segments with 4 codes, 59 embeddings"):
        choose("random", probabilities, embeddings[1:], known, 10, np.random.default_rng(0))
