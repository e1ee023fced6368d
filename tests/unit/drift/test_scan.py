"""Files of timestamped texts watched from the command line."""

import csv
import importlib
import json
import random
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from infra.cli.measuring.drift import drift
from infra.drift import timestamped_texts
from infra.drift.row_codes import row_codes
from infra.drift.scan_file import UNCODED, ScanOptions, novel, observations, scan
from infra.drift.timestamped_texts import ReadOptions, read_timestamped
from infra.files.row_tally import RowTally
from models.drift.settings import DriftSettings
from models.errors import InputError
from models.fakes import FakeCoder, HashEmbedder
from tests.unit.coding.test_pipeline import pipeline

START = datetime(2026, 1, 5, tzinfo=UTC)
SETTINGS = DriftSettings(window=320, lateness=timedelta())


def rows(count=2_000, change=1_000, share=0.5):
    """A coded stream in which 'late' rises from a tenth to ``share``."""
    draw = random.Random(3)
    for n in range(count):
        late = draw.random() < (share if n >= change else 0.1)
        at = (START + timedelta(minutes=n)).strftime("%Y-%m-%dT%H:%M:%S")
        code = "late" if late else draw.choice(("price", "food", "crew"))
        yield {"id": f"r{n}", "text": f"text {n} <b>", "timestamp": at, "label": code, "channel": draw.choice("ab")}


