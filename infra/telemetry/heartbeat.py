"""How a worker goes, as the store keeps it."""

import os
import socket
from contextlib import suppress
from time import monotonic

from infra.clock import SystemClock
from infra.settings import Settings
from infra.storage.store import Store, WorkerState
from streams.runner import Progress
from streams.topology import Role
from streams.worker import Heartbeat


def instance_of(settings: Settings) -> str:
    """Which of a role's workers this process is."""
    return "-".join([settings.instance, *settings.members])


def build_heartbeat(settings: Settings, role: Role, store: Store) -> Heartbeat:
    """What says how a worker goes, into the store."""
    instance = instance_of(settings)
    before = [state for state in store.workers() if (state.role, state.instance) == (role.name, instance)]
    errors, last_error = (before[0].errors, before[0].last_error) if before else (0, None)

    def write(progress: Progress) -> None:
        _beat(settings)
        store.heartbeat(
            WorkerState(
                role=role.name,
                instance=instance,
                pid=os.getpid(),
                host=socket.gethostname(),
                started_at=progress.started_at,
                seen_at=SystemClock().now(),
                read=progress.read,
                written=progress.written,
                dead_lettered=progress.dead_lettered,
                errors=errors + progress.errors,  # those of the workers before it included: a crash is not forgotten
                last_error=progress.last_error or last_error,
                last_commit_at=progress.last_commit_at,
            )
        )

    return write


def _beat(settings: Settings) -> None:
    """Let a local stack know that this process runs; elsewhere nobody looks there."""
    with suppress(OSError):  # on a full disk the file stays empty: then nobody calls this process silent
        if not settings.beat_folder.is_dir():
            return
        (settings.beat_folder / str(os.getpid())).write_text(str(monotonic()), encoding="ascii")
