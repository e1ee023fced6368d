"""The steps of the stream without Kafka."""

from collections.abc import Sequence
from contextlib import closing

from infra.factory.classifiers import build_classifiers
from infra.factory.models import build_coder, build_embedder, build_moderator, build_refiner, build_router
from infra.factory.stores import build_store
from infra.profiles.loading import checked_profile
from infra.settings import Settings
from infra.training.loader import has_classifiers
from models.fakes import MemoryCodeIndex
from models.moderation.precedents import CodedText, Precedents, opened
from models.pipeline import Pipeline
from models.ports import CodeIndex
from schemas import ModelRelease


def build_pipeline(settings: Settings, index: CodeIndex | None = None, coded: Sequence[CodedText] = ()) -> Pipeline:
    """The same steps without Kafka, over an index of its own that forgets everything unless one is given.

    The study's classifier takes part where the data folder has one.

    Args:
        settings: The profile and what it needs.
        index: The codes to reuse.
        coded: What people coded already, as codebook and precedents.
    """
    chosen = checked_profile(settings)
    embeds = build_embedder(chosen, settings)
    index = index or MemoryCodeIndex()
    precedents = Precedents(embeds)
    precedents.learn(coded)
    index.put(opened(coded, embeds))
    classifies = build_classifiers(chosen, settings, embeds)
    if has_classifiers(settings.data_dir, settings.study):
        with closing(build_store(settings)) as read:
            classifies.serving.hear(read.history(ModelRelease, settings.study))
            classifies.follow(read.code_events(settings.study))
    return Pipeline(
        build_coder(chosen, settings, embeds),
        build_moderator(chosen, settings, embeds, precedents),
        build_refiner(chosen, index, embeds),
        build_router(chosen, settings),
        chosen.text_limit,
        classifiers=classifies,
    )
