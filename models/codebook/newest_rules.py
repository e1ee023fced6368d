"""The rules of each study as they were set last, in whatever order they are heard."""

from collections.abc import Iterable

from schemas import StudyRules


class NewestRules:
    """By study its newest rules; of equally old ones those that were heard last."""

    def __init__(self) -> None:
        """Know no rules yet."""
        self._rules: dict[str, StudyRules] = {}

    def update(self, rules: Iterable[StudyRules]) -> None:
        """Hear what studies want, in any order."""
        for each in rules:
            known = self._rules.get(each.study)
            if known is None or each.at >= known.at:
                self._rules[each.study] = each

    def of(self, study: str) -> StudyRules | None:
        """The study's; ``None`` where it has set none."""
        return self._rules.get(study)
