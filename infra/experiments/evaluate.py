"""Measures codes against people's: what is measured, with which models, and people's ratings beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.experiments.wordnet import find_wordnet, read_wordnet
from infra.files.gold import Gold, Predicted
from models.errors import InputError
from models.evaluation.correlation import Rated, agreement
from models.evaluation.report import Evaluation

if TYPE_CHECKING:
    from models.evaluation.metrics import Thesaurus, TokenEmbedder
    from models.ports import Embedder


def as_json(evaluation: Evaluation, against: str, rated: Rated | None) -> dict[str, Any]:
    """Everything that was measured, for programs."""
    figures = evaluation.to_json(against) | {"agreement": agreement(evaluation.score_table).to_json()}
    return figures if rated is None else figures | {"ratings": rated.to_json()}


def none_fits(gold: Gold, predictions: Mapping[str, Predicted]) -> dict[str, Any]:
    """Of the texts for which people found no code that fits, how many each system gave none; nothing without any."""
    if not gold.none_fits:
        return {}
    systems = {name: predicted.none_fits for name, predicted in predictions.items()}
    return {"none_fits": {"texts": len(gold.none_fits), "systems": systems}}


@dataclass(frozen=True)
class MeasuringModels:
    """What codes are compared with."""

    embedder: "Embedder"
    tokens: "TokenEmbedder | None"
    """For BERTScore."""
    thesaurus: "Thesaurus | None"
    """For METEOR and the composite scores; ``None`` where there is no WordNet."""


def measuring_models(
    embedder: str, bertscore: str, layer: int | None, wordnet: Path | None, weights: Path
) -> MeasuringModels:
    """Open what codes are compared with.

    Args:
        embedder: The sentence model for cosines.
        bertscore: The model for BERTScore, or ``none``.
        layer: Its layer; ``None``: the one usual for it.
        wordnet: WordNet's folder; ``None``: the usual places.
        weights: Where models lie that were brought with ``qualstream weights``.
    """
    from models.backends.sentence.bertscore import TokenStates
    from models.backends.sentence.embedder import SentenceEmbedder

    folder = find_wordnet(wordnet)
    tokens = None if bertscore == "none" else TokenStates(bertscore, layer, cache=weights)
    return MeasuringModels(
        SentenceEmbedder(embedder, cache=weights), tokens, None if folder is None else read_wordnet(folder)
    )


def people_ratings(gold: Gold, predictions: Mapping[str, Predicted], column: str) -> dict[str, list[float | None]]:
    """People's ratings by system: those of the predictions, else those of the gold.

    Raises:
        InputError: If neither has any.
    """
    ratings = {name: predicted.ratings for name, predicted in predictions.items()}
    if not any(value is not None for values in ratings.values() for value in values):
        ratings = {name: gold.ratings(column, name) for name in predictions}
    if not any(value is not None for values in ratings.values() for value in values):
        raise InputError(
            f"no rating under '{column}' in {gold.path} or the predictions; put numbers there in the predictions, or "
            'objects such as {"NAME": 4} in the gold'
        )
    return ratings
