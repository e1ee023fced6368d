"""The card of an adapter: what it was made from and how, how it did, and what ran where."""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from infra.files.pairs import Split, TrainingPair, data_card
from models.coding.labels import label_fault
from models.evaluation.metrics import TokenEmbedder, bertscore, rouge

ROUGES = ("rouge_1", "rouge_2", "rouge_l")
BERTSCORES = ("bertscore_p", "bertscore_r", "bertscore_f1")
_LIBRARIES = ("torch", "transformers", "peft", "safetensors")


TERMS = {"Gemma-3-270M": "Gemma Terms of Use, https://ai.google.dev/gemma/terms, as a Model Derivative of Gemma"}
"""Bases whose terms extend to what is tuned on them."""


def code_metrics(
    labels: Sequence[str], golds: Sequence[Sequence[str]], tokens: TokenEmbedder | None = None
) -> dict[str, Any]:
    """How near labels are to people's codes: each measure for itself against the best matching code of its text.

    A label that may not be used counts as none: copied text would earn ROUGE for a code that nobody is shown.

    Args:
        labels: One a text.
        golds: Each text's codes.
        tokens: For BERTScore, which is left out without it.

    Returns:
        Means over the texts; of BERTScore also the standard deviations, as in the paper's appendix B.
    """
    faults = [label_fault(label) for label in labels]
    labels = [label if fault is None else "" for label, fault in zip(labels, faults, strict=True)]
    pairs = list(zip(labels, golds, strict=True))
    rouges = np.array([np.max([rouge(label, gold) for gold in codes], axis=0) for label, codes in pairs])
    metrics: dict[str, Any] = dict(zip(ROUGES, _rounded(rouges.mean(axis=0)), strict=True))
    if tokens is not None:
        every = list(dict.fromkeys([*labels, *(gold for codes in golds for gold in codes)]))
        of = dict(zip(every, tokens.embed_tokens(every), strict=True))
        near = np.array([np.max([bertscore(of[label], of[gold]) for gold in codes], axis=0) for label, codes in pairs])
        metrics |= zip(BERTSCORES, _rounded(near.mean(axis=0)), strict=True)
        metrics |= zip((f"{name}_std" for name in BERTSCORES), _rounded(near.std(axis=0)), strict=True)
        metrics["bertscore_model"] = tokens.version
    words = [len(label.split()) for label in labels if label]
    return metrics | {
        "mean_words": round(sum(words) / max(1, len(words)), 2),
        "unusable": sum(fault is not None for fault in faults),
    }


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 4) for value in values]


def make_card(
    *,
    recipe: Mapping[str, Any],
    path: Path,
    pairs: Sequence[TrainingPair],
    halves: Split,
    mix: Mapping[str, Any],
    metrics: Mapping[str, Any],
    training: Mapping[str, Any] | None = None,
    licences: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Gather what a reader needs to trust, repeat or refuse an adapter, or a row of a grid.

    Args:
        recipe: The recipe's fields.
        path: The pairs file.
        pairs: Those of its pairs that were used.
        halves: What was trained on and what was kept apart.
        mix: Folds and repeats.
        metrics: What was measured on the texts kept apart.
        training: Progress, device and number format; ``None`` where nothing was tuned.
        licences: Of sources that are not known here.
    """
    data: dict[str, Any] = data_card(path, pairs)
    for source in data["sources"]:
        source["licence"] = (licences or {}).get(source["source"], source["licence"])
    return {
        "base": {"name": recipe["base"], "sha256": base_sha256(recipe["base"])},
        "recipe": dict(recipe),
        "data": data,
        "split": {
            **mix,
            "training_texts": len({pair.text for pair in halves.training}),
            "validation_texts": len(halves.validation),
        },
        **({"training": _training(training)} if training else {}),
        "metrics": {**({"validation_loss": round(training["best"], 4)} if training else {}), **metrics},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
    }


def _training(training: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: training[key] for key in ("curve", "best_epoch", "updates", "dtype", "layers")}
    return kept | {"seconds": round(training["seconds"], 1), "device": _device(training["device"])}


def base_sha256(name: str) -> str | None:
    """SHA-256 of a base's weights: of the package's file, or of the safetensors files of a folder or hub snapshot.

    Returns:
        Hex digits; several files are hashed one after the other in the order of their names. ``None`` if the weights
        lie in no such file.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    from models.backends.weights import PACKAGED, weights_sha256

    if name in PACKAGED:
        return weights_sha256(name)
    try:
        folder = Path(name) if Path(name).is_dir() else Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    digest = hashlib.sha256()
    files = sorted(folder.glob("*.safetensors"))
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest() if files else None


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
    what += ", in the chat template" if recipe.get("format") == "chat" else ""
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
        f"- Licence: {TERMS.get(base['name'], 'that of the data and of whoever tuned it')}.",
        f"- Prompt: {what}; seed {recipe['seed']}.",
        f"- LoRA: rank {recipe['rank']}, alpha {recipe['alpha']}, dropout {recipe['dropout']}, no bias, on "
        f"{', '.join(training.get('layers') or recipe['targets'])}.",
        f"- Data: `{data['file']}`, SHA-256 `{data['sha256']}`; fold {split['validation_fold']} of {split['folds']} "
        f"kept apart by text; repeats: {split['repeat'] or 'none'}.",
        f"- {recipe['epochs']} epochs, {recipe['batch']} texts an update, learning rate {recipe['learning_rate']}; "
        f"{training['seconds']} s on {training['device']} in {training['dtype']}.",
        f"- On {split['validation_texts']} texts kept apart: loss {metrics['validation_loss']} a token, ROUGE-1, 2 and "
        f"L F1 {metrics['rouge_1']}, {metrics['rouge_2']} and {metrics['rouge_l']} (best matching code, stemmed), "
        f"{metrics['mean_words']} words a code, {metrics['unusable']} unusable.",
        *_bertscore_line(metrics),
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


def _bertscore_line(metrics: Mapping[str, Any]) -> list[str]:
    if "bertscore_f1" not in metrics:
        return []
    figures = ", ".join(
        f"{name.removeprefix('bertscore_').upper()} {metrics[name]} (standard deviation {metrics[f'{name}_std']})"
        for name in BERTSCORES
    )
    return [f"- BERTScore by {metrics['bertscore_model']}: {figures}."]


def _device(device: str) -> str:
    if device == "cpu":
        return "cpu"
    import torch

    return f"{device}: {torch.cuda.get_device_name()}"
