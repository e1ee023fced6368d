"""Marked parts are compared with each other and with the models' segments, wherever figures can be had."""

import csv
import io
import json
from uuid import uuid4

import pytest
from click.testing import CliRunner

import qualstream
from infra.annotation.part_agreement import part_agreement
from infra.cli.measuring.agreement import agreement
from schemas import Assignment, StudyRules
from tests.web.coding.test_spans import BASE, mark
from tests.web.site import STUDY, code, coded, fill, visit

PAGE = f"{BASE}/agreement"
TURNS = (
    "The checkout is slow, and nobody answers.",
    "I waited for an hour, then left.",
    "It is nice to look at.",
    "Support was kind to me.",
)


@pytest.fixture
def interview(site):
    """Four turns in two documents; the models have coded the first three."""
    segments = fill(site, 4, people=0)
    site.store.reset(STUDY)
    places = {"text": TURNS, "source": ("a.txt", "a.txt", "b.txt", "b.txt"), "turn": (1, 2, 1, 2)}
    turns = [
        segment.model_copy(
            update={
                "text": places["text"][n],
                "source": places["source"][n],
                "metadata": {"turn": places["turn"][n]},
                "id": uuid4(),
            }
        )
        for n, segment in enumerate(segments)
    ]
    for turn, label in zip(turns[:3], ("slow", "slow", "design"), strict=True):
        site.store.record([turn, *coded(turn, label, at=turn.timestamp)])
    site.store.record([turns[3]])
    return turns


def figures(site, **options):
    return part_agreement(site.store.database, STUDY, with_models=options.pop("models", False), **options).figures


def test_two_people_are_compared_by_characters_by_parts_and_beyond_chance(site, interview):
    ana, ben = visit(site, "annotator"), visit(site, "annotator", name="ben")
    mark(ana, interview[0], "checkout is slow", "slow")
    mark(ben, interview[0], "slow", "slow")
    mark(ben, interview[1], "waited for an hour", "slow")
    (pair,) = figures(site).pairs
    assert (pair.coders, pair.documents) == (("ana", "ben"), 1)
    assert list(pair.codes) == [code("slow")]
    characters, parts = pair.whole.characters, pair.whole.parts
    assert (characters.first, characters.second, characters.first_shared) == (16, 22, 4)
    assert characters.precision.value == pytest.approx(4 / 22)
    assert characters.recall.value == pytest.approx(4 / 16)
    assert characters.f1.value == pytest.approx(8 / 38)
    assert (parts["any"].precision.value, parts["any"].recall.value) == (0.5, 1.0)
    assert (parts["half"].f1.value, parts["exact"].f1.value) == (0.0, 0.0)
    page = ana.get(PAGE).text
    for words in (
        "in documents in which both marked something",
        "ana and ben",
        "0.21",
        "share at least half",
        "none with a single one",
    ):
        assert words in page
    assert "begin and end at the same characters" in ana.get(PAGE, params={"overlap": "exact"}).text


def test_the_models_code_counts_for_all_characters_of_its_segment_and_what_they_did_not_code_is_left_out(
    site, interview
):
    ana = visit(site, "annotator")
    mark(ana, interview[0], "checkout is slow", "slow")
    mark(ana, interview[3], "kind", "kindness")
    assert figures(site).pairs == ()
    (pair,) = figures(site, models=True).pairs
    assert (pair.coders, pair.documents) == (("ana", "Qualstream"), 2)
    slow = pair.codes[code("slow")].characters
    assert (slow.first, slow.second, slow.second_shared) == (16, len(TURNS[0]) + len(TURNS[1]), 16)
    assert slow.recall.value == 1.0
    assert code("kindness") not in pair.codes
    assert pair.codes[code("design")].characters.recall.why == "ana marked nothing here"
    alone = ana.get(PAGE).text
    assert "Only ana has marked parts (2)" in alone
    page = ana.get(PAGE, params={"models": "true"}).text
    assert "it counts for all characters of its segment" in page.replace("&#39;", "'")
    assert "ana and Qualstream" in page


def test_merged_codes_are_compared_as_what_they_became(site, interview):
    ana, lead = visit(site, "annotator"), visit(site, "lead", name="lea")
    mark(ana, interview[0], "slow", "sluggish")
    assert code("sluggish") in figures(site, models=True).pairs[0].codes
    ids = [str(code(label)) for label in ("slow", "sluggish")]
    lead.post(f"{BASE}/codebook/bulk", data={"cause": str(uuid4()), "code": ids, "into": ids[0], "action": "merge"})
    assert set(figures(site, models=True).pairs[0].codes) == {code("slow")}


