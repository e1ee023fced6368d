"""Who may use the page, and in which role."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from infra.database import Database

AccountRole = Literal["viewer", "annotator", "lead", "admin"]
ROLES: tuple[AccountRole, ...] = ("viewer", "annotator", "lead", "admin")
"""From the one who may least; each may do what those before it may."""
EVERYWHERE = "*"
"""The scope of a role that holds in every study."""


@dataclass(frozen=True)
class Visitor:
    """Somebody who has signed in, or a program with their token."""

    account: UUID
    name: str
    roles: Mapping[str, AccountRole]
    """By study, or by ``*`` for all."""
    by_token: bool = False

    def may(self, role: AccountRole, study: str | None) -> bool:
        """Whether they have at least this role in a study; ``None`` asks for a role everywhere."""
        held = [self.roles[scope] for scope in (study, EVERYWHERE) if scope is not None and scope in self.roles]
        return any(ROLES.index(one) >= ROLES.index(role) for one in held)


class Accounts:
    """Accounts, roles, tokens and sign-in attempts, in the read model's database."""

    def __init__(self, database: Database) -> None:
        """Share the read model's database."""
        self._database = database
