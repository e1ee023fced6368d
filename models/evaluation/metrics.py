"""What a code is worth beside the codes that people gave the same text: one measure, one function."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.ports import Embeddings, Floats

HUMAN_WORDS = 3
"""Words up to which a code is not too long: the paper's human codes have 2.79 on average."""
_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")


class Thesaurus(Protocol):
    """Synonyms; nltk's ``WordNetCorpusReader`` is one."""

    def synsets(self, lemma: str) -> Sequence[Any]:
        """The senses of a word; each has ``lemmas()``, each of which has ``name()``."""
        ...


class TokenEmbedder(Protocol):
    """Turns each token of a text into a direction, in its context."""

    @property
    def version(self) -> str:
        """The model with its revision, and the layer."""
        ...

    def embed_tokens(self, texts: Sequence[str]) -> list[tuple[Embeddings, Floats]]:
        """Per text the tokens' directions, shape ``(tokens, dim)``, unit rows, and weights, shape ``(tokens,)``."""
        ...


def words_of(code: str) -> list[str]:
    """The words of a code in small letters, without punctuation."""
    return _WORD.findall(code.casefold())


@lru_cache(maxsize=131_072)
def rouge(code: str, gold: str) -> tuple[float, float, float]:
    """ROUGE-1, ROUGE-2 and ROUGE-L F1, stemmed, 0 to 1.

    Source:
        Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004; computed by ``rouge-score``.
    """
    scores = _scorer().score(gold, code)
    return scores["rouge1"].fmeasure, scores["rouge2"].fmeasure, scores["rougeL"].fmeasure


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)


def meteor(code: str, gold: str, thesaurus: Thesaurus) -> float:
    """METEOR with exact, stem and synonym matches, 0 to 1; equal codes of one word have 0.5, of two 0.94.

    Source:
        Lavie and Agarwal, "METEOR: An Automatic Metric for MT Evaluation with High Levels of Correlation with Human
        Judgments", 2007; computed by nltk.
    """
    from nltk.translate.meteor_score import single_meteor_score

    return float(single_meteor_score(words_of(gold), words_of(code), wordnet=thesaurus))


def bertscore(code: tuple[Embeddings, Floats], gold: tuple[Embeddings, Floats]) -> tuple[float, float, float]:
    """BERTScore's precision, recall and F1 without IDF and without rescaling.

    Args:
        code: Directions and weights of the code's tokens; markers such as [CLS] weigh 0 but may be matched, as in
            the package ``bert-score``.
        gold: Those of the human code.

    Source:
        Zhang et al., "BERTScore: Evaluating Text Generation with BERT", ICLR 2020, equations 1 and 2.
    """
    if not code[1].sum() or not gold[1].sum():
        return 0.0, 0.0, 0.0
    near = code[0] @ gold[0].T  # (tokens of the code, tokens of the human code)
    precision = float(near.max(axis=1) @ code[1] / code[1].sum())
    recall = float(near.max(axis=0) @ gold[1] / gold[1].sum())
    both = precision + recall
    return precision, recall, 2 * precision * recall / both if both else 0.0


def length_penalty(words: int) -> float:
    """What a code's length costs: 0 up to three words, then ``1 - 3 / words``: 0.25 at four, 0.4 at five.

    A missing code costs 1. The paper penalises "longer codes" and gives no formula; this one does not depend on
    what it is compared with, never reaches 1 for a code, and tells every length above three from the next.
    """
    return 1.0 if words == 0 else 1.0 - min(1.0, HUMAN_WORDS / words)


def jensen_shannon(p: Floats, q: Floats) -> Floats:
    """Jensen-Shannon divergence in bits, 0 (equal) to 1 (nothing in common), along the last axis.

    Args:
        p: Counts or weights, shape ``(..., n)``, not normalised; a row without any has divergence 1.
        q: The other's, of the same shape.

    Source:
        Lin, "Divergence Measures Based on the Shannon Entropy", IEEE Transactions on Information Theory 37 (1991).
    """
    from scipy.special import rel_entr

    sums = p.sum(axis=-1), q.sum(axis=-1)
    there = (sums[0] > 0) & (sums[1] > 0)
    p, q = (side / np.where(total > 0, total, 1)[..., None] for side, total in zip((p, q), sums, strict=True))
    middle = (p + q) / 2
    bits = (rel_entr(p, middle) + rel_entr(q, middle)).sum(axis=-1) / (2 * np.log(2))
    clipped: Floats = np.where(there, np.clip(bits, 0, 1), 1.0)
    return clipped


def f1_by_code(truth: NDArray[np.bool_], decided: NDArray[np.bool_]) -> NDArray[np.float64]:
    """F1 of each code, ``2 both / (true + decided)``; 0 where there is nothing to find and nothing was found.

    Args:
        truth: Which segment has which code, shape ``(n, codes)``.
        decided: The same as decided.

    Returns:
        Shape ``(codes,)``.
    """
    both, either = (truth & decided).sum(axis=0), truth.sum(axis=0) + decided.sum(axis=0)
    return np.asarray(2.0 * both / np.maximum(either, 1))


