"""A drift report as one HTML file that needs nothing but itself: no script, no font, no picture from elsewhere."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from uuid import UUID

from infra.drift.charts import distance, scatter, stacked
from infra.drift.report_data import ReportData, change_points, main_change
from models.errors import InputError
from schemas import DriftAlert

CAUSES = {
    "input": "what people say changed",
    "model": "the coder changed",
    "codebook": "the codebook changed",
    "people": "the people who judge changed",
    "volume": "where it comes from changed",
}
NO_CHANGE = "no change was found"
_EXAMPLES, _LONGEST = 5, 400
_STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1e2226;--muted:#565d66;--line:#dad7d0;--soft:#f4f2ee;--bad:#a12a24}
@media(prefers-color-scheme:dark){:root{--paper:#15181b;--ink:#e6e4df;--muted:#a5abb3;--line:#343a41;--soft:#1f2428;
--bad:#f2a29b}}
body{font:16px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:64rem;margin:2rem auto;
padding:0 1rem;overflow-wrap:anywhere}h1{font-size:1.5rem}h2{font-size:1.15rem;margin:2.2rem 0 .4rem}
h3{font-size:1rem;margin:0 0 .3rem}p{max-width:46rem}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}.wide{overflow-x:auto}
th,td{padding:.3rem .7rem;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--muted);font-weight:600}td.n,th.n{text-align:right}
svg{width:100%;height:auto;display:block}svg text{font-size:12px;fill:var(--muted)}
.grid{stroke:var(--line);stroke-width:1;opacity:.6}.change{stroke:var(--ink);stroke-width:2;stroke-dasharray:5 3}
svg text.mark{fill:var(--ink);font-weight:700}.line{fill:none;stroke:#2f7fb8;stroke-width:2}
.limit{fill:none;stroke:#a12a24;stroke-width:2;stroke-dasharray:6 4}.within{fill:#2f7fb8}.above{fill:#a12a24}
.before{fill:#2f7fb8;opacity:.45}.after{fill:#d9822b;opacity:.6}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;padding:0;margin:.4rem 0;font-size:.85rem}
.legend svg{display:inline-block;width:.8em;height:.8em;margin-right:.4em}
.alert{border:1px solid var(--line);border-radius:8px;padding:.9rem 1.1rem;margin:.9rem 0;background:var(--soft)}
.tag{display:inline-block;border:1px solid var(--line);border-radius:1em;padding:0 .6em;font-size:.85rem}
blockquote{margin:.3rem 0;padding-left:.8rem;border-left:3px solid var(--line)}small,.muted{color:var(--muted)}
"""


def write_report(
    place: Path,
    name: str,
    alerts: Sequence[DriftAlert],
    data: ReportData,
    texts: Mapping[UUID, str],
    verdict: str = NO_CHANGE,
) -> None:
    """Write the report.

    Args:
        place: The file.
        name: What was watched.
        alerts: In any order.
        data: What was counted on the way.
        texts: The examples' texts, as far as they are known.
        verdict: What is said where there is no alert.

    Raises:
        InputError: If the file cannot be written.
    """
    try:
        place.write_text(report(name, alerts, data, texts, verdict), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write '{place}' ({error.strerror}); give another file with --html") from error


def report(
    name: str,
    alerts: Sequence[DriftAlert],
    data: ReportData,
    texts: Mapping[UUID, str],
    verdict: str = NO_CHANGE,
) -> str:
    """The report as HTML; everything that comes from the data is escaped."""
    ordered = sorted(alerts, key=lambda alert: (alert.at, alert.detected_at, str(alert.id)))
    title = f"Drift in {name}"
    parts = [_summary(ordered, data, verdict), _attribution(ordered, texts), _codes(ordered, data)]
    parts += [_distance(ordered, data), _emerging(data), _sources(ordered, data), _signals(data)]
    parts += [_texts(ordered, data)]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>{''.join(parts)}</body></html>\n"
    )


def shown_time(at: datetime) -> str:
    """A moment in UTC, to the minute; a day alone where it is its beginning."""
    return f"{at:%Y-%m-%d}" if (at.hour, at.minute, at.second) == (0, 0, 0) else f"{at:%Y-%m-%d %H:%M}"


def shown_p(p: float) -> str:
    """A p-value with two digits that count."""
    return "< 0.0001" if p < 0.0001 else f"{p:.2g}"


def interval(alert: DriftAlert) -> str:
    """The change point's interval, where it is known."""
    if alert.earliest is None or alert.latest is None:
        return ""
    return f"{shown_time(alert.earliest)} to {shown_time(alert.latest)}"


def _summary(alerts: Sequence[DriftAlert], data: ReportData, verdict: str) -> str:
    if not data.bins:
        return "<p>No segment was watched.</p>"
    first, last = data.bins[0].start, data.bins[-1].end
    what = f"{data.segments:,} segments from {shown_time(first)} to {shown_time(last)} (UTC)"
    if not alerts:
        return f"<p>{what}. {escape(verdict[:1].upper() + verdict[1:])}.</p>"
    count = "one change was found" if len(alerts) == 1 else f"{len(alerts)} changes were found"
    return f"<p>{what}; {count}. The numbers below mark them in the charts.</p>"


def _attribution(alerts: Sequence[DriftAlert], texts: Mapping[UUID, str]) -> str:
    if not alerts:
        return ""
    return "<h2>What changed</h2>" + "".join(_alert(n, alert, texts) for n, alert in enumerate(alerts, 1))


