"""Texts that people coded with several codes each, as an experiment takes them: read, checked, drawn from."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from infra.files.coded_texts import nothing_coded
from infra.files.labels.equal_texts import folded_text
from infra.files.labels.label_columns import SheetColumns
from infra.files.labels.label_sheet import Labelled, LabelSheet, read_label_file
from infra.files.rows import Rejected
from models.errors import InputError
from models.ports import Bools
from schemas.ids import normalised_label

Rows = NDArray[np.intp]
_SHOWN = 10


@dataclass(frozen=True)
class Columns:
    """Where a file has what."""

    text: str | None = None
    """Told by its usual names where not given; the labels too."""
    labels: str | None = None
    coder: str | None = None
    """A column with the coder's name, or what the names of the coders' own columns begin with."""
    train_coder: str | None = None
    test_coder: str | None = None


@dataclass(frozen=True)
class CodedTexts:
    """Texts with the codes that one coder taught and another, or the same, judges by."""

    name: str
    sha256: str
    texts: tuple[str, ...]
    codes: tuple[str, ...]
    taught: Bools
    """Shape ``(n, k)``; rows that the teaching coder did not read are empty."""
    judged: Bools
    teachable: Bools
    """Which rows the teaching coder read, shape ``(n,)``."""
    judgeable: Bools
    coders: str = ""
    notes: tuple[str, ...] = ()
    """What was left out and how columns were understood, for people."""

    @property
    def ids(self) -> list[str]:
        """A short name a text, which stays the same whatever file it stands in."""
        return [_hash(text)[:12] for text in self.texts]


@dataclass(frozen=True)
class Course:
    """How an experiment goes; the values are the notice's."""

    initial: int = 20
    query: int = 25
    iterations: int = 5
    pool: int = 210
    test: int | None = None
    """So many texts, the same whatever the seed; ``None``: what the pool leaves."""

    @property
    def sizes(self) -> list[int]:
        """How many labels there are at each training."""
        return [self.initial + self.query * step for step in range(self.iterations + 1)]


@dataclass(frozen=True)
class Draw:
    """One seed's texts."""

    pool: Rows
    test: Rows


def draw(data: CodedTexts, course: Course, seed: int) -> Draw:
    """The pool, in random order, of which the first ``initial`` are labelled at the start; and the test texts.

    Raises:
        InputError: If there are too few texts.
    """
    order = sorted(np.flatnonzero(data.judgeable).tolist(), key=lambda row: _hash(data.texts[row]))
    fixed = np.array(order[: course.test] if course.test else [], dtype=np.intp)
    free = np.setdiff1d(np.flatnonzero(data.teachable), fixed)
    labels = max(course.sizes)
    if course.pool < labels or len(free) < course.pool:
        raise InputError(
            f"{data.name} has {len(free)} texts to teach with beside {len(fixed)} to test on, and a pool of "
            f"{course.pool} for {labels} labels is asked for; set --pool, --test, --query or --iterations accordingly"
        )
    pool = np.random.default_rng(seed).permutation(free)[: course.pool]
    test = fixed if course.test else np.setdiff1d(np.flatnonzero(data.judgeable), pool)
    if not len(test):
        raise InputError(f"{data.name}: the pool of {course.pool} leaves no text to test on; choose a smaller --pool")
    return Draw(pool, test)


def read_coded(path: Path, columns: Columns, commonest: int | None = None) -> CodedTexts:
    """Read a file of texts with codes, as ``teach`` reads it.

    Equal texts count once, with all their codes; codes that differ in case or blanks are one, spelt as it is most
    often. A text whose cell of codes is empty is not coded yet and left out; an empty list says that no code fits.
    Texts whose codes are all among those left out are left out.

    Args:
        path: CSV, TSV, JSON lines, XLSX or Parquet.
        columns: Which columns count.
        commonest: Keep so many codes; ``None`` keeps all.

    Raises:
        InputError: If the file cannot be read or lacks a column.
    """
    rows, notes = _coded(path, columns)
    counted = Counter(code for _, taught, judged in rows for code in sorted(set(taught or ()) | set(judged or ())))
    codes = tuple(sorted(counted, key=lambda code: (-counted[code], code))[:commonest])
    if not codes:
        raise InputError(f"{path}: no text has a code; choose the column of codes with --labels-column")
    kept = [row for row in rows if any(not each or set(each) & set(codes) for each in row[1:] if each is not None)]
    return CodedTexts(
        name=path.parent.name if path.stem == "open" else path.stem,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        texts=tuple(text for text, _, _ in kept),
        codes=codes,
        taught=_matrix([taught for _, taught, _ in kept], codes),
        judged=_matrix([judged for _, _, judged in kept], codes),
        teachable=np.array([taught is not None for _, taught, _ in kept]),
        judgeable=np.array([judged is not None for _, _, judged in kept]),
        coders=f"{columns.train_coder} -> {columns.test_coder or columns.train_coder}" if columns.train_coder else "",
        notes=(*notes, *_about_codes(counted)),
    )


