"""Groups of segments are compared by shares with intervals; what stands out is more than chance explains."""

import json
import random

import pytest
from click.testing import CliRunner

from infra.cli import cli
from infra.storage.analysis.coded_segments import coded_segments
from infra.storage.store import open_store
from models.evaluation.group_rates import MOST_GROUPS, OTHERS, CodedSegment, compare_groups, length_group
from schemas import Annotation
from schemas.ids import code_id
from tests.unit.storage.test_store import assignment, minutes, segment


def coded(group, *, stands=True, drawn=True, reused=True, to_people=False):
    return CodedSegment({"language": group}, reused, to_people, stands, drawn)


def of(shares, measure, group):
    (share,) = [each for each in shares if (each.measure, each.group) == (measure, group)]
    return share


def test_a_group_that_is_coded_worse_stands_out_with_its_interval_and_the_rest_beside_it():
    english = [coded("en", stands=n % 10 > 0) for n in range(200)]
    german = [coded("de", stands=n % 2 > 0) for n in range(60)]
    wrong = of(compare_groups(english + german), "wrong", "de")
    assert (wrong.hits, wrong.total, wrong.rest) == (30, 60, 0.1)
    assert 0.36 < wrong.low < 0.5 < wrong.high < 0.64
    assert wrong.stands_out


def test_where_groups_do_not_differ_hardly_any_comparison_finds_one_that_does():
    draw, alarms = random.Random(5), 0
    for _ in range(60):
        alike = [
            coded(draw.choice("abcdef"), stands=draw.random() < 0.8, reused=draw.random() < 0.5) for _ in range(150)
        ]
        alarms += any(share.stands_out for share in compare_groups(alike))
    assert alarms <= 6


def test_error_counts_what_chance_drew_and_acceptance_all_that_people_judged():
    shares = compare_groups([coded("en"), coded("en", stands=False, drawn=False), coded("en", stands=None)])
    assert (of(shares, "wrong", "en").hits, of(shares, "wrong", "en").total) == (0, 1)
    assert (of(shares, "let stand", "en").hits, of(shares, "let stand", "en").total) == (1, 2)
    assert of(shares, "reused", "en").total == 3


def test_what_was_not_routed_or_judged_is_left_out_and_a_group_alone_has_no_rest():
    shares = compare_groups([coded("en", stands=None, to_people=None)])
    assert {share.measure for share in shares} == {"reused"}
    assert of(shares, "reused", "en").rest is None
    assert not of(shares, "reused", "en").stands_out


def test_beyond_the_largest_groups_the_smaller_ones_stand_together():
    many = [coded(f"language {n}") for n in range(MOST_GROUPS + 5) for _ in range(3 if n < MOST_GROUPS else 1)]
    groups = {share.group for share in compare_groups(many)}
    assert len(groups) == MOST_GROUPS + 1
    assert OTHERS in groups


@pytest.mark.parametrize(("words", "group"), [(0, "under 10 words"), (10, "10 to 24 words"), (49, "25 to 49 words")])
def test_lengths_are_told_by_words(words, group):
    assert length_group(words) == group
    assert length_group(50) == "50 words and more"


@pytest.fixture
def folder(tmp_path):
    store = open_store(f"sqlite:///{tmp_path / 'qualstream.db'}")
    for n in range(6):
        one = segment(n, metadata={"rating": n % 2 + 1, "row": n, "nested": {"a": n % 2}})
        said = Annotation(
            segment_id=one.id,
            study=one.study,
            annotator="ana",
            code_ids=[code_id(one.study, "slow")],
            labels=["slow"],
            accepted=n % 2 == 0,
            sample=True,
            decided_at=minutes(1),
        )
        store.record([one, assignment(one, "slow"), said])
    store.close()
    return tmp_path


def test_what_makes_groups_is_looked_at_and_what_all_segments_share_is_not(folder):
    store = open_store(f"sqlite:///{folder / 'qualstream.db'}")
    looked_at = coded_segments(store.database, "app")
    named = coded_segments(store.database, "app", ["source", "rating"])
    store.close()
    assert set(looked_at[0].groups) == {"rating", "nested", "row"}
    assert set(named[0].groups) == {"source", "rating"}
    assert [each.stands for each in looked_at] == [True, False] * 3


def test_the_command_prints_every_group_and_names_the_studies_for_one_that_is_not_there(folder):
    environment = {"QUALSTREAM_DATA_DIR": str(folder)}
    done = CliRunner(env=environment).invoke(cli, ["bias", "--study", "app", "--by", "rating", "--json"])
    wrong = {each["group"]: each["share"] for each in json.loads(done.stdout) if each["measure"] == "wrong"}
    assert wrong == {"1": 0.0, "2": 1.0}
    shown = CliRunner(env=environment).invoke(cli, ["bias", "--study", "app", "--by", "rating"]).stdout
    assert "0.00 to 0.71" in shown
    with pytest.raises(Exception, match="app"):
        CliRunner(env=environment).invoke(cli, ["bias", "--study", "nothing"], catch_exceptions=False)
