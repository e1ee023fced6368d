"""The whole of the system in one place: topics, and the roles that read and write them. Data, no behaviour."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from textwrap import wrap
from typing import Literal

from schemas import (
    Annotation,
    AnnotationRequest,
    Assignment,
    CodeEvent,
    DeadLetter,
    Decision,
    DriftAlert,
    ModelRelease,
    Proposals,
    Record,
    Segment,
    StudyRules,
)

Cleanup = Literal["delete", "compact", "never"]
DAY_MS = 24 * 3600 * 1000
LARGEST_MESSAGE = 5 * 1024 * 1024
"""Bytes of the largest record that is written."""
LARGEST_BATCH = LARGEST_MESSAGE + 64 * 1024
"""What a topic must take: the largest record with its key, its headers and the batch that it travels in."""
REPLICAS_IN_SYNC = 2
"""From three replicas on a write is confirmed by so many: one broker may be away, and one more may burn."""


@dataclass(frozen=True)
class Topic:
    """A Kafka topic: what its messages are, and how long they stay."""

    name: str
    record: type[Record]
    key: str
    cleanup: Cleanup
    keep_days: int = 14
    from_outside: str = ""  # who writes it where no role does
    also: str = ""  # who writes it beside the roles

    def config(self, replication: int) -> dict[str, str]:
        """The topic's settings at the brokers, where it has so many replicas."""
        settings = {"cleanup.policy": "compact" if self.cleanup == "compact" else "delete"}
        if self.cleanup != "compact":
            settings["retention.ms"] = str(-1 if self.cleanup == "never" else self.keep_days * DAY_MS)
            settings["retention.bytes"] = "-1"
        settings["max.message.bytes"] = str(LARGEST_BATCH)
        settings["min.insync.replicas"] = str(REPLICAS_IN_SYNC if replication > REPLICAS_IN_SYNC else 1)
        return settings


@dataclass(frozen=True)
class Role:
    """A kind of worker. All workers of a role share one consumer group."""

    name: str
    reads: tuple[Topic, ...]
    writes: tuple[Topic, ...]
    does: str
    batch: int
    wait_s: float
    side_inputs: tuple[Topic, ...] = ()
    """What every worker of the role listens to beside its batches, outside the consumer group."""
    recalls: tuple[Topic, ...] = ()
    """What it reads besides: as it starts, or when partitions come to it from another worker."""
    has_members: bool = False
    """Whether its work may be split over processes by the profile's members, each part with a group of its own."""
    for_people: bool = False
    """Whether it serves what people do; the other roles code what comes in."""

    @property
    def topics(self) -> tuple[Topic, ...]:
        """Every topic that it reads or writes, each once."""
        return tuple(dict.fromkeys([*self.reads, *self.side_inputs, *self.recalls, *self.writes]))


FEEDBACK = Topic("feedback", Segment, "segment id", "delete")
PROPOSALS = Topic("proposals", Proposals, "segment id", "delete")
DECISIONS = Topic("decisions", Decision, "study", "delete")
ASSIGNMENTS = Topic("assignments", Assignment, "segment id", "compact")
CODEBOOK = Topic("codebook", CodeEvent, "code id", "never", also="themes, teach")
REQUESTS = Topic("annotation.requests", AnnotationRequest, "segment id", "compact")
LABELS = Topic("annotation.labels", Annotation, "segment id + annotator", "never", also="teach")
STUDIES = Topic("studies", StudyRules, "study", "compact")
RELEASES = Topic("model.releases", ModelRelease, "model name + outcome", "compact", also="learn rollback")
ALERTS = Topic("drift.alerts", DriftAlert, "study", "delete", keep_days=365)
DEAD_LETTERS = Topic("dead-letters", DeadLetter, "original key", "delete", keep_days=365)

TOPICS = (
    FEEDBACK,
    PROPOSALS,
    DECISIONS,
    ASSIGNMENTS,
    CODEBOOK,
    REQUESTS,
    LABELS,
    STUDIES,
    RELEASES,
    ALERTS,
    DEAD_LETTERS,
)

