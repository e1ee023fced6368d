"""What masking makes of a segment: its text, its own id, its source and its attributes, with what stood there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from models.masking.fields import personal_kind
from models.masking.findings import PLACEHOLDER, Kind, MaskedText, PersonalPart, Value, apart, placeholder, replaced
from models.masking.numbers import REGIONS
from models.masking.patterns import in_text
from schemas import Segment
from schemas.feedback import LONGEST_OWN_ID, LONGEST_SOURCE, LONGEST_TEXT

if TYPE_CHECKING:
    from models.ports import NameFinder

_RAW = "_raw"  # a text as it came, with tags and entities: what they hide cannot be looked through
_OURS = "_"  # what begins so was written by the reader of the file, and holds nobody's words
_SHORT = 3  # words; a shorter attribute is a category (a town, a product) and no text in which somebody is named
_Mask = Callable[[str, bool], str]
"""Masks a string; with names and places where the second argument says so."""
_MaskField = Callable[[Kind, str], str]


@dataclass(frozen=True)
class Masker:
    """Finds what is personal."""

    names: "NameFinder | None" = None
    """Finds names and places; without one only patterns and named attributes are looked for."""
    regions: Sequence[str] = REGIONS
    """Countries whose phone numbers are known without their country code."""

    def find(self, text: str, language: str | None = None, *, names: bool = True) -> list[PersonalPart]:
        """What is personal in a text, in order, without overlaps.

        Args:
            text: Where it is looked for.
            language: Its BCP 47 tag, if it is known.
            names: Whether names and places are looked for, where they can be.
        """
        findings = in_text(text, self.regions)
        if names and self.names is not None and text.strip():
            for start, end, kind in self.names.find(text, language):
                plain = _plain_name(text[start:end])
                findings += [PersonalPart(start, end, Value(kind, plain))] if plain else []
        return apart(findings, text)

    def look(self, segment: Segment) -> "LookedThrough":
        """Find what is personal in all of a segment; nothing is replaced yet."""
        findings: dict[tuple[str, bool], list[PersonalPart]] = {}

        def find(text: str, names: bool) -> str:
            if (text, names) not in findings:
                findings[text, names] = self.find(text, segment.language, names=names)
            return text

        def note(kind: Kind, text: str) -> str:
            fields[kind, text] = self._field_value(kind, text)
            return text

        fields: dict[tuple[Kind, str], Value] = {}
        _walk(segment, find, note)
        met = [finding.value for each in findings.values() for finding in each]
        return LookedThrough(segment, findings, fields, tuple(dict.fromkeys([*met, *fields.values()])))

    def _field_value(self, kind: Kind, text: str) -> Value:
        """The value of a personal attribute: what it is by itself, else what its name says."""
        findings = apart(in_text(text, self.regions), text)
        if len(findings) == 1 and (findings[0].start, findings[0].end) == (0, len(text)):
            return findings[0].value
        return Value(kind, _plain_name(text))


@dataclass(frozen=True)
class LookedThrough:
    """A segment and what is personal in it."""

    segment: Segment
    findings: Mapping[tuple[str, bool], Sequence[PersonalPart]]
    """By each of its strings, and whether names were looked for there, what stands in it."""
    fields: Mapping[tuple[Kind, str], Value]
    """By the kind and the words of each personal attribute, its value."""
    values: Sequence[Value]
    """All of them, each once, in the order in which they are met."""

    def masked(self, numbers: Mapping[Value, int]) -> Segment:
        """The segment with placeholders; itself where nothing is personal in it."""
        if not self.values:
            return self.segment

        def mask(text: str, names: bool) -> str:
            return replaced(text, self.findings.get((text, names), ()), numbers).text

        def mask_field(kind: Kind, text: str) -> str:
            value = self.fields[kind, text]
            return placeholder(value.kind, numbers[value])

        return self.segment.model_copy(update=_walk(self.segment, mask, mask_field))

    def text(self, numbers: Mapping[Value, int]) -> MaskedText:
        """The text alone, with the places of its placeholders."""
        return replaced(self.segment.text, self.findings.get((self.segment.text, True), ()), numbers)


def original_of(segment: Segment, masked: Segment) -> dict[str, Any]:
    """What masking took out of a segment: each of its fields that is another now, as it came."""
    before, after = segment.model_dump(mode="json"), masked.model_dump(mode="json")
    return {name: value for name, value in before.items() if after[name] != value}


def _walk(segment: Segment, mask: _Mask, field: _MaskField) -> dict[str, Any]:
    """The segment's fields as the two functions make them."""
    changes: dict[str, Any] = {"text": mask(segment.text, True)[:LONGEST_TEXT]}
    if segment.own_id:
        changes["own_id"] = mask(segment.own_id, False)[:LONGEST_OWN_ID]
    changes["source"] = mask(segment.source, False)[:LONGEST_SOURCE]
    changes["metadata"] = {
        mask(name, False): _attribute(name, value, mask, field)
        for name, value in segment.metadata.items()
        if name != _RAW
    }
    raw = segment.metadata.get(_RAW)
    if raw is not None and changes["text"] == segment.text and mask(str(raw), True) == raw:
        changes["metadata"] = {**changes["metadata"], _RAW: raw}
    return changes


def _attribute(name: str, value: JsonValue, mask: _Mask, field: _MaskField) -> JsonValue:
    if isinstance(value, dict):
        return {mask(inner, False): _attribute(inner, each, mask, field) for inner, each in value.items()}
    if isinstance(value, list):
        return [_attribute(name, each, mask, field) for each in value]
    if value is None or isinstance(value, bool) or name.startswith(_OURS):
        return value
    text = str(value).strip()
    kind = personal_kind(name, value)
    if kind is not None and text and not PLACEHOLDER.fullmatch(text):
        return field(kind, text)
    return mask(value, len(value.split()) > _SHORT) if isinstance(value, str) else value


def _plain_name(text: str) -> str:
    return " ".join(text.split()).casefold()
