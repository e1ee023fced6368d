"""Codes under themes: which belong together, what a theme is called, and where a new code goes.

A theme may hold codes that say opposite things about one matter ("image generation", "image generation fails"). Its
name may not: a code never stands, by our doing, under a name that takes the other side ("not helpful" under "helpful").
"""

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, count
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from models.codebook.clustering import agglomerate
from models.codebook.codebook import Codebook, CodeState
from models.coding.labels import MAX_WORDS, label_fault
from models.errors import SettingError
from models.ports import Embedder, Embeddings
from models.text.polarity import opposite
from schemas import CodeEvent
from schemas.ids import code_event_id, code_id, normalised_label
from schemas.record import later_than

AUTHOR = "themes@1"
TOGETHER = "codes that belong together"
"""Why a theme is created."""
"""Who wrote our events: this rule with its revision, then the embedder."""

_DIGITS = 5  # a cosine differs behind them with the batch that a label was embedded in
_SHARED = 0.3  # what a name gains, in cosine, that stands in every label of its theme and in no other
_ALIKE = 0.75  # a cosine above counts no more: a label is no better a name for being one of those that it names
_YIELDS = 0.25  # what a name may lose, in cosine, to one that takes no side
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


_GLUE = _listed(
    "a about all also am an and any are as at be been but by can do does for from get had has have how i if in into is "
    "it its just like me more my no not of on only or other our out so some than that the their them they this to too "
    "up very was we what when which who will with would you your"
)
_ABOUT_ANYTHING = _listed("app application product service system thing use used using user people")


@dataclass(frozen=True)
class ThemeSettings:
    """When codes are near enough to share a theme."""

    threshold: float = 0.42
    """Mean cosine of a code to those of its theme, from 0 to 1."""
    alone_from: int | None = None
    """Segments from which a code alone is a theme; none: never."""

    def __post_init__(self) -> None:
        """Refuse what cannot be a threshold.

        Raises:
            SettingError: If a value is out of its range.
        """
        if not 0 <= self.threshold <= 1:
            raise SettingError(f"the threshold for themes is {self.threshold}; a cosine from 0 to 1 is expected")


@dataclass(frozen=True)
class Code:
    """A code to be placed, or placed already."""

    id: UUID
    label: str
    segments: int = 0
    theme: UUID | None = None
    settled: bool = False
    """Whether a person chose its place, no theme included."""


@dataclass(frozen=True)
class Theme:
    """A theme by its present name."""

    id: UUID
    label: str


@dataclass(frozen=True)
class Arrangement:
    """Where every code of a study stands, and what of it is new."""

    themes: tuple[Theme, ...]
    """Earlier ones first."""
    homes: Mapping[UUID, UUID]
    """Code to theme; a code that stands alone is not in it."""
    created: tuple[Theme, ...]
    placed: Mapping[UUID, UUID]
    """The part of ``homes`` that was decided now."""


def theme_id(study: str, name: str) -> UUID:
    """Name a theme by its study and first name."""
    return code_id(study, f"theme:{normalised_label(name)}")


def takes_side(name: str, label: str) -> bool:
    """Whether a theme's name praises or blames where the label does the opposite; a plain topic takes no side."""
    return (opposite(name, "good") or opposite(name, "bad")) and opposite(name, label)


def arrange(
    study: str,
    codes: Iterable[Code],
    themes: Iterable[Theme],
    embedder: Embedder,
    settings: ThemeSettings | None = None,
    used: Collection[UUID] = (),
) -> Arrangement:
    """Place every code that has no theme: into the nearest theme, else with its like into a new one.

    Nothing that has a place is moved. What is left is tried until nothing changes, so that a second call with what
    the first one gave places nothing.

    Args:
        study: Whose codes they are.
        codes: The living ones, in any order.
        themes: The living ones, in any order.
        embedder: Embeds labels and candidates for names.
        settings: The defaults if left out.
        used: Ids of themes that are no more: a new theme never takes one of them.
    """
    arranging = _Arranging(study, codes, themes, embedder, settings or ThemeSettings())
    arranging.taken.update(used)
    return arranging.run()


@dataclass
class _Bundle:
    """Vectors added up by weight, shape ``(dim,)``: their mean's product with a vector is its mean cosine to them."""

    total: NDArray[np.float64]
    weight: float = 0.0

    def add(self, vector: Embeddings, weight: float) -> None:
        self.total = self.total + weight * vector.astype(np.float64)
        self.weight += weight

    def mean(self) -> NDArray[np.float64]:
        return self.total / self.weight


