"""Profile `paper` as it is written, on models of the same makes with random weights: members, sampling, moderator."""

from pathlib import Path

import pytest

from infra.factory.models import Models
from infra.profiles.loading import PACKAGED_PROFILES, Profile, load_profile
from infra.settings import Settings
from models.backends.lora.finetuning import attach_new_adapter
from models.backends.lora.packing import Recipe
from models.fakes import HashEmbedder
from schemas import Proposals
from tests.unit.coding.test_architectures import load, save_base, segment_of

pytest.importorskip("torch")
BASES = {
    "meta-llama/Meta-Llama-3-8B-Instruct": "Llama",
    "tiiuae/falcon-7b-instruct": "Falcon",
    "mistralai/Mistral-7B-Instruct-v0.2": "Mistral",
}
MODERATORS = {"meta-llama/Llama-3.3-70B-Instruct": "Llama", "mistralai/Mixtral-8x7B-Instruct-v0.1": "Mixtral"}


@pytest.fixture(scope="module", params=MODERATORS)
def profile(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Profile:
    """The file with each name replaced by a folder, on the processor; the moderator is either of the paper's two."""
    folder = tmp_path_factory.mktemp("paper")
    text = (PACKAGED_PROFILES / "paper.toml").read_text(encoding="utf-8").replace('device = "cuda"', 'device = "cpu"')
    text = text.replace('base = "meta-llama/Llama-3.3-70B-Instruct"', f'base = "{request.param}"')
    for name, kind in {**BASES, request.param: MODERATORS[request.param]}.items():
        base = folder / "bases" / name.rpartition("/")[2]
        if not base.exists():
            save_base(base, kind)
        text = text.replace(f'base = "{name}"', f'base = "{base}"')
    for member, kind in zip(("llama3", "falcon", "mistral"), BASES.values(), strict=True):
        base = folder / "bases" / next(name for name, each in BASES.items() if each == kind).rpartition("/")[2]
        model, _ = load(base)
        attach_new_adapter(model, Recipe(str(base))).save_pretrained(folder / "adapters" / member)
    (folder / "paper.toml").write_text(text, encoding="utf-8")
    return load_profile(str(folder / "paper.toml"))


def test_members_and_moderator_of_the_paper_s_makes_code_a_segment(profile: Profile, tmp_path: Path) -> None:
    models = Models(profile, Settings(data_dir=tmp_path), HashEmbedder())
    segments = [segment_of("so slow today"), segment_of("I like it")]
    answers = models.build_members().propose(segments)
    assert [[p.member for p in each] for each in answers] == [["llama3", "falcon", "mistral"]] * 2
    assert models.build_members().propose(segments)[0][0].label == answers[0][0].label
    usable = [
        Proposals(
            segment=segment,
            proposals=[p.model_copy(update={"label": f"code {n}", "fault": None}) for n, p in enumerate(each)],
        )
        for segment, each in zip(segments, answers, strict=True)
    ]
    moderator = models.build_moderator()
    decisions = moderator.decide(usable)
    assert moderator.version == f"{profile.moderator.base}#{profile.seed}", "it draws, as [generation] says"
    assert models.build_moderator().decide(usable) == decisions
    assert [decision.segment.id for decision in decisions] == [segment.id for segment in segments]
    assert all(decision.label for decision in decisions)
