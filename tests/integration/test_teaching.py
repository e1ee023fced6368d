"""What people coded leads a stack that is to start and one that runs; what they change in the codebook holds too."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.factory.stores import build_store
from infra.local.stack import LocalStack
from infra.settings import load_settings
from infra.storage.store import Store
from schemas import Annotation, CodeEvent, Segment
from schemas.ids import code_event_id, code_id, segment_id
from streams.cluster import Cluster
from streams.publish import Outgoing
from streams.topology import CODEBOOK, LABELS
from tests.brokers.chosen import Brokers
from tests.integration.stack import STUDY, environment, messages, publish, reach, running, until

BEFORE = {
    "the checkout takes forever on my old phone": "patience lost",
    "my screen turns black after every update": "broken by updates",
}
WHILE = {"music stops when the battery runs low": "interrupted listening"}


def qualstream(folder: Path, *args: object, **options: str) -> str:
    command = [sys.executable, "-m", "infra.cli", *(str(one) for one in args)]
    done = subprocess.run(command, env=environment(folder, **options), capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stderr.decode() + done.stdout.decode()


def teach(folder: Path, coded: dict[str, str], brokers: Brokers) -> str:
    file = folder.parent / "coded.csv"
    file.write_text("text,codes\n" + "".join(f"{text},{code}\n" for text, code in coded.items()))
    return qualstream(folder, "teach", file, "--coder", "ana", **brokers.options)


class Coding:
    """Segments into a running stack, rows out of its read model."""

    def __init__(self, stack: LocalStack, store: Store) -> None:
        self.stack, self.store = stack, store
        self.count = sum(1 for _ in store.rows(STUDY))

    def rows(self, *texts: str) -> list[dict[str, Any]]:
        """Code these texts; one row each."""
        made = []
        for text in texts:
            self.count += 1
            made.append(Segment(id=segment_id(STUDY, "test", str(self.count)), study=STUDY, text=text, source="test"))
        wanted = {one.id for one in made}
        self.store.take_in(made)
        done: dict[Any, dict[str, Any]] = {}

        def routed() -> bool:
            done.update({row["id"]: row for row in self.store.rows(STUDY) if row["id"] in wanted and row["route"]})
            return len(done) == len(wanted)

        until(routed, self.stack)
        return [done[one.id] for one in made]

    def until_called(self, text: str, code: str) -> None:
        """Code a text again and again until it gets a code: what was published has been heard then."""
        until(lambda: self.rows(text)[0]["code"] == code, self.stack)


def near(text: str) -> str:
    return f"{text} now"


def assert_led(rows: list[dict[str, Any]], coded: dict[str, str]) -> None:
    assert [row["code"] for row in rows] == list(coded.values())
    assert [row["code_id"] for row in rows] == [code_id(STUDY, code) for code in coded.values()]
    assert {row["verdict"] for row in rows} <= {"precedent", "consensus"}


def test_what_is_taught_before_or_while_a_stack_runs_leads_it_and_the_next_one_until_people_change_it(
    tmp_path, brokers
):
    folder = tmp_path / "data"
    folder.mkdir()
    kept = "kept; the next `qualstream up` publishes it\n" if brokers.embedded else "published\n"
    assert teach(folder, BEFORE, brokers).endswith(kept)
    with running(folder, brokers=brokers) as (stack, store):
        said = [Annotation.from_bytes(raw) for raw in messages(stack.cluster, LABELS.name)]
        assert {(one.text, *one.labels, one.annotator) for one in said} == {(*pair, "ana") for pair in BEFORE.items()}
        coding = Coding(stack, store)
        assert_led(coding.rows(*map(near, BEFORE)), BEFORE)

        (unled,) = coding.rows(*map(near, WHILE))
        assert unled["code"] not in WHILE.values()
        assert teach(folder, WHILE, brokers).endswith("published\n")
        if brokers.embedded:  # forgets when it ends, so the store has it before the broker does
            assert authors(store, WHILE) == {"ana"}
        until(lambda: authors(store, WHILE) == {"ana"}, stack)
        ((text, code),) = WHILE.items()
        coding.until_called(text, code)
        rows = coding.rows(*map(near, BEFORE | WHILE))
        assert_led(rows, BEFORE | WHILE)
        assert {row["verdict"] for row in rows} == {"precedent"}
        assert not any(row["new"] for row in store.rows(STUDY) if row["code"] in (BEFORE | WHILE).values())
    with running(folder, store, brokers=brokers) as (stack, _):
        coding = Coding(stack, store)
        assert_led(coding.rows(*map(near, BEFORE | WHILE)), BEFORE | WHILE)
        created = [one for one in events(store) if one.label in (BEFORE | WHILE).values()]
        assert {(one.label, one.kind, one.author) for one in created} == {
            (code, "created", "ana") for code in (BEFORE | WHILE).values()
        }
        out = qualstream(folder, "export", "--format", "csv")
        assert all(out.count(f",{code},") >= 2 for code in (BEFORE | WHILE).values())
        assert_changes_hold(coding, *(BEFORE | WHILE).items())
    store.close()


def assert_changes_hold(coding: Coding, one: tuple[str, str], other: tuple[str, str], *_: tuple[str, str]) -> None:
    """What people rename and merge while the stack runs holds for later segments."""
    cluster, ((text, code), (second_text, second)) = coding.stack.cluster, (one, other)
    change(cluster, "renamed", code, "waiting")
    coding.until_called(text, "waiting")
    change(cluster, "merged", second, second, into=[str(code_id(STUDY, code))])
    coding.until_called(second_text, "waiting")
    assert {row["code_id"] for row in coding.store.rows(STUDY) if row["code"] == "waiting"} == {code_id(STUDY, code)}


def events(store: Store) -> list[CodeEvent]:
    return list(store.code_events(STUDY))


def authors(store: Store, coded: dict[str, str]) -> set[str]:
    return {event.author for event in events(store) if event.label in coded.values()}


def change(cluster: Cluster, kind: str, of: str, label: str, **more: object) -> None:
    code = code_id(STUDY, of)
    event = CodeEvent.model_validate(
        {"id": code_event_id(code, kind, label), "code_id": code, "study": STUDY, "kind": kind, "label": label}
        | {"author": "ana", "at": datetime.now(UTC)}
        | more
    )
    publish(cluster, [Outgoing(CODEBOOK.name, str(code).encode(), event.to_bytes())])


def test_brokers_of_ones_own_get_what_is_taught_and_the_store_gets_it_from_them(tmp_path, brokers):
    folder = tmp_path / "data"
    with running(folder, roles=(), brokers=brokers) as (stack, store):
        file = tmp_path / "coded.csv"
        file.write_text("text,codes\nlogin is slow,speed\n")
        command = [sys.executable, "-m", "infra.cli", "teach", str(file), "--coder", "ana"]
        env = environment(tmp_path / "elsewhere", **reach(stack.cluster))
        done = subprocess.run(command, env=env, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert [CodeEvent.from_bytes(raw).label for raw in messages(stack.cluster, CODEBOOK.name)] == ["speed"]
        assert events(store) == []
        elsewhere = build_store(load_settings(data_dir=tmp_path / "elsewhere"))
        assert events(elsewhere) == []
        elsewhere.close()
    store.close()
