"""What codes that have ended are by now: kept with each code, so that a merge moves its segments at once."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy import Connection, bindparam, select, update

from infra.storage.database import chunks
from infra.storage.tables import codes
from models.codebook.codebook import current
from schemas.codebook import Level

Ended = Mapping[UUID, Sequence[UUID]]


def update_finals(connection: Connection, studies: Collection[str]) -> set[UUID]:
    """Set ``codes.final`` of every code of these studies that has ended, by the rule of ``models.codebook.codebook``.

    Any event may change what many codes are: a code that is merged takes all along that became it before. Unlike in a
    ``Codebook`` a code without a row counts as ended: nothing may point to what cannot be looked up.

    Returns:
        The codes for which it was another one, or none.
    """
    query = select(codes.c.id, codes.c.level, codes.c.became, codes.c.final)
    rows = connection.execute(query.where(codes.c.study.in_(studies), codes.c.retired.is_(True))).all()
    ended = {row.id: [UUID(each) for each in row.became] for row in rows}
    levels = _active_levels(connection, {part for parts in ended.values() for part in parts} - ended.keys())
    by_level = {level: _ended_for(level, ended, levels) for level in {row.level for row in rows}}
    finals = {row.id: current(row.id, by_level[row.level]) for row in rows}
    changed = [{"code": row.id, "now": finals[row.id]} for row in rows if finals[row.id] != row.final]
    if changed:
        connection.execute(update(codes).where(codes.c.id == bindparam("code")).values(final=bindparam("now")), changed)
    return {each["code"] for each in changed if each["code"] is not None}


def _ended_for(level: Level, ended: Ended, levels: Mapping[UUID, Level]) -> Ended:
    """What has ended as codes, or as themes, see it: what is of the other level, or has no row, is nothing to them."""
    parts = {part for parts in ended.values() for part in parts}
    return {part: () for part in parts if levels.get(part) != level} | dict(ended)


def _active_levels(connection: Connection, ids: Collection[UUID]) -> dict[UUID, Level]:
    """Code or theme, of those that have not ended."""
    levels: dict[UUID, Level] = {}
    for chunk in chunks(ids):
        query = select(codes.c.id, codes.c.level).where(codes.c.id.in_(chunk), codes.c.retired.is_(False))
        levels |= {row.id: row.level for row in connection.execute(query)}
    return levels
