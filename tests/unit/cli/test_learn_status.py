"""`qualstream learn status`: what a lead asks about a study's classifier, as a table and for programs."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from infra.cli.learn import learn
from infra.storage.releases import labels_of
from infra.training.checkpoints import Checkpoints
from infra.training.releases import again
from infra.training.report import NextTuning
from infra.training.state import TrainingState, write_training_state
from models.classifier.schedule import Tuned
from models.errors import InputError
from models.fakes import HandClock
from schemas import Annotation, Segment
from schemas.ids import code_id, segment_id
from tests.web.classifiers import START, refused, release
from tests.web.site import STUDY, make_site

PAYS = {"stop_kappa": 0.0, "stop_delta_f": 0.0, "trainings": 5.0, "kappa": 0.9, "delta_f": 0.1}


def record(folder, *records):
    site = make_site(folder)
    site.store.record(list(records))
    site.store.close()


def labels(count, *, start=0, code="slow checkout", by="ana", at=START):
    return [
        Annotation(
            segment_id=segment_id(STUDY, "test", str(n)),
            study=STUDY,
            annotator=by,
            code_ids=[code_id(STUDY, code)],
            labels=[code],
            text=f"text {n}",
            decided_at=at + timedelta(minutes=n),
        )
        for n in range(start, start + count)
    ]


def tuned(folder, labelled, data=None, at=START):
    """What a trainer leaves in its folder after a tuning."""
    site = make_site(folder)
    data = data or labels_of(site.store, STUDY).digest
    site.store.close()
    write_training_state(Checkpoints(folder).study_folder(STUDY), TrainingState(tuned=Tuned(labelled, at, data)))


def status(folder, *arguments, study=STUDY):
    return CliRunner(env={"QUALSTREAM_DATA_DIR": str(folder)}).invoke(learn, ["status", "--study", study, *arguments])


def read(folder):
    done = status(folder, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture
def taught(tmp_path):
    newest = release(2, metrics=release(2).metrics | PAYS)
    record(tmp_path, release(1), newest, refused(3), *labels(20), *labels(8, start=20, by="ben"))
    return tmp_path


def test_the_table_says_what_serves_how_good_it_is_and_why_the_last_one_was_refused(taught):
    done = status(taught)
    assert done.exit_code == 0, done.output
    text = " ".join(done.stdout.split())
    assert f"serves {release(2).version} since 2026-11-20 11:00 UTC, by trainer, taught 50 segments" in text
    assert "macro-F1 0.500 on 14 segments that people labelled, judged by what was not taught them" in text
    assert ", 95% interval 0.300 to 0.800" in text
    assert "slow checkout 0.600 0.550" in text
    assert "; by ana 20, ben 8" in text
    assert "Labelling still pays" in text
    assert "refused trainer not better: training 3" in text
    assert "None is at work" in text


def test_programs_get_the_same_as_one_object(taught):
    told = read(taught)
    assert (told["serves"]["version"], told["serves"]["macro_f1"]) == (release(2).version, 0.5)
    assert told["codes"][0]["label"] == "slow checkout"
    assert (told["codes"][0]["f1"], told["codes"][0]["before"]) == (0.6, 0.55)
    assert told["labels"]["segments"] == 28
    assert told["labels"]["by_coder"] == {"ana": 20, "ben": 8}
    assert [one["outcome"] for one in told["attempts"]] == ["refused", "released", "released"]
    assert (told["stopping"]["stops"], told["stopping"]["kappa"]) == (False, 0.9)
    assert (told["missing"], told["trainer"]) == (None, False)


# the next tuning


def test_what_is_left_until_the_next_tuning_comes_from_the_trainers_folder(taught):
    tuned(taught, 20, at=datetime.now(UTC))
    assert read(taught)["next_tuning"]["labels"] == 17
    assert "The next tuning comes after 17 more labelled segments, or after any from" in status(taught).stdout


def test_an_hour_after_the_last_tuning_any_other_label_makes_it_due(taught):
    long_ago = datetime.now(UTC) - timedelta(minutes=61)
    tuned(taught, 28, at=long_ago)
    assert read(taught)["next_tuning"]["labels"] == 25
    tuned(taught, 27, data="other labels", at=long_ago)
    assert read(taught)["next_tuning"]["labels"] == 0


def test_a_machine_without_the_trainers_folder_says_that_it_does_not_know(taught):
    assert read(taught)["next_tuning"] is None
    assert "ask on the machine where the trainer works" in status(taught).stdout


def test_what_a_person_chose_holds_up_the_next_tuning_till_there_are_labels_since(taught):
    tuned(taught, 2, data="other labels")
    assert read(taught)["next_tuning"]["labels"] == 0
    back = again(release(1), release(2), "lea", HandClock())
    record(taught, back, *labels(4, start=28, at=back.released_at))
    assert read(taught)["next_tuning"]["labels"] == 21
    assert "A person chose what serves, so nothing takes its place before 21 more" in status(taught).stdout


def test_where_bodies_are_not_tuned_the_sentence_speaks_of_what_happens_instead():
    said = NextTuning(1, None, tunes=False).sentence
    assert said == "The first choice of what to ask people comes after 1 more labelled segment."


# nothing serves yet


def test_a_study_without_a_classifier_is_told_what_it_needs(tmp_path):
    record(tmp_path, *labels(6), refused(1, metrics={}, why="too few labels to compare on"))
    text = " ".join(status(tmp_path).stdout.split())
    assert "serves nothing yet needed About" in text
    assert "code them on the page, or `qualstream teach` them" in text
    assert "too few labels to compare on" in text
    told = read(tmp_path)
    assert told["serves"] is None
    assert told["missing"]["least"] == 40
    assert told["missing"]["labels"] > 0


def test_the_first_tuning_is_counted_from_the_labels_alone(tmp_path):
    record(tmp_path, *labels(20))
    assert read(tmp_path)["next_tuning"] == {
        "labels": 5,
        "by_time": None,
        "says": "The first tuning comes after 5 more labelled segments.",
    }
    assert "The first tuning comes after 5 more labelled segments." in status(tmp_path).stdout


def test_a_study_that_nobody_knows_is_named_with_the_nearest_one(tmp_path):
    text = Segment(id=segment_id(STUDY, "test", "1"), study=STUDY, text="slow", source="test")
    record(tmp_path, text)
    error = status(tmp_path, study="review").exception
    assert isinstance(error, InputError)
    assert "no study 'review'" in str(error)
    assert f"there is '{STUDY}': name one with --study" in str(error)
    assert status(tmp_path).exit_code == 0  # one that has texts and no labels is known


def test_a_code_named_like_markup_is_shown_as_it_is(tmp_path):
    record(tmp_path, release(1, per_code={"[/b] :smile:": 0.5}))
    assert "[/b] :smile:" in status(tmp_path).stdout
