"""Where classifiers are made, opened and saved: a body that embeds texts, and a head over people's codes."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from infra.profiles.loading import TuningMethod
from infra.training.checkpoints import BODY, TUNED, Checkpoint
from models.classifier.training_set import Matrix
from models.errors import SettingError
from models.ports import Classifier, Embedder
from models.text.labels import spoken

if TYPE_CHECKING:
    from models.backends.sentence.heads import Head, LogisticHead
    from models.backends.sentence.setfit_training import SetFitSettings


class TaughtClassifier(Classifier, Protocol):
    """A classifier whose body can be used again, and that can be saved."""

    @property
    def body(self) -> Embedder:
        """What embeds texts for it."""
        ...

    def save(self, folder: Path) -> None:
        """Write it into a folder, as safetensors and JSON."""
        ...


Tune = Callable[[Sequence[str], Matrix], Embedder]
"""Tunes the base body on texts and their codes, shape ``(texts, codes)``; what it gives saves itself with a classifier
that has it."""
Teach = Callable[[Sequence[str], Matrix], "tuple[Embedder, Head]"]
"""Tunes the base body and fits a head in one, as SetFit does."""
OpenBody = Callable[[Path], Embedder]
"""Opens the folder of a tuned body, which must be verified."""


@dataclass(frozen=True)
class ClassifierFactory:
    """Makes and opens classifiers."""

    base: Embedder
    """The body that is not tuned; it should keep its embeddings."""
    tune: Tune | None = None
    """``None`` where bodies are not tuned."""
    open_body: OpenBody | None = None
    """``None`` where there are no tuned bodies to open."""
    teach: Teach | None = None
    """Taught with in place of ``tune``, where it is there."""

    @property
    def tunes(self) -> bool:
        """Whether bodies are tuned."""
        return self.tune is not None or self.teach is not None

    @property
    def tuned_description(self) -> str:
        """What it makes when it tunes, in words."""
        return "a tuned body" if self.teach is None else "a body tuned by SetFit"

    def fit_tuned(self, texts: Sequence[str], targets: Matrix, codes: Sequence[tuple[UUID, str]]) -> TaughtClassifier:
        """Tune a body and fit a head on it; see ``fit``.

        Raises:
            SettingError: If the library that tunes is not installed.
        """
        if self.teach is None:
            assert self.tune is not None, "this factory does not tune"
            return self.fit(self.tune(texts, targets), texts, targets, codes)
        from models.backends.sentence.classifier import TextClassifier

        body, head = self.teach(texts, targets)
        return TextClassifier(body, head, [code for code, _ in codes], [label for _, label in codes])

    def fit(
        self,
        body: Embedder,
        texts: Sequence[str],
        targets: Matrix,
        codes: Sequence[tuple[UUID, str]],
        like: TaughtClassifier | None = None,
    ) -> TaughtClassifier:
        """Fit a head on a body.

        Args:
            body: Embeds the texts.
            texts: What is taught.
            targets: Which text has which code, shape ``(n, k)``.
            codes: Id and label of each column.
            like: A classifier of the same codes on the same body that is nearly as good; it is then found faster.
        """
        from models.backends.sentence.classifier import TextClassifier
        from models.backends.sentence.heads import LogisticHead

        labels = body.embed([spoken(label) for _, label in codes])
        head = LogisticHead.fit(body.embed(texts), targets, labels=labels, start=_logistic_head(like))
        return TextClassifier(body, head, [code for code, _ in codes], [label for _, label in codes])

    def open(self, checkpoint: Checkpoint) -> TaughtClassifier:
        """Open a verified classifier.

        Raises:
            SettingError: If its body is neither with it nor the one that is at hand.
        """
        from models.backends.sentence.classifier import TextClassifier

        named = checkpoint.manifest.body
        if named.startswith(TUNED) and self.open_body is not None:
            body = self.open_body(checkpoint.folder / BODY)
        elif named == self.base.version:
            body = self.base
        else:
            raise SettingError(
                f"the classifier in '{checkpoint.folder}' has the body {named} but {self.base.version} is at hand; "
                "set the profile's sentence model to the one it was made with, or train again"
            )
        return TextClassifier.load(checkpoint.folder, body, version=checkpoint.version)


def _logistic_head(classifier: TaughtClassifier | None) -> "LogisticHead | None":
    from models.backends.sentence.heads import LogisticHead

    head = getattr(classifier, "head", None)
    return head if isinstance(head, LogisticHead) else None


def guesses(classifier: Classifier, texts: Sequence[str], thresholds: Sequence[float]) -> Matrix:
    """Which codes a classifier gives each text, shape ``(len(texts), len(classifier.codes))``."""
    if not texts:
        return np.zeros((0, len(classifier.codes)), dtype=np.bool_)
    decided: NDArray[np.bool_] = classifier.probabilities(texts) >= np.asarray(thresholds)
    return decided


def sentence_classifier_factory(
    base: Embedder, name: str, device: str, method: TuningMethod | None = None, weights: Path | None = None
) -> ClassifierFactory:
    """A factory of sentence models.

    Args:
        base: The body that is not tuned.
        name: Its model, from which tuning starts.
        device: Where tuned bodies go.
        method: How bodies are tuned, if they are.
        weights: Where models lie that were brought with ``qualstream weights``.
    """

    def tune(texts: Sequence[str], targets: Matrix) -> Embedder:
        import torch

        from models.backends.sentence.contrastive import TunedBody
        from models.backends.sentence.contrastive import tune as contrast
        from models.backends.sentence.embedder import load_body

        torch.set_num_threads(1)  # the stream's other roles want to go on
        return TunedBody(contrast(load_body(name, device, weights), texts, targets), f"{name}, tuned")

    def teach(texts: Sequence[str], targets: Matrix) -> "tuple[Embedder, Head]":
        import torch

        from models.backends.sentence import setfit_training
        from models.backends.sentence.contrastive import TunedBody
        from models.backends.sentence.embedder import load_body

        torch.set_num_threads(1)
        body, head = setfit_training.teach(load_body(name, device, weights), texts, targets, _setfit_settings(method))
        return TunedBody(body, f"{name}, tuned by SetFit"), head

    ours, theirs = method == "contrastive", method in ("setfit", "setfit-differentiable")
    return ClassifierFactory(
        base, tune if ours else None, lambda folder: saved_body(folder, device), teach if theirs else None
    )


def _setfit_settings(method: TuningMethod | None) -> "SetFitSettings":
    from models.backends.sentence.setfit_training import SetFitSettings

    return SetFitSettings(head="differentiable" if method == "setfit-differentiable" else "logistic")


def saved_body(folder: Path, device: str) -> Embedder:
    """A tuned body as it lies on disk; a classifier that has it saves it again as links to the same files."""
    from models.backends.sentence.contrastive import TunedBody
    from models.backends.sentence.embedder import load_body

    class SavedBody(TunedBody):
        def save(self, into: Path) -> None:
            shutil.copytree(folder, into, copy_function=os.link)

    return SavedBody(load_body(str(folder), device), str(folder))
