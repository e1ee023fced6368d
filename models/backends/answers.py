"""What coders share, whether their model runs here or elsewhere: seeds, prompts, and what an answer becomes."""

import hashlib
from collections.abc import Sequence

from models.errors import UncodableError
from models.moderation import no_usable_label, usable
from models.prompts import Ending, clean_label, coding_prefix, coding_suffix, label_fault
from schemas import Proposal, Proposals, Segment
from schemas.ids import normalised_label

_LONGEST_LABEL = 400  # schemas.Proposal


def row_seed(segment: Segment, member: str, seed: int) -> int:
    """A seed that is the same in every process and batch, from 0 to 2**31 - 1."""
    digest = hashlib.sha256(f"{segment.id}\x1f{member}\x1f{seed}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def coding_start(prompt: int, ending: Ending, examples: Sequence[tuple[str, str]] = ()) -> str:
    """The static part of a member's prompt: its words, then its examples (text and code), each put as a segment is."""
    prefix = coding_prefix(prompt, ending)
    border = prefix.rpartition("\n")[2]
    return prefix + "".join(f"{coding_suffix(text)} {code}\n{border}" for text, code in examples)


def proposal(member: str, model: str, answer: str, log_probability: float | None, latency_s: float) -> Proposal:
    """Clean and judge what a member wrote; anything at all may stand in it."""
    label = clean_label(answer)
    return Proposal(
        member=member,
        model=model,
        label=label[:_LONGEST_LABEL],
        fault=label_fault(label),
        log_probability=None if log_probability is None else min(0.0, log_probability),
        latency_s=latency_s,
    )


def candidates(proposals: Proposals) -> list[str]:
    """The usable labels in an order that does not tell who said them, equal ones merged.

    Raises:
        UncodableError: If no proposal is usable.
    """
    found = {normalised_label(p.label): p.label for p in sorted(usable(proposals.proposals), key=lambda p: p.label)}
    if not found:
        raise UncodableError(no_usable_label(proposals.proposals))
    return [found[key] for key in sorted(found)]
