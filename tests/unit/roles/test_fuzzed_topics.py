"""Whatever stands on a role's topics, its stage takes the batch: nothing is raised, and what it writes can be read.

Every role's stage is built as in the stack, with fake models and a real read model, and kept over all messages.
"""

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.roles.registry import find_role
from infra.settings import load_settings
from models.backends.token_usage import TokenUsage
from streams.stage import Received, Stage
from streams.topology import LARGEST_MESSAGE, ROLES, Role, Topic, role, topic
from tests.integration.stack import FAKES
from tests.unit.test_records import EXAMPLES

_STAGES = [each for each in ROLES if each.name not in ("ingest", "monitor", "web")]
_CASES = 70  # a role and topic: more than 2,000 in all
_BY_KIND = {type(example): json.loads(example.to_bytes()) for example in EXAMPLES}
_NUMBERS = (10**30, -(10**30), 2**63, -1, 0, 1e308, True)
_WORDS = ("", "\0", "\ud800", "NaN", "x" * 70_000, "\u202e" * 10, "00000000-0000-0000-0000-000000000000")
_MOMENTS = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00")
_ODD = st.sampled_from([*_NUMBERS, *_WORDS, *_MOMENTS, [], {}, [[]], None])
_ANY = st.recursive(
    _ODD | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def _topics(one: Role) -> list[tuple[str, str]]:
    return [(one.name, each.name) for each in dict.fromkeys([*one.reads, *one.side_inputs, *one.recalls])]


def _paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a JSON value has values: keys and places from the top down."""
    if at:
        yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from _paths(each, (*at, key))


def _with(value: Any, at: tuple[Any, ...], new: Any) -> Any:
    """A copy with another value at a place; without it where the new one is ``...``."""
    if not at:
        return new
    copy, key = value.copy(), at[0]
    if len(at) == 1 and new is ...:
        del copy[key]
    else:
        copy[key] = _with(value[key], at[1:], new)
    return copy


def _records(kind: type) -> st.SearchStrategy[bytes]:
    """Records of which up to three places hold something else, or nothing."""
    example = _BY_KIND.get(kind, {"schema_version": 1, "study": "app", "author": "lea", "at": "2026-03-01T12:30:00Z"})
    changes = st.lists(st.tuples(st.sampled_from(list(_paths(example))), _ANY | st.just(...)), max_size=3)
    return changes.map(lambda each: _changed(example, each))


def _changed(example: Any, changes: list[tuple[tuple[Any, ...], Any]]) -> bytes:
    for at, new in changes:
        try:
            example = _with(example, at, new)
        except (KeyError, IndexError, TypeError, AttributeError):
            continue  # an earlier change took the place away
    return json.dumps(example).encode("utf-8", "surrogatepass")


def _messages(kind: type) -> st.SearchStrategy[bytes | None]:
    cut = st.tuples(_records(kind), st.integers(0, 300)).map(lambda each: each[0][: each[1]])
    return _records(kind) | cut | st.binary(max_size=60) | _ANY.map(_as_json) | st.none()


def _as_json(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Stage]:
    """A stage a role, with what it hears at the start."""
    built = {}
    for one in _STAGES:
        folder: Path = tmp_path_factory.mktemp(one.name)
        build = find_role(one.name).build_stage
        assert build is not None
        built[one.name] = build(load_settings(data_dir=folder, profile=str(FAKES), study="app"), TokenUsage())
        built[one.name].side_inputs_loaded()
    return built


def _readable(messages: list[Any]) -> None:
    for message in messages:
        assert len(message.value or b"") <= LARGEST_MESSAGE
        if message.value is not None:
            topic(message.topic).record.from_bytes(message.value)


def _hand_over(stage: Stage, where: Topic, batch: list[Received]) -> None:
    values = [message.value for message in batch]
    if handler := stage.side_inputs().get(where.name):
        handler(values)
    for recall in (stage.initial_inputs().get(where.name), stage.recalls().get(where.name)):
        if recall:
            recall.handler(values)


@pytest.mark.parametrize(("name", "where"), [pair for one in _STAGES for pair in _topics(one)])
def test_no_message_ends_a_role_and_whatever_it_writes_can_be_read(
    stages: dict[str, Stage], name: str, where: str
) -> None:
    stage, read, offsets = stages[name], [each.name for each in role(name).reads], count()
    keys = st.none() | st.binary(max_size=40)

    @settings(max_examples=_CASES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(keys, _messages(topic(where).record)), min_size=1, max_size=4))
    def fuzz(drawn: list[tuple[bytes | None, bytes | None]]) -> None:
        batch = [Received(where, 0, next(offsets), key, value) for key, value in drawn]
        _hand_over(stage, topic(where), batch)
        if where in read:
            result = stage.step(batch)
            _readable([*result.messages, *stage.tick().messages])
            if result.settle is not None:
                result.settle()
            assert name == "moderator" or result.done == batch  # it waits for members that are missing

    fuzz()
