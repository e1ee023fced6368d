"""The fine-tuning job, on a model of two layers with random weights."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from infra.cli.finetune import finetune
from infra.files.pairs import TrainingPair, fold_of, read_pairs, split
from infra.finetuning.adapter_card import code_metrics
from infra.finetuning.cross_fitting import candidates, cross_fit, target
from infra.finetuning.lora import ADAPTER_FILE, Job, run
from models.errors import InputError, SettingError
from models.fakes import HashEmbedder

SHIPPED = Path(__file__).parents[3] / "infra" / "data"
CODES = {"slow": "slow app", "free": "free to use", "crash": "app crashes", "love": "love the app"}


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    from transformers import LlamaConfig, LlamaForCausalLM

    return save_model(tmp_path_factory.mktemp("tiny"), LlamaConfig, LlamaForCausalLM)


@pytest.fixture(scope="module")
def tiny_windowed_model(tmp_path_factory):
    """Its first layer sees 16 tokens, far less than a prompt."""
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    layers = ["sliding_attention", "full_attention"]
    folder = tmp_path_factory.mktemp("windowed")
    return save_model(folder, Gemma3TextConfig, Gemma3ForCausalLM, sliding_window=16, layer_types=layers, head_dim=16)


def save_model(folder, config_class, model_class, **own):
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"<pad>": 0, "<end>": 1}
    for char in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocabulary[char] = len(vocabulary)
    inner = Tokenizer(models.BPE(vocabulary, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>", pad_token="<pad>").save_pretrained(folder)
    torch.manual_seed(0)
    config = config_class(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
        **own,
    )
    model_class(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def pairs_file(tmp_path):
    lines = [
        {"text": f"{word} number {n}", "codes": [code], "source": "mine", "written_by": "people"}
        for n in range(6)
        for word, code in CODES.items()
    ]
    lines[0]["codes"] = ["slow app", "bad app"]
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    return path


def recipe(base, **changes):
    from models.backends.lora.packing import Recipe

    return Recipe(**{"base": base, "epochs": 2, "batch": 4, "learning_rate": 5e-3, "seed": 1, **changes})


def quiet():
    return Console(quiet=True)


@pytest.mark.parametrize("kind", ["tiny_model", "tiny_windowed_model"])
def test_packing_gives_the_loss_that_separate_rows_give(kind, request, tmp_path):
    import torch

    from models.backends.lora.finetuning import attach_new_adapter
    from models.backends.lora.packing import Encoded, TuningExample, encode, summed_loss
    from models.backends.weights import load_language_model

    place = request.getfixturevalue(kind)
    wanted = recipe(place)
    base, tokenizer = load_language_model(place, cache=tmp_path)
    model = attach_new_adapter(base, wanted).eval()
    examples = [TuningExample("slow today", ("slow", "bad app")), TuningExample("a free one, and good", ("free",))]
    head, encoded = encode(tokenizer, wanted, examples)
    looked_at = []
    base.get_output_embeddings().register_forward_pre_hook(lambda _, inputs: looked_at.append(len(inputs[0])))
    with torch.no_grad():
        packed, tokens = summed_loss(model, head, encoded, "cpu")
        alone = 0.0
        for item in encoded:
            for answer in item.answers:
                alone += summed_loss(model, head, [Encoded(item.suffix, (answer,))], "cpu")[0].item()
        ids = torch.tensor([head + encoded[1].suffix + encoded[1].answers[0]])
        plain = base(input_ids=ids).logits[0, -len(encoded[1].answers[0]) - 1 : -1]
        by_hand = torch.nn.functional.cross_entropy(plain, ids[0, -len(encoded[1].answers[0]) :], reduction="sum")
        last = summed_loss(model, head, encoded[1:], "cpu")[0]
    assert packed.item() == pytest.approx(alone, rel=1e-4)
    assert last.item() == pytest.approx(by_hand.item(), rel=1e-4)
    assert tokens == looked_at[0] == sum(len(answer) for item in encoded for answer in item.answers)


def test_a_job_writes_a_small_adapter_that_serving_reads_and_a_card_without_paths(tiny_model, pairs_file, tmp_path):
    from safetensors import safe_open

    from models.backends.lora.sampling_run import write_labels

    out = tmp_path / "adapter"
    card = run(Job(pairs_file, recipe(tiny_model), out, folds=4), tmp_path, quiet())
    with safe_open(out / ADAPTER_FILE, framework="pt") as file:
        assert {str(file.get_tensor(name).dtype) for name in file.keys()} == {"torch.bfloat16"}  # noqa: SIM118
    curve = card["training"]["curve"]
    assert curve[-1]["validation"] < curve[0]["validation"]
    assert card["data"]["sources"][0]["codes_written_by"] == "people"
    assert not list(out.glob(".unfinished"))
    assert json.loads((out / "card.json").read_text()) == json.loads(json.dumps(card))
    assert len(write_labels(recipe(tiny_model), {"a": out}, [("slow again", ())], cache=tmp_path)["a"]) == 1


def test_a_killed_run_goes_on_to_the_same_weights(tiny_model, pairs_file, tmp_path, monkeypatch):
    from models.backends.lora import finetuning
    from models.backends.lora.packing import TuningExample

    run(Job(pairs_file, recipe(tiny_model), tmp_path / "whole", folds=4), tmp_path, quiet())
    monkeypatch.setattr(finetuning, "_SAVE_EVERY_S", 0.0)
    killed = tmp_path / "killed"
    pairs = read_pairs(pairs_file)
    halves = split(pairs, 4, 0, {})
    examples = [[TuningExample(p.text, p.codes) for p in half] for half in (halves.training, halves.validation)]

    def kill(progress, _batches):
        if progress.updates == 5:
            raise KeyboardInterrupt

    from infra.files.pairs import data_id

    with pytest.raises(KeyboardInterrupt):
        finetuning.tune(
            recipe(tiny_model), *examples, killed / ".unfinished", cache=tmp_path,
            data_id=data_id(pairs_file, 4, 0, {}), report=kill,
        )  # fmt: skip
    run(Job(pairs_file, recipe(tiny_model), killed, folds=4), tmp_path, quiet())
    assert (killed / ADAPTER_FILE).read_bytes() == (tmp_path / "whole" / ADAPTER_FILE).read_bytes()


def test_an_unfinished_run_is_not_resumed_with_other_settings(tiny_model, pairs_file, tmp_path):
    from models.backends.lora.finetuning import tune
    from models.backends.lora.packing import TuningExample

    examples = [TuningExample("slow", ("slow app",))]
    tune(recipe(tiny_model), examples, examples, tmp_path / "out", cache=tmp_path)
    with pytest.raises(SettingError, match="other settings or data"):
        tune(recipe(tiny_model, seed=2), examples, examples, tmp_path / "out", cache=tmp_path)


def test_tuning_stops_when_the_validation_loss_no_longer_falls_and_keeps_the_best_epoch(tiny_model, tmp_path):
    from models.backends.lora.finetuning import tune
    from models.backends.lora.packing import TuningExample

    training = [TuningExample(f"text {n}", ("aaaa",)) for n in range(8)]
    checks = [TuningExample("text 9", ("zzzz",))]
    wanted = recipe(tiny_model, epochs=30, patience=1)
    progress = tune(wanted, training, checks, tmp_path / "out", cache=tmp_path).progress
    losses = [epoch["validation"] for epoch in progress.curve]
    assert len(losses) < 30
    assert progress.best_epoch == losses.index(min(losses)) + 1 == len(losses) - 2
    assert progress.curve[-1]["training"] < progress.curve[progress.best_epoch - 1]["training"]


def test_a_card_says_what_the_base_weighs_who_wrote_the_data_and_how_near_people_the_codes_are(
    tiny_model, pairs_file, tmp_path
):
    import hashlib

    from models.backends.sentence.bertscore import TokenStates

    job = Job(pairs_file, recipe(tiny_model, epochs=1), tmp_path / "a", folds=4, licences={"mine": "CC BY 4.0"})
    card = run(job, tmp_path, quiet(), TokenStates())
    weights = (Path(tiny_model) / "model.safetensors").read_bytes()
    assert card["base"]["sha256"] == hashlib.sha256(weights).hexdigest()
    assert card["data"]["sources"][0]["licence"] == "CC BY 4.0"
    assert {"validation_loss", "rouge_1", "rouge_2", "rouge_l", "bertscore_f1", "bertscore_f1_std"} <= set(
        card["metrics"]
    )
    assert "BERTScore by all-MiniLM-L6-v2@" in (tmp_path / "a" / "README.md").read_text()


def test_a_card_lists_only_the_sources_that_were_used(tiny_model, pairs_file, tmp_path):
    other = json.dumps({"text": "left out", "codes": ["a"], "source": "other"})
    pairs_file.write_text(f"{pairs_file.read_text()}{other}\n")
    job = Job(pairs_file, recipe(tiny_model, epochs=1), tmp_path / "a", folds=4, repeat={"other": 0})
    card = run(job, tmp_path, quiet())
    assert [source["source"] for source in card["data"]["sources"]] == ["mine"]


def test_each_measure_takes_the_code_of_the_text_that_it_matches_best():
    found = code_metrics(["slow app", "free stuff"], [("crash", "slow app"), ("free to use", "free")])
    assert found["rouge_1"] == round((1 + 2 / 3) / 2, 4)
    assert (found["rouge_2"], found["mean_words"], found["unusable"]) == (0.5, 2.0, 0)
    assert "bertscore_f1" not in found


@pytest.mark.parametrize("said", ["mine", "mine=", "=MIT"])
def test_a_licence_without_its_source_is_refused(said):
    ran = CliRunner().invoke(finetune, ["--licence", said])
    assert "is not SOURCE=LICENCE" in ran.output


def test_the_command_trains_and_prints_one_json_line(tiny_model, pairs_file, tmp_path):
    out = tmp_path / "out"
    options = ["--pairs", pairs_file, "--base", tiny_model, "--out", out, "--epochs", 1, "--prompt", 4, "--folds", 4]
    result = CliRunner().invoke(finetune, [str(o) for o in options], env={"QUALSTREAM_DATA_DIR": str(tmp_path)})
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["validation_loss"] > 0
    assert json.loads((out / "card.json").read_text())["recipe"]["prompt"] == 4


def test_a_moderator_learns_from_proposals_for_texts_that_the_member_was_not_trained_on(
    tiny_model, pairs_file, tmp_path
):
    taught = recipe(tiny_model, epochs=25, learning_rate=2e-2, patience=25)
    run(Job(pairs_file, taught, tmp_path / "a", folds=2, fold=1), tmp_path, quiet())
    out = tmp_path / "proposals.jsonl"
    written = cross_fit(pairs_file, [tmp_path / "a"], 2, out, cache=tmp_path, embedder=HashEmbedder())
    pairs = read_pairs(out)
    assert written == len(pairs) > 0
    assert {fold_of(pair.text, 2) for pair in pairs} == {1}
    assert all(len(pair.codes) == 1 and pair.proposals for pair in pairs)
    judge = recipe(tiny_model, role="moderator", epochs=1)
    assert run(Job(out, judge, tmp_path / "m", folds=3), tmp_path, quiet())["recipe"]["role"] == "moderator"


def test_proposals_are_refused_for_other_pairs_than_the_member_had(tiny_model, pairs_file, tmp_path):
    run(Job(pairs_file, recipe(tiny_model, epochs=1), tmp_path / "a", folds=4), tmp_path, quiet())
    pairs_file.write_text(pairs_file.read_text() + pairs_file.read_text())
    with pytest.raises(SettingError, match="trained on other pairs"):
        cross_fit(pairs_file, [tmp_path / "a"], 0, tmp_path / "o", cache=tmp_path, embedder=HashEmbedder())


def test_a_moderator_needs_proposals(tiny_model, pairs_file, tmp_path):
    with pytest.raises(SettingError, match="without `proposals`"):
        run(Job(pairs_file, recipe(tiny_model, role="moderator"), tmp_path / "m"), tmp_path, quiet())


def test_an_adapter_is_never_overwritten(tiny_model, pairs_file, tmp_path):
    (tmp_path / ADAPTER_FILE).touch()
    with pytest.raises(SettingError, match="already holds an adapter"):
        run(Job(pairs_file, recipe(tiny_model), tmp_path), tmp_path, quiet())


def test_equal_texts_are_on_the_same_side_and_repeats_only_train():
    pairs = [TrainingPair(text=f"text {n}", codes=("a",), source="s") for n in range(40)]
    halves = split(pairs, 5, 0, {"s": 3})
    assert fold_of("Text  1", 5) == fold_of("text 1", 5)
    assert len(halves.training) == 3 * (40 - len(halves.validation))
    assert not {p.text for p in halves.training} & {p.text for p in halves.validation}
    assert split(pairs, 5, 0, {"s": 0}).training == []


def test_a_broken_line_is_named(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"text": "a", "codes": ["b"]}\n{"text": "a"}\n')
    with pytest.raises(InputError, match="line 2: codes: Field required"):
        read_pairs(path)


def test_the_target_is_a_proposal_that_is_a_code_else_the_code_nearest_to_one():
    embedder = HashEmbedder()
    assert target(("slow app", "free to use"), ["Free to use", "cheap"], embedder) == "Free to use"
    assert target(("slow app", "free to use"), ["free"], embedder) == "free to use"


def test_candidates_come_without_doubles_and_faults_in_one_order():
    assert candidates(["slow", "Slow", "", "bad app"]) == candidates(["bad app", "", "Slow", "slow"])
    assert [label.casefold() for label in candidates(["slow", "Slow", "", "bad app"])] == ["bad app", "slow"]


def test_no_demo_review_is_among_the_pairs_and_codes_are_short():
    demo = {fold_key(json.loads(line)["text"]) for line in (SHIPPED / "reviews.jsonl").read_text().splitlines()}
    pairs = read_pairs(SHIPPED / "pairs.jsonl")
    assert not demo & {fold_key(pair.text) for pair in pairs}
    assert all(1 <= len(code.split()) <= 5 for pair in pairs for code in pair.codes)
    written = {pair.written_by for pair in pairs if pair.source in {"kaggle_bhavikjikadara", "game_review_bombing"}}
    assert written == {"language model"}


def fold_key(text):
    return " ".join(text.casefold().split())
