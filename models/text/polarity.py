"""A gate against merging codes that say the opposite of each other. English; in doubt it keeps codes apart.

Cosine alone does not see it: "enable 2FA" and "disable 2FA" have 0.82 (house plan, decision 6).
"""

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)?")

_NEGATED, _TURNED = 3, -0.74  # VADER's: how many words after a negation are turned, and to what share of their tone
_SENTIMENT = 0.3  # VADER's compound score, from which a label counts as praise or blame


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# They turn what follows; a verb's negation also turns what stands before it ("login not working").
_NOUN_NEGATORS = _words(
    "no never without nobody nothing none nowhere neither nor hardly barely lack lacks lacking lacked absence zero"
)
_VERB_NEGATORS = _words(
    "not unable inability missing absent unavailable impossible refuse refuses refused fail fails failed failing "
    "stopped stops gone lost removed denied denies rejected rejects declined declines"
)
_NO_WORDS = _words(  # those that have no antonym of their own
    "not no never without neither nor hardly barely lack lacks lacking lacked absence zero unable inability stopped "
    "stops"
)
_BORDERS = _words("from for with during by but")  # here a noun's negation ends
# What is wrong with whatever stands beside them.
_TROUBLE = _words(
    "problem problems issue issues trouble troubles error errors failure failures difficulty difficulties broken "
    "impossible bug bugs glitch glitches fault faults"
)
_SCANT = _words("few little limited insufficient scarce hardly barely enough poor")  # close to none
_WISHES = _words(
    "need needs needed want wants wanted wish wishes request requests requested should could would must please "
    "suggestion suggest hope hoping desire demand"
)
_IMPERATIVES = _words("improve fix add bring make give let include")  # wishes where they come first
_FUNCTION_WORDS = _words(
    "a an the to of in for with and or but at by from as through about is are was were be been being am it its this "
    "that these those there i me my we our you your they their them he she his her do does did has have had will can "
    "get gets getting so very really quite too just any anything some even much still all only ever always yet way "
    "longer truly fully completely entirely totally properly actually"
)
_GENERIC = _words("app application thing one peopl person user")  # stems that a label is rarely about
_WHOLE = _words(  # they only look like a prefix and a word
    "discover display impress inform improve income install insight discount inside invaluable intake intent invest "
    "import intern disorder distaste indeed interest include discuss disease inflammable dispatch instance increase"
)
_PREFIXES = ("un", "dis", "in", "im", "ir", "il", "non", "mis", "de")


@lru_cache(maxsize=16_384)  # a label meets the same near codes again and again
def opposite(a: str, b: str) -> bool:
    """Say whether two codes must not be merged because one says the opposite of the other.

    They do where a word of the one meets its antonym, or itself under a negation, in the other ("not easy"
    and "hard" agree), or where one praises and the other blames.

    Args:
        a: A label.
        b: Another label; the order does not matter.

    Source:
        Hutto & Gilbert, "VADER", ICWSM 2014, for the sentiment of what ``antonyms.txt`` does not know.
    """
    first, second = _read(a), _read(b)
    return _says_otherwise(first, second) or _praise(first) * _praise(second) < 0


@dataclass(frozen=True)
class _Label:
    """A label as its content words, each 1, or -1 where a negation turns it."""

    text: str
    words: dict[str, int]  # stem to sign
    wish: bool
    trouble: bool
    scant: bool
    verb_negated: bool
    too: bool

    @property
    def negated(self) -> bool:
        """Whether any word is turned."""
        return -1 in self.words.values()


def _says_otherwise(a: _Label, b: _Label) -> bool:
    """Whether a word meets its antonym or its own negation, and nothing explains it."""
    if a.wish != b.wish:  # "needs dark mode" and "no dark mode" agree
        return False
    common = a.words.keys() & b.words.keys()
    if any(a.words[word] != b.words[word] for word in common):
        return not _explained(a, b)
    left, right = a.words.keys() - common, b.words.keys() - common
    return any(
        a.words[word] == b.words[other] and _antonyms(word, other, a.words.keys() - {word}, b.words.keys() - {other})
        for word in left
        for other in right
    )


