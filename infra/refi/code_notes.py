"""What a code means, in the one text that REFI-QDA has for it."""

from collections.abc import Mapping, Sequence
from typing import Any

ORIGIN = "Qualstream"
"""What the standard's files of this project name as where they come from."""
_MARKS = {"inclusion": "When to use: ", "exclusion": "When not to use: ", "examples": "Example: "}
_BETWEEN = "\n\n"


def description_of(notes: Mapping[str, Any]) -> str | None:
    """A code's notes as one text, a paragraph each; ``None`` where there are none."""
    blocks = [notes["definition"]] if notes.get("definition") else []
    for name, mark in _MARKS.items():
        blocks += [f"{mark}{value}" for value in _listed(notes.get(name))]
    return _BETWEEN.join(blocks) or None


def notes_of(description: str) -> dict[str, Any]:
    """The notes that such a text holds; all of it is the definition where another program wrote it."""
    notes: dict[str, Any] = {"definition": [], "inclusion": [], "exclusion": [], "examples": []}
    last = "definition"
    for block in description.split(_BETWEEN):
        name = next((name for name, mark in _MARKS.items() if block.startswith(mark)), None)
        if name is None:
            if notes[last]:
                notes[last][-1] += f"{_BETWEEN}{block}"
            else:
                notes[last].append(block)
            continue
        notes[name].append(block.removeprefix(_MARKS[name]))
        last = name
    texts = {name: _BETWEEN.join(parts).strip() or None for name, parts in notes.items() if name != "examples"}
    return texts | {"examples": [example.strip() for example in notes["examples"] if example.strip()] or None}


def _listed(value: Any) -> Sequence[str]:
    return [] if not value else [value] if isinstance(value, str) else list(value)
