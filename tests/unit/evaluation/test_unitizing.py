"""Alpha for unitizing, against published figures, a table reckoned by hand, and character by character."""

import random
from collections import Counter
from itertools import combinations, pairwise

import numpy as np
import pytest

from models.evaluation.figure import draw_weights
from models.evaluation.unitizing import (
    ALL_ALIKE,
    GAP,
    CodedUnit,
    Coincidences,
    alpha_figure,
    boundary_figure,
    coded_coincidences,
    coincidences,
)

# Three coders of twenty places, two values: the example that open implementations of Krippendorff et al. (2016) print
THREE_CODERS = (
    (CodedUnit(2, 5, 1), CodedUnit(9, 11, 1), CodedUnit(12, 20, 2)),
    (CodedUnit(2, 5, 1), CodedUnit(7, 15, 2)),
    (CodedUnit(2, 5, 1), CodedUnit(10, 15, 2)),
)


def alpha(length, coders):
    return alpha_figure([coincidences(length, coders)], draw_weights(1, 1))


def boundaries(length, coders):
    return boundary_figure([coincidences(length, coders)], draw_weights(1, 1))


def drawn(seed):
    """A text and two to four coders' units."""
    draw = random.Random(seed)
    length, coders = draw.randint(20, 60), []
    for _ in range(draw.randint(2, 4)):
        places = sorted(draw.sample(range(length), draw.choice([0, 2, 4, 6])))
        coders.append([CodedUnit(*place, draw.choice("abc")) for place in list(pairwise(places))[::2]])
    return length, coders


def by_characters(length, coders):
    """Alpha as it is defined: observed over expected disagreement, from every pair that chance may make."""
    values = [[GAP] * length for _ in coders]
    units = [[("gap", n, place) for place in range(length)] for n in range(len(coders))]
    for n, own in enumerate(coders):
        for k, unit in enumerate(own):
            for place in range(unit.start, unit.end):
                values[n][place], units[n][place] = unit.value, ("unit", n, k)
    observed = sum(a[place] != b[place] for a, b in combinations(values, 2) for place in range(length))
    observed *= 2 / (len(coders) - 1)
    flat = [
        (value, unit) for own, each in zip(values, units, strict=True) for value, unit in zip(own, each, strict=True)
    ]
    kinds = Counter(flat)
    pairs = sum(a * b for x, a in kinds.items() for y, b in kinds.items() if x[1] != y[1])
    unlike = sum(a * b for x, a in kinds.items() for y, b in kinds.items() if x[1] != y[1] and x[0] != y[0])
    return 1 - observed / (len(flat) * unlike / pairs)


def test_the_example_that_implementations_publish():
    assert alpha(20, THREE_CODERS).value == pytest.approx(0.474, abs=5e-4)
    assert boundaries(20, THREE_CODERS).value == pytest.approx(0.433, abs=5e-4)


def test_a_table_reckoned_by_hand():
    # ten characters; one marks 0 to 4 with a, the other 0 to 6: 16 coincidences agree, 4 do not
    coders = ([CodedUnit(0, 4, "a")], [CodedUnit(0, 6, "a")])
    # margins: ten characters under a, ten in gaps; chance pairs none with itself: 400 - (16 + 36 + 10) pairs
    chance = 20 * ((100 - 52) + (100 - 10)) / (400 - 62)
    assert alpha(10, coders).value == pytest.approx(1 - 4 / (20 - chance))
    assert boundaries(10, coders).value == pytest.approx(alpha(10, coders).value)


def test_the_codes_alone_are_compared_where_both_marked():
    # shared are 2 to 6 (a and a) and 6 to 8 (a and b): eight coincidences of a with a, four of a with b
    coders = ([CodedUnit(2, 8, "a")], [CodedUnit(0, 6, "a"), CodedUnit(6, 9, "b")])
    chance = 12 * ((10**2 - 36 - 16) + (2**2 - 4)) / (144 - 56)
    figure = alpha_figure([coded_coincidences(10, coders)], draw_weights(1, 1))
    assert figure.value == pytest.approx(1 - 4 / (12 - chance))


@pytest.mark.parametrize("seed", range(25))
def test_it_is_what_every_pair_of_characters_gives(seed):
    length, coders = drawn(seed)
    assert alpha(length, coders).value == pytest.approx(by_characters(length, coders))


@pytest.mark.parametrize("seed", range(8))
def test_units_of_the_same_places_and_values_are_perfect_and_who_is_who_does_not_matter(seed):
    length, coders = drawn(100 + seed)
    own = [CodedUnit(1, 7, "a"), CodedUnit(9, 12, "b")]
    assert alpha(length, [own, own]).value == pytest.approx(1)
    assert boundaries(length, [own, own]).value == pytest.approx(1)
    assert alpha(length, coders[::-1]).value == pytest.approx(alpha(length, coders).value)


@pytest.mark.parametrize("coders", [([], []), ([CodedUnit(0, 9, "a")], [])])
def test_where_chance_could_not_disagree_there_is_no_figure_and_a_reason(coders):
    figure = alpha(9, ([], []))
    assert (figure.value, figure.why) == (None, ALL_ALIKE)
    assert alpha(9, coders).value is None or alpha(9, coders).value <= 0


def test_documents_add_up_and_give_an_interval():
    tallies = [coincidences(*drawn(seed)) for seed in range(12)]
    together = Coincidences()
    for tally in tallies:
        together.add(tally)
    figure = alpha_figure(tallies, draw_weights(12, 1))
    assert figure.value == pytest.approx(alpha_figure([together], draw_weights(1, 1)).value)
    assert figure.low < figure.value < figure.high
    assert (figure.n, np.isfinite([figure.low, figure.high]).all()) == (12, True)
