"""What a test runs on: the embedded broker, or Apache Kafka behind a prefix that is the test's own."""

from collections.abc import Mapping
from dataclasses import dataclass, field

QUICK = {"group.initial.rebalance.delay.ms": "0", "log.index.size.max.bytes": "65536"}
"""A new group waits for no further members, as Kafka's own ``server.properties`` have it; small indexes."""


@dataclass(frozen=True)
class Brokers:
    """What a test runs on.

    Attributes:
        name: ``embedded`` or ``kafka``.
        options: The product's settings for it; none for the embedded broker, which a stack starts itself.
    """

    name: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def embedded(self) -> bool:
        """Whether it is the embedded broker, which is fresh at each start of a stack."""
        return self.name == "embedded"


EMBEDDED = Brokers("embedded")
