"""Measures against their libraries' own, published or hand-computed values; intervals, differences, agreement."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import spearmanr

from models.errors import InputError
from models.evaluation.bootstrap import Estimate, difference, resample
from models.evaluation.correlation import agreement, correlate, spearman
from models.evaluation.metrics import (
    absolute_composite,
    bertscore,
    jensen_shannon,
    length_penalty,
    merged_codes,
    meteor,
    relative_composite,
    rouge,
    set_jaccard,
    space_scores,
)
from models.evaluation.report import Evaluation, EvaluationOptions, GoldRow, evaluate, paired
from models.fakes import HashEmbedder

GOLD = [
    GoldRow("the app is slow", ("slow app", "performance"), set="apps"),
    GoldRow("it is free", ("free to use",), set="apps"),
    GoldRow("it crashes", ("app crashes",), set="games"),
    GoldRow("love it", ("praise", "love the app"), set="games"),
]
CODES = ["slow app", "free price", None, "praise"]


@dataclass(frozen=True)
class Lemma:
    said: str

    def name(self) -> str:
        return self.said


@dataclass(frozen=True)
class Sense:
    words: tuple[str, ...]

    def lemmas(self) -> list[Lemma]:
        return [Lemma(word) for word in self.words]


class Furniture:
    """A thesaurus with one set of synonyms."""

    def synsets(self, lemma: str) -> list[Sense]:
        return [Sense(("sofa", "couch"))] if lemma in ("sofa", "couch") else []


class Letters:
    """Tokens are letters: a and b are at right angles, c lies between them; markers are not needed."""

    version = "letters@1"
    _PLACES: ClassVar = {"a": (1.0, 0.0), "b": (0.0, 1.0), "c": (0.6, 0.8)}

    def embed_tokens(self, texts):
        found = []
        for text in texts:
            rows = np.array([self._PLACES.get(letter, (1.0, 0.0)) for letter in text], dtype=np.float32)
            found.append((rows, np.ones(len(rows), dtype=np.float32)))
        return found


def run(systems, **options) -> Evaluation:
    return evaluate(GOLD, systems, HashEmbedder(), options=EvaluationOptions(resamples=200), **options)


# One code


def test_rouge_is_the_hand_computed_overlap_of_stems():
    # slow|reviews against slow|review|screen: 2 of 2 and 2 of 3, F1 0.8; one of one and of two pairs, F1 2/3
    assert rouge("slow reviews", "slow review screen") == pytest.approx((0.8, 2 / 3, 0.8))
    # screen|slow: both words, no pair, longest common subsequence 1 of 2 and of 3, F1 0.4
    assert rouge("screen slow", "slow review screen") == pytest.approx((0.8, 0.0, 0.4))
    assert rouge("", "slow") == (0.0, 0.0, 0.0)


def test_meteor_is_the_value_in_nltks_documentation():
    hypothesis = "It is a guide to action which ensures that the military always obeys the commands of the party"
    reference = "It is a guide to action that ensures that the military will forever heed Party commands"
    assert meteor(hypothesis, reference, Furniture()) == pytest.approx(0.6944, abs=5e-5)


def test_meteor_of_equal_and_synonymous_codes_is_hand_computed():
    # precision and recall 1; one chunk of two words: penalty 0.5 (1/2)^3; of one word: 0.5
    assert meteor("couch bed", "sofa bed", Furniture()) == pytest.approx(1 - 0.5 / 8)
    assert meteor("trust", "Trust.", Furniture()) == 0.5
    assert meteor("", "trust", Furniture()) == 0.0


def test_bertscore_is_the_hand_computed_greedy_match():
    code, gold = Letters().embed_tokens(["ab", "ac"])
    # precision: a finds a (1), b finds c (0.8); recall: a finds a (1), c finds b (0.8)
    assert bertscore(code, gold) == pytest.approx((0.9, 0.9, 0.9))
    weighted = (code[0], np.array([1, 0], dtype=np.float32))  # b is a marker: it may be found but does not weigh
    assert bertscore(weighted, gold) == pytest.approx((1.0, 0.9, 2 * 0.9 / 1.9))


def test_bertscore_on_minilm_is_the_value_of_the_package_bert_score():
    pytest.importorskip("transformers")
    from models.backends.sentence.bertscore import TokenStates

    states = TokenStates()
    codes = states.embed_tokens(["not helpful to learning", "great price", "good"])
    golds = states.embed_tokens(["unhelpful for studying", "bad service", "good"])
    # bert-score 0.3.13, score(codes, golds, model_type=<the folder of all-MiniLM-L6-v2>, num_layers=5)
    expected = [(0.546244, 0.480139, 0.511063), (0.384089, 0.384089, 0.384089), (1.0, 1.0, 1.0)]
    assert states.version.endswith(", layer 5")
    for code, gold, values in zip(codes, golds, expected, strict=True):
        assert bertscore(code, gold) == pytest.approx(values, abs=1e-5)


@pytest.mark.parametrize(("words", "cost"), [(0, 1.0), (1, 0.0), (3, 0.0), (4, 0.25), (5, 0.4), (12, 0.75)])
def test_the_length_penalty_is_one_minus_three_by_the_words(words, cost):
    assert length_penalty(words) == pytest.approx(cost)


def test_jaccard_matches_each_code_once():
    near = np.array([[0.9, 0.8], [0.75, 0.1]])  # the second code's only partner is taken by the first
    assert set_jaccard(near, 0.7) == pytest.approx(1 / 3)
    assert set_jaccard(near, 0.95) == 0.0
    assert set_jaccard(np.array([[1.0]]), 0.7) == 1.0


# Many codes


def test_jensen_shannon_is_scipys_squared_distance_in_bits_and_hand_computed():
    p, q = (
        np.array([[1.0, 0.0], [2.0, 2.0], [3.0, 0.0], [0.0, 0.0]]),
        np.array([[1.0, 1.0], [5.0, 5.0], [0.0, 1.0], [1.0, 0.0]]),
    )
    # H(3/4, 1/4) - (H(1, 0) + H(1/2, 1/2)) / 2 = 0.811278 - 0.5; equal; disjoint; one without any word
    assert jensen_shannon(p, q) == pytest.approx([0.311278, 0.0, 1.0, 1.0], abs=1e-6)
    assert jensen_shannon(p[0], q[0]) == pytest.approx(jensenshannon(p[0], q[0], base=2) ** 2)


def test_a_coders_share_in_the_code_space_is_hand_computed():
    # a has codes 1 and 2, b has 2, 3 and 4: weights 1, 2, 1, 1
    owned = np.array([[1, 1, 0, 0], [0, 1, 1, 1]], dtype=float)
    found = {name: float(value) for name, value in space_scores(owned, 0).items()}
    assert found["coverage"] == pytest.approx((1 + 2) / 5)
    assert found["overlap"] == pytest.approx(1 / 3)  # of b's three codes one
    assert found["novelty"] == pytest.approx(1 / 3)  # of the codes 1, 3 and 4 that one coder has, code 1
    assert found["divergence"] == pytest.approx(jensenshannon([1, 1, 0, 0], [1, 2, 1, 1], base=2))


def test_codes_that_are_near_on_average_are_one():
    angles = np.radians([0, 10, 20, 90])
    groups = merged_codes(np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32), 0.9)
    assert len(set(groups[:3])) == 1
    assert groups[3] not in groups[:3]
    assert list(merged_codes(np.ones((1, 2), dtype=np.float32), 0.7)) == [0]


def _components(cosine, meteor_, penalty, divergence):
    values = {"cosine": cosine, "meteor": meteor_, "length_penalty": penalty, "jensen_shannon": divergence}
    return {name: np.array([value]) for name, value in values.items()}


def test_the_absolute_composite_is_the_mean_of_four_and_a_negative_cosine_counts_as_zero():
    assert absolute_composite(_components(0.6, 0.2, 0.25, 0.4)) == pytest.approx((0.6 + 0.2 + 0.75 + 0.6) / 4)
    assert absolute_composite(_components(-0.6, 0.2, 0.25, 0.4)) == pytest.approx((0.2 + 0.75 + 0.6) / 4)


def test_the_relative_composite_is_normalised_over_the_systems_compared():
    systems = [_components(0.2, 0.1, 0.0, 0.5), _components(0.6, 0.1, 0.5, 0.4), _components(0.4, 0.1, 0.25, 0.3)]
    # cosine 0, 1, 0.5; METEOR equal: 0.5 each; brevity 1, 0, 0.5; closeness 0, 0.5, 1
    found = [float(value[0]) for value in relative_composite(systems)]
    assert found == pytest.approx([1.5 / 4, 2 / 4, 2.5 / 4])


# Intervals


def test_an_interval_of_a_mean_is_as_wide_as_normal_theory_says():
    values = np.random.default_rng(1).normal(0.3, 0.2, 400)
    estimate = Estimate(float(values.mean()), resample(400) @ values / 400)
    width = 2 * 1.96 * values.std() / np.sqrt(400)
    assert estimate.high - estimate.low == pytest.approx(width, rel=0.08)
    assert estimate.low < estimate.value < estimate.high


def test_resamples_are_the_same_for_the_same_seed_and_hold_as_many_texts():
    assert (resample(7, 5, 1) == resample(7, 5, 1)).all()
    assert (resample(7, 5, 1).sum(axis=1) == 7).all()
    assert (resample(7, 5, 1) != resample(7, 5, 2)).any()


def test_a_paired_difference_is_narrower_than_two_intervals_suggest():
    noise = np.random.default_rng(2).normal(0.3, 0.2, 300)
    draws = resample(300)
    a, b = (Estimate(float(v.mean()), draws @ v / 300) for v in (noise + 0.01, noise))
    gap = difference(a, b)
    assert gap.mean == pytest.approx(0.01)
    assert gap.excludes_zero
    assert a.low < b.high  # the single intervals overlap
    assert not difference(a, a).excludes_zero


# Systems


def test_a_text_counts_with_its_best_matching_code_and_a_missing_code_with_zero():
    scores = run({"a": CODES}).pooled.scores["a"]
    # ROUGE-1: 1, one of two against one of three words 0.4, nothing, 1
    assert scores["rouge_1"].value == pytest.approx((1 + 0.4 + 0 + 1) / 4)
    assert scores["empty"].value == 0.25
    assert scores["words"].value == pytest.approx(5 / 3)  # of the three codes there are
    assert scores["length_penalty"].value == 0.25  # the missing one's
    assert scores["jaccard"].value == pytest.approx((1 / 2 + 0 + 0 + 1 / 2) / 4)


def test_figures_of_the_whole_set_are_hand_computed():
    found = run({"a": ["slow app"] * 4})
    scores = found.pooled.scores["a"]
    assert scores["distinct"].value == 1
    assert scores["distinct_ratio"].value == pytest.approx(1 / 6)
    assert found.pooled.human == {"distinct": 6, "words": pytest.approx(12 / 6), "codes": 1.5}
    # people's words, a text's codes sharing its weight: slow .5 app .5+1+.5, performance .5, free to use 1 each,
    # crashes 1, praise .5, love the .5 each
    people = [0.5, 2.0, 0.5, 1, 1, 1, 1, 0.5, 0.5, 0.5]
    assert scores["jensen_shannon"].value == pytest.approx(jensenshannon([4, 4] + [0] * 8, people, base=2) ** 2)
    assert scores["overlap"].value == pytest.approx(1 / 6)
    assert scores["novelty"].value == 0.0


def test_codes_equal_to_peoples_have_the_best_scores_there_are():
    own = [row.codes for row in GOLD]
    scores = run({"a": own}, token_embedder=Letters(), thesaurus=Furniture()).pooled.scores["a"]
    for metric in ("rouge_1", "rouge_l", "cosine", "bertscore_f1", "jaccard"):
        assert scores[metric].value == pytest.approx(1.0)
        assert scores[metric].low == pytest.approx(1.0)
    assert scores["length_penalty"].value == 0.0


def test_each_set_has_figures_of_its_own_and_one_set_is_only_pooled():
    found = run({"a": CODES})
    assert list(found.parts) == ["pooled", "apps", "games"]
    assert found.parts["apps"].scores["a"]["rouge_1"].value == pytest.approx(0.7)
    alone = evaluate(GOLD[:2], {"a": CODES[:2]}, HashEmbedder(), options=EvaluationOptions(resamples=100))
    assert list(alone.parts) == ["pooled"]


def test_a_figure_does_not_depend_on_the_systems_beside_it_but_the_relative_composite_does():
    alone = run({"a": CODES}, thesaurus=Furniture()).pooled.scores["a"]
    beside = run({"a": CODES, "b": ["slow app"] * 4}, thesaurus=Furniture()).pooled.scores["a"]
    assert "composite_relative" not in alone
    for metric, estimate in alone.items():
        assert beside[metric].to_json() == estimate.to_json()


def test_without_a_thesaurus_meteor_and_the_composites_are_left_out_and_named():
    found = run({"a": CODES, "b": CODES})
    assert not {"meteor", "composite", "composite_relative"} & set(found.pooled.scores["a"])
    assert "METEOR" in found.left_out["meteor"]
    assert "bertscore" in found.left_out


def test_differences_are_paired_and_asking_for_what_is_not_there_says_what_is():
    found = run({"a": CODES, "b": ["slow app", "free price", "app crashes", "praise"]})
    gap = paired(found, "b", "a", "rouge_1")
    assert gap.mean == pytest.approx(0.25)
    assert gap.low == 0.0
    assert paired(found, "a", "a", "distinct").to_json() == {
        "mean": 0.0,
        "low": 0.0,
        "high": 0.0,
        "excludes_zero": False,
    }
    for wrong in (("x", "a", "rouge_1", "pooled"), ("a", "b", "fame", "pooled"), ("a", "b", "rouge_1", "films")):
        with pytest.raises(InputError, match="there are"):
            paired(found, *wrong)
    assert found.to_json("b")["parts"]["games"]["differences"]["a"]["rouge_1"]["mean"] == -0.5


def test_other_numbers_of_predictions_than_texts_and_texts_without_codes_are_refused():
    with pytest.raises(InputError, match="'a' has 3 predictions for 4 texts"):
        run({"a": CODES[:3]})
    with pytest.raises(InputError, match="a system is named 'people'"):
        run({"people": CODES})
    with pytest.raises(InputError, match="no code"):
        GoldRow("text", ())


# Agreement


def test_two_coders_agree_on_the_texts_that_both_coded():
    found = agreement(run({"a": CODES, "b": ["slow app", "cheap", "crash", "praise"]}).score_table)
    assert found.names == ("people", "a", "b")
    # a has no third code; of the other three the first and the last are b's
    cheap = float(np.prod(HashEmbedder().embed(["free price", "cheap"]), axis=0).sum())
    assert found.cosine[1, 2] == pytest.approx((1 + cheap + 1) / 3)
    assert found.jensen_shannon[1, 2] == pytest.approx(1 / 3)
    assert (found.cosine == found.cosine.T).all()
    # a beside people: equal, one of two words against one of three, equal
    assert found.jensen_shannon[0, 1] == pytest.approx(
        jensenshannon([1, 1, 0, 0], [2 / 3, 0, 2 / 3, 2 / 3], base=2) ** 2 / 3
    )


def test_spearman_is_scipys_and_hand_computed():
    ranks, others = [1, 2, 3, 4, 5, 6, 7, 8], [2, 1, 4, 3, 5, 8, 6, 7]
    # squared rank differences 1 1 1 1 0 4 1 1: 1 - 6 * 10 / (8 * 63)
    found = spearman(ranks, others)
    assert found.rho == pytest.approx(1 - 60 / 504)
    assert (found.rho, found.p) == pytest.approx(tuple(spearmanr(ranks, others)))
    assert spearman([1, 1, 1], [1, 2, 3]).rho is None


def test_metrics_are_correlated_with_ratings_over_codes_and_over_systems():
    systems = {"a": CODES, "b": ["slow", "free to use", "bug", "app"], "c": [None, "fee", None, "bad"]}
    ratings = {"a": [5, 3, None, 5], "b": [3, 5, 2, 2], "c": [1, 1, 1, 1]}
    found = correlate(run(systems, thesaurus=Furniture()), ratings)
    assert found.codes["rouge_1"].count == 11
    assert found.codes["rouge_1"].rho is not None
    assert found.codes["rouge_1"].rho > 0.8
    assert found.systems["rouge_1"].rho == pytest.approx(1.0)
    assert found.matrix["rating"]["composite"] == found.systems["composite"]
    with pytest.raises(InputError, match="2 codes have a rating"):
        correlate(run({"a": CODES}), {"a": [1, 2, None, None]})
