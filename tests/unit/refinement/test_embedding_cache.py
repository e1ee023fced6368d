"""Embeddings that are kept: known at the next start, whatever happened to their files, and to whoever shares them."""

import numpy as np
import pytest

from infra.vectors import embedding_cache
from infra.vectors.embedding_cache import CachedEmbedder, _hash
from models.fakes import HashEmbedder


class Counting(HashEmbedder):
    """Counts what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "asked", [])

    def embed(self, texts):
        self.asked.extend(texts)
        return super().embed(texts)


def test_embeddings_outlive_the_process_and_damage_costs_only_time(tmp_path):
    first = Counting()
    vectors = CachedEmbedder(first, tmp_path).embed(["one", "two", "one"])
    assert first.asked == ["one", "two"]
    assert np.allclose(vectors, HashEmbedder().embed(["one", "two", "one"]))
    second = Counting()
    assert np.allclose(CachedEmbedder(second, tmp_path).embed(["two", "three"]), HashEmbedder().embed(["two", "three"]))
    assert second.asked == ["three"]
    for part in tmp_path.rglob("*.safetensors"):
        part.write_bytes(part.read_bytes()[:-3])
    third = Counting()
    CachedEmbedder(third, tmp_path).embed(["one"])
    assert third.asked == ["one"]


@pytest.mark.parametrize(("of", "name"), [(CachedEmbedder, "_parts"), (embedding_cache, "_read")])
def test_parts_that_another_process_makes_one_of_while_they_are_read_cost_nothing(
    tmp_path, monkeypatch, caplog, of, name
):
    texts = [f"text {n}" for n in range(40)]
    for text in texts:
        CachedEmbedder(HashEmbedder(), tmp_path)._write({_hash(text): HashEmbedder().embed([text])[0]})
    step, meanwhile = getattr(of, name), [CachedEmbedder(HashEmbedder(), tmp_path).load]

    def and_another_process(*given):
        answer = step(*given)
        if meanwhile:
            meanwhile.pop()()
        return answer

    monkeypatch.setattr(of, name, and_another_process)
    inner = Counting()
    assert np.allclose(CachedEmbedder(inner, tmp_path).embed(texts), HashEmbedder().embed(texts))
    assert (inner.asked, caplog.text) == ([], "")


def test_no_texts_have_no_embeddings(tmp_path):
    assert CachedEmbedder(HashEmbedder(), tmp_path).embed([]).shape == (0, 32)
