"""The page of `make results-drift`: tables, plots and the figures as JSON."""

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.drift.alarms import STREAMS as UNEVEN
from benchmarks.drift.alarms import table as of_kinds
from benchmarks.drift.arms import REFERENCE, SETTINGS, STEP, WINDOW, Watched, evidently_version, watch
from benchmarks.drift.cells import REPEATS, SHUFFLES, STREAMS, Cells
from benchmarks.drift.figures import (
    ALLOWED,
    Arm,
    Known,
    ahead,
    arm_on,
    known_changes,
    raised,
    rightly_named,
    shuffles,
    tuned,
    tuned_to_uneven,
)
from benchmarks.drift.streams import AIRLINE, CHANGE, CONTROL, LENGTH, PLANTS, Item, Stream, real, rows
from benchmarks.pages.layout import RESULTS, as_table, circumstances
from infra.experiments.plots import clean
from models.routing.risk_control import error_rate

NAME = "drift"
ARMS = ("ours", "tuned", "adwin", "evidently")
_NAMES = {"ours": "Qualstream, default", "tuned": "Qualstream", "adwin": "ADWIN alone", "evidently": "Evidently"}
_COLOURS = {"ours": "#9fc3b1", "tuned": "#2f7d5b", "adwin": "#d9822b", "evidently": "#7d62c3"}
_HOW = """\
- **Streams.** `{airline}` (source: the airline, code: the complaint reason, or none) and `{control}` (source: the
  file, code: the category), each tweet or review at its own time. Codes are people's, so nothing here depends on a
  coder. The monitor has its defaults (window {window}, false alarms {allowed:.0%} a stream); texts are embedded as
  `qualstream drift scan` does it.
- **Known changes.** Where they are in the stream is the place of the largest likelihood for one change of that share
  within the days around it. Delay is from there to the segment after which the alert came.
- **Shuffled copies** keep every segment whole (text, code and source together) and put the segments in any order over
  the same moments. Brackets are exact (Clopper-Pearson) 95% intervals.
- **Planted changes** are made of real tweets of 17 to 20 February, drawn with replacement: {length:,} a stream, one a
  minute; the change comes after {change:,} to {later:,}. The confidence, agreement and acceptance of the planted
  streams are drawn (beta distributions; a tenth of the segments is read by people), for the tweets have none. The
  monitor's constants were chosen on streams drawn in the same way from other seeds, and on the two real streams.
- **Arms.** *ADWIN alone* is one of river's ADWINs for each of the {codes} codes, for each source, and for confidence,
  agreement and acceptance; an alarm of any of them counts. *Evidently* is its drift report (without
  its pictures) on the newest {w} segments against the {r:,} before them, every {s} segments, over code, source and
  acceptance (Jensen-Shannon distance), confidence and agreement (Kolmogorov-Smirnov), with a limit for each column:
  what that column alone passes in the same share of the unchanged streams. Below 1,001 rows its own choice for
  categories is chi-square; of a code that the reference happens not to have that makes a p-value of 0, so that more
  than 5% of the unchanged streams raise an alarm at any threshold. These two and the monitor had their threshold set
  on the very {streams} unchanged streams on which the table counts their false alarms, to the loosest at which at most
  {allowed:.0%} raise an alarm. *Qualstream, default*
  is the monitor as it comes.
- **Delay** is from the change to the first alarm after it, in segments; a stream without such an alarm counts with all
  that was left of it. *Sooner by* is the mean of the differences stream by stream, with a 95% bootstrap interval over
  streams. Where the codebook was merged, the monitor was told of the merge, as it is in the stream: that decides what
  it names as the cause, not whether it raises an alert.
- **A million.** A generated JSONL file of coded segments (real texts, 40 codes, one of which triples at 60%), scanned
  by `qualstream drift scan FILE --json --no-embed` in a process of its own; seconds are from its start to its end,
  imports, reading and sorting included, peak memory is its largest resident size."""


