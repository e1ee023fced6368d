"""The page of the paper's claims: drawn from its figures, the same twice, chosen and tested on different texts."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from benchmarks.open_sets import Row
from benchmarks.paper.__main__ import measure_coded, with_claims
from benchmarks.paper.audit import audit
from benchmarks.paper.choosing import BEST_OF_MEMBERS, MODERATORS
from benchmarks.paper.claims.verdicts import FAILS, HOLDS, OPEN, verdict
from benchmarks.paper.faithful import CHANCE, LEAST, MOST, deletions
from benchmarks.paper.hierarchy import against_people
from benchmarks.paper.kept import add_lines, kept_decisions, kept_lines
from benchmarks.paper.layout import PICTURES, page
from benchmarks.paper.rated import PROFILES
from benchmarks.paper.systems import (
    FIRST_WORDS,
    PANEL,
    TAUGHT,
    VOTE,
    ZERO,
    Asked,
    Coded,
    adaptive,
    as_written,
    few_shot,
    member,
    refined,
)
from benchmarks.paper.texts import MAY_SHIP, Samples, quick_samples
from benchmarks.quality import Lab, decide, first_words, labels, segment
from infra.factory.models import Models
from infra.profiles.loading import load_profile
from infra.settings import Settings
from models.backends.sentence.attribution import attribute
from models.backends.sentence.classifier import TextClassifier
from models.backends.sentence.embedder import SentenceEmbedder
from models.backends.sentence.heads import LogisticHead
from models.evaluation.report import Evaluation, EvaluationOptions, GoldRow, evaluate
from models.fakes import FakeCoder, HashEmbedder
from models.moderation.decision import ConsensusModerator
from schemas import Proposals
from tests.unit.coding.test_architectures import save_base

MEMBERS = ("gist", "theme", "essence")
DOCS = Path(__file__).parents[3] / "docs"


class NoSynonyms:
    def synsets(self, lemma: str) -> Sequence[object]:
        return []


class Words:
    """Each word's direction, whatever stands beside it."""

    version = "words@1"

    def embed_tokens(self, texts: Sequence[str]) -> list:
        return [(HashEmbedder().embed(text.split()), np.ones(len(text.split()), dtype=np.float32)) for text in texts]


class FakeLab(Lab):
    """A lab without models."""

    def __init__(self) -> None:
        self.tiny, self.embeds = load_profile("tiny"), HashEmbedder()

    def measure(
        self, rows: Sequence[Row], systems: Mapping[str, Sequence[str | None]], resamples: int = 40
    ) -> Evaluation:
        gold = [GoldRow(row.text, row.codes, id=row.id, set=row.set) for row in rows]
        return evaluate(gold, systems, self.embeds, Words(), NoSynonyms(), EvaluationOptions(resamples=resamples))


def coded(lab: Lab, rows: Sequence[Row]) -> Coded:
    segments = [segment(row) for row in rows]
    answers = FakeCoder(MEMBERS, varied=True).propose(segments)
    batch = [Proposals(segment=s, proposals=list(p)) for s, p in zip(segments, answers, strict=True)]
    decisions = {name: decide(ConsensusModerator(lab.embeds), batch) for name in (*MODERATORS, PANEL)}
    codes = {member(name): [each[n].label for each in answers] for n, name in enumerate(MEMBERS)}
    codes |= {
        ZERO: [None] * len(rows),
        as_written(ZERO): [row.text for row in rows],
        FIRST_WORDS: [first_words(r.text) for r in rows],
    }
    codes |= {few_shot(n): [first_words(row.text).split()[0] for row in rows] for n in (1, 2)}
    codes |= {name: labels(each) for name, each in decisions.items()}
    codes |= {refined(name): lab.refined(decisions[name], 0.8) for name in (VOTE, TAUGHT, PANEL)}
    codes[adaptive(VOTE)] = lab.refined(decisions[VOTE], 0.8, adaptive=True)
    return Coded(codes, decisions)


def measured() -> dict:
    lab, texts = FakeLab(), quick_samples()
    figures, _ = measure_coded(lab, texts, coded(lab, texts.test), coded(lab, texts.choose))
    return with_claims(figures) | {"commit": "abc", "date": "2026-01-01T00:00", "machine": {"cpu": "a CPU"}}


@pytest.fixture(scope="module")
def figures() -> dict:
    return measured()


def test_two_runs_have_the_same_figures(figures):
    assert measured() == figures


def test_every_table_is_drawn_from_the_figures(figures):
    drawn = page(figures, "")
    shown = {name: f"{row['composite']['value']:.3f}" for name, row in figures["systems"].items()}
    rows = {line.split("|")[1].strip(): line for line in drawn.splitlines() if line.startswith("|")}
    table_6 = drawn.partition("### Table 6")[2].partition("####")[0]
    assert all(name in rows for name in shown)
    assert all(re.search(rf"\| {re.escape(name)} .*{value}", table_6) for name, value in shown.items())
    other = {metric: {"value": 0.123, "low": 0.1, "high": 0.2} for metric in figures["systems"][VOTE]}
    changed = figures | {"systems": {**figures["systems"], VOTE: other}}
    assert "0.123 [0.100, 0.200]" in page(changed, "").partition("### Table 6")[2]


def test_every_claim_has_what_was_said_measured_and_concluded(figures):
    drawn = page(figures, "")
    claims = [*figures["paper"], *figures["notice"]]
    assert len(claims) >= 30
    assert all(all(claim.values()) for claim in claims)
    assert all(f"### {claim['name']}\n" in drawn and claim["measured"] in drawn for claim in claims)
    assert all(any(word in claim["verdict"] for word in (HOLDS, FAILS, OPEN, "not testable here")) for claim in claims)


