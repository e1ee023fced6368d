"""Bases x prompts x endings, tuned and with examples in the prompt, measured alike; the best become a profile."""

import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from infra.files.few_shot import choose_examples
from infra.files.pairs import Split, fold_of, read_pairs
from infra.finetuning.adapter_card import BERTSCORES, code_metrics, make_card
from infra.finetuning.grid_table import Cell, Result, as_json, choose, endings_of, profile_text, table
from infra.finetuning.lora import ADAPTER_FILE, Job, prepare, run
from infra.profiles.loading import check_files, load_profile
from models.errors import QualstreamError, SettingError

if TYPE_CHECKING:
    from models.coding.prompts import Ending
    from models.evaluation.metrics import TokenEmbedder

CARD, EXAMPLES = "card.json", "examples.jsonl"
_LOOK_S = 0.2


@dataclass(frozen=True)
class Grid:
    """What is tried out, and how."""

    pairs: Path
    out: Path
    bases: Sequence[str]
    prompts: Sequence[int]
    endings: Sequence["Ending"]
    shots: Sequence[int] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    """Fields of ``Recipe``: epochs, batch, learning_rate, seed."""
    mix: Mapping[str, Any] = field(default_factory=dict)
    """Fields of ``Job``: folds, fold, repeat, licences, device."""
    limit: int | None = None
    jobs: int = 1
    top: int | None = None

    @property
    def cells(self) -> list[Cell]:
        """All cells, those that need no training first."""
        adaptations = [*dict.fromkeys(self.shots), None]
        return [
            Cell(base, prompt, ending, shots, _name(base, prompt, ending, shots))
            for shots in adaptations
            for base in dict.fromkeys(self.bases)
            for prompt in dict.fromkeys(self.prompts)
            for ending in endings_of(prompt, self.endings)
        ]

    def job(self, cell: Cell, pairs: Path) -> Job:
        """The tuning of a cell; of one that is not tuned, what tells its texts apart."""
        from models.backends.lora.packing import Recipe

        recipe = Recipe(base=cell.base, prompt=cell.prompt, ending=cell.ending, **self.training)
        return Job(pairs=pairs, recipe=recipe, out=self.out / cell.name, **self.mix)


def run_grid(grid: Grid, cache: Path, console: Console, tokens: "TokenEmbedder") -> str:
    """Make every cell that is not there yet; table, ranking and profile are written after each.

    Args:
        grid: What to try.
        cache: Folder for converted base weights.
        console: Shows the progress.
        tokens: For BERTScore.

    Returns:
        The table as Markdown.

    Raises:
        InputError: If the pairs cannot be read.
        SettingError: If the options do not fit the data or each other, or ``out`` holds cells made otherwise.
    """
    cells = grid.cells
    unlike = len({(cell.base, cell.prompt) for cell in cells})
    if grid.top and unlike < grid.top:
        raise SettingError(
            f"--top {grid.top} members must differ in base or prompt, but {unlike} cells of this grid do; "
            "add --prompts or --bases, or lower --top"
        )
    grid.out.mkdir(parents=True, exist_ok=True)
    with _held(grid.out):
        pairs = _limited(grid)
        jobs = {cell: grid.job(cell, pairs) for cell in cells}
        missing = [cell for cell in cells if not _is_made(cell, jobs[cell])]
        console.print(f"{len(cells)} cells, {len(cells) - len(missing)} of them made before")
        for cell in _make(missing, jobs, grid.jobs, _Bench(cache, console, tokens)):
            console.print(f"{cell.name}: done")
            _write(grid, jobs)
        return _write(grid, jobs)


@dataclass(frozen=True)
class _Bench:
    """What making a cell needs."""

    cache: Path
    console: Console
    tokens: "TokenEmbedder"


def _make(cells: Sequence[Cell], jobs: Mapping[Cell, Job], at_once: int, bench: _Bench) -> Iterator[Cell]:
    """Make cells; each is handed out when it is done."""
    for cell in cells:
        if cell.shots is not None:
            _try_untuned(cell, jobs[cell], bench)
            yield cell
    to_tune = [cell for cell in cells if cell.shots is None]
    if at_once > 1:
        yield from _tune_apart(to_tune, jobs, at_once)
        return
    for cell in to_tune:
        bench.console.print(f"{cell.name}:")
        run(jobs[cell], bench.cache, bench.console, bench.tokens)
        yield cell


