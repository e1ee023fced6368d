"""How a turn of a transcript or a chat begins: a name with a colon, with a time beside it, or on a line of its own."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CLOCK = r"\d{1,2}:\d{1,2}(?::\d{1,2})?(?:[.,\-]\d{1,3})?"
_DATE = r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}"
_STAMP = (
    rf"\[?(?:(?P<date>{_DATE}),?\s+)?[#\[(]*(?P<before>{CLOCK})(?:\s?(?P<half>[AaPp]\.?\s?[Mm]\.?))?"
    rf"(?:\s*-->\s*{CLOCK})?[#\])]*(?:\s+[-–])?\s+"
)
_LEAD = r"(?:\d{1,4}[.)]?\s+|>{1,3}\s*|[*_]{1,2}|[-–•]\s+)?"
_NAME = r"[^\W\d_][^\n:：\t\[\]()#*]{0,39}?"
_START = r"^[\s\u200e\ufeff]*"
_WITH_COLON = re.compile(
    rf"{_START}(?:{_STAMP})?{_LEAD}(?P<name>{_NAME})[*_]{{0,2}}\s*(?:[\[(](?P<after>{CLOCK})[\])]\s*)?"
    r"[:：](?!//|\d)[*_]{0,2}\s*(?P<text>.*)$"
)
_OF_CHAT = re.compile(
    rf"{_START}(?P<before>{CLOCK})\s+From\s+(?P<name>{_NAME})(?:\s+to\s+[^:\n]{{1,60}}?)?\s*:\s*(?P<text>.*)$"
)
_WITH_TIME = re.compile(rf"{_START}(?P<name>{_NAME})\s{{1,6}}[\[(]?(?P<after>{CLOCK})[\])]?:?\s*$")
_WITH_STOP = re.compile(rf"{_START}(?P<name>[QA])\.\s+(?P<text>\S.*)$")
_WITH_TAB = re.compile(rf"{_START}(?:{_STAMP})?(?P<name>{_NAME})[ ]*\t\s*(?P<text>\S.*)$")
_SOLO = re.compile(rf"{_START}(?P<box>\[)?(?P<name>{_NAME})(?(box)\])[:：]?\s*$")
STAMP_ALONE = re.compile(rf"{_START}\[?(?P<begins>{CLOCK})\s*-->\s*(?P<ends>{CLOCK})\]?\s*(?P<text>.*)$")
"""A line, or the beginning of one, that says from when to when something was said."""
_DATED = re.compile(rf"{_START}\[?{_DATE},?\s+{CLOCK}")
_CLOSING = re.compile(r"^\s*(?:Transcribed by https?://\S+|\S.{0,60} (?:started|stopped) transcription\.?)\s*$")
_NAMES = """
    i int interviewer interviewerin interviewer:in interviewer*in interview iv moderator moderatorin mod q question
    researcher host facilitator frage interviewador interviewadora entrevistador entrevistadora intervieweur
    intervieweuse enquêteur enquêtrice intervistatore intervistatrice animateur moderador moderadora moderatore
    intervjuer intervjuare haastattelija prowadzący ankieter tazatel görüşmeci интервьюер модератор ведущий
    聞き手 インタビュアー 質問者 司会 访谈者 采访者 訪談者 採訪者 主持人 问 問
    면접자 질문자 진행자 المحاور מראיין מראיינת
"""
ASKS = frozenset(_NAMES.split())
"""What those who ask are called."""
_MOST_WORDS = 4  # of a speaker's name
_LEAST_TURNS = 2
_FEW = 3  # other names beside those who ask: all of them answer, even if only once


@dataclass(frozen=True)
class TurnMark:
    """The beginning of a turn in a line."""

    name: str
    text: str
    start: int
    """Where the text begins in the line, in characters."""
    clock: str | None = None
    said_at: str | None = None
    """A date and a time, as a chat writes them."""


def asks(name: str) -> bool:
    """Whether somebody is called as those who ask are."""
    return name.casefold().rstrip(" .0123456789") in ASKS


def is_no_speech(line: str) -> bool:
    """Whether a line is a tool's own: who joined a chat, what made a transcript."""
    return _DATED.match(line) is not None or _CLOSING.match(line) is not None


class Speakers:
    """Who speaks in a text, told from all of its lines."""

    def __init__(self, lines: Sequence[str]) -> None:
        """Take the lines of a whole text into account."""
        self._stamped = any(STAMP_ALONE.match(line) and not STAMP_ALONE.sub("", line).strip() for line in lines)
        self._solo = self._alone(lines)
        self.names = _speakers([mark.name for line in lines if (mark := self._any(line)) is not None]) | self._solo

    def mark(self, line: str) -> TurnMark | None:
        """The beginning of a turn, if a line is one."""
        mark = self._any(line)
        if mark is not None and mark.name in self.names:
            return mark
        alone = _SOLO.match(line)
        if alone and alone["name"].strip() in self._solo:
            return TurnMark(alone["name"].strip(), "", len(line))
        return None

    def _any(self, line: str) -> TurnMark | None:
        for pattern in (_OF_CHAT, _WITH_COLON, _WITH_TIME, _WITH_STOP, _WITH_TAB):
            match = pattern.match(line)
            if match is None or len(match["name"].split()) > _MOST_WORDS:
                continue
            mark = _mark(match, line)
            if pattern is not _WITH_TAB or mark.clock or asks(mark.name) or len(mark.name) <= 3:
                return mark
        return None

    def _alone(self, lines: Sequence[str]) -> set[str]:
        """Names on lines of their own: in capitals, in brackets, below a time, or of those who ask and who answer."""
        counts: Counter[str] = Counter()
        for before, line, after in zip(["", *lines], lines, [*lines[1:], ""], strict=False):
            match = _SOLO.match(line)
            if match is None or not after.strip() or len(match["name"].split()) > _MOST_WORDS:
                continue
            name = match["name"].strip()
            stamped = self._stamped and STAMP_ALONE.match(before) is not None
            if stamped or match["box"] or asks(name) or name.isupper():
                counts[name] += 1
        names = {name for name, count in counts.items() if count >= _LEAST_TURNS}
        return names if len(names) > 1 else set()


def _mark(match: re.Match[str], line: str) -> TurnMark:
    words = match.groupdict()
    clock, date = words.get("before") or words.get("after"), words.get("date")
    said_at = f"{date} {clock} {words.get('half') or ''}".strip() if date else None
    start = match.start("text") if words.get("text") is not None else len(line)
    return TurnMark(match["name"].strip(), words.get("text") or "", start, None if date else clock, said_at)


def _speakers(names: Iterable[str]) -> set[str]:
    """Names that begin several lines, and names of those who ask, wherever they stand."""
    listed = list(names)
    counts = Counter(listed)
    asking = {name for name in counts if asks(name)}
    initials = {name for name in counts if len(name) <= 3 and name.isupper()}
    likely = {name for name, count in counts.items() if count >= _LEAST_TURNS}
    if not asking:
        return likely
    first = next(place for place, name in enumerate(listed) if name in asking)
    behind = set(listed[first:])  # what stands above the first question says where and when it was
    few = behind if len(behind) <= len(asking) + _FEW else set()
    return (likely | initials | few) & behind
