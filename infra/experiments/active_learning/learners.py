"""What an experiment can train: sentence models with a head, tuned or as they come, and a plain transformer."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from infra.experiments.active_learning.simulation import Learner, Learnt, Setup
from models.errors import SettingError
from models.ports import Bools, Floats

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from models.backends.sentence.contrastive import TunedBody
    from models.backends.sentence.heads import Head

HeadKind = Literal["logistic", "differentiable", "differentiable-frozen"]
HEADS: tuple[str, ...] = get_args(HeadKind)
OWN_HEAD = "own layer"
"""What tables call the head of a plain transformer."""
FROZEN, TRANSFORMER = "frozen:", "transformer:"
_KEPT = 20_000  # embeddings of a body that stays as it is


@dataclass(frozen=True)
class Reading:
    """What holds for all learners of an experiment."""

    max_tokens: int = 256
    device: str = "cpu"
    end_to_end: Mapping[str, Any] = field(default_factory=dict)
    """What differs from the defaults of ``HeadTraining`` where head and body are trained together."""


@dataclass(frozen=True)
class _LearntPair:
    """A body and its head."""

    body: "TunedBody"
    head: "Head"

    def read(self, texts: Sequence[str]) -> tuple[Floats, Floats]:
        """Embeddings ``(n, dim)`` and each code's probability ``(n, k)``."""
        embeddings = self.body.embed(texts)
        return embeddings, self.head.probabilities(embeddings)


class SentenceLearner:
    """A sentence model and a head; the body is tuned first unless it is to stay as it comes."""

    def __init__(self, name: str, head: str, reading: Reading) -> None:
        """Take a name in ``weights.PACKAGED``, a folder or a hub's name, with ``frozen:`` before it or not."""
        if head not in HEADS:
            raise SettingError(f"the head is '{head}' but one of {', '.join(HEADS)} is expected")
        self._frozen = name.startswith(FROZEN)
        self._name, self._head, self._reading = name.removeprefix(FROZEN), head, reading

    @property
    def configuration(self) -> dict[str, Any]:
        """What it is made with."""
        from models.backends.sentence.heads import STRENGTH

        options: dict[str, Any] = {
            "body": self._name,
            "tuned": not self._frozen,
            "max_tokens": self._reading.max_tokens,
        }
        if not self._frozen:
            options["tuning"] = asdict(self._tuning(0)) | {"seed": None}
        options["head"] = (
            {"strength": STRENGTH} if self._head == "logistic" else asdict(self._training(0)) | {"seed": None}
        )
        return options

    def train(self, texts: Sequence[str], targets: Bools, seed: int) -> Learnt:
        """Tune a copy of the body, then fit the head."""
        from models.backends.sentence.contrastive import TunedBody, tune
        from models.backends.sentence.heads import DifferentiableHead, LogisticHead

        body = self._as_it_comes if self._frozen else TunedBody(
            tune(self._as_it_comes.model, texts, targets, self._tuning(seed)), self._name
        )  # fmt: skip
        if self._head == "logistic":
            return _LearntPair(body, LogisticHead.fit(body.embed(texts), targets))
        if self._head == "differentiable-frozen":
            return _LearntPair(body, DifferentiableHead.fit(body.embed(texts), targets, self._training(seed)))
        model, head = DifferentiableHead.fit_end_to_end(body.model, texts, targets, self._training(seed))
        return _LearntPair(TunedBody(model, self._name), head)

    @cached_property
    def _as_it_comes(self) -> "TunedBody":
        from models.backends.sentence.contrastive import TunedBody
        from models.backends.sentence.embedder import load_body

        model: SentenceTransformer = load_body(self._name, self._reading.device)
        model.max_seq_length = min(self._reading.max_tokens, model.max_seq_length or self._reading.max_tokens)
        return TunedBody(model, self._name, kept=_KEPT)

    def _tuning(self, seed: int) -> Any:
        from models.backends.sentence.contrastive import TuningSettings

        return TuningSettings(max_tokens=self._reading.max_tokens, seed=seed)

    def _training(self, seed: int) -> Any:
        from models.backends.sentence.heads import HeadTraining

        return HeadTraining(seed=seed, **(self._reading.end_to_end if self._head == "differentiable" else {}))


class TransformerLearner:
    """An encoder with a layer of its own, all of it trained."""

    def __init__(self, name: str, reading: Reading) -> None:
        """Take a name in ``weights.PACKAGED``, a folder or a hub's name."""
        self._name, self._reading = name, reading

    @property
    def configuration(self) -> dict[str, Any]:
        """What it is made with."""
        return {"body": self._name, "training": asdict(self._training(0)) | {"seed": None}}

    def train(self, texts: Sequence[str], targets: Bools, seed: int) -> Learnt:
        """Train it anew."""
        from models.backends.sentence.token_classifier import TokenClassifier

        return TokenClassifier.train(self._name, texts, targets, self._training(seed), self._reading.device)

    def _training(self, seed: int) -> Any:
        from models.backends.sentence.token_classifier import TokenTraining

        return TokenTraining(max_tokens=self._reading.max_tokens, seed=seed)


def learner(setup: Setup, reading: Reading) -> Learner:
    """The learner of a setup.

    Raises:
        SettingError: If its head is unknown.
    """
    if setup.model.startswith(TRANSFORMER):
        return TransformerLearner(setup.model.removeprefix(TRANSFORMER), reading)
    return SentenceLearner(setup.model, setup.head, reading)


def setups(models: Sequence[str], heads: Sequence[str], strategies: Sequence[Any]) -> list[Setup]:
    """The grid: every model with every head and strategy; a plain transformer has one head only."""
    combinations = [
        Setup(_shown(model), OWN_HEAD if model.startswith(TRANSFORMER) else head, strategy)
        for model in models
        for head in heads
        for strategy in strategies
    ]
    return list(dict.fromkeys(combinations))


def _shown(model: str) -> str:
    """Without the blanks and slashes of a path at its end."""
    return model.rstrip("/")


def name_of(model: str) -> str:
    """A model as tables name it: the last part of a folder's path."""
    for mark in (FROZEN, TRANSFORMER):
        if model.startswith(mark):
            return f"{mark}{Path(model.removeprefix(mark)).name}"
    return Path(model).name
