"""The studies' classifiers, as coders ask them and as the trainer makes them."""

from pathlib import Path

from infra.factory.models import FAKE, cascades, device
from infra.profiles.loading import Profile
from infra.settings import Settings
from infra.training.classifier_factory import Workshop, sentence_workshop
from infra.training.loader import Opening
from infra.vectors.embedding_cache import CachedEmbedder
from models.classifier.predictions import Classifiers
from models.classifier.registry import Serving
from models.ports import Embedder


def build_classifiers(chosen: Profile, settings: Settings, embeds: Embedder) -> Classifiers:
    """What studies' classifiers make of segments; ``embeds`` is the body of those that have none of their own."""
    shop = build_workshop(chosen, settings, embeds)
    return Classifiers(Serving(Opening(settings.data_dir, shop)), first=cascades(chosen, settings))


def build_workshop(chosen: Profile, settings: Settings, embeds: Embedder, keep: Path | None = None) -> Workshop:
    """Where classifiers are opened and, for the trainer, made.

    Args:
        chosen: The profile.
        settings: Device.
        embeds: The profile's sentence model, which is the classifiers' body too unless the profile has another.
        keep: A folder in which embeddings are kept; given, bodies are tuned too, if the profile wants that.
    """
    name = chosen.trainer.body or chosen.embedder.model
    body = embeds
    if name != chosen.embedder.model:
        from models.backends.sentence.embedder import SentenceEmbedder

        body = SentenceEmbedder(name, device=device(chosen, settings))
    tunes = keep is not None and chosen.trainer.tune and name != FAKE
    base = CachedEmbedder(body, keep) if keep is not None else body
    where = "cpu" if name == FAKE else device(chosen, settings)  # asking loads torch, a second that no fake needs
    return sentence_workshop(base, name, where, tunes=tunes)
