"""The record of every training: what it was made from, how, and what came of it. MLflow keeps it."""

import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from models.errors import SettingError

log = logging.getLogger(__name__)

_AGAIN_S = 300.0
"""How long a tracking server that failed is left in peace."""
_LONGEST = 250  # characters of a name; values may have more
_LONGEST_VALUE = 5_000
_ODD = re.compile(r"[^\w.\- :]")
_MOST_METRICS = 900  # MLflow takes a thousand in one request
_SPARING = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_FILE_STORE": "true",  # from 3.17 on it refuses a folder unless asked
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # seven with growing pauses by default: minutes for a server that is away
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


class TrackedRun(Protocol):
    """One training, or one played-through experiment."""

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Note numbers of an iteration."""
        ...

    def artifact(self, name: str, content: Any) -> None:
        """Keep something as JSON under a file name."""
        ...


class Tracking(Protocol):
    """Keeps runs. None of its methods, nor those of its runs, ever raises because keeping failed."""

    def run(
        self, experiment: str, name: str, configuration: Mapping[str, Any], tags: Mapping[str, str]
    ) -> AbstractContextManager[TrackedRun]:
        """A run that ends with the block, as failed where an exception leaves it.

        Args:
            experiment: What it belongs to, such as a study.
            name: Of the run.
            configuration: How it is made; values in values are joined with dots.
            tags: Facts to look for, such as ``data_sha256`` and ``coders``.
        """
        ...


def forget_experiments(url: str, study: str | None) -> bool:
    """Delete what is kept of a study's trainings, or of all, in a folder.

    Returns:
        Whether it could be: an MLflow server keeps its experiments, and its own page deletes them.
    """
    if not url.startswith("file:"):
        return False
    folder = Path(url.removeprefix("file:"))
    for meta in folder.glob("*/meta.yaml"):
        lines = meta.read_text(encoding="utf-8").splitlines()
        named = {line.partition(":")[2].strip(" '\"") for line in lines if line.startswith("name:")}
        if study is None or plain(study) in named:
            shutil.rmtree(meta.parent, ignore_errors=True)
    return True


class NoTracking:
    """Keeps nothing."""

    @contextmanager
    def run(
        self, experiment: str, name: str, configuration: Mapping[str, Any], tags: Mapping[str, str]
    ) -> Iterator[TrackedRun]:
        """A run that nobody writes down."""
        yield _Nothing()


class _Nothing:
    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Nothing."""

    def artifact(self, name: str, content: Any) -> None:
        """Nothing."""


class MlflowTracking:
    """MLflow, in a folder or at a server; a failure is logged once and costs nothing but the record."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the address: ``http://host:5000`` or ``file:`` and a folder; nothing is opened yet."""
        self._url, self._clock = url, clock
        self._client: Any = None
        self._away_until = float("-inf")

    @contextmanager
    def run(
        self, experiment: str, name: str, configuration: Mapping[str, Any], tags: Mapping[str, str]
    ) -> Iterator[TrackedRun]:
        """A run at MLflow; where it cannot be begun, one that nobody writes down."""
        run_id = self.attempt(lambda client: _begin(client, experiment, name, configuration, tags))
        if run_id is None:
            yield _Nothing()
            return
        run = _MlflowRun(self, str(run_id))
        status = "FAILED"
        try:
            yield run
            status = "FINISHED"
        finally:
            self.attempt(lambda client: client.set_terminated(run.id, status))

    def attempt(self, do: Callable[[Any], Any]) -> Any:
        """Do something with MLflow's client; ``None`` where it failed now or a short while ago."""
        if self._clock() < self._away_until:
            return None
        try:
            if self._client is None:
                self._client = _connect(self._url)
            return do(self._client)
        except Exception as error:  # whatever its many libraries raise, training goes on
            self._away_until = self._clock() + _AGAIN_S
            log.warning(
                "MLflow at %s failed (%s); training goes on, and nothing is tracked for the next %.0f minutes",
                re.sub(r"//[^/@]*@", "//", self._url),
                " ".join(str(error).split())[:200],
                _AGAIN_S / 60,
            )
            return None


class _MlflowRun:
    def __init__(self, tracking: MlflowTracking, run_id: str) -> None:
        self._tracking, self.id = tracking, run_id

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Note numbers of an iteration; what is no finite number is left out."""
        now = int(time.time() * 1000)

        def send(client: Any) -> None:
            from mlflow.entities import Metric

            kept = [(plain(name), float(value)) for name, value in values.items()]
            metrics = [Metric(name, value, now, step) for name, value in kept if abs(value) < float("inf")]
            for start in range(0, len(metrics), _MOST_METRICS):
                client.log_batch(self.id, metrics=metrics[start : start + _MOST_METRICS])

        self._tracking.attempt(send)

    def artifact(self, name: str, content: Any) -> None:
        """Keep something as JSON."""
        text = json.dumps(content, ensure_ascii=False, indent=1, default=str)
        self._tracking.attempt(lambda client: client.log_text(self.id, text, f"{plain(name)}.json"))


def plain(name: str) -> str:
    """A name as MLflow takes it: letters, digits and ``_ - . : blank``; a code's label may have others."""
    return _ODD.sub("_", name)[:_LONGEST].strip(" .") or "_"


def flat(configuration: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Values in values under names with dots; lists and the like as JSON."""
    values: dict[str, str] = {}
    for name, value in configuration.items():
        key = plain(f"{before}{name}")
        if isinstance(value, Mapping):
            values |= flat(value, f"{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
            values[key] = text[:_LONGEST_VALUE]
    return values


def _connect(url: str) -> Any:
    for name, value in _SPARING.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
    except ImportError as error:
        raise SettingError(f"MLflow is not installed ({error}); install 'qualstream[tracking]'") from error
    if url.startswith("file:"):
        folder = Path(url.removeprefix("file:"))
        folder.parent.mkdir(parents=True, exist_ok=True)
        url = folder.absolute().as_uri()
    return MlflowClient(tracking_uri=url)


def _begin(client: Any, experiment: str, name: str, configuration: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    from mlflow.entities import Param

    known = client.get_experiment_by_name(plain(experiment))
    place = known.experiment_id if known else client.create_experiment(plain(experiment))
    kept = {plain(key): str(value)[:_LONGEST_VALUE] for key, value in tags.items()}
    run = client.create_run(place, run_name=plain(name), tags=kept)
    params = [Param(key, value) for key, value in flat(configuration).items()]
    for start in range(0, len(params), 100):
        client.log_batch(run.info.run_id, params=params[start : start + 100])
    return str(run.info.run_id)
