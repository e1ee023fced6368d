"""Numbers that lead to a person: phones, accounts (IBAN) and cards, each told from ordinary numbers by rules."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from models.masking.findings import PersonalPart, Value

if TYPE_CHECKING:
    from phonenumbers import PhoneNumberMatch

REGIONS = ("US", "GB", "DE", "AT", "CH", "FR", "IT", "ES", "NL")
"""Countries whose phone numbers are known without their country code, where nothing else is set."""
_BEFORE = 40  # characters before a number that say what it is
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,30}(?![A-Za-z0-9])")
_CARD = re.compile(r"(?<![0-9A-Za-z])(?<![0-9][.,/-])(?:[0-9][ -]?){13,18}[0-9](?![0-9A-Za-z])(?![-.,/][0-9])")
_CARD_SHAPE = re.compile(r"\d+|(?:\d{4}([ -])){3}\d{4}(?:[ -]?\d{1,3})?|\d{4}[ -]\d{6}[ -]\d{4,5}")
"""As cards are printed: in fours, or four, six and the rest. Large numbers are written in threes."""
_ISSUERS = (
    (re.compile(r"4"), (16, 19)),  # Visa
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),  # Mastercard
    (re.compile(r"3[47]"), (15,)),  # American Express
    (re.compile(r"3(?:0[0-5]|[689])"), (14, 16)),  # Diners
    (re.compile(r"35(?:2[89]|[3-8])"), (16,)),  # JCB
    (re.compile(r"6(?:011|4[4-9]|5)"), (16, 19)),  # Discover
    (re.compile(r"62"), (16, 17, 18, 19)),  # UnionPay
    (re.compile(r"5[0678]|6[013789]"), (16, 18, 19)),  # Maestro
)
_STRETCH = re.compile(r"[+(]{0,2}\d(?:[ \t\u00a0().\-/\u2010-\u2015]{0,4}\d){6,}")
"""Seven digits or more, with what parts a phone number's groups between them."""
_PHONE_WORD = re.compile(
    r"\b(?:tel|telefon\w*|telephone|phone|mobile|mobil\w*|cell|handy\w*|fax|whats ?app|signal|rufnummer|durchwahl|"
    r"t[eé]l[eé]phone|portable|tel[eé]fono|m[oó]vil|cellulare|telefoon|"
    r"(?:call|ring|text|reach|rufen|ruf)(?: \w+){0,2}(?: (?:at|on|under|unter))?|"
    r"(?:my|his|her|our|their) (?:number|no)|meine nummer)\b[^\d\n]{0,15}$",
    re.IGNORECASE,
)
_OTHER_WORD = re.compile(
    r"(?:\b(?:order|invoice|ticket|tracking|parcel|reference|ref|booking|reservation|customer|member|article|item|part|"
    r"serial|model|version|case|contract|policy|account|transaction|patient|product|isbn|issn|ean|gtin|upc|sku|imei|doi|"
    r"bestell\w*|auftrag\w*|rechnung\w*|artikel\w*|kunden\w*|vertrag\w*|sendung\w*|buchung\w*|serien\w*|vorgang\w*|"
    r"commande|factura|pedido|id|no|nr|num|n°|№)|#)"
    r"(?:\W{0,3}(?:number|no|nr|num|nummer|id|code|is|was|ist|lautet|n°)\b)*[^\w\n]{0,4}$",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"\(?(?:\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})|\d{1,2} \d{1,2} (?:19|20)\d{2}|"
    r"(?:19|20)\d{2}[./ -]\d{1,2}[./ -]\d{1,2})(?!\d)"
)
_PHONE_SHAPE = re.compile(r"\(?0[^\w]?.*[^\w].*|.*\(\d.*|(?:1[ .-])?\d{3}[ .-]\d{3}[ .-]\d{4}")
_LEAST_PLAIN = 10  # digits of a phone number that is written without a gap


def ibans(text: str) -> Iterator[PersonalPart]:
    """Bank accounts whose check digits and length are right."""
    from stdnum import iban

    for match in _IBAN.finditer(text):
        for end in _ends(match[0]):
            if iban.is_valid(match[0][:end], check_country=False):
                yield PersonalPart(match.start(), match.start() + end, Value("IBAN", iban.compact(match[0][:end])))
                break


