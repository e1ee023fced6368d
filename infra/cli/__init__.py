"""The command line. Data on standard output, words on standard error, our errors one line."""

import sys

import click

from infra.cli.account import account
from infra.cli.agreement import agreement
from infra.cli.codebook import codebook, teach, themes, threshold
from infra.cli.data import code, dead_letters, export, ingest, reopen
from infra.cli.drift import drift
from infra.cli.erase import erase, reset
from infra.cli.evaluate import evaluate
from infra.cli.finetune import finetune
from infra.cli.learn import learn
from infra.cli.loop import loop
from infra.cli.options import EXIT_ERROR, EXIT_SETTING, EXIT_STOPPED
from infra.cli.replay import replay
from infra.cli.run import check, demo, status, tail, topics, topology, up
from infra.telemetry import logs
from models.errors import QualstreamError, SettingError, UnavailableError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Code live feedback: a stream, an ensemble of small models, a codebook, and people where it counts."""


for command in (
    *(up, demo, status, tail, topics, topology, check),
    *(ingest, code, export, dead_letters, reopen, erase, reset),
    *(teach, codebook, themes, threshold, replay),
    *(learn, loop, drift, evaluate, agreement, finetune, account),
):
    cli.add_command(command)


def main() -> None:
    """Run the command line; what goes wrong in our own words is one line and an exit status."""
    try:
        cli(standalone_mode=False)
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
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if logs.last_words(error):
        return
    click.echo("error: " + " ".join(str(error).split()), err=True)
