"""A trainer that is killed while it writes a classifier: the old one serves on, and nothing half written is seen."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.training.trainer import Trainer
from schemas import ModelRelease
from tests.unit.classifier.test_trainer import Desk, labels, refused, released

KILLED = """
import sys
from pathlib import Path
from infra.training.checkpoints import Checkpoints
from tests.unit.classifier import test_trainer as bench

where, folder = sys.argv[1:]

def wait():
    print("now", flush=True)
    sys.stdin.read()

class Stopping(Checkpoints):
    def stage(self, manifest, write, *further):
        def stop(folder):
            write(folder)
            if where == "among its files":
                (folder / "head.json").unlink()
                wait()
        return super().stage(manifest, stop, *further)

    def keep(self, staged):
        if where == "before it is in its place":
            wait()
        kept = super().keep(staged)
        if where == "before anybody hears of it":
            wait()
        return kept

bench.Checkpoints = Stopping
bench.Desk(Path(folder)).learn(bench.labels(140))
"""
ROOT = Path(__file__).parents[2]


def killed(where: str, folder: Path) -> None:
    """Run a trainer in a process of its own, and kill it there."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", KILLED, where, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"now\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("where", ["among its files", "before it is in its place", "before anybody hears of it"])
def test_a_kill_in_the_middle_of_a_save_leaves_the_old_classifier_serving_and_the_next_trainer_trains_again(
    tmp_path, where
):
    (old,) = released(Desk(tmp_path).learn(labels(60, wrong=0.4)))
    study = tmp_path / "classifiers" / "reviews"
    (study / "attempts.json").unlink(missing_ok=True)  # whatever was tried is not known
    killed(where, tmp_path)
    left = [path.name for path in study.iterdir() if path.name.startswith(".staged-")]
    assert len(left) == (where != "before anybody hears of it")

    reader = Desk(tmp_path / "unused")
    reader.checkpoints = type(reader.checkpoints)(tmp_path)
    assert reader.opened(old).probabilities(["advert banner"]).shape == (1, 3)

    next_one = Desk(tmp_path)
    assert [path for path in study.iterdir() if path.name.startswith(".")] == []
    next_one.trainer.add_records([*labels(60, wrong=0.4), old])
    assert next_one.tick() == []  # the old one serves, and was taught just these
    (new,) = released(next_one.learn(labels(140)))
    assert new.replaces == old.version
    assert next_one.opened(new).version == new.version


def test_a_spare_trainer_waits_and_takes_the_place_of_one_that_is_killed(tmp_path):
    script = (
        "import sys; from pathlib import Path; from infra.training.checkpoints import Checkpoints\n"
        "Checkpoints(Path(sys.argv[1])).hold(); print('now', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"now\n"
        spare = Desk(tmp_path).checkpoints
        with pytest.raises(Exception, match="another trainer works in"):
            spare.hold()
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(spare.hold())


def test_labels_that_are_read_again_after_a_kill_change_nothing(tmp_path):
    desk = Desk(tmp_path)
    records = desk.learn(labels(100))
    desk.tick()
    again = Desk(tmp_path)
    again.trainer.add_records([*labels(100), *records])
    assert again.learn(labels(50)) == []
    assert refused(again.tick()) == []
    assert isinstance(again.trainer, Trainer)
    assert isinstance(records[0], ModelRelease)
