"""Text from the stream is never HTML, whatever it holds and wherever a page shows it."""

import re
from html.parser import HTMLParser

import pytest
from sqlalchemy import select

from infra.storage.tables import rating_studies
from tests.web.poison import code_of, poison, segment_of
from tests.web.rating.raters import begin
from tests.web.routes import ENDLESS, NEEDED
from tests.web.site import HOSTILE, STUDY, make_site, visit


class Elements(HTMLParser):
    """Which elements and attributes a page has, and where its addresses lead."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[tuple[str, str]] = set()
        self.faults: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found |= {(tag, ""), *((tag, name) for name, _ in attrs)}
        for name, value in attrs:
            if name.startswith("on") or name in ("style", "srcdoc") or name.startswith("hx-on"):
                self.faults.append(f"<{tag} {name}={value!r}>")
            leads = name in ("href", "src", "action", "formaction", "hx-get", "hx-post", "data-url", "sse-connect")
            if leads and not re.match(r"(/(?!/)|#|\?|$)", value or ""):
                self.faults.append(f"<{tag} {name}={value!r}>")
        if tag == "script" and "src" not in dict(attrs) and dict(attrs).get("type") != "application/json":
            self.faults.append("a script within the page")

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """Two studies that differ in nothing but the texts of the stream."""
    plain, hostile = (make_site(tmp_path_factory.mktemp(name)) for name in ("plain", "hostile"))
    poison(plain, [f"plain words {k}" for k in range(len(HOSTILE))])
    poison(hostile, HOSTILE)
    for site in (plain, hostile):
        assert begin(visit(site, "lead", name="ana"), sources=("moderator", "refiner")).status_code == 303
    yield plain, hostile
    plain.store.close()
    hostile.store.close()


def rating_of(site):
    """The study's rating of codes."""
    with site.store.database.reading() as connection:
        return connection.execute(select(rating_studies.c.id)).scalar_one()


def pages(site, name: str) -> list[str]:
    """A route's pages: for each segment or code one, where it shows one."""
    client = visit(site, "admin", study="", name="ana")
    path = name.partition(" ")[2]
    if "/queue" in path:  # the nearest codes are looked up in the background
        client.get(f"/s/{STUDY}/queue/near", params={"segment": str(segment_of(1))})
        site.nearby.wait()
    if path.endswith("/queue"):  # each person is shown another segment
        people = [visit(site, "annotator", name=f"coder {k}") for k in range(len(HOSTILE) // 4)]
        return [coder.get(path.format(study=STUDY)).text for coder in people]
    each = range(len(HOSTILE)) if ("{segment}" in path or "{code}" in path) else [0]
    found = []
    for k in each:
        values = {"study": STUDY, "segment": segment_of(k), "code": code_of(k), "secret": "x", "what": "labels.csv"}
        values["rating"] = rating_of(site)
        asked = {"segment": str(segment_of(1)), "search": "words"} if "/queue/" in path else None
        answer = client.get(path.format(**values), params=asked)
        if "text/html" in answer.headers["content-type"]:
            found.append(answer.text)
    return found


SHOWING = [name for name in NEEDED if name.startswith("GET") and name not in ENDLESS]


@pytest.mark.parametrize("name", SHOWING)
def test_hostile_text_makes_no_element_and_no_attribute(twins, name):
    plain, hostile = twins
    known = set().union(*(Elements(page).found for page in pages(plain, name)))
    for page in pages(hostile, name):
        elements = Elements(page)
        assert elements.found <= known, name
        assert elements.faults == [], name
        assert "49 ${7*7}" not in page
        assert "&lt;class" not in page


def test_hostile_text_is_shown_as_it_is(twins):
    _, hostile = twins
    shown = "".join("".join(Elements(page).words) for name in SHOWING for page in pages(hostile, name))
    for text in HOSTILE:
        visible = text.replace("\0", "\ufffd").strip()
        assert visible in shown or " ".join(visible.split()) in shown, text
