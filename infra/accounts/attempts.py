"""Sign-in attempts: after some failures each further one has to wait, longer and longer, never more than 15 minutes.

Failures are counted three times: by account and address together, which is slowed down most; by account, so that many
addresses cannot share the work; and by address, so that one cannot try many accounts. The latter two never make anybody
wait for more than a minute: a stranger's failures must not keep the right person out.
"""

import hashlib
import ipaddress
import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select

from infra.storage.database import Database
from infra.storage.projections import insert
from infra.storage.tables import attempts
from models.errors import QualstreamError
from models.ports import Clock

_FORGET = timedelta(days=1)


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

    def begin(self, name: str, address: str) -> None:
        """Count an attempt as failed before it is made, so that many at once are all counted.

        Raises:
            TooManyAttempts: If it comes too early; it is not counted then.
        """
        now = self._clock.now()
        with self._database.writing() as connection:
            connection.execute(delete(attempts).where(attempts.c.last_at < now - _FORGET))
            counters = _counters(name, address)
            failures = {counter.who: 0 for counter in counters}
            wait_s = 0.0
            for row in connection.execute(select(attempts).where(attempts.c.who.in_(failures))):
                counter = next(known for known in counters if known.who == row.who)
                failures[row.who] = row.failures
                wait_s = max(wait_s, counter.wait_s(row.failures) - (now - row.last_at).total_seconds())
            if wait_s > 0:
                raise TooManyAttempts(wait_s)
            _count(connection, {who: count + 1 for who, count in failures.items()}, now)

    def succeeded(self, name: str, address: str) -> None:
        """Forget what was counted for the account; one attempt of its address was none that failed."""
        pair, account, place = (counter.who for counter in _counters(name, address))
        with self._database.writing() as connection:
            connection.execute(delete(attempts).where(attempts.c.who.in_([pair, account])))
            back = attempts.update().where(attempts.c.who == place, attempts.c.failures > 0)
            connection.execute(back.values(failures=attempts.c.failures - 1))


def _count(connection: Connection, failures: dict[str, int], now: datetime) -> None:
    statement = insert(attempts, connection.dialect.name)
    values = {"failures": statement.excluded.failures, "last_at": statement.excluded.last_at}
    rows = [{"who": who, "failures": count, "last_at": now} for who, count in sorted(failures.items())]
    connection.execute(statement.on_conflict_do_update(index_elements=["who"], set_=values), rows)


def _counters(name: str, address: str) -> tuple[_Counter, _Counter, _Counter]:
    account = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[
        :40
    ]  # what is typed there may be a password
    place = _network(address)
    return (
        _Counter(f"both:{account}:{place}", 5, 900.0),
        _Counter(f"account:{account}", 50, 60.0),
        _Counter(f"address:{place}", 50, 60.0),
    )


def _network(address: str) -> str:
    """An address; of IPv6 the network, since one customer has a whole one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:60]
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)
