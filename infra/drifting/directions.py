"""The directions of texts, for what the drift monitor looks at."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from models.drift.observed import Observed
from models.ports import Embedder
from models.trust import drawn

_BATCH = 256
_LONGEST = 2_000  # characters: no sentence model reads more


def with_vectors(rows: Iterable[tuple[Observed, str]], embedder: Embedder, share: float = 1.0) -> Iterator[Observed]:
    """Give a share of the segments, drawn by their ids, the direction of their text."""
    source = iter(rows)
    while batch := list(islice(source, _BATCH)):
        chosen = [n for n, (one, _) in enumerate(batch) if drawn(one.segment, "embedded") < share]
        vectors = embedder.embed([batch[n][1][:_LONGEST] for n in chosen]) if chosen else ()
        found = dict(zip(chosen, vectors, strict=True))
        for n, (one, _) in enumerate(batch):
            yield replace(one, vector=found[n]) if n in found else one


def named_models(models: Any) -> str:
    """Every model that had a say, in one line that is the same whatever their order."""
    if isinstance(models, dict):
        return ", ".join(f"{role} {models[role]}" for role in sorted(models))
    return models if isinstance(models, str) else ""
