"""Agreement beyond chance, against published worked examples and against other implementations."""

import json
import random
import warnings
from itertools import combinations
from string import ascii_lowercase

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.metrics.agreement import AnnotationTask
from nltk.metrics.distance import masi_distance as nltk_masi
from sklearn.metrics import cohen_kappa_score

from models.evaluation.bootstrap import SEED, resample
from models.evaluation.masi import masi_distance
from models.evaluation.reliability import (
    ALONE,
    APART,
    CONSTANT,
    NOBODY,
    NOT_TOGETHER,
    SILENT,
    UnitCoding,
    disputes,
    reliability,
)

# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section B: nominal data, two observers
SECTION_B = ("aabbdcccedda", "babbbccceddd")
# the same, section C: nominal data, four observers, missing data
SECTION_C = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
# Krippendorff's worked example with three coders and fifteen units, as the package krippendorff gives it
THREE_CODERS = (".....34121133.3", "1.213343.......", "..21344.21133.4")
# Cohen (1960), two judges on 200 cases in three categories: rows are one judge's, columns the other's
COHEN = ((88, 14, 18), (10, 40, 10), (2, 6, 12))
# Fleiss (1971), table 1: thirty patients, six psychiatrists, five diagnoses
FLEISS = (
    "00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031 00501 30012 51000 02040 "
    "10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006"
)
# ten subjects, fourteen raters, five categories: the worked example of the English Wikipedia on Fleiss' kappa
FOURTEEN_RATERS = (
    (0, 0, 0, 0, 14),
    (0, 2, 6, 4, 2),
    (0, 0, 3, 5, 6),
    (0, 3, 9, 2, 0),
    (2, 2, 8, 1, 1),
    (7, 7, 0, 0, 0),
    (3, 2, 6, 3, 0),
    (2, 5, 3, 2, 2),
    (6, 5, 2, 1, 0),
    (0, 2, 2, 3, 7),
)


def readings(rows):
    """A row a coder, a character a unit; a dot where the coder did not code it, ``-`` where no code fits."""
    return [
        UnitCoding(f"u{n:03}", f"coder {coder}", frozenset() if code == "-" else frozenset(code))
        for coder, row in enumerate(rows)
        for n, code in enumerate(row)
        if code != "."
    ]


def from_counts(counts):
    """Coders who are told apart by nothing but how often each unit got each category."""
    found = []
    for unit, row in enumerate(counts):
        given = [category for category, times in enumerate(row) for _ in range(int(times))]
        found += [UnitCoding(unit, f"rater {n}", frozenset([category])) for n, category in enumerate(given)]
    return found


def several(seed, units=40, coders=3, codes="abcd"):
    """Random codings with up to three codes a unit, and gaps."""
    chance = random.Random(seed)
    return [
        UnitCoding(unit, f"coder {coder}", frozenset(chance.sample(codes, chance.randint(0, 3))))
        for unit in range(units)
        for coder in range(coders)
        if chance.random() < 0.8
    ]


def plain(found):
    return {
        "all": [found.units, found.silent, found.alpha, found.fleiss, found.percent],
        "pairs": found.pairs,
        "codes": found.codes,
    }


# Published examples


@pytest.mark.parametrize(("rows", "alpha"), [(SECTION_B, 0.692), (SECTION_C, 0.743), (THREE_CODERS, 0.691)])
def test_alpha_is_that_of_krippendorffs_worked_examples(rows, alpha):
    assert reliability(readings(rows)).alpha.value == pytest.approx(alpha, abs=5e-4)


def test_alpha_of_a_code_is_that_of_krippendorffs_binary_example():
    # section A of the same paper: binary data, two observers, alpha 0.095; ones are "given", and something else is
    # given everywhere, because a unit without any code would be left out
    rows = ("0100000010", "1110010000")
    found = reliability(
        UnitCoding(n, str(coder), frozenset("x") | (frozenset("1") if code == "1" else frozenset()))
        for coder, row in enumerate(rows)
        for n, code in enumerate(row)
    )
    alpha = {code.code: code.alpha for code in found.codes}
    assert alpha["1"].value == pytest.approx(0.095, abs=5e-4)
    assert (alpha["x"].value, alpha["x"].why) == (None, CONSTANT)


def test_kappa_of_a_pair_is_that_of_cohens_example():
    cases = [(a, b) for a, row in enumerate(COHEN) for b, times in enumerate(row) for _ in range(times)]
    rows = tuple("".join(ascii_lowercase[case[side]] for case in cases) for side in (0, 1))
    (pair,) = reliability(readings(rows)).pairs
    assert pair.kappa.value == pytest.approx(0.492, abs=5e-4)
    assert (pair.percent.value, pair.percent.n) == (pytest.approx(0.7), 200)
    assert pair.kappa.low < 0.492 < pair.kappa.high


