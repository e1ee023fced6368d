"""Every export, whatever stands in it, is read by teach, by the page's import and by evaluate without loss."""

import io
from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.annotation.import_labels import Importing, plan
from infra.codebook.codebook_import import codebook_entries, import_codebook
from infra.codebook.codebook_table import read_codebook_table, write_codebook_table
from infra.files.export import export, export_labels
from infra.files.gold import read_gold, read_predictions
from infra.files.labels.label_sheet import read_labels
from infra.storage.store import open_store
from models.codebook.codebook import Codebook
from models.codebook.edits import Act
from models.text.labels import clean_code
from schemas import Annotation, CodeEvent, Segment
from schemas.ids import code_event_id, code_id, normalised_label, segment_id

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOSTILE = [
    *(
        "a; b",
        "a|b",
        "a, b",
        "b",
        "x#y",
        "=1+1",
        "'=x",
        "'quoted'",
        '"',
        "A > B",
        "[1]",
        '["a"]',
        '{"choices": ["b"]}',
        "(1, 2)",
        "('a', 'b')",
        "['a' 'b']",
    ),
    *("2.0", "-1", "+1", "@x", "n/a", "none 1", "a\tb", "TRUE1", "Café", "ß", "日本", "nan", "1;2", "x\\ny", "'", "0"),
]
FORMATS = ("csv", "jsonl", "parquet")
some_label = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.sampled_from(" ;|,#>=+-@'\"[]{}:\\abcdefg0123456789.äß日"), min_size=1, max_size=20),
).filter(lambda text: any(c.isalnum() for c in text))
labels = some_label.map(clean_code)
texts = st.one_of(
    st.sampled_from(["ok", "=SUM(A1)", "'=x", "-5", "@home", "two\nlines", 'say "no"', "a; b, c", " x ", "&lt;", "1"]),
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30),
).filter(str.strip)
codings = st.lists(
    st.tuples(
        texts,
        st.lists(labels, max_size=3, unique_by=normalised_label),
        st.sampled_from(["ana", "=ben", "O'Neil, C."]),
    ),
    min_size=1,
    max_size=6,
)


def word(study: str, n: int, text: str, names: list[str], coder: str) -> Annotation:
    return Annotation(
        segment_id=segment_id(study, "made", str(n)),
        study=study,
        annotator=coder,
        code_ids=[code_id(study, name) for name in names],
        labels=names,
        text=text,
        decided_at=AT + timedelta(minutes=n),
        source="made",
        own_id=str(n),
    )


def created(study: str, names: set[str]) -> list[CodeEvent]:
    return [
        CodeEvent(
            id=code_event_id(code_id(study, name), "created", "made"),
            code_id=code_id(study, name),
            study=study,
            kind="created",
            label=name,
            author="ana",
            at=AT,
        )
        for name in sorted(names)
    ]


def said(words: list[Annotation]) -> list[tuple[object, ...]]:
    """What words say, whatever the study calls their segments."""
    return sorted(
        (
            each.own_id,
            each.text,
            each.annotator,
            sorted(map(normalised_label, each.labels)),
            each.decided_at.isoformat(),
        )
        for each in words
    )


@given(rows=codings)
@settings(max_examples=15, deadline=None)
@pytest.mark.parametrize("fmt", FORMATS)
def test_labels_go_out_and_into_another_study_and_nothing_is_lost(tmp_path_factory, fmt, rows):
    words = [word("here", n, *row) for n, row in enumerate(rows)]
    folder = tmp_path_factory.mktemp("labels")
    with closing(open_store(f"sqlite:///{folder / 'study.db'}")) as store:
        store.record([*created("here", {label for each in words for label in each.labels}), *words])
        out = io.BytesIO()
        assert export_labels(store, "here", fmt, out) == len(words)
        sheet = read_labels(io.BytesIO(out.getvalue()), f"labels.{fmt}")
        assert sheet.rejected == []
        again = plan(store.database, sheet, Importing("here", "lea", AT + timedelta(days=1), teach_unmatched=True))
        assert again.changes == 0
        planned = plan(store.database, sheet, Importing("there", "lea", AT + timedelta(days=1), teach_unmatched=True))
        planned.write(store.record)
        assert said(list(store.history(Annotation, "there"))) == said(words)


