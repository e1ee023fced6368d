"""Whether words that integrated gradients name are those that a classifier decides by: texts without them.

A logistic head on the body as it comes is taught 145 texts of a set; of test texts the likeliest code is explained. The
words that speak most for it are deleted, as many drawn by chance, and those that speak least for it.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning import GAMES, NHS
from benchmarks.paper.comparing import estimate
from benchmarks.paper.heads import COURSE, LABELS, read_set
from infra.experiments.active_learning.datasets import CodedTexts, draw
from models.backends.sentence.attribution import Attribution, attribute
from models.backends.sentence.classifier import TextClassifier
from models.backends.sentence.heads import LogisticHead
from models.evaluation.bootstrap import difference, resample
from models.ports import Embedder, Floats

Figures = dict[str, Any]
Places = NDArray[np.intp]
SETS = (NHS, GAMES)
SHARES = (0.1, 0.2, 0.5)
"""Of a text's words that are deleted."""
MOST, CHANCE, LEAST = "those that speak most for the code", "as many by chance", "those that speak least for it"
_TEXTS, _SHORTEST, _LONGEST = 40, 8, 100  # a set, and words of each
_DRAWS, _SEED = 10, 20_241


def faithfulness(embedder: Embedder) -> dict[str, Figures]:
    """What each deletion takes off the probability of the explained code, by set; intervals over texts."""
    return {name: _on_set(read_set(name), embedder) for name in SETS}


def _on_set(data: CodedTexts, embedder: Embedder) -> Figures:
    seed = 0
    drawn = draw(data, COURSE, seed)
    taught = drawn.pool[:LABELS]
    head = LogisticHead.fit(embedder.embed([data.texts[n] for n in taught]), data.taught[taught])
    codes = [UUID(int=n) for n in range(len(data.codes))]
    classifier = TextClassifier(embedder, head, codes, data.codes)
    texts = [data.texts[n] for n in drawn.test if _SHORTEST <= len(data.texts[n].split()) <= _LONGEST][:_TEXTS]
    codes_of_texts = likeliest(classifier, texts)
    explained = [attribute(classifier, text, code) for text, code in zip(texts, codes_of_texts, strict=True)]
    drops = {share: deletions(classifier, texts, codes_of_texts, explained, share) for share in SHARES}
    return {"texts": len(texts), "shares": {str(share): _estimates(each) for share, each in drops.items()}}


def likeliest(classifier: TextClassifier, texts: Sequence[str]) -> list[UUID]:
    """The code that each text most likely has."""
    return [classifier.codes[int(row.argmax())] for row in classifier.probabilities(texts)]


def deletions(
    classifier: TextClassifier,
    texts: Sequence[str],
    codes: Sequence[UUID],
    explained: Sequence[Attribution],
    share: float,
) -> dict[str, Floats]:
    """What a text's code loses in probability without so many of its words.

    Args:
        classifier: What decided.
        texts: What it read.
        codes: Of each text the code that is explained.
        explained: What each word adds to it.
        share: Of its words, at least one.

    Returns:
        By what is deleted, shape ``(texts,)``; of chance the mean over ten draws.

    Source:
        DeYoung et al., "ERASER: A Benchmark to Evaluate Rationalized NLP Models", ACL 2020 (comprehensiveness).
    """
    generator = np.random.default_rng(_SEED)
    rows: dict[str, list[float]] = {MOST: [], CHANCE: [], LEAST: []}
    for text, code, attribution in zip(texts, codes, explained, strict=True):
        words = [word.text for word in attribution.words]
        order = np.argsort([-(word.weight or 0.0) for word in attribution.words], kind="stable")
        count = max(1, round(share * len(words)))
        by_chance = [generator.permutation(len(words))[:count] for _ in range(_DRAWS)]
        left = [_without(words, places) for places in (order[:count], order[-count:], *by_chance)]
        column = classifier.codes.index(code)
        whole, most, least, *chance = classifier.probabilities([text, *left])[:, column].tolist()
        for name, value in ((MOST, most), (CHANCE, float(np.mean(chance))), (LEAST, least)):
            rows[name].append(whole - value)
    return {name: np.array(values) for name, values in rows.items()}


def _without(words: Sequence[str], places: Places) -> str:
    return " ".join(word for n, word in enumerate(words) if n not in places)


def _estimates(drops: Mapping[str, Floats]) -> Figures:
    draws = resample(len(drops[MOST]), 2_000, _SEED)
    estimates = {name: estimate(values, draws) for name, values in drops.items()}
    gap = difference(estimates[MOST], estimates[CHANCE]).to_json()
    return {**{name: each.to_json() for name, each in estimates.items()}, "difference": gap}