def _ends(words: str) -> list[int]:
    """Where a candidate may end, the longest first: words that follow it look like a part of it."""
    return [len(words), *(gap.start() for gap in reversed(list(re.finditer(r"[ -]", words))))]


def cards(text: str) -> Iterator[PersonalPart]:
    """Payment cards: an issuer's first digits, its length and the check digit (Luhn)."""
    from stdnum import luhn

    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        issued = _CARD_SHAPE.fullmatch(match[0]) and any(
            first.match(digits) and len(digits) in lengths for first, lengths in _ISSUERS
        )
        if issued and luhn.is_valid(digits) and not (match[0] == digits and _says_other(text, match.start())):
            yield PersonalPart(match.start(), match.end(), Value("card", digits))


def phones(text: str, regions: Sequence[str] = REGIONS) -> Iterator[PersonalPart]:
    """Phone numbers: with a country code, or as one of these countries writes them.

    Args:
        text: Where they are looked for.
        regions: Countries by their two letters, the likeliest first.
    """
    for stretch in _STRETCH.finditer(text):
        if "+" in stretch[0]:
            yield from _phones_of(text, stretch, (None, *regions))
        elif not _DATE.fullmatch(stretch[0]) and _may_be_national(text, stretch.start()):
            yield from _phones_of(text, stretch, regions)


def _may_be_national(text: str, start: int) -> bool:
    """Whether the words before a number do not call it something else, or do call it a phone's."""
    return _says_phone(text, start) or not _says_other(text, start)


def _phones_of(text: str, stretch: re.Match[str], regions: Sequence[str | None]) -> Iterator[PersonalPart]:
    from phonenumbers import Leniency, PhoneNumberMatcher

    for region in regions:
        leniency = Leniency.POSSIBLE if region is None else Leniency.VALID
        for match in PhoneNumberMatcher(stretch[0], region, leniency=leniency):
            start, end = stretch.start() + match.start, stretch.start() + match.end
            if _stands_alone(text, start, end) and (region is None or _is_national(text, start, match, region)):
                plain = f"+{match.number.country_code}{match.number.national_number}"
                yield PersonalPart(start, end, Value("phone", plain))


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether it is no part of a longer number, such as an order's ``302-4567890-1234567``."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    joined = r"\d[-./,_:]$|[\w]$"
    return not re.search(joined, before) and not re.match(r"[-./,_:]\d|\w", after)


def _is_national(text: str, start: int, match: "PhoneNumberMatch", region: str) -> bool:
    """Whether a number without a country code is a phone's: by the words before it, or by how it is written."""
    from phonenumbers import Leniency, PhoneNumberMatcher

    raw = match.raw_string
    if raw.startswith("+") or _is_date(raw) or _is_isbn(raw):
        return False
    if _says_phone(text, start):
        return True
    if _says_other(text, start) or not any(PhoneNumberMatcher(raw, region, leniency=Leniency.STRICT_GROUPING)):
        return False
    return bool(_PHONE_SHAPE.fullmatch(raw)) or _is_plain_mobile(raw, match)


def _is_plain_mobile(raw: str, match: "PhoneNumberMatch") -> bool:
    from phonenumbers import PhoneNumberType, number_type

    mobile = number_type(match.number) == PhoneNumberType.MOBILE
    return mobile and raw.startswith("0") and raw.isdigit() and len(raw) >= _LEAST_PLAIN


def _is_date(raw: str) -> bool:
    return _DATE.match(raw) is not None


def _is_isbn(raw: str) -> bool:
    """Whether it is a book's number, written as such."""
    from stdnum import isbn

    return (raw.isdigit() or raw.count("-") in (3, 4)) and bool(isbn.is_valid(raw))


def _says_phone(text: str, start: int) -> bool:
    """Whether the words before a number call it a phone's."""
    return _PHONE_WORD.search(text[max(0, start - _BEFORE) : start]) is not None


def _says_other(text: str, start: int) -> bool:
    """Whether the words before a number call it an order's, an invoice's or the like."""
    return _OTHER_WORD.search(text[max(0, start - _BEFORE) : start]) is not None
