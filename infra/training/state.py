"""What a trainer has tried already, so that the next one does not do it again. Losing it costs one training."""

import logging
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from models.classifier.schedule import Tuned

log = logging.getLogger(__name__)
FILE = "attempts.json"


class TrainingState(BaseModel):
    """A study's last attempts, those included that were refused."""

    model_config = ConfigDict(frozen=True)

    head: str = ""
    """SHA-256 of the labels that a head was last fitted on."""
    tuned: Tuned | None = None
    told: int | None = None
    """How many labels there were when the study's people last heard of a head."""


def read_training_state(folder: Path) -> TrainingState | None:
    """What was tried; ``None`` where that is not known: nothing yet, or not on this machine."""
    path = folder / FILE
    try:
        return TrainingState.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        log.warning("'%s' cannot be read: %s", path, " ".join(str(error).split())[:200])
        return None


def write_training_state(folder: Path, attempts: TrainingState) -> None:
    """Keep what was tried, whole or not at all."""
    beside = folder / f".{FILE}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        beside.write_text(attempts.model_dump_json(), encoding="utf-8")
        os.replace(beside, folder / FILE)
    except OSError as error:
        log.warning("'%s' cannot be written: %s", folder / FILE, error)
