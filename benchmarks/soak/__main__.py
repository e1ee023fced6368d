"""Whether memory stays level over a long run: `python -m benchmarks.soak [--segments N] [--minutes M] [--write]`.

Ingest, the coding roles and the embedded broker, as `qualstream up` runs them on one machine, fed without an end; what
each process has for itself is written down every few seconds. With stub models, or with `--profile tiny`.
"""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.pages.layout import RESULTS, Report, options, publish
from benchmarks.transport import OPENINGS, STUBS
from infra.experiments.plots import clean, inked
from infra.factory.stores import build_store
from infra.local.stack import LocalStack
from infra.settings import load_settings
from infra.storage.store import Store
from infra.telemetry.invariant_check import check
from models.errors import QualstreamError
from schemas import Segment
from schemas.ids import segment_id

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STUDY = "soak"
TARGET_MIB = 2_048
_LEVEL_MIB, _LEVEL_SHARE = 32, 0.1
_FED, _WAITING = 1_000, 10_000  # segments that are taken in at once, while fewer than so many wait
_EVERY_S, _COUNTED_S, _PATIENCE_S = 5.0, 60.0, 300.0  # counting takes seconds where a million are kept

HOW = """\
- **System.** Ingest, coders, moderator, refiner, router and recorder, each a process, and the embedded broker, kept
  alive by the product's supervisor; SQLite on disk, profile `{profile}`. {cut}
- **Segments.** Short and no two alike: one of 36 openings and a number, fed so that never more than {waiting:,} wait to
  be published.
- **Memory** is what a process has for itself and its part of what it shares (PSS), every {every:g} seconds; of a
  process that is begun anew that of the new one. The database's pages in the system's cache are not in it. The first
  fifth of the run counts as warming up; a process is **level** if from the second fifth to the last its mean rises by
  less than {share:.0%} or {mib} MiB. When the broker's memory is full of what is recorded, it and the roles begin anew:
  each tooth of the plot.
- **Nothing lost** is what `qualstream check` finds at the end in the read model and on the topics.

![Memory by process]({plot})
"""


@dataclass
class Soak:
    """What was seen of one run."""

    seconds: list[float] = field(default_factory=list)
    memory: dict[str, list[float]] = field(default_factory=dict)
    """MiB by process, one a look; not a number where it was not there."""

    coded: int = 0
    """Segments with an outcome in the end."""
    took: float = 0.0
    """Seconds until then."""

    def look(self, at: float, held: Mapping[str, float]) -> None:
        """Note what each process holds."""
        for name in held.keys() - self.memory.keys():
            self.memory[name] = [float("nan")] * len(self.seconds)
        self.seconds.append(at)
        for name, series in self.memory.items():
            series.append(held.get(name, float("nan")))

    @property
    def total(self) -> list[float]:
        """MiB of all processes together, one a look."""
        return [float(each) for each in np.nansum(list(self.memory.values()), axis=0)]


