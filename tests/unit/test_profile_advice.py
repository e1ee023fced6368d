"""Which profile is used, and a better one where the machine can run it."""

from pathlib import Path

import pytest

from infra.profiles.loading import checked_profile, load_profile
from infra.settings import load_settings
from infra.weights.advice import NEEDED_MEMORY, available_memory, language_line, profile_line
from models.backends.weight_parts import WEIGHT_PARTS, converted_folder
from schemas import Segment
from tests.unit.builders import segment

ENOUGH = NEEDED_MEMORY["small"]


def install(cache: Path) -> None:
    for name in WEIGHT_PARTS:
        converted_folder(name, cache).mkdir(parents=True)
        (converted_folder(name, cache) / "config.json").write_text("{}", encoding="utf-8")


def test_a_better_profile_is_named_with_the_command_that_brings_it(tmp_path):
    line = profile_line(load_profile("tiny"), tmp_path, ENOUGH)
    assert line.startswith("profile 'tiny'; profile 'small' writes codes that stand more often")
    assert line.endswith("bring its weights with `qualstream weights small`, 1.1 GB")


def test_one_that_is_here_already_is_named_as_it_is_taken(tmp_path):
    install(tmp_path)
    assert profile_line(load_profile("tiny"), tmp_path, ENOUGH).endswith("take it with --profile small")


@pytest.mark.parametrize("memory", [0, ENOUGH - 1])
def test_none_is_named_that_the_machine_has_no_memory_for(tmp_path, memory):
    assert profile_line(load_profile("tiny"), tmp_path, memory) == "profile 'tiny'"


def test_none_is_named_beside_the_best(tmp_path):
    assert profile_line(load_profile("small"), tmp_path, ENOUGH) == "profile 'small'"


def test_the_machine_has_some_memory():
    assert available_memory() > 0


GERMAN = "Die Lieferung hat viel zu lange gedauert, und das Paket kam beschädigt bei mir an."
ENGLISH = "The delivery took far too long, and the parcel was damaged when it came."


def segments(*texts: str) -> list[Segment]:
    return [segment(text) for text in texts]


def test_texts_that_are_mostly_not_english_name_the_model_that_knows_them(tmp_path):
    line = language_line(load_profile("tiny"), segments(GERMAN, GERMAN, ENGLISH), tmp_path)
    assert line is not None
    assert line.endswith("after `qualstream weights multilingual-e5-small`, 0.1 GB")
    install(tmp_path)
    assert "weights" not in (language_line(load_profile("tiny"), segments(GERMAN), tmp_path) or "")


def test_english_texts_and_a_model_of_ones_own_are_left_as_they_are(tmp_path):
    assert language_line(load_profile("tiny"), segments(GERMAN, ENGLISH), tmp_path) is None
    assert language_line(load_profile("tiny"), [], tmp_path) is None
    settings = load_settings(profile="tiny", embedder="mine/model")
    assert language_line(checked_profile(settings), segments(GERMAN), tmp_path) is None
