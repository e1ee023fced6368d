"""Adapters tried out on texts: what each writes, greedily or drawn."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from models.backends.lora.adapters import attach_adapters
from models.backends.lora.generation import Generator, Sampling
from models.backends.lora.packing import prompt_row
from models.backends.weights import load_language_model
from models.coding.labels import clean_label

if TYPE_CHECKING:
    from models.backends.lora.packing import Recipe

Item = tuple[str, Sequence[str]]
"""A text and, for a moderator, the proposals it is shown."""


def write_labels(
    recipe: "Recipe",
    adapters: Mapping[str, Path],
    items: Sequence[Item],
    *,
    cache: Path,
    device: str = "cpu",
    sampling: Sampling | None = None,
    seed: int = 0,
) -> dict[str, list[str]]:
    """Let each adapter answer each item under the recipe's prompt.

    Args:
        recipe: Its base, prompt, ending and role are used.
        adapters: Folder of each adapter, by name.
        items: What to read.
        cache: Folder for converted base weights.
        device: ``cpu`` or ``cuda``.
        sampling: How tokens are chosen; greedy unless given.
        seed: Of the first item's draws; the next items count up from it.

    Returns:
        Cleaned labels by adapter, in the order of the items.

    Raises:
        SettingError: If base or adapter are not to be had, or do not fit each other.
    """
    model, tokenizer = load_language_model(recipe.base, cache=cache, device=device)
    generator = Generator(model, tokenizer, attach_adapters(model, adapters))
    written = {}
    for name in adapters:
        rows = [prompt_row(recipe, text, labels, name, seed + number) for number, (text, labels) in enumerate(items)]
        answers = generator.generate(rows, sampling or Sampling(temperature=0.0))
        written[name] = [clean_label(answer.text) for answer in answers]
    return written
