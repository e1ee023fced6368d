"""The store on real SQLite files, and on a PostgreSQL of the tests' own."""

import multiprocessing
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta, timezone
from multiprocessing.synchronize import Barrier
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.storage import database
from infra.storage.projections import code_row
from infra.storage.store import StageCounts, Store, WorkerState, open_store
from infra.storage.tables import metadata
from models.errors import InputError, SettingError, UnavailableError
from schemas import (
    Annotation,
    AnnotationRequest,
    Assignment,
    CodeEvent,
    DeadLetter,
    Decision,
    DriftAlert,
    ModelRelease,
    Neighbour,
    Proposal,
    Proposals,
    Record,
    Segment,
)
from schemas.ids import code_event_id, code_id, dead_letter_id, segment_id

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def minutes(n: float) -> datetime:
    return AT + timedelta(minutes=n)


def segment(n: int, study: str = "app", **more: object) -> Segment:
    given = {"timestamp": minutes(n), "text": f"text {n}", "source": "reviews.csv", "metadata": {"row": n}, **more}
    return Segment.model_validate({"id": segment_id(study, "reviews.csv", str(n)), "study": study, **given})


def decision(of: Segment, label: str = "slow app") -> Decision:
    proposal = Proposal(member="a", model="m@1", label=label, latency_s=0.1)
    return Decision(
        segment=of, proposals=[proposal], label=label, verdict="picked", why="w", agreement=0.5, moderator="c@1"
    )


def assignment(of: Segment, label: str = "slow app", **more: object) -> Assignment:
    given = {"code_id": code_id(of.study, label), "label": label, "proposed": label, "new": False, "similarity": 0.8}
    given |= {"why": "near", "verdict": "picked", "models": {"refiner": "r@1"}, "assigned_at": AT}
    return Assignment.model_validate({"segment_id": of.id, "study": of.study, **given, **more})


def event(kind: str, minute: float, label: str = "slow app", **more: object) -> CodeEvent:
    code = code_id("app", "slow app")
    given = {"id": code_event_id(code, kind, str(minute)), "code_id": code, "study": "app", "author": "r@1"}
    return CodeEvent.model_validate({**given, "kind": kind, "label": label, "at": minutes(minute), **more})


