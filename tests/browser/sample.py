"""A study as it looks after a week of work: the shipped reviews with plausible codes, people and changes."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from infra.local.demo import demo_segments
from schemas import (
    Annotation,
    AnnotationRequest,
    Assignment,
    CodeEvent,
    Decision,
    DriftAlert,
    Neighbour,
    Proposal,
    Record,
    Segment,
    StudyRules,
)
from schemas.ids import code_event_id, code_id

STUDY = "app reviews"
PEOPLE = ("Ana Lindqvist", "Ben Okafor")
START = datetime(2026, 11, 9, 8, 0, tzinfo=UTC)
_BETWEEN = timedelta(minutes=88)  # two weeks in all


@dataclass(frozen=True)
class Kind:
    """A code: what its texts hold, what the members call it, what people say about it."""

    label: str
    theme: str
    words: tuple[str, ...]
    others: tuple[str, ...]
    definition: str = ""
    inclusion: str = ""
    exclusion: str = ""


KINDS = (
    Kind(
        "does not work",
        "Reliability",
        ("not work", "error", "glitch", "unable", "not been able", "hanging", "bug", "problems of", "rarely works"),
        ("technical errors", "app failure"),
        "The app fails: errors, hangs, lost conversations.",
        "Any failure of the app itself, whatever the reason.",
        "Answers that come but are wrong: use 'wrong answers'.",
    ),
    Kind(
        "account not recognised",
        "Reliability",
        ("log in", "login", "paid account"),
        ("login trouble", "lost subscription"),
        "People cannot get in, or what they paid for is not there.",
    ),
    Kind(
        "price and limits",
        "Access",
        ("pay", "subscri", "limit", "not free", "buy", "4.0 free", "$20"),
        ("paywall", "free version too small"),
        "Wishes to pay less, or to be allowed more without paying.",
        "Limits on the number of questions or images, too.",
        "Praise for being free: use 'general praise'.",
    ),
    Kind(
        "images",
        "Access",
        ("image", "picture", "camera", "pic of", "logo"),
        ("image generation", "photo questions"),
        "Making images, or asking about a photograph.",
    ),
    Kind(
        "voice",
        "Access",
        ("voice", "speech", "text to talk", "speaking"),
        ("speech output", "voice function"),
        "Speaking with the app, in either direction.",
    ),
    Kind(
        "wrong answers",
        "Answers",
        ("wrong", "dumb", "makes up", "ke answer", "tidak mengerti", "roleplays"),
        ("incorrect replies", "made-up answers"),
        "Answers that are wrong or invented.",
    ),
    Kind(
        "helps with studies",
        "Learning",
        ("stud", "homework", "exam", "subject", "learn", "educat", "ielts", "acedamic", "doubt"),
        ("study help", "learning support"),
        "The app helps with school, university or a language.",
        "Homework, exams, languages, concepts explained.",
        "",
    ),
    Kind(
        "good answers",
        "Answers",
        ("accurate", "correct", "answer", "explain", "information", "precise", "explanations"),
        ("accurate answers", "useful information"),
        "Answers are right, clear or detailed.",
    ),
    Kind(
        "company",
        "Feeling",
        ("friend", "companion", "alone", "relationship", "pal ", "by my side"),
        ("friendship with the app", "feeling less alone"),
        "The app as somebody to talk to.",
    ),
    Kind(
        "saves time at work",
        "Learning",
        ("work", "saves a lot of time", "business", "task", "daily", "trabajo", "content creation"),
        ("helps at work", "daily helper"),
        "The app makes work easier or quicker.",
    ),
)
PRAISE = Kind("general praise", "Feeling", (), ("positive feedback", "loves the app"), "Praise without a reason given.")
COMPLAINT = Kind("general complaint", "Feeling", (), ("negative feedback", "dislikes the app"))
ALL_KINDS = (*KINDS, PRAISE, COMPLAINT)
_THEMES = tuple(dict.fromkeys(kind.theme for kind in ALL_KINDS))


def kind_of(segment: Segment) -> Kind:
    """The code that a text plausibly has."""
    text = segment.text.casefold()
    found = next((kind for kind in KINDS if any(word in text for word in kind.words)), None)
    return found or (PRAISE if float(str(segment.metadata.get("rating", 5))) > 3 else COMPLAINT)


def segments() -> list[Segment]:
    """The reviews that ship with the project, as if they came in over two weeks."""
    read = demo_segments(STUDY)
    return [one.model_copy(update={"timestamp": START + n * _BETWEEN}) for n, one in enumerate(read)]


def records(some: Sequence[Segment]) -> Iterator[Record]:
    """Everything that happened: the codebook's history, codings, what people were asked and decided."""
    yield StudyRules(study=STUDY, mode="threshold", threshold=0.7, double_share=0.2, author=PEOPLE[0], at=START)
    yield from _codebook(some)
    draw = random.Random(4)
    for n, segment in enumerate(some):
        yield from _coded(segment, START + n * _BETWEEN + timedelta(seconds=3), draw)
    yield from _alerts(some)


