"""The grid: which cells it has, that it goes on after a kill, whom it picks, and that its profile codes."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from infra.cli.finetune import finetune
from infra.factory.models import Models
from infra.files.few_shot import choose_examples, read_examples
from infra.files.pairs import TrainingPair
from infra.finetuning.grid import Grid, command, run_grid
from infra.finetuning.grid_table import Cell, Result, choose, profile_text, ranked, table
from infra.finetuning.lora import ADAPTER_FILE, Job
from infra.profiles.loading import check_files, load_profile
from infra.settings import load_settings
from models.errors import SettingError
from models.fakes import HashEmbedder
from tests.unit.builders import segment
from tests.unit.coding.test_finetuning import save_model

CODES = {"slow": "slow app", "free": "free to use", "crash": "app crashes", "love": "love the app"}


class WordStates:
    """Directions of whole words, for BERTScore without a model; raises once when told to."""

    version = "words"

    def __init__(self, kill_at=None):
        self.calls, self.kill_at, self.embedder = 0, kill_at, HashEmbedder()

    def embed_tokens(self, texts):
        self.calls += 1
        if self.calls == self.kill_at:
            raise KeyboardInterrupt
        words = [text.casefold().split() or [" "] for text in texts]
        return [(self.embedder.embed(each), np.ones(len(each))) for each in words]


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    from transformers import LlamaConfig, LlamaForCausalLM

    return save_model(tmp_path_factory.mktemp("tiny"), LlamaConfig, LlamaForCausalLM)


@pytest.fixture
def grid(tiny_model, tmp_path):
    lines = [
        {"text": f"to me this {word} thing is number {n}", "codes": [code], "source": f"s{n % 2}"}
        for n in range(6)
        for word, code in CODES.items()
    ]
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Grid(
        pairs=pairs,
        out=tmp_path / "grid",
        bases=[tiny_model],
        prompts=[1, 4],
        endings=["dot"],
        training={"epochs": 1, "batch": 4, "learning_rate": 5e-3, "seed": 1},
        mix={"folds": 3},
    )


def make(grid, tmp_path, tokens=None):
    return run_grid(grid, tmp_path / "weights", Console(quiet=True), tokens or WordStates())


def result(prompt, f1, rouge, *, base="b", ending="dot", shots=None):
    numbers = {
        "rouge_1": rouge,
        "rouge_2": 0.0,
        "rouge_l": rouge,
        "mean_words": 2.0,
        "unusable": 4,
        "bertscore_model": "words",
    }
    numbers |= dict.fromkeys(["bertscore_p", "bertscore_r", "bertscore_f1"], f1)
    numbers |= dict.fromkeys(["bertscore_p_std", "bertscore_r_std", "bertscore_f1_std"], 0.05)
    split = {"validation_texts": 9, "validation_fold": 0, "folds": 5}
    cell = Cell(base, prompt, ending, shots, f"{base}-p{prompt}-{ending}-{shots}")
    return Result(cell, {"metrics": numbers, "split": split, "data": {"file": "pairs.jsonl"}})


def test_a_prompt_that_ends_with_a_question_mark_has_one_ending_as_in_the_papers_table(grid):
    whole = replace(grid, prompts=range(1, 7), endings=["dot", "newline"], shots=[0, 3, 3])
    tuned = [(cell.prompt, cell.ending) for cell in whole.cells if cell.shots is None]
    assert len(tuned) == len(set(tuned)) == 9
    assert len(whole.cells) == len({cell.name for cell in whole.cells}) == 27


def test_a_grid_makes_a_folder_a_cell_a_table_and_a_profile_whose_members_code(grid, tmp_path):
    page = make(replace(grid, shots=[0, 2], top=2), tmp_path)
    assert page == (grid.out / "grid.md").read_text()
    assert page.startswith("6 of 6 cells")
    assert page.count("| tuned |") == page.count("| zero-shot |") == page.count("| few-shot (2) |") == 2
    found = json.loads((grid.out / "grid.json").read_text())
    assert len(found["rows"]) == 6
    assert found["rows"][0]["name"] == found["members"][0]
    folders = [path for path in grid.out.iterdir() if path.is_dir()]
    assert len(folders) == 6
    assert all((folder / "card.json").exists() for folder in folders)
    profile = load_profile(grid.out / "profile.toml")
    check_files(profile)
    assert [member.name for member in profile.members] == found["members"]
    assert {member.prompt for member in profile.members} == {1, 4}
    coder = Models(profile, load_settings(data_dir=tmp_path)).build_members()
    assert [said.member for said in coder.propose([segment("this is a slow thing")])[0]] == found["members"]


def test_a_killed_grid_goes_on_with_what_is_missing_and_a_whole_one_does_nothing(grid, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        make(grid, tmp_path, WordStates(kill_at=2))
    assert (grid.out / "grid.md").read_text().startswith("1 of 2 cells")
    first = next(folder for folder in grid.out.iterdir() if (folder / "card.json").exists())
    before = (first / "card.json").stat().st_mtime_ns
    tokens = WordStates()
    assert make(grid, tmp_path, tokens).startswith("2 of 2 cells")
    assert tokens.calls == 1
    assert (first / "card.json").stat().st_mtime_ns == before
    assert not list(grid.out.glob("*/.unfinished"))
    make(grid, tmp_path, tokens)
    assert tokens.calls == 1


def test_cells_made_with_other_options_or_data_are_refused_and_kept(grid, tmp_path):
    few = replace(grid, prompts=[1], limit=20)
    make(few, tmp_path)
    card = next(grid.out.glob("*/card.json")).read_text()
    with pytest.raises(SettingError, match="made with epochs 1, but this run says 2"):
        make(replace(few, training={**grid.training, "epochs": 2}), tmp_path)
    with pytest.raises(SettingError, match="made with folds 3, but this run says 4"):
        make(replace(few, mix={"folds": 4}), tmp_path)
    with pytest.raises(SettingError, match="another --pairs or --limit"):
        make(replace(few, limit=19), tmp_path)
    with pytest.raises(SettingError, match="made with data"):
        make(replace(few, limit=None), tmp_path)
    assert next(grid.out.glob("*/card.json")).read_text() == card
    assert json.loads(card)["data"]["texts"] == 20


def test_more_members_than_can_differ_are_refused_before_anything_is_tuned(grid, tmp_path):
    with pytest.raises(SettingError, match="--top 3 members must differ in base or prompt"):
        make(replace(grid, shots=[0], top=3), tmp_path)
    assert not grid.out.exists()


def test_rank_is_by_bertscore_f1_then_rouge_1_and_members_differ_in_base_or_prompt():
    results = [
        result(1, 0.7, 0.2),
        result(1, 0.8, 0.1, ending="newline"),
        result(2, 0.7, 0.3),
        result(1, 0.6, 0.9, base="c"),
        result(2, 0.5, 0.9, shots=3),
    ]
    assert [results.index(each) for each in ranked(results)] == [1, 2, 0, 3, 4]
    assert [results.index(each) for each in choose(results, 3)] == [1, 2, 3]
    assert len(choose(results, 9)) == 3


def test_the_table_has_the_papers_columns_and_a_block_a_prompt():
    results = [result(1, 0.7, 0.2), result(3, 0.8, 0.1, ending="newline"), result(6, 0.6, 0.1, shots=5)]
    page = table(results, 4, choose(results, 1))
    assert "3 of 4 cells" in page
    assert "| BERTScore P | BERTScore R | BERTScore F1 | ROUGE-1 | ROUGE-2 | ROUGE-L |" in page
    assert "*1: Summarize the main idea of a sentence.*" in page
    assert r"in thematic coding\n*" in page
    assert "| b | tuned | 0.700 ± 0.050 | 0.700 ± 0.050 | 0.700 ± 0.050 | 0.200 | 0.000 | 0.200 | 2.0 | 4 | 2 |" in page
    assert page.count("**1**") == 1
    assert len({line.count("|") for line in page.splitlines() if line.startswith("|")}) == 1


def test_a_profile_names_adapters_examples_and_folders_of_bases(tmp_path):
    (tmp_path / 'a "base"').mkdir()
    chosen = [
        result(1, 0.7, 0.2, base=str(tmp_path / 'a "base"')),
        result(2, 0.6, 0.1, shots=4),
        result(3, 0.5, 0, shots=0),
    ]
    chosen = [Result(replace(each.cell, name=f"m{n}"), each.card) for n, each in enumerate(chosen)]
    path = tmp_path / "profile.toml"
    path.write_text(profile_text(chosen, 9, 7))
    tuned, few, zero = load_profile(path).members
    assert (tuned.base, tuned.adapter, tuned.examples) == (str(tmp_path / 'a "base"'), tmp_path / "m0", None)
    assert (few.adapter, few.examples, few.examples_file) == (None, 4, tmp_path / "m1" / "examples.jsonl")
    assert (zero.adapter, zero.examples) == (None, None)


def test_the_command_of_a_cells_own_process_says_what_its_job_says(tmp_path):
    from models.backends.lora.packing import Recipe

    recipe = Recipe("-b", 3, "newline", epochs=4, batch=2, learning_rate=1e-4, seed=9)
    mix = {"folds": 7, "fold": 2, "repeat": {"s": 0}, "licences": {"s": "CC BY 4.0"}, "device": "cpu"}
    job = Job(tmp_path / "p", recipe, tmp_path / "o", **mix)
    said = finetune.make_context("finetune", command(job)[4:]).params
    assert Job(
        said["pairs"],
        Recipe(
            said["base"], said["prompt"], said["ending"], said["role"], said["epochs"], said["batch"], said["lr"],
            said["seed"],
        ),
        said["out"],
        **{key: said[key] for key in mix},
    ) == job  # fmt: skip


def test_the_command_prints_the_table(grid, tmp_path):
    options = ["--pairs", grid.pairs, "--bases", grid.bases[0], "--prompts", 2, "--endings", "newline", "--few-shot", 1]
    options += ["--epochs", 1, "--limit", 20, "--folds", 3, "--out", tmp_path / "out", "--top", 1, "--device", "cpu"]
    environment = {"QUALSTREAM_DATA_DIR": str(tmp_path)}
    ran = CliRunner().invoke(finetune, ["grid", *map(str, options)], env=environment)
    assert ran.exit_code == 0, ran.output
    assert ran.stdout.startswith("2 of 2 cells")
    assert "all-MiniLM-L6-v2" in ran.stdout
    assert (tmp_path / "out" / "profile.toml").exists()
    assert len(list((tmp_path / "out").glob(f"*/{ADAPTER_FILE}"))) == 1


def pairs_of(number, **other):
    return [
        TrainingPair(text=f"the thing numbered {n} was really quite different", codes=(f"code {n}",), **other)
        for n in range(number)
    ]


def test_examples_are_the_same_whatever_the_order_and_chosen_again_from_themselves(tmp_path):
    pairs = [*pairs_of(20, source="a"), *pairs_of(40, source="b")[20:]]
    chosen = choose_examples(pairs, 5)
    assert choose_examples(pairs[::-1], 5) == chosen
    kept = [pair for pair in pairs if pair.text in dict(chosen)]
    assert choose_examples(kept, 5) == chosen
    assert len({pair.source for pair in kept}) == 2


def test_examples_are_short_have_usable_codes_and_share_few_words():
    pairs = [
        TrainingPair(text="too short", codes=("a",)),
        TrainingPair(text="long " * 60, codes=("b",)),
        TrainingPair(
            text="this one has a code that is far too long", codes=("one two three four five six", "fine code")
        ),
        TrainingPair(text="payment failed when buying premium account", codes=("payment failed",)),
        TrainingPair(text="payment failed when buying premium version", codes=("payment fails",)),
        TrainingPair(text="answers arrive quickly and sound friendly", codes=("quick answers",)),
    ]
    chosen = choose_examples(pairs, 3)
    assert ("this one has a code that is far too long", "fine code") in chosen
    assert sum("payment" in text for text, _ in chosen) == 1
    assert len(choose_examples(pairs, 5)) == 5


def test_too_few_texts_for_the_examples_are_told_with_the_file(tmp_path):
    path = tmp_path / "few.jsonl"
    path.write_text("".join(pair.model_dump_json() + "\n" for pair in pairs_of(2)))
    with pytest.raises(SettingError, match=r"few\.jsonl: 2 texts with a usable code, but 3 examples are asked for"):
        read_examples(path, 3)
