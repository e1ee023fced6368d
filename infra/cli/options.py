"""What commands share: options, the settings with the log that they ask for, and consoles."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from infra.settings import Settings, ensure_data_dir, load_settings
from infra.telemetry import logs
from models.errors import InputError

Command = TypeVar("Command", bound=Callable[..., Any])

EXIT_ERROR, EXIT_SETTING, EXIT_STOPPED = 1, 2, 130  # what a process ends with
PIPED_WIDTH = 200  # characters: what is piped is folded late, so that a table's row stays a line
LONGEST_NAME = 120  # characters of an author or a coder

STUDY = click.option("--study", help="Study; default: QUALSTREAM_STUDY, else demo.")
PROFILE = click.option("--profile", help="Profile: a name, or the path of a TOML file.")
CASCADE = click.option(
    "--cascade",
    type=click.Choice(["off", "on"]),
    help="Whether a segment that the first members agree on, or nearly identical to an earlier one, skips the rest; "
    "default: as the profile has it.",
)
JSON_LINES = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
JSON_OBJECT = click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
TABLE_FORMAT = click.option(
    "--format", "fmt", type=click.Choice(["csv", "tsv", "jsonl", "xlsx"]), help="Default: by name."
)
TEXT_COLUMN = click.option("--text-column", help="Column with the text; default: the usual names.")
ID_COLUMN = click.option("--id-column", help="Column with the source's own id.")


def source_columns(command: Command) -> Command:
    """The options that say how a file of segments is read."""
    formats = ["csv", "tsv", "jsonl", "xlsx", "lines"]
    return several(
        command,
        click.option("--format", "fmt", type=click.Choice(formats), help="Default: by name."),
        TEXT_COLUMN,
        ID_COLUMN,
        click.option("--time-column", help="Column with the time it was said."),
    )


def several(command: Command, *options: Callable[[Command], Command]) -> Command:
    """Give a command several options, in this order in its help."""
    for option in reversed(options):
        command = option(command)
    return command


def read_settings(*, needs_folder: bool = False, **overrides: Any) -> Settings:
    """The settings of a command, which logs from then on as they want it.

    Args:
        needs_folder: Whether the data folder is made where there is none.
        overrides: What the command's own options say; ``None`` says nothing.

    Raises:
        SettingError: If a setting is not as it must be.
    """
    settings = load_settings(**overrides)
    logs.configure(settings.log_level, settings.log_format, settings.instance)
    if needs_folder:
        ensure_data_dir(settings)
    return settings


def output_console(*, least: int = 0, **options: Any) -> Console:
    """Where results are printed: as wide as the terminal; wide where they are piped.

    Args:
        least: The least width, of what would lose figures on a narrow terminal.
        options: Further options of the console.
    """
    piped = Console(**options)
    width = piped.width if sys.stdout.isatty() else PIPED_WIDTH
    return Console(width=max(width, least), **options)


def error_console() -> Console:
    """Where words about the work are printed: standard error."""
    return Console(stderr=True)


def person(name: str, option: str) -> str:
    """A person's name as a command was given it, in single spaces.

    Raises:
        InputError: If it is empty or too long.
    """
    plain = " ".join(name.split())
    if not 0 < len(plain) <= LONGEST_NAME:
        raise InputError(
            f"{option.removeprefix('--')} {plain[:40]!r} is no name; 1 to {LONGEST_NAME} characters are expected in "
            f"{option}"
        )
    return plain


def say_written(path: Path) -> None:
    """Name a file that was written, on standard error."""
    error_console().print(f"wrote {path}", highlight=False, markup=False, soft_wrap=True)
