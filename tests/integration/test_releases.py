"""The trainer on a running stack: labels in, releases out, what is worse refused, a kill survived, a way back."""

import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from infra.local.stack import LocalStack
from infra.training.checkpoints import Checkpoints
from schemas import Annotation, ModelRelease
from streams.publish import outgoing
from streams.topology import RELEASES
from tests.integration.stack import STUDY, environment, kill, lag, messages, publish, running, until
from tests.unit.classifier.test_checkpoints import Evil
from tests.unit.classifier.test_trainer import labels, refused, released

Cli = Callable[..., subprocess.CompletedProcess[str]]
MODEL = f"classifier/{STUDY}"


def qualstream(folder: Path, options: Mapping[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    command, env = [sys.executable, "-m", "infra.cli", *args], environment(folder, **options)
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)


class Watched:
    """A stack's releases, and people's labels."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack

    def say(self, said: list[Annotation]) -> None:
        publish(self.stack.cluster, [outgoing(one) for one in said])
        until(lambda: lag(self.stack.cluster, "trainer") == 0, self.stack)

    @property
    def releases(self) -> list[ModelRelease]:
        return [ModelRelease.from_bytes(raw) for raw in messages(self.stack.cluster, RELEASES.name)]

    def await_released(self, count: int) -> ModelRelease:
        until(lambda: len(released(self.releases)) >= count, self.stack)
        return max(released(self.releases), key=lambda one: one.released_at)


@pytest.mark.slow
def test_labels_are_taught_worse_is_refused_a_kill_is_survived_and_a_person_can_go_back(tmp_path, brokers):
    folder = tmp_path / "data"
    with running(folder, roles=("trainer", "recorder"), brokers=brokers) as (stack, store):
        watched = Watched(stack)
        cli = partial(qualstream, folder, brokers.options)
        watched.say(labels(60, wrong=0.4))
        first = watched.await_released(1)
        assert (first.model, first.study) == (MODEL, STUDY)
        watched.say(labels(100, start=60))
        until(lambda: released(watched.releases)[-1].version != first.version, stack)

        kill(stack.pids()["trainer"])
        watched.say(labels(60, start=160, wrong=1.0))
        until(lambda: bool(refused(watched.releases)), stack)
        serves = watched.await_released(2)
        assert refused(watched.releases)[-1].replaces == serves.version
        assert Checkpoints(folder).load(serves).version == serves.version

        until(lambda: len(list(store.history(ModelRelease))) == len(watched.releases), stack)
        assert_listed(cli, serves)
        assert_refusals(cli, refused(watched.releases)[-1], serves)
        back = cli("learn", "rollback", first.version, "--author", "lea")
        assert back.returncode == 0, back.stderr
        until(lambda: watched.await_released(2).version == first.version, stack)
        assert watched.await_released(2).author == "lea"
        assert_a_pickle_is_passed_over(cli, folder, watched, first, tmp_path / "marker")
    store.close()


def assert_listed(cli: Cli, serves: ModelRelease) -> None:
    table = cli("learn", "releases").stdout
    (line,) = [line for line in table.splitlines() if line.startswith("serves")]
    assert serves.version in line
    assert "refused" in table


def assert_refusals(cli: Cli, no: ModelRelease, serves: ModelRelease) -> None:
    for version, found in (
        ("20200101T000000Z-00000000", "no version '20200101T000000Z-00000000'"),
        (no.version, "was refused and has never served"),
        (serves.version, "serves already"),
    ):
        done = cli("learn", "rollback", version)
        assert done.returncode == 1
        assert found in done.stderr


def assert_a_pickle_is_passed_over(cli: Cli, folder: Path, watched: Watched, good: ModelRelease, marker: Path) -> None:
    """Somebody who can write to broker and folder offers a pickle as a head."""
    evil = folder / "classifiers" / STUDY / "20990101T000000Z-00000000"
    evil.mkdir()
    for name in ("head.safetensors", "head.pkl"):
        (evil / name).write_bytes(pickle.dumps(Evil(marker)))
    now = datetime.now(UTC)
    offered = good.model_copy(update={"version": evil.name, "uri": f"file:{evil}", "released_at": now})
    publish(watched.stack.cluster, [outgoing(offered)])
    log = watched.stack.log_dir / "trainer.log"
    until(lambda: "head.pkl is not read" in log.read_text(encoding="utf-8"), watched.stack)
    done = cli("learn", "rollback", evil.name, "--author", "mallory")
    assert done.returncode != 0
    assert not marker.exists()
