"""Sentences of other rooms as the page says them: a command's options by the names of the form's fields."""

import re

from infra.web.language.speech import N_, gettext, looked_up

FIELDS = {
    "--text-column": N_("Column of the text"),
    "--id-column": N_("Column of the id"),
    "--time-column": N_("Column of the time"),
    "--codes-column": N_("Codes"),
    "--separator": N_("Between codes of a cell"),
    "--coder": N_("Coder, where the rows name none"),
    "--encoding": N_("Encoding"),
    "--sheet": N_("Sheet"),
    "--date-order": N_("First in 03/04/2026"),
}
"""By option the field that does the same."""
COMMAND_ONLY = ("--code-columns", "--format", "--header-row")
"""Options that no form has: what is said of one is left out."""
_OPTION = re.compile("|".join(f"{re.escape(option)}(?![\\w-])" for option in FIELDS))
_CLAUSE = re.compile(rf"[,;] [^,;]*(?:{'|'.join(map(re.escape, COMMAND_ONLY))})(?![\w-])[^,;]*")
_OF_A_FILE = re.compile(r"[^:]{1,250}\.\w{1,8}(?:, \w+ \d+)?: ")


def page_words(sentence: str) -> str:
    """A sentence in the answer's language, with the fields that its options are on the page."""
    shown = _CLAUSE.sub("", looked_up(sentence))
    return _OPTION.sub(lambda option: gettext("“%(field)s”") % {"field": gettext(FIELDS[option[0]])}, shown)


def page_sentence(sentence: str) -> str:
    """The same, to stand alone."""
    return capital(page_words(sentence))


def capital(sentence: str) -> str:
    """A sentence with a capital, unless it begins with a file's name."""
    return sentence if _OF_A_FILE.match(sentence) else sentence[:1].upper() + sentence[1:]
