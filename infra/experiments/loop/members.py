"""What members proposed for texts, as ``qualstream code`` wrote it."""

import json
from pathlib import Path

from models.errors import InputError
from schemas import Proposal


def read_proposals(path: Path) -> dict[str, list[Proposal]]:
    """Proposals by text; rows without any are passed over.

    Raises:
        InputError: If the file cannot be read or is not what the command writes.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines if line.strip()]
        return {row["text"]: [_proposal(each) for each in row["proposals"]] for row in rows if row.get("proposals")}
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"'{path}' is not what `qualstream code` writes ({error}); give its JSON lines") from error


def _proposal(row: dict[str, object]) -> Proposal:
    fields = {name: row.get(name) for name in ("member", "label", "log_probability", "fault")}
    drawn = row.get("drawn") or []
    return Proposal.model_validate({**fields, "drawn": drawn, "model": "replayed", "latency_s": 0.0})
