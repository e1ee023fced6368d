"""Every command is there, says what it is for, and loads what it needs only."""

import re
import subprocess
import sys

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from infra.cli import cli
from infra.cli.commands import SECTIONS

HEAVY = ("torch", "transformers", "sklearn", "scipy", "faust", "openpyxl", "sqlalchemy", "numpy", "aiokafka")


def commands(group: click.Group, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], click.Command]:
    """A group's commands, and theirs, by their paths."""
    context, every = click.Context(group), {}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        every[*path, name] = command
        if isinstance(command, click.Group):
            every |= commands(command, (*path, name))
    return every


EVERY = commands(cli)


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_a_command_says_what_it_is_for_and_no_line_is_cut(path):
    command = EVERY[path]
    answer = CliRunner().invoke(cli, [*path, "--help"])
    assert answer.exit_code == 0
    assert command.help
    assert command.help.split("\n")[0] in " ".join(answer.output.split())
    if isinstance(command, click.Group):
        listed = answer.output.partition("\nCommands:\n")[2]
        assert listed
        assert "..." not in listed


def test_the_same_commands_are_there_as_ever():
    assert {path[0] for path in EVERY} == {
        *("account", "agreement", "bias", "check", "code", "codebook", "dead-letters", "demo", "drift", "evaluate"),
        *("export", "erase", "finetune", "ingest", "learn", "loop", "masking-key", "rate", "reopen", "replay"),
        *("reset", "rules", "segments", "status", "tail", "teach", "themes", "threshold", "topics", "topology"),
        *("up", "weights"),
    }
    assert len(EVERY) == 56


def test_the_help_lists_each_command_once_under_its_heading_in_one_line():
    lines = CliRunner().invoke(cli, ["--help"]).output.splitlines()
    for heading, section in SECTIONS.items():
        begin = lines.index(f"{heading}:") + 1
        listed = [line.split(maxsplit=1) for line in lines[begin : begin + len(section)]]
        assert listed == [[name, place.summary] for name, place in section.items()]


def test_a_misspelt_command_is_told_with_the_nearest():
    answer = CliRunner().invoke(cli, ["ingset", "file.csv"])
    assert answer.exit_code == 2
    assert "there is no command 'ingset'; did you mean 'ingest'?" in answer.stderr


def test_the_version_is_the_installed_ones():
    answer = CliRunner().invoke(cli, ["--version"])
    assert re.fullmatch(r"qualstream \d+\.\d+\.\d+\n", answer.output)


def test_names_of_commands_and_options_are_completed():
    complete = ShellComplete(cli, {}, "qualstream", "_QUALSTREAM_COMPLETE").get_completions
    assert [(each.value, each.help) for each in complete([], "thre")] == [
        ("threshold", "Show from which similarity codes are reused.")
    ]
    assert [each.value for each in complete([], "--v")] == ["--version"]
    assert [each.value for each in complete(["codebook"], "")] == ["export", "import"]
    assert "--study" in [each.value for each in complete(["export"], "--")]


@pytest.mark.parametrize(
    ("args", "may"),
    [
        (["--help"], ()),
        (["--version"], ()),
        (["topology"], ()),
        (["up", "--help"], ()),
        (["topics"], ("aiokafka", "sqlalchemy")),
        (["status", "--json"], ("aiokafka", "sqlalchemy")),
    ],
    ids=" ".join,
)
def test_a_command_that_needs_no_model_loads_little(tmp_path, args, may):
    script = (
        "import sys\nfrom infra.cli import main\ntry:\n    main()\nfinally:\n"
        f"    print(*sorted({set(HEAVY) - set(may)} & set(sys.modules)), file=sys.stderr)"
    )
    environment = {"PATH": "/usr/bin:/bin", "QUALSTREAM_DATA_DIR": str(tmp_path / "data")}
    line = [sys.executable, "-c", script, *args]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == ""


def test_the_module_runs_as_the_command_does():
    for module in ("infra.cli", "qualstream"):
        done = subprocess.run([sys.executable, "-m", module, "topology"], capture_output=True, text=True, check=True)
        assert done.stdout == CliRunner().invoke(cli, ["topology"]).stdout
