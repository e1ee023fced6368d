"""The drift page: what changed, since when, how sure and why, and what somebody did about it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Form, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from markupsafe import Markup
from sqlalchemy import func, select

from infra.drift.alert_rules import LONGEST_HOURS, add_rule, remove_rule, rules
from infra.drift.charts import distance, scatter, stacked
from infra.drift.figures import distances_csv, points_csv, shares_csv
from infra.drift.notifications import build_hooks, deliveries, send_again
from infra.drift.report_data import EmergingCode, ReportData, change_points, main_change
from infra.drift.report_html import CAUSES, shown_p
from infra.drift.scan_study import with_judgements
from infra.files.tables import MEDIA_TYPES
from infra.storage.alerts import AlertMark, MarkKind, Raised, mark, raised, reopen
from infra.storage.database import Database
from infra.storage.observations import count_observations, observations, texts_of
from infra.storage.segment_search import choices
from infra.storage.tables import annotations, assignments, segments
from infra.web.access import Lead, Viewer, unread_by
from infra.web.language.speech import gettext, looked_up, written_day, written_time
from infra.web.site import Here, draw
from models.drift.settings import DriftSettings
from models.ports import Embedder

router = APIRouter()
NEWEST = 20_000
"""Segments that are drawn, the newest of a study."""
_EMBEDDED = 600  # texts of them
_EXAMPLES, _LONGEST = 5, 400
_SNOOZE_DAYS = (1, 7, 30)
_NOTE = 500


@dataclass(frozen=True)
class Drawn:
    """The charts, as SVG that ``infra.drift.charts`` escapes."""

    segments: int
    shares: Markup
    step: int
    """Segments of one step."""
    distances: Markup
    sources: Markup
    signals: Mapping[str, Sequence[float | None]]
    """How it is coded: means by quarter of the stream."""
    emerging: Sequence[EmergingCode]


@router.get("/s/{study}/drift")
def page(request: Request, study: str, site: Here, visitor: Viewer) -> HTMLResponse:
    """Alerts, the open ones first, and the stream in which they were seen."""
    database, now = site.store.database, site.clock.now()
    alerts = raised(database, study)
    ids = [id_ for each in alerts for id_ in each.alert.examples[:_EXAMPLES]]
    hidden = unread_by(site, visitor, study, ids)  # an alert names codes: its examples would tell who has them
    texts = texts_of(database, [id_ for id_ in ids if id_ not in hidden])
    values = {
        "open": [each for each in alerts if each.open(now)],
        "seen_to": [each for each in alerts if not each.open(now)],
        "numbers": {each.alert.id: n for n, each in enumerate(_in_order(alerts), 1)},
        "texts": {id_: text[:_LONGEST] for id_, text in texts.items()},
        "causes": CAUSES,
        "snooze_days": _SNOOZE_DAYS,
        "drawn": _draw(database, study, alerts),
        "shown_time": _shown_time,
        "shown_p": shown_p,
        "newest": NEWEST,
        "needed": DriftSettings().needed,
        "deliveries": deliveries(database, study),
        "hooks": [hook.name for hook in build_hooks(site.settings, site.clock)],
        "rules": rules(database, study),
        "codes": choices(database, study).codes,
    }
    return draw(request, "drift.html", values)


@router.get("/s/{study}/drift/texts")
def texts(request: Request, study: str, site: Here, visitor: Viewer) -> HTMLResponse:
    """The part with the texts in two dimensions, to be put in its place: it takes some seconds."""
    database = site.store.database
    change = main_change([each.alert for each in raised(database, study)])
    data = _embedded(database, study, site.embedder)
    points, explained = data.projection(change)
    values = {
        "chart": _chart(scatter(points, named=False, say=looked_up)),  # some of them may wait to be read blind
        "texts": len(points),
        "explained": explained,
        "change": change and _shown_time(change),
    }
    return draw(request, "drift_texts.html", values)


@router.get("/s/{study}/drift/export/{what}")
def download_figures(study: str, what: str, site: Here, visitor: Viewer) -> Response:
    """The figures behind one of the charts, as CSV."""
    database = site.store.database
    alerts = [each.alert for each in _in_order(raised(database, study))]
    data = _counted(database, study, _version(database, study))
    made: Mapping[str, Callable[[], bytes]] = {
        "shares.csv": lambda: shares_csv(data.bins, "codes"),
        "distance.csv": lambda: distances_csv(data.distances(change_points(alerts))),
        "sources.csv": lambda: shares_csv(data.bins, "sources"),
        "texts.csv": lambda: points_csv(_embedded(database, study, site.embedder).projection(main_change(alerts))[0]),
    }
    if what not in made:
        raise HTTPException(404, f"'{what[:40]}' cannot be exported; {', '.join(made)} can")
    headers = {"Content-Disposition": f'attachment; filename="drift-{what}"'}
    return Response(made[what](), media_type=MEDIA_TYPES["csv"], headers=headers)


@router.post("/s/{study}/drift/rules")
def add_alert_rule(
    study: str,
    site: Here,
    lead: Lead,
    code: Annotated[UUID, Form()],
    percent: Annotated[float, Form(gt=0, le=100)],
    hours: Annotated[float, Form(gt=0, le=LONGEST_HOURS)],
) -> RedirectResponse:
    """Raise an alert from now on where a code has more than a share of what was said over some hours."""
    add_rule(site.store.database, study, code, percent / 100, hours, lead.name, site.clock.now())
    return RedirectResponse(f"/s/{quote(study, safe='')}/drift#rules", status_code=303)


@router.post("/s/{study}/drift/rules/{rule}/remove")
def remove_alert_rule(study: str, rule: UUID, site: Here, lead: Lead) -> RedirectResponse:
    """Keep a rule no longer."""
    remove_rule(site.store.database, study, rule)
    return RedirectResponse(f"/s/{quote(study, safe='')}/drift#rules", status_code=303)


@router.post("/s/{study}/drift/{alert}")
def see_to(
    study: str,
    alert: UUID,
    site: Here,
    lead: Lead,
    does: Annotated[str, Form()],
    note: Annotated[str, Form()] = "",
) -> RedirectResponse:
    """Acknowledge an alert, snooze it for some days, open it again, or have everybody told of it again."""
    database, now = site.store.database, site.clock.now()
    if alert not in {each.alert.id for each in raised(database, study)}:
        raise HTTPException(404, "there is no such alert in this study")
    if does == "send":
        send_again(database, study, alert, [hook.name for hook in build_hooks(site.settings, site.clock)])
    elif does == "reopen":
        reopen(database, study, [alert])
    else:
        kind, until = _done(does, now)
        mark(database, study, alert, AlertMark(kind, lead.name, now, until, " ".join(note.split())[:_NOTE]))
    return RedirectResponse(f"/s/{quote(study, safe='')}/drift#{alert}", status_code=303)


def _done(does: str, now: datetime) -> tuple[MarkKind, datetime | None]:
    if does == "acknowledge":
        return "acknowledged", None
    days = {f"snooze-{n}": n for n in _SNOOZE_DAYS}.get(does)
    if days is None:
        raise HTTPException(422, f"{does[:40]!r} is nothing that can be done about an alert")
    return "snoozed", now + timedelta(days=days)


def _in_order(alerts: Sequence[Raised]) -> list[Raised]:
    """As the charts number them."""
    return sorted(alerts, key=lambda each: (each.alert.at, each.alert.detected_at, str(each.alert.id)))


Version = tuple[int, datetime | None, int, datetime | None]


def _version(database: Database, study: str) -> Version:
    """What changes whenever a segment is coded, or somebody says something of a code."""
    coded = select(func.count(), func.max(assignments.c.assigned_at)).where(assignments.c.study == study)
    judged = select(func.count(), func.max(annotations.c.decided_at)).where(annotations.c.study == study)
    with database.reading() as connection:
        count, last = connection.execute(coded).one()
        words, newest = connection.execute(judged).one()
    return count, last, words, newest


def _draw(database: Database, study: str, raised_alerts: Sequence[Raised]) -> Drawn | None:
    """The charts; none while nothing is coded."""
    data = _counted(database, study, _version(database, study))
    if not data.bins:
        return None
    alerts = [each.alert for each in _in_order(raised_alerts)]
    marks = [(alert.at, looked_up(alert.says or alert.kind)) for alert in alerts]
    ends = (data.bins[0].start, data.bins[-1].end)
    codes = data.shown("codes", [code for alert in alerts for code in alert.codes[:3]])
    sources = data.shown("sources", [source for alert in alerts for source in alert.sources[:3]])

    over_time = {
        "codes": gettext("Shares of the codes over time"),
        "sources": gettext("Shares of the sources over time"),
    }

    def shares(what: str, names: Sequence[str]) -> Markup:
        return _chart(stacked(data.bins, names, data.shares(what, names), marks, over_time[what], say=looked_up))

    return Drawn(
        segments=data.segments,
        shares=shares("codes", codes),
        step=data.bins[0].segments,
        distances=_chart(distance(data.distances(change_points(alerts)), marks, ends, say=looked_up)),
        sources=shares("sources", sources) if len(data.totals("sources")) > 1 else Markup(),
        signals=data.quarters(),
        emerging=data.emerging(),
    )


def _shown_time(at: datetime) -> str:
    """A moment in UTC, to the minute; a day alone where it is its beginning."""
    return written_day(at) if (at.hour, at.minute, at.second) == (0, 0, 0) else written_time(at)


def _chart(svg: str) -> Markup:
    return Markup(svg)  # noqa: S704 - infra.drift.charts escapes every name in it


@lru_cache(maxsize=8)
def _counted(database: Database, study: str, _version: Version) -> ReportData:
    """The newest segments and people's words on them, counted; what was counted for the same is not counted again."""
    since = _since(database, study, NEWEST)
    data = ReportData(count_observations(database, study, since))
    for observed in with_judgements(observations(database, study, since), database, study, since):
        data.add(observed)
    return data


def _embedded(database: Database, study: str, embedder: Embedder) -> ReportData:
    """The same with the meaning of some texts, whose vectors the embedder keeps."""
    since = _since(database, study, NEWEST)
    count = count_observations(database, study, since)
    data = ReportData(count)
    share = min(1.0, _EMBEDDED / max(count, 1))
    for observed in observations(database, study, since, embedder=embedder, share=share):
        data.add(observed)
    return data


def _since(database: Database, study: str, newest: int) -> datetime | None:
    """When the newest so many segments begin; none where there are no more than that."""
    times = select(segments.c.order_at).where(segments.c.study == study).order_by(segments.c.order_at.desc())
    with database.reading() as connection:
        return connection.execute(times.offset(newest - 1).limit(1)).scalar()
