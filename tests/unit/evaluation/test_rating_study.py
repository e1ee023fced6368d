"""Rating studies: raters do not see whose a code is, sheets come back from any spreadsheet, ratings add up."""

import csv
import json
from itertools import pairwise
from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner

from infra.cli import cli
from infra.experiments.rating_sheets import KEY, read_key, read_sheet, write_study
from models.errors import InputError
from models.evaluation.rating_study import SCALES, STANDS, add_up, by_system, draw_items, in_order_for, mean_ratings

GOLD = [(f"text {n} says something", (f"topic {n}",)) for n in range(12)]
CODES = {
    "ours": [f"topic {n}" if n % 2 else f"point {n}" for n in range(12)],
    "theirs": [f"Topic {n}" for n in range(11)] + [None],
}


def items(quotes=4):
    return draw_items(GOLD, CODES, quotes)


def filled(item, by):
    return dict.fromkeys(SCALES, float(by(item)))


def test_equal_codes_of_a_quote_are_rated_once_whatever_their_case():
    drawn = items()
    for item in drawn:
        assert len({each.item for each in drawn}) == len(drawn)
        assert item.systems in (("ours", "theirs"), ("ours",), ("theirs",))
    assert {item.text for item in drawn} <= {text for text, _ in GOLD[:11]}


def test_the_same_seed_draws_the_same_and_another_one_others():
    assert items() == items()
    assert {item.text for item in draw_items(GOLD, CODES, 4, seed=1)} != {item.text for item in items()}


def test_more_quotes_than_all_systems_coded_are_refused():
    with pytest.raises(InputError, match="11 texts have a code of each of ours, theirs, but 12"):
        draw_items(GOLD, CODES, 12)


def test_every_rater_has_all_codes_in_an_order_of_their_own_and_a_quote_s_together():
    first, second = (in_order_for(n, items(8)) for n in (1, 2))
    assert first != second
    assert sorted(each.item for each in first) == sorted(each.item for each in second)
    texts = [each.text for each in first]
    assert sum(a != b for a, b in pairwise(texts)) == len(set(texts)) - 1


def test_a_sheet_tells_nobody_s_name(tmp_path):
    *sheets, key = write_study(tmp_path, items(), 2, 1)
    shown = "".join(path.read_text(encoding="utf-8") for path in sheets)
    assert "ours" not in shown
    assert "theirs" not in shown
    assert read_key(key) == (items(), 1)


def test_a_study_that_is_out_is_not_overwritten(tmp_path):
    write_study(tmp_path, items(), 1, 1)
    with pytest.raises(InputError, match="may be with raters"):
        write_study(tmp_path, items(), 1, 2)


def fill(path: Path, out: Path, marks, delimiter=","):
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row.update(marks(row))
    if out.suffix == ".xlsx":
        book = openpyxl.Workbook()
        book.active.append(list(rows[0]))
        for row in rows:
            book.active.append(list(row.values()))
        book.save(out)
        return
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize(
    ("name", "delimiter", "written"),
    [("a.csv", ",", "4"), ("a.csv", ";", "4,0"), ("a.xlsx", "", 4), ("a.csv", ",", " 4 ")],
)
def test_a_sheet_comes_back_from_any_spreadsheet(tmp_path, name, delimiter, written):
    write_study(tmp_path, items(), 1, 1)
    fill(tmp_path / "rater-1.csv", tmp_path / name, lambda row: dict.fromkeys(SCALES, written), delimiter)
    assert read_sheet(tmp_path / name, items()) == {item.item: dict.fromkeys(SCALES, 4.0) for item in items()}


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        ({"clarity": "6", "conciseness": "3", "relevance": "3"}, "clarity is '6'"),
        ({"clarity": "good", "conciseness": "3", "relevance": "3"}, "clarity is 'good'"),
        ({"clarity": "3", "conciseness": "", "relevance": "3"}, "no conciseness"),
        ({"item": "zzz", **dict.fromkeys(SCALES, "3")}, "no item 'zzz' in the key"),
        ({**dict.fromkeys(SCALES, "3"), STANDS: "perhaps"}, "stands is 'perhaps'; yes or no"),
    ],
)
def test_what_cannot_be_a_rating_is_told_with_its_line(tmp_path, marks, message):
    write_study(tmp_path, items(), 1, 1)
    fill(tmp_path / "rater-1.csv", tmp_path / "back.csv", lambda row: marks)
    with pytest.raises(InputError, match=f"line 2: .*{message}"):
        read_sheet(tmp_path / "back.csv", items())


@pytest.mark.parametrize(("written", "stands"), [("yes", 1.0), ("No", 0.0), (" Y ", 1.0), (1, 1.0), ("", None)])
def test_whether_a_code_stands_comes_back_too(tmp_path, written, stands):
    write_study(tmp_path, items(), 1, 1)
    marks = {**dict.fromkeys(SCALES, "4"), STANDS: written}
    fill(tmp_path / "rater-1.csv", tmp_path / "back.xlsx", lambda row: marks)
    assert {row.get(STANDS) for row in read_sheet(tmp_path / "back.xlsx", items()).values()} == {stands}


