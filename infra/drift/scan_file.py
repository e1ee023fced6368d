"""A file's rows watched as a study's segments would be: observed in order of time, alerts and a picture out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from infra.drift.novelty import DatedText, NoveltyTools, with_novelty
from infra.drift.report_data import ReportData
from infra.drift.timestamped_texts import TimestampedText, TimestampedTexts
from infra.storage.observations import named_models, with_vectors
from models.drift.end_test import LEAST, smallest_change
from models.drift.monitor import Monitor
from models.drift.observation import Observed
from models.drift.settings import DriftSettings
from models.pipeline import CodedSegment, CodingOutcome
from models.ports import Embedder, Moderator
from schemas import DriftAlert, Segment
from schemas.ids import segment_id, uniform

UNCODED = "(no code)"
"""Stands for the code of a row that has none in a file that has codes."""
NOT_CODED = "(not coded)"
"""The code of every row where only texts are watched."""
EMBEDDED = 8_000
"""Texts of a file that are embedded at most: half a minute's work on one core."""
PER_WINDOW = 200
"""Texts of a window that are embedded at most, in a file that is not small."""
SMALL = 2_000
"""Texts that are embedded at least: in a small file all of them, for little else tells of it."""
LONG = 100_000
"""Rows from which on a coded file's texts are not embedded unless asked for."""
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
RowCoder = Callable[[Iterable[Segment]], Iterator[CodingOutcome]]


@dataclass(frozen=True)
class ScanOptions:
    """How a file is scanned."""

    study: str
    settings: DriftSettings
    embed: bool | None = None
    """``None``: where that is quick enough."""
    texts_only: bool = False


@dataclass(frozen=True)
class ScanResult:
    """What a scan found."""

    name: str
    segments: int
    embedded: int
    alerts: Sequence[DriftAlert]
    data: ReportData
    verdict: str = "no change found"
    """What is to be said where there is no alert: that there is none, or that there were too few to tell."""
    unseen: Sequence[str] = ()
    """What is known of some segments, but of too few to be compared: ``texts: 120 of 200``."""


def scan(
    texts: TimestampedTexts, options: ScanOptions, embedder: Callable[[], Embedder], coder: RowCoder | None = None
) -> ScanResult:
    """Watch a file from its first row to its last; memory does not grow with it.

    Args:
        texts: The file's rows.
        options: Study, settings and what to look at.
        embedder: Called where texts are to be embedded.
        coder: Codes the rows on the way; where none is given the file's own codes count.
    """
    share = embedded_share(texts, options, coded_here=coder is not None)
    rows = observations(texts, options, coder)
    watched = with_vectors(rows, embedder(), share) if share else (observed for observed, _ in rows)
    data, monitor = ReportData(texts.rows), Monitor(options.study, options.settings)
    alerts = watch(watched, monitor, data)
    coded = (texts.coded or coder is not None) and not options.texts_only
    return ScanResult(texts.name, texts.rows, data.embedded, alerts, data, *seen_by(monitor, texts.rows, coded=coded))


def seen_by(monitor: Monitor, segments: int, *, coded: bool = True) -> tuple[str, list[str]]:
    """What to say of a stream without an alert, and what was not looked at for want of segments.

    Args:
        monitor: As it is behind the stream's end.
        segments: How many there were.
        coded: Whether they have codes, so that these are what is compared; else it is their texts.
    """
    unseen = [each for each in monitor.too_few() if coded or not each.startswith("codes:")]
    needed = LEAST if coded else monitor.settings.needed
    if monitor.compared(coded=coded):
        return f"no change found{_among(segments, monitor, coded=coded)}", unseen
    if segments < needed:
        return f"too few to tell: {segments:,} of {needed:,} segments", unseen
    what = "; ".join(unseen) or "there are no codes, and no texts were read"
    return f"too few to tell: {what} (what is said again at once counts once)", unseen


def _among(segments: int, monitor: Monitor, *, coded: bool) -> str:
    """What could not have been seen in a stream as short as this; empty where it is long."""
    if segments >= 2 * monitor.settings.needed:
        return ""
    if coded:
        points = round(100 * smallest_change(segments))
        return f"; among {segments:,} segments a code's rise or fall by less than about {points} points may not show"
    least = monitor.settings.least
    return f" behind the first {least:,} segments; a change among those cannot be seen in a file of {segments:,}"


def novel(
    texts: TimestampedTexts,
    options: ScanOptions,
    result: ScanResult,
    embedder: Embedder,
    moderator: Moderator | None = None,
) -> ScanResult:
    """What was found, with what is new in the texts of its alerts; as it is where texts are not to be read.

    Args:
        texts: The file's rows, read once more.
        options: Study, and what to look at.
        result: What a scan of them found.
        embedder: For the codes that are nearest.
        moderator: Names what is new, where there is one.
    """
    if options.embed is False or not result.alerts:
        return result
    labels = [label for label, _ in result.data.totals().most_common() if label not in (UNCODED, NOT_CODED)]
    tools = NoveltyTools(embedder, labels, moderator)
    return replace(result, alerts=with_novelty(result.alerts, _dated(texts, options), tools))


