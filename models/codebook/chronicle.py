"""The codebook's history as it grows: what each code is by now, and what became of those that are no more."""

from collections.abc import Iterable
from uuid import UUID

from models.codebook.codebook import Standing, heirs, stand
from schemas import CodeEvent


class Chronicle:
    """All events so far, and what they add up to."""

    def __init__(self) -> None:
        """Start without any."""
        self._events: dict[UUID, dict[UUID, CodeEvent]] = {}
        self._codes: dict[UUID, Standing] = {}

    def add(self, events: Iterable[CodeEvent]) -> list[Standing]:
        """Take events in, in any order; those known already are passed over.

        Returns:
            The codes and themes that came, went or changed their label, as they stand now.
        """
        touched: dict[UUID, None] = {}
        for event in events:
            known = self._events.setdefault(event.code_id, {})
            if event.id not in known:
                known[event.id] = event
                touched[event.code_id] = None
        changed = []
        for code in touched:
            before, now = self._codes.get(code), stand(self._events[code].values())
            self._codes[code] = now
            if before is None or (before.label, is_code(before)) != (now.label, is_code(now)):
                changed.append(now)
        return changed

    def label(self, code: UUID) -> str | None:
        """What a code is called now, if it is known."""
        return self._codes[code].label if code in self._codes else None

    def event(self, code: UUID, event: UUID) -> CodeEvent | None:
        """An event of a code by its id, if it is known."""
        return self._events.get(code, {}).get(event)

    def ended(self, code: UUID) -> bool:
        """Whether a code is no more, and no single other one stands in its place."""
        known = self._codes.get(code)
        return known is not None and not is_code(known) and len(self.heirs(code)) != 1

    def heirs(self, code: UUID) -> set[UUID]:
        """The codes that one which has ended was merged or split into, over however many steps."""
        return heirs(
            code,
            lambda each: self._codes[each].into if each in self._codes else (),
            lambda each: each in self._codes and is_code(self._codes[each]),
        )


def is_code(one: Standing) -> bool:
    """Whether segments can get it: it lives, and is no theme."""
    return one.live and one.level == "code"
