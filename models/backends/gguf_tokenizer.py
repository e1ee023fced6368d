"""A tokenizer built from the vocabulary inside a GGUF file, for models whose tokenizer is SentencePiece BPE.

Such a file gives each token a score and a type but no merges. SentencePiece joins the neighbours whose union has the
highest score, so the merges are all pairs that make up a token, by the score of that token. What ``transformers``
builds for Gemma is a unigram model, which splits words elsewhere.

Source: Kudo and Richardson, "SentencePiece", EMNLP 2018; llama.cpp, src/llama-vocab.cpp, llm_tokenizer_spm.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import SettingError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_SPACE = "\u2581"


class TokenType(IntEnum):
    """What a token is; the numbers are GGUF's."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True)
class Vocabulary:
    """What a GGUF file says about its tokenizer; a token's id is its place."""

    tokens: Sequence[str]
    scores: Sequence[float]
    types: Sequence[int]
    bos: int
    eos: int
    unknown: int
    padding: int


def read_vocabulary(gguf: Path) -> Vocabulary:
    """Read the vocabulary of a GGUF file.

    Raises:
        SettingError: If it is not SentencePiece BPE without a leading space, the one kind that is built here.
    """
    from gguf import GGUFReader

    fields = GGUFReader(gguf).fields
    kind, leading_space = (_field(fields, name) for name in ("model", "add_space_prefix"))
    if kind != "llama" or leading_space is not False:
        raise SettingError(
            f"{gguf.name} has a tokenizer of kind {kind!r} with add_space_prefix {leading_space}; only 'llama' "
            "with False is read here: take the model in the format of `transformers` and give its folder"
        )
    return Vocabulary(
        tokens=_field(fields, "tokens"),
        scores=_field(fields, "scores"),
        types=_field(fields, "token_type"),
        bos=_field(fields, "bos_token_id"),
        eos=_field(fields, "eos_token_id"),
        unknown=_field(fields, "unknown_token_id"),
        padding=_field(fields, "padding_token_id"),
    )


def build_tokenizer(vocabulary: Vocabulary) -> Any:
    """Build a fast tokenizer of ``transformers`` that puts BOS first.

    With ``split_special_tokens`` a control token in the text is read as plain characters; user-defined tokens, such
    as runs of spaces, are always read as one.
    """
    from transformers import PreTrainedTokenizerFast

    tokens = vocabulary.tokens
    return PreTrainedTokenizerFast(
        tokenizer_object=_backend(vocabulary),
        bos_token=tokens[vocabulary.bos],
        eos_token=tokens[vocabulary.eos],
        unk_token=tokens[vocabulary.unknown],
        pad_token=tokens[vocabulary.padding],
        clean_up_tokenization_spaces=False,
    )


def _backend(vocabulary: Vocabulary) -> "Tokenizer":
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors

    tokens, bos = vocabulary.tokens, vocabulary.tokens[vocabulary.bos]
    bpe = models.BPE(
        {token: n for n, token in enumerate(tokens)},
        list(merges(vocabulary)),
        unk_token=tokens[vocabulary.unknown],
        fuse_unk=True,
        byte_fallback=True,
    )
    backend = Tokenizer(bpe)
    backend.normalizer = normalizers.Replace(" ", _SPACE)
    backend.decoder = decoders.Sequence([decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    backend.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A $B", special_tokens=[(bos, vocabulary.bos)]
    )
    typed = list(zip(tokens, vocabulary.types, strict=True))
    special = (TokenType.CONTROL, TokenType.UNKNOWN)
    backend.add_special_tokens([AddedToken(t, normalized=False, special=True) for t, kind in typed if kind in special])
    own = [AddedToken(t, normalized=False) for t, kind in typed if kind == TokenType.USER_DEFINED]
    backend.add_tokens(own)
    return backend


def merges(vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    """All pairs of tokens that make up a token, in the order in which they are merged.

    Only normal tokens are made by merging: what stands in a text cannot turn into a control token.
    """
    typed = zip(vocabulary.tokens, vocabulary.scores, vocabulary.types, strict=True)
    scores = {token: score for token, score, kind in typed if kind == TokenType.NORMAL}
    for token in sorted(scores, key=lambda token: -scores[token]):
        for cut in range(len(token) - 1, 0, -1):
            left, right = token[:cut], token[cut:]
            if left in scores and right in scores:
                yield left, right


def _field(fields: Mapping[str, Any], name: str) -> Any:
    """A field of the tokenizer, or ``None`` where the file has none."""
    field = fields.get(f"tokenizer.ggml.{name}")
    return None if field is None else field.contents()
