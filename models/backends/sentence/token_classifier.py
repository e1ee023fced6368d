"""The plain transformer that sentence models are compared with: a classification layer on the first token."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.backends.devices import available_device
from models.backends.sentence.heads import Targets, check_shapes
from models.backends.weights import PACKAGED, packaged_path, quiet
from models.errors import SettingError

_READ = 64  # texts read at once


@dataclass(frozen=True)
class TokenTraining:
    """How it is trained; epochs and batch are small-text's defaults, the rate suits small encoders.

    small-text's own rate of 2e-5 hardly moves a body of 22 million weights in the few updates that 145 texts make.
    """

    epochs: int = 10
    batch: int = 12
    learning_rate: float = 1e-4
    max_tokens: int = 256
    seed: int = 0


class TokenClassifier:
    """A trained encoder with one output a code."""

    def __init__(self, model: Any, tokenizer: Any, training: TokenTraining) -> None:
        """Take the model in evaluation mode."""
        self._model, self._tokenizer, self._training = model, tokenizer, training

    @classmethod
    def train(
        cls, name: str, texts: Sequence[str], targets: Targets, training: TokenTraining, device: str = "cpu"
    ) -> "TokenClassifier":
        """Train all weights with a loss that takes each code by itself.

        Args:
            name: An encoder: a name in ``weights.PACKAGED``, a folder, or a hub's name.
            texts: What people coded.
            targets: Which text has which code, shape ``(len(texts), k)``.
            training: How.
            device: ``cpu``, ``cuda``, ``cuda:0`` and so on.

        Raises:
            SettingError: If the model is not to be had.
            ValueError: If texts and targets do not fit together or there are none.
        """
        import torch

        check_shapes(texts, targets)
        with torch.random.fork_rng():
            torch.manual_seed(training.seed)
            model, tokenizer = _load(name, targets.shape[1], device)
            classifier = cls(model.train(), tokenizer, training)
            expected = torch.from_numpy(targets.astype(np.float32)).to(device)
            optimizer = torch.optim.AdamW(model.parameters(), lr=training.learning_rate, weight_decay=0.01)
            for _ in range(training.epochs):
                for batch in torch.split(torch.randperm(len(texts)), training.batch):
                    classifier._run([texts[i] for i in batch.tolist()], expected[batch]).loss.backward()
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    optimizer.step()
                    optimizer.zero_grad(set_to_none=True)
        model.eval()
        return classifier

    def read(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """The first token's last state ``(n, dim)`` and each code's probability ``(n, k)``."""
        import torch

        states, probabilities = [], []
        order = sorted(range(len(texts)), key=lambda n: len(texts[n]))  # like lengths together: less padding
        with torch.inference_mode():
            for start in range(0, len(texts), _READ):
                out = self._run([texts[n] for n in order[start : start + _READ]])
                states.append(out.hidden_states[-1][:, 0].float().cpu().numpy())
                probabilities.append(torch.sigmoid(out.logits.double()).cpu().numpy())
        back = np.argsort(order)
        return np.concatenate(states)[back], np.concatenate(probabilities)[back]

    def _run(self, texts: Sequence[str], expected: Any = None) -> Any:
        readable = [text.encode("utf-8", "replace").decode() for text in texts]  # lone surrogates have no UTF-8
        features = self._tokenizer(
            readable, truncation=True, max_length=self._training.max_tokens, padding=True, return_tensors="pt"
        )
        return self._model(**features.to(self._model.device), labels=expected, output_hidden_states=expected is None)


def _load(name: str, codes: int, device: str) -> tuple[Any, Any]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from transformers.utils import logging

    quiet()
    source = str(packaged_path(name)) if name in PACKAGED else name
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # it would report that the new layer has no weights yet
    try:
        model = AutoModelForSequenceClassification.from_pretrained(
            source, num_labels=codes, problem_type="multi_label_classification", dtype="float32"
        )
        return model.to(available_device(device)), AutoTokenizer.from_pretrained(source)
    except OSError as error:
        raise SettingError(
            f"no encoder {name!r}: it is neither in a package ({', '.join(PACKAGED)}), nor a folder, nor on the hub "
            f"({str(error).splitlines()[0]})"
        ) from error
    finally:
        logging.set_verbosity(verbosity)
