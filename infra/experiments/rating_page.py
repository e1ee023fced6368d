"""A rating study as pages that need nothing but a browser: the form of a rater, and for a lead what came back."""

import hashlib
import html
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from infra.experiments.plots import as_page
from models.evaluation.bootstrap import Estimate
from models.evaluation.correlation import Rated
from models.evaluation.rating_study import (
    HIGHEST,
    LETS_STAND,
    LOWEST,
    QUESTIONS,
    SCALES,
    STANDS,
    STEPS,
    RatedItem,
    RatingResults,
)


def rating_page(name: str, items: Sequence[RatedItem]) -> str:
    """The form for one rater, with nothing in it that tells whose a code is.

    What is chosen stays in the rater's browser and leaves it as a file of the form that ``read_sheet`` reads.

    Args:
        name: Of the file that the rater saves, without its ending.
        items: What is rated, in the rater's order; codes of a quote stand together.

    Returns:
        A whole page.
    """
    quotes: defaultdict[str, list[RatedItem]] = defaultdict(list)
    for item in items:
        quotes[item.text].append(item)
    template = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")
    return (
        Environment(autoescape=True, undefined=StrictUndefined)
        .from_string(template)
        .render(
            quotes=list(quotes.items()),
            count=len(items),
            questions=QUESTIONS,
            stands=LETS_STAND,
            steps=STEPS,
            numbers=range(LOWEST, HIGHEST + 1),
            columns=[*SCALES, STANDS],
            name=name,
            study=hashlib.sha256(" ".join(sorted(item.item for item in items)).encode()).hexdigest()[:16],
        )
    )


def report_page(results: RatingResults, measured: Rated | None) -> str:
    """What the ratings come to: systems, agreement of raters, and which measure goes with them.

    Args:
        results: The ratings, added up.
        measured: How every measure goes with them, where there were enough.
    """
    intro = f"{results.items} codes of {results.quotes} quotes, raters: {', '.join(results.raters)}."
    parts = [
        f"<p>{html.escape(intro)} Brackets are 95% intervals over quotes.</p>",
        "<h2>Whose codes got what</h2>",
        _table(["codes of", *_shown(results)], [[name, *map(_cell, row.values())] for name, row in _rows(results)]),
        "<h2>How far raters agree</h2>",
        _table(["", "Krippendorff's alpha"], [[scale, _number(value)] for scale, value in results.alpha.items()]),
        _table(
            ["raters", "Spearman", "codes that both rated"],
            [[f"{a} and {b}", _number(each.rho), str(each.count)] for (a, b), each in results.pairs.items()],
        ),
    ]
    if measured is not None:
        parts += ["<h2>Which measure goes with the ratings</h2>", "<p>Spearman's correlation over single codes.</p>"]
        rows = [[name, _number(each.rho), str(each.count)] for name, each in measured.codes.items()]
        parts.append(_table(["measure", "Spearman", "codes"], rows))
    return as_page("What raters gave", "".join(parts))


def _shown(results: RatingResults) -> list[str]:
    return list(next(iter(results.systems.values())))


def _rows(results: RatingResults) -> list[tuple[str, Mapping[str, Estimate]]]:
    return sorted(results.systems.items(), key=lambda pair: -pair[1]["mean"].value)


def _cell(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{html.escape(each)}</th>' for each in heads)
    body = "".join(
        f'<tr><th scope="row">{html.escape(row[0])}</th>'
        + "".join(f"<td>{html.escape(each)}</td>" for each in row[1:])
        + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
