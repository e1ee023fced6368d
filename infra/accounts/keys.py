"""Secrets that stand for an account: setup links, which work once, and API tokens for programs.

Each is 256 random bits; only its SHA-256 is kept, which is enough where nothing can be guessed.
"""

import hashlib
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Connection, and_, delete, or_, select, update

from infra.storage.database import Database
from infra.storage.tables import tokens
from models.errors import InputError
from models.ports import Clock

LINK_LASTS = timedelta(hours=24)
MARK = "qs_"
"""What every API token begins with, so that one that leaks can be recognised."""
LASTS = timedelta(days=90)
"""How long an API token works unless another time is chosen."""
LONGEST = timedelta(days=366)
"""No API token works for longer."""
Scope = Literal["read", "labels", "ingest", "manage"]
SCOPES: Mapping[Scope, str] = {
    "read": "read what its owner may read",
    "labels": "write labels, as its owner",
    "ingest": "send in segments",
    "manage": "change codebook, rules and releases, as far as its owner may",
}
"""What an API token may be made for."""
_LONGEST_NAME = 80
_MOST = 50  # tokens an account
_NOTED_EACH = timedelta(minutes=1)


@dataclass(frozen=True)
class Token:
    """An API token without its secret."""

    id: UUID
    name: str
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    scopes: frozenset[str]


@dataclass(frozen=True)
class TokenOwner:
    """The account that an API token stands for, and what it was made for."""

    account: UUID
    scopes: frozenset[str]


class Keys:
    """Setup links and API tokens, in SQL."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Share the read model's database."""
        self._database = database
        self._clock = clock

    def link(self, account: UUID) -> str:
        """A new setup link's secret; links of the account from before are void."""
        with self._database.writing() as connection:
            self.forget_links(connection, account)
            return self._insert(connection, account, "setup", "", self._clock.now() + LINK_LASTS)

    def link_of(self, secret: str) -> UUID | None:
        """The account that a setup link is for, as long as it works."""
        query = select(tokens.c.account_id).where(self._live(secret, "setup"), tokens.c.used_at.is_(None))
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one_or_none()

    def use_link(self, connection: Connection, secret: str) -> bool:
        """Use a setup link up, inside a transaction; whether it still worked."""
        used = update(tokens).where(self._live(secret, "setup"), tokens.c.used_at.is_(None))
        return connection.execute(used.values(used_at=self._clock.now())).rowcount == 1

    def forget_links(self, connection: Connection, account: UUID) -> None:
        """Void an account's setup links, inside a transaction."""
        connection.execute(delete(tokens).where(tokens.c.account_id == account, tokens.c.kind == "setup"))

    def forget_all(self, connection: Connection, account: UUID) -> None:
        """Void an account's setup links and API tokens, inside a transaction."""
        connection.execute(delete(tokens).where(tokens.c.account_id == account))

    def make_token(
        self, account: UUID, name: str, lasts: timedelta = LASTS, scopes: Collection[str] = tuple(SCOPES)
    ) -> str:
        """A new API token; it is shown now and never again.

        Args:
            account: Whose.
            name: What it is for.
            lasts: How long it works.
            scopes: What it may do, of ``SCOPES``.

        Raises:
            InputError: If it has no name or no scope or lasts too long, or the account has too many.
        """
        _check_scopes(scopes)
        if not timedelta() < lasts <= LONGEST:
            raise InputError(f"a token works for at most {LONGEST.days} days; choose a shorter time")
        name = " ".join(name.split())
        if not name or len(name) > _LONGEST_NAME:
            raise InputError(f"a name of 1 to {_LONGEST_NAME} characters is expected: say what the token is for")
        now = self._clock.now()
        with self._database.writing() as connection:
            if len(self._of(connection, account)) >= _MOST:
                raise InputError(f"this account has {_MOST} tokens, which is the most; revoke one that is not used")
            return self._insert(connection, account, "api", name, now + lasts, MARK, scopes)

    def tokens(self, account: UUID) -> list[Token]:
        """An account's API tokens, newest first."""
        with self._database.reading() as connection:
            return self._of(connection, account)

    def all_tokens(self) -> dict[UUID, list[Token]]:
        """Every account's API tokens, newest first."""
        owned: dict[UUID, list[Token]] = {}
        with self._database.reading() as connection:
            query = select(tokens.c.account_id).where(tokens.c.kind == "api").distinct()
            for account in connection.execute(query).scalars().all():
                owned[account] = self._of(connection, account)
        return owned

    def revoke_token(self, account: UUID, token: UUID) -> None:
        """End an API token of the account."""
        mine = and_(tokens.c.id == token, tokens.c.account_id == account, tokens.c.kind == "api")
        with self._database.writing() as connection:
            connection.execute(delete(tokens).where(mine))

    def token_of(self, secret: str) -> TokenOwner | None:
        """Whom an API token stands for; notes that it was used, once a minute."""
        now = self._clock.now()
        columns = (tokens.c.id, tokens.c.account_id, tokens.c.used_at, tokens.c.scopes)
        query = select(*columns).where(self._live(secret, "api"))
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        if row.used_at is None or now - row.used_at > _NOTED_EACH:
            with self._database.writing() as connection:
                connection.execute(update(tokens).where(tokens.c.id == row.id).values(used_at=now))
        return TokenOwner(row.account_id, frozenset(row.scopes.split()))

    def _live(self, secret: str, kind: str) -> ColumnElement[bool]:
        lasts = or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > self._clock.now())
        return and_(tokens.c.sha256 == _sha256(secret), tokens.c.kind == kind, lasts)

    def _insert(
        self,
        connection: Connection,
        account: UUID,
        kind: str,
        name: str,
        until: datetime,
        mark: str = "",
        scopes: Collection[str] = (),
    ) -> str:
        secret = mark + secrets.token_urlsafe(32)
        now = self._clock.now()
        row = {"id": uuid4(), "account_id": account, "kind": kind, "name": name, "sha256": _sha256(secret)}
        may = " ".join(scope for scope in SCOPES if scope in scopes)
        connection.execute(tokens.insert().values(**row, created_at=now, expires_at=until, scopes=may))
        return secret

    def _of(self, connection: Connection, account: UUID) -> list[Token]:
        columns = (tokens.c.id, tokens.c.name, tokens.c.created_at, tokens.c.expires_at, tokens.c.used_at)
        mine = select(*columns, tokens.c.scopes).where(tokens.c.account_id == account, tokens.c.kind == "api")
        rows = connection.execute(mine.order_by(tokens.c.created_at.desc(), tokens.c.id))
        return [Token(*row[:-1], frozenset(row.scopes.split())) for row in rows]


def _check_scopes(scopes: Collection[str]) -> None:
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise InputError(f"scopes '{' '.join(unknown)[:80]}' found; one or more of {', '.join(SCOPES)} expected")


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
