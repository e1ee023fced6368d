import json
import logging
from pathlib import Path

import pytest

from infra.settings import load_settings
from infra.training.tracking import MlflowTracking, NoTracking, flat, plain

CONFIGURATION = {"head": "logistic", "tuning": {"passes": 5, "layers": [1, 2]}, "seed": 0}
TAGS = {"data_sha256": "ab" * 32, "coders": "ana, ben"}


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def stored(folder: Path, what: str) -> dict[str, str]:
    """MLflow's own files of the one run in a folder."""
    return {path.name: path.read_text() for path in folder.glob(f"*/*/{what}/*")}


def test_a_run_is_kept_with_configuration_tags_metrics_and_selected_samples(tmp_path):
    with MlflowTracking(f"file:{tmp_path / 'runs'}").run("study/demo", "first: run", CONFIGURATION, TAGS) as run:
        run.metrics({"macro_f1": 0.5, "f1.staff & care (all)": 0.25, "unknown": float("nan")}, 0)
        run.metrics({"macro_f1": 0.75}, 1)
        run.artifact("selected", [["a", "b"], ["ü"]])
    params, tags = stored(tmp_path / "runs", "params"), stored(tmp_path / "runs", "tags")
    assert params == {"head": "logistic", "tuning.passes": "5", "tuning.layers": "[1, 2]", "seed": "0"}
    assert {name: tags[name] for name in TAGS} == TAGS
    metrics = stored(tmp_path / "runs", "metrics")
    assert set(metrics) == {"macro_f1", "f1.staff _ care _all_"}
    assert [line.split()[1:] for line in metrics["macro_f1"].splitlines()] == [["0.5", "0"], ["0.75", "1"]]
    assert json.loads(stored(tmp_path / "runs", "artifacts")["selected.json"]) == [["a", "b"], ["ü"]]


def test_a_run_that_an_exception_leaves_is_kept_as_failed(tmp_path):
    tracking = MlflowTracking(f"file:{tmp_path / 'runs'}")
    with pytest.raises(KeyError), tracking.run("demo", "broken", {}, {}):
        raise KeyError("a fault of the training")
    assert "status: 4" in next((tmp_path / "runs").glob("*/*/meta.yaml")).read_text()


def test_a_server_that_is_away_is_logged_once_and_stops_nothing(caplog):
    clock = Clock()
    tracking = MlflowTracking("http://user:secret@127.0.0.1:9", clock=clock)
    trained = []
    with caplog.at_level(logging.WARNING, "infra.training.tracking"):
        for number in range(3):
            with tracking.run("demo", f"run {number}", CONFIGURATION, TAGS) as run:
                run.metrics({"macro_f1": 0.5}, 0)
                run.artifact("selected", [])
                trained.append(number)
    assert trained == [0, 1, 2]
    said = [record.getMessage() for record in caplog.records if record.name == "infra.training.tracking"]
    assert len(said) == 1
    assert "training goes on" in said[0]
    assert "secret" not in said[0].partition("(")[0]


def test_a_server_is_asked_again_after_a_while(tmp_path, caplog):
    clock = Clock()
    (tmp_path / "runs").write_text("in the way")
    tracking = MlflowTracking(f"file:{tmp_path / 'runs'}", clock=clock)
    with tracking.run("demo", "lost", {}, {}):
        (tmp_path / "runs").unlink()
    with tracking.run("demo", "lost too", {}, {}):
        pass
    clock.now += 301
    with tracking.run("demo", "kept", {}, {}):
        pass
    assert [path.read_text() for path in (tmp_path / "runs").glob("*/*/tags/mlflow.runName")] == ["kept"]


def test_where_runs_are_not_kept_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with NoTracking().run("demo", "run", CONFIGURATION, TAGS) as run:
        run.metrics({"macro_f1": 0.5}, 0)
        run.artifact("selected", [])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "", "  ", "ü (häufig) 👍", "x" * 400, "..", "a\nb"])
def test_a_code_whatever_its_label_makes_a_name_that_stays_in_its_folder(name):
    found = plain(name)
    assert 0 < len(found) <= 250
    assert "/" not in found
    assert not found.startswith(".")


def test_values_in_values_have_names_with_dots():
    assert flat({"a": {"b": {"c": None}}, "d": "x"}) == {"a.b.c": "null", "d": "x"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, "file:{data}/mlruns"),
        ("file:/srv/runs", "file:/srv/runs"),
        ("http://tracking:5000", "http://tracking:5000"),
    ],
)
def test_runs_are_kept_below_the_data_folder_unless_a_place_is_named(tmp_path, given, expected):
    found = load_settings(data_dir=tmp_path, mlflow_url=given).tracking_url
    assert found == expected.format(data=tmp_path)
