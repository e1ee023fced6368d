"""How well a study's coders agree, people and models alike."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Column, func, select

from infra.files.tables import OutputRow, Shape, encoded
from infra.storage.annotations import SYSTEM, Coding, codings
from infra.storage.database import Database
from infra.storage.tables import annotations, assignments, code_events
from models.evaluation.figure import Figure
from models.evaluation.reliability import Reliability, UnitCoding, reliability

CONVENTION = (
    "Krippendorff relies on codes with an alpha of 0.8 or more and draws only tentative conclusions between 0.667 and "
    "0.8 (Content Analysis, 2nd edition 2004, page 241): a convention, to be read with the interval."
)
FIGURES = Shape(
    ("figure", "coder", "other_coder", "code", "value", "low", "high", "segments", "why_there_is_none"),
    dict.fromkeys(("value", "low", "high", "segments"), "number"),
)
MEANINGS = {
    "alpha": "Krippendorff's alpha: 1 is perfect, 0 is what chance would do, below 0 is worse. Any number of coders; "
    "codings that share some of their codes count as partly alike (MASI).",
    "fleiss": "Fleiss' kappa: the same scale, with the whole set of codes of a segment as one category.",
    "percent": "How often two codings of a segment have the very same codes, chance included.",
}


@dataclass(frozen=True)
class Double:
    """How much of what people coded has been coded twice."""

    coded: int
    """Segments that a person coded."""
    twice: int
    """Of those, the ones that at least two people did."""

    @property
    def share(self) -> float | None:
        """None while nothing is coded."""
        return self.twice / self.coded if self.coded else None


@dataclass(frozen=True)
class StudyAgreement:
    """The figures of a study, and what to know when reading them."""

    study: str
    with_models: bool
    figures: Reliability
    labels: Mapping[UUID, str]
    models: frozenset[str]
    """Coders that are models."""
    double: Double
    codings: int
    """People's."""
    in_view: int
    """Of those, the ones that were made with the system's code in view: they are not independent of it."""
    unsure: int
    """Of those, the ones left out because the person was unsure and gave no code."""

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        figures = self.figures
        overall = {"alpha": figures.alpha, "fleiss": figures.fleiss, "percent": figures.percent}
        return {
            "study": self.study,
            "with_models": self.with_models,
            "coders": {name: {"segments": n, "model": name in self.models} for name, n in figures.coders.items()},
            "segments": {
                "coded": self.double.coded,
                "coded_twice": self.double.twice,
                "compared": figures.units,
                "no_code_fits": figures.silent,
            },
            "codings": {"people": self.codings, "in_view": self.in_view, "unsure_without_code": self.unsure},
            "overall": {name: figure.to_json() for name, figure in overall.items()},
            "pairs": [self._pair(n) for n in range(len(figures.pairs))],
            "codes": [self._code(n) for n in range(len(figures.codes))],
        }

    def _pair(self, n: int) -> dict[str, Any]:
        pair = self.figures.pairs[n]
        return {
            "coders": list(pair.coders),
            "kappa": pair.kappa.to_json(),
            "percent": pair.percent.to_json(),
            "no_code_fits": pair.silent,
            "codes": [
                {"code": str(code), "label": self.labels[code], "kappa": figure.to_json()}
                for code, figure in pair.codes.items()
            ],
        }

    def _code(self, n: int) -> dict[str, Any]:
        code = self.figures.codes[n]
        uses = [
            {
                "coder": use.coder,
                "own": use.own,
                "others": round(use.others, 2),
                "more_low": round(use.low, 2),
                "more_high": round(use.high, 2),
            }
            for use in code.use
        ]
        named = {"code": str(code.code), "label": self.labels[code.code], "segments": code.given}
        return {**named, "alpha": code.alpha.to_json(), "use": uses}

    def rows(self) -> Iterator[OutputRow]:
        """Every figure as a row of a table with the columns of ``FIGURES``."""
        figures = self.figures
        for name in ("alpha", "fleiss", "percent"):
            yield _row(name, getattr(figures, name))
        for pair in figures.pairs:
            yield _row("cohen", pair.kappa, pair.coders)
            yield _row("percent", pair.percent, pair.coders)
            for code, figure in pair.codes.items():
                yield _row("cohen", figure, pair.coders, self.labels[code])
        for each in figures.codes:
            yield _row("alpha", each.alpha, code=self.labels[each.code])


def study_agreement(database: Database, study: str, *, with_models: bool) -> StudyAgreement:
    """Compare a study's coders on what they coded; what was computed for the same codings is not computed again."""
    return _computed(database, study, with_models, _version(database, study))


def readings(all_codings: Sequence[Coding]) -> list[UnitCoding]:
    """Codings as they are compared: no adjudications, nor that somebody was unsure and gave no code."""
    return [
        UnitCoding(coding.segment_id, coding.coder, frozenset(coding.code_ids))
        for coding in all_codings
        if coding.kind == "coding" and (coding.code_ids or not coding.unsure)
    ]


def to_csv(agreement: StudyAgreement) -> bytes:
    """Every figure as a line."""
    return b"".join(encoded(FIGURES, agreement.rows(), "csv"))


def _version(database: Database, study: str) -> tuple[Any, ...]:
    """What changes whenever a coding or a code does."""

    def newest(at: Column[Any]) -> Any:
        return select(func.count(), func.max(at)).where(at.table.c.study == study)

    read = select(annotations.c.segment_id).where(annotations.c.study == study)
    queries = (
        newest(annotations.c.decided_at),
        newest(code_events.c.at),
        newest(assignments.c.assigned_at).where(assignments.c.segment_id.in_(read)),
    )
    with database.reading() as connection:
        return tuple(tuple(connection.execute(query).one()) for query in queries)


@lru_cache(maxsize=8)
def _computed(database: Database, study: str, with_models: bool, _version: tuple[Any, ...]) -> StudyAgreement:
    all_codings = codings(database, study, include_models=with_models)
    compared = readings(all_codings)
    by_model = frozenset(coding.coder for coding in all_codings if coding.by_model)
    people = [coding for coding in all_codings if coding.kind == "coding" and not coding.by_model]
    readers = Counter(coding.unit for coding in compared if coding.coder not in by_model)
    named = [coding for coding in all_codings if not coding.by_model or coding.coder == SYSTEM]
    codes = {code for coding in named for code in coding.code_ids}  # of members' own words only those that became codes
    return StudyAgreement(
        study=study,
        with_models=with_models,
        figures=reliability(compared, codes),
        labels={code: label for coding in all_codings for code, label in coding.named.items()},
        models=by_model,
        double=Double(len(readers), sum(count > 1 for count in readers.values())),
        codings=len(people),
        in_view=sum(not coding.blind for coding in people),
        unsure=sum(coding.unsure and not coding.code_ids for coding in people),
    )


def _row(name: str, figure: Figure, coders: tuple[str, str] = ("", ""), code: str = "") -> OutputRow:
    return dict(zip(FIGURES.columns, (name, *coders, code, *figure.to_json().values()), strict=True))
