"""Everything that watches one worker, started and stopped with it."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from infra.settings import Settings
from infra.telemetry.addresses import metrics_folder
from infra.telemetry.heartbeat import instance_of
from infra.telemetry.metrics import Gauge, RoleMetrics, serve_metrics
from models.backends.token_usage import TokenUsage
from models.errors import SettingError
from streams.runner import Progress
from streams.topology import Role
from streams.tracing import SegmentTracer
from streams.worker import Heartbeat

if TYPE_CHECKING:
    from infra.telemetry.tracing import OtelSpans

_ANYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared only


class WorkerTelemetry:
    """What a worker must know of those who watch it."""

    def __init__(self, metrics: RoleMetrics | None, tracer: SegmentTracer | None) -> None:
        """Take what was started.

        Args:
            metrics: Where progress is shown, if it is.
            tracer: Follows segments, if anybody wants to know of them.
        """
        self._metrics = metrics
        self.tracer = tracer

    def with_progress(self, heartbeat: Heartbeat) -> Heartbeat:
        """A heartbeat that shows the worker's progress too."""
        if self._metrics is None:
            return heartbeat
        metrics = self._metrics

        def both(progress: Progress) -> None:
            metrics.progress = progress
            heartbeat(progress)

        return both


@contextmanager
def worker_telemetry(
    settings: Settings, role: Role, usage: TokenUsage, gauges: tuple[Gauge, ...] = ()
) -> Iterator[WorkerTelemetry]:
    """Serve metrics and send spans as the settings want while the block runs; without them nothing is started.

    Args:
        settings: Whether and where.
        role: The worker's.
        usage: What its language models write.
        gauges: What it tells beside its progress.

    Raises:
        SettingError: If the metrics cannot be served where the settings say, or what sends spans is not installed.
    """
    with ExitStack() as stack:
        metrics, spans = None, None
        if settings.metrics_port is not None:
            metrics = RoleMetrics(role.name, gauges, usage=usage)
            port = stack.enter_context(serve_metrics(metrics, settings.metrics_host, settings.metrics_port))
            stack.callback(_announce(settings, role, port).unlink, missing_ok=True)
        if settings.otlp_url is not None:
            spans = _spans(settings.otlp_url, role.name, instance_of(settings))
            stack.callback(spans.close)
        members = settings.members if role.has_members else ()
        followed = metrics is not None or spans is not None
        yield WorkerTelemetry(metrics, SegmentTracer(role, members, spans, settings.trace_share) if followed else None)


def _spans(url: str, role: str, instance: str) -> "OtelSpans":
    try:
        from infra.telemetry.tracing import otlp  # costs a second that a worker without it is spared
    except ImportError as error:
        raise SettingError(
            f"QUALSTREAM_OTLP_URL is set, and OpenTelemetry is not installed ({error}); install 'qualstream[traces]', "
            "or unset it"
        ) from error
    return otlp(url, role, instance)


def _announce(settings: Settings, role: Role, port: int) -> Path:
    """Write where the metrics are, as Prometheus's service discovery by files reads it."""
    host = socket.gethostname() if settings.metrics_host in _ANYWHERE else settings.metrics_host
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    instance = instance_of(settings)
    path = metrics_folder(settings) / (re.sub(r"[^\w.\-]", "_", f"{role.name}-{instance}") + ".json")
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = [{"targets": [target], "labels": {"role": role.name, "instance": instance}}]
    written = path.with_suffix(".new")
    written.write_text(json.dumps(listed), encoding="utf-8")
    return written.replace(path)
