"""Who may use the page, and in which role."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, cast
from uuid import UUID, uuid4

from argon2 import PasswordHasher
from sqlalchemy import Connection, Row, delete, func, or_, select, update

from infra.accounts.attempts import Origin, SignInAttempts
from infra.accounts.audit import AuditLog
from infra.accounts.keys import SCOPES, Keys
from infra.accounts.open_sessions import OpenSessions
from infra.accounts.passwords import Passwords, check_password
from infra.clock import SystemClock
from infra.storage.database import Database
from infra.storage.projections import insert
from infra.storage.tables import accounts, grants
from models.errors import InputError
from models.ports import Clock

AccountRole = Literal["viewer", "annotator", "lead", "admin"]
ROLES: tuple[AccountRole, ...] = ("viewer", "annotator", "lead", "admin")
"""From the one who may least; each may do what those before it may."""
EVERYWHERE = "*"
"""The scope of a role that holds in every study."""
FIRST = "admin"
"""The name of the first account."""
_NAME = re.compile(r"[\w.@+'\-]+( [\w.@+'\-]+)*")
_SCOPE = re.compile(r"[\w.\- ]{1,80}|\*")


@dataclass(frozen=True)
class Visitor:
    """Somebody who has signed in, or a program with their token."""

    account: UUID
    name: str
    roles: Mapping[str, AccountRole]
    """By study, or by ``*`` for all."""
    by_token: bool = False
    epoch: int = 0
    """Sessions of an earlier one are void."""
    scopes: frozenset[str] = frozenset(SCOPES)
    """What their token was made for; in person, everything."""
    language: str = ""
    """In which they chose to read the page; empty: as their browser says."""

    def may(self, role: AccountRole, study: str | None) -> bool:
        """Whether they have at least this role in a study; ``None`` asks for a role everywhere."""
        held = [self.roles[scope] for scope in (study, EVERYWHERE) if scope is not None and scope in self.roles]
        return any(ROLES.index(granted) >= ROLES.index(role) for granted in held)


@dataclass(frozen=True)
class Account:
    """An account as those see it who run the page."""

    id: UUID
    name: str
    roles: Mapping[str, AccountRole]
    has_password: bool
    disabled: bool
    created_at: datetime


class Accounts:
    """Accounts, roles, links and tokens, in the read model's database. Threads may share it."""

    def __init__(self, database: Database, clock: Clock | None = None, hasher: PasswordHasher | None = None) -> None:
        """Share the read model's database."""
        self._database = database
        self._clock = clock or SystemClock()
        self._passwords = Passwords(hasher)
        self._attempts = SignInAttempts(database, self._clock)
        self.keys = Keys(database, self._clock)
        self.sessions = OpenSessions(database, self._clock)
        self.audit = AuditLog(database, self._clock)

    # Who there is

    def create(self, name: str) -> UUID:
        """Make an account that nobody can use until a password is set by its link.

        Raises:
            InputError: If the name is not as it must be, or taken.
        """
        name = _clean(name)
        with self._database.writing() as connection:
            if _rows(connection, name):
                raise InputError(f"there is an account '{name}' already; choose another name")
            return self._insert(connection, name)

    def all(self) -> list[Account]:
        """Every account, by name."""
        with self._database.reading() as connection:
            rows = connection.execute(select(accounts).order_by(func.lower(accounts.c.name))).all()
            roles = _roles(connection, [row.id for row in rows])
        return [_account(row, roles.get(row.id, {})) for row in rows]

    def named(self, name: str) -> Account:
        """The account of that name.

        Raises:
            InputError: If there is none.
        """
        with self._database.reading() as connection:
            rows = _rows(connection, name.strip())
            if not rows:
                raise InputError(
                    f"there is no account '{name.strip()[:120]}'; `qualstream account list` shows those there are"
                )
            return _account(rows[0], _roles(connection, [rows[0].id]).get(rows[0].id, {}))

    def spelt(self, name: str) -> list[str]:
        """The accounts that somebody who types this name may mean, as they are spelt: none, or one."""
        with self._database.reading() as connection:
            return [row.name for row in _rows(connection, name.strip())][:1]

    def find(self, account: UUID) -> Visitor | None:
        """Who that account is; ``None`` where there is none, or it is disabled."""
        with self._database.reading() as connection:
            row = connection.execute(select(accounts).where(accounts.c.id == account)).one_or_none()
            if row is None or row.disabled:
                return None
            roles = _roles(connection, [row.id]).get(row.id, {})
            return Visitor(row.id, row.name, roles, epoch=row.epoch, language=row.language or "")

    # What they may

    def grant(self, account: UUID, scope: str, role: AccountRole) -> None:
        """Give a role in a study, or everywhere (``*``), in place of the one held there.

        Raises:
            InputError: If the study's name or the role is not as it must be.
        """
        if not _SCOPE.fullmatch(scope):
            raise InputError(
                f"study '{scope[:80]}' found; letters, digits, spaces and . _ - are expected, or * for all"
            )
        if role not in ROLES:
            raise InputError(f"role '{role}' found; {', '.join(ROLES)} expected")
        with self._database.writing() as connection:
            _grant(connection, account, scope, role)

    def revoke(self, account: UUID, scope: str) -> None:
        """Take the role in a study, or the one everywhere, away."""
        with self._database.writing() as connection:
            connection.execute(delete(grants).where(grants.c.account_id == account, grants.c.scope == scope))

    def disable(self, account: UUID, disabled: bool = True) -> None:
        """Let nobody in by this account any more, or again; sessions, links and tokens end for good."""
        with self._database.writing() as connection:
            connection.execute(update(accounts).where(accounts.c.id == account).values(disabled=disabled))
            self._end_all(connection, account)

    def sign_out(self, account: UUID) -> None:
        """End every session, setup link and API token of an account, wherever they are."""
        with self._database.writing() as connection:
            self._end_all(connection, account)

    def set_language(self, account: UUID, language: str) -> None:
        """Keep in which language somebody reads the page; empty: as their browser says."""
        with self._database.writing() as connection:
            connection.execute(update(accounts).where(accounts.c.id == account).values(language=language or None))

    # Signing in

    def verify(self, name: str, password: str) -> Visitor | None:
        """Who has this name and password; an unknown name costs as much time as a wrong password."""
        with self._database.reading() as connection:
            rows = _rows(connection, name.strip()[:200])
        row = rows[0] if rows else None
        fits = self._passwords.fits(row.password if row is not None else None, password[:1_000])
        if row is None or not fits or row.disabled:
            return None
        if self._passwords.outdated(row.password):
            newer = update(accounts).where(accounts.c.id == row.id, accounts.c.password == row.password)
            again = self._passwords.hash(password)
            with self._database.writing() as connection:
                connection.execute(newer.values(password=again))
        return self.find(row.id)

    def sign_in(self, name: str, password: str, address: str, device: str = "") -> Visitor:
        """Verify, but not too often.

        Args:
            name: The account's.
            password: The password.
            address: Where it comes from.
            device: The secret of the browser's own cookie, if it has one.

        Raises:
            TooManyAttempts: If the account or the address has to wait; a place that it knows waits for its own alone.
            InputError: If name or password is wrong; it does not say which.
        """
        key, origin = name.strip().casefold(), Origin(address, device)
        self._attempts.begin(key, origin)
        visitor = self.verify(name, password)
        if visitor is None:
            raise InputError("name or password is wrong, or the account is disabled")
        self._attempts.succeeded(key, origin)
        return visitor

    def recognise(self, visitor: Visitor, address: str, device: str) -> None:
        """Know a device and an address from now on: somebody proved there, in another way, who they are."""
        self._attempts.succeeded(visitor.name.casefold(), Origin(address, device))

    def set_password(self, account: UUID, password: str) -> Visitor:
        """Set a password; every session, setup link and API token from before is void.

        Raises:
            InputError: If the password may not be used, or there is no such account.
        """
        visitor = self.find(account)
        if visitor is None:
            raise InputError("there is no such account, or it is disabled; ask an admin")
        check_password(password, visitor.name)
        encoded = self._passwords.hash(password)
        with self._database.writing() as connection:
            self._set(connection, account, encoded)
        return cast(Visitor, self.find(account))

    def change_password(self, account: UUID, old: str, new: str, address: str, device: str = "") -> Visitor:
        """Change one's own password, with the old one.

        Raises:
            TooManyAttempts: If the account or the address has to wait.
            InputError: If the old one is wrong, or the new one may not be used.
        """
        visitor = self.find(account)
        if visitor is None:
            raise InputError("there is no such account, or it is disabled; ask an admin")
        check_password(new, visitor.name)
        origin = Origin(address, device)
        self._attempts.begin(visitor.name.casefold(), origin)
        if self.verify(visitor.name, old) is None:
            raise InputError("the present password is wrong")
        self._attempts.succeeded(visitor.name.casefold(), origin)
        return self.set_password(account, new)

    def set_by_link(self, secret: str, password: str) -> Visitor:
        """Set the password of the account that a setup link is for; the link is used up.

        Raises:
            InputError: If the link is unknown, used or expired, or the password may not be used.
        """
        account = self.linked(secret)
        if account is None:
            raise InputError("this link is used up or too old; ask an admin for a new one")
        check_password(password, account.name)
        encoded = self._passwords.hash(password)
        with self._database.writing() as connection:
            if not self.keys.use_link(connection, secret):
                raise InputError("this link is used up or too old; ask an admin for a new one")
            self._set(connection, account.account, encoded)
        return cast(Visitor, self.find(account.account))

    def linked(self, secret: str) -> Visitor | None:
        """Whom a setup link is for; ``None`` where it does not work (any more)."""
        account = self.keys.link_of(secret)
        return None if account is None else self.find(account)

    def by_token(self, secret: str) -> Visitor | None:
        """Who an API token stands for; ``None`` where it does not work (any more)."""
        owner = self.keys.token_of(secret)
        visitor = None if owner is None else self.find(owner.account)
        return None if owner is None or visitor is None else replace(visitor, by_token=True, scopes=owner.scopes)

    def by_session(self, session: str, account: UUID, epoch: int) -> Visitor | None:
        """Who has this session open; ``None`` where it has ended."""
        if not self.sessions.holds(session, account):
            return None
        visitor = self.find(account)
        return visitor if visitor is not None and visitor.epoch == epoch else None

    def first_link(self, base_url: str) -> str | None:
        """While no account can sign in as admin: a fresh link, good once, to set the admin's password."""
        with self._database.writing() as connection:
            everywhere = (grants.c.scope == EVERYWHERE) & (grants.c.role == "admin")
            admins = connection.execute(
                select(accounts)
                .join(grants, grants.c.account_id == accounts.c.id)
                .where(everywhere, accounts.c.disabled.is_(False))
                .order_by(accounts.c.created_at)
            ).all()
            if any(row.password is not None for row in admins):
                return None
            account = admins[0].id if admins else self._first(connection)
        return f"{base_url.rstrip('/')}/setup/{self.keys.link(account)}"

    def _first(self, connection: Connection) -> UUID:
        """The first admin's account; a name that is taken stays what it is: nobody becomes admin by being there."""
        number, name = 1, FIRST
        while _rows(connection, name):
            number += 1
            name = f"{FIRST}-{number}"
        account = self._insert(connection, name)
        _grant(connection, account, EVERYWHERE, "admin")
        return account

    def _insert(self, connection: Connection, name: str) -> UUID:
        account_id = uuid4()
        connection.execute(accounts.insert().values(id=account_id, name=name, created_at=self._clock.now()))
        return account_id

    def _set(self, connection: Connection, account: UUID, encoded: str) -> None:
        connection.execute(update(accounts).where(accounts.c.id == account).values(password=encoded))
        self._end_all(connection, account)

    def _end_all(self, connection: Connection, account: UUID) -> None:
        """End whatever lets somebody in by this account without its password."""
        connection.execute(update(accounts).where(accounts.c.id == account).values(epoch=accounts.c.epoch + 1))
        self.sessions.end_all(connection, account)
        self.keys.forget_all(connection, account)


