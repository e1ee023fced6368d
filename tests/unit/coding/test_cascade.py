"""A segment is read by as few members as it needs; what is taken over is marked and stays within its study."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.factory.models import Models
from infra.factory.pipeline import build_pipeline
from infra.local.file_coding import as_row
from infra.local.stack import role_environment
from infra.profiles.loading import checked_profile
from infra.settings import load_settings
from models.coding.cascade import CascadeCoder, CascadeSettings
from models.coding.ensemble import Ensemble
from models.errors import SettingError, UnavailableError
from models.fakes import FakeCoder, HandClock, HashEmbedder
from models.moderation.decision import ConsensusModerator
from models.moderation.proposal_join import JoinSettings, ProposalJoin
from models.pipeline import Uncoded, code_batch
from models.text.polarity import opposite
from schemas import Proposals
from tests.unit.builders import proposal, segment

LOG_IN = "i can not log in with my phone since the update"
TWICE = "i can not log in with my phone since the last update"
TABLE = Path(__file__).parents[2] / "data" / "polarity.jsonl"


class Scripted(FakeCoder):
    """Answers by the script: text to one label a member; it keeps what it was asked."""

    def __init__(self, script=None, members=("a", "b", "c")):
        super().__init__(members)
        object.__setattr__(self, "script", script or {})
        object.__setattr__(self, "asked", [])

    def propose(self, segments, among=None):
        wanted = self.members if among is None else among
        self.asked.append((tuple(wanted), [one.text for one in segments]))
        return [self._said(one.text, wanted) for one in segments]

    def _said(self, text, wanted):
        labels = self.script.get(text, ["same label"] * len(self.members))
        faults = [None if label else "empty" for label in labels]
        said = zip(labels, self.members, faults, strict=True)
        return [proposal(label, member, fault) for label, member, fault in said if member in wanted]


class Near(HashEmbedder):
    """Counts what it embeds."""

    def __init__(self):
        super().__init__(64)
        object.__setattr__(self, "embedded", [])

    def embed(self, texts):
        self.embedded.extend(texts)
        return super().embed(texts)


def cascade(script=None, members=("a", "b", "c"), **wanted):
    coder = Scripted(script, members)
    return CascadeCoder(coder, Near(), CascadeSettings(**wanted)), coder


def read(coder, *texts, study="reviews"):
    return coder.propose([segment(text, study=study) for text in texts])


def names(said):
    return "".join(p.member for p in said)


def labels(given):
    return [[p.label for p in said] for said in given]


def sources(given):
    return [said[0].taken_from for said in given]


def test_members_after_the_first_two_are_asked_only_where_those_disagree():
    coder, asked = cascade({"two": ["slow app", "nice music", "slow app"]}, near=1)
    given = read(coder, "one", "two", "three")
    assert [names(said) for said in given] == ["ab", "abc", "ab"]
    assert asked.asked == [(("a", "b"), ["one", "two", "three"]), (("c",), ["two"])]


@pytest.mark.parametrize(
    ("one", "other", "agreement", "agree"),
    [
        ("Slow app", "slow app.", 1.0, True),
        ("app slow", "slow app", 1.0, False),
        ("app slow", "slow app", 0.9, True),
        ("slow app", "nice music", 0.5, False),
        ("slow app", "slow website", 0.5, True),
        ("slow app", "fast app", 0.5, False),  # near by cosine, but opposites
        ("slow app", "", 0.5, False),
        ("", "", 0.5, False),
    ],
)
def test_labels_agree_when_equal_or_near_and_never_when_opposite_or_unusable(one, other, agreement, agree):
    coder, _ = cascade({"text": [one, other, "third"]}, agreement=agreement, near=1)
    assert names(read(coder, "text")[0]) == ("ab" if agree else "abc")


def test_as_many_members_as_are_asked_first_are_never_compared():
    coder, asked = cascade({"text": ["one", "other"]}, members=("a", "b"), near=1)
    assert names(read(coder, "text")[0]) == "ab"
    assert len(asked.asked) == 1


def test_an_equal_text_takes_the_reading_over_and_says_from_where():
    coder, asked = cascade(near=1)
    first, again = segment("Great app!", "1"), segment("great  APP", "2")
    ((one,), (other,)) = (coder.propose([s])[0][:1] for s in (first, again))
    assert (one.taken_from, other.taken_from) == (None, first.id)
    assert (other.label, other.member, other.model, other.latency_s) == (one.label, one.member, one.model, 0)
    assert len(asked.asked) == 1


def test_with_both_thresholds_at_one_nothing_is_embedded():
    coder, _ = cascade({LOG_IN: ["a b", "b a", "c"]}, near=1, agreement=1)
    read(coder, LOG_IN, TWICE)
    assert coder._embedder.embedded == []


@pytest.mark.parametrize("together", [True, False])
def test_a_nearly_identical_text_takes_the_reading_over_in_the_same_batch_and_later(together):
    coder, asked = cascade(near=0.9)
    given = read(coder, LOG_IN, TWICE) if together else read(coder, LOG_IN) + read(coder, TWICE)
    assert sources(given) == [None, segment(LOG_IN).id]
    assert [text for _, texts in asked.asked for text in texts] == [LOG_IN]


def test_nothing_is_taken_over_between_studies():
    coder, _ = cascade(near=0.9)
    given = read(coder, LOG_IN, study="one") + read(coder, LOG_IN, TWICE, study="two")
    assert sources(given) == [None, None, segment(LOG_IN, study="two").id]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("works now", "never works"),
        ("the new voice mode works for me now", "the new voice mode never works for me now"),
        ("i love this app and i can log in", "i love this app and i can not log in"),
        ("i love this app and i can log in", "i love this app and i can\u2019t log in"),
        ("the answers it gives are always right here", "the answers it gives are always wrong here"),
        ("please enable the two factor login for me", "please disable the two factor login for me"),
    ],
)
def test_texts_that_may_mean_the_opposite_are_read_each_for_itself(one, other):
    for pair in ((one, other), (other, one)):
        coder, _ = cascade(near=0.5)
        assert sources(read(coder, *pair)) == [None, None]


def test_a_question_is_not_equal_to_a_statement():
    coder, _ = cascade(near=1)
    assert sources(read(coder, "it works.", "it works?", "It works!")) == [None, None, segment("it works.").id]


def test_no_pair_of_opposites_of_the_polarity_table_is_taken_over_even_within_longer_texts():
    rows = [json.loads(line) for line in TABLE.read_text("utf-8").splitlines()]
    pairs = [(row["a"], row["b"]) for row in rows if row["relation"] == "opposite"]
    taken = []
    for a, b in pairs:
        coder, _ = cascade(near=0.5)
        given = read(coder, *(f"in this version of yours there is {code}" for code in (a, b)))
        taken += [(a, b)] if sources(given)[1] else []
    assert not [pair for pair in taken if opposite(*pair)]
    assert len(pairs) >= 200
    assert len(taken) <= 0.05 * len(pairs), taken


def test_short_and_very_long_texts_are_taken_over_only_where_they_are_equal():
    coder, _ = cascade(near=0.5)
    long = "so slow " * 200
    given = read(coder, "nice good app", "app good nice", long, long + "today", long.upper())
    assert sources(given) == [None, None, None, None, segment(long).id]


def test_a_text_is_not_compared_with_what_was_itself_taken_over():
    words = [f"word{n}" for n in range(12)]
    steps = [" ".join([*words[:-n], *["other"] * n]) if n else " ".join(words) for n in range(7)]
    coder, _ = cascade(near=0.9)
    given = read(coder, *steps)
    vectors = HashEmbedder(64).embed(steps)
    ids = {segment(text).id: n for n, text in enumerate(steps)}
    assert any(source is not None for source in sources(given))
    for n, source in enumerate(sources(given)):
        assert source is None or float(vectors[n] @ vectors[ids[source]]) >= 0.9


def test_a_reading_without_a_usable_label_is_not_taken_over():
    coder, asked = cascade({LOG_IN: ["", "", ""]}, near=0.9)
    given = read(coder, LOG_IN, TWICE, "an other text about something else")
    assert sources(given) == [None, None, None]
    assert labels(given)[1] == ["same label", "same label"]
    asked.asked.clear()
    assert sources(read(coder, LOG_IN)) == [segment(TWICE).id]  # it is tried again, now with one to take over


def test_a_segment_that_comes_again_keeps_what_it_was_given():
    coder, asked = cascade({LOG_IN: ["slow", "music", "price"]}, near=0.9)
    given = read(coder, LOG_IN, TWICE, "nice")
    asked.asked.clear()
    assert read(coder, "nice", TWICE, LOG_IN) == [given[2], given[1], given[0]]
    assert read(coder, TWICE, TWICE) == [given[1], given[1]]
    assert asked.asked == []


def test_a_segment_whose_text_changed_is_read_anew():
    coder, asked = cascade(near=1)
    for text in ("slow app today", "great music for all"):
        coder.propose([segment(text, "key")])
    assert len(asked.asked) == 2


def test_the_memory_forgets_the_text_that_was_not_used_for_longest():
    coder, _ = cascade(near=0.9, memory=2)
    one, two, three = (f"{word} is what this text talks about" for word in ("slow login", "music", "price"))
    read(coder, one), read(coder, two)
    assert sources(coder.propose([segment(one, "again")])) == [segment(one).id]  # used: now two is the oldest
    read(coder, three)
    assert sources(coder.propose([segment(one, "once more")])) == [segment(one).id]
    assert sources(coder.propose([segment(two, "again")])) == [None]
    assert len(coder._memory._read) == len(coder._memory._used) == len(coder._memory._places) == 2


def test_a_batch_that_fails_leaves_nothing_behind():
    class Away(Scripted):
        def propose(self, segments, among=None):
            raise UnavailableError("no answer")

    coder, away = cascade(near=0.9)[0], Away()
    coder._coder, there = away, coder._coder
    with pytest.raises(UnavailableError):
        read(coder, LOG_IN)
    coder._coder = there
    assert sources(read(coder, TWICE, LOG_IN)) == [None, segment(TWICE).id]


def test_one_text_that_the_members_fail_on_is_alone_in_its_failure_and_the_skipped_are_named():
    coder = CascadeCoder(FakeCoder(("a", "b", "c"), fail_on="BOOM"), HashEmbedder())
    batch = [segment(text, str(n)) for n, text in enumerate(["slow checkout", "BOOM", "slow checkout"])]
    first, boom, last = code_batch(coder, batch, 100)
    assert isinstance(boom, Uncoded)
    assert first.skipped == last.skipped == ["c"]
    assert [p.taken_from for p in last.proposals] == [batch[0].id] * 2


def test_the_agreement_is_that_of_the_members_who_were_asked():
    coder = CascadeCoder(FakeCoder(("a", "b", "c")), HashEmbedder())
    (decision,) = ConsensusModerator(HashEmbedder()).decide(code_batch(coder, [segment()], 100))
    assert decision.agreement == pytest.approx(1)
    assert (names(decision.proposals), decision.skipped) == ("ab", ["c"])


def test_members_behind_several_coders_are_asked_by_name():
    asked = Scripted({"text": ["x", "y"]}, ("a", "c")), Scripted({"text": ["z"]}, ("b",))
    coder = CascadeCoder(Ensemble(asked, ("a", "b", "c")), HashEmbedder(), CascadeSettings(near=1))
    assert names(read(coder, "text")[0]) == "abc"
    assert [one.asked for one in asked] == [[(("a",), ["text"]), (("c",), ["text"])], [(("b",), ["text"])]]


def test_a_skipped_member_counts_as_answered_and_is_not_waited_for():
    join = ProposalJoin(JoinSettings(("a", "b", "c"), quorum=3, deadline_s=30, patience_s=300), HandClock())
    said = [proposal("slow app", "a"), proposal("slow app", "b")]
    joined = join.add("t1", Proposals(segment=segment(), proposals=said, skipped=["c"]))
    assert (joined.missing, joined.proposals.skipped) == ((), ["c"])


def test_members_apart_are_joined_with_what_each_group_skipped():
    clock = HandClock()
    join = ProposalJoin(JoinSettings(("a", "b", "c", "d"), quorum=4, deadline_s=30, patience_s=300), clock)
    assert join.add("t1", Proposals(segment=segment(), proposals=[proposal("x", "b")], skipped=["d"])) is None
    assert join.add("t2", Proposals(segment=segment(), proposals=[proposal("x", "a")], skipped=[])) is None
    clock.advance(30)
    assert join.due() == ([], [])  # three of four have been heard
    last = Proposals(segment=segment(), proposals=[proposal("x", "c")], skipped=[])
    joined = join.add("t3", last)
    assert (names(joined.proposals.proposals), joined.proposals.skipped) == ("abc", ["d"])
    join.take_back([joined])
    assert join.add("t3", last) == joined


def test_a_member_that_answers_after_all_is_not_skipped():
    join = ProposalJoin(JoinSettings(("a", "b"), quorum=2, deadline_s=30, patience_s=300), HandClock())
    join.add("t1", Proposals(segment=segment(), proposals=[proposal("x", "b")]))
    joined = join.add("t2", Proposals(segment=segment(), proposals=[proposal("x", "a")], skipped=["b"]))
    assert (names(joined.proposals.proposals), joined.proposals.skipped) == ("ab", [])


PROFILE = """
name = "mine"
[embedder]
model = "fake"
[cascade]
on = {on}
near = 0.9
memory = 7
""" + "".join(f'[[members]]\nname = "{name}"\nbackend = "fake"\nprompt = 1\n' for name in "abc")


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.delenv("QUALSTREAM_CASCADE", raising=False)

    def write(on="false"):
        (tmp_path / "mine.toml").write_text(PROFILE.replace("{on}", on), encoding="utf-8")
        return str(tmp_path / "mine.toml")

    return write


@pytest.mark.parametrize(
    ("profile", "setting", "there"),
    [("false", None, False), ("true", None, True), ("false", "on", True), ("true", "off", False)],
)
def test_the_setting_wins_over_the_profile(mine, profile, setting, there):
    settings = load_settings(profile=mine(profile), cascade=setting)
    coder = Models.of(settings).build_coder()
    assert isinstance(coder, CascadeCoder) == there
    assert coder.members == ("a", "b", "c")
    if there:
        assert coder.settings == CascadeSettings(near=0.9, memory=7)


def test_a_roles_process_is_told_of_the_setting_only_where_it_is_set(mine):
    profile = mine()
    assert "QUALSTREAM_CASCADE" not in role_environment(load_settings(profile=profile), ["host:1"])
    assert role_environment(load_settings(profile=profile, cascade="on"), ["host:1"])["QUALSTREAM_CASCADE"] == "on"


def test_a_wrong_setting_or_table_is_told_in_one_line(mine, monkeypatch):
    monkeypatch.setenv("QUALSTREAM_CASCADE", "maybe")
    with pytest.raises(SettingError, match="QUALSTREAM_CASCADE is 'maybe' but off or on; unset, as the profile has it"):
        load_settings()
    monkeypatch.delenv("QUALSTREAM_CASCADE")
    path = Path(mine())
    path.write_text(path.read_text("utf-8").replace("near =", "neer ="), "utf-8")
    with pytest.raises(SettingError, match=r"unknown key 'neer' in \[cascade\]; the nearest is 'near'"):
        checked_profile(load_settings(profile=str(path)))


def test_a_coded_segment_shows_where_its_reading_is_from_and_who_was_skipped(mine):
    settings = load_settings(profile=mine(), cascade="on")
    batch = [segment("slow checkout", "1"), segment("slow checkout", "2")]
    first, again = (as_row(outcome)["proposals"] for outcome in build_pipeline(settings).run(batch))
    assert [p.get("taken_from") for p in first] == [None] * 3
    assert [p.get("taken_from") for p in again] == [str(batch[0].id)] * 2 + [None]
    assert first[2] == again[2] == {"member": "c", "label": "", "log_probability": None, "fault": "skipped"}


TEXTS = st.lists(
    st.sampled_from([LOG_IN, TWICE, "nice", "Nice!", "", "the app is slow today", "the app is so slow today", "123"]),
    max_size=12,
)


@given(TEXTS, st.integers(1, 12), st.sampled_from([0.8, 0.95, 1]))
@settings(max_examples=40, deadline=None)
def test_every_segment_is_answered_alike_however_the_stream_is_cut_into_batches(texts, size, near):
    stream = [segment(text, str(n)) for n, text in enumerate(texts)]
    whole = CascadeCoder(FakeCoder(varied=True), HashEmbedder(64), CascadeSettings(near=near)).propose(stream)
    parts = CascadeCoder(FakeCoder(varied=True), HashEmbedder(64), CascadeSettings(near=near))
    cut = [said for at in range(0, len(stream), size) for said in parts.propose(stream[at : at + size])]
    assert cut == whole
    assert all(names(said) in ("ab", "abc") for said in whole)