def _alerts(some: Sequence[Segment]) -> Iterator[DriftAlert]:
    """What a monitor might have said of such a stream: one that somebody should look at."""
    label, changed = "price and limits", len(some) // 2
    shown = [one.id for one in some[changed:] if kind_of(one).label == label]
    at = START + changed * _BETWEEN
    yield DriftAlert(
        id=code_event_id(code_id(STUDY, label), "alert", str(at)),
        study=STUDY,
        kind="code share",
        cause="input",
        at=at,
        earliest=at - timedelta(hours=9),
        latest=at + timedelta(hours=14),
        detected_at=at + timedelta(days=2),
        p=0.004,
        effect=0.08,
        codes=[label],
        sources=[some[0].source],
        examples=shown[:5],
        before=changed,
        after=33,
        says=f"'{label}' rose from 6.0% to 14.0%",
        causes={"input": 0.93, "volume": 0.07},
        changes={label: (0.06, 0.14)},
    )


def _event(label: str, kind: str, at: datetime, **values: object) -> CodeEvent:
    code = code_id(STUDY, values.pop("of", label))  # type: ignore[arg-type]  # a label
    told = {"study": STUDY, "label": label, "kind": kind, "at": at, "author": PEOPLE[0]} | values
    return CodeEvent(id=code_event_id(code, kind, str(at)), code_id=code, **told)  # type: ignore[arg-type]


def _codebook(some: Sequence[Segment]) -> Iterator[CodeEvent]:
    first = {kind_of(segment).label: segment for segment in reversed(some)}
    by_model = "moderator@1"
    for n, theme in enumerate(_THEMES):
        yield _event(theme, "created", START + timedelta(hours=2, minutes=n), level="theme")
    for n, kind in enumerate(ALL_KINDS):
        at = START + timedelta(minutes=n)
        one = first.get(kind.label)
        yield _event(kind.label, "created", at, author=by_model, segment_id=one.id if one else None)
        later = at + timedelta(hours=3)
        yield _event(kind.label, "moved", later, parent_id=code_id(STUDY, kind.theme), reason="first sorting")
        if kind.definition:
            quotes = [s.text[:160] for s in some if kind_of(s) is kind][:2]
            notes = {"definition": kind.definition, "inclusion": kind.inclusion or None}
            notes |= {"exclusion": kind.exclusion or None}
            yield _event(kind.label, "defined", later + timedelta(minutes=20), examples=quotes, **notes)
    for n, (label, into) in enumerate((("errors again", "does not work"), ("nice app", "general praise"))):
        at = START + timedelta(hours=1, minutes=n)
        yield _event(label, "created", at, author=by_model)
        ids = [code_id(STUDY, into)]
        merged = at + timedelta(days=1)
        yield _event(label, "merged", merged, into=ids, reason="the same in other words", author=PEOPLE[n])


