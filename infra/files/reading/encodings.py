"""Which encoding a file is in, and how sure that is."""

import codecs
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import chardet
from chardet import EncodingEra
from charset_normalizer.md import mess_ratio

PEEK = 1 << 16
"""Bytes from which format, encoding and delimiter are told where a stream cannot be read twice."""
WINDOWS = "cp1252"

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it starts with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SHIFTS = (b"\x1b$B", b"\x1b$@")
"""What shifts to Japanese letters in ISO-2022-JP, as mail has it."""
_SAMPLE = 1 << 18  # bytes of lines that are not UTF-8
_SURE, _LEAST_TOLD = 0.2, 0.1  # chardet's confidence; it is low where there is little to go by
_CENTRAL, _TIE = {"cp1250", "iso8859-2"}, 0.05
"""Two encodings for the languages of Central Europe, which differ in few letters."""
_LIKELY = 0.5  # of Windows-1252, where nothing in the text is odd
_COMMON_BONUS = 0.0005  # of Windows' own encodings over those that differ from them in few letters
_MOST_ADJACENT = 0.34  # share of accented letters beside another one, in Western languages
_SIGNS = frozenset("€£¥§©®°´·«»–—‘’‚“”„†•…™¡¿\xa0")
_ODD = re.compile(r"(?<=[^\W\d_])[À-ÞŠŽŸ](?=[a-zà-ÿ])|(?<=[^\W\d_])[^\w\s\x00-\x7f’‘´…–—·](?=[^\W\d_])")
_ERAS = EncodingEra.MODERN_WEB | EncodingEra.LEGACY_ISO | EncodingEra.LEGACY_MAC | EncodingEra.DOS
_ONE_NAME = {"shift_jis": "cp932", "euc_kr": "cp949", "gb2312": "gb18030", "gbk": "gb18030", "iso8859-1": "cp1252"}
"""Encodings that a wider one contains, as files hold it in truth."""


@dataclass(frozen=True)
class Encoding:
    """What a file's bytes are taken for."""

    name: str
    confidence: float
    """0 to 1; 1 where the bytes prove it."""
    fallback: str | None = None
    """For single lines that are not in ``name``: other programs wrote into the file too."""
    named: bool = False
    """Whether the caller named it."""

    @property
    def doubtful(self) -> bool:
        """Whether a person should look at what came of it."""
        return self.confidence < _SURE

    @property
    def sentence(self) -> str:
        """What is said of it."""
        if self.fallback:
            return f"UTF-8, with lines in {self.fallback} among it"
        return self.name if self.named else f"{self.name}, confidence {self.confidence:.2f}"


def told_by_mark(head: bytes) -> str | None:
    """Tell UTF-8, UTF-16 and UTF-32 from their byte order mark, and UTF-16 without one from its zeros."""
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    if any(mark in head for mark in _SHIFTS):
        return "iso2022_jp"
    half = len(head) // 2
    if half and head[1::2].count(0) > 0.4 * half:
        return "utf-16-le"
    return "utf-16-be" if half and head[::2].count(0) > 0.4 * half else None


def survey(stream: io.BufferedIOBase) -> Encoding:
    """Tell the encoding of a whole stream, from where it stands; the caller goes back to that place."""
    start = stream.tell()
    marked = told_by_mark(stream.read(PEEK))
    if marked is not None:
        return Encoding(marked, 1.0)
    stream.seek(start)
    if _is_utf8(iter(lambda: stream.read(1 << 20), b"")):
        return Encoding("utf-8", 1.0)
    stream.seek(start)
    return _not_utf8(stream)


def tell_encoding(sample: bytes) -> Encoding:
    """Tell the encoding of bytes that are none of Unicode's."""
    windows = _decoded(sample, WINDOWS)
    if windows is not None and _punctuation_only(windows):
        return Encoding(WINDOWS, _LIKELY)
    ranked = sorted(_ranked(sample), key=_rank, reverse=True)
    best = _less_odd(sample, ranked) if ranked else Encoding(WINDOWS, 0.0)
    if windows is None or best.confidence >= _LEAST_TOLD or not _western(windows):
        return best
    mess, other = _mess(windows), _mess(sample.decode(best.name, "replace"))
    return best if other < mess else Encoding(WINDOWS, best.confidence if mess else _LIKELY)


def _less_odd(sample: bytes, ranked: Sequence[Encoding]) -> Encoding:
    """The best, or one that is as likely for the same letters in other places and has fewer capitals inside words."""
    best = ranked[0]
    alike = [each for each in ranked if {each.name, best.name} == _CENTRAL and each.confidence > best.confidence - _TIE]
    return min([best, *alike], key=lambda each: _capitals_inside(sample.decode(each.name, "replace")))


def _capitals_inside(text: str) -> int:
    triples = zip(text, text[1:], text[2:], strict=False)
    return sum(a.islower() and b.isupper() and not b.isascii() and c.islower() for a, b, c in triples)


def _ranked(sample: bytes) -> Iterable[Encoding]:
    for guess in chardet.detect_all(sample, encoding_era=_ERAS, compat_names=False):
        name = (guess["encoding"] or "").lower()
        name = _ONE_NAME.get(name, name)
        if name and _decoded(sample, name) is not None:
            yield Encoding(name, float(guess["confidence"]))


def _is_utf8(blocks: Iterable[bytes]) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for block in blocks:
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _not_utf8(lines: Iterable[bytes]) -> Encoding:
    """One encoding for all, or UTF-8 with some other lines among it."""
    unicode_lines, other_lines, sample = 0, 0, bytearray()
    for line in lines:
        if line.isascii():
            continue
        if _decoded(line, "utf-8") is not None:
            unicode_lines += 1
            continue
        other_lines += 1
        if len(sample) < _SAMPLE:
            sample += line
    guess = tell_encoding(bytes(sample[:_SAMPLE]))
    if unicode_lines >= other_lines:
        return Encoding("utf-8", guess.confidence, fallback=guess.name)
    return guess


def _rank(encoding: Encoding) -> float:
    common = encoding.name.startswith("cp125") or encoding.name in _ONE_NAME.values()
    return encoding.confidence + _COMMON_BONUS * common


def _mess(text: str) -> float:
    """How odd a text looks: what charset-normalizer finds, and capitals and signs inside of words."""
    return mess_ratio(text) + len(_ODD.findall(text))


def _punctuation_only(text: str) -> bool:
    """Whether all that is not ASCII are signs such as quotes, dashes and currencies."""
    return all(letter in _SIGNS for letter in text if not letter.isascii())


def _western(text: str) -> bool:
    """Whether a text looks like Latin letters with accents here and there, as Windows-1252 has them."""
    accented = [n for n, letter in enumerate(text) if not letter.isascii() and letter.isalpha()]
    beside = sum(not text[n + 1 : n + 2].isascii() or not text[n - 1 : n].isascii() for n in accented)
    controls = any(unicodedata.category(letter) == "Cc" and letter not in "\r\n\t" for letter in text)
    return not controls and beside <= _MOST_ADJACENT * len(accented)


def _decoded(sample: bytes, encoding: str) -> str | None:
    try:
        return sample.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None