def _dated(texts: TimestampedTexts, options: ScanOptions) -> Iterator[DatedText]:
    for row in texts:
        source = texts.source(row)
        yield DatedText(row.moment, segment_id(options.study, source, row.key), source, row.text)


def watch(watched: Iterable[Observed], monitor: Monitor, data: ReportData) -> list[DriftAlert]:
    """Let the monitor and the picture see everything, and the monitor finish."""
    alerts: list[DriftAlert] = []
    for observed in watched:
        data.add(observed)
        if raised := monitor.update(observed):
            alerts += raised
    return alerts + monitor.finish()


def embedded_share(texts: TimestampedTexts, options: ScanOptions, *, coded_here: bool) -> float:
    """Which share of the texts is embedded: a bounded number a window and a file; 0 to embed none."""
    coded = (texts.coded or coded_here) and not options.texts_only
    if options.embed is False or (options.embed is None and coded and texts.rows > LONG):
        return 0.0
    window = options.settings.window
    size = window if isinstance(window, int) else texts.rows
    return min(1.0, EMBEDDED / texts.rows, max(PER_WINDOW / size, SMALL / texts.rows))


def observations(
    texts: TimestampedTexts, options: ScanOptions, coder: RowCoder | None = None
) -> Iterator[tuple[Observed, str]]:
    """The rows as the monitor sees them, each with its text, in order of time."""
    if coder is None:
        for row in texts:
            yield _as_it_says(row, texts.source(row), options), row.text
        return
    for outcome in coder(_segment(row, texts.source(row), options.study) for row in texts):
        yield observation_of(outcome), outcome.segment.text


def observation_of(outcome: CodingOutcome) -> Observed:
    """What the monitor sees of a segment that was coded just now."""
    segment = outcome.segment
    assert segment.timestamp is not None
    if not isinstance(outcome, CodedSegment):
        return Observed(segment.timestamp, segment.id, segment.source, "", dead=True)
    decision, assignment = outcome.decision, outcome.assignment
    return Observed(
        at=segment.timestamp,
        segment=segment.id,
        source=segment.source,
        code=assignment.label,
        new=assignment.new,
        confidence=assignment.confidence,
        agreement=decision.agreement,
        rewrote=decision.verdict == "rewrote",
        similarity=None if assignment.new else assignment.similarity,
        models=named_models(assignment.models),
    )


def example_texts(texts: TimestampedTexts, options: ScanOptions, ids: set[UUID]) -> dict[UUID, str]:
    """The texts of some segments."""
    by_id: dict[UUID, str] = {}
    for row in texts if ids else ():
        id_ = segment_id(options.study, texts.source(row), row.key)
        if id_ in ids:
            by_id[id_] = row.text
            if len(by_id) == len(ids):
                break
    return by_id


def _segment(row: TimestampedText, source: str, study: str) -> Segment:
    id_ = segment_id(study, source, row.key)
    return Segment(id=id_, study=study, text=row.text, source=source, timestamp=row.moment)


def _as_it_says(row: TimestampedText, source: str, options: ScanOptions) -> Observed:
    id_ = segment_id(options.study, source, row.key)
    if options.texts_only or row.codes is None:
        return Observed(row.moment, id_, source, NOT_CODED)
    signals = row.signals
    if not signals:
        return Observed(row.moment, id_, source, _one_of(row.codes, id_), row.theme)
    new, verdict = _true(signals.get("new")) or False, signals.get("verdict")
    dead = "error" in signals and not row.codes
    return Observed(
        row.moment,
        id_,
        source,
        "" if dead else _one_of(row.codes, id_),
        row.theme,
        new=new,
        confidence=_share(signals.get("confidence")),
        agreement=_share(signals.get("agreement")),
        rewrote=None if verdict is None else verdict == "rewrote",
        similarity=None if new else _share(signals.get("similarity")),
        accepted=_true(signals.get("accepted")),
        agreed=_true(signals.get("agreed")),
        dead=dead,
        models=named_models(signals.get("models")),
    )


def _one_of(codes: Sequence[str], id_: UUID) -> str:
    """The code; of several one that the id draws, so that each segment counts once and shares stay true."""
    if not codes:
        return UNCODED
    return codes[0] if len(codes) == 1 else codes[int(uniform(id_, "code") * len(codes))]


def _share(value: Any) -> float | None:
    """A number from 0 to 1, or none."""
    if not isinstance(value, float):
        try:
            value = float(value)
        except (TypeError, ValueError):
            return None
    return value if 0 <= value <= 1 else None


def _true(value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    return _WORDS.get(str(value).strip().casefold())
