"""SetFit in the product: its library teaches, and what comes of it is saved, loaded and served as any classifier is."""

import json

import numpy as np
import pytest

from infra.profiles.loading import load_profile
from infra.training.candidates import compare, teach_tuned
from infra.training.checkpoints import Checkpoints
from infra.training.classifier_factory import saved_body, sentence_classifier_factory
from infra.training.loader import ClassifierLoader
from infra.training.releases import announce
from models.annotation.human_decision import LatestAnnotations
from models.backends.sentence.classifier import TextClassifier
from models.backends.sentence.contrastive import TunedBody
from models.backends.sentence.embedder import load_body
from models.backends.sentence.heads import DifferentiableHead, LogisticHead
from models.backends.sentence.setfit_training import SetFitSettings, teach
from models.classifier.promotion import PromotionCriteria
from models.classifier.training_set import training_set
from models.codebook.codebook import Codebook
from models.errors import SettingError
from models.fakes import HandClock
from schemas import Annotation
from schemas.ids import code_id
from tests.unit.builders import segment
from tests.web.site import FAKES

torch = pytest.importorskip("torch")
setfit = pytest.importorskip("setfit")

TEXTS = [
    "the app is slow",
    "so slow today",
    "loading takes ages",
    "it crashes all day",
    "crashed again",
    "closes by itself",
    "slow, and then it crashes",
    "hello",
]
TARGETS = np.array([[1, 0]] * 3 + [[0, 1]] * 3 + [[1, 1], [0, 0]], dtype=bool)
CODES = [code_id("reviews", label) for label in ("slow app", "crashes")]
QUICK = {"iterations": 2, "head_epochs": 8}


@pytest.fixture(scope="module", params=["logistic", "differentiable"])
def taught(request, body):
    settings = SetFitSettings(head=request.param, **QUICK)
    return (*teach(body, TEXTS, TARGETS, settings), settings)


def weights(model):
    return torch.cat([each.detach().flatten() for each in model.parameters()])


def test_it_has_learnt_what_it_was_taught_and_the_body_that_was_given_stays(taught, body):
    tuned, head, _ = taught
    decided = head.probabilities(TunedBody(tuned, "any").embed(TEXTS)) > 0.5
    assert (decided == TARGETS).mean() > 0.8
    assert not torch.equal(weights(tuned), weights(body))
    original = load_body()[0].auto_model.encoder.layer[0].state_dict()
    kept = body[0].auto_model.encoder.layer[0].state_dict()
    assert all(torch.equal(kept[name], tensor) for name, tensor in original.items())


def test_it_says_after_it_was_saved_and_loaded_what_it_said_before_without_a_pickle(taught, tmp_path):
    tuned, head, settings = taught
    made = TextClassifier(TunedBody(tuned, "MiniLM, tuned by SetFit"), head, CODES, ["slow app", "crashes"])
    made.save(tmp_path / "it")
    endings = {path.suffix for path in (tmp_path / "it").rglob("*") if path.is_file()}
    assert endings <= {".json", ".safetensors", ".txt"}
    assert json.loads((tmp_path / "it" / "head.json").read_text())["kind"] == settings.head
    opened = TextClassifier.load(tmp_path / "it", saved_body(tmp_path / "it" / "body", "cpu"))
    assert isinstance(opened.head, LogisticHead if settings.head == "logistic" else DifferentiableHead)
    assert np.allclose(opened.probabilities(TEXTS), made.probabilities(TEXTS), atol=1e-5)


def test_our_head_gives_the_probabilities_that_setfits_own_gives(body):
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    tuned, head = teach(body, TEXTS, TARGETS, SetFitSettings(**QUICK))
    rows = TunedBody(tuned, "any").embed(TEXTS)
    theirs = OneVsRestClassifier(LogisticRegression()).fit(rows, TARGETS.astype(int)).predict_proba(rows)
    assert np.allclose(head.probabilities(rows), theirs, atol=1e-3)


@pytest.mark.parametrize("kind", ["logistic", "differentiable"])
def test_a_study_of_a_single_code_and_codes_that_all_or_no_texts_have_are_taught_too(body, kind):
    settings = SetFitSettings(head=kind, iterations=1, head_epochs=4)
    one = np.array([[1, 1, 0]] * 3 + [[0, 1, 0]] * 5, dtype=bool)
    tuned, head = teach(body, TEXTS, one, settings)
    probabilities = head.probabilities(TunedBody(tuned, "any").embed(TEXTS))
    assert probabilities.shape == (8, 3)
    assert probabilities[:, 1].min() > 0.99
    assert probabilities[:, 2].max() < 0.01
    assert probabilities[:3, 0].mean() > probabilities[3:, 0].mean()


def test_the_same_labels_give_the_same_classifier_and_nobody_elses_random_numbers_change(body):
    torch.manual_seed(5)
    before = torch.rand(1)
    torch.manual_seed(5)
    (_, first), (_, again) = (teach(body, TEXTS, TARGETS, SetFitSettings(iterations=1)) for _ in range(2))
    assert np.array_equal(first.weights, again.weights)
    assert torch.equal(torch.rand(1), before)


def test_the_trainer_teaches_with_it_and_releases_it_through_the_same_gate(body, tmp_path):
    TunedBody(body, "tiny").save(tmp_path / "tiny")
    factory = sentence_classifier_factory(TunedBody(body, "tiny"), str(tmp_path / "tiny"), "cpu", "setfit")
    assert factory.tunes
    data = labelled(16)
    candidate = teach_tuned(factory, data)
    result = compare(candidate, None, Codebook(), PromotionCriteria(least=4))
    assert result.promoted, result.why
    checkpoints = Checkpoints(tmp_path)
    released = announce(checkpoints, "reviews", candidate, result, None, HandClock().now())
    assert released.why.startswith("a body tuned by SetFit taught ")
    opened = ClassifierLoader(tmp_path, factory)(released)
    texts = [row.text for row in data.rows]
    assert np.allclose(opened.classifier.probabilities(texts), candidate.classifier.probabilities(texts), atol=1e-5)


def labelled(count):
    """Texts that say by one word which of two codes they have."""
    words = ["slow lag wait", "crash closes error"]
    coded = [
        Annotation(
            segment_id=segment(key=str(n)).id,
            study="reviews",
            annotator="ana",
            code_ids=[CODES[n % 2]],
            labels=[["slow app", "crashes"][n % 2]],
            text=f"{words[n % 2]} {n}",
            decided_at=HandClock().now(),
        )
        for n in range(count)
    ]
    return training_set(LatestAnnotations(coded), Codebook(), least_examples=2)


def test_a_profile_chooses_the_method_and_an_unknown_one_is_refused(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(FAKES.read_text() + '[trainer]\nmethod = "setfit"\n')
    assert load_profile(file).trainer.method == "setfit"
    file.write_text(FAKES.read_text() + '[trainer]\nmethod = "magic"\n')
    with pytest.raises(SettingError, match="'contrastive', 'setfit' or 'setfit-differentiable'"):
        load_profile(file)


def test_texts_without_targets_are_refused(body):
    with pytest.raises(ValueError, match="one row of targets each"):
        teach(body, TEXTS, TARGETS[:3])