def test_where_the_models_found_no_code_of_the_codebook_the_segment_counts_as_read_and_unmarked(site, interview):
    turn = interview[3]
    (given,) = [each for each in coded(turn, "support", at=turn.timestamp) if isinstance(each, Assignment)]
    site.store.record([given.model_copy(update={"standing": "proposed"})])
    mark(visit(site, "annotator"), turn, "kind", "kindness")
    (pair,) = figures(site, models=True).pairs
    assert set(pair.codes) == {code("kindness"), code("design")}
    kindness = pair.codes[code("kindness")].characters
    assert (kindness.second, kindness.precision.why) == (0, "Qualstream marked nothing here")


def test_reviews_of_one_file_are_documents_of_their_own(site):
    segments = fill(site, 6, people=0)
    ana, ben = visit(site, "annotator"), visit(site, "annotator", name="ben")
    mark(ana, segments[0], segments[0].text[:9], "a")
    mark(ben, segments[2], segments[2].text[:9], "a")
    assert segments[0].source == segments[2].source
    assert figures(site).pairs == ()
    page = ana.get(PAGE).text
    assert "ana, ben marked 2 parts, but no two of them in the same document" in page
    mark(ben, segments[0], segments[0].text[:9], "a")
    (pair,) = figures(site).pairs
    assert (pair.documents, pair.whole.characters.f1.value, pair.whole.alpha.value) == (1, 1.0, 1.0)


def test_several_documents_have_intervals_and_the_same_parts_the_same_figures(site, interview):
    ana, ben = visit(site, "annotator"), visit(site, "annotator", name="ben")
    for turn, mine, other in ((0, "slow", "slow"), (2, "nice", "to look at"), (1, "waited", "waited for")):
        mark(ana, interview[turn], mine, "a")
        mark(ben, interview[turn], other, "a")
    f1 = figures(site).pairs[0].whole.characters.f1
    assert f1.low < f1.value < f1.high
    assert "Intervals come from" not in ana.get(PAGE).text
    assert f1 == figures(site).pairs[0].whole.characters.f1


def test_a_segment_to_be_read_blind_takes_no_part_for_those_who_may_read_it(site):
    segments = fill(site, 4, people=4)
    for name in ("ana", "ben"):
        mark(visit(site, "annotator", name=name), segments[0], segments[0].text[:6], "a")
    site.store.record([StudyRules(study=STUDY, blind=True, author="lea", at=site.clock.now())])
    reader, lead = visit(site, "annotator", name="cem"), visit(site, "lead", name="lea")
    assert "ana and ben" not in reader.get(PAGE).text
    assert reader.get(f"{PAGE}/figures.json").json()["parts"]["pairs"] == []
    assert len(reader.get(f"{PAGE}/parts.csv").text.splitlines()) == 1
    assert "ana and ben" in lead.get(PAGE).text
    assert len(lead.get(f"{PAGE}/parts.csv").text.splitlines()) > 1


def test_a_study_without_marked_parts_says_nothing_of_them(site):
    fill(site, 3)
    assert "Marked parts" not in visit(site, "viewer").get(PAGE).text


def test_the_file_the_command_and_python_tell_the_same(site, interview, monkeypatch):
    ana = visit(site, "annotator")
    mark(ana, interview[0], "checkout is slow", "=slow", "slow")
    lines = list(csv.DictReader(io.StringIO(ana.get(f"{PAGE}/parts.csv", params={"models": "true"}).text, newline="")))
    assert {line["code"] for line in lines} >= {"", "slow", "'=slow"}
    (recall,) = [
        line for line in lines if (line["code"], line["over"], line["measure"]) == ("slow", "characters", "recall")
    ]
    assert (recall["coder"], recall["other_coder"], recall["value"]) == ("ana", "Qualstream", "1.0")
    assert (recall["coder_marked"], recall["of_those_by_other"]) == ("16", "16")
    monkeypatch.setenv("QUALSTREAM_DATA_DIR", str(site.settings.data_dir))
    printed = CliRunner().invoke(agreement, ["--study", STUDY, "--models"])
    assert printed.exit_code == 0, printed.output
    for words in ("Marked parts: 1.", "recall, characters", "alpha (unitizing)", "intersection over union"):
        assert words in " ".join(printed.output.split())
    as_json = json.loads(CliRunner().invoke(agreement, ["--study", STUDY, "--models", "--json"]).output)
    assert as_json == ana.get(f"{PAGE}/figures.json", params={"models": "true"}).json()
    with qualstream.connect(STUDY, data_dir=site.settings.data_dir) as study:
        assert study.agreement(models=True)["parts"] == as_json["parts"]
