"""Erasing what somebody has asked to be erased, and forgetting whole studies."""

from uuid import UUID

import click

from infra.cli.options import STUDY, read_settings
from infra.factory.stores import opened_store
from models.errors import InputError


@click.command()
@click.option("--segment", "segments", type=click.UUID, multiple=True, help="A segment's id; may be repeated.")
@click.option("--author", help="Every segment whose attributes name this author.")
@click.option("--field", help="With --author: the attribute; default: author, user, email and the like.")
@click.option("--person", help="A coder: their labels, their account, and their name in the codebook's history.")
@click.option("--study", help="With --author: only in this study; default: in all.")
@click.confirmation_option(prompt="This erases for good, wherever it is kept. Go on?")
def erase(
    segments: tuple[UUID, ...], author: str | None, field: str | None, person: str | None, study: str | None
) -> None:
    """Erase segments, an author or a person; prints a receipt as JSON.

    Over the read model, vectors, uploads, classifiers and topics. The receipt says what was erased, and what the
    brokers keep until when.
    """
    from infra.erasure.erase import Eraser
    from infra.erasure.rows import segments_of_author
    from infra.masking.intake import Masking

    if sum(map(bool, (segments, author, person))) != 1:
        raise InputError("one of --segment, --author and --person is expected; give one")
    settings = read_settings(needs_folder=True)
    with opened_store(settings) as store:
        eraser = Eraser(settings, store)
        if person:
            receipt = eraser.person(person)
        elif author:
            chosen = segments_of_author(store.database, study, author, field, Masking(settings).key)
            receipt = eraser.segments(chosen, "segments of an author")
        else:
            receipt = eraser.segments(set(segments), "segments by id")
    click.echo(receipt.to_json())


@click.command()
@STUDY
@click.option("--all", "everything", is_flag=True, help="Every study.")
@click.confirmation_option(prompt="This deletes segments, codes and decisions for good. Go on?")
def reset(study: str | None, everything: bool) -> None:
    """Delete a study (or everything) wherever it is kept; accounts, roles and the audit log stay."""
    from infra.brokers import data_folder_lock
    from infra.erasure.reset import reset as forget

    settings = read_settings(needs_folder=True, study=study)
    with data_folder_lock(settings), opened_store(settings) as store:
        left = forget(settings, store, None if everything else settings.study)
    click.echo("everything deleted" if everything else f"study '{settings.study}' deleted", err=True)
    for line in left:
        click.echo(line, err=True)
