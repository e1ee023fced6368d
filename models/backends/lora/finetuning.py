"""LoRA tuning of a small language model on pairs of text and code: early stopping, and going on after a kill."""

import json
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.backends.devices import available_device
from models.backends.lora.architectures import lora_targets
from models.backends.lora.packing import ROW_TOKENS, Encoded, Recipe, Tokens, TuningExample, encode, rows, summed_loss
from models.backends.weights import choose_dtype, load_language_model
from models.errors import SettingError

if TYPE_CHECKING:
    pass

STATE_FILE = "state.safetensors"
_SAVE_EVERY_S = 30.0  # seconds between two saves of a run's state: as much work is lost at most when it is stopped


@dataclass
class TuningProgress:
    """Where a training stands; what a resumed one needs besides weights and moments."""

    epoch: int = 0
    step: int = 0  # batches done in this epoch
    updates: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    loss_tokens: int = 0
    best: float | None = None
    best_epoch: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class TunedModel:
    """A tuned model, with the weights of its best epoch, and how it came about."""

    model: Any
    tokenizer: Any
    progress: TuningProgress
    device: str
    dtype: str


ReportProgress = Callable[[TuningProgress, int], None]
"""Called after each batch and epoch with the progress and the number of batches an epoch."""


def choose_device(requested: str) -> str:
    """Resolve ``auto`` to what is there.

    Raises:
        SettingError: If it is not there.
    """
    return available_device(requested, "set --device")


def tune(
    recipe: Recipe,
    training: Sequence[TuningExample],
    validation: Sequence[TuningExample],
    out: Path,
    *,
    cache: Path,
    device: str = "auto",
    data_id: str = "",
    report: ReportProgress | None = None,
) -> TunedModel:
    """Tune an adapter until validation no longer gains, or the epochs are done. A killed run goes on where it was.

    Args:
        recipe: What to tune and how.
        training: Examples to learn from.
        validation: Examples of other texts, for early stopping.
        out: Folder for the state of an unfinished run.
        cache: Folder for converted base weights.
        device: ``auto``, ``cpu`` or ``cuda``.
        data_id: What tells this data from other data; a run is only resumed on the same.
        report: Hears of the progress.

    Returns:
        The tuned model in evaluation mode.

    Raises:
        SettingError: If ``out`` holds an unfinished run of another recipe or other data.
    """
    import torch

    device = choose_device(device)
    dtype = choose_dtype("auto", device)
    torch.manual_seed(recipe.seed)
    base, tokenizer = load_language_model(recipe.base, cache=cache, device=device, dtype=dtype)
    model = attach_new_adapter(base, recipe)
    head, encoded = encode(tokenizer, recipe, training)
    _, checks = encode(tokenizer, recipe, validation)
    trainer = _Trainer(model, recipe, head, encoded, device, out / STATE_FILE, f"{asdict(recipe)} {data_id}")
    trainer.run(checks, report or (lambda _progress, _batches: None))
    return TunedModel(model.eval(), tokenizer, trainer.progress, device, dtype)


