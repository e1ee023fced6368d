"""The codes that the labels of a file mean in a study as its codebook is now, and the events for those it lacks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from infra.storage.outcomes import names_now
from infra.storage.tables import codes
from models.codebook.edits import Act
from models.codebook.themes import theme_id
from schemas import CodeEvent
from schemas.codebook import CodeEventKind
from schemas.ids import code_event_id, code_id, normalised_label


@dataclass(frozen=True)
class StudyCodes:
    """A study's codes by the labels that a file uses.

    A label means the code that is called so now; else what became of the one that was made under it; else a new one.
    """

    study: str
    codes: Mapping[str, tuple[UUID, str]]
    """By normalised label, the code that it means now, with its label."""
    wanted_themes: Mapping[str, str] = field(default_factory=dict)
    """By label, the theme that the file puts the code under."""
    themes: Mapping[str, UUID] = field(default_factory=dict)
    """The study's own, by normalised label."""
    spellings: Mapping[str, str] = field(default_factory=dict)
    """By normalised label, as the file spells it first."""
    ended: frozenset[UUID] = frozenset()
    """Codes that were retired or split, which labels of the file still mean."""
    placed: frozenset[UUID] = frozenset()
    """Codes that stand under a theme already, and stay there."""

    @classmethod
    def read(
        cls, connection: Connection, study: str, labels: Iterable[str], themes: Mapping[str, str] | None = None
    ) -> "StudyCodes":
        """Find the codes that go by these labels, or were made under them."""
        spellings = {normalised_label(label): label for label in reversed(list(labels))}
        query = select(codes.c.id, codes.c.label, codes.c.level, codes.c.parent).where(codes.c.study == study)
        live = connection.execute(query.where(codes.c.retired.is_(False)).order_by(codes.c.created_at.desc())).all()
        by_label = {normalised_label(row.label): (row.id, row.label) for row in live if row.level == "code"}
        labels_by_code = {code_id(study, label): label for label in spellings}
        for id_, now in names_now(connection, labels_by_code).items():
            by_label.setdefault(labels_by_code[id_], (now.id, now.label))
        alive = {row.id for row in live}
        return cls(
            study,
            by_label,
            {normalised_label(label): theme for label, theme in (themes or {}).items()},
            {normalised_label(row.label): row.id for row in live if row.level == "theme"},
            spellings,
            frozenset(code for code, _ in by_label.values() if code not in alive),
            frozenset(row.id for row in live if row.parent is not None),
        )

    def code(self, label: str) -> tuple[UUID, str]:
        """The code that a label means; the one that it would make where there is none."""
        folded = normalised_label(label)
        theme = self.wanted_themes.get(folded)
        flat = self.codes.get(normalised_label(f"{theme} > {label}")) if theme else None  # taught so before
        return flat or self.codes.get(folded) or (code_id(self.study, label), self.spellings.get(folded, label))

    def known(self, labels: Iterable[str]) -> list[str]:
        """The labels, as they are now, of codes that the study has."""
        folded = (normalised_label(label) for label in labels)
        return sorted({self.codes[label][1] for label in folded if label in self.codes})

    def about(self, labels: Iterable[str]) -> Iterator[str]:
        """What is said of labels whose codes have ended."""
        folded = {normalised_label(label) for label in labels}
        ended = sorted(name for label, (code, name) in self.codes.items() if label in folded and code in self.ended)
        if ended:
            yield f"retired or split, and used in the file all the same: {', '.join(ended)}; restore or replace them"

    def new(self, labels: Iterable[str]) -> list[str]:
        """Labels that no code of the study has, each once."""
        first: dict[str, str] = {}
        for label in labels:
            first.setdefault(normalised_label(label), label)
        return [label for folded, label in first.items() if folded not in self.codes]

    def events(self, labels: Sequence[str], act: Act) -> list[CodeEvent]:
        """What creates the codes that the study lacks, and puts codes without a theme under that of the file."""
        new = self.new(labels)
        homes = {label: self.wanted_themes.get(normalised_label(label)) for label in [*new, *self.known(labels)]}
        wanted = {normalised_label(theme): theme for theme in homes.values() if theme}
        events = [
            self._event(theme_id(self.study, theme), "created", theme, act, level="theme")
            for folded, theme in wanted.items()
            if folded not in self.themes
        ]
        for label in new:
            home = homes[label]
            parent = self._theme(home) if home else None
            events.append(self._event(code_id(self.study, label), "created", label, act, parent_id=parent))
        return [*events, *self._moves(homes, act)]

    def _moves(self, homes: Mapping[str, str | None], act: Act) -> list[CodeEvent]:
        moves = []
        for label, home in homes.items():
            code, name = self.codes.get(normalised_label(label), (None, label))
            if home and code is not None and code not in self.placed:
                moves.append(self._event(code, "moved", name, act, parent_id=self._theme(home)))
        return moves

    def _theme(self, label: str) -> UUID:
        return self.themes.get(normalised_label(label)) or theme_id(self.study, label)

    def _event(self, code: UUID, kind: CodeEventKind, label: str, act: Act, **more: Any) -> CodeEvent:
        cause = act.cause if kind == "created" else f"{act.cause} {act.at.isoformat()}"
        return CodeEvent(
            id=code_event_id(code, kind, cause),
            code_id=code,
            study=self.study,
            kind=kind,
            label=label,
            author=act.author,
            at=act.at,
            reason=act.reason[:500],
            **more,
        )
