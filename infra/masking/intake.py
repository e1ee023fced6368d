"""Masking where texts come in: what a study wants, what is found, and what is kept of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, get_args
from uuid import UUID

from sqlalchemy import Connection, select

from infra.clock import SystemClock
from infra.masking.keys import MaskingKey
from infra.masking.originals import give_numbers, keep_original, keep_values
from infra.settings import Settings
from infra.storage.database import Database
from infra.storage.tables import study_rules
from models.errors import SettingError
from models.masking.findings import PLACEHOLDER, Value, numbered, numberless
from models.masking.masker import LookedThrough, Masker, original_of
from schemas import Segment, StudyRules
from schemas.study import MaskingLevel

if TYPE_CHECKING:
    from models.ports import Clock, NameFinder

_LEVELS = get_args(MaskingLevel)
_NOBODY = UUID(int=0)


@dataclass
class MaskingTally:
    """How many segments had something personal in them, and how many values of each kind."""

    segments: int = 0
    values: Counter[str] = field(default_factory=Counter)

    def add(self, looked: LookedThrough) -> None:
        """Count a segment; one with nothing personal in it does not count."""
        self.segments += bool(looked.values)
        self.values.update(value.kind for value in looked.values)

    def __str__(self) -> str:
        """One phrase, such as ``2 segments masked (3 mail, 1 phone)``."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.values.items()))
        return f"{self.segments} segment{'' if self.segments == 1 else 's'} masked" + (f" ({kinds})" if kinds else "")


class Masking:
    """Masks what comes in, as the installation and each study want it."""

    def __init__(self, settings: Settings, clock: "Clock | None" = None) -> None:
        """Take the settings; key and models are read when something is to be masked."""
        self._settings, self._clock = settings, clock or SystemClock()

    @cached_property
    def key(self) -> MaskingKey | None:
        """The operator's key; ``None`` where there is none: then nothing can be shown again.

        Raises:
            SettingError: If there is one that cannot be used.
        """
        path = self._settings.masking_key_file
        return None if path is None else MaskingKey.read(path)

    def level(self, database: Database | None, study: str) -> MaskingLevel:
        """What is masked in a study: the more of what the installation and the study's rules say."""
        level: MaskingLevel = self._settings.masking
        if database is None:
            return level
        with database.reading() as connection:
            raw = connection.execute(select(study_rules.c.record).where(study_rules.c.study == study)).scalar()
        return level if raw is None else stronger(level, StudyRules.from_bytes(raw).masking)

    def masker(self, level: MaskingLevel) -> Masker:
        """What finds personal data at a level other than ``off``.

        Raises:
            SettingError: If names are to be found and cannot be.
        """
        names = _names(self._settings.masking_models) if level == "names" else None
        return Masker(names, self._settings.masking_regions)

    def names_fault(self) -> str:
        """Why names and places cannot be masked here; empty where they can."""
        from models.backends.named_entities import check_installed

        try:
            check_installed(by_language(self._settings.masking_models))
        except SettingError as error:
            return str(error)
        return ""

    def look(self, database: Database | None, segments: Sequence[Segment]) -> list[LookedThrough] | None:
        """Find what is personal in segments of one study; ``None`` where the study wants nothing masked."""
        level = self.level(database, segments[0].study) if segments else "off"
        if level == "off":
            return None
        masker = self.masker(level)
        return [masker.look(segment) for segment in segments]

    def keep(self, connection: Connection, looked: Sequence[LookedThrough]) -> list[Segment]:
        """The segments with placeholders; which ones each holds is kept, and with a key its original.

        Args:
            connection: Inside the transaction in which the segments are kept.
            looked: Segments of one study that are not kept yet.
        """
        if not looked:
            return []
        study, now = looked[0].segment.study, self._clock.now()
        values = [value for each in looked for value in each.values]
        numbers = give_numbers(connection, study, values, self.key) if values else {}
        masked = []
        for each in looked:
            segment = each.masked(numbers)
            masked.append(segment)
            if each.values:
                keep_values(connection, study, segment.id, {value: numbers[value] for value in each.values}, self.key)
                if self.key is not None:
                    fields = original_of(each.segment, segment)
                    keep_original(connection, study, segment.id, fields, self.key, now)
        return masked

    def same(self, segment: Segment, looked: LookedThrough | None, text: str) -> bool:
        """Whether a segment comes again with the text that is kept, masked or not.

        Args:
            segment: As it comes.
            looked: What is personal in it, where it is masked now; the kept text may have been masked before.
            text: What is kept.
        """
        if text == segment.text or (looked is None and not PLACEHOLDER.search(text)):
            return text == segment.text
        looked = looked or Masker(None, self._settings.masking_regions).look(segment)
        return numberless(text) == numberless(looked.text(numbered(looked.values, {}, {})).text)


class MaskingBeside:
    """Masks segments that are not kept: numbers are given from 1 on, and nothing is remembered of them."""

    def __init__(self, masking: Masking, level: MaskingLevel) -> None:
        """Take what is masked.

        Raises:
            SettingError: If names are to be found and cannot be.
        """
        self.level, self.tally = level, MaskingTally()
        self._masker = None if level == "off" else masking.masker(level)
        self._numbers: dict[Value, int] = {}
        self._highest: Counter[str] = Counter()

    def mask(self, segment: Segment, *, counted: bool = True) -> Segment:
        """The segment with placeholders; itself where nothing is to be masked.

        Args:
            segment: As it comes.
            counted: Whether the tally counts it: not where it only goes with others.
        """
        if self._masker is None:
            return segment
        looked = self._masker.look(segment)
        if counted:
            self.tally.add(looked)
        self._numbers |= numbered(looked.values, self._numbers, self._highest)
        for value in looked.values:
            self._highest[value.kind] = max(self._highest[value.kind], self._numbers[value])
        return looked.masked(self._numbers)

    def text(self, text: str) -> str:
        """A text with placeholders; itself where nothing is to be masked."""
        if self._masker is None:
            return text
        return self.mask(Segment(id=_NOBODY, study="none", text=text, source="none")).text


@cache  # models are loaded once a process
def _names(models: tuple[str, ...]) -> "NameFinder":
    from models.backends.named_entities import PresidioNames

    return PresidioNames(by_language(models))


def stronger(first: MaskingLevel, second: MaskingLevel) -> MaskingLevel:
    """The one of two levels that masks more."""
    return max(first, second, key=_LEVELS.index)


def by_language(models: tuple[str, ...]) -> dict[str, str]:
    """By language the spaCy model that finds names.

    Args:
        models: Such as ``en=en_core_web_lg``.
    """
    return {language: name for language, _, name in (pair.partition("=") for pair in models)}
