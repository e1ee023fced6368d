"""What the trainer makes of people's labels: heads at once, bodies when due, releases only of what is better."""

import random
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import numpy as np
import pytest

from infra.training.background import ThreadTask
from infra.training.candidates import Champion, compare, teach_head
from infra.training.checkpoints import Checkpoints
from infra.training.classifier_factory import ClassifierFactory
from infra.training.query_pool import Pool, Unlabelled
from infra.training.releases import again
from infra.training.trainer import Trainer, TrainerSettings
from infra.training.training_log import TrainingLog
from models.annotation.human_decision import LatestAnnotations
from models.classifier.promotion import PromotionCriteria
from models.classifier.schedule import Schedule
from models.classifier.training_set import training_set
from models.codebook.codebook import Codebook
from models.errors import SettingError, UnavailableError
from models.fakes import HandClock, HashEmbedder
from schemas import Annotation, AnnotationRequest, Assignment, CodeEvent, DriftAlert, ModelRelease
from schemas.ids import code_id
from streams.stage import Received
from streams.stages.trainer import TrainerStage
from streams.topology import ALERTS, CODEBOOK, LABELS, RELEASES, REQUESTS, STUDIES, role
from tests.unit.builders import rules, segment

STUDY = "reviews"
WORDS = {"ads": "advert banner", "price": "cost cheap", "speed": "slow lag"}
OTHER = [f"word{n}" for n in range(60)]


def labels(count, *, start=0, wrong=0.0, minute=0, by="ana"):
    """People code texts by a word in them; a share of the codes is wrong."""
    made = []
    for n in range(start, start + count):
        draw = random.Random(n)
        true = draw.choice(list(WORDS))
        code = draw.choice(list(WORDS)) if draw.random() < wrong else true
        made.append(label(f"s{n}", f"{WORDS[true]} {' '.join(draw.sample(OTHER, 2))}", code, minute=minute, by=by))
    return made


def label(key, text, *codes, minute=0, by="ana", **values):
    return Annotation(
        segment_id=segment(key=key).id,
        study=STUDY,
        annotator=by,
        code_ids=[code_id(STUDY, code) for code in codes],
        labels=list(codes),
        text=text,
        decided_at=HandClock().now() + timedelta(minutes=minute),
        **values,
    )


class AtOnce:
    """Where work is done before ``start`` returns."""

    def __init__(self):
        self._done = []

    @property
    def busy(self):
        return bool(self._done)

    def start(self, work):
        try:
            result = work()
        except Exception as error:
            self._done.append((None, error))
        else:
            self._done.append((result, None))

    def collect(self):
        if not self._done:
            return None
        result, error = self._done.pop()
        if error is not None:
            raise error
        return result


class Endless:
    """Where work is begun and never done."""

    busy = False

    def start(self, work):
        self.busy = True

    def collect(self):
        return None


class Desk:
    """A trainer on a folder, with a clock that the test turns and bodies that are tuned at once."""

    def __init__(self, folder, *, tune=None, pool=None, side=None, every=25, track=None):
        self.clock = HandClock()
        self.clock.advance(3600)
        self.checkpoints = Checkpoints(folder)
        self.factory = ClassifierFactory(HashEmbedder(), tune)
        self.side = side or AtOnce()
        settings = TrainerSettings(schedule=Schedule(every, 60.0))
        self.trainer = Trainer(self.factory, self.checkpoints, self.side, self.clock, settings, pool=pool, track=track)

    def learn(self, said):
        self.clock.advance(1)
        return self.trainer.add_annotations(said)

    def tick(self, seconds=1):
        self.clock.advance(seconds)
        return self.trainer.tick()

    def opened(self, release):
        return self.factory.open(self.checkpoints.load(release))


def released(records):
    return [one for one in records if isinstance(one, ModelRelease) and one.outcome == "released"]


def refused(records):
    return [one for one in records if isinstance(one, ModelRelease) and one.outcome == "refused"]