def test_kappa_of_many_raters_is_that_of_fleiss():
    counts = [[int(times) for times in row] for row in FLEISS.split()]
    assert np.mean(counts, axis=0) / 6 == pytest.approx([0.144, 0.144, 0.167, 0.306, 0.239], abs=6e-4)  # his p_j
    assert reliability(from_counts(counts)).fleiss.value == pytest.approx(0.430, abs=5e-4)
    assert reliability(from_counts(FOURTEEN_RATERS)).fleiss.value == pytest.approx(0.210, abs=5e-4)


# Other implementations


@pytest.mark.parametrize("seed", range(5))
def test_alpha_over_sets_is_that_of_nltk_with_the_same_distance(seed):
    said = several(seed)
    spoken = {one.unit for one in said if one.codes}
    task = AnnotationTask(
        [(one.coder, one.unit, one.codes) for one in said if one.unit in spoken], distance=masi_distance
    )
    assert reliability(said).alpha.value == pytest.approx(task.alpha())


@given(st.frozensets(st.sampled_from("abcd")), st.frozensets(st.sampled_from("abcd"), min_size=1))
def test_the_distance_of_two_sets_is_that_of_nltk(a, b):
    assert masi_distance(a, b) == pytest.approx(nltk_masi(a, b))


def test_two_codings_without_a_code_are_alike_and_unlike_any_other():
    assert (masi_distance(frozenset(), frozenset()), masi_distance(frozenset(), frozenset("a"))) == (0, 1)


@pytest.mark.parametrize("seed", range(5))
def test_alpha_of_single_codes_is_that_of_the_package(seed):
    chance = random.Random(seed)
    rows = ["".join(chance.choices("abc.", k=30)) for _ in range(4)]
    table = [[ord(code) if code != "." else np.nan for code in row] for row in rows]
    expected = krippendorff.alpha(reliability_data=table, level_of_measurement="nominal")
    assert reliability(readings(rows)).alpha.value == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_kappa_of_a_code_is_that_of_sklearn_over_what_both_coded(seed):
    said = several(seed, coders=2)
    by_coder = [{one.unit: one.codes for one in said if one.coder == f"coder {n}"} for n in (0, 1)]
    both = [unit for unit in by_coder[0] if unit in by_coder[1] and (by_coder[0][unit] or by_coder[1][unit])]
    (pair,) = reliability(said).pairs
    for code in "abcd":
        expected = cohen_kappa_score(*([code in coder[unit] for unit in both] for coder in by_coder))
        assert pair.codes[code].value == pytest.approx(expected)
        assert pair.codes[code].n == len(both)


def test_the_interval_holds_the_figure_and_narrows_with_more_units():
    chance = random.Random(1)
    first = "".join(chance.choices("abc", k=400))
    second = "".join(code if chance.random() < 0.8 else chance.choice("abc") for code in first)
    few, many = (reliability(readings((first[:n], second[:n]))).alpha for n in (40, 400))
    for one in (few, many):
        assert one.low < one.value < one.high
    assert many.high - many.low < few.high - few.low


def counted(rows, code):
    """By unit with two codings at least, how many coders did not give a code, and how many did."""
    columns = [[row[n] for row in rows if row[n] != "."] for n in range(len(rows[0]))]
    return np.array([[len(column) - column.count(code), column.count(code)] for column in columns if len(column) > 1])


@pytest.mark.parametrize("rows", [SECTION_C, ("aab.cca", "abbbcc.", "aabbcca", ".acbcba")])
def test_the_interval_of_a_code_is_that_of_the_packages_alpha_over_the_drawn_units(rows):
    for found in reliability(readings(rows)).codes:
        counts = counted(rows, found.code)
        draws = []
        for drawn in resample(len(counts), 1_000, SEED).astype(int):
            repeated = np.repeat(counts, drawn, axis=0)
            if (repeated.sum(axis=0) > 0).all():
                draws.append(krippendorff.alpha(value_counts=repeated, level_of_measurement="nominal"))
        if found.alpha.low is None:
            assert len(draws) < 900 or np.ptp(draws) < 1e-9
        else:
            assert (found.alpha.low, found.alpha.high) == pytest.approx(tuple(np.quantile(draws, (0.025, 0.975))))


