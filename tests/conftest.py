"""The servers that tests share, one of each a session; and what was skipped, named at the end."""

import os
from collections.abc import Iterator

import pytest

from tests import postgresql

CI = os.environ.get("CI", "").casefold() in ("1", "true")


def missing(reason: str) -> None:
    """Skip a test for want of a server; where everything must be there, it fails."""
    if CI:
        pytest.fail(f"CI is set, so nothing may be missing: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A PostgreSQL for the whole session; who uses it empties it first."""
    if postgresql.programs() is None:
        missing("PostgreSQL is not installed; on Debian: apt-get install postgresql")
    with postgresql.running_postgresql() as url:
        yield url