def jsonl(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def read(path, **wanted):
    said = StringIO()
    return read_timestamped(path, ReadOptions(**wanted), RowTally(Console(file=said, width=300))), said


def run(*words):
    return CliRunner().invoke(drift, ["scan", *map(str, words)], catch_exceptions=False)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_rise_of_a_code_is_found_and_told_as_json(tmp_path):
    done = run(jsonl(tmp_path / "in.jsonl", rows()), "--json", "--no-embed")
    alerts = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 0
    first = alerts[0]
    assert {"at", "detected_at", "kind", "cause", "p", "effect", "codes", "sources", "interval", "says"} <= first.keys()
    assert first["codes"][0] == "late"
    assert first["cause"] == "input"
    assert first["p"] < 0.05
    change = START + timedelta(minutes=1_000)
    assert abs(datetime.fromisoformat(first["at"]) - change) < timedelta(minutes=60)
    assert datetime.fromisoformat(first["detected_at"]) - change < timedelta(minutes=320)


def test_the_table_names_the_code_and_words_go_to_standard_error(tmp_path):
    done = run(jsonl(tmp_path / "in.jsonl", rows()), "--no-embed")
    assert "late" in done.stdout
    assert "2,000 segments watched" in done.stderr
    assert "source: 'channel'" in done.stderr


def test_a_stream_without_a_change_raises_nothing(tmp_path):
    done = run(jsonl(tmp_path / "in.jsonl", rows(1_500, change=9_999)), "--no-embed")
    assert done.stdout == "no change found\n"


def test_the_order_of_the_file_does_not_matter(tmp_path):
    lines = list(rows())
    told = [run(jsonl(tmp_path / "in.jsonl", lines), "--json", "--no-embed").stdout]
    random.Random(1).shuffle(lines)
    told.append(run(jsonl(tmp_path / "in.jsonl", lines), "--json", "--no-embed").stdout)
    assert told[0] == told[1] != ""


def test_a_file_sorted_through_the_disk_reads_as_one_sorted_in_memory(tmp_path, monkeypatch):
    lines = list(rows(500))
    random.Random(1).shuffle(lines)
    path = jsonl(tmp_path / "in.jsonl", lines)
    with read(path)[0] as whole:
        in_memory = list(whole)
    monkeypatch.setattr(timestamped_texts, "RUN", 64)
    with read(path)[0] as spilled:
        assert list(spilled) == list(spilled) == in_memory
    assert [row.at for row in in_memory] == sorted(row.at for row in in_memory)


def test_rows_without_text_or_time_are_counted_and_named(tmp_path):
    lines = [*rows(3), {"text": "", "timestamp": "2026-01-01"}, {"text": "when?", "timestamp": "soon"}]
    with open(tmp_path / "in.jsonl", "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
        file.write("{broken\n")
    found, said = read(tmp_path / "in.jsonl")
    assert found.rows == 3
    assert "line 4: 'text' is empty" in said.getvalue()
    assert "line 5: 'timestamp' is 'soon'; a date or a time is expected" in said.getvalue()
    assert "line 6: not JSON" in said.getvalue()


def test_columns_are_found_by_name_or_as_given(tmp_path):
    with open(tmp_path / "in.csv", "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerows([["Review", "Date", "why", "Shop", "sure"], ["slow", "2026-01-02 10:00", "speed", "x", "0.5"]])
    found, _ = read(tmp_path / "in.csv", code="why", source="Shop", confidence="sure")
    (row,) = found
    assert (row.text, row.codes, row.moment) == ("slow", ["speed"], datetime(2026, 1, 2, 10, tzinfo=UTC))
    (one,) = [one for one, _ in observations(found, ScanOptions("s", SETTINGS))]
    assert (one.source, one.confidence, one.code) == ("x", 0.5, "speed")
    with pytest.raises(InputError, match=r"no column .what. among .Review., .Date..*see --code-column"):
        read(tmp_path / "in.csv", code="what")


def test_a_file_without_times_is_refused_in_one_line(tmp_path):
    with pytest.raises(InputError, match="no column of time among 'text', 'label'; see --time-column"):
        read(jsonl(tmp_path / "in.jsonl", [{"text": "a", "label": "b"}]))


def test_the_source_is_the_first_usual_column_that_tells_rows_apart(tmp_path):
    lines = [row | {"source": "one file", "channel": "ab"[n % 2]} for n, row in enumerate(rows(10))]
    found, _ = read(jsonl(tmp_path / "in.jsonl", lines))
    assert found.source_column == "channel"
    found, _ = read(jsonl(tmp_path / "in.jsonl", [row | {"channel": "a"} for row in lines]))
    assert found.source_column == "source"


def test_a_segment_with_several_codes_counts_once_and_one_with_none_is_named(tmp_path):
    lines = [row | {"label": ["a", "b"] if n % 2 else None} for n, row in enumerate(rows(200))]
    found, _ = read(jsonl(tmp_path / "in.jsonl", lines))
    codes = [one.code for one, _ in observations(found, ScanOptions("s", SETTINGS))]
    assert len(codes) == 200
    assert codes.count(UNCODED) == 100
    assert 30 < codes.count("a") < 70


def test_what_the_code_command_writes_is_read_with_all_its_signals(tmp_path):
    line = {"text": "slow", "timestamp": "2026-01-02", "code": "speed", "new": False, "similarity": 0.75}
    line |= {"confidence": 0.5, "verdict": "rewrote", "models": {"b": "2", "a": "1"}, "agreed": "no"}
    dead = {"text": "?", "timestamp": "2026-01-03", "code": None, "error": "no usable label"}
    found, _ = read(jsonl(tmp_path / "in.jsonl", [line, dead]))
    one, letter = [one for one, _ in observations(found, ScanOptions("s", SETTINGS))]
    assert (one.similarity, one.confidence, one.rewrote, one.models) == (0.75, 0.5, True, "a 1, b 2")
    assert (letter.dead, letter.code) == (True, "")
    assert (one.agreed, one.accepted, letter.agreed) == (False, None, None)


def test_only_the_stretch_asked_for_is_watched(tmp_path):
    path = jsonl(tmp_path / "in.jsonl", rows(300))
    done = run(path, "--from", "2026-01-05T01:00", "--to", "2026-01-05T02:00", "--no-embed")
    assert "60 segments watched" in done.stderr


def test_a_file_without_codes_is_watched_by_its_texts_and_says_so(tmp_path):
    lines = [{key: row[key] for key in ("text", "timestamp")} for row in rows(300)]
    found, _ = read(jsonl(tmp_path / "in.jsonl", lines))
    scanned = scan(found, ScanOptions("s", SETTINGS), HashEmbedder)
    assert scanned.embedded > 100
    done = run(tmp_path / "in.jsonl", "--no-embed", "--no-code")
    assert "by texts and sources alone: no column of codes" in done.stderr
    assert "too few to tell: there are no codes, and no texts were read" in done.stdout


FAKES = Path(__file__).parents[2] / "data" / "fakes.toml"


def test_a_small_file_without_codes_is_coded_on_the_way_and_says_how_to_leave_that(tmp_path):
    path = jsonl(tmp_path / "in.jsonl", [{key: row[key] for key in ("text", "timestamp")} for row in rows(60)])
    done = run(path, "--profile", FAKES)
    assert "60 segments watched, coded on the way (--no-code leaves codes alone)" in done.stderr
    assert "coding" in done.stderr


def test_a_file_without_codes_that_is_not_small_is_coded_only_where_that_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.import_module("infra.cli.measuring.drift"), "CODED_AT_MOST", 50)
    monkeypatch.setenv("QUALSTREAM_PROFILE", str(FAKES))
    path = jsonl(tmp_path / "in.jsonl", [{key: row[key] for key in ("text", "timestamp")} for row in rows(60)])
    assert "more than 50 rows (--code codes them)" in run(path).stderr
    assert "coded on the way" in run(path, "--code").stderr
    assert "--code codes the rows and --texts-only leaves codes alone" in refused(path, "--code", "--texts-only")


def test_a_profile_that_cannot_code_is_said_and_the_texts_are_watched_all_the_same(tmp_path, monkeypatch):
    broken = FAKES.read_text(encoding="utf-8").replace(
        'backend = "fake"', 'backend = "transformers"\nbase = "no-such/model"'
    )
    (tmp_path / "broken.toml").write_text(broken, encoding="utf-8")
    monkeypatch.setenv("QUALSTREAM_PROFILE", str(tmp_path / "broken.toml"))
    path = jsonl(tmp_path / "in.jsonl", [{key: row[key] for key in ("text", "timestamp")} for row in rows(60)])
    done = run(path)
    assert "not coded: " in done.stderr
    assert "by texts and sources alone" in done.stderr
    assert "no-such/model" in refused(path, "--code")


def refused(*words):
    return str(CliRunner().invoke(drift, ["scan", *map(str, words)]).exception)


@pytest.mark.parametrize("count", [1, 6, 30, 59])
def test_too_few_rows_are_said_and_are_not_taken_for_no_change(tmp_path, count):
    done = run(jsonl(tmp_path / "in.jsonl", rows(count, change=count // 2, share=1.0)), "--no-embed")
    assert done.stdout.strip() == f"too few to tell: {count} of 60 segments"
    assert "not looked at, for there are too few segments: codes" in done.stderr


def test_a_short_file_without_an_alert_says_which_change_cannot_be_seen(tmp_path):
    done = run(jsonl(tmp_path / "in.jsonl", rows(300, change=9_999)), "--no-embed")
    assert "no change found; among 300 segments a code's rise or fall by less than about 35 points" in done.stdout


@pytest.mark.parametrize("count", [60, 120, 240, 300])
def test_a_whole_change_is_found_in_a_short_file(tmp_path, count):
    done = run(jsonl(tmp_path / "in.jsonl", rows(count, change=count // 2, share=1.0)), "--no-embed")
    assert "'late' went from" in done.stdout


@pytest.mark.parametrize(
    ("name", "cells", "codes"),
    [
        ("codes", ["a; b", '["b", "c"]', "NA"], [["a", "b"], ["b", "c"], []]),
        ("code", ["a; b", "b", ""], [["a; b"], ["b"], []]),
        ("tags", ["a|b", "Access > Waiting", "2.0"], [["a", "b"], ["Waiting"], ["2.0"]]),
    ],
)
def test_codes_of_a_row_are_parted_as_in_files_of_labels(name, cells, codes):
    assert [row_codes(cell, name) for cell in cells] == codes


def test_what_is_not_looked_at_is_said_beside_what_is(tmp_path):
    scarce = [{**row, "confidence": 0.5} if n % 10 == 0 else row for n, row in enumerate(rows(600, change=9_999))]
    done = run(jsonl(tmp_path / "in.jsonl", scarce), "--no-embed")
    assert done.stdout.strip() == "no change found"
    assert "confidence: 60 of 250" in done.stderr


@pytest.mark.parametrize("year", ["1970", "2206", "1900", "2062"])
def test_rows_far_outside_the_rest_are_said_with_their_lines(tmp_path, year):
    lines = list(rows(300))
    lines[7]["timestamp"] = f"{year}-01-05T00:00:00"
    done = run(jsonl(tmp_path / "in.jsonl", lines), "--no-embed")
    assert f"1 row far outside the rest (2026-01-05): line 8, {year}-01-05" in done.stderr


def test_years_that_are_thin_at_their_ends_are_not_far_outside(tmp_path):
    spread = [{**row, "timestamp": f"{2011 + n // 50}-03-{1 + n % 28:02d}"} for n, row in enumerate(rows(300))]
    assert "far outside" not in run(jsonl(tmp_path / "in.jsonl", spread), "--no-embed").stderr


def test_rows_are_coded_on_the_way_where_a_coder_is_given(tmp_path):
    lines = [{key: row[key] for key in ("text", "timestamp")} for row in rows(40)]
    lines[7]["text"] = "BOOM"
    found, _ = read(jsonl(tmp_path / "in.jsonl", lines))
    seen = [
        one
        for one, _ in observations(found, ScanOptions("s", SETTINGS), pipeline(FakeCoder(fail_on="BOOM"), batch=8).run)
    ]
    assert [one.at for one in seen] == [row.moment for row in found]
    assert [one.dead for one in seen] == [n == 7 for n in range(40)]
    assert {one.models for one in seen if not one.dead} != {""}
    assert all(one.code and one.agreement is not None for one in seen if not one.dead)


OLD_TOPIC = ("parcel came late", "courier lost it", "box was crushed", "late again", "no parcel yet")
NEW_TOPIC = ("login page is down", "cannot sign in", "password reset fails", "app logs me out", "sign in loops")


@pytest.mark.parametrize("count", [400, 1_000])
def test_a_change_of_topic_in_a_small_file_is_found_by_its_texts_alone_and_says_what_is_new(tmp_path, count):
    draw = random.Random(4)
    lines = [
        {
            "id": n,
            "text": f"{draw.choice(OLD_TOPIC if n < count // 2 else NEW_TOPIC)}, {draw.choice('abcdefgh') * 3} really",
            "timestamp": (START + timedelta(minutes=5 * n)).isoformat(),
        }
        for n in range(count)
    ]
    reading, _ = read(jsonl(tmp_path / "in.jsonl", lines))
    options = ScanOptions("s", SETTINGS, texts_only=True)
    first = novel(reading, options, scan(reading, options, HashEmbedder), HashEmbedder()).alerts[0]
    assert abs(first.at - (START + timedelta(minutes=5 * (count // 2)))) <= timedelta(hours=5)
    assert first.kind in {"texts", "words"}
    assert {"sign", "login", "password"} & set(" ".join(first.terms).split())
    assert len(first.examples) == 5


def test_a_window_may_be_a_number_or_a_time_and_nothing_else(tmp_path):
    path = jsonl(tmp_path / "in.jsonl", rows(100))
    assert run(path, "--window", "6h", "--no-embed").exit_code == 0
    assert run(path, "--window", "64", "--no-embed").exit_code == 0
    assert "neither a number of segments" in run(path, "--window", "soon").stderr