@given(st.lists(st.text("abc.", min_size=7, max_size=7), min_size=2, max_size=5))
@settings(max_examples=25, deadline=None)
def test_no_end_of_an_interval_is_above_1(rows):
    found = reliability(readings(rows))
    figures = [found.alpha, found.fleiss, found.percent, *(code.alpha for code in found.codes)]
    figures += [figure for pair in found.pairs for figure in (pair.kappa, pair.percent, *pair.codes.values())]
    assert all(figure.high is None or figure.high <= 1 + 1e-9 for figure in figures)


def test_how_much_more_a_coder_gives_a_code_is_counted_over_the_drawn_units():
    found = {code.code: code for code in reliability(readings(SECTION_C)).codes}
    drawn = resample(11, 1_000, SEED)
    units = [column for column in zip(*SECTION_C, strict=True) if sum(code != "." for code in column) > 1]
    for code, coder in (("1", 0), ("2", 1), ("3", 2)):
        more = [
            (unit[coder] == code) - (unit.count(code) - (unit[coder] == code)) / (sum(c != "." for c in unit) - 1)
            if unit[coder] != "."
            else 0
            for unit in units
        ]
        use = next(use for use in found[code].use if use.coder == f"coder {coder}")
        assert (use.low, use.high) == pytest.approx(tuple(np.quantile(drawn @ np.array(more), (0.025, 0.975))))


# What counts


def test_a_unit_that_a_coder_did_not_code_is_missing_and_not_code_absent():
    found = reliability(readings(("aabbc.....", "aabbc.....", ".....ddddd")))
    assert (found.units, found.alpha.value) == (5, 1)
    assert {code.code: code.alpha.n for code in found.codes} == {"a": 5, "b": 5, "c": 5}
    assert [pair.kappa.n for pair in found.pairs] == [5, 0, 0]


def test_units_on_which_no_coder_found_a_code_are_counted_apart_and_change_no_figure():
    without, with_ = reliability(readings(("aabbcc", "aabacc"))), reliability(readings(("aabbcc----", "aabacc----")))
    assert (without.silent, with_.silent) == (0, 4)
    assert (without.alpha, without.fleiss, without.percent) == (with_.alpha, with_.fleiss, with_.percent)
    assert without.codes == with_.codes
    assert (with_.pairs[0].kappa, with_.pairs[0].codes) == (without.pairs[0].kappa, without.pairs[0].codes)
    assert with_.pairs[0].silent == 4


def test_no_code_against_a_code_is_a_disagreement():
    found = reliability(readings(("aab-", "aaba")))
    assert (found.units, found.percent.value, found.silent) == (4, 0.75, 0)
    assert found.alpha.value < 1


def test_three_coders_of_whom_two_find_no_code_still_differ_but_the_two_have_nothing_to_compare_there():
    found = reliability(readings(("ab-", "ab-", "aba")))
    silent = {pair.coders: (pair.kappa.n, pair.silent) for pair in found.pairs}
    assert (found.units, found.silent) == (3, 0)
    assert silent == {("coder 0", "coder 1"): (2, 1), ("coder 0", "coder 2"): (3, 0), ("coder 1", "coder 2"): (3, 0)}


def test_sets_that_share_codes_are_partly_alike_in_alpha_and_different_in_kappa():
    said = [
        UnitCoding(n, coder, frozenset(codes))
        for coder, row in (("ana", ("a", "b", "ab")), ("ben", ("a", "b", "a")))
        for n, codes in enumerate(row)
    ]
    found = reliability(said)
    assert found.several
    assert found.percent.value == pytest.approx(2 / 3)
    assert found.alpha.value > found.fleiss.value


def test_a_coder_who_gives_a_code_more_than_the_others_is_named():
    chance = random.Random(2)
    others = "".join(chance.choices("abc", k=120))
    eager = "".join("a" if chance.random() < 0.4 else code for code in others)
    code = next(one for one in reliability(readings((eager, others, others))).codes if one.code == "a")
    assert [use.coder for use in code.overused_by] == ["coder 0"]
    use = code.overused_by[0]
    assert (use.own, use.others) == (eager.count("a"), others.count("a"))


def test_figures_of_codes_can_be_kept_to_those_asked_for():
    found = reliability(readings(("abcabc", "abcacb")), codes={"a"})
    assert [code.code for code in found.codes] == ["a"]
    assert set(found.pairs[0].codes) == {"a"}
    assert found.alpha == reliability(readings(("abcabc", "abcacb"))).alpha


