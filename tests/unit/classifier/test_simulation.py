import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from infra.cli.measuring.simulate import show
from infra.cli.measuring.simulate import simulate as simulate_command
from infra.experiments.active_learning.datasets import Columns, Course, draw, read_coded
from infra.experiments.active_learning.learners import learner, name_of, setups
from infra.experiments.active_learning.plots import write_plots
from infra.experiments.active_learning.results import along, as_json, collect, final, interval
from infra.experiments.active_learning.runs import Job, play, track
from infra.experiments.active_learning.simulation import Run, Setup, f1_where_known, simulate
from infra.experiments.run_file import read_runs
from infra.training.tracking import MlflowTracking
from models.errors import InputError, SettingError

COURSE = Course(initial=6, query=5, iterations=3, pool=30, test=20)
SETUP = Setup("words", "logistic", "random")
WORDS = ("slow", "dear", "kind")


class Words:
    """Knows a code once a text with its word has been taught."""

    def __init__(self, forgets=0):
        self.forgets, self.trainings = forgets, []

    @property
    def configuration(self):
        return {"forgets": self.forgets}

    def train(self, texts, targets, seed):
        self.trainings.append(list(texts))
        known = targets.any(axis=0) & (np.arange(len(WORDS)) >= self.forgets)
        return Known(known)


class Known:
    def __init__(self, known):
        self._known = known

    def read(self, texts):
        rows = np.array([[word in text for word in WORDS] for text in texts], dtype=float)
        return rows, rows * self._known * 0.9


def rows(count=80):
    rng = np.random.default_rng(3)
    for n in range(count):
        words = [word for word, drawn in zip(WORDS, rng.random(3) < 0.4, strict=True) if drawn]
        yield {"text": f"text {n} is {' and '.join(words) or 'nothing'}", "labels": words}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "coded.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    return path


@pytest.fixture
def data(file):
    found = read_coded(file, Columns())
    places = [found.codes.index(word) for word in WORDS]
    return replace(found, codes=WORDS, taught=found.taught[:, places], judged=found.judged[:, places])


def test_each_training_sees_all_labels_so_far_and_none_of_the_test(data):
    learner = Words()
    run = simulate(data, COURSE, SETUP, learner, 0)
    sizes = [len(texts) for texts in learner.trainings]
    assert sizes == [6, 11, 16, 21] == [step.labels for step in run.steps]
    for before, after in zip(learner.trainings, learner.trainings[1:], strict=False):
        assert set(before) < set(after)
    test = {data.texts[row] for row in draw(data, COURSE, 0).test}
    assert not test & set(learner.trainings[-1])


def test_what_was_asked_is_what_is_taught_next(data):
    learner = Words()
    run = simulate(data, COURSE, SETUP, learner, 0)
    names = dict(zip(data.ids, data.texts, strict=True))
    assert {names[one] for one in run.started_with} == set(learner.trainings[0])
    for before, after, step in zip(learner.trainings, learner.trainings[1:], run.steps, strict=False):
        assert {names[one] for one in step.asked} == set(after) - set(before)
    assert run.steps[-1].asked == ()


def test_equal_seeds_share_pool_start_and_test_and_others_do_not(data):
    same = [draw(data, COURSE, 4) for _ in range(2)]
    other = draw(data, COURSE, 5)
    assert same[0].pool.tolist() == same[1].pool.tolist() != other.pool.tolist()
    assert same[0].test.tolist() == other.test.tolist()
    starts = [
        simulate(data, COURSE, replace(SETUP, strategy=s), Words(), 4).started_with for s in ("random", "core-set")
    ]
    assert starts[0] == starts[1]


def test_a_run_played_twice_is_the_same(data):
    once, again = (simulate(data, COURSE, SETUP, Words(), 1) for _ in range(2))
    assert once.curve == again.curve
    assert [step.asked for step in once.steps] == [step.asked for step in again.steps]


