"""What the documentation tells people to type works: tutorials from end to end, and every block of Python."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import qualstream
from infra.cli import cli
from infra.cli.commands import SECTIONS
from tests.integration.stack import FAKES, Started, environment, started, until

DOCS = Path("docs").resolve()
TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))
_BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [code for kind, code in _BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


@pytest.fixture
def folder(tmp_path) -> Path:
    """The folder of a reader: the tutorials' files, and nothing else."""
    for path in (DOCS / "tutorials").iterdir():
        if path.suffix != ".md":
            shutil.copy(path, tmp_path)
    return tmp_path


@pytest.fixture
def variables(folder) -> dict[str, str]:
    """Models that answer at once; everything else as a reader has it."""
    return environment(folder / "data") | {"PYTHONPATH": str(DOCS.parent)}


def typed(line: str, folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A line as somebody types it, with this checkout's program."""
    program = f"{shlex.quote(sys.executable)} -m qualstream"
    line = re.sub(r"^qualstream\b", lambda _: program, line)
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=variables, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def stack(folder, variables) -> Iterator[Started]:
    """What `qualstream up` starts in the reader's first terminal."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        with started([sys.executable, "-m", "qualstream", "up"], folder / "up.log", variables) as running:
            until(lambda: "The page: http" in running.said)
            yield running
            running.process.send_signal(signal.SIGINT)
            assert running.process.wait(timeout=30) == 0
    finally:
        os.chdir(before)


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_works_from_its_first_line_to_its_last(page, folder, variables, stack):
    lines = [line for block in blocks(page, "bash") for line in block.splitlines()]
    assert "qualstream up" in lines
    for line in lines:
        if line == "qualstream up":
            continue  # it has been running since the beginning
        done = typed(line, folder, variables)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        if line.startswith("qualstream ingest"):
            with qualstream.connect(line.split("--study ")[1].strip(), data_dir=folder / "data") as study:
                assert study.wait().taken_in >= 8
    for name in re.findall(r"(?:> |--out )(\S+)", "\n".join(lines)):
        assert (folder / name).stat().st_size > 100, name


def test_a_tutorial_links_the_files_that_it_uses():
    for page in TUTORIALS:
        text = page.read_text(encoding="utf-8")
        used = set(re.findall(r"^qualstream \w+ (\w+\.(?:csv|txt))", text, re.MULTILINE))
        assert used
        assert {name for name in used if f"]({name})" not in text or not (page.parent / name).exists()} == set()


def test_the_python_page_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("QUALSTREAM_PROFILE", str(FAKES))
    monkeypatch.setenv("QUALSTREAM_DATA_DIR", str(tmp_path / "data"))
    code = blocks(DOCS / "python.md", "python")
    assert len(code) == 7
    exec(compile("\n".join(code), "docs/python.md", "exec"), {"__name__": "page"})
    printed = capsys.readouterr().out
    assert "long waiting time" in printed
    assert "\n1.0\n" in printed


def test_the_readmes_python_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("QUALSTREAM_PROFILE", str(FAKES))
    monkeypatch.setenv("QUALSTREAM_DATA_DIR", str(tmp_path / "data"))
    (code,) = blocks(DOCS.parent / "README.md", "python")
    exec(compile(code, "README.md", "exec"), {"__name__": "page"})
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize("page", [DOCS.parent / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda page: page.stem)
def test_every_command_that_a_page_shows_exists_with_its_options(page):
    text = page.read_text(encoding="utf-8")
    shown = [
        line
        for block in re.findall(r"^```(?:bash)?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    known = {name for section in SECTIONS.values() for name in section}
    for line in (line for line in shown if line.startswith("qualstream ")):
        words = shlex.split(line.partition("#")[0])[1:]
        assert words[0].startswith("-") or words[0] in known, line
        options = [word.partition("=")[0] for word in words if word.startswith("--")]
        command = [word for word in words if re.fullmatch(r"[a-z-]+", word) and not word.startswith("-")]
        assert set(options) <= options_of(tuple(command[:2])), line


def options_of(command: tuple[str, ...]) -> set[str]:
    """What a command, or the group that it is of, may be given."""
    context = click.Context(cli)
    place: click.Command = cli
    options = {"--help", "--version"}
    for word in command:
        inner = place.get_command(context, word) if isinstance(place, click.Group) else None
        if inner is None:
            break
        place = inner
        options |= {name for each in place.params for name in (*each.opts, *each.secondary_opts)}
    return options
