"""Transcripts: whose turn a line begins, who asks and who answers, and what a turn is cut into."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

_CLOCK = r"\d{1,2}:\d{2}(?::\d{2})?(?:[.,\-]\d{1,3})?"
_NAME = r"[^\W\d_][^\n:\[\]()#]{0,39}?"
_LABEL = re.compile(
    rf"^\s*(?:[\[(]?(?P<before>{_CLOCK})[\])]?\s+)?(?P<name>{_NAME})\s*(?:[\[(](?P<after>{_CLOCK})[\])]\s*)?:(?!//|\d)\s*(?P<text>.*)$"
)
_ALONE = re.compile(rf"^\s*(?P<name>{_NAME})\s{{1,6}}[\[(]?(?P<after>{_CLOCK})[\])]?\s*$")
_MARK = re.compile(rf"\s*[#\[(]+({_CLOCK})[#\])]+\s*")
_SENTENCE = re.compile(r"(?<=[.!?…。！？])[\"'”’»)]*\s+(?=[^\sa-zß-ÿ])|(?<=[。！？])")
_SHORTENED = re.compile(
    r"(?:\b(?:[A-Za-z]|Dr|Mr|Mrs|Ms|Prof|St|Nr|No|ca|usw|bzw|etc|vs|approx|Inc|Jr|Sr))\.$", re.IGNORECASE
)
_NAMES = """
    i int interviewer interviewerin interviewer:in interviewer*in interview iv moderator moderatorin mod q question
    researcher host facilitator frage interviewador interviewadora entrevistador entrevistadora intervieweur
    intervieweuse enquêteur enquêtrice intervistatore intervistatrice
"""
_BLOCK, _LINE = re.compile(r"\S(?:.*?\S)??(?=\s*\n\s*\n|\s*$)", re.DOTALL), re.compile(r"\S.*")
ASKS = frozenset(_NAMES.split())
"""What those who ask are called."""
_MOST_WORDS = 4  # of a speaker's name
_ASKING, _NOT_ASKING = 0.6, 0.4  # shares of turns that end in a question
_LEAST_TURNS = 2
_FEW = 3  # other names beside those who ask: all of them answer, even if only once


@dataclass(frozen=True)
class Passage:
    """A stretch of a document."""

    text: str
    start: int
    """Where it begins in the document's text, in characters."""
    end: int
    line: int
    speaker: str | None = None
    begins_s: float | None = None
    ends_s: float | None = None
    turn: int = 0
    """Which turn of the document it is, or is part of, from 1."""


@dataclass(frozen=True)
class DocumentText:
    """A document as text, with what joins the lines of one turn."""

    text: str
    joint: str = " "


def turns_of(document: DocumentText) -> list[Passage]:
    """The turns of a transcript; none where the text names no speakers."""
    lines = list(_lines(document.text))
    speakers = _speakers(text for _, _, text in lines)
    if len(speakers) < 2:
        return []
    turns: list[Passage] = []
    for line, start, text in lines:
        label = _label(text, speakers)
        if label is not None:
            turns.append(_begun(label, line, start, text))
        elif turns and text.strip():
            turns[-1] = _continued(turns[-1], start, text, document.joint)
    kept = (_timed(turn) for turn in turns)
    return [replace(turn, turn=n) for n, turn in enumerate((turn for turn in kept if turn.text), 1)]


def paragraphs_of(document: DocumentText) -> list[Passage]:
    """The paragraphs of a text: lines, or where blank lines part them what stands between those."""
    blocks = (_BLOCK if "\n\n" in document.text else _LINE).finditer(document.text)
    passages = []
    for number, block in enumerate(blocks, 1):
        text = " ".join(block[0].split()) if document.joint == " " else block[0].strip()
        line = document.text.count("\n", 0, block.start()) + 1
        passages.append(Passage(text, block.start(), block.end(), line, turn=number))
    return passages