def set_jaccard(near: Floats, threshold: float) -> float:
    """Jaccard of two code sets in which codes count as the same from a cosine on, each matched at most once.

    Args:
        near: Cosines, shape ``(codes, human codes)``; pairs are matched from the nearest down.
        threshold: Cosine from which two codes are the same.
    """
    rows, columns = near.shape
    order = np.argsort(-near, axis=None, kind="stable")
    free_rows, free_columns = set(range(rows)), set(range(columns))
    for place in order:
        row, column = divmod(int(place), columns)
        if near[row, column] < threshold:
            break
        if row in free_rows and column in free_columns:
            free_rows.remove(row)
            free_columns.remove(column)
    matched = rows - len(free_rows)
    total = rows + columns - matched
    return matched / total if total else 0.0


def space_scores(owned: Floats, coder: int) -> dict[str, Floats]:
    """One coder's share in the code space that several coders span.

    With ``o`` the coder's codes (0 or 1) and ``w`` the number of coders who have each code:

    - coverage: ``sum(w o) / sum(w)``, how much of the whole space, by weight, the coder has;
    - overlap: ``sum((w - o) o) / sum(w - o)``, the same of the space that the others span;
    - novelty: of the codes that only one coder has, the share that is this coder's;
    - divergence: square root of the Jensen-Shannon divergence (bits) between ``o`` and ``w``.

    Args:
        owned: 0 or 1, shape ``(..., coders, codes)``; codes that mean the same are already one.
        coder: Whose share.

    Returns:
        The four by name, each of shape ``(...)``; 0 where nothing can be shared.

    Source:
        Chen et al., "A Computational Method for Measuring Open Codes in Qualitative Analysis", arXiv 2411.12142,
        as its authors' program has it (CIVITAS-John/CHAIR, evaluate.ts); without its half weights for neighbouring
        codes, and with embeddings alone where it lets a language model decide which codes are one.
    """
    weights, own = owned.sum(axis=-2), owned[..., coder, :]
    others = weights - own
    single = (weights == 1).astype(owned.dtype)
    return {
        "coverage": _share((weights * own).sum(axis=-1), weights.sum(axis=-1)),
        "overlap": _share((others * own).sum(axis=-1), others.sum(axis=-1)),
        "novelty": _share((single * own).sum(axis=-1), single.sum(axis=-1)),
        "divergence": np.sqrt(jensen_shannon(own, weights)),
    }


def _share(part: Floats, whole: Floats) -> Floats:
    shares: Floats = np.where(whole > 0, part / np.where(whole > 0, whole, 1), 0.0)
    return shares


def merged_codes(directions: Embeddings, threshold: float) -> NDArray[Any]:
    """Which codes are one: average linkage by cosine, cut at the threshold.

    Args:
        directions: Unit rows, shape ``(codes, dim)``.
        threshold: Mean cosine from which groups of codes are one.

    Returns:
        A group's number for each code, from 0, shape ``(codes,)``.
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(directions) < 2:
        return np.zeros(len(directions), dtype=np.intp)
    distances = squareform(np.clip(1 - directions @ directions.T, 0, 2), checks=False).astype(np.float64)
    groups = fcluster(linkage(distances, "average"), 1 - threshold, criterion="distance")
    return np.asarray(groups, dtype=np.intp) - 1


COMPOSITE_PARTS: Mapping[str, Callable[[Floats], Floats]] = {
    "cosine": lambda values: np.clip(values, 0, 1),
    "meteor": lambda values: values,
    "length_penalty": lambda values: 1 - values,
    "jensen_shannon": lambda values: 1 - values,
}
"""The composite's four components, each turned so that 1 is best."""


def absolute_composite(components: Mapping[str, Floats]) -> Floats:
    """The composite score that can be compared between runs, 0 to 1: each component is taken as it is.

    The mean of cosine (below 0 counts as 0), METEOR, one minus the length penalty, and one minus the Jensen-Shannon
    divergence in bits. Nothing in it depends on the systems beside it.
    """
    return np.mean([turn(components[name]) for name, turn in COMPOSITE_PARTS.items()], axis=0)  # type: ignore[no-any-return]


def relative_composite(components: Iterable[Mapping[str, Floats]]) -> list[Floats]:
    """The paper's composite: each component is normalised over the systems compared, 0 (worst) to 1 (best of them).

    Min-max: ``(x - min) / (max - min)``, after turning so that 1 is best; a component in which all systems are
    equal counts 0.5 for all. Figures of different runs cannot be compared. In a bootstrap each draw is normalised
    for itself.
    """
    systems = list(components)
    parts = []
    for name, turn in COMPOSITE_PARTS.items():
        values = np.stack([turn(system[name]) for system in systems])  # (systems, ...)
        low, spread = values.min(axis=0), np.ptp(values, axis=0)
        parts.append(np.where(spread > 0, (values - low) / np.where(spread > 0, spread, 1), 0.5))
    return list(np.mean(parts, axis=0))