def attach_new_adapter(base: Any, recipe: Recipe) -> Any:
    """Put a fresh LoRA adapter on a base model, its own weights in float32."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=lora_targets(base, recipe.targets),
        bias="none",
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(base, config)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return model


class _Trainer:
    """One run: its optimizer, its progress, its state on disk."""

    def __init__(
        self, model: Any, recipe: Recipe, head: Tokens, encoded: list[Encoded], device: str, state: Path, run_id: str
    ) -> None:
        import torch

        self._model, self._recipe, self._head, self._encoded = model, recipe, head, encoded
        self._device, self._state, self._run_id = device, state, run_id
        self._named = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self._optimizer = torch.optim.AdamW(self._named.values(), lr=recipe.learning_rate, weight_decay=0.0)
        self._batches = math.ceil(len(encoded) / recipe.batch)
        self._best = {n: p.detach().clone() for n, p in self._named.items()}
        self._saved_at = time.monotonic()
        self.progress = TuningProgress()

    def run(self, checks: Sequence[Encoded], report: ReportProgress) -> None:
        """Train epoch by epoch; end with the best epoch's weights in the model."""
        self._resume()
        progress = self.progress
        while progress.epoch < self._recipe.epochs and not self._is_stale():
            self._epoch(report)
            start = time.monotonic()
            loss = self.validation_loss(checks) if checks else progress.loss_sum / progress.loss_tokens
            progress.seconds += time.monotonic() - start
            self._end_epoch(loss)
            report(progress, self._batches)
        for name, parameter in self._named.items():
            parameter.data.copy_(self._best[name])

    def validation_loss(self, checks: Sequence[Encoded]) -> float:
        """Mean loss a token on texts that are not trained on."""
        import torch

        self._model.eval()
        total, tokens = 0.0, 0
        with torch.no_grad(), torch.autocast(self._device, torch.bfloat16, enabled=self._in_bfloat16):
            for row in rows(checks, ROW_TOKENS):
                loss, count = summed_loss(self._model, self._head, row, self._device)
                total, tokens = total + loss.item(), tokens + count
        return total / tokens

    def _epoch(self, report: ReportProgress) -> None:
        progress, size = self.progress, self._recipe.batch
        order = list(range(len(self._encoded)))
        random.Random(f"{self._recipe.seed} {progress.epoch}").shuffle(order)
        self._model.train()
        while progress.step < self._batches:
            start = time.monotonic()
            batch = [self._encoded[i] for i in order[progress.step * size : (progress.step + 1) * size]]
            self._update(batch)
            progress.step += 1
            progress.seconds += time.monotonic() - start
            report(progress, self._batches)
            if time.monotonic() - self._saved_at > _SAVE_EVERY_S:
                self._save()

    def _update(self, batch: Sequence[Encoded]) -> None:
        import torch

        progress = self.progress
        torch.manual_seed(self._recipe.seed * 1_000_003 + progress.updates)  # dropout is the same after a resume
        for group in self._optimizer.param_groups:
            group["lr"] = self._recipe.learning_rate * self._slope()
        tokens = sum(len(answer) for item in batch for answer in item.answers)
        for row in rows(batch, ROW_TOKENS):
            with torch.autocast(self._device, torch.bfloat16, enabled=self._in_bfloat16):
                loss, _ = summed_loss(self._model, self._head, row, self._device)
            (loss / tokens).backward()
            progress.loss_sum += loss.item()
        progress.loss_tokens += tokens
        torch.nn.utils.clip_grad_norm_(self._named.values(), 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        progress.updates += 1

    def _slope(self) -> float:
        """Share of the learning rate: up over the first 5% of updates, then down to a tenth."""
        total = self._batches * self._recipe.epochs
        done = self.progress.updates + 1
        warm = max(1, total // 20)
        return done / warm if done <= warm else 1 - 0.9 * (done - warm) / max(1, total - warm)

    @property
    def _in_bfloat16(self) -> bool:
        import torch

        return bool(self._model.get_base_model().get_output_embeddings().weight.dtype == torch.bfloat16)

    def _is_stale(self) -> bool:
        return self.progress.best is not None and self.progress.epoch - self.progress.best_epoch > self._recipe.patience

    def _end_epoch(self, loss: float) -> None:
        progress = self.progress
        progress.epoch += 1
        trained = progress.loss_sum / max(1, progress.loss_tokens)
        progress.curve.append({"epoch": progress.epoch, "training": round(trained, 4), "validation": round(loss, 4)})
        progress.step, progress.loss_sum, progress.loss_tokens = 0, 0.0, 0
        if progress.best is None or loss < progress.best:
            progress.best, progress.best_epoch = loss, progress.epoch
            self._best = {n: p.detach().clone() for n, p in self._named.items()}
        self._save()

    def _save(self) -> None:
        """Write weights, moments and progress in one file, whole or not at all."""
        from safetensors.torch import save_file

        tensors = {f"now.{n}": p.detach().cpu().contiguous() for n, p in self._named.items()}
        tensors |= {f"best.{n}": p.cpu().contiguous() for n, p in self._best.items()}
        for name, parameter in self._named.items():
            for moment in ("exp_avg", "exp_avg_sq"):
                if parameter in self._optimizer.state:
                    tensors[f"{moment}.{name}"] = self._optimizer.state[parameter][moment].cpu().contiguous()
        self._state.parent.mkdir(parents=True, exist_ok=True)
        work = self._state.with_suffix(".part")
        save_file(tensors, work, metadata={"run": self._run_id, "progress": json.dumps(asdict(self.progress))})
        work.replace(self._state)
        self._saved_at = time.monotonic()

    def _resume(self) -> None:
        import torch
        from safetensors import safe_open

        if not self._state.exists():
            return
        with safe_open(self._state, framework="pt", device=self._device) as file:
            metadata = file.metadata()
            if metadata["run"] != self._run_id:
                raise SettingError(
                    f"{self._state.parent} holds an unfinished training with other settings or data; "
                    "repeat that one's options to finish it, or remove the folder"
                )
            self.progress = TuningProgress(**json.loads(metadata["progress"]))
            names = set(file.keys())
            for name, parameter in self._named.items():
                parameter.data.copy_(file.get_tensor(f"now.{name}"))
                self._best[name] = file.get_tensor(f"best.{name}")
                if f"exp_avg.{name}" in names:
                    moments = {m: file.get_tensor(f"{m}.{name}") for m in ("exp_avg", "exp_avg_sq")}
                    step = torch.tensor(float(self.progress.updates))
                    self._optimizer.state[parameter] = {"step": step, **moments}
