"""Filters of a study's list of segments under a name: a person's own, or the whole study's."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, or_, select

from infra.storage.database import Database
from infra.storage.projections import insert
from infra.storage.tables import saved_views
from models.errors import InputError

EVERYBODY = ""
"""The owner of a view that all who see the study have."""
_MOST = 100  # of one owner in a study
_LONGEST = 80  # characters of a name


@dataclass(frozen=True)
class SavedView:
    """A name for a search."""

    name: str
    query: str
    """As the list's address has it, without the question mark."""
    owner: str
    author: str

    @property
    def shared(self) -> bool:
        """Whether everybody has it."""
        return self.owner == EVERYBODY


def saved(database: Database, study: str, person: str) -> list[SavedView]:
    """The views that a person has: the study's, then their own, by name."""
    mine = or_(saved_views.c.owner == EVERYBODY, saved_views.c.owner == person)
    query = select(saved_views).where(saved_views.c.study == study, mine)
    with database.reading() as connection:
        rows = connection.execute(query.order_by(saved_views.c.owner, saved_views.c.name)).all()
    return [SavedView(row.name, row.query, row.owner, row.author) for row in rows]


def save_view(database: Database, study: str, view: SavedView, at: datetime) -> None:
    """Keep a view; one of the same owner and name is replaced.

    Raises:
        InputError: If it has no name, or one that is too long, or its owner has too many.
    """
    if not 0 < len(view.name) <= _LONGEST:
        raise InputError(f"the name has {len(view.name)} characters, 1 to {_LONGEST} expected; give it another")
    of_owner = (saved_views.c.study == study, saved_views.c.owner == view.owner, saved_views.c.name != view.name)
    row = {"study": study, "owner": view.owner, "name": view.name, "query": view.query, "author": view.author, "at": at}
    with database.writing() as connection:
        if connection.execute(select(func.count()).where(*of_owner)).scalar_one() >= _MOST:
            raise InputError(f"{_MOST} views are saved already; remove one first")
        keys = [column.name for column in saved_views.primary_key]
        statement = insert(saved_views, connection.dialect.name)
        kept = {name: statement.excluded[name] for name in ("query", "author", "at")}
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=kept), row)


def remove_view(database: Database, study: str, owner: str, name: str) -> bool:
    """Forget a view; whether there was one."""
    place = (saved_views.c.study == study, saved_views.c.owner == owner, saved_views.c.name == name)
    with database.writing() as connection:
        return connection.execute(delete(saved_views).where(*place)).rowcount > 0