def test_a_head_is_released_as_soon_as_there_are_labels_to_test_it_on(tmp_path):
    desk = Desk(tmp_path)
    early = desk.learn(labels(20))
    assert released(early) == []
    assert "are too few to compare on" in refused(early)[0].why
    assert refused(early)[0].uri == ""
    (first,) = released(desk.learn(labels(80, start=20)))
    assert (first.model, first.study, first.author, first.replaces) == ("classifier/reviews", STUDY, "trainer", None)
    assert set(first.per_code) == set(WORDS)
    assert first.metrics["macro_f1"] > 0.9
    assert first.why.startswith("a head taught ")
    assert (first.labels, first.metrics["held_out"]) == (100, 100)
    opened = desk.opened(first)
    best = opened.probabilities(["advert banner", "slow lag"]).argmax(axis=1)
    assert [opened.codes[at] for at in best] == [code_id(STUDY, "ads"), code_id(STUDY, "speed")]


def test_a_head_is_taught_all_labels_and_each_is_known_by_a_head_that_was_not_taught_it(tmp_path):
    desk = Desk(tmp_path)
    said = labels(100)
    (first,) = released(desk.learn(said))
    checkpoint = desk.checkpoints.load(first)
    unseen, opened = checkpoint.out_of_fold(), desk.opened(first)
    assert set(unseen) == {one.segment_id for one in said}
    assert checkpoint.manifest.labels == len(said)
    own = opened.probabilities([one.text for one in said])
    folds = np.array([[unseen[one.segment_id][code] for code in opened.codes] for one in said])
    right = np.array([[code == one.code_ids[0] for code in opened.codes] for one in said])
    assert own[right].mean() > folds[right].mean() + 0.01


def test_a_head_is_compared_by_what_is_known_out_of_fold_of_what_it_was_taught():
    said = labels(100)
    latest, codebook = LatestAnnotations(said), Codebook()
    factory = ClassifierFactory(HashEmbedder())
    candidate = teach_head(factory, factory.base, training_set(latest, codebook))
    known = candidate.predictions.probabilities
    champion = Champion(candidate.classifier, candidate.thresholds, "1", len(said), known)
    by_itself = Champion(candidate.classifier, candidate.thresholds, "1", len(said))
    criteria = PromotionCriteria()
    same = compare(candidate, champion, codebook, criteria)
    assert same.difference.mean == 0
    assert f"on {len(said)} labels" in same.why
    assert compare(candidate, by_itself, codebook, criteria).difference.mean <= 0  # it was taught what it is asked
    none_known = replace(champion, unseen={segment: dict.fromkeys(row, 0.0) for segment, row in known.items()})
    assert compare(candidate, none_known, codebook, criteria).before == 0


def test_one_that_is_worse_is_refused_says_so_and_the_old_one_serves_on(tmp_path):
    desk = Desk(tmp_path)
    (first,) = released(desk.learn(labels(100)))
    after = desk.learn(labels(60, start=100, wrong=1.0))
    (no,) = refused(after)
    assert released(after) == []
    assert no.replaces == first.version
    assert f"not better: macro-F1 {no.metrics['macro_f1']:.3f} against" in no.why
    folders = [path.name for path in (tmp_path / "classifiers" / STUDY).iterdir() if path.is_dir()]
    assert folders == [first.version]


def test_refusals_of_heads_are_told_once_in_a_while_and_not_at_every_label(tmp_path):
    desk = Desk(tmp_path)
    told = [desk.learn(labels(1, start=n)) for n in range(60)]
    assert 2 <= sum(len(refused(one)) for one in told) <= 4


def test_the_same_labels_again_lead_to_nothing(tmp_path):
    desk = Desk(tmp_path)
    assert desk.learn(labels(100))
    assert desk.learn(labels(100)) == []
    assert desk.tick() == []


def test_a_trainer_that_starts_again_goes_on_where_the_last_one_was(tmp_path):
    desk = Desk(tmp_path)
    records = desk.learn(labels(100))
    desk.tick()
    next_one = Desk(tmp_path)
    next_one.trainer.add_records([*labels(100), *records])
    assert next_one.tick() == []
    (no,) = refused(next_one.learn(labels(60, start=100, wrong=1.0)))
    assert no.replaces == released(records)[0].version


