"""The closed loop, played through on texts whose codes are known."""

from dataclasses import replace

import numpy as np
import pytest

from infra.experiments.active_learning.datasets import CodedTexts
from infra.experiments.loop.course import LoopCourse, LoopRun, lay_out
from infra.experiments.loop.results import LoopResult, as_json, rows
from infra.experiments.loop.runs import PLAYED, play
from infra.experiments.run_file import read_runs
from infra.training.classifier_factory import ClassifierFactory
from models.errors import InputError
from models.fakes import HashEmbedder

WORDS = {"slow app": "slow lagging app", "ads": "adverts everywhere", "login": "password refused"}
COURSE = LoopCourse(limit=300)
FACTORY = ClassifierFactory(HashEmbedder())


@pytest.fixture(scope="module")
def texts():
    draw = np.random.default_rng(0)
    truth = np.eye(3, dtype=bool)[draw.integers(0, 3, 300)]
    said = [f"{list(WORDS.values())[row.argmax()]} {n}" for n, row in enumerate(truth)]
    every = np.ones(300, dtype=bool)
    return CodedTexts("tiny", "0" * 64, tuple(said), tuple(WORDS), truth, truth, every, every)


@pytest.fixture(scope="module")
def played(texts, tmp_path_factory):
    file = tmp_path_factory.mktemp("loop") / "runs.jsonl"
    runs = tuple(play(texts, COURSE, [0], PLAYED, FACTORY, file))
    return runs, file


def by_arm(runs, arm):
    return next(run for run in runs if run.arm == arm)


def test_the_whole_system_spares_people_most_of_what_is_easy_and_keeps_its_promise(played):
    whole = by_arm(played[0], "whole")
    assert whole.promised is not None
    assert whole.spared[-100:].mean() > 0.8
    assert whole.wrong.sum() <= 0.1 * whole.spared.sum()


def test_every_segment_was_spared_or_labelled_for_a_reason(played):
    for run in played[0]:
        assert len(run.reasons) == len(run.right) == 300
        assert sum(run.labels.values()) + run.spared.sum() == 300


def test_a_run_that_is_kept_is_not_played_again(texts, played):
    runs, file = played
    again = tuple(play(texts, COURSE, [0], PLAYED, FACTORY, file))
    assert again == runs
    assert len(read_runs(file, LoopRun.from_json)) == len(PLAYED)
    with file.open("a", encoding="utf-8") as out:
        out.write('{"broken": ')
    assert read_runs(file, LoopRun.from_json) == list(runs)
    assert LoopRun.from_json(runs[0].to_json()) == runs[0]
    earlier = runs[0].to_json()
    del earlier["course"]["tune"]
    assert LoopRun.from_json(earlier).key != runs[0].key


def test_bodies_are_tuned_on_all_labels_and_anew_after_half_more_unless_the_course_says_not(texts, tmp_path):
    tunings = []

    def tune(said, targets):
        tunings.append(len(said))
        return HashEmbedder(128)

    factory = replace(FACTORY, tune=tune)
    (run,) = play(texts, COURSE, [0], ["whole"], factory, tmp_path / "runs.jsonl")
    whole = [size for size in tunings if size > 0.9 * max(tunings)]
    assert tunings[0] >= 75
    assert len(tunings) % 4 == 0  # one on all labels, and three to know them out of fold
    assert len(whole) == 1
    assert run.wrong.sum() <= 0.1 * run.spared.sum()
    seldom = len(tunings)
    tunings.clear()
    tuple(play(texts, replace(COURSE, audit=0.5, often=True), [0], ["whole"], factory, tmp_path / "runs.jsonl"))
    assert len(tunings) > seldom
    tunings.clear()
    (heads,) = play(texts, replace(COURSE, tune=False), [0], ["whole"], factory, tmp_path / "runs.jsonl")
    assert tunings == []
    assert heads.key != run.key


def test_an_oracle_is_never_behind_and_people_are_spared_nothing_where_all_goes_to_them(played):
    result = LoopResult("tiny", COURSE, played[0])
    spared = {arm.arm: arm.spared.mean for arm in result.arms}
    assert spared["people"] == 0
    assert spared["oracle"] == max(spared.values())
    assert next(line[0] for line in rows(result, 20.0)) == "whole system"
    assert as_json(result, 20.0)["arms"]["people"]["hours"]["mean"] == pytest.approx(300 * 20 / 3600, abs=1e-3)


def test_a_seed_draws_the_order_and_a_person_who_errs_gives_other_codes(texts):
    first, second = lay_out(texts, COURSE, 0), lay_out(texts, COURSE, 1)
    assert first.texts != second.texts
    assert sorted(first.texts) == sorted(second.texts)
    assert (first.told == first.truth).all()
    erring = lay_out(texts, replace(COURSE, error_rate=0.3), 0)
    assert 0.05 < (erring.told != erring.truth).any(axis=1).mean() < 0.35
    assert lay_out(texts, replace(COURSE, shuffled=False), 5).texts == texts.texts


def test_too_few_texts_are_refused(texts):
    few = replace(texts, judgeable=np.arange(300) < 20)
    with pytest.raises(InputError, match="tiny has 20 coded texts; at least 50"):
        lay_out(few, COURSE, 0)
