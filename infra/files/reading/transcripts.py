"""Transcripts: whose turn a line begins, who asks and who answers, and what a turn is cut into."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from infra.files.reading.turn_marks import CLOCK, STAMP_ALONE, Speakers, TurnMark, asks, is_no_speech

_MARK = re.compile(rf"\s*[#\[(]+({CLOCK})[#\])]+\s*")
_SENTENCE = re.compile(r"(?<=[.!?…。！？])[\"'”’»)]*\s+(?=[^\sa-zß-ÿ])|(?<=[。！？])")
_SHORTENED = re.compile(
    r"(?:\b(?:[A-Za-z]|Dr|Mr|Mrs|Ms|Prof|St|Nr|No|ca|usw|bzw|etc|vs|approx|Inc|Jr|Sr))\.$", re.IGNORECASE
)
_BLOCK, _LINE = re.compile(r"\S(?:.*?\S)??(?=\s*\n\s*\n|\s*$)", re.DOTALL), re.compile(r"\S.*")
_STAMPED = 0.6  # of the lines of a text that have their times
_ASKING, _NOT_ASKING = 0.6, 0.4  # shares of turns that end in a question
_LEAST_TURNS = 2
_MOST_CUES = 12  # of one sentence where no speaker is named
_END = (".", "?", "!", "…", "。", "？", "！")


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
    said_at: str | None = None
    """When it was said, as a chat writes it."""


@dataclass(frozen=True)
class DocumentText:
    """A document as text, with what joins the lines of one turn."""

    text: str
    joint: str = " "


def turns_of(document: DocumentText) -> list[Passage]:
    """The turns of a transcript; none where the text names no speakers."""
    lines = list(_lines(document.text))
    speakers = Speakers([text for _, _, text in lines])
    if len(speakers.names) < 2:
        return []
    turns: list[Passage] = []
    clock: str | None = None
    for line, start, text in lines:
        mark, stamp = speakers.mark(text), STAMP_ALONE.match(text)
        if mark is not None:
            turns.append(_begun(mark, line, start, text, clock))
            clock = None
        elif stamp and not stamp["text"]:
            clock = stamp["begins"]
        elif turns and text.strip() and not is_no_speech(text):
            turns[-1] = _continued(turns[-1], start, text, document.joint)
    kept = (_timed(turn) for turn in turns)
    return [replace(turn, turn=n) for n, turn in enumerate((turn for turn in kept if turn.text), 1)]


def stamped_of(document: DocumentText) -> list[Passage]:
    """The sentences of a text in which each line says from when to when it was said; none where few lines do."""
    lines = [
        (*line, match) for line in _lines(document.text) if (match := STAMP_ALONE.match(line[2])) and match["text"]
    ]
    filled = sum(bool(text.strip()) for _, _, text in _lines(document.text))
    if not filled or len(lines) < _STAMPED * filled:
        return []
    passages: list[Passage] = []
    cues = 0
    for number, start, text, match in lines:
        words, begin = match["text"].strip(), start + match.start("text")
        begins, ends = seconds(match["begins"]), seconds(match["ends"])
        cues = cues + 1 if passages and goes_on(passages[-1], None, cues) else 0
        if cues:
            joined = f"{passages[-1].text} {words}"
            passages[-1] = replace(passages[-1], text=joined, ends_s=ends, end=start + len(text))
        else:
            end, turn = start + len(text), len(passages) + 1
            passages.append(Passage(words, begin, end, number, begins_s=begins, ends_s=ends, turn=turn))
    return passages


def goes_on(last: Passage, speaker: str | None, cues: int) -> bool:
    """Whether a cue belongs to what came before: the same speaker's, or without any the same sentence's."""
    if last.speaker or speaker:
        return last.speaker == speaker or speaker is None
    return not last.text.endswith(_END) and cues < _MOST_CUES


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
    called = {speaker for speaker in speakers if asks(speaker)}
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


def _begun(mark: TurnMark, line: int, start: int, text: str, clock: str | None) -> Passage:
    begin = start + mark.start
    begins = None if (mark.clock or clock) is None else seconds(mark.clock or clock or "")
    return Passage(mark.text.strip(), begin, start + len(text), line, mark.name, begins, said_at=mark.said_at)


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