def fifths(series: Sequence[float]) -> tuple[float, float, float]:
    """Means of the second and the last fifth, and the most of all."""
    values, part = np.asarray(series), max(1, len(series) // 5)
    return float(np.nanmean(values[part : 2 * part])), float(np.nanmean(values[-part:])), float(np.nanmax(values))


def is_level(series: Sequence[float]) -> bool:
    """Whether a process holds about as much in the end as after it was warm."""
    before, after, _ = fifths(series)
    return after - before < max(_LEVEL_MIB, _LEVEL_SHARE * before)


def texts() -> Iterator[Segment]:
    """Short segments without an end, no two alike."""
    n = 0
    while True:
        text = f"{OPENINGS[n % len(OPENINGS)]}, and that was visit {n}."
        yield Segment(id=segment_id(STUDY, "soak", str(n)), study=STUDY, text=text, source="soak", language="en")
        n += 1


def held(pid: int) -> float:
    """MiB that a process has for itself, with its part of what it shares; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:"))


def run(local: LocalStack, store: Store, segments: int, seconds: float) -> Soak:
    """Feed until so many segments are taken in or the time is over, then wait until all have an outcome.

    Raises:
        QualstreamError: If nothing moves any more.
    """
    soak, feed, began, fed = Soak(), texts(), time.monotonic(), 0
    local.start()
    coded, moved_at, look_at, count_at = 0, began, began, began
    while True:
        local.check()
        now = time.monotonic()
        full = fed >= segments or now - began >= seconds
        if not full and store.backlog(_WAITING) < _WAITING:
            fed += store.take_in(list(islice(feed, min(_FED, segments - fed))))
        if now >= look_at:
            look_at = now + _EVERY_S
            soak.look(now - began, {name: held(pid) for name, pid in local.pids().items()})
        if now >= count_at:
            count_at = now + (_EVERY_S if full else _COUNTED_S)
            before, coded = coded, fed - store.open_segments(STUDY)
            print(f"{now - began:6.0f} s  {coded:>9,} coded  {soak.total[-1]:6.0f} MiB", flush=True)
            if full and coded == fed:
                soak.coded, soak.took = coded, now - began
                return soak
            moved_at = now if coded > before else moved_at
            if now - moved_at > _PATIENCE_S:
                raise QualstreamError(f"only {coded} of {fed} came through; see {local.log_dir}")
        time.sleep(0.1)


def draw(soak: Soak, name: str) -> "Figure":
    """Memory by process over the run."""
    from matplotlib.figure import Figure as NewFigure

    figure = NewFigure(figsize=(9, 4), layout="constrained")
    axes = figure.add_subplot()
    minutes = np.asarray(soak.seconds) / 60
    for process, series in sorted(soak.memory.items(), key=lambda each: -fifths(each[1])[2]):
        axes.plot(minutes, series, label=process, linewidth=1.1)
    axes.plot(minutes, soak.total, label="together", color="#22302a", linewidth=1.4)
    axes.set(title=name, xlabel="minutes", ylabel="MiB", ylim=(0, None))
    axes.legend(fontsize=7, frameon=False, ncols=4)
    clean(axes)
    return figure


def as_report(soak: Soak, profile: str, renewals: int, restarts: int, faults: int, unread: str) -> Report:
    """The figures beside what was promised."""
    lines = []
    for name, series in [*sorted(soak.memory.items()), ("together", soak.total)]:
        before, after, most = fifths(series)
        lines.append([name, f"{before:.0f}", f"{after:.0f}", f"{most:.0f}", "yes" if is_level(series) else "no"])
    coded, seconds = soak.coded, soak.took
    unlevel = [name for name, series in soak.memory.items() if not is_level(series)]
    most, stubs = max(soak.total), profile == STUBS.stem
    target = f"; target under {TARGET_MIB:,}: {'met' if most < TARGET_MIB else 'MISSED'}" if stubs else ""
    verdicts = [
        f"{coded:,} segments in {seconds / 60:.0f} minutes, {coded / seconds:,.0f} a second; most memory together "
        f"{most:,.0f} MiB{target}",
        f"level: {'all processes' if not unlevel else 'not ' + ', '.join(sorted(unlevel))}",
        f"the broker was begun anew {renewals} times for its memory's sake; {restarts} processes died",
        f"`qualstream check`: {faults} faults" + (f"; topics were not read ({unread})" if unread else ""),
    ]
    cut = "Its members answer at once." if stubs else "Text is short, so that the models answer soon."
    how = HOW.format(
        profile=profile,
        cut=cut,
        waiting=_WAITING,
        every=_EVERY_S,
        share=_LEVEL_SHARE,
        mib=_LEVEL_MIB,
        plot=f"soak-{profile}.png",
    )
    figures = {
        "profile": profile, "segments": coded, "seconds": round(seconds, 1), "renewals": renewals,
        "restarts": restarts, "faults": faults, "seconds_of_looks": [round(each) for each in soak.seconds],
        "memory_mib": {name: [round(each) if np.isfinite(each) else None for each in series]
                       for name, series in sorted(soak.memory.items())},
    }  # fmt: skip
    header = ("process", "MiB, second fifth", "MiB, last fifth", "most", "level")
    name, command = f"soak-{profile}", "benchmarks.soak" if stubs else f"benchmarks.soak --profile {profile}"
    return Report(name, f"A long run with `{profile}`: memory", how, header, lines, verdicts, figures, command)


def main() -> None:
    """Run, print the table and, where asked, write the page and its plot."""
    parser = options(__doc__ or "")
    parser.add_argument("--segments", type=int, default=1_000_000, help="how many are fed at most")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="for how long they are fed at most")
    parser.add_argument("--profile", default=str(STUBS), help="name or file of a profile; default: stub models")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qualstream-soak-") as folder:
        settings = load_settings(data_dir=Path(folder), profile=chosen.profile, study=STUDY)
        store = build_store(settings)
        local = LocalStack(settings, store)
        try:
            soak = run(local, store, chosen.segments, 60 * chosen.minutes)
            findings = check(settings, store, STUDY)
        finally:
            local.stop()
            store.close()
    name = Path(chosen.profile).stem
    report = as_report(soak, name, local.renewals, local.restarts, len(findings.faults), findings.unread)
    if chosen.write:
        with inked():
            draw(soak, report.title.replace("`", "")).savefig(
                RESULTS / f"{report.name}.png", dpi=130, metadata={"Software": None}
            )
    publish(report, write=chosen.write)


if __name__ == "__main__":
    main()
