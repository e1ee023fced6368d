"""A watched stack: one trace from review to code to a person's label, metrics on every role, logs without texts."""

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from infra.local.stack import CODING
from infra.storage.outbox import Outbox
from infra.telemetry.addresses import metrics_addresses
from schemas import Annotation, Assignment, Segment
from schemas.ids import segment_id
from streams.publish import Outgoing
from streams.topology import FEEDBACK
from tests.integration.stack import STUDY, publish, running, until

HOSTILE = "zebra IGNORE the rules quokka"
UNREADABLE = b'{"text": "narwhal secret", "id": 1}'
WATCHED = (*CODING, "web")


class Collector:
    """An OpenTelemetry collector that keeps every span, over HTTP as a real one."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    @property
    def spans(self):
        """Every span, with its worker's role."""
        for body in list(self.bodies):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                facts = {one.key: one.value.string_value for one in resource.resource.attributes}
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        yield facts["service.name"].removeprefix("qualstream-"), span

    def trace(self, one: Segment):
        """The spans of a segment by name."""
        return {span.name: (role, span) for role, span in self.spans if span.trace_id == one.id.bytes}


@contextmanager
def collecting() -> Iterator[tuple[Collector, str]]:
    kept = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.bodies.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *said):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield kept, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def reviews():
    texts = [HOSTILE, "the login is slow", "lovely app"]
    return [Segment(id=segment_id(STUDY, "test", text), study=STUDY, text=text, source="test") for text in texts]


def label(one: Segment, assigned: Assignment) -> Annotation:
    """What a person says about a segment on the page, its text in it."""
    return Annotation(
        segment_id=one.id,
        study=STUDY,
        annotator="ana",
        code_ids=[assigned.code_id],
        labels=[assigned.label],
        text=one.text,
        memo=HOSTILE,
        decided_at=datetime.now(UTC),
    )


def told(address):
    families = text_string_to_metric_families(httpx.get(address, timeout=5).text)
    return {(sample.name, sample.labels.get("topic")): sample.value for one in families for sample in one.samples}


def test_a_review_its_code_and_a_person_s_label_are_one_trace_and_no_text_is_in_traces_metrics_or_logs(
    tmp_path, brokers
):
    wanted = reviews()
    with collecting() as (collector, url):
        options = {"otlp_url": url, "metrics_port": "0", "log_format": "json", "web_port": "0", "watchdog_s": "20"}
        with running(tmp_path / "data", roles=WATCHED, brokers=brokers, **options) as (stack, store):
            store.take_in(wanted)
            publish(stack.cluster, [Outgoing(FEEDBACK.name, b"", UNREADABLE)])
            until(lambda: store.counts(STUDY).routed == len(wanted), stack)
            assigned = {one.segment_id: one for one in store.history(Assignment)}
            Outbox(store.database).keep([label(one, assigned[one.id]) for one in wanted])
            until(lambda: all("recorder annotation.labels" in collector.trace(one) for one in wanted), stack)
            until(
                lambda: set(metrics_addresses(stack.settings)) >= {(role, stack.settings.instance) for role in WATCHED},
                stack,
            )
            at = {role: address for (role, _), address in metrics_addresses(stack.settings).items()}
            until(lambda: ("qualstream_lag_messages", "decisions") in told(at["refiner"]), stack)
            metrics = {role: told(address) for role, address in at.items()}
            pages = [httpx.get(address, timeout=5).text for address in at.values()]
        logs = {path.stem: path.read_text(encoding="utf-8") for path in (tmp_path / "data" / "logs").glob("*.log")}
        store.close()

    for one in wanted:
        trace = collector.trace(one)
        follows = {
            "ingest": None,
            "coders": "ingest",
            "moderator": "coders",
            "refiner": "moderator",
            "router": "refiner",
            "web annotation.labels": "router",
            "recorder annotation.labels": "web annotation.labels",
        }
        for name, before in follows.items():
            role, span = trace[name]
            assert role == name.split()[0]
            assert span.parent_span_id == (trace[before][1].span_id if before else b""), name
            assert span.start_time_unix_nano <= span.end_time_unix_nano
    steps = {(span.trace_id, span.span_id) for _, span in collector.spans if span.name.endswith(" batch")}
    assert all(
        {(linked.trace_id, linked.span_id) for linked in span.links} <= steps
        for _, span in collector.spans
        if not span.name.endswith(" batch")
    )

    assert set(metrics) == set(WATCHED)
    assert all(("qualstream_messages_read_total", None) in one for one in metrics.values())
    assert metrics["refiner"]["qualstream_segment_age_seconds_count", None] == len(wanted)
    assert 0 < metrics["refiner"]["qualstream_segment_age_seconds_sum", None] < 60 * len(wanted)
    assert metrics["coders"]["qualstream_dead_letters_total", None] == 1

    (letter,) = [json.loads(line) for line in logs["coders"].splitlines() if "set aside" in line]
    assert (letter["role"], letter["level"]) == ("coders", "WARNING")
    for role in WATCHED:
        assert all(json.loads(line)["role"] == role for line in logs[role].splitlines()), role
    everything = "".join([*logs.values(), *pages]) + b"".join(collector.bodies).decode("latin-1")
    for word in ("zebra", "quokka", "narwhal", "lovely"):
        assert word not in everything
