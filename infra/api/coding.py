"""Texts coded in this process, without Kafka: what a program or a notebook has at hand."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID

from infra.factory.models import Models
from infra.factory.pipeline import assemble, teach_texts
from infra.files.reading.cells import readable
from infra.profiles.loading import checked_profile
from infra.settings import Settings, ensure_data_dir, load_settings
from models.errors import InputError
from models.fakes import MemoryCodeIndex
from models.moderation.precedents import CodedText, Precedents
from models.pipeline import CodedSegment, CodingOutcome, Pipeline
from schemas import Segment
from schemas.feedback import LONGEST_TEXT
from schemas.ids import segment_id

_SOURCE = "python"


@dataclass(frozen=True)
class Coded:
    """A text and the code that it got."""

    text: str
    """As it was read: without tags of HTML, its entities decoded."""
    code: str | None
    """``None`` where no code could be given; then ``error`` says why."""
    new: bool = False
    """Whether the code was created for this text; else an earlier one is used again."""
    similarity: float | None = None
    """Cosine of the models' label to the code that was used, -1 to 1."""
    confidence: float | None = None
    """How sure it is that a person would let the code stand, 0 to 1; what that is worth says ``confidence_stage``."""
    route: str | None = None
    """``accepted``, ``people`` where a person should look at it, or ``suggested``: neither."""
    proposals: Mapping[str, str] = field(default_factory=dict)
    """By member of the ensemble, the label that it proposed."""
    error: str | None = None
    """Why there is no code."""
    id: UUID | None = None
    """The segment's id: the same text in the same study has the same one."""
    confidence_stage: str | None = None
    """``uncalibrated`` (a formula), ``rated`` (blind ratings of other texts) or ``calibrated`` (the study's labels)."""


class Coder:
    """Codes texts with the models of a profile.

    The models are loaded when the first text is coded. Codes are kept between calls, so that later texts reuse them;
    they are gone when the object is. An object belongs to one thread.

    Example:
        >>> coder = Coder(profile="tiny", study="spring")  # doctest: +SKIP
        >>> [each.code for each in coder.code(["It crashes when I upload a photo."])]  # doctest: +SKIP
        ['crashes on upload']
    """

    def __init__(self, profile: str | None = None, study: str | None = None, **settings: Any) -> None:
        """Take the settings; no model is loaded yet.

        Args:
            profile: Which models: a profile's name or the path of a TOML file. Default: ``QUALSTREAM_PROFILE``.
            study: Whose codebook it is. Default: ``QUALSTREAM_STUDY``.
            settings: Any further setting by its name, such as ``device="cpu"`` or ``data_dir="/tmp/coding"``.

        Raises:
            SettingError: If a setting or the profile is not as it must be, or the device is not there.
        """
        self._settings = load_settings(profile=profile, study=study, **settings)
        checked_profile(self._settings)
        make_data_folder(self._settings)
        self._index = MemoryCodeIndex()
        self._codes: Counter[str] = Counter()
        self._occurrences: Counter[str] = Counter()

    @property
    def study(self) -> str:
        """Whose codebook it is."""
        return self._settings.study

    @property
    def codes(self) -> dict[str, int]:
        """Each code, and how many texts have got it here; codes that were only taught have 0."""
        return dict(self._codes)

    def code(self, texts: Iterable[str]) -> list[Coded]:
        """Code texts.

        Args:
            texts: What people said, at most 200,000 characters each.

        Returns:
            One result a text, in order; one that cannot be coded (an empty one, say) has an ``error``.

        Raises:
            InputError: If something among them is no text, or longer.
        """
        return list(self.stream(texts))

    def stream(self, texts: Iterable[str]) -> Iterator[Coded]:
        """Code texts as they come, 32 at a time; see ``code``."""
        for outcome in self._pipeline.run(self._segment(text) for text in texts):
            coded = as_coded(outcome)
            if coded.code is not None:
                self._codes[coded.code] += 1
            yield coded

    def teach(self, examples: Iterable[tuple[str, str | Sequence[str]]]) -> int:
        """Teach texts that people coded: their codes join the codebook and lead the coding of similar texts.

        Args:
            examples: A text and its code, or its codes. A text that was taught before is taught anew.

        Returns:
            How many were new or had changed.

        Raises:
            InputError: If a text or a code is empty, or of another kind.
        """
        coded = [self._example(text, codes) for text, codes in examples]
        taught = teach_texts(coded, self._precedents, self._index, self._models.embedder)
        for example in coded:
            self._codes.update(dict.fromkeys(example.codes, 0))
        return taught

    @cached_property
    def _models(self) -> Models:
        return Models.of(self._settings)

    @cached_property
    def _precedents(self) -> Precedents:
        return Precedents(self._models.embedder)

    @cached_property
    def _pipeline(self) -> Pipeline:
        return assemble(self._models, self._index, self._precedents)

    def _segment(self, text: str) -> Segment:
        plain = _checked(text)
        digest = hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest()
        self._occurrences[digest] += 1
        identity = segment_id(self.study, _SOURCE, f"{digest}:{self._occurrences[digest]}")
        return Segment(id=identity, study=self.study, text=plain, source=_SOURCE)

    def _example(self, text: str, codes: str | Sequence[str]) -> CodedText:
        labels = (codes,) if isinstance(codes, str) else tuple(codes)
        if not text.strip() or not labels or not all(isinstance(each, str) and each.strip() for each in labels):
            raise InputError(f"{text[:60]!r} with the codes {labels!r} is no example; give a text and its codes")
        return CodedText(self.study, _checked(text), _checked(text), tuple(" ".join(label.split()) for label in labels))


def _checked(text: str) -> str:
    if not isinstance(text, str):
        raise InputError(f"{text!r:.60} is a {type(text).__name__}; a text is expected")
    if len(text) > LONGEST_TEXT:
        raise InputError(f"a text has {len(text):,} characters; at most {LONGEST_TEXT:,} are read: code its paragraphs")
    return readable(text)


def as_coded(outcome: CodingOutcome) -> Coded:
    """What came of a segment, for programs."""
    segment = outcome.segment
    if not isinstance(outcome, CodedSegment):
        return Coded(segment.text, None, error=outcome.reason, id=segment.id)
    assignment = outcome.assignment
    proposals = {each.member: each.label for each in outcome.decision.proposals if not each.drawn}
    return Coded(
        segment.text,
        assignment.label,
        assignment.new,
        assignment.similarity,
        assignment.confidence,
        assignment.route,
        proposals,
        id=segment.id,
        confidence_stage=assignment.confidence_stage,
    )


def make_data_folder(settings: Settings) -> None:
    """Make the data folder as the command line does, without changing which rights the caller's own files get."""
    mask = os.umask(0o077)
    try:
        ensure_data_dir(settings)
    finally:
        os.umask(mask)
