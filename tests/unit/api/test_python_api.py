"""What ``import qualstream`` offers does what its docstrings say."""

import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import qualstream

FAKES = str(Path("tests/data/fakes.toml").resolve())


@pytest.fixture
def coder(tmp_path) -> qualstream.Coder:
    return qualstream.Coder(profile=FAKES, study="spring", data_dir=tmp_path / "data")


@pytest.fixture
def stack(tmp_path):
    with qualstream.connect(study="spring", data_dir=tmp_path / "data", profile=FAKES) as connection:
        yield connection


def test_every_public_name_is_there_and_described():
    for name in set(qualstream.__all__) - {"__version__"}:
        assert getattr(qualstream, name).__doc__, name
    assert qualstream.__version__.count(".") == 2
    assert set(dir(qualstream)) == set(qualstream.__all__)


def test_a_name_that_is_not_offered_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Koder'"):
        _ = qualstream.Koder


def test_importing_it_loads_no_model_and_no_part_that_is_not_asked_for():
    script = (
        "import sys, qualstream; print(*sorted({'torch', 'numpy', 'sqlalchemy', 'infra.settings'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_later_texts_reuse_earlier_codes_over_several_calls(coder):
    (first,) = coder.code(["a nice app"])
    second, third = coder.code(["a nice app indeed", "bad battery"])
    assert (first.code, first.new, second.code, second.new, third.new) == ("nice app", True, "nice app", False, True)
    assert coder.codes == {"nice app": 2, third.code: 1}
    assert first.proposals.keys() == {"a", "b", "c"}


def test_equal_texts_have_ids_of_their_own_and_the_same_ones_in_another_run(coder, tmp_path):
    first, again = coder.code(["so slow", "so slow"])
    assert first.id != again.id
    (other,) = qualstream.Coder(profile=FAKES, study="spring", data_dir=tmp_path).code(["so slow"])
    assert other.id == first.id


def test_a_text_that_cannot_be_coded_says_why_and_its_neighbours_are_coded(coder):
    empty, good = coder.code(["   ", "good app"])
    assert empty.code is None
    assert "no text to code" in (empty.error or "")
    assert (good.code, good.error) == ("good app", None)


def test_taught_codes_are_used_for_the_same_texts(coder):
    assert coder.teach([("The queue took an hour", "long waiting time"), ("dear", ["price", "value"])]) == 2
    assert coder.codes == {"long waiting time": 0, "price": 0, "value": 0}
    (coded,) = coder.code(["The queue took an hour"])
    assert (coded.code, coded.new) == ("long waiting time", False)
    assert coder.teach([("The queue took an hour", "long waiting time")]) == 0


@pytest.mark.parametrize("texts", [[7], [None], ["x" * 200_001]])
def test_what_is_no_text_is_refused_in_one_line(coder, texts):
    with pytest.raises(qualstream.InputError, match=r"text"):
        coder.code(texts)


@pytest.mark.parametrize("example", [("", "code"), ("text", ""), ("text", []), ("text", ["", "code"])])
def test_an_example_without_text_or_code_is_refused(coder, example):
    with pytest.raises(qualstream.InputError, match="is no example"):
        coder.teach([example])


def test_a_wrong_setting_is_refused_before_any_model_is_loaded(tmp_path):
    with pytest.raises(qualstream.SettingError, match="QUALSTREAM_DEVICE is 'gpu'"):
        qualstream.Coder(profile=FAKES, data_dir=tmp_path, device="gpu")
    with pytest.raises(qualstream.SettingError, match="nosuch"):
        qualstream.Coder(profile="nosuch", data_dir=tmp_path)


def test_the_rights_of_the_callers_own_files_stay_as_they_were(coder, tmp_path):
    mask = os.umask(0o022)
    try:
        qualstream.Coder(profile=FAKES, data_dir=tmp_path / "other")
        (tmp_path / "report.txt").write_text("mine")
        assert stat.S_IMODE((tmp_path / "report.txt").stat().st_mode) == 0o644
        assert stat.S_IMODE((tmp_path / "other").stat().st_mode) == 0o700
    finally:
        os.umask(mask)


def test_what_is_sent_twice_is_taken_once_and_attributes_are_kept(stack):
    rows = ["good app", {"text": "bad service", "id": 7, "city": "Ulm", "timestamp": datetime(2026, 3, 1, tzinfo=UTC)}]
    assert stack.ingest(rows) == qualstream.Ingested(2, 2, [])
    assert stack.ingest(rows) == qualstream.Ingested(2, 0, [])
    assert stack.counts().taken_in == 2
    (row,) = [row for row in stack.segments() if row["own_id"] == "7"]
    assert (row["metadata"], row["source"], row["timestamp"].year) == ({"city": "Ulm"}, "python", 2026)


def test_the_source_is_the_callers_or_else_the_rows_own(stack):
    stack.ingest([{"text": "good app", "source": "store"}])
    stack.ingest(["bad app"], source="form")
    assert {row["source"] for row in stack.segments()} == {"store", "form"}


def test_rows_that_are_no_segments_are_named_and_the_others_taken(stack):
    sent = stack.ingest(["n/a", {"id": 1}, "good app"])
    assert (sent.read, sent.new, len(sent.left_out)) == (1, 1, 2)
    assert all(line.startswith("row ") for line in sent.left_out)
    assert stack.ingest([]) == qualstream.Ingested(0, 0, ())


def test_taught_texts_are_labels_of_the_coder_and_final_codes(stack):
    stack.ingest([{"text": "The queue took an hour", "id": "q"}])
    assert "kept" in stack.teach([("The queue took an hour", "long wait")], "ana")
    assert [(row["annotator"], row["codes"]) for row in stack.labels()] == [("ana", ["long wait"])]
    assert stack.final_codes() == {"q": ["long wait"]}
    assert stack.teach([("The queue took an hour", "long wait")], "ana") == "nothing is new"


def test_waiting_ends_with_what_is_still_open(stack):
    stack.ingest(["good app"])
    with pytest.raises(qualstream.UnavailableError, match="1 segments of study 'spring' have no outcome"):
        stack.wait(timeout_s=0)


def test_codes_are_measured_against_peoples():
    result = qualstream.evaluate([["slow"], ["too dear"]], {"mine": ["slow", None], "other": ["slow", "too dear"]})
    scores = result.pooled.scores
    assert (scores["mine"]["rouge_1"].value, scores["other"]["rouge_1"].value) == (0.5, 1.0)
    assert result.to_json()["systems"] == ["mine", "other"]


@pytest.mark.parametrize("gold", [[], [[]], [""]])
def test_gold_without_a_code_is_refused(gold):
    with pytest.raises(qualstream.InputError):
        qualstream.evaluate(gold, {"mine": ["x"] * len(gold)})


def test_a_change_of_codes_is_found_where_there_is_one_and_not_where_there_is_none():
    day = datetime(2026, 1, 1, tzinfo=UTC)
    steady = [{"text": f"t {n}", "time": day + timedelta(hours=n), "code": "ab"[n % 2]} for n in range(900)]
    turned = [row if n < 450 else {**row, "code": "c"} for n, row in enumerate(steady)]
    assert qualstream.scan(steady, embed=False).verdict == "no change found"
    assert qualstream.scan(steady, embed=False).alerts == []
    result = qualstream.scan(turned, embed=False, false_alarms=0.01)
    assert result.segments == 900
    assert result.alerts


@pytest.mark.parametrize("codebook", [["nice app", "price"], {"nice app": "They like it", "price": "What it costs"}])
def test_a_deductive_coder_gives_codes_of_its_codebook_alone(tmp_path, codebook):
    coder = qualstream.Coder(FAKES, "spring", mode="deductive", codebook=codebook, data_dir=tmp_path)
    assert coder.codes == {"nice app": 0, "price": 0}
    known, unknown = coder.code(["a nice app", "bad battery"])
    assert (known.code, known.standing) == ("nice app", "code")
    assert (unknown.code, unknown.standing, unknown.route, unknown.error) == (None, "none", "people", None)
    assert unknown.proposed == "bad battery"
    assert coder.codes == {"nice app": 1, "price": 0}


def test_a_mixed_coder_proposes_codes_and_uses_them_once_they_are_taught(tmp_path):
    coder = qualstream.Coder(FAKES, "spring", mode="mixed", data_dir=tmp_path)
    (proposed,) = coder.code(["bad battery"])
    assert (proposed.code, proposed.standing, proposed.proposed) == (None, "proposed", "bad battery")
    coder.teach([("the battery is bad", "bad battery")])
    (coded,) = coder.code(["bad battery"])
    assert (coded.code, coded.standing) == ("bad battery", "code")


def test_a_codebook_may_be_a_file(tmp_path):
    (tmp_path / "codes.csv").write_text("code,definition\nnice app,They like it\n")
    coder = qualstream.Coder(FAKES, mode="deductive", codebook=tmp_path / "codes.csv", data_dir=tmp_path / "data")
    assert [each.code for each in coder.code(["a nice app"])] == ["nice app"]


def test_a_deductive_coder_without_a_codebook_says_what_to_give_it(tmp_path):
    coder = qualstream.Coder(FAKES, "spring", mode="deductive", data_dir=tmp_path)
    with pytest.raises(qualstream.InputError, match="has no codebook; give one to Coder"):
        coder.code(["a nice app"])
    coder.teach([("a nice app", "nice app")])
    assert [each.code for each in coder.code(["a nice app"])] == ["nice app"]


def test_a_mode_that_is_none_is_refused(tmp_path):
    with pytest.raises(qualstream.SettingError, match="mode is 'closed'; one of inductive, deductive, mixed"):
        qualstream.Coder(FAKES, mode="closed", data_dir=tmp_path)


def test_enough_taught_texts_teach_a_classifier_that_takes_part_from_the_next_call_on(coder):
    kinds = {"slow app": "the start is slow today", "too many ads": "ads ads everywhere ads"}
    before = coder.code(["hello there"])[0]
    coder.teach([(f"{text} {n}", label) for label, text in kinds.items() for n in range(30)])
    (after,) = coder.code(["ads ads everywhere ads 99"])
    assert before.guesses == {}
    assert after.code == "too many ads"
    assert max(after.guesses, key=after.guesses.get) == "too many ads"


def test_texts_are_masked_alone_and_where_they_are_coded(tmp_path):
    texts = ["Write to zoe@x.org", "or to bob@x.org, not zoe@x.org"]
    masked = ["Write to [mail 1]", "or to [mail 2], not [mail 1]"]
    assert qualstream.mask(texts) == masked
    assert qualstream.mask(texts, "off") == texts
    coder = qualstream.Coder(FAKES, "s", data_dir=tmp_path, masking="patterns")
    coder.teach([("ask zoe@x.org", "help")])
    assert [each.text for each in coder.code(texts)] == masked
    for wrong in ({"level": "all"}, {"masking_regions": "Germany"}):
        with pytest.raises(qualstream.SettingError):
            qualstream.mask(texts, **wrong)
    with pytest.raises(qualstream.InputError):
        qualstream.mask([7])
