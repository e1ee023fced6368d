"""Words and codes that rise: slowly, in few segments, or for a day; and what is new in some texts."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import numpy as np
import pytest

from infra.drift.novelty import DatedText, NoveltyTools, with_novelty
from models.drift.monitor import Monitor
from models.drift.observation import Observed
from models.drift.settings import DriftSettings
from models.drift.terms.distinctive import SourcedText, distinctive_terms
from models.drift.terms.term_watch import TermWatch
from models.errors import UncodableError
from models.fakes import HashEmbedder
from models.moderation.decision import ConsensusModerator
from models.text.words import distinct_words
from schemas import DriftAlert

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY_S = 86_400.0
COMMON = [f"word{letter}{other}" for letter in "abcdefgh" for other in "abcdefgh"]


def texts(seed, days, a_day, share, word="outage", sources=2):
    """Segments of eight common words; a share of them, by day, has one more word."""
    random = np.random.default_rng(seed)
    for day in range(days):
        for n in range(a_day):
            words = tuple(str(each) for each in random.choice(COMMON, 8, replace=False))
            extra = (word,) if random.random() < share(day) else ()
            at = day * DAY_S + (n + 0.5) * DAY_S / a_day
            yield at, UUID(int=day * a_day + n + 1), f"source {n % sources}", words + extra


def run(stream, lasting=0.5, bursts=0.5):
    watch, findings = TermWatch(DriftSettings(), lasting, bursts), []
    for row in stream:
        findings += watch.add(*row)
    return findings + watch.finish()


@pytest.mark.parametrize("a_day", [12, 40])
def test_a_burst_of_one_day_is_found_and_told_when_it_is_over(a_day):
    (finding,) = run(texts(1, 60, a_day, lambda day: 0.7 if day == 40 else 0.01))
    assert finding.burst
    assert finding.start // DAY_S == 40
    assert finding.risen[0].term == "outage"
    assert len(finding.examples) == 5


def test_a_rise_over_weeks_in_a_stream_of_few_segments_is_found_once_and_placed_on_the_way_up():
    (finding,) = run(texts(2, 120, 8, lambda day: 0.01 + 0.3 * max(0, min(1, (day - 50) / 40))))
    assert not finding.burst
    assert 50 <= finding.start / DAY_S <= 95
    assert finding.earliest <= finding.start <= finding.latest
    assert [risen.term for risen in finding.risen] == ["outage"]


def test_a_rise_that_stays_is_no_burst():
    findings = run(texts(3, 60, 30, lambda day: 0.4 if day >= 30 else 0.01))
    assert [finding.burst for finding in findings] == [False]


def test_streams_in_which_nothing_changes_raise_hardly_any_finding():
    raised = [run(texts(seed, 60, 12, lambda _: 0.05), lasting=0.04, bursts=0.03) for seed in range(10, 22)]
    assert sum(map(bool, raised)) <= 1


def test_a_source_that_grows_with_words_of_its_own_is_no_rise_of_them():
    def stream():
        random = np.random.default_rng(5)
        for n in range(1_500):
            grown = random.random() < (0.1 if n < 800 else 0.6)
            words = tuple(str(each) for each in random.choice(COMMON, 6, replace=False))
            own = ("gate",) if grown and random.random() < 0.5 else ()
            yield n * 3_600.0, UUID(int=n + 1), "airport" if grown else "shop", words + own

    assert run(stream()) == []


def test_what_is_said_again_at_once_is_one_event():
    def stream():
        for row in texts(6, 60, 30, lambda _: 0.0):
            yield row
            if row[0] // DAY_S == 40:
                yield row[0], uuid4(), row[2], ("copied", "post")

    assert run(stream()) == []


def test_a_restart_changes_nothing():
    rows = list(texts(1, 60, 12, lambda day: 0.7 if day == 40 else 0.01))
    watch, findings = TermWatch(DriftSettings(), 0.5, 0.5), []
    for part in (rows[:100], rows[100:485], rows[485:]):
        for row in part:
            findings += watch.add(*row)
        state, watch = json.loads(json.dumps(watch.state())), TermWatch(DriftSettings(), 0.5, 0.5)
        watch.go_on(state)
    assert findings + watch.finish() == run(rows)


def test_memory_stays_flat_and_a_word_that_was_long_known_is_no_rise():
    watch, findings = TermWatch(DriftSettings(), 0.5, 0.5), []
    random = np.random.default_rng(8)
    for n in range(16_000):
        words = tuple(str(each) for each in random.choice(COMMON, 4, replace=False))
        findings += watch.add(n * 300.0, UUID(int=n + 1), "shop", (*words, f"rare{n % 400}"))
    assert findings + watch.finish() == []
    assert len(watch.chunks) <= 64
    assert 8_000 <= watch.known <= 12_800


def alerts_of(stream, code=lambda words: "spoken"):
    monitor = Monitor("demo", DriftSettings(lateness=timedelta()))
    observed = (
        Observed(START + timedelta(seconds=at), segment, source, code(words), words=words)
        for at, segment, source, words in stream
    )
    return monitor.extend(observed) + monitor.finish()


def test_the_monitor_says_which_words_rose_and_crosses_a_topic_whole():
    (alert,) = alerts_of(texts(2, 120, 8, lambda day: 0.01 + 0.3 * max(0, min(1, (day - 50) / 40))))
    assert (alert.kind, alert.cause, alert.terms) == ("words", "input", ["outage"])
    assert "'outage' from" in alert.says
    assert DriftAlert.from_bytes(alert.to_bytes()) == alert


def test_a_code_of_one_day_is_an_alert_about_that_day():
    stream = texts(4, 60, 12, lambda day: 0.7 if day == 40 else 0.02)
    alerts = alerts_of(stream, lambda words: "outage" if "outage" in words else f"code {words[0]}")
    assert {alert.kind for alert in alerts} == {"codes of a day", "words of a day"}
    alert = next(alert for alert in alerts if alert.codes)
    assert alert.codes == ["outage"]
    assert alert.at.date() == (START + timedelta(days=40)).date()
    assert "On 2026-02-10 alone" in alert.says


def test_words_are_told_apart_whatever_their_case_and_counted_once():
    assert distinct_words("Über Ärger, ÜBER ärger: 3 x Привет привет") == ("über", "ärger", "привет")


OLD = [
    SourcedText("shop", text) for text in ("the parcel came late", "food was cold", "friendly crew", "too dear")
] * 30
NEW = [SourcedText("shop", f"my refund for the {what} voucher never came") for what in ("spring", "gift", "old")] * 8


def test_what_is_new_is_named_by_its_phrases_first_and_nothing_is_new_where_nothing_is():
    terms = [term.term for term in distinctive_terms(OLD, [*OLD[:40], *NEW])]
    assert {"refund", "voucher"} <= set(" ".join(terms[:4]).split())
    assert distinctive_terms(OLD, OLD[:60]) == []
    assert distinctive_terms(OLD, NEW[:2]) == []


def test_words_of_a_source_that_only_grew_are_not_new():
    airport = [SourcedText("airport", "the gate was closed")] * 10
    grown = distinctive_terms([*OLD, *airport], [*OLD[:40], *airport, *airport, *NEW])
    assert "gate" not in " ".join(term.term for term in grown)


def dated(rows, start):
    return [
        DatedText(start + timedelta(minutes=n), UUID(int=int(start.timestamp()) + n), row.source, row.text)
        for n, row in enumerate(rows)
    ]


def described(**tools):
    before, after = dated(OLD, START), dated([*OLD[:40], *NEW], START + timedelta(days=1))
    alert = DriftAlert(
        id=uuid4(),
        study="demo",
        kind="texts",
        cause="input",
        at=after[0].at,
        detected_at=after[-1].at,
        p=0.01,
        effect=0.1,
        examples=[after[0].segment],
        says="The texts are others.",
    )
    (told,) = with_novelty([alert], [*before, *after], NoveltyTools(**tools))
    return told, {text.segment: text.text for text in after}


def test_an_alert_about_texts_says_what_is_new_with_five_examples_and_the_nearest_codes():
    told, by_id = described(embedder=HashEmbedder(), labels=["cold food", "refund for voucher", "late parcel", "crew"])
    assert "“refund" in told.says
    assert "voucher" in " ".join(told.terms)
    assert len(told.examples) == 5
    assert sum("voucher" in by_id[id_] for id_ in told.examples) >= 3
    assert told.nearest[0] == "refund for voucher"
    assert len(told.nearest) == 3
    assert told.name == ""


def test_the_moderator_names_what_is_new_where_there_is_one():
    told, _ = described(moderator=ConsensusModerator(HashEmbedder()))
    assert told.name in told.terms


def test_a_moderator_that_cannot_name_it_leaves_it_without_a_name():
    class Mute:
        version = "mute"

        def decide(self, batch):
            raise UncodableError("nothing usable")

    told, _ = described(moderator=Mute())
    assert told.name == ""
    assert told.terms


def test_an_alert_about_the_model_is_left_as_it_is():
    told, _ = described()
    other = told.model_copy(update={"cause": "model", "terms": []})
    assert with_novelty([other], dated(OLD, START), NoveltyTools()) == [other]