# Where there is no figure


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ((), NOBODY),
        (("abc",), ALONE),
        (("ab..", "..ab"), APART),
        (("--", "--"), SILENT),
        (("aaa", "aaa"), CONSTANT),
    ],
)
def test_without_a_figure_there_is_a_reason_and_no_warning(rows, why):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = reliability(readings(rows))
    for figure in (found.alpha, found.fleiss):
        assert (figure.value, figure.low, figure.high, figure.why) == (None, None, None, why)
    assert "NaN" not in json.dumps([found.alpha.to_json(), found.percent.to_json()])


def test_a_pair_that_shares_nothing_or_never_varies_says_so():
    pairs = {pair.coders: pair for pair in reliability(readings(("aab.", "aab.", "...a", "aaa."))).pairs}
    assert pairs["coder 0", "coder 2"].kappa.why == NOT_TOGETHER
    assert pairs["coder 0", "coder 3"].kappa.value == 0  # one varies: kappa is defined, and says nothing is told
    (pair,) = reliability(readings(("aa", "aa"))).pairs
    assert (pair.kappa.why, pair.percent.value) == (CONSTANT, 1)


def test_perfect_agreement_has_no_interval_because_no_draw_can_differ():
    figure = reliability(readings(("abab", "abab"))).alpha
    assert (figure.value, figure.low, figure.high) == (1, None, None)


def test_one_shared_unit_gives_no_interval():
    found = reliability(readings(("a.", "bb")))
    assert (found.percent.value, found.percent.low, found.alpha.n) == (0, None, 1)


# Disagreements


def test_the_most_disputed_units_come_first_and_agreed_ones_not_at_all():
    said = [
        UnitCoding("agreed", "ana", frozenset("a")),
        UnitCoding("agreed", "ben", frozenset("a")),
        UnitCoding("partly", "ana", frozenset("ab")),
        UnitCoding("partly", "ben", frozenset("a")),
        UnitCoding("apart", "ana", frozenset("a")),
        UnitCoding("apart", "ben", frozenset("b")),
        UnitCoding("three apart", "ana", frozenset("a")),
        UnitCoding("three apart", "ben", frozenset("b")),
        UnitCoding("three apart", "cem", frozenset()),
        UnitCoding("alone", "ana", frozenset("a")),
    ]
    assert [(one.unit, one.coders) for one in disputes(said)] == [("three apart", 3), ("apart", 2), ("partly", 2)]
    assert disputes(said)[-1].distance == pytest.approx(1 - 1 / 2 * 2 / 3)


# What must not matter

CODINGS = st.dictionaries(
    st.tuples(st.integers(0, 7), st.sampled_from(["ana", "ben", "cem"])),
    st.frozensets(st.sampled_from("abc"), max_size=2),
    max_size=20,
)


def listed(codings):
    return [UnitCoding(unit, coder, codes) for (unit, coder), codes in codings.items()]


@settings(max_examples=25, deadline=None)
@given(CODINGS, st.randoms())
def test_the_order_of_codings_changes_nothing(codings, chance):
    said = listed(codings)
    shuffled = chance.sample(said, len(said))
    assert plain(reliability(said)) == plain(reliability(shuffled))
    assert disputes(said) == disputes(shuffled)


@settings(max_examples=25, deadline=None)
@given(CODINGS, st.permutations(["ana", "ben", "cem"]))
def test_who_is_who_changes_no_overall_figure(codings, names):
    other = dict(zip(["ana", "ben", "cem"], names, strict=True))
    before = reliability(listed(codings))
    after = reliability([one._replace(coder=other[one.coder]) for one in listed(codings)])
    assert before.alpha == after.alpha
    assert before.fleiss == after.fleiss
    kappas = {frozenset(other[name] for name in pair.coders): pair.kappa.value for pair in before.pairs}
    assert {frozenset(pair.coders): pair.kappa.value for pair in after.pairs} == {
        pair: None if value is None else pytest.approx(value) for pair, value in kappas.items()
    }


@settings(max_examples=25, deadline=None)
@given(CODINGS, st.lists(st.sampled_from("abcd-"), max_size=9))
def test_units_that_one_coder_alone_coded_change_nothing(codings, alone):
    said = listed(codings)
    more = [UnitCoding(f"more {n}", "ana", frozenset(code.replace("-", ""))) for n, code in enumerate(alone)]
    before, after = reliability(said), reliability([*said, *more])
    if before.units and (not more or "ana" in before.coders):  # a coder who is new makes new pairs, of no unit
        assert plain(before) == plain(after)
    assert disputes(said) == disputes([*said, *more])


def test_every_two_coders_are_a_pair():
    found = reliability(several(3, coders=4))
    assert [pair.coders for pair in found.pairs] == list(combinations(sorted(found.coders), 2))
