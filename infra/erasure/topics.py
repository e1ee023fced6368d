"""Erasing from the topics: deletions under the keys of what was erased, and what the brokers keep all the same."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from schemas import Annotation
from streams.cluster import Cluster
from streams.publish import KafkaPublisher, Outgoing, outgoing
from streams.topics import create_topics
from streams.topology import ASSIGNMENTS, DEAD_LETTERS, DECISIONS, FEEDBACK, LABELS, PROPOSALS, REQUESTS, TOPICS

_BY_SEGMENT = (FEEDBACK, PROPOSALS, ASSIGNMENTS, REQUESTS, DEAD_LETTERS)
"""Topics whose key is the segment's id."""


def deletions(ids: Iterable[UUID]) -> list[Outgoing]:
    """A message without a value for each segment on each topic that has it under its id."""
    return [Outgoing(topic.name, str(id_).encode(), None) for id_ in ids for topic in _BY_SEGMENT]


def withdrawals(labels: Iterable[tuple[UUID, str, str]], at: datetime) -> list[Outgoing]:
    """For each label a word that takes it back, so that nothing goes on learning from it, and then its deletion.

    Args:
        labels: Segment, study and annotator.
        at: When they are taken back.
    """
    messages = []
    for segment, study, annotator in labels:
        back = Annotation(
            segment_id=segment,
            study=study,
            annotator=annotator,
            code_ids=[],
            labels=[],
            withdrawn=True,
            blind=True,
            decided_at=at,
        )
        word = outgoing(back)
        messages += [word, Outgoing(word.topic, word.key, None)]
    return messages


async def send(messages: Sequence[Outgoing], cluster: Cluster) -> Counter[str]:
    """Write deletions; returns when the brokers have confirmed them.

    Returns:
        How many by topic.
    """
    await create_topics(cluster)
    publisher = KafkaPublisher(cluster)
    await publisher.start()
    try:
        await publisher.send(messages)
    finally:
        await publisher.stop()
    return Counter(message.topic for message in messages if message.value is None)


def kept_by_brokers(*, embedded: bool) -> list[str]:
    """What the brokers keep after the deletions, and until when."""
    if embedded:
        return ["the local stack's broker keeps the messages in its memory until `qualstream up` is stopped"]
    compacted = ", ".join(topic.name for topic in TOPICS if topic.cleanup == "compact")
    expiring = ", ".join(
        f"{topic.name} ({topic.keep_days} days)" for topic in (FEEDBACK, PROPOSALS, DECISIONS, DEAD_LETTERS)
    )
    return [
        f"topics that are compacted ({compacted}) forget the messages when the brokers next compact them",
        f"topics that expire keep the messages until then: {expiring}",
        f"{LABELS.name} keeps what people decided for ever; every reader drops it now, and the brokers delete it with "
        f"kafka-delete-records.sh up to an offset, or with the topic; the read model publishes it anew without this",
    ]
