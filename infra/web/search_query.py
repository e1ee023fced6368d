"""What somebody looks for among a study's segments, as an address says it: the same on every page that narrows them."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Request

from infra.files.timestamps import read_time
from infra.storage.segment_search import Filters, RouteFilter
from infra.web.language.speech import gettext

_EARLIEST, _LATEST = datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 29, tzinfo=UTC)  # whatever is added, a time
_HUMAN = ("yes", "no", "decided", "undecided")
_ROUTES = ("accepted", "people", "suggested", "none")
_ATTRIBUTE = "a."
_MOST_COLUMNS = 8


@dataclass(frozen=True)
class Asked:
    """What somebody looks for, as the form has it: every field text, so that any URL can be drawn."""

    q: str = ""
    by: str = "words"
    code: str = ""
    since: str = ""
    until: str = ""
    source: str = ""
    low: str = ""
    high: str = ""
    route: str = ""
    annotator: str = ""
    human: str = ""
    theme: str = ""
    after: str = ""
    columns: str = ""
    """Attributes that the list shows, commas between."""
    attributes: tuple[tuple[str, str], ...] = ()
    """Names with values: fields ``a.NAME``, or one name in ``attribute`` with its ``value``."""

    @classmethod
    def of(cls, request: Request) -> "Asked":
        """What a request's address has."""
        given = request.query_params
        plain: dict[str, Any] = {
            each.name: given.get(each.name, "") or each.default for each in fields(cls) if each.name != "attributes"
        }
        named = [(name, value) for name, value in given.multi_items() if name.startswith(_ATTRIBUTE) and value]
        pairs = [(name.removeprefix(_ATTRIBUTE), value) for name, value in named]
        if given.get("attribute") and given.get("value"):
            pairs.append((given["attribute"], given["value"]))
        return cls(**plain, attributes=tuple(dict.fromkeys(pairs)))

    @property
    def shown_columns(self) -> list[str]:
        """The attributes that the list shows: those that were asked for, and those that it is narrowed by."""
        named = [name.strip() for name in self.columns.split(",") if name.strip()]
        return list(dict.fromkeys([*named, *(name for name, _ in self.attributes)]))[:_MOST_COLUMNS]

    def without(self, attribute: tuple[str, str], base: str) -> str:
        """The address of this search without one of its attributes."""
        return self.url(base, attributes=tuple(pair for pair in self.attributes if pair != attribute))

    @property
    def meaning(self) -> bool:
        """Whether to search by meaning."""
        return self.by == "meaning" and bool(self.q.strip())

    def filters(self) -> tuple[Filters, list[str]]:
        """What narrows, and a line for each field that cannot be read."""
        wrong: list[str] = []
        since, until = _day(self.since, gettext("From"), wrong), _day(self.until, gettext("To"), wrong)
        if until is not None and len(self.until.strip()) <= len("2026-01-01"):
            until += timedelta(days=1)  # a day is meant whole
        filters = Filters(
            words="" if self.meaning else self.q,
            code=_code(self.code, wrong),
            since=since,
            until=until,
            source=self.source,
            low=_share(self.low, gettext("Confidence from"), wrong),
            high=_share(self.high, gettext("Confidence to"), wrong),
            route=cast(RouteFilter, self.route if self.route in _ROUTES else ""),
            annotator=self.annotator.strip(),
            human=cast(Literal["", "yes", "no", "decided", "undecided"], self.human if self.human in _HUMAN else ""),
            theme=_code(self.theme, wrong),
            attributes=self.attributes,
        )
        return filters, wrong

    def url(self, base: str, **other: Any) -> str:
        """The address of this search, or of one that differs a little."""
        values = {**vars(self), "after": "", **other}
        default = vars(Asked())
        kept = [(name, value) for name, value in values.items() if value and value != default.get(name)]
        kept = [(name, value) for name, value in kept if name != "attributes"]
        kept += [(f"{_ATTRIBUTE}{name}", value) for name, value in values["attributes"]]
        return base + ("?" + urlencode(kept) if kept else "")


def _day(value: str, field: str, wrong: list[str]) -> datetime | None:
    if not value.strip():
        return None
    moment = read_time(value)
    if moment is None or not _EARLIEST < moment < _LATEST:
        message = gettext("%(field)s: '%(value)s' is no time; a day such as 2026-03-01 is expected")
        wrong.append(message % {"field": field, "value": value[:40]})
        return None
    return moment


def _share(value: str, field: str, wrong: list[str]) -> float | None:
    if not value.strip():
        return None
    try:
        share = float(value)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        message = gettext("%(field)s: '%(value)s' found; a number from 0 to 1 is expected")
        wrong.append(message % {"field": field, "value": value[:40]})
        return None
    return share


def _code(value: str, wrong: list[str]) -> UUID | None:
    if not value:
        return None
    try:
        return UUID(value)
    except ValueError:
        wrong.append(gettext("Code: choose one of the list"))
        return None