def test_a_sheet_that_does_not_ask_whether_codes_stand_is_read_as_ever(tmp_path):
    lines = [f"{item.item},4,4,4" for item in items()]
    (tmp_path / "old.csv").write_text("\n".join(["item,clarity,conciseness,relevance", *lines]), encoding="utf-8")
    results = add_up(items(), {"a": read_sheet(tmp_path / "old.csv", items())})
    assert all(list(row) == [*SCALES, "mean"] for row in results.systems.values())


def test_what_stands_is_a_share_of_its_own_and_no_part_of_the_mean():
    drawn = items(8)
    ratings = {
        rater: {each.item: {**filled(each, lambda _: 4), STANDS: float("ours" in each.systems)} for each in drawn}
        for rater in ("a", "b")
    }
    results = add_up(drawn, ratings)
    assert results.systems["ours"][STANDS].value == 1
    assert results.systems["theirs"][STANDS].value < 1
    assert results.systems["theirs"]["mean"].value == 4
    assert results.alpha[STANDS] == 1


def test_a_row_left_empty_is_left_out(tmp_path):
    write_study(tmp_path, items(), 1, 1)
    assert read_sheet(tmp_path / "rater-1.csv", items()) == {}


def test_a_system_that_is_rated_higher_comes_out_higher():
    drawn = items(8)
    ratings = {
        rater: {item.item: filled(item, lambda each: 5 if "ours" in each.systems else 2) for item in drawn}
        for rater in ("a", "b")
    }
    results = add_up(drawn, ratings)
    assert results.systems["ours"]["mean"].value == 5
    assert results.systems["theirs"]["mean"].value < 5
    assert results.systems["theirs"]["mean"].low <= results.systems["theirs"]["mean"].value
    assert results.alpha == dict.fromkeys(SCALES, 1.0)
    assert results.pairs["a", "b"].rho == pytest.approx(1)


def test_raters_who_say_the_opposite_do_not_agree():
    drawn = items(8)
    a = {item.item: dict.fromkeys(SCALES, float(1 + n % 5)) for n, item in enumerate(drawn)}
    b = {item.item: dict.fromkeys(SCALES, float(5 - n % 5)) for n, item in enumerate(drawn)}
    results = add_up(drawn, {"a": a, "b": b})
    assert results.alpha["clarity"] < 0
    assert results.pairs["a", "b"].rho == pytest.approx(-1)


def test_one_rater_has_nobody_to_agree_with():
    drawn = items()
    results = add_up(drawn, {"a": {item.item: dict.fromkeys(SCALES, 3.0) for item in drawn}})
    assert results.alpha == dict.fromkeys(SCALES)
    assert results.pairs == {}


def test_nothing_rated_is_said():
    with pytest.raises(InputError, match="no item was rated"):
        add_up(items(), {"a": {}})


def test_a_code_that_two_systems_share_counts_for_both():
    drawn = items(8)
    means = mean_ratings({"a": {item.item: dict.fromkeys(SCALES, 3.0) for item in drawn}})
    rated = by_system(drawn, means)
    assert set(rated["ours"]) == set(rated["theirs"]) == {item.text for item in drawn}


def write_lines(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_the_pair_of_commands_goes_from_codes_to_correlations(tmp_path):
    gold = write_lines(tmp_path / "gold.jsonl", [{"text": text, "codes": list(codes)} for text, codes in GOLD])
    preds = []
    for name, codes in CODES.items():
        rows = [{"text": text, "code": code} for (text, _), code in zip(GOLD, codes, strict=True)]
        preds += ["--pred", f"{name}={write_lines(tmp_path / f'{name}.jsonl', rows)}"]
    out = tmp_path / "study"
    runner = CliRunner()
    answer = runner.invoke(cli, ["rate", "sheet", "--gold", str(gold), *preds, "--out", str(out), "--quotes", "6"])
    assert answer.exit_code == 0, answer.output
    for n in (1, 2):
        fill(
            out / f"rater-{n}.csv",
            tmp_path / f"ana-{n}.csv",
            lambda row: dict.fromkeys(SCALES, 5 if "opic" in row["code"] else 2),
        )
    sheets = [str(tmp_path / f"ana-{n}.csv") for n in (1, 2)]
    shown = tmp_path / "report.html"
    options = ["--bertscore", "none", "--json", "--page", str(shown)]
    answer = runner.invoke(cli, ["rate", "report", str(out / KEY), *sheets, *options])
    assert answer.exit_code == 0, answer.output
    figures = json.loads(answer.stdout)
    rows = ("ours", "theirs", "human", "ana-1 and ana-2")
    assert all(f'<th scope="row">{name}</th>' in shown.read_text(encoding="utf-8") for name in rows)
    assert figures["raters"] == ["ana-1", "ana-2"]
    assert set(figures["systems"]) == {"ours", "theirs", "human"}
    assert figures["alpha"]["relevance"] == 1.0
    assert figures["measures"]["codes"]["rouge_1"]["rho"] > 0.9
