"""The verifier and the writer on a tiny model with a chat template."""

from pathlib import Path
from typing import Any

import pytest

from models.backends.lora.adapters import AdapterRows
from models.backends.lora.generation import Generator, Sampling
from models.backends.lora.pool import GeneratorPool
from models.backends.lora.prompt_ids import chat_ids, plain_ids
from models.backends.lora.prompt_rows import BranchedRow, PromptRow
from models.backends.lora.verifier import ChatVerifier
from models.backends.lora.writer import ChatWriter
from models.coding.chat import excerpt, judged_code, verifier_chat
from models.fakes import HashEmbedder
from models.moderation.memory import StudyMemory
from models.moderation.verified import Question
from tests.unit.builders import proposals
from tests.unit.coding.test_architectures import load, save_base

torch = pytest.importorskip("torch")

QUESTIONS = [
    Question("so slow", ("slow app", "ads")),
    Question("it crashes when I open the camera and then it is gone", ("crash",)),
    Question("?", ("nothing said", "praise", "a", "slow app")),
]


@pytest.fixture(scope="module", params=["Qwen2", "Falcon"])
def base(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    return save_base(tmp_path_factory.mktemp("base"), request.param)


def share_alone(base: Path, text: str, label: str) -> float:
    """The same question in one piece, without a cache."""
    model, tokenizer = load(base)
    chat = verifier_chat()
    head, after = chat_ids(tokenizer, chat.before, chat.opening)
    ids = [*head, *plain_ids(tokenizer, excerpt(text)), *plain_ids(tokenizer, judged_code(label)), *after]
    with torch.inference_mode():
        logits = model(torch.tensor([ids])).logits[0, -1].float()
    masses = [
        torch.stack([logits[plain_ids(tokenizer, word)[0]] for word in words]).logsumexp(0)
        for words in (("yes", "Yes"), ("no", "No"))
    ]
    return float(torch.stack(masses).softmax(0)[0])


def test_a_batch_is_judged_as_each_code_alone(base, tmp_path):
    verifier = ChatVerifier(str(base), GeneratorPool(tmp_path), dtype="float32")
    judged = verifier.judge(QUESTIONS)
    assert [len(shares) for shares in judged] == [2, 1, 4]
    for question, shares in zip(QUESTIONS, judged, strict=True):
        for label, share in zip(question.labels, shares, strict=True):
            assert share == pytest.approx(share_alone(base, question.text, label), abs=1e-4)


def test_small_batches_judge_as_large_ones_do(base, tmp_path):
    model, tokenizer = load(base)
    chat = verifier_chat()
    rows = [
        BranchedRow(PromptRow(None, chat.opening, excerpt(q.text), 0, chat.before), tuple(map(judged_code, q.labels)))
        for q in QUESTIONS
    ]
    answers = (("yes",), ("no",))
    large, small = (
        Generator(model, tokenizer, AdapterRows(()), batch_tokens=room, max_tokens=4096) for room in (100_000, 10)
    )
    for together, apart in zip(large.compare(rows, answers), small.compare(rows, answers), strict=True):
        assert together == pytest.approx(apart, abs=1e-4)


def test_nothing_is_judged_of_nothing(base, tmp_path):
    assert ChatVerifier(str(base), GeneratorPool(tmp_path)).judge([]) == []


def writer(base: Path, pool: GeneratorPool, memory: StudyMemory, **how: Any) -> ChatWriter:
    return ChatWriter(str(base), pool, memory, sampling=Sampling(max_new_tokens=4, **how), dtype="float32")


def test_the_writer_draws_by_the_profiles_temperature_and_reads_what_is_remembered(base, tmp_path):
    pool, memory = GeneratorPool(tmp_path), StudyMemory(HashEmbedder())
    case = [proposals("slow app", text="so slow")]
    greedy = writer(base, pool, memory, temperature=0.0)
    assert greedy.write(case) == greedy.write(case)
    drawn = {writer(base, pool, memory, temperature=1.5, top_p=1.0).write(case)[0].text}
    assert drawn != {greedy.write(case)[0].text}


def test_one_base_is_loaded_once_for_all_that_ask_without_adapters(base, tmp_path):
    pool = GeneratorPool(tmp_path)
    assert pool.generator(str(base), "float32", {}) is pool.generator(str(base), "float32", {}, chat=True)