def test_labels_follow_the_codebook_and_a_merge_leads_to_another_head(tmp_path):
    desk = Desk(tmp_path)
    (first,) = released(desk.learn(labels(100)))
    assert len(desk.checkpoints.load(first).manifest.codes) == 3
    desk.trainer.add_records([codebook_event("merged", "speed", into="price")])
    for record in desk.tick():
        assert isinstance(record, ModelRelease)
        assert set(record.per_code) <= {"ads", "price"}
    assert desk.trainer._studies[STUDY].data.codes == tuple(
        sorted((code_id(STUDY, "ads"), code_id(STUDY, "price")), key=lambda c: c != code_id(STUDY, "price"))
    )
    desk.trainer.add_records([codebook_event("defined", "ads")])
    assert desk.tick() == []


def codebook_event(kind, label, into=None):
    return CodeEvent(
        id=uuid4(),
        code_id=code_id(STUDY, label),
        study=STUDY,
        kind=kind,
        label=label,
        author="lea",
        at=HandClock().now(),
        into=[code_id(STUDY, into)] if into else [],
    )


# Tuning


class Wide(HashEmbedder):
    """A body that tells more words apart: stands for a tuned one."""


def tune_well(texts, targets):
    return Wide(256)


def tune_badly(texts, targets):
    return HashEmbedder(2)


def test_a_body_is_tuned_when_it_is_due_and_released_only_if_it_is_better(tmp_path):
    desk = Desk(tmp_path, tune=tune_badly)
    (first,) = released(desk.learn(labels(100)))
    (no,) = refused(desk.tick())
    assert no.why.startswith("a tuned body taught ")
    assert no.replaces == first.version
    assert desk.tick() == []  # it is not tried again on the same labels
    assert refused(desk.learn(labels(24, start=100))) == []
    desk.learn(labels(1, start=124))
    assert any(one.why.startswith("a tuned body") for one in refused(desk.tick()))


def hard(count, start=0):
    """Texts of many words, of which one decides: more than 32 directions can tell apart."""
    made = []
    for n in range(start, start + count):
        draw = random.Random(n)
        code = draw.choice(list(WORDS))
        made.append(label(f"h{n}", f"{' '.join(draw.sample(OTHER, 9))} {WORDS[code].split()[0]}", code))
    return made


def test_a_tuned_body_that_is_better_takes_the_heads_place_with_out_of_fold_probabilities(tmp_path):
    desk = Desk(tmp_path, tune=tune_well)
    said = hard(160)
    before = released(desk.learn(said))
    (better,) = released(desk.tick())
    assert better.why.startswith("a tuned body taught ")
    assert better.replaces == (before[-1].version if before else None)
    checkpoint = desk.checkpoints.load(better)
    assert checkpoint.manifest.tier == "tuned"
    assert set(checkpoint.out_of_fold()) == checkpoint.tuned_on() == {one.segment_id for one in said}


def test_a_tuning_that_fails_leaves_the_stream_alone(tmp_path, caplog):
    def fail(texts, targets):
        raise SettingError("no such model")

    desk = Desk(tmp_path, tune=fail)
    assert released(desk.learn(labels(100)))
    assert desk.tick() == []
    assert "a training in the background failed" in caplog.text
    assert desk.tick() == []


def test_drift_and_time_call_for_a_tuning_too(tmp_path):
    desk = Desk(tmp_path, tune=tune_badly)
    desk.learn(labels(100))
    desk.tick()
    at = desk.clock.now() + timedelta(seconds=1)
    alert = DriftAlert(id=uuid4(), study=STUDY, kind="mmd", cause="input", at=at, detected_at=at, p=0.01, effect=0.2)
    desk.trainer.add_records([alert])
    desk.tick()
    assert any("a tuned body" in one.why for one in refused(desk.tick()))
    desk.learn(labels(1, start=100))
    assert desk.tick() == []
    desk.tick(3600)
    assert any("a tuned body" in one.why for one in refused(desk.tick()))


def test_a_trainer_that_dies_while_it_tunes_tunes_again_at_its_next_start(tmp_path):
    side = ThreadTask()
    dying = Desk(tmp_path, tune=tune_badly, side=side)
    records = dying.learn(labels(100))
    assert side.busy  # and nobody collects what it comes to
    next_one = Desk(tmp_path, tune=tune_badly)
    next_one.trainer.add_records([*labels(100), *records])
    next_one.tick()
    assert any("a tuned body" in one.why for one in refused(next_one.tick()))


