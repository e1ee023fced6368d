"""Every catalogue is whole: nothing is missing, doubtful or out of date, and what stands between words is the same."""

import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest
from babel.messages.catalog import Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from jinja2 import nodes

from infra.accounts.accounts import ROLES
from infra.accounts.keys import SCOPES
from infra.annotation.agreement import CONVENTION, MEANINGS
from infra.annotation.notes_files import COMMENT_COLUMNS, MEMO_COLUMNS
from infra.annotation.part_agreement import OVERLAP_RULES, compared
from infra.drift.report_data import OTHERS, SIGNALS
from infra.drift.report_html import CAUSES
from infra.files.export import LABEL_COLUMNS
from infra.files.reading.delimited import SEPARATORS
from infra.files.reading.documents import INTERVIEWER
from infra.files.reading.segment_builder import AGAIN, NO_TEXT, NON_ANSWER, PASSAGE
from infra.profiles.study_kinds import STUDY_KINDS
from infra.storage.analysis.coded_segments import FIXED
from infra.storage.analysis.crosstab import WITHOUT
from infra.web.language.catalogs import FOLDER, SOURCE, languages, read_catalog
from infra.web.language.form_words import COMMAND_ONLY, FIELDS, page_sentence
from infra.web.language.words import ELSEWHERE, OF_FILES, REASONS, SENTENCES
from infra.web.site import TEMPLATES
from models.annotation import adjudication, coding
from models.codebook import themes
from models.evaluation import group_rates, rating_study, reliability, unitizing
from models.evaluation.group_rates import length_group
from models.routing.confidence_stages import STAGES
from schemas.annotation import RequestReason
from schemas.codebook import CodeEventKind
from schemas.coding import Route, Verdict
from streams import topology

ROOT = Path(__file__).parents[3]
TRANSLATED = [name for name in languages() if name != SOURCE]
KEYWORDS = {"_": None, "gettext": None, "N_": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2), "plurals": (1, 2)}
KEYWORDS |= {"npgettext": ((1, "c"), 2, 3)}
CONTAINERS = {"infra", "models"}
PLACES = (re.compile(r"%\(\w+\)s|%%"), re.compile(r"<[^>]+>"), re.compile(r"\{[a-z_]+\}"))
JINJA = re.compile(r"\{%-?\s*trans\b.*?\{%-?\s*endtrans\s*-?%\}|\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
SPOKEN = {"aria-label", "title", "placeholder", "alt", "data-confirm"}
NO_WORDS = {"Qualstream", "CSV", "SVG", "HTML", "Word", "UTC", "cp1252", "POST", "/signin", "χ²", "·"}
"""What is the same in every language."""


@cache
def shown_in_code() -> frozenset[tuple[str, str | None]]:
    """What stands in templates and modules now, each with its context."""
    with (FOLDER / "babel.cfg").open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)
    stands = set()
    for container in CONTAINERS:
        here = [(pattern, method) for pattern, method in methods if pattern.startswith(container)]
        inside = [(pattern.removeprefix(f"{container}/"), method) for pattern, method in here]
        chosen = {pattern.removeprefix(f"{container}/"): each for pattern, each in options.items()}
        for _, _, message, _, context in extract_from_dir(ROOT / container, inside, chosen, KEYWORDS):
            stands.add((message[0] if isinstance(message, tuple) else message, context))
    return frozenset(stands)


def messages(language: str) -> list[Message]:
    return [message for message in read_catalog(language) if message.id]


def forms(message: Message) -> list[tuple[str, str]]:
    """Each form of a translation beside the English that it stands for."""
    if isinstance(message.id, tuple):
        return [(message.id[min(n, 1)], text) for n, text in enumerate(message.string)]
    return [(message.id, message.string)]


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_translation_is_empty_or_fuzzy(language):
    every = messages(language)
    lacking = [each.id for each in every if each.fuzzy or not all(text for _, text in forms(each))]
    assert lacking == [], "translate them: docs/languages.md"


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_catalogue_has_what_stands_in_templates_and_modules_and_nothing_else(language):
    every = messages(language)
    known = {(each.id[0] if isinstance(each.id, tuple) else each.id, each.context) for each in every}
    assert shown_in_code() - known == set(), "`make messages` takes them in"
    assert known - shown_in_code() == set(), "`make messages` takes them out"


@pytest.mark.parametrize("language", TRANSLATED)
def test_placeholders_and_tags_are_the_same_in_both_languages(language):
    different = [
        (source, target)
        for message in messages(language)
        for source, target in forms(message)
        if any(sorted(place.findall(source)) != sorted(place.findall(target)) for place in PLACES)
        or not set(re.findall(r"\{\d+\}", target)) <= set(re.findall(r"\{\d+\}", source))
    ]
    assert different == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_may_stand_in_an_attribute(language):
    texts = [text for message in messages(language) for _, text in forms(message)]
    quoted = [text for text in texts if '"' in re.sub(r"<[^>]+>", "", text)]
    assert quoted == [], "a straight double quote would end the attribute: use the language's own"


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_plural_form_of_the_language_is_there(language):
    counted = [message for message in messages(language) if isinstance(message.id, tuple)]
    assert {len(message.string) for message in counted} == {read_catalog(language).num_plurals}


