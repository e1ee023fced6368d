"""Which measures go with people's ratings of codes: the rated codes measured against people's own codes. Pure."""

from collections.abc import Mapping, Sequence

from models.evaluation.correlation import Rated, correlate
from models.evaluation.rating_study import RatedItem, by_system
from models.evaluation.report import EvaluationOptions, evaluate
from models.evaluation.score_table import GoldRow, MeasureResources

_FEWEST = 3  # rated codes, for a correlation


def measures_beside(
    items: Sequence[RatedItem], means: Mapping[str, Mapping[str, float]], resources: MeasureResources, people: str
) -> Rated | None:
    """How every measure goes with the ratings.

    Args:
        items: What was rated; quotes for which people's own codes are not known are left out.
        means: Each item's mean rating, as ``mean_ratings`` gives it.
        resources: What measures; without a thesaurus METEOR and the composite are left out.
        people: The system that stands for people's own codes: left out, since it would be measured by itself.

    Returns:
        The correlations; ``None`` where fewer than three codes were rated and can be measured.
    """
    gold = {item.text: item.gold for item in items if item.gold}
    systems = [name for name in dict.fromkeys(name for item in items for name in item.systems) if name != people]
    codes = {name: {item.text: item.code for item in items if name in item.systems} for name in systems}
    rated = by_system(items, means)
    ratings = {name: [rated.get(name, {}).get(text) for text in gold] for name in systems}
    if sum(value is not None for row in ratings.values() for value in row) < _FEWEST:
        return None
    rows = [GoldRow(text, given) for text, given in gold.items()]
    predictions = {name: [codes[name].get(text) for text in gold] for name in systems}
    measured = evaluate(
        rows, predictions, resources.embedder, resources.tokens, resources.thesaurus, EvaluationOptions()
    )
    return correlate(measured, ratings)
