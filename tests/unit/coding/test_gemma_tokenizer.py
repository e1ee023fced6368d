"""Gemma's tokenizer against what llama.cpp makes of 2,700 texts (data/record_gemma_token_ids.py), and small ones."""

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from models.backends.gguf_tokenizer import TokenType, Vocabulary, build_tokenizer, merges, read_vocabulary
from models.backends.lora.prompt_ids import answer_ids, prompt_ids
from models.errors import SettingError

RECORDED = Path(__file__).parents[2] / "data" / "gemma_token_ids.json.gz"
SHIPPED = Path(__file__).parents[3] / "infra" / "data"


@pytest.fixture(scope="module")
def tokenizer(gemma_cache: Path) -> Any:
    from models.backends.weights import load_language_model

    return load_language_model("Gemma-3-270M", cache=gemma_cache)[1]


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    return dict(json.loads(gzip.decompress(RECORDED.read_bytes())))


def plain_ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids)


def shipped_texts() -> dict[str, str]:
    files = [(SHIPPED / f"{name}.jsonl").read_text(encoding="utf-8") for name in ("reviews", "pairs")]
    texts = [json.loads(line)["text"] for file in files for line in file.split("\n") if line]
    return {hashlib.sha256(text.encode()).hexdigest()[:12]: text for text in texts}


@pytest.mark.slow
def test_shipped_texts_have_the_ids_that_llama_cpp_gives_them(tokenizer: Any, recorded: dict[str, Any]) -> None:
    texts = shipped_texts()
    known = {name: ids for name, ids in recorded["shipped"].items() if name in texts}
    assert len(known) >= 940, "infra/data has changed: record the ids again"
    differing = [texts[name] for name, ids in known.items() if plain_ids(tokenizer, texts[name]) != ids]
    assert differing == []


@pytest.mark.slow
def test_nasty_texts_have_the_ids_that_llama_cpp_gives_them(tokenizer: Any, recorded: dict[str, Any]) -> None:
    assert len(recorded["nasty"]) >= 60
    assert [text for text, ids in recorded["nasty"] if plain_ids(tokenizer, text) != ids] == []


@pytest.mark.slow
def test_gemmas_ids_turn_back_into_the_text(tokenizer: Any, recorded: dict[str, Any]) -> None:
    for text, ids in recorded["nasty"]:
        assert tokenizer.decode(ids, skip_special_tokens=True) == text.replace("\u2581", " ")


@pytest.mark.slow
def test_a_gemma_prompt_opens_with_bos_and_its_answer_ends_with_eos(tokenizer: Any) -> None:
    head, tail = prompt_ids(tokenizer, "Code this: ", "<bos>slow<eos>", 100)
    assert (head[0], head.count(2), {1, 2} & set(tail)) == (2, 1, set())
    assert answer_ids(tokenizer, "slow")[-1] == 1
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (2, 1, 0)


@pytest.mark.slow
def test_a_closing_tag_that_the_file_calls_user_defined_is_one_token(tokenizer: Any) -> None:
    """Llama.cpp takes ``</s>`` for an end token in any file and overrides this file's own word for it."""
    assert plain_ids(tokenizer, "<s>a</s>") == [203, 236746, 212]


def vocabulary(**more: TokenType) -> Vocabulary:
    """Scores fall from left to right."""
    types = {"<pad>": 3, "<eos>": 3, "<bos>": 3, "<unk>": 2}
    types |= {f"<0x{n:02X}>": TokenType.BYTE for n in range(256)}
    types |= dict.fromkeys(
        ["bc", "ab", "abc", "\u2581a", "a", "b", "c", "\u2581", "<", ">", "o", "s"], TokenType.NORMAL
    )
    types |= {"  ": TokenType.USER_DEFINED, **more}
    tokens = list(types)
    return Vocabulary(tokens, [-float(n) for n in range(len(tokens))], list(types.values()), 2, 1, 3, 0)


def pieces(text: str) -> list[str]:
    tokenizer = build_tokenizer(vocabulary())
    return list(tokenizer.convert_ids_to_tokens(plain_ids(tokenizer, text)))


def test_neighbours_with_the_best_score_are_merged_first() -> None:
    assert pieces("ab") == ["ab"]
    assert pieces("abc") == ["abc"]  # bc first, then a and bc
    assert pieces("aab c") == ["a", "ab", "\u2581", "c"]
    assert list(merges(vocabulary()))[:4] == [("b", "c"), ("a", "b"), ("ab", "c"), ("a", "bc")]


def test_user_defined_tokens_are_split_off_before_anything_is_merged() -> None:
    assert pieces("b  a") == ["b", "  ", "a"]
    assert pieces(" a") == ["\u2581a"]


def test_a_character_without_a_token_becomes_bytes() -> None:
    assert pieces("aé") == ["a", "<0xC3>", "<0xA9>"]


def test_nothing_in_a_text_becomes_a_control_token() -> None:
    assert pieces("<bos>") == ["<", "b", "o", "s", ">"]


def test_a_file_with_another_kind_of_tokenizer_is_a_setting_error(tmp_path: Path) -> None:
    from gguf import GGUFWriter

    place = tmp_path / "other.gguf"
    writer = GGUFWriter(place, "gemma3")
    writer.add_tokenizer_model("gpt2")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(SettingError, match="kind 'gpt2'"):
        read_vocabulary(place)