@pytest.mark.parametrize("fmt", FORMATS)
def test_labels_of_equal_texts_come_to_the_segments_of_another_study_that_have_their_ids(tmp_path, fmt):
    codes = ["staff", "price", "food", "room", "lift", "view"]
    words = [word("here", n, "Good", [name], "ana") for n, name in enumerate(codes)]
    ids = {str(n): segment_id("there", "made", str(n)) for n in range(len(codes))}
    taken = [Segment(id=ids[n], study="there", text="Good", source="made", own_id=n) for n in ids]
    with closing(open_store(f"sqlite:///{tmp_path / 'study.db'}")) as store:
        store.record([*created("here", set(codes)), *words, *taken])
        out = io.BytesIO()
        export_labels(store, "here", fmt, out)
        sheet = read_labels(io.BytesIO(out.getvalue()), f"labels.{fmt}")
        plan(store.database, sheet, Importing("there", "lea", AT + timedelta(days=1))).write(store.record)
        found = {each.segment_id: each.labels for each in store.history(Annotation, "there")}
    assert found == {ids[str(n)]: [name] for n, name in enumerate(codes)}


@given(rows=codings)
@settings(max_examples=15, deadline=None)
@pytest.mark.parametrize("fmt", FORMATS)
def test_labels_are_gold_and_predictions(tmp_path_factory, fmt, rows):
    words = [word("here", n, text, names or ["none 2"], "ana") for n, (text, names, _) in enumerate(rows)]
    folder = tmp_path_factory.mktemp("gold")
    with closing(open_store(f"sqlite:///{folder / 'study.db'}")) as store:
        store.record([*created("here", {label for each in words for label in each.labels}), *words])
        with (folder / f"gold.{fmt}").open("wb") as out:
            export_labels(store, "here", fmt, out)
    gold = read_gold(folder / f"gold.{fmt}")
    expected = {str(each.segment_id): set(map(normalised_label, each.labels)) for each in words}
    assert {row.id: set(map(normalised_label, row.codes)) for row in gold.rows} == expected
    predicted = read_predictions(folder / f"gold.{fmt}", gold)
    assert predicted.codes == [row.codes for row in gold.rows]


@given(rows=st.lists(st.tuples(texts, labels), min_size=1, max_size=5))
@settings(max_examples=10, deadline=None)
@pytest.mark.parametrize("fmt", FORMATS)
def test_segments_are_gold_by_what_people_said(tmp_path_factory, fmt, rows):
    folder = tmp_path_factory.mktemp("segments")
    segments = [
        Segment(id=uuid5(UUID(int=1), str(n)), study="here", text=text, source="made")
        for n, (text, _) in enumerate(rows)
    ]
    words = [
        word("here", n, text, [name], "ana").model_copy(update={"segment_id": segments[n].id})
        for n, (text, name) in enumerate(rows)
    ]
    with closing(open_store(f"sqlite:///{folder / 'study.db'}")) as store:
        store.record([*segments, *created("here", {name for _, name in rows}), *words])
        with (folder / f"segments.{fmt}").open("wb") as out:
            assert export(store, "here", fmt, out) == len(rows)
    gold = read_gold(folder / f"segments.{fmt}")
    found = {row.id: [normalised_label(code) for code in row.codes] for row in gold.rows}
    assert found == {str(each.segment_id): [normalised_label(each.labels[0])] for each in words}


@given(
    names=st.lists(labels, min_size=1, max_size=5, unique_by=normalised_label),
    notes=st.lists(texts.map(str.strip).filter(bool), min_size=5, max_size=5),
)
@settings(max_examples=10, deadline=None)
@pytest.mark.parametrize("fmt", FORMATS)
def test_a_codebook_goes_out_and_into_another_study_and_nothing_is_lost(tmp_path_factory, fmt, names, notes):
    path = tmp_path_factory.mktemp("book") / f"book.{fmt}"
    events = [
        event.model_copy(update={"definition": note, "examples": [note, "b"], "color": "#FF8800"})
        for event, note in zip(created("here", set(names)), notes, strict=False)
    ]
    here = Codebook(events)
    with path.open("wb") as out:
        write_codebook_table(here, "here", {}, fmt, out)
    imported = import_codebook(
        codebook_entries(read_codebook_table(path)), [], "there", Act("lea", AT, "imported", "imported")
    )
    there = Codebook(imported.events)
    assert stated(there) == stated(here)


def stated(codebook: Codebook) -> set[tuple[object, ...]]:
    return {(normalised_label(c.label), c.level, c.definition, c.examples, c.color) for c in codebook.values()}
