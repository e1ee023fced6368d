"""What retraining costs and what it gives, beside SetFit's defaults: `python -m benchmarks.retraining [--write]`.

Each finished training is a line in build/retraining/, so a run that was broken off goes on.
"""

import contextlib
import hashlib
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.open_sets import FOLDER
from benchmarks.pages.layout import ROOT, options
from benchmarks.pages.retraining import Run, publish_retraining
from infra.files.pairs import fold_of
from models.backends.sentence.contrastive import TunedBody, TuningSettings, tune
from models.backends.sentence.embedder import load_body
from models.backends.sentence.heads import STRENGTH, LogisticHead, Targets
from models.backends.weights import packaged_path, weights_sha256

BODY = "all-MiniLM-L6-v2"
SETS = ("nhs_patient_feedback", "game_review_bombing")
CODES, POOL, LABELS, TESTED, SEEDS = 6, 210, 145, 500, 10
SIZES = (45, 70, 100, 145, 210, 300, 450, 670, 1_000)
COST_SEEDS = 3
MOST_WORDS = 15
"""Words of a text at most: with longer ones SetFit's defaults take up to half an hour of CPU a seed; ten are wanted."""
HALF = 1
"""Texts of this half of each set are measured on; the settings were chosen on the other half."""
STORE = ROOT / "build" / "retraining"


@dataclass(frozen=True)
class Draw:
    """One seed's texts and codes."""

    texts: list[str]
    targets: Targets
    test_texts: list[str]
    test_targets: Targets


@dataclass(frozen=True)
class Trained:
    """One training: what it took and what it marks on the test texts."""

    wall_s: float
    cpu_s: float
    marked: NDArray[np.bool_]


def read(name: str, folder: Path = FOLDER) -> tuple[list[str], Targets]:
    """The measured half of a set: its shorter texts, and which has which of the set's commonest codes."""
    lines = (folder / name / "open.jsonl").read_text(encoding="utf-8").split("\n")
    rows = [json.loads(line) for line in lines if line]
    codes = [code for code, _ in Counter(code for row in rows for code in row["labels"]).most_common(CODES)]
    rows = [row for row in rows if fold_of(row["text"], 2) == HALF and len(row["text"].split()) <= MOST_WORDS]
    return [row["text"] for row in rows], np.array([[code in row["labels"] for code in codes] for row in rows])


def draw(name: str, seed: int, labels: int) -> Draw:
    """Labelled texts out of a pool (larger where more labels are wanted than it has), and others to test on."""
    texts, targets = read(name)
    order = np.random.default_rng(seed).permutation(len(texts))
    pool = max(POOL, labels)
    chosen, test = order[:labels], order[pool : pool + TESTED]
    return Draw([texts[i] for i in chosen], targets[chosen], [texts[i] for i in test], targets[test])


def ours(data: Draw, seed: int) -> Trained:
    """The body tuned with the loss over all pairs of a step, and a logistic head."""
    body = load_body(BODY)
    with _timed() as took:
        tuned = TunedBody(tune(body, data.texts, data.targets, TuningSettings(seed=seed)), BODY)
        head = LogisticHead.fit(tuned.embed(data.texts), data.targets)
    return Trained(*took, head.probabilities(tuned.embed(data.test_texts)) > 0.5)


def untuned(data: Draw, _seed: int) -> Trained:
    """A logistic head over the body as it comes."""
    body = TunedBody(load_body(BODY), BODY)
    with _timed() as took:
        head = LogisticHead.fit(body.embed(data.texts), data.targets)
    return Trained(*took, head.probabilities(body.embed(data.test_texts)) > 0.5)


def setfit(data: Draw, seed: int) -> Trained:
    """SetFit with its default arguments; only reports and checkpoints, which cost time, are off."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    with tempfile.TemporaryDirectory(prefix="qualstream-setfit-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SetFitModel.from_pretrained(
            str(packaged_path(BODY)), multi_target_strategy="one-vs-rest", device="cpu", local_files_only=True
        )
        quiet = {"report_to": "none", "save_strategy": "no", "logging_strategy": "no", "show_progress_bar": False}
        arguments = TrainingArguments(output_dir=folder, seed=seed, **quiet)
        rows = Dataset.from_dict({"text": data.texts, "label": data.targets.astype(int).tolist()})
        with _timed() as took:
            Trainer(model=model, args=arguments, train_dataset=rows).train()
        return Trained(*took, np.asarray(model.predict(data.test_texts)).astype(bool))


ARMS: dict[str, Callable[[Draw, int], Trained]] = {"untuned": untuned, "ours": ours, "setfit": setfit}


@contextlib.contextmanager
def _timed() -> Iterator[list[float]]:
    """Seconds by the clock and of this process's CPU, in a list that is filled at the end."""
    took: list[float] = []
    wall, cpu = time.perf_counter(), time.process_time()
    yield took
    took += [time.perf_counter() - wall, time.process_time() - cpu]


