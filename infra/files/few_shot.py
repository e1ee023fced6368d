"""Which texts with codes stand in a prompt as examples, for a member that was not tuned."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from infra.files.pairs import TrainingPair, read_pairs
from models.coding.labels import label_fault
from models.errors import InputError, SettingError

MOST = 8
"""The paper gives one to five examples; the bigger members of profile `small` have six."""
_SHORTEST, _LONGEST = 5, 25  # words of an example's text: long enough to say something, short enough for a prompt
_WORD = re.compile(r"\w{4,}")  # shorter ones are mostly function words

FewShotExample = tuple[str, str]
"""A text and its code."""


def read_examples(path: Path, number: int) -> tuple[FewShotExample, ...]:
    """Choose examples from a pairs file; see ``choose_examples``.

    Raises:
        InputError: If the file cannot be read or a line is not a pair.
        SettingError: If it holds too few texts.
    """
    try:
        return choose_examples(read_pairs(path), number)
    except SettingError as error:
        raise SettingError(f"{path}: {error}") from None


def read_verdicts(path: Path) -> tuple[tuple[str, str, bool], ...]:
    """Read texts with a code each and whether it stands, as a verifier is shown them.

    Raises:
        InputError: If the file cannot be read, or a line has not all three.
    """
    try:
        lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
        rows = [json.loads(line) for line in lines]
        return tuple((str(row["text"]), str(row["code"]), bool(row["stands"])) for row in rows)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not a file of verdicts ({type(error).__name__}: {error}); a line is an object with `text`, "
            "`code` and `stands`, true or false"
        ) from error


def choose_examples(pairs: Sequence[TrainingPair], number: int) -> tuple[FewShotExample, ...]:
    """Choose short and unlike examples, the same ones whatever the order of the pairs.

    Texts of 5 to 25 words are taken where there are enough of them, else all; each with its first usable code. One
    after the other is chosen: from the source chosen from least, the one with a code not chosen yet, that shares the
    fewest words with any example chosen before it, and of equal ones the one whose text's SHA-256 comes first.

    Raises:
        SettingError: If there are too few texts with a usable code.
    """
    usable = {text: (code, source) for text, code, source in map(_usable, pairs) if code}
    short = {text: about for text, about in usable.items() if _SHORTEST <= len(text.split()) <= _LONGEST}
    left = short if len(short) >= number else usable
    if len(left) < number:
        raise SettingError(
            f"{len(left)} texts with a usable code, but {number} examples are asked for; give more pairs"
        )
    words = {text: _words(f"{text} {code}") for text, (code, _) in left.items()}
    order = sorted(left, key=lambda text: hashlib.sha256(text.encode()).digest())
    chosen: list[str] = []
    sources: Counter[str] = Counter()
    for _ in range(number):
        codes = {left[text][0].casefold() for text in chosen}

        def cost(text: str, codes: set[str] = codes) -> tuple[int, bool, float]:
            code, source = left[text]
            likeness = max((_likeness(words[text], words[other]) for other in chosen), default=0.0)
            return sources[source], code.casefold() in codes, likeness

        best = min((text for text in order if text not in chosen), key=cost)  # the first of equals
        chosen.append(best)
        sources[left[best][1]] += 1
    return tuple((text, left[text][0]) for text in chosen)


def _usable(pair: TrainingPair) -> tuple[str, str, str]:
    code = next((code for code in pair.codes if label_fault(code) is None), "")
    return " ".join(pair.text.split()), code, pair.source


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.casefold()))


def _likeness(a: frozenset[str], b: frozenset[str]) -> float:
    """Jaccard of two sets of words, 0 to 1."""
    return len(a & b) / len(a | b) if a | b else 0.0
