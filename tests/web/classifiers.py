"""Classifiers for tests: releases that name nothing on disk, and a whole one with a body of a few kilobytes."""

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import numpy as np

from infra.training.checkpoints import Checkpoints, Manifest, TaughtCode
from infra.training.releases import classifier_of
from models.backends.sentence.classifier import TextClassifier
from models.backends.sentence.contrastive import TunedBody
from models.backends.sentence.heads import LogisticHead
from schemas import ModelRelease
from schemas.ids import code_id
from tests.web.site import STUDY

START = datetime(2026, 11, 20, 9, tzinfo=UTC)


def release(n: int, study: str = STUDY, **values) -> ModelRelease:
    """The n-th training's: better with each, and each replaces the one before."""
    version = f"2026112{n % 10}T090000Z-0000000{n % 10}"
    told = {
        "model": classifier_of(study),
        "version": version,
        "study": study,
        "uri": f"data:classifiers/elsewhere/{version}",
        "sha256": f"{n:064x}",
        "metrics": {"macro_f1": 0.4 + n / 20, "held_out": 12.0 + n, "macro_f1_low": 0.3, "macro_f1_high": 0.8},
        "per_code": {"slow checkout": 0.5 + n / 20, "app crashes": 0.3 + n / 20},
        "labels": 30 + 10 * n,
        "replaces": f"2026112{n - 1}T090000Z-0000000{n - 1}" if n else None,
        "why": f"better: training {n}",
        "released_at": START + timedelta(hours=n),
    }
    return ModelRelease(**{**told, **values})


def refused(n: int, study: str = STUDY, **values) -> ModelRelease:
    """A training that came to nothing."""
    return release(n, study, **{"outcome": "refused", "uri": "", "why": f"not better: training {n}", **values})


@cache
def tiny_body():
    """A sentence model that reads English words it was not taught; a few kilobytes, and the same each time."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules
    from transformers import BertConfig, BertModel, BertTokenizerFast

    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["slow", "checkout", "app", "crash", "##es", "kind", "support", "since", "the", "update", ",", ".", "!"]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *letters, *(f"##{one}" for one in letters)]
    with TemporaryDirectory() as folder, torch.random.fork_rng():
        torch.manual_seed(5)
        shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
        config = BertConfig(vocab_size=len(vocabulary), max_position_embeddings=64, initializer_range=0.5, **shape)
        BertModel(config).save_pretrained(folder)
        (Path(folder) / "vocab.txt").write_text("\n".join(vocabulary))
        BertTokenizerFast(vocab_file=str(Path(folder) / "vocab.txt")).save_pretrained(folder)
        reader = modules.Transformer(folder, max_seq_length=48)
        return SentenceTransformer(modules=[reader, modules.Pooling(32), modules.Normalize()], device="cpu")


def teach(data_dir: Path, texts: dict[str, str], study: str = STUDY, body=None, **values) -> ModelRelease:
    """Write a classifier that knows these texts' codes, as the trainer would, and say that it is released.

    Args:
        data_dir: The data folder.
        texts: Text to the code's label.
        study: Whose.
        body: Embeds texts; default: a tiny one that is saved with the head.
        values: Other fields of the release.
    """
    body = body or TunedBody(tiny_body(), "tiny")
    labels = list(dict.fromkeys(texts.values()))
    targets = np.array([[given == label for label in labels] for given in texts.values()])
    codes: list[UUID] = [code_id(study, label) for label in labels]
    made = TextClassifier(body, LogisticHead.fit(body.embed(list(texts)), targets), codes, labels)
    at = values.get("released_at", START)
    manifest = Manifest(
        study=study,
        made_at=at,
        tier="tuned" if isinstance(body, TunedBody) else "head",
        body=body.version,
        codes=tuple(TaughtCode(id=code, label=label, threshold=0.5) for code, label in zip(codes, labels, strict=True)),
        labels=len(texts),
        data="0" * 64,
    )
    checkpoints = Checkpoints(data_dir)
    kept = checkpoints.keep(checkpoints.stage(manifest, made.save, {}))
    told = {"version": kept.version, "uri": checkpoints.uri(kept), "sha256": kept.sha256, "replaces": None}
    return release(0, study, **{**told, **values})
