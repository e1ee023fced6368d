"""What finds names and places: Presidio with a pipeline of spaCy that knows a list, and the fake, alike.

The pipeline is made here: trained ones cannot be had from the package index. Everything else is Presidio's own.
"""

import logging

import pytest

from models.backends.named_entities import PresidioNames
from models.errors import SettingError
from models.fakes import ListedNames
from models.masking.findings import numbered
from models.masking.masker import Masker

NAMES, PLACES = ("Zoe Zebra", "Jürgen"), ("Bonn", "New York")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    spacy = pytest.importorskip("spacy")
    pipeline = spacy.blank("en")
    ruler = pipeline.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "PERSON", "pattern": name} for name in NAMES])
    ruler.add_patterns([{"label": "GPE", "pattern": name} for name in PLACES])
    ruler.add_patterns([{"label": "ORG", "pattern": "Acme"}])
    folder = tmp_path_factory.mktemp("pipeline") / "names"
    pipeline.to_disk(folder)
    return str(folder)


@pytest.fixture(params=["presidio", "fake"])
def finder(request):
    if request.param == "fake":
        return ListedNames(NAMES, PLACES)
    pytest.importorskip("presidio_analyzer")
    return PresidioNames({"en": request.getfixturevalue("pipeline"), "de": request.getfixturevalue("pipeline")})


@pytest.mark.parametrize("language", [None, "en", "de-AT", "fr"])
def test_names_and_places_are_found_where_they_stand_in_whatever_language(finder, language):
    text = "Zoe Zebra of New York told Jürgen 😀 of Acme in Bonn."
    parts = finder.find(text, language)
    assert [(part.kind, text[part.start : part.end]) for part in parts] == [
        *(("name", "Zoe Zebra"), ("place", "New York"), ("name", "Jürgen"), ("place", "Bonn"))
    ]


@pytest.mark.parametrize("text", ["", " ", "nobody is named", "12.03.2026"])
def test_a_text_without_a_name_has_none(finder, text):
    assert list(finder.find(text, None)) == []


def test_a_text_longer_than_is_read_at_once_is_found_whole(finder):
    text = "nobody here. " * 9_000 + "Zoe Zebra"
    assert [part.start for part in finder.find(text, "en")] == [len(text) - 9]


def test_names_are_masked_beside_what_patterns_find(finder):
    masker, text = Masker(finder), "Zoe Zebra (zoe@x.org, 0170 1234567) of Bonn"
    findings = masker.find(text)
    numbers = numbered([each.value for each in findings], {}, {})
    assert [(value.kind, number) for value, number in numbers.items()] == [
        *(("name", 1), ("mail", 1), ("phone", 1), ("place", 1))
    ]


def test_a_model_that_is_not_there_is_named_and_not_downloaded(caplog):
    pytest.importorskip("presidio_analyzer")
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(SettingError, match=r"no spaCy model 'xx_nowhere'.*MASKING_MODELS"),
    ):
        PresidioNames({"xx": "xx_nowhere"})
    assert caplog.text == ""


def test_without_presidio_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"Presidio .* install 'qualstream\[names\]'"):
        PresidioNames({"en": "en_core_web_lg"})
