"""What a REFI-QDA file comes to in a study: its codebook, its coded passages and its notes, as one plan."""

from dataclasses import replace

from infra.annotation.import_labels import Importing, Plan, plan
from infra.codebook.codebook_import import codebook_entries, import_codebook
from infra.refi.memos_import import plan_memos
from infra.refi.reading import RefiContent
from infra.storage.store import Store
from models.codebook.codebook import Codebook
from models.codebook.edits import Act


def plan_refi(store: Store, content: RefiContent, name: str, who: Importing) -> Plan:
    """Say what a project or a codebook comes to; nothing is written.

    Args:
        store: The study's.
        content: What the file says.
        name: What it is called.
        who: Who imports it, when.
    """
    act = Act(who.author, who.at, f"imported from {name}", "imported")
    book = import_codebook(codebook_entries(content.nodes), store.code_events(who.study), who.study, act)
    planned = plan(store.database, content.sheet, who)
    known = {event.id for event in book.events}
    events = [*book.events, *(event for event in planned.events if event.id not in known)]
    after = Codebook([*store.code_events(who.study), *events])
    sources = {annotation.source for annotation in planned.kept if annotation.source}
    memos = plan_memos(store.database, content.memos, after, who, sources)
    notes = [f"codebook: {book.summary}", *([memos.sentence] if memos.sentence else [])]
    return replace(planned, events=events, memos=memos.memos, notes=[*notes, *planned.notes])
