"""What a trainer has tried already, so that the next one does not do it again. Losing it costs one training."""

import logging
import os
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from models.retraining import Tuned

log = logging.getLogger(__name__)
FILE = "attempts.json"


class TunedOn(BaseModel):
    """What the last tuning had."""

    model_config = ConfigDict(frozen=True)

    labels: int
    at: AwareDatetime
    data: str

    @property
    def tuned(self) -> Tuned:
        """As the schedule takes it."""
        return Tuned(self.labels, self.at)


class Attempts(BaseModel):
    """A study's last attempts, those included that were refused."""

    model_config = ConfigDict(frozen=True)

    head: str = ""
    """SHA-256 of the labels that a head was last fitted on."""
    tuned: TunedOn | None = None
    told: int | None = None
    """How many labels there were when the study's people last heard of a head."""


def read_attempts(folder: Path) -> Attempts:
    """What was tried; nothing, where that is not known."""
    path = folder / FILE
    try:
        return Attempts.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Attempts()
    except (OSError, ValidationError) as error:
        log.warning("'%s' cannot be read and is begun anew: %s", path, " ".join(str(error).split())[:200])
        return Attempts()


def write_attempts(folder: Path, attempts: Attempts) -> None:
    """Keep what was tried, whole or not at all."""
    beside = folder / f".{FILE}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        beside.write_text(attempts.model_dump_json(), encoding="utf-8")
        os.replace(beside, folder / FILE)
    except OSError as error:
        log.warning("'%s' cannot be written: %s", folder / FILE, error)
