"""What an alert says, in a sentence that a person can read."""

from datetime import UTC, datetime

from models.drift.changepoint import Located
from models.drift.scanning import Finding, Moved
from models.drift.signals import Cause, Signal

_OTHERS = 3  # that are named beside the surest one


def sentence(signal: Signal, finding: Finding, located: Located, cause: Cause, why: str) -> str:
    """What happened, since when, and what is behind it."""
    first = finding.moved[0]
    named = signal.name in {"codes", "themes", "sources"}
    about = first.cell if named else f"{signal.name}, {first.cell}"
    change = f"'{about}'{_where(first)} went {_way(first)}"
    ends = f"{_time(located.earliest)} to {_time(located.latest)}"
    return f"{change}{_others(finding)} since {_time(located.at)} (95%: {ends}); {_reason(signal, cause, why)}."


def _others(finding: Finding) -> str:
    """The cells that moved with the surest one, each as it moved in all groups together where it did."""
    seen: dict[str, Moved] = {}
    for one in sorted(finding.moved, key=lambda moved: moved.group is not None):
        seen.setdefault(one.cell, one)
    rest = [seen[cell] for cell in dict.fromkeys(one.cell for one in finding.moved)][1:]
    if not rest:
        return ""
    told = ", ".join(f"'{one.cell}'{_where(one)} {_way(one)}" for one in rest[:_OTHERS])
    more = f", {len(rest) - _OTHERS} more" if len(rest) > _OTHERS else ""
    return f" (and {told}{more})"


def _where(moved: Moved) -> str:
    return f" in {moved.group}" if moved.group else ""


def _way(moved: Moved) -> str:
    return f"from {moved.before:.1%} to {moved.after:.1%}"


def _reason(signal: Signal, cause: Cause, why: str) -> str:
    if why:
        return f"about then: {why}"
    return {
        "input": "customers say other things within the same sources",
        "volume": "the sources' shares of all segments moved, not what is said within them",
        "codebook": "codes took each other's place, as when they are merged, split or renamed",
        "model": "segments of the same codes are coded otherwise: look at the models",
        "people": "people judge codes otherwise, and nothing else about the models moved",
    }[cause]


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
