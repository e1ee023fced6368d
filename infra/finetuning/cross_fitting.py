"""What a moderator learns from: proposals of members for texts that they were not trained on."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infra.files.pairs import TrainingPair, fold_of, read_pairs
from models.coding.labels import label_fault
from models.errors import SettingError
from models.ports import Embedder
from schemas.ids import normalised_label


def cross_fit(
    pairs_file: Path, adapters: Sequence[Path], samples: int, out: Path, *, cache: Path, embedder: Embedder
) -> int:
    """Let each member read the fold that was kept from it, greedily and drawn, and write what was proposed.

    What several members propose for a text stands together, as a moderator will see it. Each text keeps one code
    as the target: the one that was proposed, else the one nearest to a proposal.

    Returns:
        Number of texts written.

    Raises:
        InputError: If the pairs cannot be read.
        SettingError: If an adapter was not trained on this file, or is no member.
    """
    pairs = read_pairs(pairs_file)
    proposed: dict[str, list[str]] = {}
    for adapter in adapters:
        for pair, labels in _propose(pairs_file, pairs, adapter, samples, cache):
            proposed.setdefault(pair.text, []).extend(labels)
    lines = []
    for pair in pairs:
        labels = candidates(proposed.get(pair.text, ()))
        if labels:
            known = pair.model_dump(exclude={"codes", "proposals"})
            row = {**known, "codes": [target(pair.codes, labels, embedder)], "proposals": labels}
            lines.append(json.dumps(row, ensure_ascii=False))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines)


def target(codes: Sequence[str], labels: Sequence[str], embedder: Embedder) -> str:
    """The code that a moderator should settle on, given what was proposed.

    Args:
        codes: The text's codes, at least one.
        labels: The proposals, at least one.
        embedder: Used where no proposal equals a code.
    """
    proposed = {normalised_label(label): label for label in labels}
    for code in codes:
        if normalised_label(code) in proposed:
            return proposed[normalised_label(code)]
    nearness = (embedder.embed(codes) @ embedder.embed(labels).T).max(axis=1)  # (codes,)
    return codes[int(nearness.argmax())]


def candidates(labels: Sequence[str]) -> list[str]:
    """The usable proposals without doubles, in the order in which a moderator is shown them."""
    by_key = {normalised_label(label): label for label in sorted(labels) if label_fault(label) is None}
    return [by_key[key] for key in sorted(by_key)]


def _propose(
    pairs_file: Path, pairs: Sequence[TrainingPair], adapter: Path, samples: int, cache: Path
) -> list[tuple[TrainingPair, list[str]]]:
    from models.backends.lora.finetuning import choose_device
    from models.backends.lora.generation import Sampling
    from models.backends.lora.packing import Recipe
    from models.backends.lora.sampling_run import write_labels

    card = _card(adapter, pairs_file)
    recipe = Recipe(**{**card["recipe"], "targets": tuple(card["recipe"]["targets"])})
    if recipe.role != "member":
        raise SettingError(f"{adapter} is a moderator; give members' adapters")
    kept = [pair for pair in pairs if fold_of(pair.text, card["split"]["folds"]) == card["split"]["validation_fold"]]
    items = [(pair.text, ()) for pair in kept]
    draws = [Sampling(temperature=0.0), *[Sampling()] * samples]
    answers = [
        write_labels(
            recipe, {"it": adapter}, items, cache=cache, device=choose_device("auto"), sampling=how, seed=n * len(items)
        )["it"]
        for n, how in enumerate(draws)
    ]
    return [(pair, list(labels)) for pair, labels in zip(kept, zip(*answers, strict=True), strict=True)]


def _card(adapter: Path, pairs_file: Path) -> dict[str, Any]:
    try:
        card: dict[str, Any] = json.loads((adapter / "card.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"no card.json in {adapter}; give a folder that `qualstream finetune` wrote") from error
    if card["data"]["sha256"] != hashlib.sha256(pairs_file.read_bytes()).hexdigest():
        raise SettingError(
            f"{adapter} was trained on other pairs than {pairs_file}, so which texts it has not seen is not known; "
            "give the file it was trained on"
        )
    return card