def test_labels_that_come_while_it_tunes_do_not_make_an_attempt_of_what_never_ended(tmp_path):
    dying = Desk(tmp_path, tune=tune_badly, side=Endless())
    records = [*dying.learn(labels(100)), *dying.learn(labels(10, start=100)), *dying.tick()]
    next_one = Desk(tmp_path, tune=tune_badly)
    next_one.trainer.add_records([*labels(110), *records])
    next_one.tick()
    assert any("a tuned body" in one.why for one in refused(next_one.tick()))


def test_what_was_tried_and_published_is_not_tried_again_after_a_restart(tmp_path):
    desk = Desk(tmp_path, tune=tune_badly)
    records = [*desk.learn(labels(100)), *desk.tick(), *desk.tick()]
    next_one = Desk(tmp_path, tune=tune_badly)
    next_one.trainer.add_records([*labels(100), *records])
    assert [*next_one.tick(), *next_one.tick()] == []


# Going back


def test_what_a_person_goes_back_to_serves_until_there_are_enough_new_labels(tmp_path):
    desk = Desk(tmp_path)
    (first,) = released(desk.learn(labels(60, wrong=0.5)))
    (second,) = released(desk.learn(labels(90, start=60)))
    back = again(first, second, "lea", desk.clock)
    desk.trainer.add_records([back])
    assert desk.learn(labels(10, start=150, minute=100)) == []
    (third,) = released(desk.learn(labels(20, start=160, minute=100)))
    assert third.replaces == first.version
    assert third.released_at > back.released_at


def test_a_classifier_that_cannot_be_loaded_is_passed_over(tmp_path, caplog):
    desk = Desk(tmp_path)
    (first,) = released(desk.learn(labels(100)))
    (desk.checkpoints.load(first).folder / "head.pkl").write_bytes(b"\x80\x04N.")
    next_one = Desk(tmp_path)
    next_one.trainer.add_records([first])
    (anew,) = released(next_one.learn(labels(120)))
    assert "head.pkl is not read" in caplog.text
    assert anew.replaces is None


def test_a_folder_that_cannot_be_written_is_waited_for_and_nothing_is_lost(tmp_path):
    desk = Desk(tmp_path)
    folder = tmp_path / "classifiers" / STUDY
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("in the way")
    with pytest.raises(UnavailableError, match="cannot be written"):
        desk.learn(labels(100))
    folder.unlink()
    assert released(desk.learn(labels(100)))


# What people are asked


def pool_of(count):
    return [
        Unlabelled(
            Assignment(
                segment_id=segment(key=f"u{n}").id,
                study=STUDY,
                code_id=code_id(STUDY, "ads"),
                label="ads",
                proposed="ads",
                new=False,
                similarity=1,
                why="",
                verdict="consensus",
                confidence=0.5,
                route="accepted",
                assigned_at=HandClock().now(),
            ),
            f"{WORDS['ads'] if n % 2 else OTHER[n]} {OTHER[n + 1]}",
        )
        for n in range(count)
    ]


def test_after_a_training_people_are_asked_about_as_many_segments_as_the_study_wants(tmp_path):
    asked_for = []

    def pool(study, limit):
        asked_for.append((study, limit))
        return Pool(tuple(pool_of(30)), waiting=2)

    desk = Desk(tmp_path, pool=pool)
    desk.trainer.add_records([rules(STUDY, ask_segments=7, strategy="random")])
    records = [*desk.learn(labels(100)), *desk.tick()]
    asked = [one for one in records if isinstance(one, AnnotationRequest)]
    assert asked_for == [(STUDY, 1000)]
    assert len({one.segment_id for one in asked}) == 5
    assert {one.reason for one in asked} == {"query strategy"}
    assert asked[0].priority > asked[-1].priority
    assert all("chosen by random" in one.why for one in asked)


def test_a_first_training_cannot_tell_whether_more_labels_pay_and_says_how_many_there_were(tmp_path):
    desk = Desk(tmp_path, tune=tune_badly, pool=lambda study, limit: Pool(tuple(pool_of(30))))
    desk.learn(labels(100))
    (no,) = refused(desk.tick())
    settled = {name: no.metrics[name] for name in ("trainings", "stop_kappa", "stop_delta_f")}
    assert settled == {"trainings": 1, "stop_kappa": 0, "stop_delta_f": 0}
    assert no.metrics["macro_f1_low"] <= no.metrics["macro_f1"] <= no.metrics["macro_f1_high"]


