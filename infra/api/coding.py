"""Texts coded in this process, without Kafka: what a program or a notebook has at hand."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

from infra.codebook.codebook_import import CodebookEntry, import_codebook
from infra.factory.models import Models
from infra.factory.pipeline import GivenCodes, assemble, teach_texts, with_classifier
from infra.files.reading.cells import readable
from infra.masking.intake import Masking, MaskingBeside
from infra.profiles.loading import checked_profile
from infra.refi.codebook_files import codebook_of_file
from infra.settings import Settings, ensure_data_dir, load_settings
from models.codebook.edits import Act
from models.errors import InputError, SettingError
from models.fakes import MemoryCodeIndex
from models.moderation.precedents import CodedText, Precedents
from models.pipeline import CodedSegment, CodingOutcome, Pipeline
from models.text.labels import clean_code
from schemas import CodeEvent, Segment
from schemas.feedback import LONGEST_TEXT
from schemas.ids import segment_id
from schemas.study import CodingMode

_SOURCE = "python"


@dataclass(frozen=True)
class Coded:
    """A text and the code that it got."""

    text: str
    """As it was read: without tags of HTML, its entities decoded; masked where ``masking`` says so."""
    code: str | None
    """``None`` where no code could be given; then ``error`` says why. Also ``None`` where the code would have to be new
    and the coding mode does not let models open codes: see ``standing``."""
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
    standing: str = "code"
    """``code``; ``none`` where no code of the codebook fits (deductive), or ``proposed`` where models propose a new one
    (mixed): a person decides about both."""
    proposed: str | None = None
    """What the models settled on, before it was compared with the codebook."""
    guesses: Mapping[str, float] = field(default_factory=dict)
    """By code, how likely the study's classifier finds it, 0 to 1; nothing without one."""
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

    def __init__(
        self,
        profile: str | None = None,
        study: str | None = None,
        *,
        mode: CodingMode | None = None,
        codebook: str | Path | Mapping[str, str] | Iterable[str] = (),
        **settings: Any,
    ) -> None:
        """Take the settings; no model is loaded yet.

        Args:
            profile: Which models: a profile's name or the path of a TOML file. Default: ``QUALSTREAM_PROFILE``.
            study: Whose codebook it is. Default: ``QUALSTREAM_STUDY``.
            mode: Where further codes come from: ``inductive`` (models open them), ``deductive`` (only those given or
                taught are used), ``mixed`` (models propose them). Default: as the profile has it, else inductive.
            codebook: Codes to use: the path of a table or of a REFI-QDA file, labels, or labels with what they mean.
            settings: Any further setting by its name, such as ``device="cpu"`` or ``data_dir="/tmp/coding"``.

        Raises:
            SettingError: If a setting, the mode or the profile is not as it must be, or the device is not there.
            InputError: If the codebook cannot be read.
        """
        self._settings = load_settings(profile=profile, study=study, **settings)
        checked_profile(self._settings)
        if mode is not None and mode not in get_args(CodingMode):
            raise SettingError(f"mode is {mode!r}; one of {', '.join(get_args(CodingMode))} is expected")
        make_data_folder(self._settings)
        self._mode, self._codebook = mode, _codebook_events(codebook, self._settings.study)
        self._examples: dict[str, CodedText] = {}
        self._untaught = False
        self._index = MemoryCodeIndex()
        self._codes: Counter[str] = Counter({e.label: 0 for e in self._codebook if e.level == "code"})
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
            InputError: If something among them is no text, or longer; if the mode is deductive and there is no
                codebook yet.
        """
        return list(self.stream(texts))

    def stream(self, texts: Iterable[str]) -> Iterator[Coded]:
        """Code texts as they come, 32 at a time; see ``code``."""
        if (self._mode or self._models.coding_mode(self.study)) == "deductive" and not (
            self._codebook or self._examples
        ):
            raise InputError("mode 'deductive' has no codebook; give one to Coder(codebook=...), or teach coded texts")
        if self._untaught:
            self._pipeline = with_classifier(self._pipeline, self._models, list(self._examples.values()))
            self._untaught = False
        for outcome in self._pipeline.run(self._segment(text) for text in texts):
            coded = as_coded(outcome)
            if coded.code is not None:
                self._codes[coded.code] += 1
            yield coded

    def teach(self, examples: Iterable[tuple[str, str | Sequence[str]]]) -> int:
        """Teach texts that people coded: their codes join the codebook and lead the coding of similar texts.

        From 40 texts on they also teach a classifier, which takes part from the next call of ``code`` on.

        Args:
            examples: A text and its code, or its codes. A text that was taught before is taught anew.

        Returns:
            How many were new or had changed.

        Raises:
            InputError: If a text or a code is empty, or of another kind.
        """
        coded = [self._example(text, codes) for text, codes in examples]
        taught = teach_texts(coded, self._precedents, self._index, self._models.embedder)
        self._examples |= {example.key: example for example in coded}
        self._untaught = self._untaught or taught > 0
        for example in coded:
            self._codes.update(dict.fromkeys(example.codes, 0))
        return taught

    @cached_property
    def _masking(self) -> MaskingBeside:
        return MaskingBeside(Masking(self._settings), self._settings.masking)

    @cached_property
    def _models(self) -> Models:
        return Models.of(self._settings)

    @cached_property
    def _precedents(self) -> Precedents:
        return Precedents(self._models.embedder)

    @cached_property
    def _pipeline(self) -> Pipeline:
        return assemble(self._models, self._index, self._precedents, GivenCodes((), self._codebook, self._mode))

    def _segment(self, text: str) -> Segment:
        plain = _checked(text)
        digest = hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest()
        self._occurrences[digest] += 1
        identity = segment_id(self.study, _SOURCE, f"{digest}:{self._occurrences[digest]}")
        return self._masking.mask(Segment(id=identity, study=self.study, text=plain, source=_SOURCE))

    def _example(self, text: str, codes: str | Sequence[str]) -> CodedText:
        labels = (codes,) if isinstance(codes, str) else tuple(codes)
        if not text.strip() or not labels or not all(isinstance(each, str) and each.strip() for each in labels):
            raise InputError(f"{text[:60]!r} with the codes {labels!r} is no example; give a text and its codes")
        masked = self._masking.text(_checked(text))
        return CodedText(self.study, masked, masked, tuple(" ".join(label.split()) for label in labels))


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
    assignment, classified = outcome.assignment, outcome.decision.classified
    proposals = {each.member: each.label for each in outcome.decision.proposals if not each.drawn}
    return Coded(
        segment.text,
        assignment.label if assignment.standing == "code" else None,
        assignment.new,
        assignment.similarity,
        assignment.confidence,
        assignment.route,
        proposals,
        id=segment.id,
        standing=assignment.standing,
        proposed=assignment.proposed,
        guesses={guess.label: guess.probability for guess in classified.guesses} if classified else {},
        confidence_stage=assignment.confidence_stage,
    )


def _codebook_events(codebook: str | Path | Mapping[str, str] | Iterable[str], study: str) -> list[CodeEvent]:
    """A codebook as a program gives it."""
    if isinstance(codebook, str | Path):
        return codebook_of_file(Path(codebook), study)
    meanings = codebook if isinstance(codebook, Mapping) else dict.fromkeys(codebook, "")
    entries = [CodebookEntry(clean_code(label), notes={"definition": meant}) for label, meant in meanings.items()]
    act = Act(_SOURCE, datetime.fromtimestamp(0, UTC), "given by a program", "imported")
    return list(import_codebook(entries, (), study, act).events)


def make_data_folder(settings: Settings) -> None:
    """Make the data folder as the command line does, without changing which rights the caller's own files get."""
    mask = os.umask(0o077)
    try:
        ensure_data_dir(settings)
    finally:
        os.umask(mask)