def letter(offset: int, of: Segment | None = None, minute: float = 0) -> DeadLetter:
    return DeadLetter(
        id=dead_letter_id("feedback", 0, offset, b"\xff\0"),
        reason="not UTF-8",
        role="coders",
        topic="feedback",
        partition=0,
        offset=offset,
        raw=b"\xff\0",
        study=of and of.study,
        segment_id=of and of.id,
        at=minutes(minute),
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store' / 'qualstream.db'}"
    server: str = request.getfixturevalue("postgresql_url")
    opened = open_store(server)
    opened.reset()
    opened.close()
    return server


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


# Intake


def test_a_segment_is_taken_in_once_however_often_it_comes(store: Store) -> None:
    assert store.take_in(segment(n) for n in range(1_200)) == 1_200
    assert store.take_in([segment(3), segment(5_000), segment(5_000)]) == 1
    assert store.counts().taken_in == 1_201


def test_segments_are_published_in_the_order_they_were_said_then_as_they_came(store: Store) -> None:
    store.take_in([segment(9), segment(2), segment(50, timestamp=minutes(2)), segment(1, timestamp=None)])
    waiting = store.unpublished(10)
    assert [Segment.from_bytes(one.record).text for one in waiting] == ["text 2", "text 50", "text 9", "text 1"]
    assert (waiting[0].id, waiting[0].study) == (segment(2).id, "app")
    assert waiting[0].record == segment(2).to_bytes()
    store.mark_published([waiting[0].id, waiting[1].id])
    assert [one.id for one in store.unpublished(1)] == [segment(9).id]
    assert store.counts().published == 2


def test_a_segment_that_came_over_the_topic_is_not_published_again(store: Store) -> None:
    store.take_in([segment(1)])
    store.record([segment(1), segment(2)])
    assert store.unpublished(10) == []
    assert store.take_in([segment(2)]) == 0
    assert store.unpublished(10) == []


def request(of: Segment) -> AnnotationRequest:
    asked = assignment(of, route="people")
    return AnnotationRequest.for_assignment(asked, "low confidence", AT)


def test_reopening_publishes_again_what_has_no_outcome_and_nothing_else(store: Store) -> None:
    bare, refined, routed, dead, replayed, waiting, unasked = (segment(n) for n in range(7))
    store.take_in([bare, refined, routed, dead, replayed, waiting, unasked])
    store.mark_published(one.id for one in (bare, refined, routed, dead, replayed, unasked))
    store.record([assignment(refined), assignment(routed, route="people"), letter(1, dead), letter(2, replayed)])
    store.record([request(routed), assignment(unasked, route="people")])
    store.mark_replayed(letter(2).id)
    assert store.open_segments("app") == 5
    assert store.has_open_segments()
    assert store.reopen() == 4
    opened = {one.id for one in store.unpublished(10)}
    assert opened == {bare.id, refined.id, replayed.id, waiting.id, unasked.id}
    assert store.reopen() == 0


def test_only_what_was_published_before_a_time_or_belongs_to_a_study_is_reopened(store: Store) -> None:
    store.take_in([segment(0), segment(1), segment(2, study="other")])
    store.mark_published(segment(n).id for n in range(2))
    store.mark_published([segment(2, study="other").id])
    assert store.reopen(published_before=datetime(2020, 1, 1, tzinfo=UTC)) == 0
    assert store.reopen("other") == 1
    assert store.reopen(published_before=datetime(2120, 1, 1, tzinfo=UTC)) == 2


def test_hostile_text_is_kept_whole_in_the_record_and_readable_in_the_table(store: Store) -> None:
    hostile = segment(1, text="a\0b '; DROP TABLE segments; -- \u202e😀", metadata={"k\0": "\0", "n": None})
    store.take_in([hostile])
    assert Segment.from_bytes(store.unpublished(1)[0].record) == hostile
    (row,) = store.rows("app")
    assert row["text"] == "a\ufffdb '; DROP TABLE segments; -- \u202e😀"
    assert row["metadata"] == {"k\0": "\0", "n": None}


# What the topics say


def everything() -> list[Record]:
    first, second = segment(1), segment(2)
    return [
        first,
        second,
        Proposals(segment=first, proposals=decision(first).proposals),
        decision(first),
        assignment(first, new=True),
        assignment(first, new=True, route="accepted", confidence=0.9, assigned_at=minutes(1)),
        assignment(
            second, route="people", confidence=0.2, runner_up=Neighbour(code_id=first.id, label="x", similarity=0)
        ),
        event("created", 0, segment_id=first.id),
        AnnotationRequest(
            segment_id=second.id,
            study="app",
            code_id=second.id,
            label="x",
            confidence=0.2,
            reason="audit",
            requested_at=AT,
        ),
        Annotation(segment_id=second.id, study="app", annotator="ana", code_ids=[], labels=["x"], decided_at=AT),
        ModelRelease(model="coder", version="2", uri="file:x", sha256="0" * 64, released_at=AT),
        DriftAlert(id=first.id, study="app", kind="mmd", cause="input", at=AT, detected_at=AT, p=0.01, effect=1.5),
        letter(1),
    ]


def state(store: Store) -> object:
    kinds = {type(record) for record in everything()} - {Proposals}
    histories = {kind.__name__: sorted(one.to_bytes() for one in store.history(kind)) for kind in kinds}
    return store.counts(), histories, store.top_codes(None, 10), store.newest("app", 10), list(store.rows())


def test_every_stage_is_counted_for_a_study_and_for_all(store: Store) -> None:
    store.record(everything())
    store.record([assignment(segment(1, "shop"), route="accepted")])
    assert store.counts("app") == StageCounts(
        taken_in=2,
        published=2,
        decided=1,
        refined=2,
        routed=2,
        accepted=1,
        people=1,
        dead_lettered=0,
        codes=1,
        new=1,
        reused=1,
    )
    assert (store.counts().routed, store.counts().dead_lettered) == (3, 1)
    assert store.counts("nowhere") == StageCounts(*[0] * 11)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shuffler=st.randoms(use_true_random=False), cut=st.integers(1, 12))
