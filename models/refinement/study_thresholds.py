"""From which similarity a study's codes are used again: as people set it, as it was learned, as the profile has it."""

from collections.abc import Iterable, Mapping

from models.codebook.newest_rules import NewestRules
from models.refinement.settings import RefinerSettings
from models.refinement.thresholds import Threshold
from schemas import StudyRules

SET = "set on the page"
"""Where a threshold comes from that somebody set for a study; no name, for it stands in assignments."""


def set_threshold(rules: StudyRules) -> Threshold | None:
    """The threshold that a study's rules set; ``None`` where they leave it to the profile and to what is learned."""
    return None if rules.reuse_threshold is None else Threshold(rules.reuse_threshold, SET)


class StudyThresholds:
    """Each study's threshold by its newest rules; where those set none, what was learned; else the settings'."""

    def __init__(self, settings: RefinerSettings) -> None:
        """Know no rules, and nothing learned, yet."""
        self._settings = settings
        self._learned: dict[str, Threshold] = {}
        self._rules = NewestRules()

    def learn(self, thresholds: Mapping[str, Threshold]) -> None:
        """Take what people's decisions say of these studies."""
        self._learned |= thresholds

    def update(self, rules: Iterable[StudyRules]) -> None:
        """Hear what studies want, in any order."""
        self._rules.update(rules)

    def of(self, study: str) -> Threshold:
        """The study's threshold, before it is adapted to a label."""
        rules = self._rules.of(study)
        chosen = None if rules is None else set_threshold(rules)
        return chosen or self._learned.get(study) or self._settings.of(study)
