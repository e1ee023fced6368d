"""What the brokers must have for us: topics with their settings, and each role's rights; and whether they have it."""

import asyncio
import json
from collections.abc import Sequence

from aiokafka.errors import KafkaError
from rich.console import Console
from rich.table import Table

from infra.brokers import build_cluster
from infra.settings import Settings
from models.errors import SettingError, UnavailableError
from streams.cluster import Cluster, Names, consumer_group
from streams.topics import PARTITIONS, REPLICAS, TopicDifference, differences
from streams.topology import ROLES, TOPICS, Role, Topic


def expected(settings: Settings) -> Cluster:
    """The brokers of the settings; where there are none, what would be asked of them."""
    try:
        return build_cluster(settings)
    except SettingError:
        return Cluster(
            servers=(),
            partitions=settings.kafka_partitions,
            replication=settings.kafka_replication,
            names=Names(settings.kafka_prefix),
        )


def print_topics(cluster: Cluster, as_json: bool, console: Console) -> None:
    """Print each topic with its settings, and each role with the rights that it needs."""
    topics = [{"topic": cluster.names.at_broker(each.name), **_settings(each, cluster)} for each in TOPICS]
    rights = [_rights(role, cluster) for role in ROLES]
    if as_json:
        for line in [*topics, *rights]:
            console.print_json(json.dumps(line), indent=None)
        return
    _print("topic", topics, console)
    console.print()
    _print("role", [{name: _joined(value) for name, value in row.items()} for row in rights], console)
    console.print(
        "\nWho may also DescribeConfigs on a topic is told where its settings differ; who may Create it need not "
        "have it created. `qualstream status` needs Describe on the groups, and `qualstream tail` Read on the topic.",
        highlight=False,
    )


def check(settings: Settings, as_json: bool, console: Console) -> bool:
    """Print what the topics at the brokers have otherwise than we create them.

    Returns:
        Whether nothing differs.

    Raises:
        SettingError: If no brokers are set, or they refuse us.
        UnavailableError: If the brokers do not answer.
    """
    cluster = build_cluster(settings)
    try:
        different = asyncio.run(differences(cluster, TOPICS))
    except (KafkaError, OSError) as error:
        raise UnavailableError(
            f"the brokers at {','.join(cluster.servers)} do not answer ({error}); "
            "start them, or correct QUALSTREAM_KAFKA_URL"
        ) from error
    _print_differences(different, as_json, console)
    return not different


def _settings(topic: Topic, cluster: Cluster) -> dict[str, str]:
    counts = {PARTITIONS: str(cluster.partitions), REPLICAS: str(cluster.replication)}
    return counts | topic.config(cluster.replication)


def _rights(role: Role, cluster: Cluster) -> dict[str, str | list[str]]:
    at_broker = cluster.names.at_broker
    reads = dict.fromkeys([*role.reads, *role.side_inputs, *role.recalls])
    return {
        "role": role.name,
        "Read on topics": [at_broker(each.name) for each in reads],
        "Write on topics": [at_broker(each.name) for each in role.writes],
        "Read on group": at_broker(consumer_group(role.name)) if role.reads else "",
    }


def _joined(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def _print(first: str, rows: Sequence[dict[str, str]], console: Console) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in columns:
        table.add_column(name, no_wrap=name == first, overflow="fold")
    for row in rows:
        table.add_row(*(row.get(name) or "-" for name in columns))
    console.print(table, highlight=False)


def _print_differences(different: Sequence[TopicDifference], as_json: bool, console: Console) -> None:
    for each in different:
        row = {"topic": each.topic, "setting": each.setting, "found": each.current, "expected": each.expected}
        if as_json:
            console.print_json(json.dumps(row | {"harm": each.harm, "mend": each.mend}), indent=None)
        else:
            console.print(str(each), markup=False, highlight=False, soft_wrap=True)
    if not different and not as_json:
        console.print(f"{len(TOPICS)} topics, each as it is expected", highlight=False)
