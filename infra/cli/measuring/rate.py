"""The commands of a rating study: sheets for people who do not know whose the codes are, and what they gave."""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.cli.commands import CommandList
from infra.cli.measuring.evaluate import named_files, show_ratings
from infra.cli.options import JSON_OBJECT, PIPED_WIDTH, output_console, read_settings, say_written
from infra.experiments.evaluate import measuring_models
from infra.experiments.rating_page import report_page
from infra.experiments.rating_sheets import read_key, read_sheet, write_study
from infra.files.gold import read_gold, read_predictions
from models.errors import InputError
from models.evaluation.bootstrap import SEED
from models.evaluation.rating_measures import measures_beside
from models.evaluation.rating_study import RatingResults, add_up, draw_items, mean_ratings
from models.evaluation.score_table import MeasureResources

_PEOPLE = "human"
"""Stands for people's own codes where they are rated too; ``people`` is what they are measured as."""


@click.group(cls=CommandList)
def rate() -> None:
    """Have people rate codes without knowing whose they are."""


@rate.command()
@click.option("--gold", type=click.Path(path_type=Path), required=True, help="Texts with codes, as `teach` reads.")
@click.option(
    "--pred", "preds", multiple=True, required=True, callback=named_files, help="NAME=FILE of `qualstream code`."
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="A new folder.")
@click.option("--quotes", type=click.IntRange(1), default=10, show_default=True, help="Texts, drawn by chance.")
@click.option("--raters", type=click.IntRange(1, 99), default=3, show_default=True, help="Sheets; all have all quotes.")
@click.option("--people/--no-people", default=True, show_default=True, help="Whether people's codes are rated too.")
@click.option("--seed", type=click.IntRange(0), default=SEED, show_default=True)
def sheet(gold: Path, preds: dict[str, Path], out: Path, quotes: int, raters: int, *, people: bool, seed: int) -> None:
    """Write a sheet and a page for each rater, instructions, and the key, which raters must not see."""
    texts = read_gold(gold)
    codes = {
        name: [row[0] if row else None for row in read_predictions(path, texts).codes] for name, path in preds.items()
    }
    if people:
        codes[_PEOPLE] = [row.codes[0] for row in texts.rows]
    items = draw_items([(row.text, row.codes) for row in texts.rows], codes, quotes, seed)
    for path in write_study(out, items, raters, seed):
        say_written(path)


@rate.command()
@click.argument("key", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("sheets", type=click.Path(path_type=Path, dir_okay=False), nargs=-1, required=True)
@click.option("--embedder", default="all-MiniLM-L6-v2", show_default=True, help="Sentence model for cosines.")
@click.option("--bertscore", default="all-MiniLM-L6-v2", show_default=True, help="Model for BERTScore, or none.")
@click.option("--wordnet", type=click.Path(path_type=Path), envvar="QUALSTREAM_WORDNET", help="WordNet's folder.")
@click.option("--page", type=click.Path(path_type=Path, dir_okay=False), help="Also written as a page, to show.")
@JSON_OBJECT
def report(
    key: Path,
    sheets: tuple[Path, ...],
    embedder: str,
    bertscore: str,
    wordnet: Path | None,
    page: Path | None,
    *,
    as_json: bool,
) -> None:
    """Add up the sheets that came back: means with intervals, agreement of raters, which measure follows them."""
    weights = read_settings().weights_dir
    items, seed = read_key(key)
    ratings = {path.stem: read_sheet(path, items) for path in sheets}
    results = add_up(items, ratings, seed)
    models = measuring_models(embedder, bertscore, None, wordnet, weights)
    resources = MeasureResources(models.embedder, models.tokens, models.thesaurus)
    rated = measures_beside(items, mean_ratings(ratings), resources, _PEOPLE)
    if page is not None:
        _write_page(page, report_page(results, rated))
    if as_json:
        click.echo(json.dumps({**results.to_json(), "measures": rated and rated.to_json()}, ensure_ascii=False))
        return
    console = output_console(least=PIPED_WIDTH)
    _show(results, console)
    if rated is not None:
        show_ratings(rated, console)


def _write_page(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write '{path}' ({error.strerror}); give another file with --page") from error
    say_written(path)


def _show(results: RatingResults, console: Console) -> None:
    console.print(f"{results.items} codes of {results.quotes} quotes, {len(results.raters)} raters\n", highlight=False)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    shown = ["mean", *results.alpha]
    for head in ("codes of", *shown):
        table.add_column(head, no_wrap=True)
    for name, row in results.systems.items():
        cells = (f"{row[s].value:.2f} [dim]{row[s].low:.2f} to {row[s].high:.2f}[/dim]" for s in shown)
        table.add_row(escape(name), *cells)
    console.print(table)
    alphas = ", ".join(f"{scale} {'-' if each is None else f'{each:.2f}'}" for scale, each in results.alpha.items())
    console.print(f"\nKrippendorff's alpha between raters: {alphas}", highlight=False)
    for (a, b), each in results.pairs.items():
        rho = "-" if each.rho is None else f"{each.rho:+.2f} (p = {each.p:.3f})"
        console.print(f"{a} and {b}: Spearman {rho} over {each.count} codes", highlight=False, markup=False)
    console.print()
