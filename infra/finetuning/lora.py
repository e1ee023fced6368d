"""The fine-tuning job: pairs in, an adapter with its card out."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from infra.files.pairs import Split, TrainingPair, data_id, read_pairs, split
from infra.finetuning.adapter_card import code_metrics, make_card, write_card
from models.errors import SettingError

if TYPE_CHECKING:
    from models.backends.lora.finetuning import TunedModel, TuningProgress
    from models.backends.lora.packing import Recipe
    from models.evaluation.metrics import TokenEmbedder

ADAPTER_FILE = "adapter_model.safetensors"
_STATE = ".unfinished"


@dataclass(frozen=True)
class Job:
    """One adapter to tune: from which pairs, how, and to where."""

    pairs: Path
    recipe: "Recipe"
    out: Path
    folds: int = 5
    fold: int = 0
    repeat: Mapping[str, int] = field(default_factory=dict)
    licences: Mapping[str, str] = field(default_factory=dict)
    device: str = "auto"

    @property
    def state(self) -> Path:
        """Where an unfinished run keeps what it needs to go on."""
        return self.out / _STATE

    @property
    def mix(self) -> dict[str, Any]:
        """Which texts are kept apart, and how often each source is shown."""
        return {"folds": self.folds, "validation_fold": self.fold, "repeat": dict(self.repeat)}


def run(job: Job, cache: Path, console: Console, tokens: "TokenEmbedder | None" = None) -> dict[str, Any]:
    """Tune, write the adapter in bfloat16, measure it on the texts kept apart, write the card.

    Args:
        job: What to tune.
        cache: Folder for converted base weights.
        console: Shows the progress.
        tokens: For BERTScore, which the card lacks without it.

    Returns:
        The card.

    Raises:
        InputError: If the pairs cannot be read.
        SettingError: If the options do not fit the data, or ``out`` holds another adapter.
    """
    from models.backends.lora.finetuning import tune
    from models.backends.lora.packing import TuningExample

    pairs, halves = prepare(job)
    training, validation = (
        [TuningExample(pair.text, pair.codes, pair.proposals) for pair in half]
        for half in (halves.training, halves.validation)
    )
    if tokens is not None:
        _ = tokens.version  # loads: what is not to be had is missed now and not after hours
    with _bar(console, job.recipe.epochs) as report:
        tuned = tune(
            job.recipe,
            training,
            validation,
            job.state,
            cache=cache,
            device=job.device,
            data_id=data_id(job.pairs, job.folds, job.fold, job.repeat),
            report=report,
        )
    save_adapter(tuned, job)
    card = _card(job, pairs, halves, tuned, _measure(job, halves, tuned.device, cache, tokens))
    write_card(job.out, card)
    shutil.rmtree(job.state, ignore_errors=True)
    return card


def prepare(job: Job) -> tuple[list[TrainingPair], Split]:
    """Read a job's pairs and keep some apart.

    Returns:
        The pairs that are used, and their two halves.

    Raises:
        InputError: If the pairs cannot be read.
        SettingError: If the options do not fit the data, or ``out`` holds another adapter.
    """
    pairs = read_pairs(job.pairs)
    _check(job, pairs)
    halves = split(pairs, job.folds, job.fold, job.repeat)
    if not halves.training or not halves.validation:
        raise SettingError(
            f"{len(pairs)} texts leave {len(halves.training)} to train on and {len(halves.validation)} to check with; "
            "give more pairs, another --fold, or fewer --folds"
        )
    return [pair for pair in pairs if job.repeat.get(pair.source, 1)], halves


def save_adapter(tuned: "TunedModel", job: Job) -> None:
    """Write the weights in bfloat16 and their configuration, without the path of any machine."""
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    job.out.mkdir(parents=True, exist_ok=True)
    weights = get_peft_model_state_dict(tuned.model)
    weights = {name: tensor.detach().cpu().to(torch.bfloat16).contiguous() for name, tensor in weights.items()}
    save_file(weights, job.out / ADAPTER_FILE, metadata={"format": "pt"})
    (job.out / ADAPTER_FILE).chmod(0o644)  # safetensors writes files that only their owner may read
    config = tuned.model.peft_config["default"].to_dict()
    config |= {"base_model_name_or_path": job.recipe.base, "inference_mode": True}
    plain = {key: sorted(value) if isinstance(value, set) else value for key, value in config.items()}
    text = json.dumps({key: getattr(value, "value", value) for key, value in plain.items()}, indent=2, sort_keys=True)
    (job.out / "adapter_config.json").write_text(text + "\n", encoding="utf-8")


def _check(job: Job, pairs: Sequence[TrainingPair]) -> None:
    if not 0 <= job.fold < job.folds:
        raise SettingError(f"--fold is {job.fold} but --folds is {job.folds}; choose 0 to {job.folds - 1}")
    sources = {pair.source for pair in pairs}
    for source in job.repeat:
        if source not in sources:
            raise SettingError(f"--repeat names '{source}' but {job.pairs} has {', '.join(sorted(sources))}")
    if job.recipe.role == "moderator" and not all(pair.proposals for pair in pairs):
        raise SettingError(
            f"{job.pairs} has texts without `proposals`, which a moderator learns from; "
            "make such a file with `qualstream finetune proposals`"
        )
    if (job.out / ADAPTER_FILE).exists() and not job.state.exists():
        raise SettingError(f"{job.out} already holds an adapter; remove it or choose another --out")


def _measure(job: Job, halves: Split, device: str, cache: Path, tokens: "TokenEmbedder | None") -> dict[str, Any]:
    from models.backends.lora.sampling_run import write_labels

    items = [(pair.text, pair.proposals) for pair in halves.validation]
    labels = write_labels(job.recipe, {"new": job.out}, items, cache=cache, device=device)["new"]
    return code_metrics(labels, [pair.codes for pair in halves.validation], tokens)


def _card(
    job: Job, pairs: Sequence[TrainingPair], halves: Split, tuned: "TunedModel", metrics: Mapping[str, Any]
) -> dict[str, Any]:
    return make_card(
        recipe=asdict(job.recipe),
        path=job.pairs,
        pairs=pairs,
        halves=halves,
        mix=job.mix,
        metrics=metrics,
        training={
            **asdict(tuned.progress),
            "device": tuned.device,
            "dtype": tuned.dtype,
            "layers": sorted(tuned.model.peft_config["default"].target_modules),
        },
        licences=job.licences,
    )


@contextmanager
def _bar(console: Console, epochs: int) -> Iterator[Any]:
    """A progress bar over all batches of all epochs; yields what the trainer reports to."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("tuning", total=None)

        def report(progress: "TuningProgress", batches: int) -> None:
            words = f"epoch {min(progress.epoch + 1, epochs)}/{epochs}"
            if progress.loss_tokens:
                words += f", loss {progress.loss_sum / progress.loss_tokens:.3f}"
            if progress.curve:
                words += f", validation {progress.curve[-1]['validation']:.3f}"
            bar.update(
                task, total=epochs * batches, completed=progress.epoch * batches + progress.step, description=words
            )

        yield report
