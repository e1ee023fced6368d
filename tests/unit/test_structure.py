"""The house keeps its shape: rooms of a size, no circles, one home a name, values named by what they are."""

import statistics

from tests import structure


def test_no_folder_holds_more_modules_than_a_reader_takes_in():
    assert structure.crowded() == {}


def test_every_module_has_a_room():
    assert structure.without_a_room() == []


def test_no_modules_import_each_other_round_about():
    assert structure.circles() == []


def test_no_contract_has_an_exception():
    assert structure.contract_exceptions() == []


def test_few_names_are_defined_in_two_modules():
    assert len(structure.defined_twice()) <= 15, structure.defined_twice()


def test_values_are_named_by_what_they_are():
    assert sum(structure.vague_names().values()) <= 40, structure.vague_names()


def test_functions_fit_a_screen():
    lengths = [size for size, _ in structure.function_lengths()]
    assert statistics.median(lengths) <= 8
    assert statistics.quantiles(lengths, n=20)[-1] <= 26
    assert structure.function_lengths()[-1][0] <= 60, structure.function_lengths()[-1]


def test_no_module_is_longer_than_400_lines():
    assert structure.long_modules() == []
