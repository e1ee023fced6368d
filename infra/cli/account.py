"""Accounts from the command line: for the first ones, and for whoever locked themselves out."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from infra.accounts.accounts import EVERYWHERE, ROLES, AccountRole, Accounts
from infra.cli.commands import CommandList
from infra.cli.options import read_settings
from infra.factory.stores import opened_store
from infra.settings import Settings
from infra.storage.studies import is_study


@click.group(cls=CommandList)
def account() -> None:
    """Manage who may use the page, and in which role."""


@account.command()
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What they may do.")
@click.option("--study", help="Only in this study; default: in every one.")
def add(name: str, role: AccountRole, study: str | None) -> None:
    """Make the account NAME, or give it one more role; prints a link that sets its password once."""
    settings = read_settings()
    with opened_store(settings) as store:
        accounts = Accounts(store.database)
        known = {each.name: each.id for each in accounts.all()}
        account_id = known.get(name) or accounts.create(name)
        begins = study is not None and not is_study(store.database, study)
        accounts.grant(account_id, study or EVERYWHERE, role)
        accounts.audit.add_command("account add", scope=study, subject=f"{name}: {role}")
        click.echo(f"{name} is {role} in {f'study {study!r}' if study else 'every study'}", err=True)
        if begins:
            click.echo(f"there was no study {study!r} so far; the role holds from its first text on", err=True)
        if name not in known:
            _print_link(settings, accounts, name)


@account.command()
@click.argument("name")
def link(name: str) -> None:
    """Print a link that sets a new password for NAME, once; the old one works until then."""
    settings = read_settings()
    with _accounts(settings) as accounts:
        _print_link(settings, accounts, name)


@account.command("list")
def list_accounts() -> None:
    """List accounts with their roles."""
    with _accounts(read_settings()) as accounts:
        for each in accounts.all():
            roles = ", ".join(f"{role} in {scope}" for scope, role in each.roles.items()) or "no role"
            state = "  disabled" if each.disabled else "" if each.has_password else "  no password yet"
            click.echo(f"{each.name:<24} {roles}{state}")


@contextmanager
def _accounts(settings: Settings) -> Iterator[Accounts]:
    with opened_store(settings) as store:
        yield Accounts(store.database)


def _print_link(settings: Settings, accounts: Accounts, name: str) -> None:
    secret = accounts.keys.link(accounts.named(name).id)
    accounts.audit.add_command("account link", subject=name)
    click.echo(f"{settings.page_address(settings.web_port)}/setup/{secret}")