def test_records_replayed_in_any_order_and_batches_give_the_same_rows(
    store: Store, shuffler: random.Random, cut: int
) -> None:
    store.reset()
    store.record(everything())
    expected = state(store)
    store.reset()
    disordered = everything() * 2
    shuffler.shuffle(disordered)
    for start in range(0, len(disordered), cut):
        store.record(disordered[start : start + cut])
    assert state(store) == expected


def test_an_assignment_without_route_never_overwrites_one_with_it(store: Store) -> None:
    one = segment(1)
    store.record([assignment(one, "old", route="people")])
    store.record([assignment(one, "new", assigned_at=minutes(9))])
    (kept,) = store.history(Assignment)
    assert (kept.label, kept.route) == ("old", "people")
    store.record([assignment(one, "new", route="accepted", assigned_at=minutes(9))])
    store.record([assignment(one, "old", route="people")])
    (kept,) = store.history(Assignment)
    assert (kept.label, kept.route) == ("new", "accepted")


def test_a_batch_with_one_unwritable_record_writes_nothing(store: Store) -> None:
    broken = assignment(segment(2)).model_copy(update={"study": None})
    with pytest.raises(Exception, match=r"(?i)null"):
        store.record([segment(1), broken])
    assert store.counts().taken_in == 0


def test_fields_that_this_version_does_not_know_come_back_from_the_history(store: Store) -> None:
    later = CodeEvent.model_validate({**event("created", 0).model_dump(), "colour": {"hue": 3}})
    store.record([later])
    (kept,) = store.code_events("app")
    assert kept.model_extra == {"colour": {"hue": 3}}
    assert kept == later


def test_the_codebook_is_told_in_the_order_of_its_time(store: Store) -> None:
    store.record([event("retired", 3), event("created", 1)])
    store.record([event("renamed", 2, "slow start")])
    assert [one.kind for one in store.code_events()] == ["created", "renamed", "retired"]
    assert list(store.code_events("shop")) == []


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([event("created", 0)], {"label": "slow app", "retired": False, "created_at": AT}),
        ([event("renamed", 1, "slow start")], {"label": "slow start", "retired": False, "created_at": minutes(1)}),
        ([event("created", 0), event("renamed", 2, "b"), event("renamed", 1, "c")], {"label": "b"}),
        ([event("created", 0), event("merged", 1)], {"retired": True}),
        ([event("created", 0), event("retired", 1), event("restored", 2)], {"retired": False}),
        (
            [event("created", 0), event("merged", 1), event("defined", 2, undoes=event("merged", 1).id)],
            {"retired": False},
        ),
        (
            [
                event("created", 0),
                event("merged", 1),
                event("restored", 2, undoes=event("merged", 1).id),
                event("merged", 3, undoes=event("restored", 2).id),
            ],
            {"retired": True},
        ),
        (
            [event("created", 0), event("defined", 1, definition="d"), event("moved", 2, parent_id=UUID(int=1))],
            {"definition": "d", "parent": UUID(int=1)},
        ),
    ],
)
def test_a_code_is_what_its_events_add_up_to(events: list[CodeEvent], expected: dict[str, object]) -> None:
    row = code_row(events)
    assert row == code_row(events[::-1])
    assert {name: row[name] for name in expected} == expected


def test_a_persons_second_thought_does_not_replace_the_first(store: Store) -> None:
    first = Annotation(segment_id=segment(1).id, study="app", annotator="ana", code_ids=[], labels=["x"], decided_at=AT)
    second = first.model_copy(update={"labels": ["y"], "decided_at": minutes(5)})
    store.record([second, first, second])
    assert list(store.history(Annotation, "app")) == [first, second]


# What users see


def test_the_live_view_shows_the_newest_first(store: Store) -> None:
    store.record([segment(n) for n in range(5)])
    store.record([assignment(segment(n), f"code {n}", assigned_at=minutes(n)) for n in range(5)])
    store.record([assignment(segment(1), "code 1", route="people", confidence=0.25, assigned_at=minutes(9))])
    newest = store.newest("app", 2)
    assert [(one.text, one.label, one.route) for one in newest] == [
        ("text 1", "code 1", "people"),
        ("text 4", "code 4", None),
    ]
    assert (newest[0].new, newest[0].similarity, newest[0].confidence) == (False, 0.8, 0.25)
    assert store.newest("shop", 2) == []