def settings_of(arm: str) -> dict[str, Any]:
    """What an arm's lines must have in common to be one measurement."""
    common = {"body": weights_sha256(BODY), "pool": POOL, "tested": TESTED, "half": HALF, "codes": CODES}
    common |= {"words": MOST_WORDS}
    if arm == "setfit":
        return common | {"setfit": version("setfit")}
    if arm == "ours":
        return common | {"tuning": asdict(TuningSettings()), "strength": STRENGTH}
    return common | {"strength": STRENGTH}


class Store:
    """Finished trainings, a line each; those of other settings are passed over."""

    def __init__(self, folder: Path) -> None:
        """Take the folder."""
        self._folder = folder

    def find(self, arm: str, name: str, seed: int, labels: int) -> Run | None:
        """The run of an arm, if it is finished."""
        key = _key(arm)
        path = self._folder / f"{name}.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for line in map(json.loads, lines):
            if (line["key"], line["arm"], line["seed"], line["labels"]) == (key, arm, seed, labels):
                return Run(**{name: value for name, value in line.items() if name != "key"})
        return None

    def add(self, run: Run) -> None:
        """Keep a finished run."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / f"{run.set}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": _key(run.arm), **asdict(run)}) + "\n")


def _key(arm: str) -> str:
    return hashlib.sha256(json.dumps(settings_of(arm), sort_keys=True).encode()).hexdigest()[:12]


def measure(arms: Sequence[str], name: str, seed: int, labels: int = LABELS) -> None:
    """Train the arms of one seed one after the other, each in a process of its own; who is first changes."""
    for arm in arms[::-1] if seed % 2 == 0 else arms:
        subprocess.run(
            [sys.executable, "-m", "benchmarks.retraining", "--one", arm, name, str(seed), str(labels)], check=True
        )


def measure_one(arm: str, name: str, seed: int, labels: int) -> None:
    """Train one arm on one thread, unless that is done."""
    import torch

    store = Store(STORE)
    if store.find(arm, name, seed, labels) is not None:
        return
    torch.set_num_threads(1)
    run = _run(arm, name, seed, labels)
    store.add(run)
    print(f"{datetime.now(UTC):%H:%M:%S} {name} seed {seed}, {labels} labels, {arm}: {run.told}", flush=True)


def _run(arm: str, name: str, seed: int, labels: int) -> Run:
    from sklearn.metrics import f1_score

    data = draw(name, seed, labels)
    trained = ARMS[arm](data, seed)
    by_code = f1_score(data.test_targets, trained.marked, average=None, zero_division=0)
    return Run(
        name,
        arm,
        seed,
        labels,
        trained.wall_s,
        trained.cpu_s,
        float(by_code.mean()),
        by_code.tolist(),
        pairs(data.targets),
    )


def head_alone(labels: int = 500, codes: int = 20, times: int = 21) -> list[float]:
    """CPU milliseconds of fitting a head, one thread: the instant tier, over embeddings that are there already."""
    random = np.random.default_rng(0)
    vectors = random.normal(size=(labels, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    targets = vectors @ random.normal(size=(384, codes)) > 0.05
    LogisticHead.fit(vectors[:50], targets[:50])  # the first fit of a process also imports
    found = []
    for _ in range(times):
        began = time.thread_time()
        LogisticHead.fit(vectors, targets)
        found.append(1000 * (time.thread_time() - began))
    return found


def pairs(targets: Targets) -> int:
    """How many pairs SetFit draws by default: twice the commoner kind, each row with itself included."""
    shared = targets.astype(int) @ targets.T.astype(int) > 0
    alike = int(np.triu(shared).sum())
    total = len(targets) * (len(targets) + 1) // 2
    return 2 * max(alike, total - alike)


def main() -> None:
    parser = options("Retraining beside SetFit's defaults, and what it costs from 45 to 1,000 labels.")
    parser.add_argument("--sets", nargs="+", default=[SETS[0]], choices=SETS, help="sets to measure on")
    parser.add_argument("--seeds", nargs="+", type=int, default=range(SEEDS), help="draws of the labels")
    parser.add_argument("--finished", action="store_true", help="only report what is finished")
    parser.add_argument("--one", nargs=4, metavar=("ARM", "SET", "SEED", "LABELS"), help="one training, no report")
    given = parser.parse_args()
    if given.one:
        arm, name, seed, labels = given.one
        measure_one(arm, name, int(seed), int(labels))
        return
    if not given.finished:
        for name, seed in product(given.sets, given.seeds):
            measure(tuple(ARMS), name, seed)
        for labels, seed in product(SIZES, range(COST_SEEDS)):
            measure(["ours"], SETS[0], seed, labels)
    store = Store(STORE)
    compared = [store.find(arm, name, seed, LABELS) for name, seed, arm in product(given.sets, range(SEEDS), ARMS)]
    cost = [store.find("ours", SETS[0], seed, labels) for labels, seed in product(SIZES, range(COST_SEEDS))]
    found = [[run for run in some if run] for some in (compared, cost)]
    publish_retraining(*found, head_alone(), write=given.write)


if __name__ == "__main__":
    main()
