"""Write polarity_cosines.json: the sentence model's cosine of each pair, so that a test need not load the model.

Run from the repository's root: ``python tests/data/record_polarity_cosines.py``
"""

import json
from pathlib import Path

from models.backends.sentence.embedder import SentenceEmbedder

HERE = Path(__file__).parent


def main() -> None:
    """Embed every label once."""
    embedder = SentenceEmbedder()
    recorded: dict[str, object] = {"model": embedder.version}
    for name in ("polarity", "polarity_unseen"):
        pairs = [json.loads(line) for line in (HERE / f"{name}.jsonl").read_text("utf-8").splitlines()]
        ones, others = (embedder.embed([pair[side] for pair in pairs]) for side in ("a", "b"))
        recorded[name] = [round(float(cosine), 4) for cosine in (ones * others).sum(axis=1)]
    (HERE / "polarity_cosines.json").write_text(json.dumps(recorded) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
