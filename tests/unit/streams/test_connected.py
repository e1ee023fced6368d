"""A broker that answers but names no broker to turn to, as Apache Kafka does when it starts or stood still."""

import asyncio

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import BrokerMetadata

from streams import cluster
from streams.cluster import Cluster, connected

ITSELF = BrokerMetadata("1", "127.0.0.1", 9, None)


class LetIn(AIOKafkaClient):
    """A client of a broker that names itself only after it was asked again for so many times."""

    again = 3
    asked = 0

    async def bootstrap(self) -> None:
        assert not self.cluster.brokers()

    def force_metadata_update(self) -> asyncio.Future[bool]:
        self.asked += 1
        if self.asked >= self.again:
            self.cluster._brokers = {"1": ITSELF}
        answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        answered.set_result(self.asked >= self.again)
        return answered


async def test_it_is_asked_again_until_it_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "AIOKafkaClient", LetIn)
    async with connected(Cluster(("127.0.0.1:9",))) as client:
        assert client.cluster.brokers() == {ITSELF}
        assert client.asked == LetIn.again


async def test_it_is_not_waited_for_for_ever_and_the_error_says_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "AIOKafkaClient", LetIn)
    monkeypatch.setattr(cluster, "_LET_IN_S", 0.0)
    with pytest.raises(KafkaConnectionError, match=r"127\.0\.0\.1:9 answer, but name none that works"):
        async with connected(Cluster(("127.0.0.1:9",))):
            raise AssertionError("no broker is known")
