"""Every command is there and says what it is for."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from infra.cli import cli


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The paths of a group's commands, and of theirs."""
    paths = []
    for name, command in group.commands.items():
        paths.append((*path, name))
        if isinstance(command, click.Group):
            paths += commands(command, (*path, name))
    return paths


EVERY = commands(cli)


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_a_command_says_what_it_is_for(path):
    command = cli
    for name in path:
        command = command.commands[name]
    answer = CliRunner().invoke(cli, [*path, "--help"])
    assert answer.exit_code == 0
    assert command.help
    assert command.help.split("\n")[0] in " ".join(answer.output.split())


def test_the_same_commands_are_there_as_ever():
    assert {path[0] for path in EVERY} == {
        *("account", "agreement", "check", "code", "codebook", "dead-letters", "demo", "drift", "evaluate", "export"),
        *("finetune", "ingest", "learn", "reopen", "replay", "reset", "status", "tail", "teach", "themes", "threshold"),
        *("topics", "topology", "up"),
    }
    assert len(EVERY) == 41


def test_the_module_runs_as_the_command_does():
    done = subprocess.run([sys.executable, "-m", "infra.cli", "topology"], capture_output=True, text=True, check=True)
    assert done.stdout == CliRunner().invoke(cli, ["topology"]).stdout
