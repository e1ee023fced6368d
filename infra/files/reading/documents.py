"""Documents as rows: interviews and reports in DOCX, RTF, PDF, VTT, SRT and plain text, by turn or paragraph."""

import io
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from zipfile import ZipFile

from infra.files.reading.items import LeftOut, ReadingOptions, Rejected, TableHeader, TableRow
from infra.files.reading.sheets import BROKEN
from infra.files.reading.transcripts import (
    DocumentText,
    Passage,
    goes_on,
    interviewers,
    paragraphs_of,
    seconds,
    sentences_of,
    stamped_of,
    turns_of,
)
from infra.files.reading.turn_marks import asks
from models.errors import InputError, SettingError

INTERVIEWER = "the interviewer's words"
COLUMNS = ("text", "speaker", "role", "question", "turn", "start_s", "end_s", "position")
DOCUMENT_COLUMNS = (*COLUMNS, "timestamp", "source", "code")
"""All that the rows of a document may have."""
_WORDS = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_CUE_NAME = re.compile(
    r"^(?:>{2,3}|-)?\s*(?:\[(?P<box>[^\]\n:]{1,40})\][\s:：]+|(?P<name>[^\W\d_][^:：\n]{0,39})[:：]\s*)(?=\S)"
)
_OF_DOCUMENT = re.compile(r"^\ufeff?<([^<>\n]+)>\s+-\s+§\s*\d+.*\[.*\d.*%.*\]\s*$", re.MULTILINE)
_REFERENCE = re.compile(r"^[^\W\d_]+ \d+\s*[-–:].*\d[.,]?\d*\s?%.*$", re.MULTILINE)
_NODE_NAME = re.compile(r"^\ufeff?(?:Name|Nom|Nombre|Nome)\s*:\s*(\S.*)$", re.MULTILINE)
_SOUNDS = ("music", "applause", "laughter", "laughs", "inaudible", "crosstalk", "silence", "noise", "pause", "sighs")
_SPOKEN = 0.3  # of a text, from its first turn on, where a turn has a time or one is called as those who ask
_BEGUN, _ABOVE = 0.3, 0.2  # of the lines of another text: that begin turns, and that may stand above the first
_NAMED = 0.6  # of the cues that begin with a name: then all such names are speakers
_REPEATED = 0.3  # share of cues that begin with the last line of the one before: captions that roll

Rows = Iterator[TableHeader | TableRow | Rejected]


def document_rows(data: bytes, fmt: str, file: str, options: ReadingOptions, encoding: str) -> Rows:
    """A document's passages as rows; an interviewer's words are left out, and stand as the question of the answers.

    Args:
        data: The whole file.
        fmt: ``docx``, ``rtf``, ``pdf``, ``vtt``, ``srt`` or ``transcript``.
        file: Its name, for errors.
        options: Unit, interviewer, and what takes the words about it.
        encoding: Of formats that are text.

    Raises:
        InputError: If it cannot be read or holds no text.
        SettingError: If a library that it needs is not installed.
    """
    passages = _cues(data.decode(encoding, "replace"), fmt, file) if fmt in ("vtt", "srt") else None
    if passages is None:
        document = _TEXTS[fmt](data, file, encoding)
        if not document.text.strip():
            raise InputError(f"{file}: no text found in it; if it is scanned, have its text recognised first")
        if is_node_text(document.text):
            yield from _node_rows(document.text, file, options)
            return
        passages = turns_of(document) or stamped_of(document) or paragraphs_of(document)
        _say_before(document.text, passages, options)
    dated = any(passage.said_at for passage in passages)
    yield TableHeader(1, (*COLUMNS, *(("timestamp",) if dated else ())))
    yield from _rows(passages, file, options)