@dataclass(frozen=True)
class Compared:
    """One planted change under the three arms."""

    what: str
    arms: Mapping[str, Arm]


def publish(cells: Cells, uneven: Cells, million: Mapping[str, Any], *, write: bool) -> None:
    """Print the page, and write it where asked; ``uneven`` holds the runs on streams that have days and bursts."""
    airline, control = real(AIRLINE), real(CONTROL)
    by_app = Stream(CONTROL, [_of_app(item) for item in control.items])
    watched = {"airline": watch(airline), "control": watch(control), "control by app": watch(by_app)}
    arms = [arm for arm in ARMS if arm != "evidently" or evidently_version()]
    settings = {arm: 0.0 if arm == "ours" else tuned(cells, arm) for arm in arms}
    false = {arm: error_rate(sum(raised(cells, arm, settings[arm])), STREAMS) for arm in arms}
    compared = [Compared(p.what, {arm: arm_on(cells, arm, p, settings[arm]) for arm in arms}) for p in PLANTS]
    known = known_changes(airline, watched["airline"])
    shuffled = {name: shuffles(cells, name) for name in (AIRLINE, CONTROL)}
    parts = [
        "# Drift",
        _circumstances(),
        _real(known, watched),
        _false_alarms(shuffled, false, settings),
        _power(compared),
        _uneven(cells, uneven, settings),
        _named(cells),
        _speed(million),
        "## How it was measured\n\n" + _how(),
    ]
    page = "\n\n".join(parts) + "\n"
    print(page)
    if not write:
        return
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{NAME}.md").write_text(page, encoding="utf-8")
    figures = {
        "known": [vars(one) for one in known],
        "shuffled": shuffled,
        "false_alarms": false,
        "settings": settings,
        "planted": {c.what: {arm: _figures(c, arm) for arm in c.arms} for c in compared},
        "million": dict(million),
        "evidently": evidently_version(),
        **circumstances(),
    }
    (RESULTS / f"{NAME}.json").write_text(json.dumps(figures, indent=2, default=str) + "\n", encoding="utf-8")
    _plot(compared)


def _of_app(item: Item) -> Item:
    return item._replace(source=rows(CONTROL)[item.row]["app"])


def _circumstances() -> str:
    line = circumstances()
    machine, version = line["machine"], evidently_version()
    beside = f"Evidently {version}, in an environment of its own" if version else "Evidently could not be installed"
    from importlib.metadata import version as installed

    return (
        f"`make results-drift` at commit {line['commit']}, {line['date'][:10]}, on {machine['cpu']}, "
        f"{machine['cores']} cores, Python {line['python']}; river {installed('river')}; {beside}."
    )


def _real(known: Sequence[Known], watched: Mapping[str, Watched]) -> str:
    header = ("known change", "since", "seen", "delay, segments", "delay, minutes", "cause", "kind")
    table = [
        (
            one.what,
            f"{one.at:%Y-%m-%d %H:%M}",
            "not found" if one.seen is None else f"{one.seen:%Y-%m-%d %H:%M}",
            "-" if one.segments is None else f"{one.segments:,}",
            "-" if one.seen is None else f"{(one.seen - one.at).total_seconds() / 60:,.0f}",
            one.cause or "-",
            one.kind or "-",
        )
        for one in known
    ]
    control, by_app = watched["control"].alerts, watched["control by app"].alerts
    apps = "; ".join(one.says for one in by_app[:3])
    return (
        f"## Two real streams\n\n`{AIRLINE}`:\n\n{as_table(header, table)}\n\nEverything that was said of it:\n\n"
        f"{_alerts(watched['airline'])}\n\n`{CONTROL}`: {_count(len(control))}"
        + ("".join(f" {one.says}" for one in control))
        + f"\n\nWith the app as source, whose shares are not stable in it: {_count(len(by_app))} {apps}"
    )


def _count(number: int) -> str:
    return "no alert." if not number else "1 alert." if number == 1 else f"{number} alerts."


