"""Records for the unit tests of the decisions."""

import random
from datetime import timedelta

from models.fakes import HandClock
from schemas import Annotation, Classified, Decision, Guess, ModelRelease, Proposal, Proposals, Segment, StudyRules
from schemas.ids import code_id, segment_id


def segment(text="the checkout is slow", key=None, study="reviews"):
    return Segment(id=segment_id(study, "test", key or text), study=study, text=text, source="test")


def proposal(label, member="a", fault=None, log_probability=None, drawn=()):
    return Proposal(
        member=member,
        model=f"{member}@1",
        label=label,
        fault=fault,
        log_probability=log_probability,
        latency_s=0,
        drawn=list(drawn),
    )


def proposals(*labels, text="the checkout is slow"):
    members = [proposal(label, member) for label, member in zip(labels, "abcdefgh", strict=False)]
    return Proposals(segment=segment(text), proposals=members)


def decision(label, key, *, study="reviews", text=None, **other):
    values = {
        "verdict": "consensus",
        "why": "they agree",
        "agreement": 0.8,
        "moderator": "consensus",
        "proposals": [proposal(label, member) for member in "abc"],
    }
    return Decision(segment=segment(text or f"text {key}", key, study), label=label, **(values | other))


def rules(study="reviews", minute=0, **values):
    return StudyRules(study=study, author="lea", at=HandClock().now() + timedelta(minutes=minute), **values)


def release(version, minute=0, *, study="reviews", model=None, **values):
    """A classifier's release, a minute after another."""
    given = {"uri": f"data:classifiers/{study}/{version}", "sha256": "0" * 64} | values
    return ModelRelease(
        model=model or f"classifier/{study}",
        version=version,
        study=study,
        released_at=HandClock().now() + timedelta(minutes=minute),
        **given,
    )


def classified(*labels, sure=False, probability=0.9, study="reviews", model="20260101T000000Z-fake"):
    """What a classifier makes of a segment: the first label is likely, the others less and less."""
    guesses = [
        Guess(code_id=code_id(study, label), label=label, probability=probability / (n + 1))
        for n, label in enumerate(labels)
    ]
    return Classified(model=model, guesses=guesses, sure=sure)


def judgement(number, *, study="reviews", minute=0, **values):
    """What a person said about the code of segment ``number``."""
    given = {"annotator": "ana", "accepted": True, "sample": True, "signals": {"agreement": 0.5}}
    given |= {"code_ids": [], "labels": ["ads"]}
    return Annotation(
        segment_id=segment(key=f"judged {number}", study=study).id,
        study=study,
        decided_at=HandClock().now() + timedelta(minutes=minute),
        **(given | values),
    )


def judgements(count, *, seed=0, **values):
    """People accept a code the more often the more the members agree on it."""
    draw = random.Random(seed)
    made = []
    for number in range(count):
        agreement = draw.random()
        accepted = draw.random() < min(0.99, 0.1 + 1.4 * agreement)
        made.append(judgement(number, signals={"agreement": agreement}, accepted=accepted, **values))
    return made
