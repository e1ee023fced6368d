"""The real sentence model: unit rows, the same each time, kept where they come back."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from models.backends.sentence.embedder import SentenceEmbedder, load_body
from models.errors import SettingError

pytest.importorskip("sentence_transformers")


@pytest.fixture(scope="module")
def embedder() -> SentenceEmbedder:
    return SentenceEmbedder()


def test_rows_are_unit_directions_that_mean_something(embedder: SentenceEmbedder) -> None:
    vectors = embedder.embed(["slow app", "the app is slow", "great homework help", "slow app"])
    assert vectors.shape == (4, embedder.dim) == (4, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    assert vectors[0] @ vectors[1] > 0.8
    assert vectors[0] @ vectors[2] < 0.5
    assert (vectors[0] == vectors[3]).all()


def test_a_text_that_comes_back_is_not_read_again_while_it_is_kept() -> None:
    small = SentenceEmbedder(kept=1)
    first = small.embed(["slow app"])
    calls: list[int] = []
    small._model.register_forward_pre_hook(lambda module, args: calls.append(1))
    assert (small.embed(["slow app", "slow app"]) == first).all()
    assert calls == []
    assert small.embed(["one", "two", "slow app"]).shape == (3, 384)  # more than are kept, in one call
    small.embed(["one"])
    assert len(calls) == 2


@pytest.mark.parametrize("text", ["", "\x00", "\u202e", "😀", "\ud800", "word " * 20_000])
def test_any_text_has_a_direction(embedder: SentenceEmbedder, text: str) -> None:
    assert np.isfinite(embedder.embed([text])).all()


def test_no_texts_give_no_rows(embedder: SentenceEmbedder) -> None:
    assert embedder.embed([]).shape == (0, 384)


def test_the_version_names_the_model_and_its_weights(embedder: SentenceEmbedder) -> None:
    name, _, digest = embedder.version.partition("@")
    assert name == "all-MiniLM-L6-v2"
    assert len(digest) == 8


def test_a_model_that_is_not_to_be_had_is_a_setting_error(tmp_path: object) -> None:
    with pytest.raises(SettingError, match="no sentence model"):
        SentenceEmbedder(f"{tmp_path}/none").load()


def test_a_body_on_the_disk_never_asks_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local: list[bool] = []

    def loaded(source: str, *, device: str, local_files_only: bool, model_kwargs: object) -> SimpleNamespace:
        local.append(local_files_only)
        return SimpleNamespace(model_card_data=SimpleNamespace(model=source))

    monkeypatch.setattr("sentence_transformers.SentenceTransformer", loaded)
    for name in (str(tmp_path), "all-MiniLM-L6-v2", "somebody/a-model"):
        load_body(name)
    assert local == [True, True, False]
