"""The steps of the stream without Kafka."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from infra.factory.classifiers import build_classifier_factory, build_classifiers
from infra.factory.models import Models
from infra.factory.stores import build_store
from infra.settings import Settings
from infra.training.file_classifier import teach_from_file
from infra.training.loader import has_classifiers
from models.classifier.predictions import Classifiers
from models.classifier.registry import ReleaseRegistry
from models.fakes import MemoryCodeIndex
from models.moderation.memory import StudyMemory
from models.moderation.precedents import CodedText, Precedents, opened
from models.pipeline import Pipeline
from models.ports import CodeIndex, Embedder
from schemas import CodeEvent, ModelRelease
from schemas.study import CodingMode


@dataclass(frozen=True)
class GivenCodes:
    """What a study has before its first text is coded here."""

    coded: Sequence[CodedText] = ()
    """Texts that people coded: they lead the moderator, their codes join the codebook, many teach a classifier."""
    codebook: Sequence[CodeEvent] = ()
    """Codes with what they mean."""
    mode: CodingMode | None = None
    """Where further codes come from; as the profile says, if not given."""


NOTHING_GIVEN = GivenCodes()


def build_pipeline(settings: Settings, index: CodeIndex | None = None, given: GivenCodes = NOTHING_GIVEN) -> Pipeline:
    """The same steps without Kafka, over an index of its own that forgets everything unless one is given.

    The study's classifier takes part where the data folder has one; else one that the coded texts teach, where there
    are enough of them.

    Args:
        settings: The profile and what it needs.
        index: The codes to reuse.
        given: What people brought along.
    """
    models = Models.of(settings)
    index = index or MemoryCodeIndex()
    precedents = Precedents(models.embedder)
    teach_texts(given.coded, precedents, index, models.embedder)
    return assemble(models, index, precedents, given)


def teach_texts(coded: Sequence[CodedText], precedents: Precedents, index: CodeIndex, embedder: Embedder) -> int:
    """Let texts that people coded lead a pipeline, and open its codebook with their codes.

    Returns:
        How many were new or had changed.
    """
    index.put(opened(coded, embedder))
    return precedents.add_texts(coded)


def assemble(models: Models, index: CodeIndex, precedents: Precedents, given: GivenCodes = NOTHING_GIVEN) -> Pipeline:
    """All steps over an index and precedents that somebody else may add to between two runs.

    Args:
        models: The profile's.
        index: The codes to reuse.
        precedents: What people coded.
        given: A codebook, the coding mode, and texts that teach a classifier where the data folder has none.
    """
    memory = StudyMemory(models.embedder, precedents)
    memory.update_codebook(given.codebook)
    refiner = models.build_refiner(index, given.mode)
    refiner.apply_events(given.codebook)
    pipeline = Pipeline(
        models.build_coder(),
        models.build_moderator(precedents, memory),
        refiner,
        models.build_router(),
        models.profile.text_limit,
        classifiers=build_classifiers(models),
    )
    return with_classifier(pipeline, models, given.coded)


def with_classifier(pipeline: Pipeline, models: Models, coded: Sequence[CodedText]) -> Pipeline:
    """The same steps with the study's classifier: the one in the data folder, else what coded texts teach.

    Args:
        pipeline: The steps; its models stay loaded.
        models: The profile's.
        coded: Texts of the study that people coded.

    Returns:
        The pipeline as it was where neither there is one nor the texts are enough.
    """
    settings = models.settings
    if has_classifiers(settings.data_dir, settings.study):
        classifiers = build_classifiers(models)
        with closing(build_store(settings)) as store:
            classifiers.serving.add_releases(store.history(ModelRelease, settings.study))
            classifiers.update_codebook(store.code_events(settings.study))
        return replace(pipeline, classifiers=classifiers)
    taught = teach_from_file(coded, build_classifier_factory(models))
    if taught is None:
        return pipeline
    classifiers = Classifiers(ReleaseRegistry(lambda _: taught.classifier), first=models.cascaded)
    classifiers.serving.add_releases([taught.release])
    router = models.build_router(ReleaseRegistry(lambda _: taught.predictions))
    router.update_annotations(taught.annotations)
    router.update_releases([taught.release])
    return replace(pipeline, classifiers=classifiers, router=router)