def _explained(a: _Label, b: _Label) -> bool:
    """Whether two labels agree although only one of them is negated: "cannot log in" and "login problems"."""
    if (_known_praise(a) or 0) * (_known_praise(b) or 0) > 0:
        return True
    if a.negated and b.negated:
        return False
    turned, plain = (a, b) if a.negated else (b, a)
    return (plain.trouble and turned.verb_negated) or plain.scant


def _antonyms(stem: str, other: str, rest: Collection[str], other_rest: Collection[str]) -> bool:
    """Whether two stems are opposites where they stand: always, or beside the same words, as the pair's kind is."""
    if other in _praising().get(stem, ()) or _prefixed(stem, other) or _prefixed(other, stem):
        return True
    about, other_about = set(rest) - _GENERIC, set(other_rest) - _GENERIC
    return other in _neutral().get(stem, ()) and (not about or not other_about or bool(about & other_about))


def _prefixed(longer: str, shorter: str) -> bool:
    if len(shorter) < 4 or not longer.endswith(shorter) or longer in _whole():
        return False
    return longer[: -len(shorter)] in _PREFIXES


def _praise(label: _Label) -> int:
    """1 for praise, -1 for blame or a wish for better, 0 where it cannot be told."""
    sign = _known_praise(label)
    if sign is None:
        compound = _sentiment(label.text)
        sign = int(compound > _SENTIMENT) - int(compound < -_SENTIMENT)
    return -abs(sign) if label.wish else sign


def _known_praise(label: _Label) -> int | None:
    """Praise or blame by the words of ``antonyms.txt``; ``None`` where it knows none, or both."""
    if label.trouble:
        return 1 if label.negated and not label.verb_negated else -1
    signs = {_valence()[word] * sign for word, sign in label.words.items() if word in _valence()}
    if label.too:
        signs.add(-1)
    return signs.pop() if len(signs) == 1 else None


@lru_cache(maxsize=65_536)
def _read(text: str) -> _Label:
    tokens = _TOKEN.findall(_spelled_out(text))
    words: dict[str, int] = {}
    sign, bordered, verb_negated = 1, False, False
    for n, token in enumerate(tokens):
        if bordered and token in _BORDERS:
            sign, bordered = 1, False
        if _is_content(token):
            words.setdefault(_stem(token), sign)
        if token not in _NOUN_NEGATORS and token not in _VERB_NEGATORS:
            continue
        sign, bordered = -sign, token in _NOUN_NEGATORS
        verb_negated |= not bordered
        if _turns_back(token, tokens[n + 1 :]):
            words = {word: was if word == _stem(token) else -was for word, was in words.items()}
    too = "too" in tokens and "not" not in tokens
    wish = any(token in _WISHES for token in tokens) or (bool(tokens) and tokens[0] in _IMPERATIVES)
    trouble, scant = not _TROUBLE.isdisjoint(tokens), not _SCANT.isdisjoint(tokens)
    return _Label(text, words, wish, trouble, scant, verb_negated, too)


def _is_content(token: str) -> bool:
    return token not in _FUNCTION_WORDS and token not in _WISHES and token not in _NO_WORDS


def _turns_back(negator: str, rest: Sequence[str]) -> bool:
    """Whether a negation turns what stands before it: "login fails", "finds nothing", "payment not received"."""
    left = sum(token not in _FUNCTION_WORDS for token in rest)
    return left == 0 or (left == 1 and negator in _VERB_NEGATORS)


def _spelled_out(text: str) -> str:
    """Fold a label and write its negations as words of their own."""
    text = " ".join(text.casefold().replace("\u2019", "'").split())
    for pattern, instead in _SPELLINGS:
        text = pattern.sub(instead, text)
    return text