_Codes = tuple[str, ...] | None
_Row = tuple[str, _Codes, _Codes]


def _coded(path: Path, columns: Columns) -> tuple[list[_Row], list[str]]:
    """Each text once, with what the two coders said (``None`` where one did not read it); and what was left out."""
    sheets = _sheets(path, columns)
    by_text: dict[str, dict[str, list[str] | None]] = {}
    first: dict[str, str] = {}
    for coder, rows in sheets.coders.items():
        for row in rows:
            folded = folded_text(row.text) or ""
            first.setdefault(folded, (row.text or "").strip())
            codes_by_coder = by_text.setdefault(folded, {})
            if row.coded:
                codes_by_coder[coder] = [*(codes_by_coder.get(coder) or ()), *row.codes]
    spelling = _spellings(code for codes in by_text.values() for each in codes.values() for code in each or ())
    train = columns.train_coder or ""
    test = columns.test_coder or train
    coded: list[_Row] = []
    for folded, codes_by_coder in by_text.items():
        taught, judged = (_spelt(codes_by_coder.get(coder), spelling) for coder in (train, test))
        if taught is not None or judged is not None:
            coded.append((first[folded], taught, judged))
    return coded, [*sheets.notes, *_left_out(len(by_text) - len(coded), sheets, len(by_text))]


@dataclass(frozen=True)
class _Sheets:
    """The rows with a text, by coder; everybody's under the empty name where no coder was asked for."""

    coders: Mapping[str, Sequence[Labelled]]
    rejected: Sequence[Rejected]
    notes: Sequence[str]


def _sheets(path: Path, columns: Columns) -> _Sheets:
    named = SheetColumns(text=columns.text or "", codes=columns.labels or "")
    coders = [coder for coder in (columns.train_coder, columns.test_coder) if coder]
    if columns.coder is None or not coders:
        sheet = read_label_file(path, "somebody", named)
        return _Sheets({"": _with_text(sheet)}, sheet.rejected, sheet.notes)
    try:
        sheets = [read_label_file(path, "nobody", replace(named, codes=f"{columns.coder}_{coder}")) for coder in coders]
        by_coder = {coder: _with_text(sheet) for coder, sheet in zip(coders, sheets, strict=True)}
    except InputError as error:
        try:
            sheets = [read_label_file(path, "nobody", replace(named, coder=columns.coder))]
        except InputError:
            raise error from None
        rows = _with_text(sheets[0])
        by_coder = {coder: [row for row in rows if row.annotator == coder] for coder in coders}
    return _Sheets(by_coder, sheets[0].rejected, sheets[0].notes)


def _with_text(sheet: LabelSheet) -> list[Labelled]:
    rows = [row for row in sheet.rows if row.text is not None]
    if not rows:
        raise nothing_coded(sheet)
    return rows


def _spellings(codes: Iterable[str]) -> dict[str, str]:
    """By folded code, its commonest spelling."""
    counted = Counter(codes)
    ordered = sorted(counted, key=lambda code: (counted[code], code))
    return {normalised_label(code): code for code in ordered}


def _spelt(codes: Sequence[str] | None, spelling: Mapping[str, str]) -> _Codes:
    return None if codes is None else tuple(dict.fromkeys(spelling[normalised_label(code)] for code in codes))


def _left_out(uncoded: int, sheets: _Sheets, texts: int) -> Iterator[str]:
    """What was not taken as it stood in the file."""
    if uncoded:
        yield f"{uncoded} texts are not coded yet: left out"
    rows = max(len(rows) for rows in sheets.coders.values())
    if rows > texts:
        yield f"{rows - texts} rows have the text of another row: their codes are joined"
    for row in sheets.rejected[:_SHOWN]:
        yield f"line {row.line}: {row.reason}; left out"


def _about_codes(counted: Mapping[str, int]) -> Iterator[str]:
    """What makes figures mean less than they seem to."""
    if len(counted) == 1:
        yield f"all texts have the code '{next(iter(counted))}': there is nothing to tell apart"
    once = [code for code, texts in counted.items() if texts == 1]
    if once:
        yield f"codes of one text only, which is never both taught and tested: {', '.join(sorted(once)[:_SHOWN])}"


def _matrix(rows: Sequence[_Codes], codes: Sequence[str]) -> Bools:
    place: Mapping[str, int] = {code: n for n, code in enumerate(codes)}
    matrix = np.zeros((len(rows), len(codes)), dtype=bool)
    for n, row in enumerate(rows):
        matrix[n, [place[code] for code in row or () if code in place]] = True
    return matrix


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
