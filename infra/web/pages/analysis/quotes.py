"""The newest segments of each code as a report: HTML, Word and CSV."""

import io
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from infra.files.tables import OutputRow, Shape
from infra.storage.analysis.code_counts import CodeCount, code_counts
from infra.storage.segment_search import Filters, SegmentMatch, find
from infra.web.language.speech import gettext, ngettext, spoken, written_day, written_time
from infra.web.site import TEMPLATES, Site
from models.errors import SettingError

QUOTES = 20
"""Segments of each code that a report has."""
QUOTE_COLUMNS = Shape(("code", "text", "source", "said_at", "decided_by", "own_id", "id"), {"said_at": "time"})
_CONTROL = {n: " " for n in range(32) if chr(n) not in "\t\n\r"}  # what XML cannot hold


class CodeQuotes(NamedTuple):
    """A code with its newest segments."""

    code: CodeCount
    matches: Sequence[SegmentMatch]


def code_quotes(site: Site, study: str, hidden: Any) -> Iterator[CodeQuotes]:
    """Every code, the most used first; segments that are to be read blind are left out as ``hidden`` says."""
    with site.store.database.reading() as connection:
        counts = code_counts(connection, study)
    for count in counts:
        yield CodeQuotes(count, _with_code(site, study, count.id, hidden))


def _with_code(site: Site, study: str, code: UUID, hidden: Any) -> Sequence[SegmentMatch]:
    return find(site.store.database, study, Filters(code=code, hides=hidden), limit=QUOTES).matches


def quote_rows(site: Site, study: str, hidden: Any) -> Iterator[OutputRow]:
    """The same as rows of a table."""
    for count, matches in code_quotes(site, study, hidden):
        for match in matches:
            yield {
                "code": count.label,
                "text": match.text,
                "source": match.source,
                "said_at": match.timestamp,
                "decided_by": match.outcome.by,
                "own_id": match.own_id,
                "id": match.id,
            }


def quotes_page(site: Site, study: str, hidden: Any) -> bytes:
    """The same as a page that stands alone."""
    template = TEMPLATES.get_template("quotes.html")
    codes = list(code_quotes(site, study, hidden))
    values = {"study": study, "codes": codes, "most": QUOTES, "at": site.clock.now(), "language": spoken()}
    return template.render(values).encode("utf-8", "replace")


def quotes_document(site: Site, study: str, hidden: Any) -> bytes:
    """The same as a Word document.

    Raises:
        SettingError: If python-docx is not installed.
    """
    try:
        import docx
    except ImportError:
        raise SettingError("Word documents need python-docx; install it with the extra 'documents'") from None
    document = docx.Document()
    document.add_heading(gettext("Quotes by code"), 0)
    values = {"study": study, "at": written_time(site.clock.now()), "most": QUOTES}
    lead = gettext("Study %(study)s, %(at)s UTC. Final codes; the newest %(most)s segments of each.")
    document.add_paragraph(lead % values)
    for count, matches in code_quotes(site, study, hidden):
        document.add_heading(_plain(count.label), 1)
        people = gettext(", of which people %(people)s") % {"people": count.people} if count.people else ""
        form = ngettext("%(segments)s segment", "%(segments)s segments", count.segments)
        document.add_paragraph(form % {"segments": count.segments} + people)
        for match in matches:
            document.add_paragraph(_plain(match.text), style="Quote")
            day = match.timestamp and written_day(match.timestamp)
            place = [each for each in (match.source, day, match.own_id) if each]
            document.add_paragraph(_plain(", ".join(place)), style="Caption")
    written = io.BytesIO()
    document.save(written)
    return written.getvalue()


def _plain(text: str) -> str:
    """A text without what XML cannot hold."""
    return text.translate(_CONTROL).encode("utf-8", "replace").decode().replace("\ufffe", " ").replace("\uffff", " ")