_SPELLINGS = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        (r"\bnot only\b|\bno doubt\b", " "),
        (r"\b(?:can't|cannot|cant)\b", "can not"),
        (r"\b(?:won't|wont)\b", "will not"),
        (r"(?<=\w)n't\b", " not"),
        (r"\b(do|does|did|is|are|was|were|would|could|should|has|have|had|ai)nt\b", r"\1 not"),
        (r"\bno longer\b|\banymore\b|\bno more\b", "not"),
        (r"\bup[- ]to[- ]date\b", "uptodate"),
        (r"\bon time\b", "ontime"),
        (r"\bout[- ]of[- ]date\b", "outdated"),
        (r"\bfree of charge\b", "free"),
        (r"\bfree (?:of|from)\b", "no"),
        (r"\b(\w+)-free\b", r"no \1"),
        (r"\b(ads?|bug|error|virus|hassle|trouble|stress|problem|lag|spam|glitch|crash|pain) free\b", r"no \1"),
        (r"\b(log|sign|opt|check)(?:ged|ned|ted|ed|ging|ning|ting|ing)?[ -](in|out)\b", r"\1\2"),
    )
)


def _stem(word: str) -> str:
    """Take an English ending off: the same word in two forms should come out the same, right or wrong."""
    word = word.removesuffix("'s")
    if word.endswith("s") and len(word) > 2 and not word.endswith(("ss", "us", "is")):
        word = word[:-2] if word.endswith(("shes", "ches", "sses", "xes")) else word[:-1]
    for ending in ("ing", "edly", "ed", "ly", "est", "er"):
        base = word.removesuffix(ending)
        if base != word and len(base) > 2 and not word.endswith("eed") and _VOWEL.search(base):
            word = base
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiou":
        word = word[:-1]
    if len(word) > 3 and word.endswith("e"):
        word = word[:-1]
    return word[:-1] + "i" if word.endswith("y") else word


_VOWEL = re.compile(r"[aeiouy]")


@cache
def _pairs(mark: str) -> tuple[tuple[str, str], ...]:
    """The stems of the antonyms of one kind, as they stand in the file."""
    lines = Path(__file__).with_name("antonyms.txt").read_text("utf-8").splitlines()
    pairs = [line.split(f" {mark} ") for line in lines if f" {mark} " in line and not line.startswith("#")]
    return tuple((_stem(word.strip()), _stem(other.strip())) for word, other in pairs)


@cache
def _praising() -> dict[str, frozenset[str]]:
    return _both_ways(_pairs("|"))


@cache
def _neutral() -> dict[str, frozenset[str]]:
    return _both_ways(_pairs("~"))


def _both_ways(pairs: Sequence[tuple[str, str]]) -> dict[str, frozenset[str]]:
    table: dict[str, set[str]] = {}
    for word, other in pairs:
        table.setdefault(word, set()).add(other)
        table.setdefault(other, set()).add(word)
    return {word: frozenset(others) for word, others in table.items()}


@cache
def _valence() -> dict[str, int]:
    return {word: 1 for word, _ in _pairs("|")} | {other: -1 for _, other in _pairs("|")}


@cache
def _whole() -> frozenset[str]:
    return frozenset(_stem(word) for word in _WHOLE)


def tones_clash(text: str, label: str) -> bool:
    """Whether a segment praises what its code blames, or the other way round; a hint, for VADER is a lexicon."""
    coded = _sentiment(label)
    if abs(coded) <= _SENTIMENT:
        return False
    tone = _tone(text)
    return abs(tone) > _SENTIMENT and tone * coded < 0


def _tone(text: str) -> float:
    """VADER's lexicon and formula, -1 to 1, without its finer rules: they take ten times as long.

    Praise, blame or neither came out as by VADER itself for 95 in 100 of 1,773 texts that ship with the project, and
    the opposite for 4 of them in all.

    Source: Hutto & Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis", ICWSM 2014.
    """
    lexicon, negations = _analyzer().lexicon, _negations()
    total, since = 0.0, _NEGATED + 1
    for word in text.lower().split():
        bare = word.strip(".,;:!?\"'()") or word  # an emoticon stays as it is
        total += lexicon.get(bare, 0.0) * (_TURNED if since <= _NEGATED else 1.0)
        since = 1 if bare in negations or "n't" in bare else since + 1
    return float(total / math.sqrt(total * total + 15))


@cache
def _negations() -> frozenset[str]:
    from vaderSentiment.vaderSentiment import NEGATE

    return frozenset(NEGATE)


@lru_cache(maxsize=16_384)  # a study has few labels
def _sentiment(label: str) -> float:
    """VADER's compound score, -1 to 1."""
    return float(_analyzer().polarity_scores(label)["compound"])


@cache
def _analyzer() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()
