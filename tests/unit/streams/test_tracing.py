"""A segment's trail through the topics: one trace from review to code to a person's label, and its age."""

from uuid import UUID

import pytest

from models.fakes import FakeCoder, HandClock, HashEmbedder, MemoryCodeIndex
from models.moderation.decision import ConsensusModerator
from models.moderation.proposal_join import JoinSettings, ProposalJoin
from models.refinement.refiner import Refiner
from models.routing.router import Router
from schemas import CodeEvent
from streams.publish import Outgoing, outgoing
from streams.stage import Received
from streams.stages.coders import CodersStage
from streams.stages.moderator import ModeratorStage
from streams.stages.refiner import RefinerStage
from streams.stages.router import RouterStage
from streams.topology import ASSIGNMENTS, CODEBOOK, DEAD_LETTERS, FEEDBACK, LABELS, REQUESTS, role
from streams.tracing import TAKEN_AT, TRACEPARENT, SegmentTracer, segment_in, span_id
from tests.unit.builders import decision, judgement, rules, segment

TAKEN_MS = 1_767_225_600_000
HOSTILE = "DROP my card number is 4111 1111 1111 1111"
ONE = segment(HOSTILE)


class Kept(list):
    """Spans, kept."""

    def keep(self, spans):
        self.extend(spans)

    def of(self, one):
        return {span.name: span for span in self if span.trace == one.id.int}


def stages():
    """The coding roles' stages over fakes, in the order of the topics."""
    embeds, clock = HashEmbedder(), HandClock()
    join = ProposalJoin(JoinSettings(("a", "b", "c"), 2, 30, 300), clock)
    asking = rules(mode="threshold", threshold=1.0, audit_share=0)
    return {
        "coders": CodersStage(FakeCoder(varied=True), 200, clock),
        "moderator": ModeratorStage(ConsensusModerator(embeds), join, clock),
        "refiner": RefinerStage(Refiner(MemoryCodeIndex(), embeds, clock), clock),
        "router": RouterStage(Router(lambda study: asking), clock),
    }


def received(message, offset=0, sent_ms=TAKEN_MS, headers=None):
    given = message.headers if headers is None else headers
    return Received(message.topic, 0, offset, message.key, message.value, given, sent_ms, (sent_ms + 5) * 1_000_000)


def told(tracer, done, send):
    traced = tracer.pass_on(done, send)
    tracer.report(traced, TAKEN_MS * 1_000_000, len(done))
    return traced


def through(spans, segments, share=1.0):
    """What every role wrote, from ingest to router."""
    first = [Outgoing(FEEDBACK.name, str(one.id).encode(), one.to_bytes()) for one in segments]
    ingest = SegmentTracer(role("ingest"), (), spans, share)
    traced = ingest.begin(first)
    ingest.report(traced, TAKEN_MS * 1_000_000, len(first))
    wrote = {"ingest": list(traced.send)}
    for name, stage in stages().items():
        reads = {topic.name for topic in role(name).reads}
        batch = [received(one, n) for n, one in enumerate([*wrote.values()][-1]) if one.topic in reads]
        result = stage.step(batch)
        wrote[name] = list(told(SegmentTracer(role(name), (), spans, share), result.done, result.messages).send)
    return wrote


def header(message, name):
    return dict(message.headers).get(name)


def test_a_segment_s_spans_form_one_trace_from_its_publication_to_a_person_s_label():
    spans = Kept()
    through(spans, [ONE, segment("another")])
    people = SegmentTracer(role("web"), (), spans)
    label = outgoing(judgement(0).model_copy(update={"segment_id": ONE.id, "text": HOSTILE}))
    (sent,) = people.begin([label]).send
    people.report(people.begin([label]), TAKEN_MS * 1_000_000, 1)
    told(SegmentTracer(role("trainer"), (), spans), [received(sent)], [])
    trace = spans.of(ONE)
    parents = {
        name: next((other for other, two in trace.items() if two.id == one.parent), None) for name, one in trace.items()
    }
    assert parents == {
        "ingest": None,
        "coders": "ingest",
        "moderator": "coders",
        "refiner": "moderator",
        "router": "refiner",
        "web annotation.labels": "router",
        "trainer": "web annotation.labels",
    }
    batches = {(span.trace, span.id) for span in spans if span.name.endswith(" batch")}
    assert all(set(span.linked) <= batches and len(span.linked) == 1 for span in trace.values())


