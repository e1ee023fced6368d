"""What a REFI-QDA file comes to in a study: its codebook and its coded passages, as one plan."""

from dataclasses import replace
from pathlib import Path

from infra.annotation.import_labels import Importing, Plan, plan
from infra.codebook.codebook_import import codebook_entries, import_codebook
from infra.refi.reading import read_refi
from infra.storage.store import Store
from models.codebook.edits import Act


def plan_refi(store: Store, path: Path, name: str, coder: str, who: Importing) -> Plan:
    """Say what a project or a codebook comes to; nothing is written.

    Args:
        store: The study's.
        path: The file.
        name: What it is called.
        coder: Who coded what names nobody.
        who: Who imports it, when.

    Raises:
        InputError: If the file cannot be read.
        SettingError: If the package that knows the standard is not installed.
    """
    content = read_refi(path, coder, name)
    act = Act(who.author, who.at, f"imported from {name}", "imported")
    book = import_codebook(codebook_entries(content.nodes), store.code_events(who.study), who.study, act)
    planned = plan(store.database, content.sheet, who)
    known = {event.id for event in book.events}
    events = [*book.events, *(event for event in planned.events if event.id not in known)]
    return replace(planned, events=events, notes=[f"codebook: {book.summary}", *planned.notes])
