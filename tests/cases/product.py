"""The product as its command line runs it, on a data folder of its own."""

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from infra.annotation.import_labels import Importing, Plan, plan
from infra.cli import cli
from infra.codebook.codebook_import import NOTES
from infra.factory.stores import build_store
from infra.files.labels.label_sheet import read_label_file
from infra.settings import load_settings
from infra.storage.store import Store
from models.codebook.codebook import Codebook
from schemas import CodeEvent
from schemas.ids import code_event_id, code_id


@dataclass(frozen=True)
class Outcome:
    """What a command printed."""

    status: int
    out: str
    words: str
    """What it said: standard error, and the error it ended with."""


class Product:
    """Runs commands and reads what they came to."""

    def __init__(self, folder: Path, inputs: Path) -> None:
        """Keep data in ``folder`` and take files from ``inputs``."""
        self.folder, self.inputs = folder, inputs

    def file(self, name: str) -> Path:
        """One of the inputs."""
        return self.inputs / name

    def run(self, *args: object) -> Outcome:
        """Run a command; one that is refused has its error among its words."""
        with self._environment():
            done = CliRunner().invoke(cli, [str(arg) for arg in args])
        error = "" if done.exception is None or isinstance(done.exception, SystemExit) else f"error: {done.exception}"
        return Outcome(done.exit_code, done.stdout, f"{done.stderr}{error}")

    def rows(self, study: str) -> list[dict[str, Any]]:
        """A study's segments, as they are exported."""
        return [json.loads(line) for line in self.run("export", "--study", study, "--format", "jsonl").out.splitlines()]

    def labels(self, study: str) -> list[dict[str, Any]]:
        """What people said, as it is exported."""
        out = self.run("export", "--labels", "--study", study, "--format", "jsonl").out
        return [json.loads(line) for line in out.splitlines()]

    def coded(self, study: str) -> dict[str, list[str]]:
        """By text, the codes of all people together, in order."""
        codes: dict[str, list[str]] = {}
        for label in self.labels(study):
            codes[label["text"]] = sorted({*codes.get(label["text"], []), *label["codes_now"]})
        return codes

    def taught(self, name: str, study: str, *options: object, coder: str = "anna") -> Outcome:
        """Teach a file of the inputs."""
        return self.run("teach", self.file(name), "--study", study, "--coder", coder, *options)

    def planned(self, name: str, study: str, coder: str = "") -> Plan:
        """What the page's import makes of a file; it is written."""
        with self.store() as store:
            who = Importing(study, "lead", datetime.now(UTC), teach_unmatched=False)
            found = plan(store.database, read_label_file(self.file(name), coder), who)
            found.write(store.record)
        return found

    def rename(self, study: str, before: str, after: str) -> None:
        """Rename a code, as the page does."""
        code = code_id(study, before)
        event: dict[str, Any] = {
            "id": code_event_id(code, "renamed", after),
            "code_id": code,
            "study": study,
            "kind": "renamed",
        }
        with self.store() as store:
            store.record(
                [CodeEvent.model_validate({**event, "label": after, "author": "lea", "at": datetime.now(UTC)})]
            )

    def codebook(self, study: str) -> dict[str, dict[str, Any]]:
        """By label, a code's or theme's level, theme and notes."""
        with self.store() as store:
            book = Codebook(store.code_events(study))
        return {
            state.label: {
                "level": state.level,
                "theme": book[state.parent].label if state.parent else None,
                **{name: getattr(state, name) for name in NOTES},
            }
            for state in book.values()
            if state.active
        }

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The store of the data folder."""
        with self._environment(), closing(build_store(load_settings())) as opened:
            yield opened

    @contextmanager
    def _environment(self) -> Iterator[None]:
        kept = dict(os.environ)
        for name in [name for name in os.environ if name.startswith("QUALSTREAM_")]:
            del os.environ[name]
        os.environ["QUALSTREAM_DATA_DIR"] = str(self.folder)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(kept)