ROLES = (
    Role("ingest", (), (FEEDBACK, DEAD_LETTERS), "publishes what was taken in", 500, 0.2),
    Role(
        "coders",
        (FEEDBACK,),
        (PROPOSALS, DEAD_LETTERS),
        "every member reads the segment",
        16,
        0.3,
        (RELEASES, CODEBOOK),
        (PROPOSALS,),
        has_members=True,
    ),
    Role(
        "moderator",
        (PROPOSALS,),
        (DECISIONS, DEAD_LETTERS),
        "settles on one label",
        16,
        0.2,
        (LABELS, CODEBOOK),
        (DECISIONS,),
    ),
    Role(
        "refiner",
        (DECISIONS,),
        (ASSIGNMENTS, CODEBOOK, DEAD_LETTERS),
        "reuses or creates a code",
        256,
        0.1,
        (CODEBOOK, STUDIES),
        (ASSIGNMENTS, LABELS),
    ),
    Role(
        "router",
        (ASSIGNMENTS,),
        (ASSIGNMENTS, REQUESTS, DEAD_LETTERS),
        "gives confidence and route",
        256,
        0.1,
        (LABELS, STUDIES, RELEASES),
        (REQUESTS,),
    ),
    Role(
        "trainer",
        (LABELS,),
        (RELEASES, REQUESTS, DEAD_LETTERS),
        "learns from people's labels",
        256,
        0.2,
        (CODEBOOK, STUDIES, RELEASES, ALERTS),
        for_people=True,
    ),
    Role("recorder", TOPICS, (DEAD_LETTERS,), "fills the SQL read model", 500, 0.2),
    Role("monitor", (), (ALERTS,), "watches what was coded for drift", 500, 0.2, for_people=True),
    Role(
        "web",
        (),
        (LABELS, CODEBOOK, REQUESTS, STUDIES, RELEASES),
        "people code, run the codebook",
        500,
        0.2,
        for_people=True,
    ),
)


def topic(name: str) -> Topic:
    """Find a topic by name; raises ``KeyError`` for a name that is not in the table."""
    return {topic.name: topic for topic in TOPICS}[name]


def role(name: str) -> Role:
    """Find a role by name; raises ``KeyError`` for a name that is not in the table."""
    return {role.name: role for role in ROLES}[name]


def describe() -> str:
    """The table that ``qualstream topology`` prints and docs/architecture.md shows."""
    lines = _row(_ROLE_WIDTHS, "role", "reads", "writes", "does")
    for role in ROLES:
        reads = "every topic" if role.reads == TOPICS else ", ".join(each.name for each in role.reads) or "-"
        writes = ", ".join(each.name for each in role.writes if each is not DEAD_LETTERS) or "-"
        aside = "; also listens to " + ", ".join(each.name for each in role.side_inputs) if role.side_inputs else ""
        lines += _row(_ROLE_WIDTHS, role.name, reads, writes, role.does + aside)
    lines += ["", *_row(_TOPIC_WIDTHS, "topic", "record", "key", "written by", "cleanup")]
    for each in TOPICS:
        roles = [role.name for role in ROLES if each in role.writes]
        writers = ", ".join([*roles, each.also] if each.also else roles) or each.from_outside
        writers = "every role" if each is DEAD_LETTERS else writers
        cleanup = f"delete after {each.keep_days} days" if each.cleanup == "delete" else each.cleanup
        lines += _row(_TOPIC_WIDTHS, each.name, each.record.__name__, each.key, writers, cleanup)
    return "\n".join(lines)


_ROLE_WIDTHS = (10, 18, 38, 50)
_TOPIC_WIDTHS = (20, 18, 23, 28, 22)


def _row(widths: Sequence[int], *cells: str) -> list[str]:
    """A row's lines: a cell that is wider than its column goes on below."""
    wrapped = [wrap(cell, width, break_long_words=False) for cell, width in zip(cells, widths, strict=True)]
    return [
        " ".join(f"{part:<{width}}" for part, width in zip(parts, widths, strict=True)).rstrip()
        for parts in zip_longest(*wrapped, fillvalue="")
    ]
