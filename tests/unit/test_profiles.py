"""Profiles: what is read from TOML, and what a person is told when it is wrong."""

import json
from pathlib import Path

import pytest

from infra.profiles.loading import check_files, known_profiles, load_profile
from infra.profiles.members import PACKAGED_ADAPTERS
from infra.profiles.study_rules import default_rules
from models.errors import SettingError

GOOD = """
name = "mine"
[[members]]
name = "gist"
base = "SmolLM2-135M-Instruct"
adapter = "my/gist"
prompt = 6
[refiner]
threshold = 0.6
"""


FEW = "[[members]]\nname = 'few'\nprompt = 1\nbase = 'b'\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> str:
    path = write(folder, text)
    with pytest.raises(SettingError) as caught:
        load_profile(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


@pytest.mark.parametrize("name", ["tiny", "paper", "served"])
def test_every_packaged_profile_loads_under_its_own_name(name):
    assert load_profile(name).name == name


def test_the_packaged_profiles_are_the_known_ones():
    assert known_profiles() == ["paper", "served", "small", "tiny"]


def test_tiny_has_three_members_on_two_bases_with_packaged_adapters_and_the_consensus():
    tiny = load_profile("tiny")
    assert [member.name for member in tiny.members] == ["gist", "theme", "essence"]
    assert {member.base for member in tiny.members} == {"SmolLM2-135M-Instruct", "Gemma-3-270M"}
    assert [member.adapter for member in tiny.members] == [PACKAGED_ADAPTERS / m.name for m in tiny.members]
    assert tiny.moderator.strategy == "consensus"
    assert tiny.generation.max_new_tokens == 15
    assert tiny.text_limit == 4000


def test_small_has_the_members_of_tiny_and_one_that_reads_with_examples_and_verifies():
    small, tiny = load_profile("small"), load_profile("tiny")
    assert small.members[:3] == tiny.members
    assert (small.members[3].format, small.members[3].examples) == ("chat", 6)
    assert small.verifier is not None
    assert small.verifier.base == small.members[3].base
    assert tiny.verifier is None


@pytest.mark.parametrize("name", ["tiny", "small", "served"])
def test_a_member_is_asked_as_the_adapter_of_its_name_was_tuned(name):
    cards = {card.parent.name: card for card in PACKAGED_ADAPTERS.glob("*/card.json")}
    members = [member for member in load_profile(name).members if member.name in cards]
    recipes = [json.loads(cards[member.name].read_text(encoding="utf-8"))["recipe"] for member in members]
    assert [(m.prompt, m.ending) for m in members] == [(recipe["prompt"], recipe["ending"]) for recipe in recipes]
    assert len(members) == 3


@pytest.mark.parametrize("name", ["tiny", "small", "paper", "served"])
def test_no_shipped_profile_accepts_from_a_number_and_each_asks_for_a_few_labels_of_its_own(name):
    rules = default_rules(load_profile(name), "reviews")
    assert (rules.mode, rules.doubtful_share, rules.ask_segments) == ("suggest", 0.2, 20)


@pytest.mark.parametrize(
    ("router", "mode"),
    [
        ("", "suggest"),
        ("[router]\nthreshold = 0.7", "threshold"),
        ("[router]\nthreshold = 0.7\nmode = 'suggest'", "suggest"),
        ("[router.studies.reviews]\nthreshold = 0.7", "threshold"),
        ("[router]\nmode = 'promise'\n[router.studies.reviews]\nthreshold = 0.7", "promise"),
        ("[router.studies.other]\nthreshold = 0.7", "suggest"),
    ],
)
def test_a_profile_that_sets_a_threshold_and_no_mode_accepts_from_it(tmp_path, router, mode):
    assert default_rules(load_profile(write(tmp_path, f"{GOOD}\n{router}\n")), "reviews").mode == mode


def test_paper_has_the_papers_figures():
    paper = load_profile("paper")
    assert (paper.generation.temperature, paper.generation.top_p, paper.refiner.threshold) == (0.7, 0.7, 0.5)
    assert [member.prompt for member in paper.members] == [1, 3, 2]
    assert paper.device == "cuda"


def test_a_relative_adapter_is_taken_from_the_profiles_own_folder(tmp_path):
    profile = load_profile(write(tmp_path, GOOD))
    assert profile.members[0].adapter == tmp_path / "my" / "gist"
    assert profile.file == tmp_path / "mine.toml"


def test_a_profile_cannot_be_changed(tmp_path):
    profile = load_profile(write(tmp_path, GOOD))
    with pytest.raises(ValueError, match="frozen"):
        profile.seed = 3


def test_an_unknown_profile_lists_the_known_ones_and_the_nearest():
    with pytest.raises(
        SettingError, match="no profile 'tinny'; known are paper, served, small, tiny; did you mean 'tiny'"
    ):
        load_profile("tinny")


def test_a_path_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingError, match=r"none\.toml' is not there"):
        load_profile(tmp_path / "none.toml")


