"""Gold and predictions as files, the command over them, its plots, and where WordNet is looked for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.cli.measuring.evaluate import evaluate as evaluate_command
from infra.experiments import wordnet
from infra.experiments.evaluation_plots import write_plots
from infra.experiments.wordnet import find_wordnet, read_wordnet
from infra.files.gold import read_gold, read_predictions
from models.errors import InputError, SettingError
from models.evaluation.metrics import meteor
from models.evaluation.report import EvaluationOptions, evaluate
from models.fakes import HashEmbedder

GOLD = [
    {"id": "1", "text": "the app is slow", "codes": ["slow app", "performance"], "set": "apps"},
    {"id": "2", "text": "it is free", "codes": ["free to use"], "set": "apps"},
    {"id": "3", "text": "it crashes", "codes": ["app crashes"], "set": "games"},
]
PREDICTED = [
    {"id": "3", "text": "it crashes", "code": "crashes", "rating": 5},
    {"id": "1", "text": "the app is slow", "code": "slow app", "rating": 4},
    {"id": "2", "text": "it is free", "code": None, "rating": 1},
    {"id": "9", "text": "another", "code": "other"},
]
SCRIPT = Path(wordnet.__file__).with_suffix(".sh")


@pytest.fixture
def write(tmp_path):
    def write_file(name, rows):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n")
        return path

    return write_file


def test_predictions_are_brought_into_the_order_of_the_gold(write):
    found = read_predictions(write("a", PREDICTED), read_gold(write("gold", GOLD)), "rating")
    assert found.codes == [("slow app",), (), ("crashes",)]
    assert found.ratings == [4, 1, 5]
    assert (found.missing, found.others) == (1, 1)


def test_rows_whose_ids_differ_are_matched_by_text(write):
    gold = read_gold(write("gold", GOLD))
    renamed = [{**row, "id": f"uuid-{row['id']}"} for row in PREDICTED]
    assert read_predictions(write("a", renamed), gold).codes == [("slow app",), (), ("crashes",)]


def test_ids_that_all_stand_for_other_texts_are_not_the_same_ids_and_it_is_said(write):
    gold = read_gold(write("gold", GOLD))
    counted_anew = [{**row, "id": str(int(row["id"]) % 3 + 1)} for row in PREDICTED]
    found = read_predictions(write("a", counted_anew), gold)
    assert found.codes == [("slow app",), (), ("crashes",)]
    assert any("stand for other texts: matched by text" in note for note in found.notes)
    cleaned = [{**row, "text": f"{row['text']} (cleaned)"} for row in PREDICTED]
    assert read_predictions(write("b", cleaned), gold).codes == [("slow app",), (), ("crashes",)]


def test_texts_that_come_twice_under_two_ids_share_a_prediction_by_text(write):
    gold = read_gold(write("gold", [*GOLD, {**GOLD[2], "id": "4"}]))
    rows = [{key: row[key] for key in ("text", "code")} for row in PREDICTED]
    assert read_predictions(write("a", rows), gold).codes[2:] == [("crashes",), ("crashes",)]


def test_the_first_of_several_codes_is_the_code_and_all_are_the_set(write):
    gold = read_gold(write("gold", GOLD[:1]))
    several = read_predictions(write("a", [{"id": 1, "codes": ["slow", "bad", "slow"]}]), gold)
    assert several.codes == [("slow", "bad")]
    settled = read_predictions(write("b", [{"id": 1, "code": "bad", "codes": ["slow"]}]), gold)
    assert settled.codes == [("bad",)]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["{"], "not JSON"),
        ([{"id": "1", "codes": []}], "holds no text with a code"),
        ([{"id": "1", "set": "apps"}], "line 1: no column with codes among id, set"),
        ([{"codes": ["slow"]}], "line 1: neither a column with text nor one with ids"),
        ([], "no rows"),
    ],
)
def test_gold_that_cannot_be_used_is_named_with_its_line(write, rows, said):
    with pytest.raises(InputError, match=said):
        read_gold(write("gold", rows))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"id": "1", "stars": 1}], "no column with codes among id, stars"),
        ([{"id": "7", "code": "slow"}], "no row of .* fits a row of .* the predictions have id"),
        ([{"code": "slow"}], "neither a column with text nor one with ids among code"),
        (PREDICTED[:2], "lacks 1 of 3 texts of .*, the first on its line 2 \\(id '2'\\)"),
        ([*PREDICTED, {**PREDICTED[0], "code": "bug"}], "line 5: id '3' was on line 1 with another code"),
        ([{**PREDICTED[0], "rating": "good"}, *PREDICTED[1:]], "'rating' is \"good\" but a number is expected"),
    ],
)
def test_predictions_that_cannot_be_used_are_named_with_their_line(write, rows, said):
    gold = read_gold(write("gold", GOLD))
    with pytest.raises(InputError, match=said):
        read_predictions(write("a", rows), gold, "rating")


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_gold(tmp_path / "none.jsonl")


@pytest.mark.parametrize("ids", [(1, 2, 3), (1.0, 2.0, 3.0), ("1.0", "2.0", "3.0"), ("1 ", " 2", "3")])
def test_whole_numbers_are_one_id_however_a_program_writes_them(write, ids):
    gold = read_gold(write("gold", [{**row, "id": id_} for row, id_ in zip(GOLD, ids, strict=True)]))
    rows = [{"id": int(row["id"]), "code": row["code"]} for row in PREDICTED]
    assert read_predictions(write("a", rows), gold).codes == [("slow app",), (), ("crashes",)]


@pytest.mark.parametrize("key", ["codes", "code", "label"])
def test_gold_may_be_a_table_with_the_columns_that_are_taught(tmp_path, write, key):
    path = tmp_path / "gold.csv"
    path.write_text(f"id,text,{key}\n1,the app is slow,slow app;performance\n2,it is free,\n3,it crashes,app crashes\n")
    gold = read_gold(path)
    assert [row.codes for row in gold.rows] == [("slow app", "performance"), ("app crashes",)]
    assert gold.notes == ["1 texts are not coded yet (an empty list would say that no code fits): left out"]
    assert read_predictions(write("a", PREDICTED), gold).codes == [("slow app",), ("crashes",)]


def test_texts_for_which_no_code_fits_are_counted_beside_the_others(write):
    gold = read_gold(
        write("gold", [*GOLD, {"id": "4", "codes": []}, {"id": "5", "codes": []}, {"id": 6, "codes": None}])
    )
    rows = [*PREDICTED[:3], {"id": 4, "code": None}, {"id": 5, "code": "x"}]
    found = read_predictions(write("a", rows), gold)
    assert len(found.codes) == len(gold.rows) == 3
    assert (len(gold.none_fits), found.none_fits) == (2, 1)


def test_equal_texts_with_different_codes_are_paired_in_order(write):
    gold = read_gold(write("gold", [{"id": n, "text": "ok", "codes": [code]} for n, code in enumerate("abc")]))
    rows = [{"id": f"uuid-{n}", "text": "ok ", "code": code} for n, code in enumerate("xyz")]
    assert read_predictions(write("a", rows), gold).codes == [("x",), ("y",), ("z",)]
    with pytest.raises(InputError, match=r"text 'ok' was on line 1 with another code, and 3 of .* ask for it"):
        read_predictions(write("b", rows[:2]), gold)


def test_a_sources_own_id_beside_the_segments_own_matches(write):
    rows = [{"id": f"uuid-{row['id']}", "own_id": row["id"], "code": row["code"]} for row in PREDICTED]
    assert read_predictions(write("a", rows), read_gold(write("gold", GOLD))).codes == [("slow app",), (), ("crashes",)]


def test_rows_of_one_id_are_one_text_with_all_their_codes(write):
    gold = read_gold(
        write("gold", [{**GOLD[0], "codes": [code]} for code in ("slow app", "Performance", "performance")])
    )
    assert [row.codes for row in gold.rows] == [("slow app", "Performance")]


def test_ratings_in_the_gold_are_objects_by_prediction(write):
    rated = [{**row, "rating": {"a": n}} for n, row in enumerate(GOLD)]
    assert read_gold(write("gold", rated)).ratings("rating", "a") == [0, 1, 2]
    assert read_gold(write("gold", rated)).ratings("rating", "b") == [None] * 3
    with pytest.raises(InputError, match="line 1: 'rating' is 4 but a rating is of one prediction"):
        read_gold(write("bad", [{**GOLD[0], "rating": 4}])).ratings("rating", "a")


def invoke(*args):
    return CliRunner().invoke(evaluate_command, [str(arg) for arg in args])


@pytest.mark.parametrize("pred", ["a.jsonl", "=a.jsonl", "a=", "people=a.jsonl"])
def test_a_prediction_without_a_name_of_its_own_is_refused(write, pred):
    done = invoke("--gold", write("gold", GOLD), "--pred", pred)
    assert done.exit_code == 2
    assert "NAME=FILE" in done.output or "is taken" in done.output


def test_an_unknown_system_to_compare_with_is_refused(write):
    done = invoke("--gold", write("gold", GOLD), "--pred", f"a={write('a', PREDICTED)}", "--against", "b")
    assert isinstance(done.exception, InputError)
    assert "the predictions are a" in str(done.exception)


def test_the_command_prints_a_table_writes_json_and_says_what_is_left_out(write, tmp_path, monkeypatch):
    pytest.importorskip("sentence_transformers")
    monkeypatch.setattr("infra.experiments.wordnet.PLACES", ())
    a, b = write("a", PREDICTED), write("b", [{**row, "code": "slow app"} for row in PREDICTED])
    options = ("--bertscore", "none", "--resamples", 100, "--ratings", "rating", "--json", tmp_path / "out.json")
    done = invoke("--gold", write("gold", GOLD), "--pred", f"a={a}", "--pred", f"b={b}", *options)
    assert done.exit_code == 0, done.exception
    assert "ROUGE-1" in done.stdout
    assert "b - a" in done.stdout
    assert "METEOR and the composite scores are left out" in done.stderr
    assert "a: 1 texts have no code; they score 0" in done.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["parts"]["pooled"]["systems"]["a"]["rouge_1"]["value"] == pytest.approx((1 + 0 + 2 / 3) / 3, abs=1e-4)
    assert found["models"]["embedder"].startswith("all-MiniLM-L6-v2@")
    assert set(found["left_out"]) == {"bertscore", "meteor"}
    assert found["agreement"]["names"] == ["people", "a", "b"]
    assert found["ratings"]["codes"]["rouge_1"]["count"] == 6


def test_plots_are_png_files_and_a_page_that_needs_nothing_else(write, tmp_path):
    pytest.importorskip("matplotlib")
    gold = read_gold(write("gold", GOLD))
    systems = {"a": ["slow app", None, "crash"], "b <best>": ["slow", "free", "app crashes"]}
    found = evaluate(gold.rows, systems, HashEmbedder(), options=EvaluationOptions(resamples=100))
    written = write_plots(found, "a", tmp_path / "plots")
    assert {path.name for path in written} == {
        *("scores.png", "agreement_cosine.png", "agreement_jsd.png", "codes_and_length.png", "index.html"),
    }
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written if path.suffix == ".png")
    page = (tmp_path / "plots" / "index.html").read_text()
    assert page.count("<svg") == 4
    assert "http" not in page
    assert "b &lt;best&gt;" in page
    assert "b <best>" not in page
    assert "meteor is left out" in page


def test_plots_that_cannot_be_written_are_one_line(write, tmp_path):
    pytest.importorskip("matplotlib")
    found = evaluate(
        read_gold(write("gold", GOLD)).rows,
        {"a": ["x", "y", "z"]},
        HashEmbedder(),
        options=EvaluationOptions(resamples=100),
    )
    (tmp_path / "plots").write_text("a file")
    with pytest.raises(InputError, match="cannot write plots"):
        write_plots(found, "a", tmp_path / "plots")


# WordNet


def test_a_folder_that_was_named_must_hold_wordnet(tmp_path):
    with pytest.raises(SettingError, match=r"has no data\.adj, data\.adv, data\.noun; give the folder"):
        find_wordnet(tmp_path)


def test_wordnet_is_found_where_the_set_up_puts_it(tmp_path, monkeypatch):
    monkeypatch.setattr(wordnet, "PLACES", (tmp_path / "none", tmp_path))
    assert find_wordnet() is None
    for kind in ("data", "index"):
        for part in ("adj", "adv", "noun", "verb"):
            (tmp_path / f"{kind}.{part}").touch()
    assert find_wordnet() == tmp_path == find_wordnet(tmp_path)


@pytest.mark.skipif(find_wordnet() is None, reason="no WordNet here; `make setup` fetches it where there is apt")
def test_meteor_with_wordnet_is_the_value_in_nltks_documentation_and_knows_synonyms():
    folder = find_wordnet()
    assert folder is not None
    thesaurus = read_wordnet(folder)
    hypothesis = "It is a guide to action which ensures that the military always obeys the commands of the party"
    reference = "It is a guide to action that ensures that the military will forever heed Party commands"
    assert meteor(hypothesis, reference, thesaurus) == pytest.approx(0.6944, abs=5e-5)
    assert meteor("couch bed", "sofa bed", thesaurus) == pytest.approx(0.9375)  # one chunk of two: 1 - 0.5 / 8


@pytest.mark.skipif(Path("/usr/share/wordnet/data.noun").exists(), reason="WordNet is installed: nothing to fetch")
@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_the_set_up_without_apt_says_what_to_do_and_goes_on(tmp_path):
    done = subprocess.run(
        ["/bin/bash", SCRIPT, tmp_path / "wordnet"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0
    assert "METEOR will be left out" in done.stderr
    assert "QUALSTREAM_WORDNET" in done.stderr
