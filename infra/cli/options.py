"""What commands share: options, the settings with the log that they ask for, and consoles."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.settings import Settings, ensure_data_dir, load_settings
from infra.telemetry import logs
from models.errors import InputError

if TYPE_CHECKING:
    from infra.files.preview import Preview
    from infra.files.row_tally import Source
    from infra.files.rows import ReadingOptions


Command = TypeVar("Command", bound=Callable[..., Any])

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
JSON_LINES = click.option("--json", "as_json", is_flag=True, help="One JSON object per line, for programs.")
JSON_OBJECT = click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
TABLE_FORMAT = click.option(
    "--format", "fmt", type=click.Choice(["csv", "tsv", "jsonl", "xlsx"]), help="Default: by name."
)
TEXT_COLUMN = click.option("--text-column", help="Column with the text; default: the usual names.")
TEXT_COLUMNS = click.option(
    "--text-column",
    "text_columns",
    multiple=True,
    help="Column with the text; default: the usual names. May be repeated; each column is a source.",
)
ENCODING = click.option("--encoding", help="Such as cp1252 or shift_jis; default: detected from the bytes.")
SHEET = click.option("--sheet", help="Sheet of a workbook, by name or number; default: the first with texts.")
HEADER_ROW = click.option(
    "--header-row",
    type=click.IntRange(min=1),
    help="Line with the names of the columns; default: detected from the rows.",
)
DATE_ORDER = click.option(
    "--date-order",
    type=click.Choice(["day", "month"]),
    help="What comes first in 03/04/2026; default: detected from the whole column.",
)
NON_ANSWERS = click.option(
    "--non-answers",
    type=click.Choice(["leave-out", "keep"]),
    help="Leave out or keep n/a, none, [deleted] and the like; default: QUALSTREAM_NON_ANSWERS, else leave-out.",
)
ID_COLUMN = click.option("--id-column", help="Column with the source's own id.")


MASK = click.option(
    "--mask",
    type=click.Choice(["patterns", "names"]),
    help="Mask personal data: patterns (mail, phone, IBAN, card, personal attributes), or names (and names and places, "
    "by Presidio). Default: QUALSTREAM_MASKING; a study's rules may ask for more, never for less.",
)


def source_options(command: Command) -> Command:
    """The options that say how a file of segments is read; `read_source` takes what they give."""
    from infra.files.rows import FORMATS

    return several(
        command,
        click.option("--format", "fmt", type=click.Choice(FORMATS), help="Default: by name and content."),
        TEXT_COLUMNS,
        ID_COLUMN,
        click.option("--time-column", help="Column with the time."),
        read_options,
        click.option(
            "--unit",
            type=click.Choice(["turn", "paragraph", "sentence"]),
            default="turn",
            show_default=True,
            help="What a document is cut into.",
        ),
        click.option(
            "--interviewer",
            help="Who asks the questions in a transcript and is left out (several separated by commas; 'none' for "
            "nobody); default: detected from names and questions.",
        ),
    )


def read_options(command: Command) -> Command:
    """The options that say how any file is read; `reading_options` takes what they give."""
    return several(command, ENCODING, SHEET, HEADER_ROW, DATE_ORDER, NON_ANSWERS)


def reading_options(settings: Settings, given: Mapping[str, Any]) -> "ReadingOptions":
    """How a file is read, as a command's options and the settings say."""
    from infra.files.rows import ReadingOptions

    return ReadingOptions(
        encoding=given["encoding"],
        sheet=given["sheet"],
        header_row=given["header_row"],
        date_order=given["date_order"],
        leave_out_non_answers=(given["non_answers"] or settings.non_answers) == "leave-out",
        unit=given.get("unit", "turn"),
        interviewer=_nobody(given.get("interviewer")),
    )


def _nobody(interviewer: str | None) -> str | None:
    return "" if interviewer is not None and interviewer.strip().casefold() == "none" else interviewer


def read_source(path: Path, settings: Settings, given: Mapping[str, Any]) -> "Source":
    """What a command reads, as its options and the settings say."""
    from infra.files.row_tally import Source

    columns = (given["text_columns"], given["id_column"], given["time_column"])
    return Source(path, given["fmt"], *columns, reading_options(settings, given))


DRY_RUN = click.option("--dry-run", is_flag=True, help="Show how the file is read and what is left out; write nothing.")


def show_preview(seen: "Preview", masked: str = "") -> None:
    """Print what a file would come to: how it is read and what is left out, and its first segments as a table.

    Args:
        seen: As it was read.
        masked: What of it would be masked, in words.
    """
    words = output_console()
    for sentence in [*seen.understood, *([f"personal data: {masked}"] if masked else [])]:
        words.print(sentence, markup=False, highlight=False)
    table = Table("id", "time", "source", "text", title=f"the first {len(seen.first)} segments", title_justify="left")
    for segment in seen.first:
        at = segment.timestamp.isoformat(" ", "minutes") if segment.timestamp else ""
        table.add_row(*map(escape, (segment.own_id or "", at, segment.source, segment.text[:200])))
    words.print(table)
    for sentence in (*seen.not_taken, f"{seen.sum}; nothing was written"):
        words.print(sentence, markup=False, highlight=False)


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


@contextmanager
def output_file(out: Path | None) -> Iterator[BinaryIO]:
    """A file to write, or standard output where none is named; faults are told in one line."""
    if out is None:
        yield sys.stdout.buffer
        return
    try:
        with out.open("wb") as file:
            yield file
    except OSError as error:
        raise InputError(f"cannot write '{out}' ({error.strerror}); give another file with --out") from error
