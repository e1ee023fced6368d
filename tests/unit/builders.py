"""Records for the unit tests of the decisions."""

from schemas import Decision, Proposal, Proposals, Segment
from schemas.ids import segment_id


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
