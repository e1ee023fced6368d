"""The command line. Data on standard output, words on standard error, our errors one line."""

import sys

import click

from infra.cli.commands import CommandSections
from models.errors import QualstreamError, SettingError, UnavailableError

EXIT_ERROR, EXIT_SETTING, EXIT_STOPPED = 1, 2, 130  # what a process ends with


@click.group(cls=CommandSections, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="qualstream", prog_name="qualstream", message="%(prog)s %(version)s")
def cli() -> None:
    """Code live feedback: a stream, several small models, a codebook, and people where it counts."""


def main() -> None:
    """Run the command line; what goes wrong in our own words is one line and an exit status."""
    try:
        cli(prog_name="qualstream", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(EXIT_STOPPED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except SettingError as error:
        _say_error(error)
        sys.exit(EXIT_SETTING)
    except UnavailableError as error:
        _say_error(UnavailableError(f"{error}; run the command again when it does"))
        sys.exit(EXIT_ERROR)
    except (QualstreamError, ExceptionGroup) as error:
        _say_error(error)
        sys.exit(EXIT_ERROR)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(EXIT_ERROR)


def _say_error(error: Exception) -> None:
    from infra.telemetry import logs

    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if logs.last_words(error):
        return
    click.echo("error: " + " ".join(str(error).split()), err=True)