def test_a_folder_is_not_a_profile(tmp_path):
    with pytest.raises(SettingError, match="is a folder"):
        load_profile(f"{tmp_path}/")


def test_a_slip_in_a_members_key_names_the_key_the_member_and_the_nearest(tmp_path):
    message = refusal(tmp_path, GOOD.replace("prompt", "promt"))
    assert message == ": unknown key 'promt' of member 'gist'; the nearest is 'prompt' (and 1 more)"
    message = refusal(tmp_path, GOOD.replace("adapter =", "adaptor ="))
    assert message == ": unknown key 'adaptor' of member 'gist'; the nearest is 'adapter'"
    message = refusal(tmp_path, GOOD.replace("prompt = 6", ""))
    assert message == ": 'prompt' of member 'gist' is missing; add it"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[generation]\ntemprature = 1", "unknown key 'temprature' in [generation]; the nearest is 'temperature'"),
        ("[route]\nthreshold = 1", "unknown key 'route'; the nearest is 'router'"),
        ("[router]\nzzz = 1", "unknown key 'zzz' in [router]; known here are mode, threshold"),
        ("[router.studies.r]\nblnd = true", "unknown key 'blnd' in [router.studies.r]; the nearest is 'blind'"),
        ("[router.studies.r]\nblind = 3", "'blind' in [router.studies.r] is 3 but: input should be a valid boolean"),
        ("[router]\nthreshold = 2", "'threshold' in [router] is 2 but: input should be less than or equal to 1"),
        ("[moderator]\nstrategy = 'boss'", "'strategy' in [moderator] is 'boss' but: input should be 'consensus'"),
        ("[moderator]\nstrategy = 'model'", "[moderator] with strategy 'model' needs the key 'base'; add it"),
        ("[moderator]\nadapter = 'x'", "[moderator] with strategy 'consensus' does not use the key 'adapter'"),
        ("[[members]]\nname = 'gist'\nbase = 'b'\nprompt = 1", "two members are called 'gist'"),
        ("[[members]]\nname = 'classifier'\nbase = 'b'\nprompt = 1", "a member is called 'classifier'"),
        ("[[members]]\nname = 'b'\nprompt = 1", "member 'b' with backend 'transformers' needs the key 'base'"),
        (
            "[[members]]\nname = 'b'\nprompt = 1\nbackend = 'served'\nurl = 'localhost:80'\nmodel = 'm'",
            "'url' of member 'b' is 'localhost:80'",
        ),
        ("[[members]]\nname = 'b'\nprompt = 7\nbase = 'b'", "'prompt' of member 'b' is 7 but"),
        ("[[members]]\nname = 'b'\nprompt = 1\nbase = 'b'\nadapter = 3", "'adapter' of member 'b' is 3 but"),
        (FEW + "examples = 9\nexamples_file = 'p'", "'examples' of member 'few' is 9 but: input should be less than"),
        (FEW + "examples = 0\nexamples_file = 'p'", "'examples' of member 'few' is 0 but: input should be greater"),
        (FEW + "examples = 3", "few-shot member 'few' needs the key 'examples_file'; add it"),
        (FEW + "examples_file = 'p'", "few-shot member 'few' needs the key 'examples'; add it"),
        (
            FEW + "examples = 3\nexamples_file = 'p'\nadapter = 'a'",
            "member 'few' has both 'adapter' and 'examples'; an adapter is tuned without examples",
        ),
    ],
)
def test_a_wrong_profile_is_told_in_one_line_with_file_and_key(tmp_path, line, said):
    assert said in refusal(tmp_path, GOOD + line)