def test_the_most_used_codes_carry_their_present_label(store: Store) -> None:
    store.record([assignment(segment(n), "slow app" if n < 3 else "crash") for n in range(4)])
    store.record([event("created", 0), event("renamed", 1, "slow start")])
    assert store.top_codes("app", 5) == [("slow start", 3), ("crash", 1)]
    assert store.top_codes(None, 1) == [("slow start", 3)]


def test_times_come_back_in_utc_wherever_they_were_said(store: Store) -> None:
    said = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    store.take_in([segment(1, timestamp=said)])
    (row,) = store.rows()
    assert row["timestamp"] == said
    assert row["timestamp"].utcoffset() == timedelta(0)


# Dead letters, workers, reset


def test_a_dead_letter_is_found_replayed_and_open_again_when_it_fails_again(store: Store) -> None:
    store.record([letter(1), letter(2, minute=1)])
    assert [one.letter.offset for one in store.dead_letters()] == [2, 1]
    assert store.dead_letter(UUID(int=0)) is None
    store.mark_replayed(letter(1).id)
    found = store.dead_letter(letter(1).id)
    assert found is not None
    assert found.letter == letter(1)
    assert found.replayed_at is not None
    assert [one.letter.offset for one in store.dead_letters(replayed=True)] == [1]
    store.record([letter(1)])
    assert len(store.dead_letters(replayed=False, limit=5)) == 1
    store.record([letter(1).model_copy(update={"at": datetime.now(UTC) + timedelta(minutes=1)})])
    assert len(store.dead_letters(replayed=False)) == 2


def test_a_workers_last_word_replaces_the_one_before(store: Store) -> None:
    state = WorkerState("coders", "coders-1", 42, "here", AT, AT)
    later = replace(state, seen_at=minutes(1), read=5, last_error="away", last_commit_at=minutes(1))
    other = replace(state, role="refiner")
    for one in (state, other, later):
        store.heartbeat(one)
    assert store.workers() == [later, other]


def test_a_reset_forgets_one_study_or_everything(store: Store) -> None:
    store.record([*everything(), segment(1, "shop")])
    store.heartbeat(WorkerState("coders", "1", 1, "here", AT, AT))
    store.reset("app")
    assert (store.counts().taken_in, store.counts("app")) == (1, StageCounts(*[0] * 11))
    assert list(store.code_events()) == []
    assert len(list(store.history(ModelRelease))) == len(store.workers()) == 1
    store.reset()
    assert (store.counts(), store.workers()) == (StageCounts(*[0] * 11), [])


# Several processes

_WRITER = """
    import sys
    from tests.unit.storage.test_store import assignment, event, open_store, segment
    store = open_store(sys.argv[1])
    first = int(sys.argv[2])
    print("open", flush=True)
    sys.stdin.readline()
    for start in range(first, first + {rounds} * 20, 20):
        store.take_in(segment(n) for n in range(start, start + 20))
        store.record([segment(n) for n in range(start, start + 20)])
        store.record([assignment(segment(n), f"code {{n}}", route="accepted") for n in range(start, start + 20)])
        store.record([event("renamed", start, f"label {{start}}")])
"""