class _Arranging:
    """A study on its way from what stood before to where nothing more can be placed."""

    def __init__(
        self, study: str, codes: Iterable[Code], themes: Iterable[Theme], embedder: Embedder, settings: ThemeSettings
    ) -> None:
        self.study, self.embedder, self.settings = study, embedder, settings
        self.codes = sorted(codes, key=lambda code: code.id)
        self.themes = sorted(themes, key=lambda theme: theme.id)
        self.words = {code.id: _content(code.label) for code in self.codes}
        named = [(code.id, code.label) for code in self.codes] + [(theme.id, theme.label) for theme in self.themes]
        rows = embedder.embed([label for _, label in named]) if self.codes else np.zeros((len(named), 0), np.float32)
        self.vectors = {id_: row for (id_, _), row in zip(named, rows, strict=True)}
        self.names = {normalised_label(theme.label) for theme in self.themes}
        self.taken = {theme.id for theme in self.themes}
        self.placed: dict[UUID, UUID] = {}
        self.created: list[Theme] = []

    def run(self) -> Arrangement:
        """Join and open until nothing changes; each round places a code, so it ends."""
        while self.codes and (self._join() or self._open()):
            pass
        homes = {code.id: code.theme for code in self.codes if code.theme is not None} | self.placed
        return Arrangement((*self.themes, *self.created), homes, tuple(self.created), self.placed)

    def _free(self) -> list[Code]:
        return [c for c in self.codes if c.theme is None and not c.settled and c.id not in self.placed]

    def _join(self) -> bool:
        """Put each free code into the nearest theme at or above the threshold whose name does not gainsay it."""
        free, bundles = self._free(), self._bundles()
        if not free or not bundles:
            return False
        themes = [theme for theme in [*self.themes, *self.created] if theme.id in bundles]
        means = np.stack([bundles[theme.id].mean() for theme in themes])
        joined = False
        for code in free:
            cosines = np.round(means @ self.vectors[code.id], _DIGITS)
            for n in np.argsort(-cosines, kind="stable"):
                if cosines[n] < self.settings.threshold:
                    break
                if not takes_side(themes[n].label, code.label):
                    self.placed[code.id] = themes[n].id
                    joined = True
                    break
        return joined

    def _bundles(self) -> dict[UUID, _Bundle]:
        """Each theme as its codes, or as its name where a person made it and nothing stands under it yet."""
        bundles = {theme.id: _Bundle(np.zeros(self.embedder.dim)) for theme in [*self.themes, *self.created]}
        for code in self.codes:
            home = code.theme or self.placed.get(code.id)
            if home in bundles:
                bundles[home].add(self.vectors[code.id], _weight(code))
        for theme in self.themes:
            if not bundles[theme.id].weight:
                bundles[theme.id].add(self.vectors[theme.id], 1.0)
        return bundles

    def _open(self) -> bool:
        """Group the free codes among themselves and open a theme for each group; the largest chooses its name first."""
        free = self._free()
        if not free:
            return False
        vectors, weights = np.stack([self.vectors[c.id] for c in free]), np.array([_weight(c) for c in free])
        groups = [[free[n] for n in group] for group in agglomerate(vectors, weights, self.settings.threshold)]
        groups.sort(key=lambda group: (-sum(code.segments for code in group), group[0].id))
        opened = [self._name(group) for group in groups if self._stands(group)]
        return any(opened)

    def _stands(self, group: Sequence[Code]) -> bool:
        least = self.settings.alone_from
        return len(group) > 1 or (bool(group) and least is not None and group[0].segments >= least)

    def _name(self, group: Sequence[Code]) -> bool:
        """Open a theme for the part of a group that its name holds for, if enough are left."""
        name = self._best(group) if len(group) > 1 else None
        name = name or self._numbered(max(group, key=lambda code: (code.segments, code.id)).label)
        kept = [code for code in group if not takes_side(name, code.label)]
        if not self._stands(kept):
            return False
        theme = Theme(theme_id(self.study, name), name)
        self.created.append(theme)
        self.taken.add(theme.id)
        self.names.add(normalised_label(name))
        self.placed.update({code.id: theme.id for code in kept})
        return True

    def _best(self, group: Sequence[Code]) -> str | None:
        """The words of the group's labels that lie nearest to all of it and are most its own.

        Returns:
            ``None`` where every candidate is another theme's name.
        """
        names = sorted({name for code in group for name in _phrases(code.label) if self._usable(name)})
        if not names:
            return None
        weights = np.array([_weight(code) for code in group])
        cosines = self.embedder.embed(names) @ np.stack([self.vectors[code.id] for code in group]).T
        means = np.minimum(cosines, _ALIKE) @ weights / weights.sum()
        scores = [
            round(float(mean) + _SHARED * self._own(name, group), _DIGITS)
            for name, mean in zip(names, means, strict=True)
        ]
        ranked = sorted(range(len(names)), key=lambda n: (-scores[n], names[n]))
        best = ranked[0]
        against = [n for n, code in enumerate(group) if takes_side(names[best], code.label)]
        for other in ranked if against else []:
            if scores[other] < scores[best] - _YIELDS:
                break
            if self._holds_for(names[other], cosines[other], group, against):
                return names[other]
        return names[best]

    def _holds_for(self, name: str, cosines: Embeddings, group: Sequence[Code], against: Sequence[int]) -> bool:
        """Whether a name takes no side in a group and is also about those that the best name was against."""
        if any(takes_side(name, code.label) for code in group):
            return False
        words = _content(name)
        return all(words <= self.words[group[n].id] or cosines[n] >= self.settings.threshold for n in against)

    def _own(self, name: str, group: Sequence[Code]) -> float:
        """Share of the group whose labels hold the name's words, times the group's share of all labels that do."""
        words = _content(name)
        if not words:
            return 0.0
        inside = sum(_weight(code) for code in group if words <= self.words[code.id])
        everywhere = sum(_weight(code) for code in self.codes if words <= self.words[code.id])
        return inside * inside / (everywhere * sum(_weight(code) for code in group)) if inside else 0.0

    def _usable(self, name: str) -> bool:
        free = normalised_label(name) not in self.names and theme_id(self.study, name) not in self.taken
        return free and label_fault(name) is None

    def _numbered(self, label: str) -> str:
        """The label's first words, with a number where another theme has or had that name."""
        words = " ".join(label.split()[: MAX_WORDS - 1])
        stem = words if label_fault(words) is None and len(words) < 70 else "theme"
        names = chain([label, stem], (f"{stem} {n}" for n in count(2)))
        return next(name for name in names if self._usable(name))