def test_without_a_fixed_test_what_the_pool_leaves_is_tested(data):
    drawn = draw(data, replace(COURSE, test=None), 0)
    assert len(drawn.test) == 50
    assert not set(drawn.pool) & set(drawn.test)


@pytest.mark.parametrize("course", [replace(COURSE, pool=70), replace(COURSE, pool=20), replace(COURSE, iterations=9)])
def test_too_few_texts_are_said_with_what_to_change(data, course):
    with pytest.raises(InputError, match="set --pool, --test, --query or --iterations"):
        draw(data, course, 0)


def test_a_pool_that_leaves_nothing_to_test_is_refused(data):
    with pytest.raises(InputError, match="leaves no text to test on"):
        draw(data, replace(COURSE, pool=80, test=None), 0)


def test_f1_of_a_code_that_nobody_has_or_found_is_unknown_and_left_out_of_the_mean():
    truth = np.array([[True, False, False], [True, False, True]])
    decided = np.array([[True, False, False], [False, False, False]])
    assert f1_where_known(truth, decided) == [pytest.approx(2 / 3), None, 0.0]


def test_a_run_survives_its_file(data):
    run = simulate(data, COURSE, SETUP, Words(), 0)
    again = Run.from_json(json.loads(json.dumps(run.to_json())))
    assert again.key == run.key
    assert again.curve == run.curve


def test_a_broken_grid_goes_on_where_it_was(data, tmp_path):
    out, learner = tmp_path / "runs.jsonl", Words()
    jobs = [Job(data, COURSE, SETUP, seed, learner) for seed in range(3)]
    assert len(list(play(jobs[:2], out))) == 2
    with out.open("a") as file:
        file.write('{"key": "half a li')
    trained, fresh = len(learner.trainings), []
    runs = list(play(jobs, out, fresh=fresh.append))
    assert [run.seed for run in runs] == [0, 1, 2]
    assert [run.seed for run in fresh] == [2]
    assert len(learner.trainings) == trained + 4
    assert [run.seed for run in read_runs(out, Run.from_json)] == [0, 1, 2]


def test_another_configuration_is_another_run(data, tmp_path):
    out = tmp_path / "runs.jsonl"
    for forgets in (0, 1):
        list(play([Job(data, COURSE, SETUP, 0, Words(forgets))], out))
    assert len(read_runs(out, Run.from_json)) == 2


@pytest.fixture
def found(data):
    worse = replace(SETUP, head="differentiable-frozen")
    runs = [simulate(data, COURSE, SETUP, Words(), seed) for seed in range(4)]
    runs += [simulate(data, COURSE, worse, Words(1), seed) for seed in range(4)]
    return collect(runs)


def test_differences_are_paired_by_seed(found):
    (each,) = found
    good, bad = each.by_setup
    gap = each.gap(good, bad)
    assert gap.seeds == 4
    assert gap.mean == pytest.approx(np.mean(each.values(good)) - np.mean(each.values(bad)))
    assert gap.excludes_zero
    assert each.per_code(bad)["slow"].mean == 0


def test_a_seed_that_only_one_setup_has_is_left_out(found):
    (each,) = found
    good, bad = each.by_setup
    fewer = replace(each, runs=tuple(run for run in each.runs if run.setup == good or run.seed < 2))
    assert fewer.gap(good, bad).seeds == 2


def test_an_interval_is_students():
    found = interval([0.1, 0.2, 0.3])
    assert (found.mean, found.seeds) == (pytest.approx(0.2), 3)
    assert found.high - found.mean == pytest.approx(4.302653 * 0.1 / 3**0.5)
    assert np.isnan(interval([0.5]).low)
    assert interval([0.5, float("nan")]).seeds == 1


def test_the_whole_curve_leaves_out_the_start_that_no_strategy_chose(data):
    run = simulate(data, COURSE, SETUP, Words(), 0)
    assert along(run) == pytest.approx(np.mean(run.curve[1:]))
    assert final(run) == run.curve[-1]


