"""A merge moves its segments in the read model at once; every code knows which one it is by now."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from infra.storage.outcomes import Assigned, outcomes
from infra.storage.store import Store, open_store
from infra.storage.tables import assignments, codes, final_codes
from models.codebook.codebook import Codebook
from models.codebook.themes import theme_id
from schemas import Assignment, CodeEvent, Segment
from schemas.ids import code_event_id, code_id, segment_id

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
LABELS = ["a", "b", "c", "d"]


def code(label: str, study: str = "app") -> UUID:
    return theme_id(study, label[1:]) if label[0] == "*" else code_id(study, label)


def event(kind: str, label: str, minute: float, /, *into: str, study: str = "app", **more: object) -> CodeEvent:
    about = code(label, study)
    given = {"id": code_event_id(about, kind, str(minute)), "code_id": about, "study": study, "author": "ana"}
    given |= {"kind": kind, "label": label, "at": AT + timedelta(minutes=minute)}
    given |= {"into": [code(one, study) for one in into], "level": "theme" if label[0] == "*" else "code"}
    return CodeEvent.model_validate({**given, **more})


def coded(n: int, label: str, study: str = "app") -> list[Segment | Assignment]:
    segment = Segment(id=segment_id(study, "x", str(n)), study=study, text=f"text {n}", source="x")
    assignment = Assignment.model_validate(
        {"segment_id": segment.id, "study": study, "code_id": code(label, study), "label": label, "proposed": label}
        | {"new": False, "similarity": 0.8, "why": "near", "verdict": "picked", "models": {}}
        | {"assigned_at": AT + timedelta(minutes=n)}
    )
    return [segment, assignment]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'qualstream.db'}")
    opened.record([event("created", label, 0) for label in LABELS])
    yield opened
    opened.close()


def finals(store: Store, study: str = "app") -> dict[str, str | None]:
    with store.database.reading() as connection:
        rows = connection.execute(select(codes).where(codes.c.study == study)).all()
    names = {row.id: row.label for row in rows}
    return {row.label: row.final and names[row.final] for row in rows}


def test_a_code_is_what_it_became_over_any_number_of_merges(store: Store) -> None:
    store.record([event("merged", "a", 1, "b")])
    assert finals(store) == {"a": "b", "b": "b", "c": "c", "d": "d"}
    store.record([event("merged", "b", 2, "c")])
    assert finals(store) == {"a": "c", "b": "c", "c": "c", "d": "d"}
    merged = event("merged", "c", 3, "d")
    store.record([merged])
    assert set(finals(store).values()) == {"d"}
    store.record([event("restored", "c", 4, undoes=merged.id)])
    assert finals(store) == {"a": "c", "b": "c", "c": "c", "d": "d"}


def test_a_code_that_was_split_or_retired_is_no_one_code(store: Store) -> None:
    store.record([event("split", "a", 1, "b", "c"), event("merged", "d", 1, "a")])
    assert finals(store) == {"a": None, "b": "b", "c": "c", "d": None}
    store.record([event("merged", "b", 2, "c")])  # its parts are one by now
    assert finals(store) == {"a": "c", "b": "c", "c": "c", "d": "c"}
    store.record([event("retired", "c", 3)])
    assert set(finals(store).values()) == {None}


def test_codes_merged_into_each_other_are_none_and_a_theme_is_no_code(store: Store) -> None:
    store.record([event("merged", "a", 1, "b"), event("merged", "b", 2, "a")])
    store.record([event("created", "*t", 0), event("created", "*u", 0)])
    store.record([event("merged", "c", 1, "*t"), event("merged", "*u", 1, "*t")])
    assert finals(store) == {"a": None, "b": None, "c": None, "d": "d", "*t": "*t", "*u": "*t"}


def test_a_merge_moves_segments_counts_and_exports_at_once_and_its_undo_moves_them_back(store: Store) -> None:
    store.record([one for n in range(5) for one in coded(n, "a" if n < 3 else "b")])
    before = list(store.rows("app"))
    merged = event("merged", "b", 1, "a")
    store.record([merged, event("renamed", "a", 2, label="A!")])
    assert store.top_codes("app", 9) == [("A!", 5)]
    assert store.segments_by_code("app") == {code("a"): 5}
    assert {(row["code"], row["code_id"]) for row in store.rows("app")} == {("A!", code("a"))}
    assert [one.label for one in store.newest("app", 9)] == ["A!"] * 5
    assert store.counts("app").codes == 3
    store.record([event("restored", "b", 3, undoes=merged.id), event("renamed", "a", 4, label="a")])
    assert list(store.rows("app")) == before
    assert store.top_codes("app", 9) == [("a", 3), ("b", 2)]


def test_a_code_that_ended_in_none_keeps_its_segments_and_its_name(store: Store) -> None:
    store.record(coded(1, "a"))
    store.record([event("retired", "a", 1)])
    assert store.top_codes("app", 9) == [("a", 1)]
    assert [row["code"] for row in store.rows("app")] == ["a"]


def test_a_segment_stands_under_what_its_codes_theme_became(store: Store) -> None:
    store.record([event("created", "*t", 0), event("created", "*u", 0), *coded(1, "a")])
    store.record([event("moved", "a", 1, parent_id=code("*u"))])
    store.record([event("merged", "*u", 2, "*t")])
    assert [row["theme"] for row in store.rows("app")] == ["*t"]
    store.record([event("retired", "*t", 3)])
    assert [row["theme"] for row in store.rows("app")] == [None]


_CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["merged", "split", "retired", "restored", "created", "undo"]),
        st.sampled_from(LABELS),
        st.sampled_from(LABELS),
        st.sampled_from(LABELS),
    ),
    max_size=12,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=_CHANGES, shuffler=st.randoms(use_true_random=False), cut=st.integers(1, 5))
def test_in_whatever_order_events_come_each_code_is_what_the_refiner_takes_it_for(
    store: Store, changes: list[tuple[str, str, str, str]], shuffler: random.Random, cut: int
) -> None:
    events = [event("created", label, 0) for label in LABELS]
    for minute, (kind, label, one, other) in enumerate(changes, 1):
        into = {"merged": (one,), "split": (one, other)}.get(kind, ())
        mine = [each for each in events if each.code_id == code(label)]
        more = {"undoes": mine[-1].id} if kind == "undo" else {}
        events.append(event("restored" if kind == "undo" else kind, label, minute, *into, **more))
    codebook = Codebook(events)
    store.reset()
    disordered = events * 2
    shuffler.shuffle(disordered)
    for start in range(0, len(disordered), cut):
        store.record(disordered[start : start + cut])
    with store.database.reading() as connection:
        rows = {row.id: row for row in connection.execute(select(codes))}
    for label in LABELS:
        assert rows[code(label)].final == codebook.current_code(code(label))
    told = list(store.code_events("app"))
    kept = sorted(rows.values(), key=str)
    store.reset()
    store.record(told)
    with store.database.reading() as connection:
        assert sorted(connection.execute(select(codes)).all(), key=str) == kept


def test_other_studies_are_left_alone(store: Store) -> None:
    store.record([event("created", "a", 0, study="shop"), event("merged", "a", 1, "b", study="shop")])
    with store.database.writing() as connection:
        connection.execute(update(codes).where(codes.c.id == code("a")).values(final=None))
    store.record([event("created", "b", 0, study="shop")])
    assert (finals(store)["a"], finals(store, "shop")["a"]) == (None, "b")


def test_what_had_ended_before_the_page_came_is_known_after_the_migration(tmp_path: Path) -> None:
    import sqlite3

    file = tmp_path / "old.db"
    url = f"sqlite:///{file}"
    first = open_store(url)
    first.record([*(event("created", label, 0) for label in LABELS), event("merged", "a", 1, "b")])
    first.record([event("merged", "b", 2, "c"), event("retired", "d", 3)])
    expected = finals(first)
    first.close()
    with sqlite3.connect(file) as raw:
        raw.execute("UPDATE codes SET final = NULL, became = '[]'")
    raw.close()
    _as_of_0002(url)
    again = open_store(url)
    assert finals(again) == expected == {"a": "c", "b": "c", "c": "c", "d": None}
    again.record([event("merged", "c", 4, "d"), event("restored", "d", 4)])
    assert set(finals(again).values()) == {"d"}
    again.close()


def _as_of_0002(url: str) -> None:
    """Take the tables back to what they were before there was a page."""
    from alembic import command
    from alembic.config import Config

    from infra.storage.database import open_database

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[3] / "infra" / "storage" / "migrations"))
    database = open_database(url)
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0002")
    database.close()


def outside(n: int, label: str, standing: str) -> list[Segment | Assignment]:
    segment, assignment = coded(n, label)
    return [segment, assignment.model_copy(update={"standing": standing})]


def ends(store: Store) -> tuple[list[str | None], list[list[str]], list[str | None]]:
    """By segment: the view's code, the outcome's codes, the models' code as a file has it."""
    with store.database.reading() as connection:
        view = connection.execute(select(final_codes.c.code_id, final_codes.c.segment_id)).all()
        rows = connection.execute(select(assignments).order_by(assignments.c.assigned_at)).all()
        settled = outcomes(connection, {r.segment_id: Assigned(r.code_id, r.label, r.standing) for r in rows})
    names = {code(label): label for label in [*LABELS, "proposal"]}
    by_segment = {row.segment_id: row.code_id and names[row.code_id] for row in view}
    found = [[named.label for named in settled[row.segment_id].codes] for row in rows]
    in_file = {row["id"]: row["code"] for row in store.rows("app")}
    return [by_segment[row.segment_id] for row in rows], found, [in_file[row.segment_id] for row in rows]


def test_what_stands_outside_the_codebook_is_no_code_anywhere_until_it_is_admitted(store: Store) -> None:
    store.record([*coded(1, "a"), *outside(2, "none of these", "none"), *outside(3, "proposal", "proposed")])
    assert ends(store) == (["a", None, None], [["a"], [], []], ["a", None, None])
    assert sorted(row["standing"] for row in store.rows("app")) == ["code", "none", "proposed"]
    store.record([event("created", "proposal", 1)])
    assert ends(store) == (["a", None, "proposal"], [["a"], [], ["proposal"]], ["a", None, "proposal"])
    assert dict(store.top_codes("app", 9)) == {"a": 1, "proposal": 1}