def test_nobody_is_asked_where_the_study_does_not_want_it_or_the_read_model_is_away(tmp_path):
    def away(study, limit):
        raise UnavailableError("the database does not answer")

    desk = Desk(tmp_path, pool=away)
    assert not any(isinstance(one, AnnotationRequest) for one in [*desk.learn(labels(100)), *desk.tick()])
    desk.trainer.add_records([rules(STUDY, ask_segments=7)])
    desk.learn(labels(100, start=100))
    assert desk.tick() == []


def test_every_training_is_told_to_whoever_keeps_a_log_and_a_log_that_is_away_stops_nothing(tmp_path):
    told = []
    desk = Desk(tmp_path, track=told.append)
    assert released(desk.learn(labels(100)))
    assert [(one.study, one.cause, one.result.promoted) for one in told] == [(STUDY, "labels", True)]

    def fail(training):
        raise OSError("away")

    assert released(Desk(tmp_path / "other", track=fail).learn(labels(100)))


class Kept:
    """Keeps runs in memory."""

    def __init__(self):
        self.runs = []

    @contextmanager
    def run(self, experiment, name, configuration, tags):
        self.runs.append({"experiment": experiment, "name": name, "configuration": configuration, "tags": tags})
        yield self

    def metrics(self, values, step):
        self.runs[-1] |= {"metrics": values, "step": step}

    def artifact(self, name, content):
        self.runs[-1][name] = content


def test_a_training_is_written_down_with_its_labels_coders_scores_and_times(tmp_path):
    kept = Kept()
    logbook = TrainingLog(lambda: kept, TrainerSettings())
    desk = Desk(tmp_path, track=logbook)
    (first,) = released(desk.learn([*labels(50), *labels(50, start=50, by="ben")]))
    logbook.written()
    (run,) = kept.runs
    assert (run["experiment"], run["name"]) == (STUDY, f"head {first.version}")
    assert run["configuration"]["schedule"] == {"every_labels": 25, "every_minutes": 60.0}
    assert (run["tags"]["coders"], run["tags"]["outcome"]) == ("ana, ben", "released")
    assert run["tags"]["data_sha256"] == desk.checkpoints.load(first).manifest.data
    assert run["metrics"].keys() >= {"macro_f1", "training_s", "f1.ads", "f1.price", "f1.speed"}
    assert run["step"] == len(run["taught"]) == first.labels
    assert run["coders"] == {"ana": 50, "ben": 50}
    assert set(run["codes"]) == set(WORDS)


# The stage


def received(record, offset=0, topic=LABELS):
    raw = record if isinstance(record, bytes) else record.to_bytes()
    return Received(topic.name, 0, offset, b"k", raw)


def test_the_stage_publishes_releases_under_their_model_and_sets_aside_what_cannot_be_read(tmp_path):
    desk = Desk(tmp_path)
    stage = TrainerStage(desk.trainer, desk.clock)
    batch = [received(b"{", 0), *(received(one, n + 1) for n, one in enumerate(labels(100)))]
    result = stage.step(batch)
    assert result.done == batch
    letter, release = result.send
    assert letter.topic == "dead-letters"
    assert (release.topic, release.key) == (RELEASES.name, b"classifier/reviews:released")
    assert stage.tick().send == []


def test_the_stage_hears_what_its_role_says(tmp_path):
    desk = Desk(tmp_path)
    stage = TrainerStage(desk.trainer, desk.clock)
    assert set(stage.side_inputs()) == {topic.name for topic in role("trainer").side_inputs}
    assert set(stage.side_inputs()) == {CODEBOOK.name, STUDIES.name, RELEASES.name, ALERTS.name}
    stage.side_inputs()[STUDIES.name]([rules(STUDY, ask_segments=3).to_bytes(), b"{", None])
    stage.tick()
    assert desk.trainer._studies[STUDY].rules.ask_segments == 3
    assert REQUESTS in role("trainer").writes