def is_transcript(text: str) -> bool:
    """Whether plain text is a transcript: two speakers or more, whose turns are most of it; or lines with times."""
    document = DocumentText(text)
    turns = turns_of(document)
    if len({turn.speaker for turn in turns}) < 2:
        return bool(stamped_of(document))
    if any(turn.begins_s is not None or turn.said_at or asks(turn.speaker or "") for turn in turns):
        return turns[-1].end - turns[0].start >= _SPOKEN * len(text.strip())
    lines = [line for line in text.split("\n") if line.strip()]
    above = sum(bool(line.strip()) for line in text.split("\n")[: turns[0].line - 1])
    return len(turns) >= _BEGUN * len(lines) and above <= _ABOVE * len(lines)


def is_node_text(text: str) -> bool:
    """Whether a text is what NVivo writes of a code: the passages coded with it, document by document."""
    return _OF_DOCUMENT.search(text) is not None and _REFERENCE.search(text) is not None


def _node_rows(text: str, file: str, options: ReadingOptions) -> Rows:
    named = _NODE_NAME.search(text[: _first_document(text)])
    code = named[1].strip() if named else re.sub(r"\.\w{1,5}$", "", file)
    where = "its first lines name" if named else "the file is called"
    options.report.remark(f"passages that NVivo wrote of one code, '{code}', as {where} it")
    yield TableHeader(1, ("text", "source", "code"))
    source, line = "", 0
    passage: list[str] | None = None
    for number, words in enumerate([*text.split("\n"), ""], 1):
        document, reference = _OF_DOCUMENT.match(words), _REFERENCE.match(words)
        if (document or reference) and passage:
            yield from _node_row(line, passage, source, code)
        if document:
            source, passage = re.split(r"[\\/]+", document[1])[-1].strip(), None
        elif reference:
            line, passage = number, []
        elif passage is not None:
            passage.append(words.strip())
    yield from _node_row(line, passage or [], source, code)


def _first_document(text: str) -> int:
    match = _OF_DOCUMENT.search(text)
    return match.start() if match else 0


def _node_row(line: int, passage: Sequence[str], source: str, code: str) -> Iterator[TableRow]:
    text = "\n".join(words for words in passage if words)
    if text:
        yield TableRow(line, {"text": text, "source": source, "code": code})


def _say_before(text: str, passages: list[Passage], options: ReadingOptions) -> None:
    """Say what stands above the first turn, which nobody spoke."""
    first = passages[0].line if passages and passages[0].speaker else 1
    above = [number for number, line in enumerate(text.split("\n")[: first - 1], 1) if line.strip()]
    if above:
        lines = f"line {above[0]}" if len(above) == 1 else f"lines {above[0]} to {above[-1]}"
        options.report.remark(f"{lines} above the first turn: nobody speaks, left out")


def _rows(passages: list[Passage], file: str, options: ReadingOptions) -> Iterator[TableRow | Rejected]:
    asking = interviewers(passages, options.interviewer)
    _say(passages, asking, options)
    question: list[str] = []
    answered = False
    for passage in passages:
        if passage.speaker in asking:
            question = [passage.text] if answered or not question else [*question, passage.text]
            answered = False
            yield LeftOut(file, passage.line, f"'{passage.speaker}' asks", INTERVIEWER)
            continue
        answered = True
        for part in _parts(passage, options):
            yield TableRow(part.line, _cells(part, " ".join(question), bool(asking)))


def _say(passages: list[Passage], asking: set[str], options: ReadingOptions) -> None:
    turns = Counter(passage.speaker for passage in passages if passage.speaker)
    spoken = ", ".join(f"'{name}' ({count})" for name, count in turns.most_common())
    if not turns:
        options.report.remark(f"{len(passages)} paragraphs")
    elif options.unit == "turn":
        options.report.remark(f"{len(passages)} turns of {spoken}")
    else:
        options.report.remark(f"{len(passages)} turns of {spoken}, cut into {options.unit}s")
    if asking:
        verb, names = "asks" if len(asking) == 1 else "ask", ", ".join(f"'{name}'" for name in sorted(asking))
        options.report.remark(
            f"{names} {verb}: left out, kept as the question of what follows; another can be named as the interviewer"
        )
    elif turns and options.interviewer:
        options.report.warn(f"none of '{options.interviewer}' speaks in it: all turns are taken")
    elif turns and options.interviewer is None:
        options.report.remark("nobody is told to be the interviewer: all turns are taken; one can be named")


