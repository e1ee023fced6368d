"""What coders share, whether their model runs here or elsewhere: seeds, prompts, and what an answer becomes."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from models.coding.labels import clean_label, label_fault
from models.coding.prompts import Ending, coding_prefix, coding_suffix
from models.errors import UncodableError
from models.moderation.voting import ballot, no_usable_label
from schemas import Proposal, Proposals, Segment
from schemas.coding import usable
from schemas.ids import normalised_label

_LONGEST_LABEL = 400  # schemas.Proposal
_MOST_SHOWN, _MOST_SAMPLES = 6, 2  # candidates in all, and those among them that were only drawn


def row_seed(segment: Segment, member: str, seed: int) -> int:
    """A seed that is the same in every process and batch, from 0 to 2**31 - 1."""
    digest = hashlib.sha256(f"{segment.id}\x1f{member}\x1f{seed}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def coding_start(prompt: int, ending: Ending, examples: Sequence[tuple[str, str]] = ()) -> str:
    """The static part of a member's prompt: its words, then its examples (text and code), each put as a segment is."""
    prefix = coding_prefix(prompt, ending)
    border = prefix.rpartition("\n")[2]
    return prefix + "".join(f"{coding_suffix(text)} {code}\n{border}" for text, code in examples)


def proposal(
    member: str,
    model: str,
    answer: str,
    log_probability: float | None,
    latency_s: float,
    samples: Sequence[str] = (),
) -> Proposal:
    """Clean and judge what a member wrote; anything at all may stand in it.

    Args:
        member: Its name.
        model: Its base, adapter and revision.
        answer: What it wrote.
        log_probability: Mean per token, in nats.
        latency_s: In seconds.
        samples: Its further answers; those that cannot be used are passed over.
    """
    label = clean_label(answer)
    return Proposal(
        member=member,
        model=model,
        label=label[:_LONGEST_LABEL],
        fault=label_fault(label),
        log_probability=None if log_probability is None else min(0.0, log_probability),
        latency_s=latency_s,
        drawn=[sample for sample in map(clean_label, samples) if label_fault(sample) is None],
    )


def candidates(proposals: Proposals) -> list[str]:
    """The usable labels in an order that does not tell who said them, equal ones merged.

    Of those that were only drawn, the two with most votes at most, and none beyond six candidates.

    Raises:
        UncodableError: If no proposal is usable.
    """
    labels = {normalised_label(p.label): p.label for p in sorted(usable(proposals.proposals), key=lambda p: p.label)}
    if not labels:
        raise UncodableError(no_usable_label(proposals.proposals))
    others: defaultdict[str, float] = defaultdict(float)
    spelled: dict[str, str] = {}
    for vote in ballot(proposals.proposals):
        if vote.is_sample and normalised_label(vote.label) not in labels:
            spelled.setdefault(normalised_label(vote.label), vote.label)
            others[normalised_label(vote.label)] += vote.weight
    best = sorted(others, key=lambda key: (-round(others[key], 6), key))
    labels |= {key: spelled[key] for key in best[: max(0, min(_MOST_SAMPLES, _MOST_SHOWN - len(labels)))]}
    return [labels[key] for key in sorted(labels)]