def _alerts(watched: Watched) -> str:
    header = ("since", "95% interval", "seen", "cause", "p", "what it says")
    table = [
        (
            f"{one.at:%m-%d %H:%M}",
            f"{one.earliest:%m-%d %H:%M} to {one.latest:%m-%d %H:%M}" if one.earliest and one.latest else "-",
            f"{one.detected_at:%m-%d %H:%M}",
            one.cause,
            f"{one.p:.2g}",
            one.says.replace("|", "/"),
        )
        for one in watched.alerts
    ]
    return as_table(header, table) if table else "Nothing."


def _false_alarms(
    shuffled: Mapping[str, Any], false: Mapping[str, tuple[float, float, float]], settings: Mapping[str, float]
) -> str:
    header = ("streams without a change", "copies", "with any alert", "95% interval")
    table = [
        (f"`{name}`, shuffled", f"{SHUFFLES}", f"{one['share']:.1%}", f"{one['low']:.1%} to {one['high']:.1%}")
        for name, one in shuffled.items()
    ]
    said = {
        "ours": "5%",
        "tuned": f"false alarms set to {settings['tuned']:.0%}",
        "adwin": f"delta {settings.get('adwin', 0):g}",
    }
    said["evidently"] = f"each column by itself {settings.get('evidently', 0):.0%}"
    table += [
        (f"unchanged, {_NAMES[arm]} ({said[arm]})", f"{STREAMS}", f"{share:.1%}", f"{low:.1%} to {high:.1%}")
        for arm, (share, low, high) in false.items()
    ]
    met = all(one["share"] <= ALLOWED for one in shuffled.values())
    return (
        f"## False alarms\n\n{as_table(header, table)}\n\nAt most {ALLOWED:.0%} of the shuffled copies raise any "
        f"alert: {'met' if met else 'MISSED'}. Alerts on them by kind: "
        + (", ".join(f"{kind} {n}" for one in shuffled.values() for kind, n in one["kinds"].items()) or "none")
        + "."
    )


def _uneven(cells: Cells, uneven: Cells, settings: Mapping[str, float]) -> str:
    alphas = list(dict.fromkeys((SETTINGS.false_alarms, tuned_to_uneven(uneven, "tuned"))))
    alpha, delta = alphas[-1], tuned_to_uneven(uneven, "adwin")
    header = ("planted change", "Qualstream: found", "ADWIN: found", "mean delay", "ADWIN: mean delay", "sooner by")
    lines = []
    for plant in PLANTS:
        ours, other = arm_on(cells, "tuned", plant, alpha), arm_on(cells, "adwin", plant, delta)
        sooner = _sooner(ahead(ours, other))
        lines.append((plant.what, _share(ours), _share(other), f"{ours.mean:,.0f}", f"{other.mean:,.0f}", sooner))
    deltas = list(dict.fromkeys((settings["adwin"], delta)))
    return (
        "## Streams that have days, bursts and repeats\n\n"
        "Made streams of 4,000 segments (400 a day) in which nothing changes, though they are not as even as shuffled "
        f"ones; with any alarm, 95% intervals:\n\n{of_kinds(uneven, UNEVEN, alphas, deltas)}\n\n"
        "The planted changes once more, each of the two at the loosest of its tried settings under which at most "
        f"{ALLOWED:.0%} of all these streams (without those whose volumes change) raise an alarm: false alarms set to "
        f"{alpha:.0%}, and delta {delta:g}.\n\n{as_table(header, lines)}"
    )