def test_an_upper_bound_is_at_least_as_good_as_what_it_chooses_among(figures):
    best = figures["systems"][BEST_OF_MEMBERS]["composite"]["value"]
    assert best > 0
    assert not any(BEST_OF_MEMBERS in quote["codes"] for quote in figures["quotes"])


def test_nothing_is_chosen_on_a_text_that_is_tested_on():
    texts = quick_samples()
    assert not {row.text for row in texts.test} & {row.text for row in texts.choose}


def test_texts_that_may_not_ship_are_not_quoted():
    ours = Row("opencodes_pdp_interviews", "1", "a text of ours", ("code",))
    theirs = Row("opencodes_exam_proctoring", "2", "a text of theirs", ("code",))
    assert Samples((theirs, ours, theirs), (), "").quoted() == [1]


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ([(0.1, 0.2), (0.01, 0.3)], HOLDS),
        ([(0.1, 0.2), (-0.1, 0.3)], OPEN),
        ([(-0.2, -0.1), (-0.1, 0.3)], FAILS),
        ([(-0.2, -0.1), (0.1, 0.3)], OPEN),
        ([], OPEN),
    ],
)
def test_a_verdict_follows_the_intervals(gaps, expected):
    assert verdict([{"low": low, "high": high} for low, high in gaps]) == expected


def test_a_run_that_was_broken_off_decides_nothing_twice(tmp_path):
    lab, texts = FakeLab(), quick_samples()
    decisions = [*coded(lab, texts.test).decisions[VOTE], None]
    first = kept_decisions(tmp_path, "vote", "key", lambda: decisions)
    again = kept_decisions(tmp_path, "vote", "key", lambda: pytest.fail("decided twice"))
    assert first == again == decisions
    assert kept_decisions(tmp_path, "vote", "another key", lambda: [None]) == [None]


def test_a_chat_model_moderates_where_members_differ(tmp_path):
    lab, rows = FakeLab(), quick_samples().test[:3]
    models = Models(lab.tiny, Settings(data_dir=tmp_path), HashEmbedder())
    moderator = Asked(models, str(save_base(tmp_path / "base", "Qwen2")))
    segments = [segment(row) for row in rows]
    answers = FakeCoder(MEMBERS, varied=True).propose(segments)
    batch = [Proposals(segment=s, proposals=list(p)) for s, p in zip(segments, answers, strict=True)]
    assert [each.segment.id for each in moderator.decide(batch)] == [each.id for each in segments]


def test_words_that_speak_for_a_code_are_missed_more_than_others():
    body, codes = SentenceEmbedder(), [UUID(int=1), UUID(int=2)]
    texts = ["the app crashes all the time", "it crashed again today", "too expensive for me", "the price is too high"]
    head = LogisticHead.fit(body.embed(texts), np.array([[True, False]] * 2 + [[False, True]] * 2))
    classifier = TextClassifier(body, head, codes, ["crashes", "price"])
    read = ["since the update my phone crashes constantly", "nice design but the price is a joke"]
    explained = [attribute(classifier, text, code) for text, code in zip(read, codes, strict=True)]
    drops = deletions(classifier, read, codes, explained, 0.2)
    assert (drops[MOST] > drops[CHANCE]).all()
    assert (drops[MOST] > drops[LEAST]).all()


def test_groups_are_audited_by_what_stands_goes_to_people_and_is_reused():
    items = [
        {
            "id": str(n), "set": f"set {n % 2}", "text": "so slow " * (n + 1), "human": "slow", "swapped": "fast",
            **{name: {"code": "slow", "signals": {"agreement": n / 20, "new": float(n % 2)}} for name in PROFILES},
        }
        for n in range(20)
    ]  # fmt: skip
    rows = audit(items, items[:10])
    by_language = [row for row in rows if row["by"] == "language"]
    assert {row["measure"] for row in by_language} == {"to people", "reused"}
    asked = [row for row in rows if row["lot"] == "open sets" and row["profile"] == "small" and row["by"] == "set"]
    assert sum(row["texts"] * row["share"] for row in asked if row["measure"] == "to people") == pytest.approx(4)
    assert {row["share"] for row in asked if row["measure"] == "reused"} == {0.0, 1.0}


def test_lines_that_were_added_are_there_after_a_break(tmp_path):
    assert kept_lines(tmp_path / "lines.jsonl") == []
    add_lines(tmp_path / "lines.jsonl", [{"id": 1}])
    add_lines(tmp_path / "lines.jsonl", [{"id": 2}, {"id": 3}])
    assert [line["id"] for line in kept_lines(tmp_path / "lines.jsonl")] == [1, 2, 3]


def test_themes_that_are_people_s_agree_wholly():
    parents = {
        "slow app": ("speed", 3),
        "app is slow": ("speed", 2),
        "kind staff": ("people", 1),
        "staff kind": ("people", 1),
    }
    agreed = against_people(parents, HashEmbedder())
    assert agreed["people"] == 2
    assert agreed["codes"] == 4
    assert -1 <= agreed["ari"]["value"] <= 1


def test_the_page_is_what_its_figures_draw_and_quotes_what_may_ship():
    drawn = json.loads((DOCS / "results" / "paper.json").read_text(encoding="utf-8"))
    assert page(drawn, "results/paper") == (DOCS / "paper.md").read_text(encoding="utf-8")
    assert {quote["set"] for quote in drawn["quotes"]} <= set(MAY_SHIP)
    assert all((DOCS / "results" / "paper" / f"{name}.png").exists() for name in PICTURES)