def _writer(url: str, first: int, rounds: int) -> "subprocess.Popen[bytes]":
    program = textwrap.dedent(_WRITER).format(rounds=rounds)
    return subprocess.Popen(
        [sys.executable, "-c", program, url, str(first)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def _go(writer: "subprocess.Popen[bytes]") -> None:
    assert writer.stdin
    writer.stdin.write(b"\n")
    writer.stdin.flush()


def test_processes_that_open_and_write_at_once_lose_nothing(url: str) -> None:
    with _writer(url, 0, 15) as one, _writer(url, 200, 15) as other:  # 0..300 and 200..500: a third is written by both
        for writer in (one, other):
            assert writer.stdout
            assert writer.stdout.readline() == b"open\n"
        for writer in (one, other):
            _go(writer)
        for writer in (one, other):
            writer.communicate(timeout=100)
            assert writer.returncode == 0
    store = open_store(url)
    counts = store.counts("app")
    assert (counts.taken_in, counts.published, counts.routed, counts.codes) == (500, 500, 500, 1)
    assert len(list(store.code_events())) == 25
    assert store.open_segments("app") == 0
    assert not store.has_open_segments()
    store.close()


def _open_new_files(folder: Path, ready: Barrier, rounds: int) -> None:
    for n in range(rounds):
        ready.wait()
        with closing(sqlite3.connect(folder / f"{n}.db", timeout=30)) as connection:
            database.write_ahead(connection)
            connection.execute("CREATE TABLE IF NOT EXISTS opened (n)")


def test_processes_that_open_a_new_file_at_the_same_moment_all_get_it(tmp_path: Path) -> None:
    context, rounds = multiprocessing.get_context("spawn"), 100
    ready = context.Barrier(4, timeout=60)
    openers = [context.Process(target=_open_new_files, args=(tmp_path, ready, rounds)) for _ in range(4)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join()
    assert [opener.exitcode for opener in openers] == [0] * 4
    for n in range(rounds):
        with closing(sqlite3.connect(tmp_path / f"{n}.db")) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_writer_killed_in_the_middle_leaves_a_readable_store(url: str) -> None:
    store = open_store(url)
    writer = _writer(url, 0, 100_000)
    _go(writer)
    while store.counts().routed < 60:
        assert writer.poll() is None
    writer.send_signal(signal.SIGKILL)
    writer.communicate(timeout=30)
    seen = store.counts()
    assert seen.routed % 20 == 0
    assert seen.taken_in - seen.routed in {0, 20}
    assert len(list(store.rows())) == seen.taken_in
    assert store.take_in([segment(10**6)]) == 1
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as raw:
            assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        raw.close()
    store.close()


# Opening


def test_the_migrations_make_exactly_the_tables_of_this_version(url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    opened = database.open_database(url)
    with opened.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    opened.close()
    scripts = ScriptDirectory(str(Path(database.__file__).parent / "migrations"))
    assert scripts.get_current_head() == database.REVISION


def test_tables_of_a_newer_version_are_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'q.db'}"
    open_store(url).close()
    with sqlite3.connect(tmp_path / "q.db") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    with pytest.raises(SettingError, match=r"not at a revision that this version .* upgrade Qualstream"):
        open_store(url)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("sqlite:////proc/nowhere/q.db", "cannot make the folder '/proc/nowhere'"),
        ("sqlite:///{folder}/file/q.db", "cannot make the folder"),
        ("sqlite:///{folder}", "unable to open database file"),
        ("sqlite:///{folder}/file", "no readable SQLite database"),
        ("sqlite://", "names no file"),
        ("mysql://u:secret@h/d", "begins with 'mysql'"),
        ("no url", "cannot be read; expected sqlite:///FILE or postgresql://"),
    ],
)
def test_a_place_that_cannot_hold_the_store_is_a_one_line_setting_error(url: str, found: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("This is a letter to a friend, not a database." * 50)
    with pytest.raises(SettingError) as caught:
        open_store(url.format(folder=tmp_path))
    assert found in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_database_that_is_away_is_unavailable_and_its_password_stays_secret() -> None:
    with pytest.raises(UnavailableError, match="does not answer") as caught:
        open_store("postgresql://user:secret@127.0.0.1:9/qualstream")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_database_that_does_not_exist_is_a_setting_error(postgresql_url: str) -> None:
    with pytest.raises(SettingError, match="does not exist; correct the database URL"):
        open_store(postgresql_url.rsplit("/", 1)[0] + "/nowhere")


def test_a_worker_state_holds_what_the_status_shows() -> None:
    assert set(asdict(WorkerState("r", "i", 1, "h", AT, AT))) == set(metadata.tables["workers"].c.keys())


def test_a_value_that_the_database_cannot_hold_is_an_error_of_its_own_and_nothing_of_its_batch_is_kept(
    store: Store,
) -> None:
    too_large = segment(1).model_copy(update={"cut_from": 10**30})
    with pytest.raises(InputError, match="cannot hold a value"):
        store.record([segment(0), too_large])
    assert store.counts().taken_in == 0