def _try_untuned(cell: Cell, job: Job, bench: _Bench) -> None:
    """Let a base answer with examples, or none, in its prompt, as it would as a member; write the row's card."""
    pairs, halves = prepare(job)
    number = cell.shots or 0
    examples = choose_examples(halves.training, number) if number else ()
    labels = _answers(cell, job, examples, [pair.text for pair in halves.validation], bench.cache)
    card = make_card(
        recipe=_recipe(cell, job),
        path=job.pairs,
        pairs=pairs,
        halves=halves,
        mix=job.mix,
        metrics=code_metrics(labels, [pair.codes for pair in halves.validation], bench.tokens),
        licences=job.licences,
    )
    job.out.mkdir(parents=True, exist_ok=True)
    if examples:
        _replace(job.out / EXAMPLES, _chosen_pairs(halves, examples))
    _replace(job.out / CARD, json.dumps(card, indent=2, ensure_ascii=False) + "\n")


def _answers(cell: Cell, job: Job, examples: Sequence[tuple[str, str]], texts: Sequence[str], cache: Path) -> list[str]:
    from models.backends.lora.coder import LoraCoder, Member
    from models.backends.lora.finetuning import choose_device
    from models.backends.lora.generation import Sampling
    from models.backends.lora.pool import GeneratorPool
    from schemas import Segment
    from schemas.ids import segment_id

    coder = LoraCoder(
        [Member(cell.name, cell.base, None, cell.prompt, cell.ending, tuple(examples))],
        sampling=Sampling(temperature=0.0),
        pool=GeneratorPool(cache, choose_device(job.device)),
    )
    segments = [
        Segment(id=segment_id("grid", "pairs", str(n)), study="grid", text=text, source="pairs")
        for n, text in enumerate(texts)
    ]
    return [proposals[0].label for proposals in coder.propose(segments)]


