"""What other rooms say, in other languages: errors, and how a file is read. Logs and commands say it in English.

Babel finds it by ``extract``: the sentences that ``REFUSALS`` and ``REMARKS`` are given, and those that are yielded,
with ``{1}``, ``{2}`` ... where values stand in them. A page that shows one looks it up among these; a value may be
a sentence too.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import IO, Any

from babel.messages.extract import extract_python

from infra.web.language.catalogs import SOURCE, read_catalog, translations

REFUSALS = frozenset({"InputError", "HTTPException", "TooManyAttempts", "ReadersBusy", "_Nothing", "_Unfit"})
"""Errors whose sentence a page shows."""
REMARKS = frozenset({"remark", "warn", "count", "count_alike", "Rejected", "LeftOut"})
"""What says how a file is read, and what of it is not taken."""
NAMED = frozenset({"reason", "why"})
"""Names that such a sentence, or a part of it, is bound to before it is said."""
_LONGEST = 1_000  # characters of a sentence that is looked up: a value in it may be anything
_DEEPEST = 2  # "warning: ", a sentence, and why
_PLACE = re.compile(r"\\\{(\d+)\\\}")


def extract(
    file: IO[bytes], keywords: Mapping[str, Any], comment_tags: Sequence[str], options: Any
) -> Iterator[tuple[Any, ...]]:
    """Babel's extraction from a module: what is marked in it, and what it raises."""
    yield from extract_python(file, keywords, comment_tags, options)
    file.seek(0)
    for node in ast.walk(ast.parse(file.read())):
        for sentence in _sentences(node):
            message = _message(sentence)
            if message and " " in message and "\n" not in message:
                yield sentence.lineno, "gettext", message, []


def _sentences(node: ast.AST) -> Sequence[ast.expr]:
    """What may be a sentence for a page."""
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in REFUSALS | REMARKS:
            return node.args
        case ast.Yield(value=ast.expr() as sentence):
            return [sentence]
        case ast.Assign(targets=[ast.Name(id=name)], value=sentence) if name in NAMED:
            return [sentence.body, sentence.orelse] if isinstance(sentence, ast.IfExp) else [sentence]
    return []


def _message(node: ast.expr) -> str | None:
    """A sentence as it is written, its values numbered."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            places = iter(range(1, len(parts) + 1))
            return "".join(
                str(part.value) if isinstance(part, ast.Constant) else f"{{{next(places)}}}" for part in parts
            )
    return None


def translated(sentence: str, language: str, within: int = 0) -> str:
    """A sentence of another room in a language; as it is where the catalogue does not know it.

    Args:
        sentence: In English.
        language: Of the catalogue.
        within: In how many sentences it stands as a value; a value of three is left as it is.
    """
    if language == SOURCE or not 0 < len(sentence) <= _LONGEST:
        return sentence
    for candidate in (sentence, sentence[:1].lower() + sentence[1:]):
        if (known := translations(language).gettext(candidate)) != candidate:
            return _cased(known, sentence)
        for pattern, say in _patterns(language):
            if match := pattern.fullmatch(candidate):
                values = {name: _within(value, language, within + 1) for name, value in match.groupdict().items()}
                return _cased(say(values), sentence)
    return sentence


def _within(value: str, language: str, depth: int) -> str:
    return translated(value, language, depth) if " " in value and depth <= _DEEPEST else value


def _cased(text: str, like: str) -> str:
    return text[:1].upper() + text[1:] if like[:1].isupper() else text


@cache
def _patterns(language: str) -> list[tuple[re.Pattern[str], Callable[[Mapping[str, str]], str]]]:
    """What sentences with values look like, the most specific first, and how each is said."""
    texts = [
        (message.id, str(message.string))
        for message in read_catalog(language)
        if isinstance(message.id, str) and re.search(r"\{\d+\}", message.id) and message.string
    ]
    texts.sort(key=lambda pair: -len(pair[0]))
    return [(_pattern(source), _sayer(target)) for source, target in texts]


def _pattern(source: str) -> re.Pattern[str]:
    return re.compile(_PLACE.sub(r"(?P<v\1>.*?)", re.escape(source)), re.DOTALL)


def _sayer(target: str) -> Callable[[Mapping[str, str]], str]:
    def say(values: Mapping[str, str]) -> str:
        return re.sub(r"\{(\d+)\}", lambda place: values.get(f"v{place[1]}", place[0]), target)

    return say
