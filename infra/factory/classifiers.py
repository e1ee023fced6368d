"""The studies' classifiers, as coders ask them and as the trainer makes them."""

from pathlib import Path

from infra.factory.models import FAKE, Models
from infra.training.classifier_factory import ClassifierFactory, sentence_classifier_factory
from infra.training.loader import ClassifierLoader
from infra.vectors.embedding_cache import CachedEmbedder
from models.classifier.predictions import Classifiers
from models.classifier.registry import ReleaseRegistry


def build_classifiers(models: Models) -> Classifiers:
    """What studies' classifiers make of segments; the embedder is the body of those that have none of their own."""
    factory = build_classifier_factory(models)
    return Classifiers(ReleaseRegistry(ClassifierLoader(models.settings.data_dir, factory)), first=models.cascaded)


def build_classifier_factory(models: Models, cache: Path | None = None) -> ClassifierFactory:
    """Where classifiers are opened and, for the trainer, made.

    Args:
        models: The profile's; its embedder is the classifiers' body too unless the profile has another.
        cache: A folder in which embeddings are kept; given, bodies are tuned too, if the profile wants that.
    """
    trainer, default = models.profile.trainer, models.profile.embedder.model
    name, body = trainer.body or default, models.embedder
    if name != default:
        from models.backends.sentence.embedder import SentenceEmbedder

        body = SentenceEmbedder(name, models.device, cache=models.settings.weights_dir)
    base = body if cache is None else CachedEmbedder(body, cache)
    device = "cpu" if name == FAKE else models.device  # asking loads torch, a second that no fake needs
    tunes = cache is not None and trainer.tune and name != FAKE
    method = trainer.method if tunes else None
    return sentence_classifier_factory(base, name, device, method, models.settings.weights_dir)
