"""Beginning a rating study by its form, and rating by its pages, as people do."""

import re
from html import unescape
from uuid import uuid4

from models.evaluation.rating_study import SCALES, STANDS
from tests.web.site import STUDY

RATINGS = f"/s/{STUDY}/ratings"
SOURCES = ("member:a", "member:c", "moderator", "refiner")


def begin(client, sources=SOURCES, **fields):
    """Send the form; the answer."""
    form = {"form": str(uuid4()), "source": list(sources), "quotes": "4", "raters": "2", "seed": "1"} | fields
    return client.post(RATINGS, data={"csrf": client.csrf} | form, follow_redirects=False)


def items_on(page: str) -> list[str]:
    """The items of the quote that a page shows."""
    return list(dict.fromkeys(re.findall(r'name="([0-9a-f]+)-clarity"', page)))


def segment_on(page: str) -> str:
    """The quote's segment."""
    return re.search(r'name="segment" value="([^"]+)"', page)[1]


def codes_on(page: str) -> dict[str, str]:
    """The codes by item."""
    return {item: unescape(code) for item, code in re.findall(r'<h3 id="code-([0-9a-f]+)">(.*?)</h3>', page)}


def answers(item: str, mark: int = 4, stands: str = "yes") -> dict[str, str]:
    """A whole rating of one code, as the form sends it."""
    return {f"{item}-{scale}": str(mark) for scale in SCALES} | {f"{item}-{STANDS}": stands}


def rate_quote(client, address: str, page: str, mark=lambda code: 4):
    """Rate every code of the quote on a page; the page after it."""
    form = {"segment": segment_on(page)}
    for item, code in codes_on(page).items():
        form |= answers(item, mark(code), "yes" if mark(code) > 2 else "no")
    return client.post(address, data=form)


def rate_all(client, address: str, mark=lambda code: 4) -> int:
    """Rate whatever is left; how many quotes that were."""
    page, quotes = client.get(address).text, 0
    while items_on(page):
        answer = rate_quote(client, address, page, mark)
        assert answer.status_code == 200, answer.text[-400:]
        page, quotes = client.get(address).text, quotes + 1
    return quotes
