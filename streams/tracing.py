"""The trail of each segment through the topics: headers in, headers out, a span for each role.

A segment's trace has the segment's own id, and a span's id follows from segment and role. So a person's label joins the
trace weeks later although nothing was kept for it, and what is done again is told under the same ids.
"""

import random
import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from time import time_ns
from typing import NamedTuple

from streams.metrics import Span, Spans
from streams.publish import Header, Outgoing
from streams.stage import Received
from streams.topology import ASSIGNMENTS, DEAD_LETTERS, DECISIONS, FEEDBACK, LABELS, PROPOSALS, REQUESTS, Role

TRACEPARENT, TAKEN_AT = "traceparent", "taken-at"
"""Headers of messages: W3C's trace context, and when the segment was published, in milliseconds of Unix time."""

_UUID = rb"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
_BEGINS_WITH_ID = re.compile(_UUID)
_SEGMENT_INSIDE = re.compile(rb'\{"schema_version":1,"(?:segment":\{"schema_version":1,")?id":"' + _UUID)
_PARENT = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}$")
_NUMBER = re.compile(rb"\d{1,15}$")
_KEYED = frozenset(topic.name for topic in (FEEDBACK, PROPOSALS, ASSIGNMENTS, REQUESTS, LABELS, DEAD_LETTERS))
_INSIDE = frozenset((FEEDBACK.name, DECISIONS.name))
_ASKS = "router"  # the role whose span a person's decision follows


class SegmentSpan(NamedTuple):
    """A segment with a role."""

    segment: bytes
    id: int
    parent: int | None
    foreign_parent: tuple[int, int] | None
    origin: Received | None
    topic: str


class TracedBatch(NamedTuple):
    """A step's messages, with their headers, and what is to be told once they were delivered."""

    send: Sequence[Outgoing]
    taken_ms: Sequence[int] = ()
    """When each segment that something was written about was published."""
    segment_spans: Sequence[SegmentSpan] = ()
    sent: Mapping[bytes, Sequence[str]] = {}
    """The topics written to, by segment."""


