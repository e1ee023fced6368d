"""The studies' classifiers, as coders ask them and as the trainer makes them."""

from pathlib import Path

from infra.factory.models import FAKE, Models
from infra.training.classifier_factory import Workshop, sentence_workshop
from infra.training.loader import Opening
from infra.vectors.embedding_cache import KeptEmbedder
from models.classifier.predictions import Classifiers
from models.classifier.registry import ReleaseRegistry


def build_classifiers(models: Models) -> Classifiers:
    """What studies' classifiers make of segments; the embedder is the body of those that have none of their own."""
    workshop = build_workshop(models)
    return Classifiers(ReleaseRegistry(Opening(models.settings.data_dir, workshop)), first=models.cascaded)


def build_workshop(models: Models, cache: Path | None = None) -> Workshop:
    """Where classifiers are opened and, for the trainer, made.

    Args:
        models: The profile's; its embedder is the classifiers' body too unless the profile has another.
        cache: A folder in which embeddings are kept; given, bodies are tuned too, if the profile wants that.
    """
    trainer, default = models.profile.trainer, models.profile.embedder.model
    name, body = trainer.body or default, models.embedder
    if name != default:
        from models.backends.sentence.embedder import SentenceEmbedder

        body = SentenceEmbedder(name, device=models.device)
    base = body if cache is None else KeptEmbedder(body, cache)
    device = "cpu" if name == FAKE else models.device  # asking loads torch, a second that no fake needs
    return sentence_workshop(base, name, device, tunes=cache is not None and trainer.tune and name != FAKE)
