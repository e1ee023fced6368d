"""What is known of labels that a body was tuned on: out of fold when it was tuned, and of nothing newer than that."""

from dataclasses import replace

import numpy as np

from infra.training.background import ThreadTask
from infra.training.candidates import Champion, teach_head, teach_tuned
from infra.training.checkpoints import Checkpoints
from infra.training.classifier_factory import ClassifierFactory, sentence_classifier_factory
from infra.training.releases import announce
from infra.training.trainer import Trainer, TrainerSettings
from models.annotation.human_decision import LatestAnnotations
from models.backends.sentence.contrastive import TunedBody
from models.backends.sentence.embedder import SentenceEmbedder
from models.classifier.promotion import PromotionResult
from models.classifier.training_set import training_set
from models.codebook.codebook import Codebook
from models.fakes import HandClock, HashEmbedder
from schemas.ids import code_id
from tests.unit.classifier.test_trainer import STUDY, WORDS, codebook_event, labels, tune_well

TAKEN = PromotionResult(True, "")


def labelled(count):
    return training_set(LatestAnnotations(labels(count)), Codebook())


class Remembers(HashEmbedder):
    """A body that was tuned and knows what it was tuned on by heart: of nothing else can it tell anything."""

    def __init__(self, texts, targets):
        super().__init__(len(WORDS))
        self._codes = dict(zip(texts, targets.argmax(axis=1).tolist(), strict=True))

    def embed(self, texts):
        rows = np.ones((len(texts), len(WORDS)), dtype=np.float32) / len(WORDS) ** 0.5
        for n, text in enumerate(texts):
            if text in self._codes:
                rows[n] = np.eye(len(WORDS))[self._codes[text]]
        return rows


def test_what_a_tuned_body_knows_by_heart_is_known_out_of_fold_neither_when_it_is_tuned_nor_under_later_heads():
    said, later = labels(100), labels(20, start=100)
    codebook, factory = Codebook(), ClassifierFactory(HashEmbedder(), Remembers)
    tuned = teach_tuned(factory, training_set(LatestAnnotations(said), codebook))
    assert share_right(tuned, tuned.tuned_on) < 0.5  # one of three, by chance
    known = tuned.predictions.probabilities
    champion = Champion(tuned.classifier, tuned.thresholds, "1", len(said), known, tuned.tuned_on)
    data, body = training_set(LatestAnnotations([*said, *later]), codebook), tuned.classifier.body
    head = teach_head(factory, body, data, champion.seen_by_body(codebook))
    assert head.tuned_on == {one.segment_id for one in said}
    assert {one: head.predictions.probabilities[one] for one in head.tuned_on} == known
    assert share_right(teach_head(factory, body, data), head.tuned_on) == 1  # what a head alone would believe


def share_right(candidate, segments):
    """Of the segments, how many have the code that is the likeliest by what is known out of fold."""
    values = candidate.predictions.probabilities
    told = {row.segment: row.codes for row in candidate.data.rows}
    return np.mean([max(values[one], key=values[one].get) in told[one] for one in segments])


def test_what_a_body_has_seen_is_known_by_the_codes_as_they_are_now():
    said, codebook = labels(100), Codebook()
    tuned = teach_tuned(ClassifierFactory(HashEmbedder(), tune_well), training_set(LatestAnnotations(said), codebook))
    known = tuned.predictions.probabilities
    champion = Champion(tuned.classifier, tuned.thresholds, "1", len(said), known, tuned.tuned_on)
    codebook.add([codebook_event("merged", "speed", into="price")])
    speed, price = code_id(STUDY, "speed"), code_id(STUDY, "price")
    for segment_, values in champion.seen_by_body(codebook).items():
        assert speed not in values
        assert values[price] == max(known[segment_][price], known[segment_][speed])


def test_what_a_body_was_tuned_on_comes_back_from_the_disk_and_stays_with_later_heads_on_it(body, tmp_path):
    TunedBody(body, "tiny").save(tmp_path / "tiny")
    factory = sentence_classifier_factory(
        SentenceEmbedder(str(tmp_path / "tiny")), str(tmp_path / "tiny"), "cpu", "contrastive"
    )
    checkpoints = Checkpoints(tmp_path)
    tuned, few, more = teach_tuned(factory, labelled(60)), labelled(60), labelled(75)
    first = announce(checkpoints, STUDY, tuned, TAKEN, None, HandClock().now())
    trainer = Trainer(factory, checkpoints, ThreadTask(), HandClock(), TrainerSettings())
    trainer.add_records([first])
    trainer.tick()
    champion = trainer._serving.of(STUDY).champion
    assert champion.tuned_on == {row.segment for row in few.rows}
    head = teach_head(factory, champion.classifier.body, more, champion.seen_by_body(Codebook()))
    second = announce(checkpoints, STUDY, head, TAKEN, first, HandClock().now())
    assert checkpoints.load(second).tuned_on() == champion.tuned_on
    known = checkpoints.load(second).out_of_fold()
    assert known.keys() == {row.segment for row in more.rows}
    assert {one: known[one] for one in champion.tuned_on} == champion.unseen
    untuned = teach_head(factory, factory.base, more)
    third = announce(checkpoints, STUDY, untuned, TAKEN, second, HandClock().now())
    assert checkpoints.load(third).tuned_on() == frozenset()


def test_of_a_tuned_body_from_before_that_was_written_down_any_label_may_have_been_seen(body, tmp_path):
    TunedBody(body, "tiny").save(tmp_path / "tiny")
    factory = sentence_classifier_factory(
        SentenceEmbedder(str(tmp_path / "tiny")), str(tmp_path / "tiny"), "cpu", "contrastive"
    )
    checkpoints, data = Checkpoints(tmp_path), labelled(60)
    earlier = replace(teach_tuned(factory, data), tuned_on=frozenset())
    release = announce(checkpoints, STUDY, earlier, TAKEN, None, HandClock().now())
    assert checkpoints.load(release).tuned_on() == {row.segment for row in data.rows}
