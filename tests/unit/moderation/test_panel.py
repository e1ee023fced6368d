"""Several moderators, and the best of what they settle on."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.factory.models import Models
from infra.profiles.loading import load_profile
from infra.settings import Settings
from models.errors import SettingError, UnavailableError, UncodableError
from models.evaluation.metrics import absolute_composite
from models.fakes import HashEmbedder
from models.moderation.decision import Answer, ConsensusModerator, decide_from_answers
from models.moderation.panel import PanelModerator, reference_free_composite, word_overlap
from schemas import Proposals
from tests.unit.builders import proposal, proposals, segment

EMBEDDER = HashEmbedder()
LABELS = st.sampled_from(["slow checkout", "checkout slow", "slow app", "ads", "too many ads", "great music", "Ads"])


@dataclass(frozen=True)
class Says:
    """A moderator with one answer to everything, or an error."""

    version: str
    answer: str = ""
    fails: Callable[[str], Exception | None] = lambda _: None

    def decide(self, batch):
        for one in batch:
            error = self.fails(one.segment.text)
            if error is not None:
                raise error
        return decide_from_answers([Answer(self.answer, -0.5)] * len(batch), batch, EMBEDDER, moderator=self.version)


def panel(*moderators):
    return PanelModerator(moderators, EMBEDDER)


def away(_):
    return UnavailableError("no server at port 1")


def uncodable(_):
    return UncodableError("refused")


def breaks(_):
    return RuntimeError("out of memory")


def test_word_overlap_is_meteors_mean_over_equal_words():
    assert word_overlap("slow app", "Slow, app!") == 1
    assert word_overlap("app", "app") == 1  # METEOR has 0.5 here
    assert word_overlap("slow app", "music") == 0
    # precision 1/2, recall 1/3: 10 * (1/6) / (1/3 + 9/2)
    assert word_overlap("slow app", "very slow checkout") == pytest.approx((10 / 6) / (1 / 3 + 9 / 2))
    assert word_overlap("ads ads ads", "ads") == pytest.approx((10 / 3) / (1 + 9 / 3))
    assert word_overlap("!", "!") == 0


def test_the_composite_is_the_mean_over_references_of_its_three_components():
    # cosine (1 + 0) / 2, below 0 counts as 0; overlap (1 + 0) / 2; four words cost 0.25
    found = reference_free_composite("the app is slow", ["the app is slow", "ads"], [1.0, -0.4])
    assert found == pytest.approx((0.5 + 0.5 + 0.75) / 3, abs=1e-6)


def test_components_are_normalised_as_in_the_absolute_composite_of_an_evaluation():
    whole = absolute_composite({"cosine": 1.0, "meteor": 1.0, "length_penalty": 0.4, "jensen_shannon": 0.4})
    assert reference_free_composite("a b c d e", ["a b c d e"], [1.0]) == pytest.approx((4 * whole - 0.6) / 3, abs=1e-6)


def test_the_output_nearest_to_the_proposals_is_taken_and_its_verdict_kept():
    given_ = [proposals("slow checkout", "checkout slow", "great music")]
    decided = panel(Says("m@1", "great music"), Says("n@2", "slow checkout page")).decide(given_)[0]
    assert (decided.label, decided.verdict, decided.picked) == ("slow checkout page", "rewrote", None)
    assert decided.moderator == "panel(m@1, n@2)"
    assert decided.log_probability == -0.5
    assert decided.why.startswith("1 of 2 moderators settled on 'slow checkout page' (composite 0.")
    assert "; n@2: the moderator wrote 'slow checkout page'" in decided.why


def test_of_equally_good_outputs_the_first_by_label_is_taken():
    one = proposals("slow app", "great music")
    for order in (("slow app", "great music"), ("great music", "slow app")):
        assert panel(*(Says(f"m{label}", label) for label in order)).decide([one])[0].label == "great music"


def test_moderators_that_agree_are_counted_whatever_their_spelling():
    decided = panel(Says("m@1", "Slow app."), Says("n@2", "slow APP"), Says("o@3", "music")).decide(
        [proposals("slow app", "music", "slow")]
    )[0]
    assert decided.label == "slow app"
    assert decided.why.startswith("2 of 3 moderators settled on")


def test_the_rule_chosen_by_the_panel_is_no_fallback_and_a_fallback_chosen_is_one():
    one = proposals("slow app", "slow app page", "slow")
    by_rule = panel(ConsensusModerator(EMBEDDER), Says("m@1", "<<< >>>")).decide([one])[0]
    fallback = panel(Says("m@1", "<<< >>>")).decide([one])[0]
    assert (by_rule.verdict, by_rule.moderator) == ("consensus", "consensus")
    assert (fallback.verdict, fallback.moderator) == ("consensus", "panel(m@1)")


def test_a_moderator_that_is_away_is_left_out_as_long_as_another_answers():
    batch = [proposals("slow app", "ads", text=f"text {n}") for n in range(3)]
    decided = panel(Says("gone@1", fails=away), Says("m@1", "ads")).decide(batch)
    assert [one.label for one in decided] == ["ads"] * 3
    assert decided[0].why.startswith("1 of 1 moderators settled on 'ads'")
    assert decided[0].why.endswith("; left out gone@1: no server at port 1")


@pytest.mark.parametrize("error", [uncodable("x"), breaks("x")])
def test_a_moderator_that_fails_for_a_segment_is_left_out_there_and_decides_the_rest(error):
    batch = [proposals("slow app", "ads", text=text) for text in ("one", "bad", "two")]
    picky = Says("picky@1", "slow app", lambda text: error if text == "bad" else None)
    first, bad, last = panel(picky, Says("m@1", "slow app")).decide(batch)
    assert first.why.startswith("2 of 2")
    assert last.why.startswith("2 of 2")
    assert bad.why.startswith("1 of 1")
    assert str(error) in bad.why


def test_when_all_moderators_are_away_it_waits():
    with pytest.raises(UnavailableError, match=r"none of 2 moderators decided \(a: no server at port 1; b: no server"):
        panel(Says("a", fails=away), Says("b", fails=away)).decide([proposals("ads")])


def test_when_one_is_away_and_the_others_fail_it_waits():
    with pytest.raises(UnavailableError):
        panel(Says("a", fails=uncodable), Says("b", fails=away)).decide([proposals("ads")])


def test_a_segment_that_no_moderator_can_code_is_uncodable():
    with pytest.raises(UncodableError, match=r"none of 2 moderators decided \(a: refused; b: refused\)"):
        panel(Says("a", fails=uncodable), Says("b", fails=uncodable)).decide([proposals("ads")])


def test_a_segment_without_usable_proposals_is_uncodable_and_nobody_is_asked():
    one = Proposals(segment=segment(), proposals=[proposal("", "a", "empty")])
    with pytest.raises(UncodableError, match="no usable label from 1 members"):
        panel(Says("a", fails=away)).decide([one])


def test_what_broke_every_moderator_is_told_apart_from_a_bad_segment():
    with pytest.raises(RuntimeError, match="out of memory"):
        panel(Says("a", fails=breaks), Says("b", fails=breaks)).decide([proposals("ads")])


def test_a_moderator_that_is_set_up_wrongly_is_no_reason_to_go_on_without_it():
    with pytest.raises(SettingError, match="wrong key"):
        panel(Says("a", fails=lambda _: SettingError("wrong key")), Says("m@1", "ads")).decide([proposals("ads")])


def test_a_panel_needs_a_moderator():
    with pytest.raises(SettingError, match="the panel has no moderator"):
        panel()


def test_a_version_too_long_for_the_codebook_is_cut_and_still_tells_panels_apart():
    long = [panel(*(Says(f"a-model-with-a-long-name@{n}") for n in range(count))).version for count in (8, 9)]
    assert all(len(version) <= 120 for version in long)
    assert long[0] != long[1]


def test_an_empty_batch_decides_nothing():
    assert panel(Says("m@1", "ads")).decide([]) == []


@st.composite
def shuffled_proposals(draw):
    labels = draw(st.lists(st.tuples(LABELS, st.none() | st.floats(-5, 0), st.booleans()), min_size=1, max_size=6))
    made = [
        proposal(label, f"m{n}", None if good or n == 0 else "empty", likelihood)
        for n, (label, likelihood, good) in enumerate(labels)
    ]
    return made, draw(st.permutations(made))


def verdict(decided):
    return decided.label, decided.verdict, decided.picked, decided.log_probability


PANEL = panel(ConsensusModerator(EMBEDDER), Says("m@1", "slow app"), Says("n@1", "ads"))
BACKWARDS = panel(Says("n@1", "ads"), Says("m@1", "slow app"), ConsensusModerator(EMBEDDER))


@pytest.mark.parametrize(("decides", "also"), [(ConsensusModerator(EMBEDDER),) * 2, (PANEL, PANEL), (PANEL, BACKWARDS)])
@settings(deadline=None)
@given(case=shuffled_proposals())
def test_the_verdict_depends_neither_on_the_order_of_proposals_nor_of_moderators(decides, also, case):
    first, second = ([Proposals(segment=segment(), proposals=made)] for made in case)
    a, b = decides.decide(first)[0], also.decide(second)[0]
    assert verdict(a) == verdict(b)
    assert a.agreement == pytest.approx(b.agreement)


@settings(deadline=None)
@given(case=shuffled_proposals())
def test_no_moderators_output_has_a_better_composite_than_the_one_taken(case):
    one = Proposals(segment=segment(), proposals=case[0])
    references = [p.label for p in case[0] if p.fault is None]

    def score(label):
        rows = EMBEDDER.embed([label, *references])
        return reference_free_composite(label, references, (rows[1:] @ rows[0]).tolist())

    each = [moderator.decide([one])[0].label for moderator in PANEL._moderators]
    assert score(PANEL.decide([one])[0].label) == pytest.approx(max(map(score, each)), abs=2e-6)


PROFILE = """
name = "mine"
[[members]]
name = "a"
backend = "fake"
prompt = 1
[embedder]
model = "fake"
[moderator]
strategy = "panel"
"""


def profile(folder, panelists):
    path = folder / "mine.toml"
    path.write_text(PROFILE + panelists, encoding="utf-8")
    return path


def test_a_profile_can_have_a_panel_of_every_kind_with_samples_of_one_model(tmp_path):
    chosen = load_profile(
        profile(
            tmp_path,
            '[[moderator.panel]]\nstrategy = "consensus"\n'
            '[[moderator.panel]]\nstrategy = "served"\nurl = "http://localhost:1/v1"\nmodel = "mixtral"\n'
            '[[moderator.panel]]\nstrategy = "model"\nbase = "small"\n'
            '[[moderator.panel]]\nstrategy = "model"\nbase = "small"\nsamples = 2\ntemperature = 0.7\n',
        )
    )
    made = Models(chosen, Settings(data_dir=tmp_path, device="cpu"), EMBEDDER).build_moderator()
    assert made.version == "panel(consensus, mixtral@served, small, small#0, small#1)"


@pytest.mark.parametrize(
    ("panelists", "told"),
    [
        ("", "[moderator] with strategy 'panel' has no moderators; add a [[moderator.panel]] table for each"),
        (
            '[[moderator.panel]]\nstrategy = "model"\n',
            "a [[moderator.panel]] with strategy 'model' needs the key 'base'; add it",
        ),
        (
            '[[moderator.panel]]\nstrategy = "model"\nbase = "b"\nsamples = 3\n',
            "a [[moderator.panel]] with strategy 'model' that draws samples needs the key 'temperature'; add it",
        ),
        (
            '[[moderator.panel]]\nstrategy = "consensus"\nsamples = 3\n',
            "a [[moderator.panel]] with strategy 'consensus' does not use the key 'samples'; take it out",
        ),
        (
            '[[moderator.panel]]\nstrategy = "consensus"\nsample = 3\n',
            "unknown key 'sample' of [[moderator.panel]] 1; the nearest is 'samples'",
        ),
        (
            '[[moderator.panel]]\nstrategy = "panel"\n',
            "'strategy' of [[moderator.panel]] 1 is 'panel' but: input should be 'consensus', 'model' or 'served'",
        ),
    ],
)
def test_a_panel_that_is_not_as_it_must_be_is_refused_with_the_key_and_the_fix(tmp_path, panelists, told):
    path = profile(tmp_path, panelists)
    with pytest.raises(SettingError) as caught:
        load_profile(path)
    assert str(caught.value) == f"{path}: {told}"


def test_moderators_of_a_panel_outside_a_panel_are_refused(tmp_path):
    text = PROFILE.replace('"panel"', '"consensus"') + '[[moderator.panel]]\nstrategy = "consensus"\n'
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingError, match="strategy 'consensus' does not use"):
        load_profile(path)