def sentences_of(passage: Passage) -> Iterator[Passage]:
    """A passage cut at the ends of its sentences; abbreviations end none."""
    cuts = [match for match in _SENTENCE.finditer(passage.text) if not _SHORTENED.search(passage.text[: match.start()])]
    for begin, end in zip([0, *(m.end() for m in cuts)], [*(m.start() for m in cuts), len(passage.text)], strict=True):
        sentence = passage.text[begin:end].strip()
        if sentence:
            yield replace(passage, text=sentence, start=passage.start + begin, end=passage.start + end)


def interviewers(turns: Sequence[Passage], named: str | None = None) -> set[str]:
    """Who asks: those whom somebody named, else those who are called so, else the one who mostly asks questions."""
    speakers = {turn.speaker for turn in turns if turn.speaker}
    if named is not None:
        asked = {name.strip().casefold() for name in named.split(",")}
        return {speaker for speaker in speakers if speaker.casefold() in asked}
    called = {speaker for speaker in speakers if speaker.casefold().rstrip(" .0123456789") in ASKS}
    if called:
        return called if called != speakers else set()
    shares = {speaker: _questions([turn for turn in turns if turn.speaker == speaker]) for speaker in speakers}
    asking = {speaker for speaker, share in shares.items() if share >= _ASKING}
    others = {speaker for speaker, share in shares.items() if share <= _NOT_ASKING}
    return asking if len(asking) == 1 and asking | others == speakers and others else set()


def _questions(turns: Sequence[Passage]) -> float:
    """The share of turns that end in a question; 0.5 where there are too few to tell."""
    if len(turns) < _LEAST_TURNS:
        return 0.5
    return sum(turn.text.rstrip(" \"'”»)").endswith(("?", "？")) for turn in turns) / len(turns)


def _lines(text: str) -> Iterator[tuple[int, int, str]]:
    start = 0
    for number, line in enumerate(text.split("\n"), 1):
        yield number, start, line
        start += len(line) + 1


def _speakers(lines: Iterable[str]) -> set[str]:
    """Names that begin several lines, and names of those who ask, wherever they stand."""
    names: Counter[str] = Counter()
    for line in lines:
        for pattern in (_LABEL, _ALONE):
            match = pattern.match(line)
            if match and len(match["name"].split()) <= _MOST_WORDS:
                names[match["name"].strip()] += 1
                break
    asks = {name for name in names if name.casefold().rstrip(" .0123456789") in ASKS}
    initials = {name for name in names if len(name) <= 3 and name.isupper()}
    likely = {name for name, count in names.items() if count >= _LEAST_TURNS}
    return (
        likely | asks | (initials if asks else set()) | (set(names) if asks and len(names) <= len(asks) + 3 else set())
    )


def _label(text: str, speakers: set[str]) -> re.Match[str] | None:
    for pattern in (_LABEL, _ALONE):
        match = pattern.match(text)
        if match and match["name"].strip() in speakers:
            return match
    return None


def _begun(label: re.Match[str], line: int, start: int, text: str) -> Passage:
    words = label.groupdict()
    clock = words.get("before") or words.get("after")
    said = words.get("text") or ""
    begin = start + (label.start("text") if words.get("text") is not None else len(text))
    begins = None if clock is None else seconds(clock)
    return Passage(said.strip(), begin, start + len(text), line, label["name"].strip(), begins)


def _continued(turn: Passage, start: int, text: str, joint: str) -> Passage:
    whole = f"{turn.text}{joint}{text.strip()}" if turn.text else text.strip()
    return replace(turn, text=whole, start=turn.start if turn.text else start, end=start + len(text))


def _timed(turn: Passage) -> Passage:
    """A turn without the marks of time in it; the last one is its end."""
    marks = [seconds(mark) for mark in _MARK.findall(turn.text)]
    text = " ".join(part.strip() for part in _MARK.sub("\0", turn.text).split("\0") if part.strip())
    return replace(turn, text=text, ends_s=turn.ends_s if turn.ends_s is not None or not marks else marks[-1])


def seconds(clock: str) -> float:
    """A time in a recording, such as ``00:01:02-9``, in seconds."""
    whole, _, fraction = clock.replace(",", ".").replace("-", ".").partition(".")
    total = 0
    for part in whole.split(":"):
        total = total * 60 + int(part)
    return total + (float(f"0.{fraction}") if fraction else 0.0)