def test_tables_json_and_figures_come_from_the_runs(found, tmp_path):
    console = Console(width=200, record=True, file=io.StringIO())
    show(found[0], console)
    printed = console.export_text()
    assert "words  differentiable-frozen" in printed
    assert "words, logistic, random - words, differentiable-frozen, random" in printed
    json.dumps(as_json(found[0]), allow_nan=False)
    written = write_plots(found, tmp_path / "plots")
    assert [path.name for path in written] == [*(f"figure_{n}.png" for n in range(1, 5)), "index.html"]
    page = written[-1].read_text()
    assert page.count("<svg") == 4
    assert "http" not in page


def test_a_figure_without_a_curve_is_left_out(found, tmp_path):
    (each,) = found
    logistic = replace(each, runs=tuple(run for run in each.runs if run.setup.head == "logistic"))
    assert "figure_1.png" not in [path.name for path in write_plots([logistic], tmp_path)]


def test_a_run_is_tracked_with_data_coders_samples_and_times(data, tmp_path):
    run = simulate(data, COURSE, SETUP, Words(), 0)
    track(MlflowTracking(f"file:{tmp_path / 'runs'}"), run)
    kept = {path.name: path.read_text() for path in (tmp_path / "runs").glob("*/*/*/*")}
    assert kept["data_sha256"] == run.sha256
    assert kept["made.forgets"] == "0"
    assert len(kept["f1.slow"].splitlines()) == 4
    assert "train_s" in kept
    assert json.loads(kept["selected.json"])["asked"][0] == list(run.steps[0].asked)


def test_csv_and_jsonl_are_read_alike(file, tmp_path):
    with (tmp_path / "coded.csv").open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["comment", "codes"])
        writer.writerows([row["text"], "; ".join(row["labels"]) or "[]"] for row in rows())
    one = read_coded(file, Columns())
    other = read_coded(tmp_path / "coded.csv", Columns("comment", "codes"))
    assert (one.texts, one.codes) == (other.texts, other.codes)
    assert (one.taught == other.taught).all()


def test_texts_that_have_only_codes_left_out_are_left_out_and_texts_without_codes_stay(tmp_path):
    path = tmp_path / "few.jsonl"
    lines = [("a", ["x"]), ("b", ["x", "z"]), ("c", ["z"]), ("d", []), ("e", ["x"]), ("f", None), ("g", "")]
    path.write_text("".join(json.dumps({"text": text, "labels": labels}) + "\n" for text, labels in lines))
    found = read_coded(path, Columns(), commonest=1)
    assert found.texts == ("a", "b", "d", "e")
    assert found.taught.tolist() == [[True], [True], [False], [True]]
    assert "2 texts are not coded yet: left out" in found.notes


