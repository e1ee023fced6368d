"""`qualstream check`: what must hold of a study, counted in the read model and on the topics."""

import asyncio
from collections.abc import Iterable, Sequence, Set
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from aiokafka.errors import KafkaError
from rich.console import Console
from rich.table import Table

from infra.brokers import build_cluster
from infra.settings import Settings
from infra.storage.erasures import every_erased, segment_of
from models.errors import SettingError
from models.invariants import INVARIANTS, Audit, Fault, Tally, study_of
from schemas import AnnotationRequest, Assignment, CodeEvent, DeadLetter, Decision, Record, Segment

if TYPE_CHECKING:
    from infra.storage.store import Store
    from streams.cluster import Cluster

_KEPT: tuple[type[Record], ...] = (Segment, Decision, Assignment, CodeEvent, AnnotationRequest, DeadLetter)
_PATIENCE_S = 10.0  # until the brokers answer; reading the topics takes what it takes
_NAMED = 5


@dataclass(frozen=True)
class Findings:
    """What a check found."""

    tally: Tally
    repeated: dict[str, int]
    """By kind of message, how many were written again in the same bytes."""
    faults: tuple[Fault, ...]
    unread: str = ""
    """Why the topics were not read, if they were not."""

    def as_json(self) -> dict[str, Any]:
        """The same for programs, with at most five ids an invariant."""
        faults = [
            {"invariant": fault.invariant, "what": fault.what, "count": len(fault.ids), "ids": _named_ids(fault)}
            for fault in self.faults
        ]
        return {**asdict(self.tally), "repeated": self.repeated, "faults": faults, "topics_unread": self.unread}


def check(settings: Settings, store: "Store", study: str | None) -> Findings:
    """Audit the read model, and the topics where the brokers answer.

    Args:
        settings: Where the brokers are.
        store: The read model.
        study: Only this study; all where none is given.
    """
    kept, passed, unread = audit_of_store(store, study), Audit(), ""
    try:
        passed = asyncio.run(_audit_of_topics(settings, study, every_erased(store.database)))
    except (SettingError, KafkaError, OSError, TimeoutError) as error:
        unread = str(error) or f"the brokers did not answer within {_PATIENCE_S:g} s"
    faults = [*kept.faults(all_taken_in=True), *passed.faults(all_taken_in=False)]
    return Findings(kept.tally(), passed.repeated, tuple(_merged(faults)), unread)


def audit_of_store(store: "Store", study: str | None) -> Audit:
    """The read model's records."""
    audit = Audit()
    for kind in _KEPT:
        for record in store.history(kind, study):
            audit.add(record, record.to_bytes())
    return audit


async def _audit_of_topics(settings: Settings, study: str | None, erased: Set[UUID]) -> Audit:
    from streams.cluster import partitions_of
    from streams.topology import TOPICS

    cluster = build_cluster(settings)
    async with asyncio.timeout(_PATIENCE_S):
        await partitions_of(cluster, [TOPICS[0].name])
    return await audit_of_topics(cluster, study, erased)


async def audit_of_topics(cluster: "Cluster", study: str | None = None, erased: Set[UUID] = frozenset()) -> Audit:
    """What stands on the topics, read whole; what cannot be read was set aside by the role that it was for.

    Of what was erased the brokers may keep one message and not the other: it is left out.
    """
    from streams.cluster import read_topic
    from streams.topology import ASSIGNMENTS, CODEBOOK, DEAD_LETTERS, DECISIONS, FEEDBACK, PROPOSALS, REQUESTS

    audit = Audit()
    for topic in (FEEDBACK, PROPOSALS, DECISIONS, ASSIGNMENTS, CODEBOOK, REQUESTS, DEAD_LETTERS):
        async for _, _, _, raw in read_topic(cluster, topic.name):
            try:
                record = topic.record.from_bytes(raw)
            except ValueError:
                continue
            if raw is not None and study in (None, study_of(record)) and segment_of(record) not in erased:
                audit.add(record, raw)
    return audit


def _merged(faults: Iterable[Fault]) -> list[Fault]:
    """One a kind: what the read model and the topics both show is one fault."""
    by_kind: dict[tuple[str, str], set[UUID]] = {}
    for fault in faults:
        by_kind.setdefault((fault.invariant, fault.what), set()).update(fault.ids)
    return [Fault(*kind, tuple(sorted(ids))) for kind, ids in by_kind.items()]


def _named_ids(fault: Fault) -> Sequence[str]:
    return [str(id_) for id_ in fault.ids[:_NAMED]]


def show(findings: Findings, console: Console) -> None:
    """Print the counts, and a line an invariant: whether it holds, else how often not and where."""
    tally = findings.tally
    console.print(f"{tally.taken_in} taken in = {tally.open} open + {tally.coded} coded + {tally.set_aside} set aside")
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for invariant in INVARIANTS:
        broken = [fault for fault in findings.faults if fault.invariant == invariant]
        table.add_row(invariant, "[red]broken[/red]" if broken else "holds")
    console.print(table)
    for fault in findings.faults:
        more = f" and {len(fault.ids) - _NAMED} more" if len(fault.ids) > _NAMED else ""
        console.print(f"{fault.what}: {', '.join(_named_ids(fault))}{more}", soft_wrap=True)
    repeated = ", ".join(f"{count} {kind}" for kind, count in sorted(findings.repeated.items()) if count)
    console.print(f"written again, the same: {repeated or 'nothing'}" if not findings.unread else "")
