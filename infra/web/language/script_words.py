"""What the page's scripts say: they take it from the page, or ask for it, in its language (static/words.js)."""

from infra.web.language.speech import gettext, plurals
from models.routing.confidence_stages import STAGES

Words = dict[str, str | dict[str, str]]
"""By name, what a script says; ``{...}`` stands for what it puts in. With a count: by CLDR's name of the form."""


def script_words(*scripts: str) -> Words:
    """The words of some scripts, by the names of their files."""
    return {name: text for script in scripts for name, text in _WORDS[script]().items()}


def _app() -> Words:
    return {
        "close": gettext("Close"),
        "failed": gettext("That did not work (status {status})."),
        "unreachable": gettext("The server cannot be reached; nothing was saved. Try again in a moment."),
    }


def _queue() -> Words:
    return {
        "chosen": gettext("Chosen: {codes}"),
        "new_code": gettext("{label} (new code)"),
        "choices": plurals("{count} choice", "{count} choices"),
    }


def _files() -> Words:
    return {
        "files": plurals("{count} file: {names}", "{count} files: {names}"),
        "folder": gettext("Choose the files of a folder, not the folder itself."),
    }


def _charts() -> Words:
    return {"time": gettext("Time")}


def _curve() -> Words:
    return {"taught": gettext("Segments taught"), "macro_f1": gettext("Macro-F1")}


def _reliability() -> Words:
    return {"confidence": gettext("Confidence"), "let_stand": gettext("Let stand by people")}


def _overview() -> Words:
    return {
        "undecided": gettext("undecided"),
        "no_code": gettext("no code fits"),
        "proposed": gettext("proposed: {code}"),
        "new": gettext("new"),
        "empty": gettext("(empty)"),
        "to_people": gettext("to people"),
        "accepted": gettext("accepted"),
        "suggested": gettext("suggested"),
        "people": gettext("people"),
        "adjudication": gettext("adjudication"),
        "blind": gettext("read blind"),
        "live": gettext("Live."),
        "cut": gettext("The line to the server is cut; trying again."),
        **{sentence: gettext(sentence) for sentence in STAGES.values()},
    }


_WORDS = {
    "app": _app,
    "queue": _queue,
    "files": _files,
    "charts": _charts,
    "curve": _curve,
    "reliability": _reliability,
    "overview": _overview,
}