def test_equal_texts_have_all_their_codes_and_spellings_of_a_code_are_one(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("Text,Codes\na,Price\na ,mobile\nb,price\nb,\nc, PRICE \nd,price|mobile\n")
    found = read_coded(path, Columns())
    assert (found.texts, found.codes) == (("a", "b", "c", "d"), ("price", "mobile"))
    assert found.taught.tolist() == [[True, True], [True, False], [True, False], [True, True]]
    assert "2 rows have the text of another row: their codes are joined" in found.notes


def test_what_makes_figures_mean_little_is_said(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,codes\na,price\nb,price\n")
    assert "all texts have the code 'price': there is nothing to tell apart" in read_coded(path, Columns()).notes
    path.write_text("text,codes\na,price\nb,price\nc,once only\n")
    assert read_coded(path, Columns()).notes == (
        "codes of one text only, which is never both taught and tested: once only",
    )


def coders_file(tmp_path, wide):
    path = tmp_path / "two.jsonl"
    if wide:
        lines = [
            {"text": f"t{n}", "by_a": ["x"] if n < 8 else None, "by_b": ["y"] if n > 4 else None} for n in range(10)
        ]
    else:
        lines = [{"text": f"t{n}", "labels": ["x"], "coder": "a"} for n in range(8)]
        lines += [{"text": f"t{n}", "labels": ["y"], "coder": "b"} for n in range(5, 10)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return read_coded(path, Columns(coder="by" if wide else "coder", train_coder="a", test_coder="b"))


@pytest.mark.parametrize("wide", [True, False])
def test_one_coder_teaches_and_another_judges(tmp_path, wide):
    found = coders_file(tmp_path, wide)
    assert (found.codes, found.coders) == (("x", "y"), "a -> b")
    assert (found.teachable.sum(), found.judgeable.sum()) == (8, 5)
    drawn = draw(found, Course(initial=2, query=2, iterations=1, pool=6), 0)
    assert found.teachable[drawn.pool].all()
    assert found.judgeable[drawn.test].all()
    assert not set(drawn.pool) & set(drawn.test)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (Columns(text="review"), "no column 'review'; there are text, labels"),
        (Columns(labels="codes"), "no column with codes among text, labels; 'codes' is expected"),
        (Columns(coder="by", train_coder="a"), "no column with codes among text, labels; 'by_a' is expected"),
    ],
)
def test_a_missing_column_is_named(file, columns, said):
    with pytest.raises(InputError, match=said):
        read_coded(file, columns)


def test_numbers_are_codes_and_objects_are_refused_with_their_line(tmp_path):
    path = tmp_path / "odd.jsonl"
    path.write_text('{"text": "a", "labels": [1, 2]}\n{"text": "b", "labels": 2.0}\n')
    assert read_coded(path, Columns()).codes == ("2", "1")
    path.write_text('{"text": "a", "labels": {"a": 1}}\n')
    with pytest.raises(InputError, match=r"line 1: 'labels': .* is no code"):
        read_coded(path, Columns())


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(InputError, match=r"nowhere.jsonl: no such file"):
        read_coded(tmp_path / "nowhere.jsonl", Columns())


def test_the_grid_has_every_head_once_and_a_plain_transformer_its_own():
    found = setups(("one", "transformer:two"), ("logistic", "differentiable"), ("random", "core-set"))
    assert len(found) == 6
    assert {setup.head for setup in found if setup.model == "transformer:two"} == {"own layer"}


def test_a_folder_is_shown_by_its_last_part():
    assert name_of("frozen:build/bodies/large") == "frozen:large"
    assert name_of("transformer:/srv/bert") == "transformer:bert"
    assert name_of("all-MiniLM-L6-v2") == "all-MiniLM-L6-v2"


def test_an_unknown_head_is_named_with_those_there_are():
    from infra.experiments.active_learning.learners import Reading

    with pytest.raises(SettingError, match="'linear' but one of logistic, differentiable"):
        learner(Setup("x", "linear", "random"), Reading())


def test_coder_field_and_train_coder_go_together(file):
    result = CliRunner().invoke(simulate_command, ["--data", str(file), "--train-coder", "a"])
    assert isinstance(result.exception, InputError)
    assert "go together" in str(result.exception)


@pytest.mark.slow
def test_the_command_plays_real_models_and_hands_over_table_json_and_figures(file, tmp_path):
    small = ["--initial", "6", "--query", "5", "--iterations", "1", "--pool", "30", "--test", "20", "--seeds", "2"]
    grid = ["--head", "logistic", "--head", "differentiable-frozen", "--strategy", "category-inconsistency"]
    model = ["--model", "frozen:all-MiniLM-L6-v2", "--model", "transformer:all-MiniLM-L6-v2", "--max-tokens", "16"]
    out = ["--out", str(tmp_path / "out"), "--no-track"]
    result = CliRunner().invoke(simulate_command, ["--data", str(file), *small, *grid, *model, *out])
    assert result.exception is None, result.output
    assert "transformer:all-MiniLM-L6-v2" in result.output
    (found,) = json.loads((tmp_path / "out" / "results.json").read_text())
    assert found["labels"] == [6, 11]
    assert {setup["head"] for setup in found["setups"]} == {"logistic", "differentiable-frozen", "own layer"}
    assert (tmp_path / "out" / "index.html").exists()