def _weight(code: Code) -> float:
    """The root of its segments, so that one common code does not drown the rest of its theme."""
    return math.sqrt(max(1, code.segments))


def _content(label: str) -> frozenset[str]:
    """A label's content words, without a plural's ending."""
    words = _WORD.findall(normalised_label(label))
    return frozenset(w[:-1] if len(w) > 3 and w[-1] == "s" and w[-2] != "s" else w for w in words if w not in _GLUE)


def _phrases(label: str) -> set[str]:
    """The label, and every run of its words that begins and ends with a content word; not what fits any theme."""
    words = label.split()
    runs = {" ".join(words[a:b]) for a in range(len(words)) for b in range(a + 1, len(words) + 1) if _whole(words[a:b])}
    return {run for run in {label, *runs} if not _content(run) <= _ABOUT_ANYTHING}


def _whole(run: Sequence[str]) -> bool:
    return run[0].casefold() not in _GLUE and run[-1].casefold() not in _GLUE


def codes_and_themes(codebook: Codebook, study: str, segments: Mapping[UUID, int]) -> tuple[list[Code], list[Theme]]:
    """A study's active codes and themes; codes that were merged, split or retired are left out.

    A code whose theme was merged into another stands under that one; where its theme was retired it is free again.
    """
    active = [state for state in codebook.values() if state.study == study and state.active]
    themes = [Theme(state.id, state.label) for state in active if state.level == "theme"]
    codes = []
    for state in active:
        if state.level == "code":
            by_person = state.placed_by is not None and not _ours(state.placed_by)
            codes.append(Code(state.id, state.label, segments.get(state.id, 0), codebook.theme_of(state.id), by_person))
    return codes, themes


def _ours(author: str) -> bool:
    return author.partition(" ")[0].partition("@")[0] == AUTHOR.partition("@")[0]


def to_events(arrangement: Arrangement, codebook: Codebook, study: str, author: str, now: datetime) -> list[CodeEvent]:
    """What must be added to the history for it to show an arrangement: new themes, then moves.

    The ids follow from what stood before, so that a run which is broken off and repeated overwrites itself.
    """
    events = [
        CodeEvent(
            id=code_event_id(theme.id, "created", "theme"),
            code_id=theme.id,
            study=study,
            kind="created",
            level="theme",
            label=theme.label,
            author=author,
            at=now,
            reason=TOGETHER,
        )
        for theme in arrangement.created
    ]
    names = {theme.id: theme.label for theme in arrangement.themes}
    for code, home in sorted(arrangement.homes.items()):
        before = codebook[code]
        if before.parent != home:
            events.append(_move(before, home, names.get(home, str(home)), author, now))
    return events


def _move(before: CodeState, home: UUID, name: str, author: str, now: datetime) -> CodeEvent:
    last = before.last_event
    return CodeEvent(
        id=code_event_id(before.id, "moved", f"{home} {last.id}"),
        code_id=before.id,
        study=before.study,
        kind="moved",
        label=before.label,
        author=author,
        at=later_than(now, last.at),  # another machine's clock may be ahead
        reason=f"under {name!r}",
        parent_id=home,
    )