def _parts(passage: Passage, options: ReadingOptions) -> Iterable[Passage]:
    if options.unit == "sentence":
        return sentences_of(passage)
    if options.unit == "paragraph" and "\n" in passage.text:
        return paragraphs_in(passage)
    return (passage,)


def paragraphs_in(passage: Passage) -> Iterator[Passage]:
    """The paragraphs of a turn."""
    for part in paragraphs_of(DocumentText(passage.text, "\n")):
        begin, end = passage.start + part.start, passage.start + part.end
        yield replace(passage, text=part.text, start=begin, end=end)


def _cells(passage: Passage, question: str, told: bool) -> dict[str, Any]:
    """What a passage says of itself; what is not known is left out."""
    cells: dict[str, Any] = {"text": passage.text, "speaker": passage.speaker, "question": question or None}
    cells |= {"role": "respondent" if told and passage.speaker else None, "turn": passage.turn or None}
    cells |= {"start_s": passage.begins_s, "end_s": passage.ends_s}
    cells |= {"timestamp": passage.said_at}
    cells |= {"position": [passage.start, passage.end] if passage.end else None}
    return {name: value for name, value in cells.items() if value is not None}


def _cues(text: str, fmt: str, file: str) -> list[Passage]:
    with _needs("subtitles", "webvtt-py"):
        import webvtt
    try:
        captions = webvtt.from_buffer(io.StringIO(text.lstrip("\ufeff")), format=fmt).captions
    except (webvtt.errors.MalformedFileError, webvtt.errors.MalformedCaptionError, ValueError) as error:
        raise InputError(f"{file}: not a {fmt.upper()} file ({str(error)[:80]})") from error
    cues = [(caption, words) for caption, lines in _cue_lines(captions) for words in _parts_of_cue(lines)]
    names = _cue_names(words for _, words in cues)
    passages: list[Passage] = []
    joined = 0
    for number, (caption, text_of_cue) in enumerate(cues, 1):
        speaker, words = _voice(caption, text_of_cue, names)
        begins, ends = seconds(caption.start), seconds(caption.end)
        on = bool(passages) and not text_of_cue.startswith("- ") and goes_on(passages[-1], speaker, joined)
        joined = joined + 1 if on else 0
        if on:
            passages[-1] = replace(passages[-1], text=f"{passages[-1].text} {words}".strip(), ends_s=ends)
        elif words:
            passages.append(Passage(words, 0, 0, number, speaker, begins, ends, len(passages) + 1))
    return passages


def _cue_lines(captions: Sequence[Any]) -> Iterator[tuple[Any, list[str]]]:
    """The lines of each cue; where captions roll, without those that the cue before has shown already."""
    every = [[line.strip() for line in caption.text.split("\n") if _is_speech(line)] for caption in captions]
    pairs = list(zip([[], *every], every, strict=False))
    rolling = sum(bool(before and lines and lines[0] in before) for before, lines in pairs) >= _REPEATED * len(every)
    for caption, (before, lines) in zip(captions, pairs, strict=True):
        shown = [line for line in lines if not rolling or len(every) < 3 or line not in before]
        if shown:
            yield caption, shown


def _is_speech(line: str) -> bool:
    """Whether a line of a cue has words, and not the name of a sound in brackets alone."""
    bare = line.strip().strip("[]()♪ ").casefold()
    return bool(bare) and not (bare in _SOUNDS and bare != line.strip().casefold())


def _parts_of_cue(lines: list[str]) -> list[str]:
    """A cue's text, or that of each of two people who speak in it, a dash before each."""
    dashed = len(lines) > 1 and all(line.startswith(("-", "–")) for line in lines)
    return [f"- {line.lstrip('-– ')}" for line in lines] if dashed else [" ".join(lines)]


