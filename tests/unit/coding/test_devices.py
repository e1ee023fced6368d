"""A device that is not there is said once, before any segment is read, wherever a model would be put on it."""

from collections.abc import Sequence

import numpy as np
import pytest

from infra.roles.registry import MODULES, find_role
from infra.settings import load_settings
from models.backends.devices import available_device
from models.backends.sentence.embedder import load_body
from models.backends.sentence.token_classifier import TokenClassifier, TokenTraining
from models.backends.token_usage import TokenUsage
from models.backends.weights import load_language_model
from models.errors import SettingError, UnavailableError, WorkerFault
from models.fakes import FakeCoder
from models.pipeline import Pipeline
from schemas import Proposal, Segment
from tests.unit.builders import segment

AWAY = "cuda:99"


def test_what_is_there_is_taken_as_it_is_asked_for():
    assert available_device("cpu") == "cpu"
    assert available_device("auto") in ("cpu", "cuda")


@pytest.mark.parametrize("asked", [AWAY, "cuda:100"])
def test_what_is_not_there_is_refused_with_the_way_out(asked):
    with pytest.raises(SettingError, match=rf"'{asked}' is asked for, but .*; set --device to auto or cpu"):
        available_device(asked, "set --device")


@pytest.mark.parametrize("asked", ["", "gpu", "cuda:", "cuda:-1", "CUDA", "mps", "cuda:0 "])
def test_a_name_that_is_no_device_is_refused(asked):
    with pytest.raises(SettingError, match="is no device that is known here"):
        available_device(asked)


@pytest.mark.parametrize(
    "loading",
    [
        lambda folder: load_language_model("SmolLM2-135M-Instruct", cache=folder, device=AWAY),
        lambda _: load_body("all-MiniLM-L6-v2", AWAY),
        lambda _: TokenClassifier.train("all-MiniLM-L6-v2", ["a"], np.ones((1, 1)), TokenTraining(), AWAY),
    ],
    ids=["language model", "sentence model", "token classifier"],
)
def test_no_model_is_loaded_for_a_device_that_is_not_there(tmp_path, loading):
    with pytest.raises(SettingError, match=AWAY):
        loading(tmp_path)


@pytest.mark.parametrize("role", ["coders", "moderator", "refiner", "router", "trainer"])
def test_a_role_with_models_does_not_start_without_its_device(tmp_path, role):
    assert role in MODULES
    build = find_role(role).build_stage
    assert build is not None
    settings = load_settings(device=AWAY, profile="tests/data/fakes.toml", data_dir=tmp_path)
    with pytest.raises(SettingError, match=AWAY):
        build(settings, TokenUsage())


class Unloadable:
    """Members whose weights cannot be loaded; it counts how often that was tried."""

    members = ("a",)

    def __init__(self, fault: Exception) -> None:
        self.fault, self.tries = fault, 0

    def load(self) -> None:
        self.tries += 1
        raise self.fault

    def propose(self, segments: Sequence[Segment]) -> list[list[Proposal]]:
        self.load()
        return FakeCoder(self.members).propose(segments)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (RuntimeError("CUDA out of memory"), WorkerFault),
        (AssertionError("Torch not compiled with CUDA enabled"), WorkerFault),
        (MemoryError(), WorkerFault),
        (SettingError("no model"), SettingError),
        (UnavailableError("the hub does not answer"), UnavailableError),
    ],
    ids=lambda each: type(each).__name__,
)
def test_models_that_cannot_be_loaded_are_tried_once_and_no_segment_is_blamed(fault, told):
    coder = Unloadable(fault)
    pipeline = Pipeline(coder, None, None, None)  # type: ignore[arg-type]  # what comes later is never reached
    with pytest.raises(told):
        list(pipeline.run(segment(text=f"text {n}") for n in range(40)))
    assert coder.tries == 1
