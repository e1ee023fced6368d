"""What patterns take for personal, and the ordinary numbers that they leave alone."""

from datetime import date, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import ean, luhn

from models.masking.findings import apart
from models.masking.patterns import in_text

FIRST, LAST = (datetime.fromisoformat(day) for day in ("1990-01-01", "2100-01-01"))


def kinds(text: str, regions=("US", "GB", "DE", "AT", "CH", "FR", "IT", "ES", "NL")) -> list[str]:
    return [each.value.kind for each in apart(in_text(text, regions), text)]


def stretches(text: str) -> list[str]:
    return [text[each.start : each.end] for each in apart(in_text(text), text)]


PERSONAL = [
    ("Write to Anna.Mueller+x@web-shop.co.uk, please", "mail", "Anna.Mueller+x@web-shop.co.uk"),
    ("(max@example.com).", "mail", "max@example.com"),
    ("anna (at) web (dot) de", "mail", "anna (at) web (dot) de"),
    ("anna[at]web.de", "mail", "anna[at]web.de"),
    ("mailto:jürgen@müller.de", "mail", "jürgen@müller.de"),
    ("https://x.de/?m=anna@web.de&x=1", "mail", "anna@web.de"),
    ("o'neil@mail.ie said", "mail", "o'neil@mail.ie"),
    ("call 0170 1234567 now", "phone", "0170 1234567"),
    ("030/1234567", "phone", "030/1234567"),
    ("(030) 123 456", "phone", "(030) 123 456"),
    ("+49 170 1234567", "phone", "+49 170 1234567"),
    ("0049 170 1234567", "phone", "0049 170 1234567"),
    ("+1 (650) 253-0000", "phone", "+1 (650) 253-0000"),
    ("reach me at +1 555 123 4567", "phone", "+1 555 123 4567"),
    ("(415) 736-5000", "phone", "(415) 736-5000"),
    ("212-736-5000", "phone", "212-736-5000"),
    ("07911 123456", "phone", "07911 123456"),
    ("06 12 34 56 78", "phone", "06 12 34 56 78"),
    ("01701234567", "phone", "01701234567"),
    ("phone no. 0170 1234567", "phone", "0170 1234567"),
    ("my number is 2127365000", "phone", "2127365000"),
    ("Tel: 612 345 678", "phone", "612 345 678"),
    ("DE89 3704 0044 0532 0130 00 und danke", "IBAN", "DE89 3704 0044 0532 0130 00"),
    ("to GB82WEST12345698765432.", "IBAN", "GB82WEST12345698765432"),
    ("iban: fr1420041010050500013m02606", "IBAN", "fr1420041010050500013m02606"),
    ("4111 1111 1111 1111", "card", "4111 1111 1111 1111"),
    ("5500-0000-0000-0004", "card", "5500-0000-0000-0004"),
    ("amex 3782 822463 10005", "card", "3782 822463 10005"),
    ("paid with 4111111111111111.", "card", "4111111111111111"),
]
ORDINARY = [
    *("on 03.04.2026 at 10:00", "2026-11-30 12:30", "12/03/2026", "03.04.2026 - 05.04.2026", "03 04 2026", "2019-2020"),
    *(
        "1.234.567,89 EUR",
        "$1,234,567.89",
        "I paid 19.99 on 2023-01-05",
        "12.500.000",
        "36 months, 12 000 000",
        "1 000 000 000",
    ),
    *(
        "order 123-4567890-1234567",
        "302-4567890-1234567",
        "Order #0012345678",
        "2025551234 is my order",
        "invoice 2024-0012345",
    ),
    *("Bestellnummer 0171 2345678", "Rechnung Nr. 030 1234567", "order no. 4539578763621486", "ticket 01701234567"),
    *("ISBN 978-3-16-148410-0", "978-3-16-148410-0", "0-306-40615-2", "0306406152", "ISBN 0306406152"),
    *("EAN 4006381333931", "4006381333931", "1234567890", "20260304123456", "1764499200000", "0 1 2 3 4 5 6 7 8 9"),
    *("5 of 10, 4.5/5", "10/10", "9.5 of 10 stars", "612 345 678 people", "score 100 000 000", "call 3 times in 2024"),
    *("10.0.0.138 192.168.100.200", "version 1.2.3.4567", "48.137154, 11.576124", "50 % of 2 000"),
    *("4 539 578 763 621 486 units", "4111 1111 1111 1112", "DE00 3704 0044 0532 0130 00", "AB12 CDEF GHIJ KLMN"),
    *("@anna on twitter", "a@b", "at 10:00 (at) noon", "5 @ 3.50 each", "[phone 1] and [mail 2]", "", "   "),
]