def test_a_slip_in_the_syntax_names_file_and_line(tmp_path):
    assert refusal(tmp_path, GOOD.replace("prompt = 6", "prompt 6")).startswith(", line 7: not TOML")
    assert refusal(tmp_path, GOOD + 'description = """').startswith(", line 10: not TOML")


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b'name = "caf\xe9"')
    with pytest.raises(SettingError, match="not UTF-8"):
        load_profile(path)


def test_a_missing_adapter_names_key_file_path_and_fix(tmp_path):
    profile = load_profile(write(tmp_path, GOOD))
    with pytest.raises(SettingError) as caught:
        check_files(profile)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'mine.toml'}: adapter of member 'gist' is '{tmp_path / 'my' / 'gist'}'")
    assert "which is not there; put the LoRA adapter there" in message


def test_an_adapter_without_safetensors_is_refused_because_nothing_is_unpickled(tmp_path):
    folder = tmp_path / "my" / "gist"
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").touch()
    (folder / "adapter_model.bin").touch()
    with pytest.raises(SettingError, match=r"has no adapter_model\.safetensors"):
        check_files(load_profile(write(tmp_path, GOOD)))


def test_a_whole_adapter_is_accepted(tmp_path):
    folder = tmp_path / "my" / "gist"
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").touch()
    (folder / "adapter_model.safetensors").touch()
    check_files(load_profile(write(tmp_path, GOOD)))


def test_examples_are_taken_from_the_profiles_own_folder_or_those_that_come_with_qualstream(tmp_path):
    text = 'name = "few"\n' + FEW + "examples = 3\nexamples_file = '{}'"
    own = load_profile(write(tmp_path, text.format("my/pairs.jsonl")))
    assert own.members[0].examples_file == tmp_path / "my" / "pairs.jsonl"
    with pytest.raises(
        SettingError, match=r"examples_file of member 'few' is .*pairs\.jsonl' but there is no such file"
    ):
        check_files(own)
    packaged = load_profile(write(tmp_path, text.format("packaged:pairs.jsonl")))
    check_files(packaged)


def test_a_base_that_is_a_path_must_be_there(tmp_path):
    profile = load_profile(write(tmp_path, GOOD.replace('"SmolLM2-135M-Instruct"', '"./weights"')))
    assert profile.members[0].base == str(tmp_path / "weights")
    with pytest.raises(SettingError, match=r"base of member 'gist' is .* no such folder"):
        check_files(profile)


def test_a_profile_without_a_trainer_has_the_defaults_and_one_with_it_its_own(tmp_path):
    assert load_profile(write(tmp_path, GOOD)).trainer.model_dump() == {
        "body": None,
        "least_examples": 4,
        "every_labels": 25,
        "every_minutes": 60.0,
        "tune": True,
        "method": "contrastive",
    }
    own = load_profile(write(tmp_path, GOOD + "[trainer]\nbody = './mine'\ntune = false\n")).trainer
    assert (own.body, own.tune) == (str(tmp_path / "mine"), False)


def test_a_slip_in_the_trainers_table_is_named(tmp_path):
    assert "every_label" in refusal(tmp_path, GOOD + "[trainer]\nevery_label = 5\n")
