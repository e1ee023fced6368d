"""What codes that have ended are by now: kept with each code, so that a merge moves its segments at once."""

from collections.abc import Collection, Mapping
from functools import partial
from uuid import UUID

from sqlalchemy import Connection, bindparam, select, update

from infra.storage.database import chunks
from infra.storage.tables import codes
from models.codebook.codebook import final


def keep_finals(connection: Connection, studies: Collection[str]) -> None:
    """Set ``codes.final`` of every code of these studies that has ended.

    Any event may change what many codes are: a code that is merged takes all along that became it before.
    """
    given = codes.c
    query = select(given.id, given.level, given.became, given.final)
    ended = connection.execute(query.where(given.study.in_(studies), given.retired.is_(True))).all()
    into = {row.id: [UUID(each) for each in row.became] for row in ended}
    levels = _living(connection, {each for parts in into.values() for each in parts} - into.keys())
    changed = []
    for row in ended:
        now = final(row.id, lambda each: into.get(each, ()), partial(_is_of, levels, row.level))
        if now != row.final:
            changed.append({"code": row.id, "now": now})
    if changed:
        connection.execute(update(codes).where(given.id == bindparam("code")).values(final=bindparam("now")), changed)


def _is_of(levels: Mapping[UUID, str], level: str, code: UUID) -> bool:
    return levels.get(code) == level


def _living(connection: Connection, wanted: Collection[UUID]) -> dict[UUID, str]:
    """Code or theme, of those that live."""
    found: dict[UUID, str] = {}
    for chunk in chunks(wanted):
        query = select(codes.c.id, codes.c.level).where(codes.c.id.in_(chunk), codes.c.retired.is_(False))
        found |= {row.id: row.level for row in connection.execute(query)}
    return found
