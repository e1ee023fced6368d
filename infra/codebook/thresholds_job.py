"""From which similarity a study's codes are reused, and what people said that moved it; and the command for it."""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.factory.models import build_embedder
from infra.factory.stores import build_store
from infra.profiles.loading import Profile, checked_profile
from infra.profiles.study_rules import refiner_settings
from infra.settings import Settings, ensure_data_dir, load_settings
from models.codebook.codebook import Codebook
from models.ports import Embedder
from models.refinement.thresholds import Judgement, Threshold, corrections, judgements, learned
from schemas import Annotation, Assignment, CodeEvent


def judged(
    chosen: Profile,
    embeds: Embedder,
    events: Iterable[CodeEvent],
    assignments: Iterable[Assignment],
    annotations: Iterable[Annotation],
) -> dict[str, list[Judgement]]:
    """What people's decisions say about each study's threshold; nothing where the profile does not learn.

    Nor where texts are compared: the history holds labels only, and their cosines are others.
    """
    if not chosen.refiner.learn or chosen.refiner.by != "code":
        return {}
    wanted = refiner_settings(chosen)
    history = list(events)
    corrected = corrections(assignments, annotations, Codebook(history))
    return judgements(
        history, corrected, embeds, lambda study: wanted.of(study).value, polarity_gate=wanted.polarity_gate
    )


def study_threshold(settings: Settings) -> tuple[Threshold, Threshold, list[Judgement]]:
    """A study's threshold as the profile has it, as it is learned from the read model, and what it is learned from.

    Raises:
        SettingError: If the profile is not as it must be.
        UnavailableError: If the database does not answer.
    """
    ensure_data_dir(settings)
    chosen, study = checked_profile(settings), settings.study
    store = build_store(settings)
    try:
        annotations = list(store.history(Annotation, study))
        assignments = store.history(Assignment, study) if annotations else []
        embeds = build_embedder(chosen, settings)
        found = judged(chosen, embeds, store.code_events(study), assignments, annotations).get(study, [])
    finally:
        store.close()
    default = refiner_settings(chosen).of(study)
    return default, learned(default, found), found


def as_object(study: str, default: Threshold, now: Threshold, found: list[Judgement]) -> dict[str, Any]:
    """All of it, for programs."""
    told = [asdict(one) | {"at": one.at.isoformat()} for one in found]
    return {"study": study, "default": asdict(default), "threshold": asdict(now), "judgements": told}


def as_table(found: list[Judgement]) -> Table:
    """One row a judgement, the nearest pair first."""
    table = Table("cosine", "said", "code", "other code", "by", "how", "when", box=None, pad_edge=False)
    for one in sorted(found, key=lambda one: -one.similarity):
        said = "same" if one.same else "different"
        names = (escape(name) for name in (one.a, one.b, one.author))
        table.add_row(f"{one.similarity:.2f}", said, *names, one.reason, f"{one.at:%Y-%m-%d %H:%M}")
    return table


@click.command()
@click.option("--study", help="Study; default: QUALSTREAM_STUDY, else demo.")
@click.option("--profile", help="Profile: a name, or the path of a TOML file.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def threshold(study: str | None, profile: str | None, as_json: bool) -> None:
    """Show from which similarity codes are reused, and what people said that moved it.

    A refiner learns at its start; what people say later counts from its next start.
    """
    settings = load_settings(study=study, profile=profile)
    default, now, found = study_threshold(settings)
    if as_json:
        click.echo(json.dumps(as_object(settings.study, default, now, found), ensure_ascii=False))
        return
    click.echo(f"study      {settings.study}\ndefault    {default}\nthreshold  {now}")
    if found:
        Console(width=None if sys.stdout.isatty() else 160).print(as_table(found))
