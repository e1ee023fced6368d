"""A worker's tallies as Prometheus reads them, put together when they are asked for: a record costs nothing.

Labels are role, topic, device and kind, of which there are few; never a study, a segment or a code.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from models.backends.token_usage import TokenUsage
from models.errors import SettingError, UnavailableError
from streams.metrics import Histogram
from streams.runner import Progress

_COUNTERS = (
    ("qualstream_messages_read", "Messages read.", "read"),
    ("qualstream_messages_finished", "Messages acknowledged.", "finished"),
    ("qualstream_messages_written", "Messages written, dead letters aside.", "written"),
    ("qualstream_dead_letters", "Messages set aside.", "dead_lettered"),
    ("qualstream_errors", "What went wrong, whether it was tried again or ended the worker.", "errors"),
)
_TALLIES = (
    ("qualstream_batch_messages", "Messages a batch.", "sizes"),
    ("qualstream_step_seconds", "Work on a batch, models included.", "step_s"),
    (
        "qualstream_delivery_seconds",
        "From the end of the work until all that came of it was confirmed.",
        "delivery_s",
    ),
    (
        "qualstream_segment_age_seconds",
        "From a segment's publication until what the role wrote about it was confirmed.",
        "ages_s",
    ),
)


@dataclass(frozen=True)
class Gauge:
    """A number that is looked up when it is asked for."""

    name: str
    says: str
    value: Callable[[], float]


@dataclass(eq=False)
class RoleMetrics:
    """A collector for Prometheus: one worker's progress, and what else its role can tell."""

    role: str
    gauges: tuple[Gauge, ...] = ()
    progress: Progress = field(default_factory=Progress)
    usage: TokenUsage = field(default_factory=TokenUsage)

    def collect(self) -> Iterator[Any]:
        """Everything there is to tell, now."""
        yield from self._counters()
        for name, says, what in _TALLIES:
            yield self._histogram(name, says, getattr(self.progress, what))
        yield self._gauge("qualstream_in_flight_messages", "Messages read, not acknowledged.", self.progress.in_flight)
        started = self.progress.started_at.timestamp()
        yield self._gauge(
            "qualstream_started_timestamp_seconds", "When the worker started; changes count restarts.", started
        )
        if self.progress.last_commit_at is not None:
            last = self.progress.last_commit_at.timestamp()
            yield self._gauge("qualstream_last_commit_timestamp_seconds", "When messages were acknowledged last.", last)
        yield self._lags()
        yield from _gpu_memory(self.role)
        for gauge in self.gauges:
            try:
                yield self._gauge(gauge.name, gauge.says, gauge.value())
            except UnavailableError:
                continue  # no number is better than a wrong one

    def _counters(self) -> Iterator[Any]:
        values = [(name, says, getattr(self.progress, what)) for name, says, what in _COUNTERS]
        values.append(("qualstream_generated_tokens", "Tokens that language models wrote.", self.usage.tokens))
        for name, says, value in values:
            family = CounterMetricFamily(name, says, labels=["role"])
            family.add_metric([self.role], value)
            yield family

    def _gauge(self, name: str, says: str, value: float) -> Any:
        family = GaugeMetricFamily(name, says, labels=["role"])
        family.add_metric([self.role], value)
        return family

    def _histogram(self, name: str, says: str, histogram: Histogram) -> Any:
        family = HistogramMetricFamily(name, says, labels=["role"])
        upto, buckets = 0, []
        for bound, count in zip((*histogram.bounds, float("inf")), tuple(histogram.counts), strict=True):
            upto += count
            buckets.append(("+Inf" if bound == float("inf") else str(float(bound)), upto))
        family.add_metric([self.role], buckets, histogram.total)
        return family

    def _lags(self) -> Any:
        says = "Messages of a topic that the role's workers, all together, have not acknowledged."
        family = GaugeMetricFamily("qualstream_lag_messages", says, labels=["role", "topic"])
        for topic, lag in self.progress.lags.items():
            family.add_metric([self.role, topic], lag)
        return family


def _gpu_memory(role: str) -> Iterator[Any]:
    """What this process holds of each GPU, and how much there is; nothing where no model uses one."""
    torch = sys.modules.get("torch")  # a role without models must not load it
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return
    says = "Memory of a GPU: held by this worker, and in all."
    family = GaugeMetricFamily("qualstream_gpu_memory_bytes", says, labels=["role", "device", "kind"])
    for device in range(torch.cuda.device_count()):
        family.add_metric([role, str(device), "held"], torch.cuda.memory_reserved(device))
        family.add_metric([role, str(device), "total"], torch.cuda.get_device_properties(device).total_memory)
    yield family


def registry(metrics: RoleMetrics) -> Any:
    """The worker's metrics, and its process's own: memory, CPU, files."""
    collectors = CollectorRegistry()
    collectors.register(metrics)
    ProcessCollector(registry=collectors)
    return collectors


@contextmanager
def serve_metrics(metrics: RoleMetrics, host: str, port: int) -> Iterator[int]:
    """Answer Prometheus over HTTP while the block runs.

    Args:
        metrics: What to tell.
        host: The address to listen on.
        port: The port, or 0 for any free one.

    Yields:
        The port.

    Raises:
        SettingError: If it cannot listen there.
    """
    try:
        server, thread = start_http_server(port, host, registry(metrics))
    except OSError as error:
        raise SettingError(
            f"the metrics cannot be served on {host} port {port} ({error.strerror or error}); set "
            "QUALSTREAM_METRICS_HOST to an address of this machine and QUALSTREAM_METRICS_PORT to a free port, or to 0"
        ) from None
    try:
        yield int(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def names(metrics: RoleMetrics) -> Mapping[str, frozenset[str]]:
    """The names of all series that can be asked for, each with its labels."""
    series: dict[str, frozenset[str]] = {}
    for family in registry(metrics).collect():
        for sample in family.samples:
            series[sample.name] = series.get(sample.name, frozenset()) | frozenset(sample.labels)
    return series
