"""The command that measures codes against people's: reads files, prints a table, writes JSON and plots."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.cli.options import PIPED_WIDTH, error_console, output_console, read_settings, say_written
from infra.experiments.evaluate import as_json, measuring_models, none_fits, people_ratings
from infra.experiments.wordnet import PLACES
from infra.files.gold import Gold, Predicted, read_gold, read_predictions
from models.errors import InputError
from models.evaluation.bootstrap import RESAMPLES, SEED, difference
from models.evaluation.correlation import Rated, correlate
from models.evaluation.report import PEOPLE, Evaluation, EvaluationOptions, SetScores
from models.evaluation.report import evaluate as measure

_TABLES = (
    ("rouge_1", "rouge_2", "rouge_l", "bertscore_f1", "cosine", "meteor"),
    ("composite", "composite_relative", "jaccard", "jensen_shannon", "length_penalty", "words"),
    ("coverage", "overlap", "novelty", "divergence", "distinct", "distinct_ratio"),
)
_SET_TABLE = ("composite", "rouge_1", "cosine", "bertscore_f1", "jaccard", "words")
"""What is shown of each data set; the rest is in the JSON."""
_FEW = 10  # texts up to which resampling them shows too little of what others would be
_HEADINGS = {
    **{"rouge_1": "ROUGE-1", "rouge_2": "ROUGE-2", "rouge_l": "ROUGE-L", "bertscore_f1": "BERTScore F1"},
    **{"meteor": "METEOR", "composite_relative": "relative", "jensen_shannon": "JSD", "length_penalty": "length pen."},
    **{"distinct_ratio": "to people's"},
}


def named_files(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> dict[str, Path]:
    """Predictions by name, as NAME=FILE.

    Raises:
        click.BadParameter: If one is not, or two have one name.
    """
    predictions: dict[str, Path] = {}
    for value in values:
        name, _, path = value.partition("=")
        if not name.strip() or not path:
            raise click.BadParameter(f"'{value}' is not NAME=FILE, such as tuned=codes.jsonl")
        if name in predictions or name == PEOPLE:
            raise click.BadParameter(f"the name '{name}' is taken; give every prediction a name of its own")
        predictions[name] = Path(path)
    return predictions


@click.command()
@click.option(
    "--gold", type=click.Path(path_type=Path), required=True, help="Texts with codes, as `teach` reads; `set`."
)
@click.option(
    "--pred", "preds", multiple=True, required=True, callback=named_files, help="NAME=FILE of `qualstream code`."
)
@click.option("--against", help="The system that differences are to; default: the first.")
@click.option("--threshold", type=click.FloatRange(0, 1), default=0.7, show_default=True, help="Cosine of equal codes.")
@click.option("--ratings", help="Column with people's ratings: numbers in the predictions, or {NAME: number} in gold.")
@click.option("--resamples", type=click.IntRange(100), default=RESAMPLES, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=SEED, show_default=True)
@click.option("--embedder", default="all-MiniLM-L6-v2", show_default=True, help="Sentence model for cosines.")
@click.option("--bertscore", default="all-MiniLM-L6-v2", show_default=True, help="Model for BERTScore, or none.")
@click.option("--layer", type=click.IntRange(1), help="Its layer; default: the one usual for it.")
@click.option("--wordnet", type=click.Path(path_type=Path), envvar="QUALSTREAM_WORDNET", help="WordNet's folder.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, allow_dash=True),
    help="File for the figures; - is standard output.",
)
@click.option("--plots", type=click.Path(path_type=Path, file_okay=False), help="Folder for PNG and an HTML page.")
def evaluate(gold: Path, preds: dict[str, Path], against: str | None, ratings: str | None, **options: Any) -> None:
    """Measure codes against people's: metrics with intervals, paired differences, plots."""
    against = against or next(iter(preds))
    if against not in preds:
        raise InputError(f"--against names '{against}' but the predictions are {', '.join(preds)}; name one of them")
    weights = read_settings().weights_dir
    texts = read_gold(gold)
    predictions = {name: read_predictions(path, texts, ratings) for name, path in preds.items()}
    _say_read(texts, predictions)
    scoring = EvaluationOptions(options["threshold"], options["resamples"], options["seed"])
    codes = {name: predicted.codes for name, predicted in predictions.items()}
    models = measuring_models(options["embedder"], options["bertscore"], options["layer"], options["wordnet"], weights)
    if models.thesaurus is None:
        _say_without_wordnet()
    evaluation = measure(texts.rows, codes, models.embedder, models.tokens, models.thesaurus, scoring)
    rated = correlate(evaluation, people_ratings(texts, predictions, ratings)) if ratings else None
    _say(evaluation, predictions)
    out = options["json_file"]
    if out is None or str(out) != "-":
        _show_all(evaluation, against, rated)
    if out is not None:
        _write(
            out,
            json.dumps(
                as_json(evaluation, against, rated) | none_fits(texts, predictions), indent=1, ensure_ascii=False
            )
            + "\n",
        )
    if options["plots"] is not None:
        from infra.experiments.evaluation_plots import write_plots

        for path in write_plots(evaluation, against, options["plots"]):
            say_written(path)