def _cue_names(cues: Iterable[str]) -> set[str]:
    """Names before a colon or in brackets: more than once; or all, where one is of who asks or most cues have one."""
    every = list(cues)
    counts = Counter(name for cue in every if (name := _named(_CUE_NAME.match(cue))))
    named = any(map(asks, counts)) or (len(counts) > 1 and counts.total() >= _NAMED * len(every))
    return {name for name, count in counts.items() if count > 1 or named}


def _named(match: re.Match[str] | None) -> str:
    name = (match["box"] or match["name"]).strip() if match else ""
    return "" if name.casefold() in _SOUNDS else name


def _voice(caption: Any, words: str, names: set[str]) -> tuple[str | None, str]:
    """Who speaks in a cue, and what: the voice is a tag, or the name stands before it."""
    match = _CUE_NAME.match(words)
    plain = words.removeprefix("- ").removeprefix(">>").strip()
    if caption.voice or match is None or _named(match) not in names:
        return caption.voice, plain
    return _named(match), words[match.end() :]


def _docx(data: bytes, file: str, encoding: str) -> DocumentText:
    with _needs("Word documents", "python-docx"):
        import docx
    try:
        body = docx.Document(io.BytesIO(data))
        paragraphs = [_block(block) for block in body.iter_inner_content()]
    except KeyError:
        paragraphs = _bare_docx(data, file)  # written by a program that leaves out the package's relations
    except BROKEN as error:
        raise InputError(f"{file}: not a Word document ({str(error)[:80]}); a .docx file is expected") from error
    return DocumentText("\n".join(paragraphs), "\n")


def _block(block: Any) -> str:
    if hasattr(block, "rows"):
        return "\n".join("\t".join(dict.fromkeys(cell.text for cell in row.cells)) for row in block.rows)
    return str(block.text)


def _bare_docx(data: bytes, file: str) -> list[str]:
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root = fromstring(ZipFile(io.BytesIO(data)).read("word/document.xml"))
    except (KeyError, DefusedXmlException, *BROKEN) as error:
        raise InputError(f"{file}: not a Word document ({str(error)[:80]}); save it anew as .docx") from error
    return ["".join(text.text or "" for text in paragraph.iter(f"{_WORDS}t")) for paragraph in root.iter(f"{_WORDS}p")]


def _rtf(data: bytes, file: str, encoding: str) -> DocumentText:
    with _needs("RTF documents", "striprtf"):
        from striprtf.striprtf import rtf_to_text
    return DocumentText(rtf_to_text(data.decode("latin-1"), errors="replace").replace("\r\n", "\n"), "\n")


def _pdf(data: bytes, file: str, encoding: str) -> DocumentText:
    with _needs("PDF documents", "pypdf"):
        import pypdf
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what is wrong with a file is said once, by us
    try:
        pages = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(data)).pages]
    except MemoryError:
        raise
    except Exception as error:  # pypdf raises whatever it stumbles over in a broken file
        raise InputError(f"{file}: not a PDF that can be read ({str(error)[:80]})") from error
    text = "\n".join(pages)
    return DocumentText(re.sub(r"(?<=[^\W\d_])-\n(?=[a-zß-ÿ])", "", text))


def _plain(data: bytes, file: str, encoding: str) -> DocumentText:
    text = data.decode(encoding, "replace").removeprefix("\ufeff")
    return DocumentText(text.replace("\r\n", "\n").replace("\r", "\n"))


_TEXTS: dict[str, Callable[[bytes, str, str], DocumentText]] = {
    "docx": _docx,
    "rtf": _rtf,
    "pdf": _pdf,
    "transcript": _plain,
}


@contextmanager
def _needs(what: str, package: str) -> Iterator[None]:
    """A block that imports what an extra brings."""
    try:
        yield
    except ImportError as error:
        raise SettingError(f"{what} need {package} ({error}); install 'qualstream[documents]'") from error
