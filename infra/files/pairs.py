"""Training pairs on disk: texts, the codes that fit them, where they come from; and their split by text."""

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.errors import InputError

LICENCES = {
    "opencodes_games_as_art": "MIT",
    "opencodes_pdp_interviews": "BSD-3-Clause",
    "banking77_intents": "CC BY 4.0",
    "kaggle_bhavikjikadara": "MIT",
    "game_review_bombing": "MIT",
    "written_for_qualstream": "MIT",
}
"""Of the sources in ``infra/data/pairs.jsonl``; their credits are in NOTICE."""


class TrainingPair(BaseModel):
    """A line of a pairs file: several codes of one text are several pairs."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    text: str = Field(min_length=1)
    codes: tuple[str, ...] = Field(min_length=1)
    proposals: tuple[str, ...] = ()
    source: str = "unnamed"
    written_by: str = "unknown"


@dataclass(frozen=True)
class Split:
    """Pairs to learn from and pairs of other texts to check with."""

    training: list[TrainingPair]
    validation: list[TrainingPair]


def read_pairs(path: Path) -> list[TrainingPair]:
    """Read a JSONL file of pairs.

    Raises:
        InputError: If the file cannot be read or a line is not a pair; names file and line.
    """
    pairs = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read pairs from {path}: {error}; give a UTF-8 JSONL file") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            pairs.append(TrainingPair.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "line"
            raise InputError(
                f"{path}, line {number}: {where}: {first['msg']}; expected an object with `text` and `codes`, a list"
            ) from error
    if not pairs:
        raise InputError(f"{path} holds no pair; expected one JSON object a line with `text` and `codes`")
    return pairs


def fold_of(text: str, folds: int) -> int:
    """The fold of a text, 0 to ``folds - 1``: equal texts, but for case and blanks, are in the same one."""
    key = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) % folds


def split(pairs: Sequence[TrainingPair], folds: int, fold: int, repeat: Mapping[str, int]) -> Split:
    """Keep one fold of texts for validation; take each source as often as ``repeat`` says (0 leaves it out)."""
    training, validation = [], []
    for pair in pairs:
        times = repeat.get(pair.source, 1)
        if fold_of(pair.text, folds) == fold:
            validation += [pair] * min(times, 1)
        else:
            training += [pair] * times
    return Split(training, validation)


def data_card(path: Path, pairs: Sequence[TrainingPair]) -> dict[str, object]:
    """What a card says of the data: hash, sizes, sources with licence and author."""
    texts = Counter((pair.source, pair.written_by) for pair in pairs)
    codes: Counter[tuple[str, str]] = Counter()
    for pair in pairs:
        codes[pair.source, pair.written_by] += len(pair.codes)
    return {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "texts": len(pairs),
        "pairs": sum(codes.values()),
        "sources": [
            {
                "source": source,
                "licence": LICENCES.get(source, "not stated"),
                "codes_written_by": author,
                "texts": number,
                "pairs": codes[source, author],
            }
            for (source, author), number in sorted(texts.items())
        ],
    }


def data_id(path: Path, folds: int, fold: int, repeat: Mapping[str, int]) -> str:
    """Tells this training data from other: the file's bytes, the split and the mix."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return json.dumps({"pairs": digest, "folds": folds, "fold": fold, "repeat": dict(sorted(repeat.items()))})
