"""What was found in a text, what is kept of several findings that overlap, and the placeholder of each."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

Kind = Literal["mail", "IBAN", "card", "phone", "name", "place", "id", "address"]
"""What may be found; where findings overlap the earlier kind is kept."""
_RANK = {kind: rank for rank, kind in enumerate(get_args(Kind))}
PLACEHOLDER = re.compile(rf"\[({'|'.join(get_args(Kind))}) [1-9]\d*\]")


class Value(NamedTuple):
    """Something personal, in the one form that all its spellings come to."""

    kind: Kind
    plain: str


class PersonalPart(NamedTuple):
    """A value and where it stands, in characters."""

    start: int
    end: int
    value: Value


@dataclass(frozen=True)
class MaskedText:
    """A text with placeholders, and where they stand."""

    text: str
    places: Sequence[tuple[int, int, int, int]] = ()
    """Of each placeholder in order: start and end in the text as it came, start and end in this one."""

    def at(self, offset: int) -> int:
        """Where a place of the text as it came is now; inside a value, where its placeholder begins."""
        moved = offset
        for start, end, new_start, new_end in self.places:
            if offset < start:
                break
            moved = new_start if offset < end else new_end + offset - end
        return moved


def placeholder(kind: Kind, number: int) -> str:
    """What stands in place of a value, such as ``[mail 1]``."""
    return f"[{kind} {number}]"


def numberless(text: str) -> str:
    """A text by which masked ones are compared: which number a value has depends on what came before it."""
    return PLACEHOLDER.sub(lambda match: f"[{match[1]}]", text)


def apart(findings: Iterable[PersonalPart], text: str) -> list[PersonalPart]:
    """Findings that do not overlap, in order: the surer kind first, then the longer one; none inside a placeholder."""
    taken = [(match.start(), match.end()) for match in PLACEHOLDER.finditer(text)]
    kept: list[PersonalPart] = []
    for finding in sorted(findings, key=lambda each: (_RANK[each.value.kind], each.start - each.end, each.start)):
        if all(finding.end <= start or finding.start >= end for start, end in taken):
            taken.append((finding.start, finding.end))
            kept.append(finding)
    return sorted(kept)


def replaced(text: str, findings: Sequence[PersonalPart], numbers: Mapping[Value, int]) -> MaskedText:
    """Put a placeholder in the place of each finding.

    Args:
        text: As it came.
        findings: In order, without overlaps; see ``apart``.
        numbers: The number of each value.
    """
    parts: list[str] = []
    places: list[tuple[int, int, int, int]] = []
    end = length = 0
    for finding in findings:
        word = placeholder(finding.value.kind, numbers[finding.value])
        parts += [text[end : finding.start], word]
        begins = length + finding.start - end
        length, end = begins + len(word), finding.end
        places.append((finding.start, finding.end, begins, length))
    return MaskedText("".join([*parts, text[end:]]), places)


def numbered(values: Iterable[Value], known: Mapping[Value, int], highest: Mapping[str, int]) -> dict[Value, int]:
    """Give each value its number: the one that it has, else the next of its kind.

    Args:
        values: In the order in which they are met; repeats change nothing.
        known: Numbers that were given before.
        highest: By kind the highest number that was ever given; 0 where none was.
    """
    numbers, last = dict[Value, int](), dict(highest)
    for value in dict.fromkeys(values):
        if value in known:
            numbers[value] = known[value]
        else:
            last[value.kind] = numbers[value] = last.get(value.kind, 0) + 1
    return numbers