def _alert(number: int, alert: DriftAlert, texts: Mapping[UUID, str]) -> str:
    between = interval(alert)
    says = escape(alert.says or f"{alert.kind}: {CAUSES[alert.cause]}")
    facts = [
        ("since", shown_time(alert.at) + (f" <small>(95%: {between})</small>" if between else "")),
        ("seen", shown_time(alert.detected_at)),
        ("p", shown_p(alert.p)),
        ("effect", f"{alert.effect:+.3f}"),
        ("segments before, after", f"{alert.before:,}, {alert.after:,}"),
        ("codes", escape(", ".join(alert.codes))),
        ("sources", escape(", ".join(alert.sources))),
        ("new words and phrases", escape(", ".join(alert.terms))),
        ("name", escape(alert.name)),
        ("nearest codes", escape(", ".join(alert.nearest))),
        ("evidence", escape(", ".join(f"{cause} {share:.0%}" for cause, share in _most(alert.causes)))),
    ]
    rows = "".join(f"<tr><th>{what}</th><td>{value}</td></tr>" for what, value in facts if value)
    moved = "".join(
        f'<tr><td>{escape(what)}</td><td class="n">{before:.3f}</td><td class="n">{after:.3f}</td></tr>'
        for what, (before, after) in list(alert.changes.items())[:8]
    )
    table = (
        f'<table><tr><th></th><th class="n">before</th><th class="n">after</th></tr>{moved}</table>' if moved else ""
    )
    known = [texts[id_] for id_ in alert.examples if id_ in texts][:_EXAMPLES]
    quotes = "".join(f"<blockquote>{escape(text[:_LONGEST])}</blockquote>" for text in known)
    return (
        f'<div class="alert"><h3>{number}. {says}</h3><p><span class="tag">{escape(alert.kind)}</span> '
        f'<span class="tag">{CAUSES[alert.cause]}</span></p><div class="wide"><table>{rows}</table>{table}</div>'
        + (f'<p class="muted">Segments that show it:</p>{quotes}' if quotes else "")
        + "</div>"
    )


def _most(causes: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(((cause, share) for cause, share in causes.items() if share >= 0.005), key=lambda each: -each[1])


def _changes(alerts: Sequence[DriftAlert]) -> list[tuple[datetime, str]]:
    return [(alert.at, alert.says or alert.kind) for alert in alerts]


def _codes(alerts: Sequence[DriftAlert], data: ReportData) -> str:
    names = data.shown("codes", [code for alert in alerts for code in alert.codes[:3]])
    if len(data.totals()) < 2:
        return ""
    chart = stacked(data.bins, names, data.shares("codes", names), _changes(alerts), "Shares of the codes over time")
    size = data.bins[0].segments
    return f"<h2>Shares of the codes over time</h2>{chart}<p><small>Each step is {size:,} segments.</small></p>"


def _distance(alerts: Sequence[DriftAlert], data: ReportData) -> str:
    if not data.bins or len(data.totals()) < 2:
        return ""
    distances = data.distances(change_points(alerts))
    chart = distance(distances, _changes(alerts), (data.bins[0].start, data.bins[-1].end))
    if not chart:
        return ""
    return (
        f"<h2>Distance from what came before</h2>{chart}<p><small>Jensen-Shannon distance of each step's codes from "
        "all steps since the last change. A single step above the limit is expected once in a hundred steps; an alert "
        "needs more than that.</small></p>"
    )


def _emerging(data: ReportData) -> str:
    codes = data.emerging()
    if not codes:
        return ""
    rows = "".join(
        f'<tr><td>{escape(code.code)}</td><td>{shown_time(code.first)}</td><td class="n">{code.before:.1%}</td>'
        f'<td class="n">{code.after:.1%}</td><td class="n">{code.segments:,}</td></tr>'
        for code in codes
    )
    return (
        "<h2>Codes on the rise in the last quarter</h2><div class='wide'><table><tr><th>code</th><th>first seen</th>"
        "<th class='n'>before</th><th class='n'>last quarter</th><th class='n'>segments</th></tr>"
        f"{rows}</table></div>"
    )


def _sources(alerts: Sequence[DriftAlert], data: ReportData) -> str:
    if len(data.totals("sources")) < 2:
        return ""
    names = data.shown("sources", [name for alert in alerts for name in alert.sources[:3]])
    marked = [(alert.at, alert.says or alert.kind) for alert in alerts]
    chart = stacked(data.bins, names, data.shares("sources", names), marked, "Shares of the sources over time")
    return f"<h2>Where it comes from</h2>{chart.replace('other codes', 'other sources')}"


def _signals(data: ReportData) -> str:
    rows = ""
    for title, means in data.quarters().items():
        cells = "".join(f'<td class="n">{"–" if mean is None else f"{mean:.3f}"}</td>' for mean in means)
        rows += f"<tr><td>{title}</td>{cells}</tr>"
    if not rows:
        return ""
    heads = "".join(f'<th class="n">{which} quarter</th>' for which in ("first", "second", "third", "last"))
    return f"<h2>How it is coded</h2><div class='wide'><table><tr><th>mean</th>{heads}</tr>{rows}</table></div>"


def _texts(alerts: Sequence[DriftAlert], data: ReportData) -> str:
    change = main_change(alerts)
    points, explained = data.projection(change)
    if not points:
        return ""
    since = f"before and after {shown_time(change)}" if change else "in the first and the second half"
    return (
        f"<h2>The texts, {since}</h2>{scatter(points)}<p><small>{len(points):,} texts' embeddings on their two main "
        f"axes (PCA), which carry {explained[0]:.0%} and {explained[1]:.0%} of the variance.</small></p>"
    )
