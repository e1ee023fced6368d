"""The analysis page: code frequencies, codes by attribute, codes that stand together, quotes; each as a file."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from infra.files.tables import OutputRow, Shape, encoded
from infra.storage.analysis.code_counts import CodeCount, code_counts, texts_with
from infra.storage.analysis.crosstab import (
    OTHERS,
    SOURCE,
    WITHOUT,
    Cooccurrence,
    Crosstab,
    Within,
    cooccurrence,
    crosstab,
)
from infra.storage.analysis.spans import span_counts
from infra.storage.segment_search import attribute_names
from infra.web.access import Viewer, hides
from infra.web.pages.analysis.figures import code_network, frequency_bars
from infra.web.pages.analysis.quotes import QUOTE_COLUMNS, quote_rows, quotes_document, quotes_page
from infra.web.pages.coding.spans import visible_spans
from infra.web.site import Here, Site, draw
from models.text.word_counts import word_counts

router = APIRouter()
WORDS = 50
"""Words of a code that the page shows; a file has twice as many of each."""


@router.get("/s/{study}/analysis", response_class=HTMLResponse)
def show_analysis(
    request: Request,
    study: str,
    site: Here,
    visitor: Viewer,
    by: str = SOURCE,
    within: Within = "segment",
    words: UUID | None = None,
) -> HTMLResponse:
    """All of it on one page; ``words`` names the code whose words are counted, by default the most used."""
    hidden = hides(site, visitor, study)
    marked = visible_spans(site, study, hidden)
    with site.store.database.reading() as connection:
        values: dict[str, Any] = {
            "ours": {"names": (SOURCE,), "values": (OTHERS, WITHOUT)},
            "parts": span_counts(marked),
            "counts": code_counts(connection, study),
            "table": crosstab(connection, study, by, hidden),
            "together": cooccurrence(connection, study, within, hidden),
            "attributes": [SOURCE, *attribute_names(connection, study)],
        }
        code = words or next((count.id for count in values["counts"]), None)
        values["words"] = word_counts(texts_with(connection, study, code, hidden), WORDS) if code else []
    values |= {"by": by, "within": within, "hidden": hidden, "words_of": code}
    values["chart"] = Markup(frequency_bars(values["counts"]))  # noqa: S704  # every label in it is escaped
    values["network"] = Markup(code_network(values["together"]))  # noqa: S704
    return draw(request, "analysis.html", values)


@router.get("/s/{study}/analysis/export/{what}")
def download_analysis(
    study: str, what: str, site: Here, visitor: Viewer, by: str = SOURCE, within: Within = "segment"
) -> Response:
    """One of the tables as CSV, the chart as SVG, or the quotes as a page of their own."""
    hidden = hides(site, visitor, study)
    made: Mapping[str, Callable[[], tuple[bytes, str]]] = {
        "frequencies.csv": lambda: (_csv(_FREQUENCIES, _frequency_rows(site, study, hidden)), _CSV),
        "frequencies.svg": lambda: (frequency_bars(_counts(site, study), alone=True).encode(), _SVG),
        "crosstab.csv": lambda: (_crosstab_csv(_crosstab(site, study, by, hidden), by), _CSV),
        "cooccurrence.csv": lambda: (_together_csv(_together(site, study, within, hidden)), _CSV),
        "network.svg": lambda: (code_network(_together(site, study, within, hidden), alone=True).encode(), _SVG),
        "words.csv": lambda: (_csv(_WORDS_SHAPE, _word_rows(site, study, hidden)), _CSV),
        "quotes.csv": lambda: (_csv(QUOTE_COLUMNS, quote_rows(site, study, hidden)), _CSV),
        "quotes.html": lambda: (quotes_page(site, study, hidden), "text/html; charset=utf-8"),
        "quotes.docx": lambda: (quotes_document(site, study, hidden), _DOCX),
    }
    if what not in made:
        raise HTTPException(404, f"'{what[:40]}' cannot be exported; {', '.join(made)} can")
    content, kind = made[what]()
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-._") else "_" for c in f"{study}-{what}")
    return Response(content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


_CSV, _SVG = "text/csv; charset=utf-8", "image/svg+xml"
_FREQUENCIES = Shape(
    ("code", "segments", "people", "parts"), {"segments": "number", "people": "number", "parts": "number"}
)
_WORDS_SHAPE = Shape(("code", "word", "segments", "times"), {"segments": "number", "times": "number"})
_DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def _csv(shape: Shape, rows: Iterator[OutputRow]) -> bytes:
    return b"".join(encoded(shape, rows, "csv"))


def _counts(site: Site, study: str) -> list[CodeCount]:
    with site.store.database.reading() as connection:
        return code_counts(connection, study)


def _crosstab(site: Site, study: str, by: str, hidden: Any) -> Crosstab:
    with site.store.database.reading() as connection:
        return crosstab(connection, study, by, hidden)


def _together(site: Site, study: str, within: Within, hidden: Any) -> Cooccurrence:
    with site.store.database.reading() as connection:
        return cooccurrence(connection, study, within, hidden)


def _frequency_rows(site: Site, study: str, hidden: Any) -> Iterator[OutputRow]:
    marked = visible_spans(site, study, hidden)
    parts, labels = span_counts(marked), {code: label for span in marked for code, label in span.codes}
    for count in _counts(site, study):
        yield {"code": count.label, "segments": count.segments, "people": count.people, "parts": parts.pop(count.id, 0)}
    for code, n in parts.most_common():
        yield {"code": labels[code], "segments": 0, "people": 0, "parts": n}


def _word_rows(site: Site, study: str, hidden: Any) -> Iterator[OutputRow]:
    for count in _counts(site, study):
        with site.store.database.reading() as connection:
            texts = texts_with(connection, study, count.id, hidden)
        for each in word_counts(texts, 2 * WORDS):
            yield {"code": count.label, "word": each.word, "segments": each.texts, "times": each.times}


def _crosstab_csv(table: Crosstab, by: str) -> bytes:
    """A row a code and value, with counts, shares and the code's test: a shape that every program reads."""
    columns = ("code", by if by not in ("code", "count") else f"attribute:{by}", "count", "row_share", "column_share")
    tests = ("chi_square", "degrees", "p", "cramers_v")
    shape = Shape((*columns, *tests), {})
    return _csv(shape, _crosstab_rows(table, columns, tests))


def _crosstab_rows(table: Crosstab, columns: Sequence[str], tests: Sequence[str]) -> Iterator[OutputRow]:
    for row, (code, test) in enumerate(zip(table.codes, table.by_code, strict=True)):
        figures = (None,) * 4 if test is None else (test.chi2, test.degrees, test.p, test.v)
        for column, value in enumerate(table.values):
            cells = (code.label, value, table.counts[row][column])
            shares = (table.row_share(row, column), table.column_share(row, column))
            yield dict(zip((*columns, *tests), (*cells, *shares, *figures), strict=True))


def _together_csv(together: Cooccurrence) -> bytes:
    shape = Shape(("code", "beside", "count", "jaccard"), {})
    return _csv(shape, _together_rows(together))


def _together_rows(together: Cooccurrence) -> Iterator[OutputRow]:
    for row, code in enumerate(together.codes):
        for column, beside in enumerate(together.codes):
            count, share = together.counts[row][column], together.jaccard(row, column)
            yield {"code": code.label, "beside": beside.label, "count": count, "jaccard": share}
