"""A grid's cells in order of merit: the table of the paper's appendix B, the members chosen, their profile."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.finetuning.adapter_card import BERTSCORES, ROUGES
from models.coding.prompts import CODING_PROMPTS, Ending, coding_prefix

RULE = "BERTScore F1, then ROUGE-1"
_HEAD = ("base", "adaptation", "BERTScore P", "BERTScore R", "BERTScore F1", "ROUGE-1", "ROUGE-2", "ROUGE-L")


@dataclass(frozen=True)
class Cell:
    """One base under one prompt with one ending: tuned, or with examples in its prompt."""

    base: str
    prompt: int
    ending: Ending
    shots: int | None
    """``None``: tuned; 0: zero-shot; 1 to 5: so many examples."""
    name: str
    """Of its folder, and of the member that it can be."""

    @property
    def adaptation(self) -> str:
        """What the table calls it."""
        if self.shots is None:
            return "tuned"
        return f"few-shot ({self.shots})" if self.shots else "zero-shot"


@dataclass(frozen=True)
class Result:
    """A finished cell."""

    cell: Cell
    card: Mapping[str, Any]

    @property
    def metrics(self) -> Mapping[str, Any]:
        """What the card says that was measured."""
        metrics: Mapping[str, Any] = self.card["metrics"]
        return metrics


def ranked(results: Sequence[Result]) -> list[Result]:
    """Best first: by BERTScore F1, then ROUGE-1, then name."""
    return sorted(results, key=lambda r: (-r.metrics[BERTSCORES[-1]], -r.metrics[ROUGES[0]], r.cell.name))


def choose(results: Sequence[Result], top: int) -> list[Result]:
    """The best cells, no two with the same base and prompt; fewer where there are not so many."""
    best: dict[tuple[str, int], Result] = {}
    for result in ranked(results):
        best.setdefault((result.cell.base, result.cell.prompt), result)
    return list(best.values())[:top]


def table(results: Sequence[Result], cells: int, chosen: Sequence[Result]) -> str:
    """The grid as Markdown, a block a prompt as in the paper's appendix B.

    Args:
        results: The finished cells, at least one.
        cells: How many the grid has.
        chosen: The members, best first.
    """
    card = results[0].card
    split = card["split"]
    best = {result.cell.name: place for place, result in enumerate(ranked(results), 1)}
    members = {result.cell.name for result in chosen}
    lines = [
        f"{len(results)} of {cells} cells. Measured on the {split['validation_texts']} texts of fold "
        f"{split['validation_fold']} of {split['folds']} of `{card['data']['file']}`, which none was trained on, "
        "against the best matching code of each text; ± is the standard deviation over the texts. BERTScore by "
        f"{results[0].metrics['bertscore_model']}; ROUGE F1, stemmed. Rank by {RULE}; members in bold. "
        "Unusable: codes that no moderator takes (empty, over five words, the prompt again); the measures count them "
        "as they stand.",
        "",
        f"| {' | '.join((*_HEAD, 'words', 'unusable', 'rank'))} |",
        f"|{'---|' * (len(_HEAD) + 3)}",
    ]
    for heading in dict.fromkeys(_heading(result.cell) for result in results):
        lines.append(f"| *{heading}* |{' |' * (len(_HEAD) + 2)}")
        for result in results:
            if _heading(result.cell) == heading:
                lines.append(_line(result, best[result.cell.name], result.cell.name in members))
    return "\n".join(lines) + "\n"


def _heading(cell: Cell) -> str:
    """The prompt as the paper's table 7 writes it, its ending shown."""
    words = CODING_PROMPTS[cell.prompt]
    if words[-1] in ".?":
        return f"{cell.prompt}: {words}"
    return f"{cell.prompt}: {words}" + ("." if cell.ending == "dot" else r"\n")


def _line(result: Result, rank: int, is_member: bool) -> str:
    numbers = result.metrics
    spread = [f"{numbers[name]:.3f} ± {numbers[f'{name}_std']:.3f}" for name in BERTSCORES]
    plain = [f"{numbers[name]:.3f}" for name in ROUGES]
    place = f"**{rank}**" if is_member else str(rank)
    counts = [str(numbers["mean_words"]), str(numbers["unusable"])]
    return f"| {' | '.join((Path(result.cell.base).name, result.cell.adaptation, *spread, *plain, *counts, place))} |"


def as_json(results: Sequence[Result], cells: int, chosen: Sequence[Result]) -> dict[str, Any]:
    """The same for programs; rows best first."""
    rows = [
        {
            "name": result.cell.name,
            "base": result.cell.base,
            "prompt": result.cell.prompt,
            "ending": result.cell.ending,
            "adaptation": result.cell.adaptation,
            **result.metrics,
        }
        for result in ranked(results)
    ]
    return {"cells": cells, "rank_by": RULE, "members": [result.cell.name for result in chosen], "rows": rows}


def profile_text(chosen: Sequence[Result], cells: int, seed: int) -> str:
    """A profile of the chosen members; folders are taken from beside the file, so that all may move together."""
    lines = [
        'name = "grid"',
        f'description = "The {len(chosen)} best of {cells} cells by {RULE}, no two with the same base and prompt"',
        f"seed = {seed}",
        "",
        "[generation]",
        "max_new_tokens = 15",
        "temperature = 0.0",
    ]
    for result in chosen:
        cell, numbers = result.cell, result.metrics
        base = str(Path(cell.base).absolute()) if Path(cell.base).is_dir() else cell.base
        lines += ["", f"[[members]]  # BERTScore F1 {numbers[BERTSCORES[-1]]:.3f}, ROUGE-1 {numbers[ROUGES[0]]:.3f}"]
        lines += [f"name = {_quoted(cell.name)}", f"base = {_quoted(base)}"]
        if cell.shots is None:
            lines.append(f"adapter = {_quoted(cell.name)}")
        elif cell.shots:
            lines += [f"examples = {cell.shots}", f"examples_file = {_quoted(f'{cell.name}/examples.jsonl')}"]
        lines += [f"prompt = {cell.prompt}", f'ending = "{cell.ending}"']
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # a JSON string is a basic string of TOML


def endings_of(prompt: int, endings: Sequence[Ending]) -> list[Ending]:
    """The endings that make a difference: a prompt that ends with a question mark has one form only."""
    if coding_prefix(prompt, "dot") == coding_prefix(prompt, "newline"):
        return ["dot"]
    return list(dict.fromkeys(endings))
