"""A study in which every text that may come from outside is one that was chosen, wherever a page may show it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from infra.web.site import Site
from schemas import Annotation, CodeEvent, DeadLetter, ModelRelease, Segment, StudyRules
from schemas.coding import Classified, Guess
from schemas.ids import code_event_id, code_id, segment_id
from tests.web.site import STUDY, coded

SPACE = UUID(int=7)


def segment_of(k: int) -> UUID:
    return segment_id(STUDY, "poison", str(k))


def code_of(k: int) -> UUID:
    return code_id(STUDY, f"code {k}")


def poison(site: Site, texts) -> None:
    """Record one segment, code, person and dead letter a text."""
    start = datetime.now(UTC) - timedelta(hours=1)
    records = [
        record for k, text in enumerate(texts) for record in [*_machines(k, text, start), *_people(k, text, start)]
    ]
    rules = StudyRules(study=STUDY, author=texts[0][:120], at=start, double_share=0.5)
    site.store.record([*records, rules])


def _machines(k, text, start):
    at, label = start + timedelta(seconds=k), text.strip()[:120]
    segment = Segment(
        id=segment_of(k),
        study=STUDY,
        text=f"{text} and more",
        source=text[:200],
        timestamp=at,
        language=text[:20],
        metadata={text: text, "list": [text, {"inner": text}]},
    )
    plain = coded(segment, f"code {k}", at=at, confidence=0.3 if k % 2 else 0.9, member=text[:80])
    renamed = {"label": label}
    for record in plain:
        match type(record).__name__:
            case "Decision":
                proposals = [
                    one.model_copy(update={"label": text, "model": text, "fault": text if n == 1 else None})
                    for n, one in enumerate(record.proposals)
                ]
                more = {"why": text, "moderator": text, "proposals": proposals, "skipped": [text]}
                guess = Guess(code_id=code_of(k), label=label, probability=0.7)
                more |= {"classified": Classified(model=text, guesses=[guess], sure=True)}
                yield record.model_copy(update=renamed | more)
            case "Assignment":
                more = {"proposed": label, "why": text, "models": {text: text}, "signals": {text: 0.5}}
                yield record.model_copy(update=renamed | more)
            case "CodeEvent":
                more = {"definition": text, "inclusion": text, "exclusion": text, "examples": [text], "reason": text}
                yield record.model_copy(update=renamed | more | {"author": text[:120]})
            case "AnnotationRequest":
                yield record.model_copy(update=renamed | {"author": text[:120], "why": text, "signals": {text: 0.5}})
            case _:
                yield record


def _people(k, text, start):
    at = start + timedelta(seconds=k, minutes=5)
    yield from _labels(k, text, at)
    yield from _theme(k, text, at)
    yield _release(k, text, at)
    yield _dead_letter(k, text, at)


def _labels(k, text, at):
    label = text.strip()[:120]
    for n, who in enumerate((text.strip()[:110], f"second {k}")):
        if k % 4 == 1:
            continue  # it waits in the queue
        yield Annotation(
            segment_id=segment_of(k),
            study=STUDY,
            annotator=who,
            code_ids=[code_of(k if n == 0 else 0)],
            labels=[label],
            text=text,
            memo=text,
            shown=label,
            accepted=n == 0,
            confidence=0.3,
            decided_at=at + timedelta(seconds=n),
        )


def _theme(k, text, at):
    theme, label = code_id(STUDY, f"theme {k}"), text.strip()[:120]
    yield CodeEvent(
        id=code_event_id(theme, "created", str(k)),
        code_id=theme,
        study=STUDY,
        kind="created",
        level="theme",
        label=label,
        author=text[:120],
        at=at,
        reason=text,
        definition=text,
    )
    yield CodeEvent(
        id=code_event_id(code_of(k), "moved", str(k)),
        code_id=code_of(k),
        study=STUDY,
        kind="moved",
        label=label,
        author=text[:120],
        at=at,
        reason=text,
        parent_id=theme,
    )


def _release(k, text, at):
    return ModelRelease(
        model=f"classifier/{STUDY}",
        version=text,
        study=STUDY,
        outcome="refused" if k % 5 == 4 else "released",
        uri=f"data:classifiers/poison/{k}",
        sha256=f"{k:064x}",
        metrics={"macro_f1": 0.5, "held_out": 20.0},
        per_code={text: 0.5},
        labels=20 + k,
        replaces=text,
        author=text[:120],
        why=text,
        released_at=at,
    )


def _dead_letter(k, text, at):
    return DeadLetter(
        id=uuid5(SPACE, str(k)),
        reason=text,
        role=text[:40],
        topic="feedback",
        partition=0,
        offset=k,
        key=b"k",
        raw=text.encode(),
        study=STUDY,
        at=at,
    )
