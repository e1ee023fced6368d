"""Commands on a study's rules: show those in force, and apply them to what is coded already."""

import json
from typing import TYPE_CHECKING, Any

import click

from infra.cli.commands import CommandList
from infra.cli.options import JSON_OBJECT, PROFILE, STUDY, read_settings

if TYPE_CHECKING:
    from infra.routing.coded_already import NewQuestions


@click.group(cls=CommandList)
def rules() -> None:
    """Show a study's rules, or apply them to what is coded already."""


@rules.command()
@STUDY
@PROFILE
@JSON_OBJECT
def show(study: str | None, profile: str | None, as_json: bool) -> None:
    """Print the rules in force: those that people set, else the profile's."""
    from infra.factory.stores import opened_store
    from infra.profiles.loading import load_profile
    from infra.profiles.study_rules import rules_of

    settings = read_settings(study=study, profile=profile)
    with opened_store(settings) as store:
        values = rules_of(store.database, load_profile(settings.profile), settings.study).model_dump(mode="json")
    if as_json:
        click.echo(json.dumps(values, ensure_ascii=False))
        return
    width = max(map(len, values))
    for name, value in values.items():
        click.echo(f"{name:<{width}}  {'-' if value is None else value}")


@rules.command()
@STUDY
@PROFILE
@click.option("--dry-run", is_flag=True, help="Count what people would be asked about; ask nobody.")
@JSON_OBJECT
def apply(study: str | None, profile: str | None, dry_run: bool, as_json: bool) -> None:
    """Ask people about coded segments as the rules in force would have asked.

    What people decided, or are being asked about, is left alone, and nothing that was asked is withdrawn. The running
    stack, or the next one, publishes the requests.
    """
    from infra.accounts.audit import AuditLog
    from infra.clock import SystemClock
    from infra.factory.stores import opened_store
    from infra.profiles.loading import load_profile
    from infra.profiles.study_rules import rules_of
    from infra.routing.coded_already import apply_rules
    from infra.storage.outbox import Outbox
    from infra.storage.studies import check_study
    from infra.training.loader import out_of_fold_loader

    settings, clock = read_settings(study=study, profile=profile), SystemClock()
    with opened_store(settings) as store:
        check_study(store.database, settings.study)
        in_force = rules_of(store.database, load_profile(settings.profile), settings.study)
        keep = None if dry_run else Outbox(store.database).keep
        taught = out_of_fold_loader(settings.data_dir)
        questions = apply_rules(store.database, in_force, clock.now(), taught, keep)
        if not dry_run:
            subject = f"asked about {questions.asked} segments"
            AuditLog(store.database, clock).add_command("rules apply", scope=settings.study, subject=subject)
    if as_json:
        click.echo(json.dumps(_as_object(questions, settings.study)))
    else:
        click.echo(_in_words(questions, dry_run=dry_run), err=True)


def _as_object(questions: "NewQuestions", study: str) -> dict[str, Any]:
    return {
        "study": study,
        "coded": questions.coded,
        "settled": questions.settled,
        "asked": questions.asked,
        "reasons": dict(questions.reasons),
        "counts_for_promise": questions.is_sample,
    }


def _in_words(questions: "NewQuestions", *, dry_run: bool) -> str:
    """One line on what a run came to, or would come to."""
    reasons = ", ".join(f"{count} {reason}" for reason, count in questions.reasons.items())
    verb = "would be asked about" if dry_run else "are asked about"
    parts = [f"of {questions.coded} coded segments {questions.asked} {verb}" + (f" ({reasons})" if reasons else "")]
    parts += [f"{questions.settled} left alone: decided by people, or waiting for them"] if questions.settled else []
    parts += [] if questions.is_sample else ["what is drawn by chance does not count for the promise"]
    return "; ".join(parts)
