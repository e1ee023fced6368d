"""The analysis page: code frequencies, codes by attribute, codes that stand together, quotes; each as a file."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Any
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from infra.files.tables import OutputRow, Shape, encoded
from infra.storage.analysis.code_counts import CodeCount, code_counts
from infra.storage.analysis.crosstab import SOURCE, Cooccurrence, Crosstab, Within, cooccurrence, crosstab
from infra.storage.analysis.spans import span_counts
from infra.storage.search import Filters, SegmentMatch, attribute_names, find
from infra.web.access import Viewer, hides
from infra.web.pages.coding.spans import visible_spans
from infra.web.site import TEMPLATES, Here, Site, draw

router = APIRouter()
QUOTES = 20
"""Segments of each code that a report of quotes has."""
_BARS, _BAR, _WIDTH, _NAMES = 25, 22, 900, 300  # bars of the chart, their height, and its widths
_LONGEST_NAME = 44


@router.get("/s/{study}/analysis", response_class=HTMLResponse)
def show_analysis(
    request: Request, study: str, site: Here, visitor: Viewer, by: str = SOURCE, within: Within = "segment"
) -> HTMLResponse:
    """All of it on one page."""
    hidden = hides(site, visitor, study)
    marked = visible_spans(site, study, hidden)
    with site.store.database.reading() as connection:
        values: dict[str, Any] = {
            "parts": span_counts(marked),
            "counts": code_counts(connection, study),
            "table": crosstab(connection, study, by, hidden),
            "together": cooccurrence(connection, study, within, hidden),
            "attributes": [SOURCE, *attribute_names(connection, study)],
        }
    values |= {"by": by, "within": within, "hidden": hidden, "chart": Markup(_bars(values["counts"]))}  # noqa: S704
    return draw(request, "analysis.html", values)


@router.get("/s/{study}/analysis/export/{what}")
def download_analysis(
    study: str, what: str, site: Here, visitor: Viewer, by: str = SOURCE, within: Within = "segment"
) -> Response:
    """One of the tables as CSV, the chart as SVG, or the quotes as a page of their own."""
    hidden = hides(site, visitor, study)
    made: Mapping[str, Callable[[], tuple[bytes, str]]] = {
        "frequencies.csv": lambda: (_csv(_FREQUENCIES, _frequency_rows(site, study, hidden)), _CSV),
        "frequencies.svg": lambda: (_bars(_counts(site, study), alone=True).encode(), "image/svg+xml"),
        "crosstab.csv": lambda: (_crosstab_csv(_crosstab(site, study, by, hidden), by), _CSV),
        "cooccurrence.csv": lambda: (_together_csv(_together(site, study, within, hidden)), _CSV),
        "quotes.csv": lambda: (_csv(_QUOTES_SHAPE, _quote_rows(site, study, hidden)), _CSV),
        "quotes.html": lambda: (_quotes_page(site, study, hidden), "text/html; charset=utf-8"),
    }
    if what not in made:
        raise HTTPException(404, f"'{what[:40]}' cannot be exported; {', '.join(made)} can")
    content, kind = made[what]()
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-._") else "_" for c in f"{study}-{what}")
    return Response(content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


_CSV = "text/csv; charset=utf-8"
_FREQUENCIES = Shape(
    ("code", "segments", "people", "parts"), {"segments": "number", "people": "number", "parts": "number"}
)
_QUOTES_SHAPE = Shape(("code", "text", "source", "said_at", "decided_by", "own_id", "id"), {"said_at": "time"})


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


def _quotes(site: Site, study: str, hidden: Any) -> Iterator[tuple[CodeCount, Sequence[SegmentMatch]]]:
    for count in _counts(site, study):
        yield count, _with_code(site, study, count.id, hidden)


def _with_code(site: Site, study: str, code: UUID, hidden: Any) -> Sequence[SegmentMatch]:
    return find(site.store.database, study, Filters(code=code, hides=hidden), limit=QUOTES).matches


def _quote_rows(site: Site, study: str, hidden: Any) -> Iterator[OutputRow]:
    for count, matches in _quotes(site, study, hidden):
        for match in matches:
            yield {
                "code": count.label,
                "text": match.text,
                "source": match.source,
                "said_at": match.said_at,
                "decided_by": match.outcome.by,
                "own_id": match.own_id,
                "id": match.id,
            }


def _quotes_page(site: Site, study: str, hidden: Any) -> bytes:
    template = TEMPLATES.get_template("quotes.html")
    values = {"study": study, "codes": list(_quotes(site, study, hidden)), "most": QUOTES, "at": site.clock.now()}
    return template.render(values).encode("utf-8", "replace")


def _bars(counts: Sequence[CodeCount], *, alone: bool = False) -> str:
    """How many segments have each code, as SVG; every label in it is escaped."""
    shown = counts[:_BARS]
    most = max((count.segments for count in shown), default=1)
    parts = [_bar_of(count, n, most) for n, count in enumerate(shown)]
    size = f'viewBox="0 0 {_WIDTH} {max(1, len(shown)) * _BAR + 8}"'
    head = ' xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="12"' if alone else ""
    return f'<svg{head} {size} role="img" aria-label="Segments by code">{"".join(parts)}</svg>'


def _bar_of(count: CodeCount, n: int, most: int) -> str:
    label = count.label if len(count.label) <= _LONGEST_NAME else count.label[: _LONGEST_NAME - 1] + "…"
    top, room = n * _BAR + 4, _WIDTH - _NAMES - 60
    whole, people = room * count.segments / most, room * count.people / most
    return (
        f'<text x="{_NAMES - 8}" y="{top + 14}" text-anchor="end">{escape(label)}</text>'
        f'<rect x="{_NAMES}" y="{top}" width="{whole:.1f}" height="{_BAR - 6}" fill="#2f7fb8"/>'
        f'<rect x="{_NAMES}" y="{top}" width="{people:.1f}" height="{_BAR - 6}" fill="#d9822b"/>'
        f'<text x="{_NAMES + whole + 6:.1f}" y="{top + 14}">{count.segments}</text>'
    )
