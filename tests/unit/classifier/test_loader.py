"""A released classifier is opened as it was saved, shares its body with others, and is refused if it is another."""

import gc
import logging
import pickle
from pathlib import Path

import pytest

from infra.factory.pipeline import build_pipeline
from infra.factory.stores import build_store
from infra.settings import load_settings
from infra.training.checkpoints import Checkpoints
from infra.training.classifier_factory import ClassifierFactory
from infra.training.loader import ClassifierLoader, has_classifiers, out_of_fold_loader
from models.classifier.predictions import Classifiers
from models.classifier.registry import ReleaseRegistry
from models.errors import SettingError
from models.fakes import HashEmbedder
from tests.unit.builders import segment
from tests.unit.classifier.test_checkpoints import CODES, SEGMENT, kept, release


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path)


def opening(checkpoints, opened=None):
    """What opens classifiers; tuned bodies are counted in ``opened``."""

    class Body(HashEmbedder):
        """Stands for a tuned body; unlike the fake that it is, it can be let go of."""

    def open_body(folder: Path) -> Body:
        opened.append(folder)
        return Body()

    return ClassifierLoader(checkpoints.root.parent, ClassifierFactory(HashEmbedder(), open_body=open_body))


def test_an_opened_release_says_what_was_saved(checkpoints):
    made = opening(checkpoints)(release(checkpoints, one := kept(checkpoints)))
    (said,) = made.classify(["too many ads"])
    assert said.guesses[0].label == "ads"
    assert said.model == one.version
    assert made.confidence_threshold == 0.8
    assert made.classifier.codes == tuple(code for code, _ in CODES)


def test_versions_with_one_body_share_it_and_it_goes_with_the_last_of_them(checkpoints):
    opened = []
    opens = opening(checkpoints, opened)
    first = opens(release(checkpoints, kept(checkpoints, body=b"w")))
    second = opens(release(checkpoints, kept(checkpoints, 1, body=b"w")))
    assert first.classifier.body is second.classifier.body
    opens(release(checkpoints, kept(checkpoints, 2, body=b"v")))
    assert len(opened) == 2
    del first, second
    gc.collect()
    opens(release(checkpoints, kept(checkpoints, 3, body=b"w")))
    assert len(opened) == 3


def test_another_study_s_classifier_is_refused(checkpoints):
    one = kept(checkpoints, study="exams")
    for load in (opening(checkpoints), out_of_fold_loader(checkpoints.root.parent)):
        with pytest.raises(SettingError, match="is that of study 'exams' but was released as 'classifier/reviews'"):
            load(release(checkpoints, one))


def test_a_pickle_beside_a_head_is_named_and_the_classifier_before_it_serves_on(checkpoints, caplog, tmp_path):
    serving = ReleaseRegistry(opening(checkpoints))
    told = ReleaseRegistry(out_of_fold_loader(tmp_path))
    one, other = kept(checkpoints), kept(checkpoints, 1)
    (other.folder / "head.pkl").write_bytes(pickle.dumps([1]))
    with caplog.at_level(logging.ERROR):
        for each in (serving, told):
            each.add_releases([release(checkpoints, one)])
            each.add_releases([release(checkpoints, other, released_at=other.manifest.made_at)])
    assert len(caplog.messages) == 2
    assert all("head.pkl is not read" in line for line in caplog.messages)
    (said,) = Classifiers(serving).classify([segment("too many ads")])
    assert said.model == one.version
    assert told.of("reviews").probabilities == {SEGMENT: {CODES[0][0]: 0.25, CODES[1][0]: 0.5}}


def test_the_router_reads_labels_and_probabilities_and_no_model(checkpoints):
    read = out_of_fold_loader(checkpoints.root.parent)(release(checkpoints, kept(checkpoints)))
    assert (dict(read.labels), read.confidence_threshold) == (dict(CODES), 0.8)


def test_a_data_folder_says_whether_it_has_classifiers_of_a_study(checkpoints, tmp_path):
    assert not has_classifiers(tmp_path, "reviews")
    kept(checkpoints)
    assert has_classifiers(tmp_path, "reviews")
    assert not has_classifiers(tmp_path, "exams")


def test_a_file_is_coded_with_the_study_s_classifier_where_the_data_folder_has_one(checkpoints, tmp_path):
    fakes = str(Path(__file__).parents[2] / "data" / "fakes.toml")
    settings = load_settings(data_dir=tmp_path, profile=fakes, study="reviews")
    (before,) = build_pipeline(settings).run([segment("too many ads here")])
    assert before.decision.classified is None
    one = kept(checkpoints)
    store = build_store(settings)
    store.record([release(checkpoints, one)])
    store.close()
    (coded,) = build_pipeline(settings).run([segment("too many ads here")])
    assert coded.decision.classified.model == one.version
    assert coded.assignment.models["classifier"] == one.version