def _clean(name: str) -> str:
    plain = " ".join(unicodedata.normalize("NFKC", name).split())
    if not _NAME.fullmatch(plain) or len(plain) > 60:
        raise InputError(f"name '{plain[:60]}' found; 1 to 60 letters, digits, spaces and . _ - + @ ' are expected")
    return plain


def _rows(connection: Connection, name: str) -> list[Row[tuple[object, ...]]]:
    """Accounts of that name, whatever its case: people do not mind it when they sign in."""
    same = or_(accounts.c.name == name, func.lower(accounts.c.name) == name.lower())
    return list(connection.execute(select(accounts).where(same).order_by(accounts.c.name != name)))


def _roles(connection: Connection, ids: list[UUID]) -> dict[UUID, dict[str, AccountRole]]:
    roles: dict[UUID, dict[str, AccountRole]] = {}
    query = select(grants).order_by(grants.c.scope)
    if len(ids) == 1:
        query = query.where(grants.c.account_id == ids[0])
    for row in connection.execute(query):
        if row.role in ROLES:
            roles.setdefault(row.account_id, {})[row.scope] = row.role
    return roles


def _grant(connection: Connection, account: UUID, scope: str, role: AccountRole) -> None:
    statement = insert(grants, connection.dialect.name)
    upsert = statement.on_conflict_do_update(
        index_elements=["account_id", "scope"], set_={"role": statement.excluded.role}
    )
    connection.execute(upsert, {"account_id": account, "scope": scope, "role": role})


def _account(row: Row[tuple[object, ...]], roles: Mapping[str, AccountRole]) -> Account:
    return Account(row.id, row.name, roles, row.password is not None, row.disabled, row.created_at)
