"""Names and places in texts by Microsoft Presidio, with spaCy's models, one a language. Nothing is ever downloaded."""

import importlib.util
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from models.errors import SettingError
from models.ports import NamedPart

_ENTITIES: Mapping[str, Literal["name", "place"]] = {"PERSON": "name", "LOCATION": "place"}
_LONGEST = 100_000  # characters that spaCy reads at once; its own limit is a million, at a gigabyte of memory
_READ = 400  # characters by which a text's language is told
_WANTED = "install 'qualstream[names]', or choose the level 'patterns'"


class PresidioNames:
    """Finds people and places with Presidio; its models are loaded when the first text comes."""

    def __init__(self, spacy_models: Mapping[str, str]) -> None:
        """Take the models' names.

        Args:
            spacy_models: By language, two letters, the name of an installed spaCy pipeline, or its folder. A text in
                another language is read by the first.

        Raises:
            SettingError: If Presidio or a model is not installed.
        """
        self._models = dict(spacy_models)
        self._lock = Lock()
        check_installed(self._models)

    def find(self, text: str, language: str | None) -> list[NamedPart]:
        """The people and places that a text names, in order; see ``models.ports.NameFinder``."""
        spoken, parts = self._language(text, language), list[NamedPart]()
        with self._lock:  # spaCy's pipelines are not promised to be safe in two threads
            for begin in range(0, len(text), _LONGEST):
                results = self._analyzer.analyze(
                    text=text[begin : begin + _LONGEST], language=spoken, entities=list(_ENTITIES)
                )
                parts += [
                    NamedPart(begin + each.start, begin + each.end, _ENTITIES[each.entity_type]) for each in results
                ]
        return sorted(parts)

    def _language(self, text: str, language: str | None) -> str:
        known = list(self._models)
        spoken = (language or "").partition("-")[0].partition("_")[0].casefold()
        if spoken in self._models or len(known) == 1:
            return spoken if spoken in self._models else known[0]
        return str(self._identifier.classify(text[:_READ])[0])

    @cached_property
    def _identifier(self) -> Any:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
        identifier.set_languages(list(self._models))
        return identifier

    @cached_property
    def _analyzer(self) -> Any:
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
        from presidio_analyzer.nlp_engine import NlpEngineProvider
        from presidio_analyzer.predefined_recognizers import SpacyRecognizer

        models = [{"lang_code": code, "model_name": name} for code, name in self._models.items()]
        engine = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models}).create_engine()
        recognizers = [
            SpacyRecognizer(supported_language=code, supported_entities=list(_ENTITIES)) for code in self._models
        ]
        registry = RecognizerRegistry(recognizers=recognizers, supported_languages=list(self._models))
        return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=list(self._models))


def check_installed(spacy_models: Mapping[str, str]) -> None:
    """See that names can be looked for; Presidio would download a model that is missing.

    Raises:
        SettingError: If Presidio or a model is not installed.
    """
    if importlib.util.find_spec("presidio_analyzer") is None:
        raise SettingError(f"names and places are to be masked but Presidio is not installed; {_WANTED}")
    for language, name in spacy_models.items():
        if not Path(name).is_dir() and importlib.util.find_spec(name) is None:
            raise SettingError(
                f"names in texts of language '{language}' are to be masked but there is no spaCy model '{name}'; "
                f"install it (python -m spacy download {name}), or name another one in QUALSTREAM_MASKING_MODELS"
            )
