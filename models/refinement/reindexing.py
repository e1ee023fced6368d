"""Make a code index equal to the codebook's history."""

from collections.abc import Iterable, Sequence

from models.codebook.codebook import Codebook, CodeState
from models.ports import CodeIndex, Embedder, IndexedCode
from schemas import CodeEvent

_PUT = 1_000  # codes embedded and stored at a time


def reconcile(
    index: CodeIndex, embedder: Embedder, events: Iterable[CodeEvent], *, remove: bool = True
) -> tuple[int, int]:
    """Make the index equal to the codebook's history.

    Codes are embedded by their labels: the history does not hold the texts that they were created for.

    Args:
        index: In any state.
        embedder: The refiner's.
        events: The whole history, in any order; an event that comes twice counts once.
        remove: Whether to remove what the history does not know; not where another refiner may just be creating it.

    Returns:
        How many codes were added and removed; those that only got a new label or origin are not counted.
    """
    codebook = Codebook(events)
    codes = {code.id: code for code in codebook.values() if code.assignable}
    held = index.origins()
    gone = [code for code in held if code not in codes and (remove or code in codebook)]
    stale = [c for c in codes.values() if c.id not in held or c.relabelled or held[c.id] != c.origin]
    index.remove(gone)
    put_codes(index, embedder, stale)
    return sum(code.id not in held for code in stale), len(gone)


def put_codes(index: CodeIndex, embedder: Embedder, codes: Sequence[CodeState]) -> None:
    """Embed codes by their labels and put them into the index."""
    for start in range(0, len(codes), _PUT):
        batch = codes[start : start + _PUT]
        vectors = embedder.embed([code.label for code in batch])
        index.put([IndexedCode(c.id, c.study, c.label, v, c.origin) for c, v in zip(batch, vectors, strict=True)])