def _coded(segment: Segment, at: datetime, draw: random.Random) -> Iterator[Record]:
    kind = kind_of(segment)
    agree = draw.random() < 0.6
    labels = [kind.label, kind.label if agree else kind.others[0], kind.others[1]]
    yield _decision(segment, labels, draw)
    confidence = round(draw.uniform(0.72, 0.97) if agree else draw.uniform(0.28, 0.78), 2)
    given = kind if draw.random() < 0.94 else draw.choice(ALL_KINDS)
    yield _assignment(segment, kind, given, confidence, at)
    if confidence < 0.7:
        yield from _asked(segment, kind, given, confidence, at, draw)


def _decision(segment: Segment, labels: Sequence[str], draw: random.Random) -> Decision:
    proposals = [
        Proposal(
            member=member,
            model=f"{base}, {member}@1",
            label=label,
            log_probability=-round(draw.uniform(0.1, 1.4), 2),
            latency_s=0.3,
        )
        for (member, base), label in zip(
            (("gist", "SmolLM2-360M"), ("theme", "Gemma-3-270M"), ("essence", "SmolLM2-360M")), labels, strict=True
        )
    ]
    why = f"It is what {labels.count(labels[0])} of 3 members say and the most central of their proposals."
    said = {"label": labels[0], "verdict": "picked", "picked": "gist", "why": why, "moderator": "moderator@1"}
    return Decision(segment=segment, proposals=proposals, agreement=0.6 + 0.2 * labels.count(labels[0]) - 0.2, **said)  # type: ignore[arg-type]


def _assignment(segment: Segment, kind: Kind, given: Kind, confidence: float, at: datetime) -> Assignment:
    other = ALL_KINDS[(ALL_KINDS.index(given) + 1) % len(ALL_KINDS)]
    return Assignment(
        segment_id=segment.id,
        study=STUDY,
        code_id=code_id(STUDY, given.label),
        label=given.label,
        proposed=kind.others[0] if confidence < 0.7 else kind.label,
        new=False,
        similarity=round(0.6 + 0.4 * confidence, 3),
        runner_up=Neighbour(code_id=code_id(STUDY, other.label), label=other.label, similarity=0.55),
        why=f"It is near enough to the earlier code '{given.label}'.",
        verdict="picked",
        signals=_signals(confidence),
        models={"moderator": "moderator@1", "embedder": "MiniLM-L6-v2", "router": "threshold@1"},
        confidence=confidence,
        route="people" if confidence < 0.7 else "accepted",
        assigned_at=at,
    )


def _signals(confidence: float) -> dict[str, float]:
    return {"agreement": round(0.4 + confidence / 2, 2), "similarity": round(0.6 + 0.4 * confidence, 3)}


def _asked(
    segment: Segment, kind: Kind, given: Kind, confidence: float, at: datetime, draw: random.Random
) -> Iterator[Record]:
    double, by_chance = draw.random() < 0.5, draw.random() < 0.5
    signals = _signals(confidence)
    request = AnnotationRequest(
        segment_id=segment.id,
        study=STUDY,
        code_id=code_id(STUDY, given.label),
        label=given.label,
        confidence=confidence,
        reason="double coding" if double else "low confidence",
        coders=2 if double else 1,
        priority=round(1 - confidence, 2),
        signals=signals,
        sample=by_chance,
        requested_at=at,
    )
    yield request
    if draw.random() < 0.3 or at > START + timedelta(days=10):
        return  # nobody has come to it yet
    for n, person in enumerate(PEOPLE[: 2 if double else 1]):
        chosen = kind if draw.random() < 0.92 else draw.choice(ALL_KINDS)
        memo = "several things at once; took the main one" if draw.random() < 0.1 else ""
        yield Annotation(
            segment_id=segment.id,
            study=STUDY,
            annotator=person,
            code_ids=[code_id(STUDY, chosen.label)],
            labels=[chosen.label],
            text=segment.text,
            memo=memo,
            unsure=draw.random() < 0.08,
            shown=given.label,
            accepted=chosen is given,
            confidence=confidence,
            signals=signals,
            reason=request.reason,
            blind=by_chance,
            sample=by_chance,
            decided_at=at + timedelta(hours=20 + n, minutes=draw.randrange(600)),
            seconds=round(draw.uniform(3, 20), 1),
        )