@pytest.mark.parametrize(("text", "kind", "stretch"), PERSONAL)
def test_what_leads_to_a_person_is_found_whole_and_nothing_beside_it(text, kind, stretch):
    assert (kinds(text), stretches(text)) == ([kind], [stretch])


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_numbers_are_left_alone(text):
    assert stretches(text) == []


@settings(deadline=None)  # tables of numbers are read from disk when the first one is met
@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.sampled_from(["%d.%m.%Y", "%Y-%m-%d", "%m/%d/%Y", "%d %b %Y"]))
def test_no_date_is_taken_for_personal(day, form):
    assert kinds(f"since {day.strftime(form)} it hangs") == []


@settings(deadline=None)
@given(st.datetimes(FIRST, LAST))
def test_no_time_is_taken_for_personal(moment):
    assert kinds(f"{moment:%Y-%m-%d %H:%M:%S}, {moment:%d.%m.%Y %H:%M}, {moment:%Y%m%d%H%M%S}") == []


@settings(deadline=None)
@given(st.floats(0, 1e9), st.sampled_from(["${:,.2f}", "{:,.2f} EUR", "{:.2f} €", "{:,.0f} people"]))
def test_no_price_and_no_amount_is_taken_for_personal(amount, form):
    words = form.format(amount)
    assert kinds(words) == []
    assert kinds(words.replace(",", " ")) == []
    assert kinds(words.replace(",", "_").replace(".", ",").replace("_", ".")) == []


@settings(deadline=None)
@given(
    st.integers(0, 10**14), st.sampled_from(["order {}", "Order #{}", "Bestellnr. {}", "invoice no. {}", "ticket: {}"])
)
def test_no_number_that_is_called_an_order_is_taken_for_personal(number, form):
    assert kinds(form.format(f"{number:08}")) == []


@settings(deadline=None)
@given(st.integers(978_000_000_000, 979_999_999_999))
def test_no_number_of_a_book_is_taken_for_personal(body):
    number = f"{body}{ean.calc_check_digit(str(body))}"
    assert kinds(f"{number} and {number[:3]}-{number[3]}-{number[4:6]}-{number[6:12]}-{number[12]}") == []


@settings(deadline=None)
@given(st.integers(0, 10**14 - 1))
def test_every_card_with_its_check_digit_is_found_and_none_with_another(body):
    digits = f"4{body:014}"
    right = luhn.calc_check_digit(digits)
    for last in range(10):
        text = f"my card {digits}{last}"
        assert ("card" in kinds(text, ())) == (str(last) == right)


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_can_be_looked_through_and_findings_never_overlap(text):
    findings = apart(in_text(text), text)
    assert all(0 <= each.start < each.end <= len(text) for each in findings)
    assert all(first.end <= second.start for first, second in pairwise(findings))


def test_a_phone_of_a_country_that_is_not_set_needs_its_code():
    assert kinds("call 0170 1234567", ("US",)) == []
    assert kinds("call +49 170 1234567", ("US",)) == ["phone"]


def test_spellings_of_one_value_are_one():
    text = "Anna@X.org anna@x.org +49 170 1234567 0170/1234567 4111 1111 1111 1111 4111111111111111"
    assert len({each.value for each in apart(in_text(text), text)}) == 3
