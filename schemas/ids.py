"""Ids are derived from what they stand for, so that a replay writes the same rows, points and keys."""

import unicodedata
from functools import lru_cache
from hashlib import blake2b
from uuid import UUID, uuid5

_NAMESPACE = UUID("6c5f9c0e-5d0e-5b7e-9a55-0d2f8a6f1c11")


def _derive(kind: str, *parts: str) -> UUID:
    return uuid5(_NAMESPACE, "\x1f".join((kind, *parts)))


def segment_id(study: str, source: str, key: str) -> UUID:
    """Name a segment by where it comes from: the source's own key, or its text and occurrence."""
    return _derive("segment", study, source, key)


def span_id(segment: UUID, start: int, end: int, annotator: str) -> UUID:
    """Name a marked part of a segment by its place and by who marked it: each person's parts are their own."""
    return _derive("span", str(segment), str(start), str(end), annotator)


@lru_cache(maxsize=16_384)  # a study has few labels, and each is compared with many
def normalised_label(label: str) -> str:
    """Fold a label to the form under which two spellings are the same code."""
    return " ".join(unicodedata.normalize("NFKC", label).casefold().split()).strip(" .,;:!?\"'")


def code_id(study: str, label: str) -> UUID:
    """Name a code by its study and normalised label."""
    return _derive("code", study, normalised_label(label))


def no_code_id(study: str) -> UUID:
    """Name what a segment has that no code of its study fits; no label comes to the same id."""
    return code_id(study, "")


def dead_letter_id(topic: str, partition: int, offset: int, raw: bytes) -> UUID:
    """Name a dead letter by the place it was read from and what stood there."""
    return _derive("dead-letter", topic, str(partition), str(offset), raw.hex())


def code_event_id(code: UUID, kind: str, cause: str) -> UUID:
    """Name a codebook event by its code, kind and cause (a segment id, or a person's request id)."""
    return _derive("code-event", str(code), kind, cause)


def uniform(segment: UUID, purpose: str) -> float:
    """A number from 0 to below 1 that is a segment's own: the same in every run, another one for every purpose."""
    digest = blake2b(segment.bytes, digest_size=8, person=purpose.encode("ascii")).digest()
    return (int.from_bytes(digest) >> 11) / 2**53
