"""Codes measured against people's codes."""

from collections.abc import Mapping, Sequence
from typing import Any

from infra.experiments.evaluate import measuring_models
from infra.settings import load_settings
from models.errors import InputError
from models.evaluation.report import Evaluation, EvaluationOptions, GoldRow
from models.evaluation.report import evaluate as measure

Codes = str | Sequence[str]
"""One code, or several."""


def evaluate(
    gold: Sequence[Codes],
    systems: Mapping[str, Sequence[Codes | None]],
    *,
    texts: Sequence[str] | None = None,
    bertscore: bool = False,
    embedder: str = "all-MiniLM-L6-v2",
    **options: Any,
) -> Evaluation:
    """Measure the codes of one or several systems against people's.

    Args:
        gold: For each text the code or codes that people gave it.
        systems: By name, each system's code for each text, in the same order; ``None`` where it gave none.
        texts: The texts, where reports should name them.
        bertscore: Whether BERTScore is measured too; it takes longest.
        embedder: The sentence model that compares codes.
        options: ``threshold`` (cosine from which two codes count as the same, 0.7), ``resamples``, ``seed``.

    Returns:
        Every figure with a 95% interval: ``evaluation.pooled.scores["mine"]["rouge_1"].value``; all of them as
        plain numbers with ``evaluation.to_json()``.

    Raises:
        InputError: If there is no text, a text has no code of people's, or a system has another number of codes.

    Example:
        >>> result = evaluate([["slow"], ["too dear"]], {"mine": ["slow", "price"]})  # doctest: +SKIP
        >>> result.pooled.scores["mine"]["rouge_1"].value  # doctest: +SKIP
        0.5
    """
    rows = [GoldRow(texts[n] if texts else "", _codes(codes, n), str(n)) for n, codes in enumerate(gold)]
    predictions = {name: [_prediction(code) for code in codes] for name, codes in systems.items()}
    settings, scored = load_settings(), embedder if bertscore else "none"
    tools = measuring_models(embedder, scored, None, settings.wordnet, settings.weights_dir)
    return measure(rows, predictions, tools.embedder, tools.tokens, tools.thesaurus, EvaluationOptions(**options))


def _codes(codes: Codes, n: int) -> tuple[str, ...]:
    labels = (codes,) if isinstance(codes, str) else tuple(codes)
    if not labels or not all(isinstance(label, str) and label.strip() for label in labels):
        raise InputError(f"text {n} (from 0) has the gold codes {labels!r}; at least one code is expected")
    return labels


def _prediction(code: Codes | None) -> tuple[str, ...]:
    if code is None:
        return ()
    return (code,) if isinstance(code, str) else tuple(code)