def _say_read(gold: Gold, predictions: Mapping[str, Predicted]) -> None:
    """What was read, and what is measured apart from the rest."""
    err = error_console()
    lines = [f"{gold.path.name}: {note}" for note in gold.notes]
    lines += [f"{name}: {note}" for name, predicted in predictions.items() for note in predicted.notes]
    if gold.none_fits:
        count = len(gold.none_fits)
        lines += [
            f"{name}: no code for {predicted.none_fits} of {count} texts for which people found none that fits; "
            "other measures are over the texts with codes"
            for name, predicted in predictions.items()
        ]
    for line in lines:
        err.print(line, highlight=False, markup=False, soft_wrap=True)


def _say_without_wordnet() -> None:
    error_console().print(
        f"METEOR and the composite scores are left out: no WordNet in {' or '.join(map(str, PLACES))}; "
        "run `make setup`, or set QUALSTREAM_WORDNET to the folder with data.noun",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _show_all(evaluation: Evaluation, against: str, rated: Rated | None) -> None:
    console = output_console(least=PIPED_WIDTH)  # a figure that is cut off is none
    show(evaluation, against, console)
    if rated is not None:
        show_ratings(rated, console)
    console.print("95% intervals below the figures; * the interval of a paired difference lies on one side of 0")


def show(evaluation: Evaluation, against: str, console: Console) -> None:
    """Print figures with intervals and paired differences of all texts, then the main figures of each set."""
    for part in evaluation.parts.values():
        human = part.human
        console.print(
            f"{part.name}: {part.texts} texts, {human['distinct']:.0f} distinct human codes, "
            f"{human['words']:.2f} words a code, {human['codes']:.2f} codes a text\n",
            highlight=False,
            markup=False,
        )
        for metrics in _TABLES if part is evaluation.pooled else (_SET_TABLE,):
            _show_table(part, metrics, against, console)


def _show_table(part: SetScores, names: Sequence[str], against: str, console: Console) -> None:
    metrics = [name for name in names if name in part.scores[against]]
    table = _table("", [_HEADINGS.get(name, name) for name in metrics])
    for name, scores in part.scores.items():
        ends = [(m, each.value, each.low, each.high, "") for m, each in scores.items()]
        _add_rows(table, name, metrics, ends, sign="")
    for name, scores in part.scores.items():
        if name != against:
            gaps = [(m, difference(each, part.scores[against][m])) for m, each in scores.items()]
            ends = [(m, gap.mean, gap.low, gap.high, "*" * gap.excludes_zero) for m, gap in gaps]
            _add_rows(table, f"{name} - {against}", metrics, ends, sign="+")
    console.print(table)


def _add_rows(
    table: Table, name: str, metrics: Sequence[str], ends: Sequence[tuple[str, float, float, float, str]], sign: str
) -> None:
    """A line of values and, below it, one of intervals."""
    values, intervals = {}, {}
    for metric, value, low, high, star in ends:
        places = 0 if metric == "distinct" else 2 if metric == "words" else 3
        values[metric] = f"{round(value, places) + 0.0:{sign}.{places}f}{star or ' ' * bool(sign)}"
        known = [] if math.isnan(low) else [low, high]
        intervals[metric] = " ".join(f"{round(end, places) + 0.0:{sign}.{places}f}" for end in known) or "-"
    table.add_row(escape(name), *(values[metric] for metric in metrics))
    table.add_row("", *(f"[dim]{intervals[metric]}[/dim]" for metric in metrics))


def show_ratings(rated: Rated, console: Console) -> None:
    """Print Spearman's correlations with people's ratings."""
    table = _table("metric", ["over codes", "p", "over systems", "p"])
    for metric in dict.fromkeys([*rated.codes, *rated.systems]):
        cells = []
        for each in (rated.codes.get(metric), rated.systems.get(metric)):
            there = each is not None and each.rho is not None and each.p is not None
            cells += [f"{each.rho:+.2f} (n={each.count})", f"{each.p:.3f}"] if each and there else ["-", "-"]
        table.add_row(metric, *cells)
    console.print("Spearman's correlation with people's ratings", highlight=False)
    console.print(table)


def _table(first: str, columns: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _say(evaluation: Evaluation, predictions: Mapping[str, Predicted]) -> None:
    err = error_console()
    for name, predicted in predictions.items():
        if predicted.missing:
            err.print(f"{name}: {predicted.missing} texts have no code; they score 0", highlight=False, markup=False)
        if predicted.others:
            err.print(f"{name}: {predicted.others} rows have no gold; passed over", highlight=False, markup=False)
    if few := _of_few(evaluation.pooled.texts):
        err.print(few, highlight=False, markup=False, soft_wrap=True)
    tools = ", ".join(f"{what} by {model}" for what, model in evaluation.models.items())
    err.print(f"measured with {tools}", highlight=False, markup=False, soft_wrap=True)


def _of_few(texts: int) -> str:
    """What is to be said of so few texts; nothing of many."""
    if texts == 1:
        return "one text: its figures have no intervals; two or more are needed, better thirty"
    few = f"{texts} texts: intervals of so few are narrower than what more texts would show; thirty or more are better"
    return few if texts < _FEW else ""


def _write(out: Path, text: str) -> None:
    if str(out) == "-":
        click.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write '{out}' ({error.strerror}); give another file with --json") from error
