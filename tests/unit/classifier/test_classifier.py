"""A classifier of a study: saved without anything that could run, the same after loading, and nothing else is read."""

import json
import pickle
from pathlib import Path
from uuid import UUID, uuid5

import numpy as np
import pytest

from models.backends.sentence.classifier import BODY, HEAD_FACTS, HEAD_TENSORS, TextClassifier
from models.backends.sentence.contrastive import TunedBody
from models.backends.sentence.embedder import SentenceEmbedder, load_body
from models.backends.sentence.heads import LogisticHead
from models.errors import SettingError
from models.fakes import HashEmbedder
from models.ports import Classifier

TEXTS = ["the app is slow", "it crashes all day", "slow slow slow", "lovely teachers", "crashes and is slow"]
TARGETS = np.array([[1, 0], [0, 1], [1, 0], [0, 0], [1, 1]], dtype=bool)
CODES = tuple(uuid5(UUID(int=0), name) for name in ("slow", "crashes"))
BASE = HashEmbedder()


def made(body: SentenceEmbedder | HashEmbedder = BASE) -> TextClassifier:
    return TextClassifier(body, LogisticHead.fit(body.embed(TEXTS), TARGETS), CODES, ("slow", "crashes"), version="v1")


def test_it_is_a_classifier_whose_columns_are_its_codes() -> None:
    classifier: Classifier = made()
    assert classifier.version == "v1"
    assert classifier.codes == CODES
    assert classifier.probabilities(TEXTS).shape == (5, 2)
    assert classifier.probabilities([]).shape == (0, 2)
    assert ((classifier.probabilities(TEXTS) > 0.5) == TARGETS).all()


def test_over_an_untuned_body_only_the_head_is_saved(tmp_path: Path) -> None:
    before = made()
    before.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {HEAD_TENSORS, HEAD_FACTS}
    after = TextClassifier.load(tmp_path, BASE, version="v2")
    assert (after.probabilities(TEXTS) == before.probabilities(TEXTS)).all()
    assert (after.codes, after.labels, after.version) == (CODES, ("slow", "crashes"), "v2")


def test_a_tuned_body_is_saved_with_it_in_files_that_hold_no_code(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    model = load_body()
    next(model.parameters()).data.mul_(1.5)
    before = made(TunedBody(model, "tuned"))
    before.save(tmp_path)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} <= {".safetensors", ".json", ".txt"}
    after = TextClassifier.load(tmp_path)
    assert np.abs(after.probabilities(TEXTS) - before.probabilities(TEXTS)).max() < 1e-6


def test_an_untuned_body_is_found_again_by_its_name(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    before = made(SentenceEmbedder())
    before.save(tmp_path)
    assert not (tmp_path / BODY).exists()
    assert np.abs(TextClassifier.load(tmp_path).probabilities(TEXTS) - before.probabilities(TEXTS)).max() < 1e-6


class Trap:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("sprung"),))


@pytest.mark.parametrize("name", ["model_head.pkl", "head.safetensors.bin", "body/pytorch_model.bin", "extra.joblib"])
def test_a_folder_with_a_pickle_is_refused_before_anything_is_read(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made().save(tmp_path / "saved")
    place = tmp_path / "saved" / name
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(SettingError, match=f"{place.name} is not read"):
        TextClassifier.load(tmp_path / "saved", BASE)
    assert not (tmp_path / "sprung").exists()


def test_a_pickle_under_a_safe_name_is_refused_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made().save(tmp_path)
    (tmp_path / HEAD_TENSORS).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(SettingError, match="it is a pickle"):
        TextClassifier.load(tmp_path, BASE)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("facts", ["", "[]", "{}", '{"format": 99, "kind": "logistic"}', '{"format": 1, "kind": "x"}'])
def test_a_head_of_another_format_is_a_setting_error(tmp_path: Path, facts: str) -> None:
    made().save(tmp_path)
    (tmp_path / HEAD_FACTS).write_text(facts, encoding="utf-8")
    with pytest.raises(SettingError, match="train"):
        TextClassifier.load(tmp_path, BASE)


def test_a_head_whose_codes_and_columns_differ_is_a_setting_error(tmp_path: Path) -> None:
    made().save(tmp_path)
    facts = json.loads((tmp_path / HEAD_FACTS).read_text(encoding="utf-8"))
    facts["codes"] = facts["codes"][:1]
    (tmp_path / HEAD_FACTS).write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(SettingError, match="1 codes"):
        TextClassifier.load(tmp_path, BASE)


def test_a_body_of_another_width_is_a_setting_error(tmp_path: Path) -> None:
    made().save(tmp_path)
    with pytest.raises(SettingError, match="columns"):
        TextClassifier.load(tmp_path, HashEmbedder(dim=BASE.dim + 1))


def test_nothing_there_is_a_setting_error(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="no classifier in"):
        TextClassifier.load(tmp_path / "none", BASE)
