"""The card of an adapter: what it was made from and how, how it did, and what ran where."""

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from infra.pairs import Pair, Split, data_card
from models.prompts import label_fault

_LIBRARIES = ("torch", "transformers", "peft", "safetensors")


def best_rouge_1(labels: Sequence[str], golds: Sequence[Sequence[str]]) -> float:
    """Mean ROUGE-1 F1, stemmed, of each label against the best matching of its text's codes; 0 to 1.

    Source:
        Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004; computed by ``rouge-score``.
    """
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge1"], use_stemmer=True)
    best = [
        max(scorer.score(gold, label)["rouge1"].fmeasure for gold in codes)
        for label, codes in zip(labels, golds, strict=True)
    ]
    return float(sum(best) / len(best))


def make_card(
    *,
    recipe: Mapping[str, Any],
    path: Path,
    pairs: Sequence[Pair],
    halves: Split,
    mix: Mapping[str, Any],
    training: Mapping[str, Any],
    labels: Sequence[str],
) -> dict[str, Any]:
    """Gather what a reader needs to trust, repeat or refuse an adapter.

    Args:
        recipe: The recipe's fields.
        path: The pairs file.
        pairs: All of its pairs.
        halves: What was trained on and what was kept apart.
        mix: Folds and repeats.
        training: Progress, device and number format.
        labels: What the adapter wrote for the pairs kept apart, in order.
    """
    from models.backends.weights import weights_sha256

    golds = [pair.codes for pair in halves.validation]
    words = [len(label.split()) for label in labels]
    return {
        "base": {"name": recipe["base"], "sha256": weights_sha256(recipe["base"])},
        "recipe": dict(recipe),
        "data": data_card(path, pairs),
        "split": {
            **mix,
            "training_texts": len({pair.text for pair in halves.training}),
            "validation_texts": len(halves.validation),
        },
        "training": {
            "curve": training["curve"],
            "best_epoch": training["best_epoch"],
            "updates": training["updates"],
            "seconds": round(training["seconds"], 1),
            "device": _device(training["device"]),
            "dtype": training["dtype"],
        },
        "metrics": {
            "validation_loss": round(training["best"], 4),
            "rouge_1": round(best_rouge_1(labels, golds), 4),
            "mean_words": round(sum(words) / len(words), 2),
            "unusable": sum(label_fault(label) is not None for label in labels),
        },
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
    }


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write ``card.json`` for programs and ``README.md`` for people."""
    (folder / "card.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(_page(folder.name, card), encoding="utf-8")


def _page(name: str, card: Mapping[str, Any]) -> str:
    recipe, data, split, metrics = card["recipe"], card["data"], card["split"], card["metrics"]
    base, training = card["base"], card["training"]
    what = "the moderator's"
    if recipe["role"] == "member":
        what = f"{recipe['prompt']}, ending `{recipe['ending']}`"
    sources = [
        f"| {s['source']} | {s['licence']} | {s['codes_written_by']} | {s['texts']} | {s['pairs']} |"
        for s in data["sources"]
    ]
    curve = [f"| {c['epoch']} | {c['training']} | {c['validation']} |" for c in training["curve"]]
    lines = [
        f"# {name}",
        "",
        f"LoRA adapter ({recipe['role']}) for {base['name']}, SHA-256 of the weights `{base['sha256']}`.",
        "",
        f"- Prompt: {what}; seed {recipe['seed']}.",
        f"- LoRA: rank {recipe['rank']}, alpha {recipe['alpha']}, dropout {recipe['dropout']}, no bias, on "
        f"{', '.join(recipe['targets'])}.",
        f"- Data: `{data['file']}`, SHA-256 `{data['sha256']}`; fold {split['validation_fold']} of {split['folds']} "
        f"kept apart by text; repeats: {split['repeat'] or 'none'}.",
        f"- {recipe['epochs']} epochs, {recipe['batch']} texts an update, learning rate {recipe['learning_rate']}; "
        f"{training['seconds']} s on {training['device']} in {training['dtype']}.",
        f"- On {split['validation_texts']} texts kept apart: loss {metrics['validation_loss']} a token, ROUGE-1 F1 "
        f"{metrics['rouge_1']} (best matching code, stemmed), {metrics['mean_words']} words a code, "
        f"{metrics['unusable']} unusable.",
        "",
        "| source | licence | codes written by | texts | pairs |",
        "|---|---|---|---|---|",
        *sources,
        "",
        "| epoch | training loss | validation loss |",
        "|---|---|---|",
        *curve,
    ]
    return "\n".join(lines) + "\n"


def _device(device: str) -> str:
    if device == "cpu":
        return "cpu"
    import torch

    return f"{device}: {torch.cuda.get_device_name()}"
