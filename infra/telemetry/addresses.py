"""Where workers serve their metrics, as they announce it in the data folder."""

import json
from collections.abc import Mapping
from pathlib import Path

from infra.settings import Settings


def metrics_addresses(settings: Settings) -> Mapping[tuple[str, str], str]:
    """Where workers on this data folder serve their metrics, by role and instance."""
    addresses = {}
    for path in sorted(metrics_folder(settings).glob("*.json")):
        try:
            (listed,) = json.loads(path.read_text(encoding="utf-8"))
            labels = listed["labels"]
            addresses[labels["role"], labels["instance"]] = f"http://{listed['targets'][0]}/metrics"
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            continue  # its worker is writing it, or gone
    return addresses


def metrics_folder(settings: Settings) -> Path:
    """Where each worker writes a file with its address, as Prometheus's service discovery by files reads it."""
    return settings.data_dir / "metrics"