@pytest.mark.parametrize("path", sorted((ROOT / "infra/web/templates").glob("*.html")), ids=lambda path: path.name)
def test_a_template_says_nothing_that_cannot_be_translated(path):
    reader = _Words()
    reader.feed(JINJA.sub("", path.read_text(encoding="utf-8")))
    assert reader.words == [], 'write {{ _("...") }} or {% trans %}: docs/languages.md'


@pytest.mark.parametrize("path", sorted((ROOT / "infra/web/templates").glob("*.html")), ids=lambda path: path.name)
def test_an_expression_of_a_template_says_nothing_that_cannot_be_translated(path):
    tree = TEMPLATES.env.parse(path.read_text(encoding="utf-8"))
    assert list(_sentences(tree)) == [], "write _('...'): docs/languages.md"


def _sentences(node: nodes.Node) -> Iterator[str]:
    """Texts of several words in expressions, but for what is translated and what is compared with."""
    translated = isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in KEYWORDS
    if translated or isinstance(node, nodes.Compare):
        return
    if isinstance(node, nodes.Const) and isinstance(node.value, str) and re.search(r"[^\W\d_] [^\W\d_]", node.value):
        yield node.value
    for child in node.iter_child_nodes():
        yield from _sentences(child)


class _Words(HTMLParser):
    """Texts of a template that stand there as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self._within = [], ""

    def handle_starttag(self, tag, attrs):
        self._within = tag
        self.words += [value for name, value in attrs if name in SPOKEN and value and _speaks(value)]

    def handle_data(self, data):
        if self._within not in ("style", "kbd", "code") and _speaks(data):
            self.words.append(data.strip())

    def handle_endtag(self, tag):
        self._within = ""


def _speaks(text: str) -> bool:
    words = re.sub(r"&\w+;", "", text).strip(" ·:,;.()~–…\n")
    return not NO_WORDS.issuperset(words.split()) and re.search(r"[^\W\d_]{2,}", words) is not None


def test_no_sentence_on_the_page_names_an_option_of_a_command():
    sentences = [message for message, _ in shown_in_code() if "`qualstream " not in message and "<code>" not in message]
    options = {option for sentence in sentences for option in re.findall(r"--[a-z][a-z-]+", sentence)}
    assert options >= {"--text-column", "--sheet", "--code-columns"}
    assert options <= {*FIELDS, *COMMAND_ONLY}
    assert [each for each in map(page_sentence, sentences) if "--" in each] == []


def test_a_sentence_begins_with_a_capital_and_a_files_name_as_it_is():
    said = {"there is a code": "There is a code", "my answers.csv, line 1: no text": "my answers.csv, line 1: no text"}
    said |= {"a.xlsx: no sheet 'b'; give one with --sheet": "a.xlsx: no sheet 'b'; give one with “Sheet”"}
    said |= {
        "no codes; name them with --codes-column, or yes and no with --code-columns": "No codes; name them with “Codes”"
    }
    assert {sentence: page_sentence(sentence) for sentence in said} == said


def test_what_is_counted_has_a_singular():
    counted = re.compile(r"^%\(\w+\)s (?:\w+ )?(?:segments|codes|labels|parts|files|memos|quotes|comments)\b")
    assert [message for message, _ in shown_in_code() if counted.match(message)] == []


def test_what_other_rooms_say_is_in_the_catalogues():
    texts = [*STAGES.values(), *SCOPES, *SCOPES.values(), *ROLES, *CAUSES.values()]
    texts += [role.does for role in topology.ROLES]
    texts += [
        *LABEL_COLUMNS.values(),
        *MEMO_COLUMNS.values(),
        *COMMENT_COLUMNS.values(),
        CONVENTION,
        *MEANINGS.values(),
    ]
    texts += [*OVERLAP_RULES.values(), compared(True), compared(False), unitizing.ALL_ALIKE, unitizing.NOT_BOTH]
    texts += [getattr(reliability, name) for name in ("NOBODY", "ALONE", "APART", "NOT_TOGETHER", "SILENT", "CONSTANT")]
    texts += [*get_args(Route), *get_args(Verdict), *get_args(CodeEventKind)]
    texts += set(get_args(RequestReason)) - {"query strategy"}  # for that one the templates have a sentence
    texts += [text for pair in STUDY_KINDS.values() for text in pair]
    texts += [*rating_study.QUESTIONS.values(), rating_study.LETS_STAND, *rating_study.STEPS]
    texts += [AGAIN, INTERVIEWER, NON_ANSWER, NO_TEXT, PASSAGE]
    texts += [OTHERS, *SIGNALS.values(), *FIXED, WITHOUT, group_rates.OTHERS, *map(length_group, (1, 10, 25, 50))]
    texts += [f"cells parted by {name}" for name in SEPARATORS.values()]
    assert set(texts) - {*ELSEWHERE, *SENTENCES, *OF_FILES} == set()
    assert {coding.ADMITTED, coding.OPENED, adjudication.DISPUTED, themes.TOGETHER} == set(REASONS)