def test_the_same_work_done_again_is_told_under_the_same_ids():
    once, again = Kept(), Kept()
    through(once, [ONE])
    through(again, [ONE])
    assert {name: (span.id, span.parent) for name, span in once.of(ONE).items()} == {
        name: (span.id, span.parent) for name, span in again.of(ONE).items()
    }


def test_no_span_holds_anything_of_a_text():
    spans = Kept()
    through(spans, [ONE])
    told(SegmentTracer(role("coders"), (), spans), [received(Outgoing(FEEDBACK.name, b"k", HOSTILE.encode()))], [])
    assert spans
    for span in spans:
        assert not any(word in str(span) for word in ("DROP", "card", "4111 1111"))  # ids have four digits by chance


def test_every_message_about_a_segment_says_its_trace_and_when_it_was_published():
    wrote = through(Kept(), [ONE])
    hexadecimal = ONE.id.hex.encode()
    for name in ("coders", "moderator", "refiner", "router"):
        for message in wrote[name]:
            if message.topic == CODEBOOK.name:
                assert message.headers == ()  # a code's, not the segment's
                continue
            assert header(message, TRACEPARENT) == b"00-%s-%016x-01" % (
                hexadecimal,
                span_id(str(ONE.id).encode(), name),
            )
            assert header(message, TAKEN_AT) == b"%d" % TAKEN_MS
    assert {message.topic for message in wrote["router"]} == {ASSIGNMENTS.name, REQUESTS.name}


def test_how_old_a_segment_is_counts_once_a_step_and_not_for_what_was_set_aside():
    one = Outgoing(ASSIGNMENTS.name, str(ONE.id).encode(), b"{}")
    asked = one._replace(topic=REQUESTS.name)
    letter = one._replace(topic=DEAD_LETTERS.name)
    origin = received(one, headers=((TAKEN_AT, b"123"),))
    tracer = SegmentTracer(role("router"))
    assert tracer.pass_on([origin], [one, asked]).taken_ms == [123]
    assert tracer.pass_on([origin], [letter]).taken_ms == []
    assert tracer.pass_on([received(one, headers=())], [one]).taken_ms == []  # nobody said when


def test_a_worker_that_tells_no_spans_passes_the_trail_on():
    traced = through(Kept(), [ONE])
    batch = [received(one) for one in traced["coders"]]
    result = stages()["moderator"].step(batch)
    (message,) = SegmentTracer(role("moderator")).pass_on(result.done, result.messages).send
    assert header(message, TRACEPARENT) == header(traced["coders"][0], TRACEPARENT)
    assert header(message, TAKEN_AT) == b"%d" % TAKEN_MS


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"\xff\xfe",
        b"00-zz-11-01",
        b"00-" + b"0" * 32 + b"-1111111111111111-01",
        b"00-" + b"1" * 32 + b"-" + b"0" * 16 + b"-01",
        b"9" * 5000,
    ],
)
def test_headers_that_mean_nothing_are_passed_over(given):
    spans = Kept()
    message = Outgoing(FEEDBACK.name, str(ONE.id).encode(), ONE.to_bytes())
    out = Outgoing("proposals", message.key, b"{}")
    batch = [received(message, headers=((TRACEPARENT, given), (TAKEN_AT, b"-" + given)))]
    traced = told(SegmentTracer(role("coders"), (), spans), batch, [out])
    assert traced.taken_ms == [TAKEN_MS]
    assert spans.of(ONE)["coders"].parent is None


