"""Whether a study's classifier still changes its mind: what successive trainings decide about the same segments."""

from collections.abc import Sequence
from uuid import UUID

import numpy as np

from infra.learning.candidates import Candidate
from infra.learning.workshop import guesses
from models.labelled import Matrix
from models.stopping import advise

_SEGMENTS, _LEAST = 200, 30
_KEPT = 20  # trainings


class Settling:
    """A study's last trainings, laid beside each other on segments that nobody had labelled when the first was made."""

    def __init__(self) -> None:
        """Begin; a trainer that starts again begins anew, and says nothing till it has seen some trainings."""
        self._texts: tuple[str, ...] = ()
        self._decided: list[tuple[tuple[UUID, ...], Matrix]] = []

    def look(self, candidate: Candidate, texts: Sequence[str]) -> dict[str, float]:
        """Take a training in.

        Args:
            candidate: What was trained.
            texts: Of unlabelled segments; the first ones given stay those that are looked at.

        Returns:
            Numbers for its release: ``trainings``, ``stop_kappa`` and ``stop_delta_f`` (1 where that criterion says
            that more labels of the same kind do not pay), ``kappa`` and ``delta_f`` where they are known. Nothing
            where there are too few segments to tell.
        """
        if not self._texts and len(texts) >= _LEAST:
            self._texts = tuple(texts[:_SEGMENTS])
        if not self._texts:
            return {}
        said = guesses(candidate.classifier, self._texts, candidate.thresholds)
        self._decided = [*self._decided, (candidate.classifier.codes, said)][-_KEPT:]
        codes = tuple(dict.fromkeys(code for known, _ in self._decided for code in known))
        advice = advise([_columns(codes, known, decided) for known, decided in self._decided])
        found = {
            "trainings": float(advice.trainings),
            "stop_kappa": float(advice.kappa_stops),
            "stop_delta_f": float(advice.delta_f_stops),
        }
        known_figures = {"kappa": advice.kappa, "delta_f": advice.delta_f}
        return found | {name: round(value, 4) for name, value in known_figures.items() if value is not None}


def _columns(wanted: Sequence[UUID], known: Sequence[UUID], said: Matrix) -> Matrix:
    """Decisions in the columns of all trainings; a code that one does not know is never said by it."""
    found = np.zeros((len(said), len(wanted)), dtype=np.bool_)
    for n, code in enumerate(known):
        found[:, wanted.index(code)] = said[:, n]
    return found