def _power(compared: Sequence[Compared]) -> str:
    names = [arm for arm in ARMS if arm in compared[0].arms]
    others = [arm for arm in names if arm not in ("ours", "tuned")]
    header = ["planted change", *(f"{_NAMES[a]}: found" for a in names), *(f"{_NAMES[a]}: mean delay" for a in names)]
    header += [f"sooner than {_NAMES[a]} by" for a in others]
    table, lost = [], []
    for one in compared:
        row = [one.what, *(_share(one.arms[arm]) for arm in names), *(f"{one.arms[arm].mean:,.0f}" for arm in names)]
        for arm in others:
            gap = ahead(one.arms["tuned"], one.arms[arm])
            row.append(_sooner(gap))
            if gap[1] <= 0:
                lost.append(f"{one.what} ({_NAMES[arm]})")
        table.append(row)
    told = "ahead of both in every row" if not lost else "not clearly ahead in: " + "; ".join(lost)
    missing = "" if "evidently" in names else " Evidently could not be run here, so it is not in the table."
    return (
        f"## Delay at equal false alarms\n\n{REPEATS} streams a row; delays in segments.\n\n"
        f"{as_table(header, table)}\n\nDelay at equal false alarms: {told}.{missing}\n\n"
        "![Share of the changes that are found by so many segments after them](drift.png)"
    )


def _named(cells: Cells) -> str:
    header = ("planted change", "expected cause", "first alert names it")
    table = [(p.what, " or ".join(p.causes), "{} of {}".format(*rightly_named(cells, p))) for p in PLANTS]
    return (
        f"Attribution, among the streams in which the monitor (default) found the change:\n\n{as_table(header, table)}"
    )


def _sooner(gap: tuple[float, float, float]) -> str:
    mean, low, high = gap
    return f"{mean:+,.0f} [{low:+,.0f}, {high:+,.0f}]"


def _share(arm: Arm) -> str:
    share, low, high = error_rate(arm.found, arm.streams)
    return f"{share:.0%} [{low:.0%}, {high:.0%}]"


def _speed(million: Mapping[str, Any]) -> str:
    header = ("coded segments", "seconds", "CPU seconds", "peak memory, MiB", "load before")
    table = [
        (f"{int(n):,}", f"{one['seconds']:.0f}", f"{one['cpu_s']:.0f}", f"{one['peak_mib']:.0f}", f"{one['load']:.1f}")
        for n, one in million.items()
    ]
    seconds = million["1000000"]["seconds"]
    return (
        f"## A million coded segments\n\n{as_table(header, table)}\n\n1,000,000 in under two minutes on two cores: "
        f"{'met' if seconds < 120 else 'MISSED'} ({seconds:.0f} s)."
    )


def _figures(one: Compared, arm: str) -> dict[str, Any]:
    found = one.arms[arm]
    told = {"found": found.found, "streams": found.streams, "mean_delay": found.mean, "delays": list(found.delays)}
    return told if arm in ("ours", "tuned") else {**told, "sooner_by": ahead(one.arms["tuned"], found)}


def _how() -> str:
    codes = len({row["label"] for row in rows(AIRLINE)})
    return _HOW.format(
        airline=AIRLINE,
        control=CONTROL,
        window=SETTINGS.window,
        allowed=ALLOWED,
        length=LENGTH,
        change=CHANGE,
        later=CHANGE + 100,
        codes=codes,
        w=WINDOW,
        r=REFERENCE,
        s=STEP,
        streams=STREAMS,
    )


def _plot(compared: Sequence[Compared]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 5.6), layout="constrained")
    axes = figure.subplots(2, 3, sharex=True, sharey=True)
    for ax, one in zip(axes.flat, compared, strict=True):
        for arm, found in one.arms.items():
            delays = np.sort([d if d < LENGTH - CHANGE - 100 else np.inf for d in found.delays])
            ax.step(
                delays,
                np.arange(1, len(delays) + 1) / len(delays),
                where="post",
                label=_NAMES[arm],
                color=_COLOURS[arm],
            )
        ax.set_title(textwrap.fill(one.what, 44), fontsize=8)
        ax.set_xlim(0, LENGTH - CHANGE - 100)
        ax.set_ylim(0, 1.02)
        clean(ax)
    axes[0, 0].legend(fontsize=8, frameon=False)
    figure.supxlabel("segments after the change", fontsize=9)
    figure.supylabel("share found", fontsize=9)
    figure.savefig(RESULTS / f"{NAME}.png", dpi=130, metadata={"Software": None})
