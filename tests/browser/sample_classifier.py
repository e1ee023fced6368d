"""The sample study's classifier: what was released and refused over two weeks, and a real one that serves."""

import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from infra.training.releases import classifier_of
from models.ports import Embedder
from schemas import Annotation, AnnotationRequest, Assignment, Decision, ModelRelease, Record, Segment
from schemas.coding import Classified, Guess
from schemas.ids import code_id
from tests.browser.sample import ALL_KINDS, PEOPLE, START, STUDY, Kind, kind_of
from tests.web.classifiers import teach

_PAST = (  # hours since the start, segments taught, macro-F1, that of what served on the same segments
    (78, 21, None, None),
    (138, 49, 0.31, 0.08),
    (158, 57, 0.36, 0.33),
    (178, 66, 0.41, 0.35),
    (198, 75, 0.40, 0.42),
)
_FIRST = 1
_TOLD = {"general praise": 0.64, "helps with studies": 0.5, "good answers": 0.4, "company": 0.34}


def _version(n: int) -> str:
    return f"{START + timedelta(hours=_PAST[n][0]):%Y%m%dT%H%M%SZ}-{0x5D0C41AA + n * 0x01020304:08x}"


def past() -> Iterator[ModelRelease]:
    """What came before the one that serves: too few labels, two releases, two refusals."""
    serves: str | None = None
    for n, (hours, labels, macro, before) in enumerate(_PAST):
        at = START + timedelta(hours=hours)
        version = _version(n)
        better = macro is not None and before is not None and macro > before + 0.04
        yield ModelRelease(
            model=classifier_of(STUDY),
            version=version,
            study=STUDY,
            outcome="released" if better else "refused",
            uri=f"data:classifiers/elsewhere/{version}" if better else "",
            sha256=f"{n + 1:064x}",
            metrics={"held_out": float(labels)} | _figures(macro, before),
            per_code={} if macro is None else {name: max(0.0, f1 - 0.47 + macro) for name, f1 in _TOLD.items()},
            labels=labels,
            replaces=serves,
            why=_why(labels, macro, before),
            released_at=at,
        )
        serves = version if better else serves


def _figures(macro: float | None, before: float | None) -> dict[str, float]:
    if macro is None or before is None:
        return {}
    found = {"macro_f1": macro, "macro_f1_before": before, "difference": round(macro - before, 4)}
    return found | {"difference_low": macro - before - 0.06, "difference_high": macro - before + 0.07}


def _why(labels: int, macro: float | None, before: float | None) -> str:
    if macro is None or before is None:
        return f"{labels} labels are too few to compare on, 40 are needed: {40 - labels} more"
    word = "better" if macro > before + 0.04 else "not surely better" if macro > before else "not better"
    return f"a head taught {labels} labels: {word}: macro-F1 {macro:.3f} against {before:.3f} on {labels} labels"


def serving(folder: Path, some: Sequence[Segment], body: Embedder | None = None) -> ModelRelease:
    """Teach a classifier the study's first texts, into the data folder, and say that it serves."""
    at = START + timedelta(hours=221, minutes=12)
    texts = {segment.text: kind_of(segment).label for segment in some[: len(some) // 2]}
    figures = _figures(0.47, 0.41) | {"held_out": 85.0, "stop_kappa": 0.0, "stop_delta_f": 1.0, "kappa": 0.957}
    return teach(
        folder,
        texts,
        STUDY,
        body,
        metrics=figures | {"delta_f": 0.031, "trainings": 6.0},
        per_code=_TOLD,
        labels=85,
        replaces=[one.version for one in past() if one.outcome == "released"][-1],
        why="a tuned body taught 85 labels of 8 codes: better: macro-F1 0.470 against 0.410 on 85 labels",
        released_at=at,
    )


def records(told: Sequence[Record]) -> list[Record]:
    """Its history, and the sample's decisions with what it made of the segments after its first release."""
    draw, begins = random.Random(5), START + timedelta(hours=_PAST[_FIRST][0])
    decided = [one for one in told if isinstance(one, Decision) and (one.segment.timestamp or START) > begins]
    guessed = [one.model_copy(update={"classified": classified(kind_of(one.segment), draw)}) for one in decided]
    return [*past(), *guessed, *_labels(told, draw)]


def _labels(told: Sequence[Record], draw: random.Random) -> Iterator[Annotation]:
    """What people said of segments that the classifier asked about."""
    known = {one.segment_id for one in told if isinstance(one, AnnotationRequest)}
    asked = [one for one in told if isinstance(one, Decision) and one.segment.id not in known][:80]
    for n, one in enumerate(asked):
        code = code_id(STUDY, kind_of(one.segment).label)
        given = next(each for each in told if isinstance(each, Assignment) and each.segment_id == one.segment.id)
        yield Annotation(
            segment_id=one.segment.id,
            study=STUDY,
            annotator=PEOPLE[n % 3 == 0],
            code_ids=[code],
            labels=[kind_of(one.segment).label],
            text=one.segment.text,
            shown=given.label,
            accepted=given.code_id == code,
            confidence=given.confidence,
            signals=given.signals,
            reason="query strategy",
            decided_at=START + timedelta(hours=40 + 2.2 * n),
            seconds=round(draw.uniform(3, 20), 1),
        )


def classified(kind: Kind, draw: random.Random) -> Classified:
    """What the first one made of a segment."""
    others = draw.sample([one for one in ALL_KINDS if one is not kind], 3)
    shares = [draw.uniform(0.4, 0.95), draw.uniform(0.1, 0.35), draw.uniform(0.02, 0.1), 0.01]
    guesses = [
        Guess(code_id=code_id(STUDY, one.label), label=one.label, probability=round(share, 4))
        for one, share in zip([kind, *others], shares, strict=True)
    ]
    return Classified(model=_version(_FIRST), guesses=guesses, sure=shares[0] > 0.85)