def _chosen_pairs(halves: Split, examples: Sequence[tuple[str, str]]) -> str:
    """The examples as a pairs file, with the sources that the choice among them depends on."""
    sources = {" ".join(pair.text.split()): pair.source for pair in halves.training}
    rows = [{"text": text, "codes": [code], "source": sources[text]} for text, code in examples]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _tune_apart(cells: Sequence[Cell], jobs: Mapping[Cell, Job], at_once: int) -> Iterator[Cell]:
    """Tune several cells at the same time, each in a process of its own that ends when this one does."""
    from infra.local.processes import spawn

    threads = str(max(1, (os.cpu_count() or 1) // at_once))
    waiting, running = list(cells), dict[Cell, subprocess.Popen[bytes]]()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                cell = waiting.pop(0)
                with _log(jobs[cell]).open("wb") as log:
                    running[cell] = spawn(command(jobs[cell]), log, {"OMP_NUM_THREADS": threads, **os.environ})
            time.sleep(_LOOK_S)
            for cell in [cell for cell, process in running.items() if process.poll() is not None]:
                if running.pop(cell).returncode:
                    output = _log(jobs[cell]).read_text(errors="replace").strip().splitlines() or ["nothing"]
                    raise QualstreamError(f"{cell.name} could not be tuned: {output[-1]} (see {_log(jobs[cell])})")
                yield cell
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def _log(job: Job) -> Path:
    return job.out.with_name(f"{job.out.name}.log")


def command(job: Job) -> list[str]:
    """The command that tunes one cell."""
    recipe = job.recipe
    options = {
        "pairs": job.pairs, "out": job.out, "base": recipe.base, "prompt": recipe.prompt, "ending": recipe.ending,
        "epochs": recipe.epochs, "batch": recipe.batch, "lr": recipe.learning_rate, "seed": recipe.seed,
        "folds": job.folds, "fold": job.fold, "device": job.device,
    }  # fmt: skip
    several = {"repeat": job.repeat, "licence": job.licences}
    words = [f"--{name}={value}" for name, value in options.items()]
    words += [f"--{name}={key}={value}" for name, values in several.items() for key, value in values.items()]
    return [sys.executable, "-m", "qualstream", "finetune", *words]


def _card(cell: Cell, job: Job) -> dict[str, Any] | None:
    """The card of a finished cell."""
    whole = (job.out / CARD).exists() and (cell.shots is not None or (job.out / ADAPTER_FILE).exists())
    if not whole or job.state.exists():
        return None
    card: dict[str, Any] = json.loads((job.out / CARD).read_text(encoding="utf-8"))
    return card


def _is_made(cell: Cell, job: Job) -> bool:
    """Whether a cell is there as it would be made now.

    Raises:
        SettingError: If it is there but was made from other data or with other options.
    """
    card = _card(cell, job)
    if card is None:
        return False
    recorded = {
        "format": "plain",
        **card["recipe"],
        **{key: card["split"][key] for key in job.mix},
        "data": card["data"]["sha256"],
    }
    requested = {**_recipe(cell, job), **job.mix, "data": hashlib.sha256(job.pairs.read_bytes()).hexdigest()}
    for key, value in json.loads(json.dumps(requested)).items():
        if recorded.get(key) != value:
            raise SettingError(
                f"{job.out} was made with {key} {recorded.get(key)!r}, but this run says {value!r}; repeat the options "
                "of the run before, or choose another --out"
            )
    if BERTSCORES[0] not in card["metrics"]:
        raise SettingError(
            f"{job.out / CARD} lacks BERTScore, which cells are ranked by; remove {job.out} to make it anew"
        )
    return True


def _recipe(cell: Cell, job: Job) -> dict[str, Any]:
    """What a cell's card says under ``recipe``."""
    if cell.shots is None:
        return asdict(job.recipe)
    kept = ("base", "prompt", "ending", "role")
    return {**{key: value for key, value in asdict(job.recipe).items() if key in kept}, "examples": cell.shots}


def _limited(grid: Grid) -> Path:
    """The pairs to use: all, or a file with those of the first texts by hash."""
    pairs = read_pairs(grid.pairs)
    if grid.limit is None:
        return grid.pairs
    kept = sorted(pairs, key=lambda pair: (fold_of(pair.text, 1 << 32), pair.text))
    text = "".join(pair.model_dump_json() + "\n" for pair in kept[: grid.limit])
    path = grid.out / "pairs.jsonl"
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise SettingError(
            f"{path} holds the texts of a run with another --pairs or --limit; repeat that one's, "
            "or choose another --out"
        )
    _replace(path, text)
    return path


def _write(grid: Grid, jobs: Mapping[Cell, Job]) -> str:
    """Write what is known so far; the profile once every cell is there."""
    cards = {cell: _card(cell, job) for cell, job in jobs.items()}
    results = [Result(cell, card) for cell, card in cards.items() if card is not None]
    count = len(cards)
    chosen = choose(results, grid.top or 0)
    page = table(results, count, chosen)
    _replace(grid.out / "grid.md", page)
    _replace(grid.out / "grid.json", json.dumps(as_json(results, count, chosen), indent=2, ensure_ascii=False) + "\n")
    if grid.top and len(results) == count:
        path = grid.out / "profile.toml"
        _replace(path, profile_text(chosen, count, grid.training.get("seed", 0)))
        check_files(load_profile(path))
    return page


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _name(base: str, prompt: int, ending: str, shots: int | None) -> str:
    """A folder's and member's name; bases that are not plain names get a piece of their hash."""
    plain = re.sub(r"[^\w.\-]", "-", Path(base).name)[:40]
    if plain != base:
        plain += f"-{hashlib.sha256(base.encode()).hexdigest()[:6]}"
    return f"{plain}-p{prompt}-{ending}" + ("" if shots is None else f"-shots{shots}")


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep a second grid out of the folder.

    Raises:
        SettingError: If there is one already.
    """
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SettingError(
                f"another grid is being made in {folder}; wait for it, or choose another --out"
            ) from None
        yield
