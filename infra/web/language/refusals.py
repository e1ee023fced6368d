"""Errors' sentences in other languages. They are raised in English, as logs and the command line show them.

Babel finds them by ``extract``: what one of ``REFUSALS`` is given as its sentence, with ``{1}``, ``{2}`` ... where
values stand in it. A page that shows an error looks its sentence up among these.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import IO, Any

from babel.messages.extract import extract_python

from infra.web.language.catalogs import SOURCE, read_catalog, translations

REFUSALS = frozenset({"InputError", "HTTPException", "TooManyAttempts", "ReadersBusy"})
"""Errors whose sentence a page shows."""
_LONGEST = 1_000  # characters of a sentence that is looked up: a value in it may be anything
_PLACE = re.compile(r"\\\{(\d+)\\\}")


def extract(
    file: IO[bytes], keywords: Mapping[str, Any], comment_tags: Sequence[str], options: Any
) -> Iterator[tuple[Any, ...]]:
    """Babel's extraction from a module: what is marked in it, and what it raises."""
    yield from extract_python(file, keywords, comment_tags, options)
    file.seek(0)
    for node in ast.walk(ast.parse(file.read())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in REFUSALS:
            for argument in node.args:
                message = _message(argument)
                if message and " " in message:
                    yield node.lineno, "gettext", message, []


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


def translated(sentence: str, language: str) -> str:
    """An error's sentence in a language; as it is where the catalogue does not know it."""
    if language == SOURCE or not 0 < len(sentence) <= _LONGEST:
        return sentence
    for candidate in (sentence, sentence[:1].lower() + sentence[1:]):
        if (known := translations(language).gettext(candidate)) != candidate:
            return _cased(known, sentence)
        for pattern, say in _patterns(language):
            if match := pattern.fullmatch(candidate):
                return _cased(say(match.groupdict()), sentence)
    return sentence


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
