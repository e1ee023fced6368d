"""Sign-in attempts: after some failures each further one has to wait, longer and longer, never more than 15 minutes.

A stranger's failures must not keep the right person out. So a device or an address from which an account has signed
in before is known, and counts only what failed from there for this account. A known device goes before a known
address: who shares an address with the right person does not keep them out either. Anywhere else failures are counted
three times: by account and address together, which is slowed down most; by account, so that many addresses cannot
share the work; and by address, so that one cannot try many accounts. The latter two never make anybody wait for more
than a minute.
"""

import hashlib
import ipaddress
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select

from infra.storage.database import Database
from infra.storage.projections import insert
from infra.storage.tables import attempts, known_places
from models.errors import QualstreamError
from models.ports import Clock

_FORGET = timedelta(days=1)
_KNOWN = timedelta(days=365)
"""A device or address that was not seen for longer is known no more."""


@dataclass(frozen=True)
class Origin:
    """Where a sign-in comes from."""

    address: str
    device: str = ""
    """The secret of the browser's own cookie; empty where it has none."""


class TooManyAttempts(QualstreamError):
    """Somebody has to wait before the next attempt."""

    def __init__(self, wait_s: float) -> None:
        """Say for how long.

        Args:
            wait_s: Seconds.
        """
        self.wait_s = max(1, math.ceil(wait_s))
        duration = f"{self.wait_s} seconds" if self.wait_s < 120 else f"{math.ceil(self.wait_s / 60)} minutes"
        super().__init__(f"too many attempts failed; try again in {duration}")


@dataclass(frozen=True)
class _Counter:
    who: str
    free: int  # failures that cost no wait
    longest_s: float

    def wait_s(self, failures: int) -> float:
        """How long after its last failure the next attempt may come."""
        return 0.0 if failures < self.free else min(self.longest_s, 2.0 ** min(failures - self.free, 20))


class SignInAttempts:
    """Failed sign-ins, in SQL: every process of the page counts the same."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Share the read model's database."""
        self._database = database
        self._clock = clock

    def begin(self, name: str, origin: Origin) -> None:
        """Count an attempt as failed before it is made, so that many at once are all counted.

        Raises:
            TooManyAttempts: If it comes too early; it is not counted then.
        """
        now = self._clock.now()
        with self._database.writing() as connection:
            connection.execute(delete(attempts).where(attempts.c.last_at < now - _FORGET))
            counters = self._counters(connection, name, origin)
            failures = {counter.who: 0 for counter in counters}
            wait_s = 0.0
            for row in connection.execute(select(attempts).where(attempts.c.who.in_(failures))):
                counter = next(known for known in counters if known.who == row.who)
                failures[row.who] = row.failures
                wait_s = max(wait_s, counter.wait_s(row.failures) - (now - row.last_at).total_seconds())
            if wait_s > 0:
                raise TooManyAttempts(wait_s)
            _count(connection, {who: count + 1 for who, count in failures.items()}, now)

    def succeeded(self, name: str, origin: Origin) -> None:
        """Forget what was counted, and know the place from now on; one attempt of its address was none that failed."""
        own = [counter.who for counter in _known_counters(name, origin)]
        account, place = (counter.who for counter in _shared_counters(name, origin))
        with self._database.writing() as connection:
            counted = {counter.who for counter in self._counters(connection, name, origin)}
            connection.execute(delete(attempts).where(attempts.c.who.in_([*own, account])))
            if place in counted:
                back = attempts.update().where(attempts.c.who == place, attempts.c.failures > 0)
                connection.execute(back.values(failures=attempts.c.failures - 1))
            self._know(connection, own)

    def _counters(self, connection: Connection, name: str, origin: Origin) -> Sequence["_Counter"]:
        """What a further failure from there counts for."""
        own = _known_counters(name, origin)
        since = self._clock.now() - _KNOWN
        query = select(known_places.c.who).where(known_places.c.who.in_([each.who for each in own]))
        known = set(connection.execute(query.where(known_places.c.at > since)).scalars())
        narrowest = next((counter for counter in own if counter.who in known), None)
        return (own[-1], *_shared_counters(name, origin)) if narrowest is None else (narrowest,)

    def _know(self, connection: Connection, places: Sequence[str]) -> None:
        now = self._clock.now()
        connection.execute(delete(known_places).where(known_places.c.at < now - _KNOWN))
        statement = insert(known_places, connection.dialect.name)
        again = statement.on_conflict_do_update(index_elements=["who"], set_={"at": statement.excluded.at})
        connection.execute(again, [{"who": who, "at": now} for who in places])


def _count(connection: Connection, failures: dict[str, int], now: datetime) -> None:
    statement = insert(attempts, connection.dialect.name)
    values = {"failures": statement.excluded.failures, "last_at": statement.excluded.last_at}
    rows = [{"who": who, "failures": count, "last_at": now} for who, count in sorted(failures.items())]
    connection.execute(statement.on_conflict_do_update(index_elements=["who"], set_=values), rows)


def _known_counters(name: str, origin: Origin) -> tuple[_Counter, ...]:
    """What is counted for one account at one place alone: the device, if it has a secret, then the address."""
    address = _Counter(f"both:{_hash(name)}:{_network(origin.address)}", 5, 900.0)
    if not origin.device:
        return (address,)
    return (_Counter(f"device:{_hash(name)}:{_hash(origin.device)}", 5, 900.0), address)


def _shared_counters(name: str, origin: Origin) -> tuple[_Counter, _Counter]:
    """What strangers' failures count for too: the account, and the address."""
    return _Counter(f"account:{_hash(name)}", 50, 60.0), _Counter(f"address:{_network(origin.address)}", 50, 60.0)


def counters_of(name: str) -> tuple[str, ...]:
    """How the counters and known places of an account begin, those of addresses left aside."""
    return tuple(f"{kind}:{_hash(name)}" for kind in ("both", "device", "account"))


def _hash(secret: str) -> str:
    """What is typed as a name may be a password, and what a device keeps is one."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def _network(address: str) -> str:
    """An address; of IPv6 the network, since one customer has a whole one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:60]
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)