class SegmentTracer:
    """Follows segments through one worker."""

    def __init__(self, role: Role, part: Sequence[str] = (), spans: Spans | None = None, share: float = 1.0) -> None:
        """Follow nothing yet.

        Args:
            role: The worker's.
            part: The members that live here, where not all do: their spans are not those of the other workers.
            spans: Where spans go; without it headers are only passed on.
            share: Of all segments the share whose spans are told, 0 to 1; the same segments by every role.
        """
        self._name = "-".join([role.name, *sorted(part)])
        self._reads_one = len(role.reads) == 1
        self._spans = spans
        self._below = int(share * 2**32)

    def pass_on(self, done: Sequence[Received], send: Sequence[Outgoing]) -> TracedBatch:
        """Put headers to what came of messages.

        Args:
            done: The messages that a step has finished.
            send: What came of them.
        """
        origins: dict[bytes, Received] = {}
        segment_spans: dict[tuple[bytes, str], SegmentSpan] = {}
        for message in done:
            segment = segment_in(message.topic, message.key, message.value)
            if segment is None or message.topic == DEAD_LETTERS.name:  # whose key may be anything
                continue
            origins.setdefault(segment, message)
            if self._spans is not None and (segment, message.topic) not in segment_spans and self._is_sampled(segment):
                segment_spans[segment, message.topic] = self._segment_span(segment, message)
        out: list[Outgoing] = []
        taken_ms: list[int] = []
        sent: dict[bytes, list[str]] = {}
        headers: dict[bytes, tuple[Header, ...]] = {}
        for each in send:
            segment = segment_in(each.topic, each.key, each.value)
            origin = origins.get(segment) if segment is not None else None
            if segment is None or origin is None:
                out.append(each)
                continue
            if segment in sent:
                sent[segment].append(each.topic)
            else:
                sent[segment] = [each.topic]
                taken = _taken_ms(origin)
                headers[segment] = self._headers(origin, taken, segment_spans.get((segment, origin.topic)))
                if taken is not None and each.topic != DEAD_LETTERS.name:
                    taken_ms.append(taken)
            out.append(Outgoing(each.topic, each.key, each.value, headers[segment]))
        others = [span for span in segment_spans.values() if span.parent != span.id]  # else it reads what it wrote
        return TracedBatch(out, taken_ms, others, sent)

    def begin(self, messages: Sequence[Outgoing]) -> TracedBatch:
        """Put headers to what comes from outside: segments, and what people say about them."""
        if self._spans is None:
            return TracedBatch(messages)
        out, segment_spans = [], []
        for each in messages:
            segment = segment_in(each.topic, each.key, each.value)
            if segment is None or not self._is_sampled(segment):
                out.append(each)
                continue
            first = each.topic == FEEDBACK.name
            own = span_id(segment, self._name if first else each.topic, b"" if first else each.key)
            parent = None if first else span_id(segment, _ASKS)
            segment_spans.append(SegmentSpan(segment, own, parent, None, None, each.topic))
            out.append(Outgoing(each.topic, each.key, each.value, (_traceparent(segment, own),)))
        return TracedBatch(out, (), segment_spans)

    def report(self, traced: TracedBatch, began_ns: int, size: int) -> None:
        """Report a step whose messages were delivered.

        Args:
            traced: What ``pass_on`` or ``begin`` gave.
            began_ns: When it began, in Unix time.
            size: Messages in the batch.
        """
        if self._spans is None or not traced.segment_spans:
            return
        ended_ns = time_ns()
        step = (random.getrandbits(128) or 1, random.getrandbits(64) or 1)
        spans = [Span(f"{self._name} batch", *step, None, began_ns, ended_ns, {"qualstream.batch": size})]
        for span in traced.segment_spans:
            spans.append(self._span(span, step, (began_ns, ended_ns), traced.sent.get(span.segment, ())))
        self._spans.keep(spans)

    def _span(self, span: SegmentSpan, step: tuple[int, int], time: tuple[int, int], sent: Sequence[str]) -> Span:
        began_ns, ended_ns = time
        facts: dict[str, str | int] = {
            "qualstream.segment": span.segment.decode("ascii"),
            "messaging.system": "kafka",
            "messaging.destination.name": span.topic,
        }
        if span.origin is not None:
            began_ns = span.origin.read_ns or began_ns  # a message that was held came with an earlier batch
            facts["messaging.destination.partition.id"] = str(span.origin.partition)
            facts["messaging.kafka.offset"] = span.origin.offset
            facts["qualstream.waited_ms"] = max(0, began_ns // 1_000_000 - span.origin.sent_ms)
        if sent:
            facts["qualstream.sent"] = ",".join(sorted(set(sent)))
        only = self._reads_one if span.origin is not None else span.topic == FEEDBACK.name
        name = self._name if only else f"{self._name} {span.topic}"
        linked = (step,) if span.foreign_parent is None else (step, span.foreign_parent)
        failed = DEAD_LETTERS.name in sent
        return Span(name, _trace(span.segment), span.id, span.parent, began_ns, ended_ns, facts, linked, failed)

    def _segment_span(self, segment: bytes, message: Received) -> SegmentSpan:
        parent, foreign_parent = None, None
        match = _PARENT.match(_header(message.headers, TRACEPARENT) or b"")
        if match is not None:
            trace, span = int(match[1], 16), int(match[2], 16)
            if trace == _trace(segment):
                parent = span
            else:  # who published it traces by rules of its own
                foreign_parent = (trace, span)
        several = b"" if self._reads_one else b"%s %d" % (message.topic.encode(), parent or 0)
        own = span_id(segment, self._name, several)
        return SegmentSpan(segment, own, parent, foreign_parent, message, message.topic)

    def _headers(self, origin: Received, taken_ms: int | None, span: SegmentSpan | None) -> tuple[Header, ...]:
        headers = [] if taken_ms is None else [(TAKEN_AT, b"%d" % taken_ms)]
        if span is not None:
            headers.append(_traceparent(span.segment, span.id))
        elif (given := _header(origin.headers, TRACEPARENT)) is not None:
            headers.append((TRACEPARENT, given))  # who follows may tell spans although this worker does not
        return tuple(headers)

    def _is_sampled(self, segment: bytes) -> bool:
        return int(segment[:8], 16) < self._below and _trace(segment) != 0


def segment_in(topic: str, key: bytes | None, value: bytes | None) -> bytes | None:
    """The id of the segment that a message is about, as it is written there; ``None`` where none can be told."""
    match = _BEGINS_WITH_ID.match(key) if key and topic in _KEYED else None
    if match is None and value and topic in _INSIDE:
        match = _SEGMENT_INSIDE.match(value)
    return None if match is None else match[1]


def span_id(segment: bytes, name: str, which: bytes = b"") -> int:
    """The id of a role's span of a segment, 64 bits, never 0; ``which`` tells several apart."""
    digest = blake2b(b"\0".join((segment, name.encode(), which)), digest_size=8)
    return int.from_bytes(digest.digest(), "big") or 1


def _trace(segment: bytes) -> int:
    return int(segment.replace(b"-", b""), 16)


def _traceparent(segment: bytes, span: int) -> Header:
    return TRACEPARENT, b"00-%s-%016x-01" % (segment.replace(b"-", b""), span)


def _header(headers: Sequence[Header], name: str) -> bytes | None:
    for key, value in headers:
        if key == name:
            return value
    return None


def _taken_ms(message: Received) -> int | None:
    """When the message's segment was published, if that is known."""
    given = _header(message.headers, TAKEN_AT)
    if given is not None and _NUMBER.match(given):
        return int(given)
    return message.sent_ms if message.topic == FEEDBACK.name and message.sent_ms > 0 else None