def test_a_producer_s_own_trace_is_linked_and_the_segment_s_begins():
    spans = Kept()
    message = Outgoing(FEEDBACK.name, b"of their own", ONE.to_bytes())
    theirs = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    told(SegmentTracer(role("coders"), (), spans), [received(message, headers=((TRACEPARENT, theirs),))], [])
    span = spans.of(ONE)["coders"]
    assert span.parent is None
    assert (0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331) in span.linked


def test_what_a_role_wrote_itself_and_reads_again_is_not_told_twice():
    spans = Kept()
    wrote = through(spans, [ONE])
    before = len(spans)
    told(
        SegmentTracer(role("router"), (), spans),
        [received(one) for one in wrote["router"] if one.topic == ASSIGNMENTS.name],
        [],
    )
    assert len(spans) == before


def test_members_that_live_apart_have_spans_of_their_own_and_the_recorder_one_a_topic():
    spans = Kept()
    wrote = through(Kept(), [ONE])
    for part in ("a", "b"):
        told(SegmentTracer(role("coders"), (part,), spans), [received(one) for one in wrote["ingest"]], [])
    told(SegmentTracer(role("recorder"), (), spans), [received(one) for name in wrote for one in wrote[name]], [])
    names = spans.of(ONE)
    assert {"coders-a", "coders-b", "recorder feedback", "recorder decisions", "recorder assignments"} <= names.keys()
    assert len({span.id for span in spans}) == len(spans)


def test_a_share_of_the_segments_is_traced_the_same_ones_by_every_role():
    spans, many = Kept(), [segment(f"text {n}") for n in range(200)]
    through(spans, many, share=0.25)
    traced = [one for one in many if spans.of(one)]
    assert 25 < len(traced) < 75
    assert all(len(spans.of(one)) == 5 for one in traced)


def test_a_dead_letter_is_told_as_a_failure_of_its_segment():
    spans = Kept()
    empty = ONE.model_copy(update={"text": " "})
    message = Outgoing(FEEDBACK.name, str(empty.id).encode(), empty.to_bytes())
    result = stages()["coders"].step([received(message)])
    told(SegmentTracer(role("coders"), (), spans), result.done, result.messages)
    assert spans.of(empty)["coders"].failed
    assert spans.of(empty)["coders"].facts["qualstream.sent"] == DEAD_LETTERS.name


@pytest.mark.parametrize(
    ("topic", "key", "value"),
    [
        (FEEDBACK.name, None, None),
        (FEEDBACK.name, b"k", b"\xff\x00"),
        (FEEDBACK.name, b"k", b'{"text": "\\"id\\":\\"00000000-0000-0000-0000-000000000001\\""}'),
        (CODEBOOK.name, str(ONE.id).encode(), b"{}"),
        ("studies", str(ONE.id).encode(), b"{}"),
        ("nobody's", str(ONE.id).encode(), b"{}"),
    ],
)
def test_no_segment_is_read_into_what_names_none(topic, key, value):
    assert segment_in(topic, key, value) is None


def test_a_segment_is_found_in_every_record_that_is_about_one():
    said = judgement(0)
    assert UUID(segment_in(LABELS.name, outgoing(said).key, None).decode()) == said.segment_id
    made = decision("slow login", "1")
    assert UUID(segment_in("decisions", b"reviews", made.to_bytes()).decode()) == made.segment.id
    assert UUID(segment_in(FEEDBACK.name, b"theirs", ONE.to_bytes()).decode()) == ONE.id


def test_a_segment_whose_id_is_no_trace_id_is_coded_and_not_traced():
    spans, nil = Kept(), ONE.model_copy(update={"id": UUID(int=0)})
    wrote = through(spans, [nil])
    assert spans == []
    assert [header(message, TAKEN_AT) for message in wrote["coders"]] == [b"%d" % TAKEN_MS]
    assert (
        CodeEvent.from_bytes(next(one.value for one in wrote["refiner"] if one.topic == CODEBOOK.name)).kind
        == "created"
    )
