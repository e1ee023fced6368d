"""What a cell means: a text as it reads, an id as it matches, several codes parted."""

import html
import re
from typing import Any

from pydantic import JsonValue

from infra.files.reading.sheets import ERRORS

YES = (
    *(
        "true",
        "1",
        "1.0",
        "yes",
        "y",
        "x",
        "✓",
        "✔",
        "☑",
        "✅",
        "ja",
        "j",
        "wahr",
        "oui",
        "vrai",
        "sí",
        "si",
        "verdadero",
    ),
    *("sim", "verdadeiro", "vero", "waar", "tak", "да", "истина", "はい", "是", "예", "evet", "selected", "checked"),
)
NO = (
    *("false", "0", "0.0", "no", "n", "", "nein", "falsch", "non", "faux", "falso", "não", "nao", "nee", "onwaar"),
    *("nie", "нет", "ложь", "いいえ", "否", "아니요", "hayır", "not selected", "unchecked", "☐", "-"),
)
"""Truth values in the languages of spreadsheets and surveys."""

_TAGS = (
    "p|br|div|span|b|i|u|em|strong|a|ul|ol|li|blockquote|h[1-6]|font|pre|code|table|tr|td|th|tbody|img|hr|small|sub|sup"
)
_TAG = re.compile(rf"</?(?:{_TAGS})(?:\s[^<>]*)?/?>", re.IGNORECASE)
_BREAK = re.compile(r"<br\s*/?>|</(?:p|div|li|tr|blockquote|h[1-6])>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,30});", re.IGNORECASE)
_EMPTY = ("", "nan", "null", "none", "<na>", "#n/a")
_WHOLE = re.compile(r"^([+-]?\d+)(?:\.0+)?$")
_LINES = re.compile(r"[ \t]*\n[ \t\n]*")


def readable(text: str) -> str:
    """A text as people read it: without HTML's tags, its entities decoded; ``a < b`` and the like stay."""
    if "_x000D_" in text:
        text = text.replace("_x000D_\n", "\n").replace("_x000D_", "\n")  # a workbook's line end, unread by a program
    if "<" not in text and "&" not in text:
        return text
    if not (_TAG.search(text) or _ENTITY.search(text)):
        return text
    bare = _TAG.sub("", _BREAK.sub("\n", text)) if _TAG.search(text) else text
    plain = html.unescape(bare).replace("\xa0", " ")
    return _LINES.sub("\n", plain).strip() if _TAG.search(text) else plain


def spreadsheet_error(text: str) -> bool:
    """Whether a cell is what a spreadsheet shows where a formula came to nothing."""
    return text.strip() in ERRORS


def whole_number(value: Any) -> bool:
    """Whether an id is a whole number, ``1.0`` included."""
    return not isinstance(value, bool) and _WHOLE.match(str(value).strip()) is not None


def plain_id(value: JsonValue, *, whole: bool = False) -> str | None:
    """An id as it is compared: ``1``, ``1.0`` and ``"1 "`` are one.

    Args:
        value: The cell.
        whole: Whether the column holds whole numbers only, so that the text ``1.0`` is one of them too.

    Returns:
        ``None`` for an empty cell, and for what is no id.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    if text.casefold() in _EMPTY:
        return None
    match = _WHOLE.match(text) if whole else None
    return match[1] if match else text
