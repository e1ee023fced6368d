"""The steps of the stream without Kafka."""

from collections.abc import Sequence
from contextlib import closing

from infra.factory.classifiers import build_classifier_factory, build_classifiers
from infra.factory.models import Models
from infra.factory.stores import build_store
from infra.settings import Settings
from infra.training.file_classifier import teach_from_file
from infra.training.loader import has_classifiers
from models.classifier.predictions import Classifiers
from models.classifier.registry import ReleaseRegistry
from models.fakes import MemoryCodeIndex
from models.moderation.precedents import CodedText, Precedents, opened
from models.pipeline import Pipeline
from models.ports import CodeIndex, Embedder
from schemas import ModelRelease


def build_pipeline(settings: Settings, index: CodeIndex | None = None, coded: Sequence[CodedText] = ()) -> Pipeline:
    """The same steps without Kafka, over an index of its own that forgets everything unless one is given.

    The study's classifier takes part where the data folder has one; else one that the coded texts teach, where there
    are enough of them.

    Args:
        settings: The profile and what it needs.
        index: The codes to reuse.
        coded: What people coded already, as codebook and precedents.
    """
    models = Models.of(settings)
    index = index or MemoryCodeIndex()
    precedents = Precedents(models.embedder)
    teach_texts(coded, precedents, index, models.embedder)
    return assemble(models, index, precedents, coded)


def teach_texts(coded: Sequence[CodedText], precedents: Precedents, index: CodeIndex, embedder: Embedder) -> int:
    """Let texts that people coded lead a pipeline, and open its codebook with their codes.

    Returns:
        How many were new or had changed.
    """
    index.put(opened(coded, embedder))
    return precedents.add_texts(coded)


def assemble(models: Models, index: CodeIndex, precedents: Precedents, coded: Sequence[CodedText] = ()) -> Pipeline:
    """All steps over an index and precedents that somebody else may add to between two runs.

    Args:
        models: The profile's.
        index: The codes to reuse.
        precedents: What people coded.
        coded: Texts that teach a classifier, where the data folder has none of the study.
    """
    settings = models.settings
    classifiers, router = build_classifiers(models), models.build_router()
    if has_classifiers(settings.data_dir, settings.study):
        with closing(build_store(settings)) as store:
            classifiers.serving.add_releases(store.history(ModelRelease, settings.study))
            classifiers.update_codebook(store.code_events(settings.study))
    elif (taught := teach_from_file(coded, build_classifier_factory(models))) is not None:
        classifiers = Classifiers(ReleaseRegistry(lambda _: taught.classifier), first=models.cascaded)
        classifiers.serving.add_releases([taught.release])
        router = models.build_router(ReleaseRegistry(lambda _: taught.predictions))
        router.update_annotations(taught.annotations)
        router.update_releases([taught.release])
    return Pipeline(
        models.build_coder(),
        models.build_moderator(precedents),
        models.build_refiner(index),
        router,
        models.profile.text_limit,
        classifiers=classifiers,
    )
