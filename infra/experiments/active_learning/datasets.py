"""Texts that people coded with several codes each, as an experiment takes them: read, checked, drawn from."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infra.files.rows import TableHeader, TableRow, read_rows, tell_format
from infra.files.tables import parts
from models.errors import InputError
from models.ports import Bools

Rows = NDArray[np.intp]
_SHOWN = 40


@dataclass(frozen=True)
class Columns:
    """Where a file has what."""

    text: str = "text"
    labels: str = "labels"
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
    """Read a file of texts with lists of codes (JSONL), or cells with codes between semicolons (CSV).

    Equal texts count once, with the codes of the first. Texts whose codes are all among those left out are left out.

    Args:
        path: CSV, TSV, JSONL or XLSX.
        columns: Which columns count.
        commonest: Keep so many codes; ``None`` keeps all.

    Raises:
        InputError: If the file cannot be read or lacks a column.
    """
    rows = list(_coded(path, columns))
    counted = Counter(code for _, taught, judged in rows for code in sorted(set(taught or ()) | set(judged or ())))
    codes = tuple(sorted(counted, key=lambda code: (-counted[code], code))[:commonest])
    if not codes:
        raise InputError(f"{path}: no text has a code under '{columns.labels}'; choose another --labels-column")
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
    )


_Codes = tuple[str, ...] | None


def _coded(path: Path, columns: Columns) -> Iterator[tuple[str, _Codes, _Codes]]:
    """Each text once, with what the two coders said; ``None`` where one did not read it."""
    texts: dict[str, dict[str, _Codes]] = {}
    for row in _rows(path):
        text = str(row.cells.get(columns.text) or "").strip()
        if columns.text not in row.cells:
            raise InputError(
                f"{path}, line {row.line}: no column '{columns.text}'; the row has {', '.join(row.cells)}; name the "
                "text's with --text-column"
            )
        if text:
            codes_by_coder = texts.setdefault(text, {})
            for coder, codes in _said(path, row, columns).items():
                codes_by_coder.setdefault(coder, codes)
    train = columns.train_coder or ""
    test = columns.test_coder or train
    for text, codes_by_coder in texts.items():
        if codes_by_coder.get(train) is not None or codes_by_coder.get(test) is not None:
            yield text, codes_by_coder.get(train), codes_by_coder.get(test)


def _said(path: Path, row: TableRow, columns: Columns) -> dict[str, _Codes]:
    """What each coder said in a row; without coders, everybody's word under the empty name."""
    if columns.coder is None or columns.train_coder is None:
        return {"": _listed(path, row, columns.labels)}
    if columns.coder in row.cells:
        return {str(row.cells[columns.coder]): _listed(path, row, columns.labels)}
    coders = (columns.train_coder, columns.test_coder or columns.train_coder)
    return {coder: _listed(path, row, f"{columns.coder}_{coder}") for coder in coders}


def _listed(path: Path, row: TableRow, column: str) -> _Codes:
    if column not in row.cells:
        raise InputError(
            f"{path}, line {row.line}: no column '{column}'; the row has {', '.join(row.cells)}; name the codes' with "
            "--labels-column, or coders with --coder-field and --train-coder"
        )
    value: Any = row.cells[column]
    if isinstance(value, str):
        value = [part.strip() for part in value.split(";")] if parts(value) is None else parts(value)
    if value is not None and not (isinstance(value, list) and all(isinstance(code, str) for code in value)):
        raise InputError(
            f"{path}, line {row.line}: '{column}' is {json.dumps(value)[:_SHOWN]} but a list of codes is expected"
        )
    return None if value is None else tuple(dict.fromkeys(code for code in value if code))


def _rows(path: Path) -> Iterator[TableRow]:
    try:
        with path.open("rb") as stream:
            for item in read_rows(stream, tell_format(path.name, stream.peek(1 << 12)), path.name, None):
                if isinstance(item, TableRow):
                    yield item
                elif not isinstance(item, TableHeader):
                    raise InputError(f"{path}, line {item.line}: {item.reason}; mend the row or take it out")
    except OSError as error:
        raise InputError(f"cannot read '{path}' ({error.strerror}); give a JSONL or CSV file with --data") from error


def _matrix(rows: Sequence[_Codes], codes: Sequence[str]) -> Bools:
    place: Mapping[str, int] = {code: n for n, code in enumerate(codes)}
    matrix = np.zeros((len(rows), len(codes)), dtype=bool)
    for n, row in enumerate(rows):
        matrix[n, [place[code] for code in row or () if code in place]] = True
    return matrix


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
