"""What all commands share: one way to the settings and the log, one rule for a console's width."""

import logging

import pytest

from infra.cli.options import PIPED_WIDTH, output_console, person, read_settings
from models.errors import InputError


@pytest.fixture
def on_a_terminal(monkeypatch):
    """Standard output as a terminal of sixty columns."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")


def test_only_the_shared_options_load_settings_or_make_consoles(request):
    folder = request.config.rootpath / "infra" / "cli"
    for path in folder.glob("*.py"):
        if path.name != "options.py":
            source = path.read_text(encoding="utf-8")
            assert "load_settings" not in source, path.name
            assert "Console(" not in source, path.name


def test_settings_make_the_process_log_as_they_want(monkeypatch, tmp_path):
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", logging.NOTSET)
    settings = read_settings(needs_folder=True, data_dir=tmp_path / "data", log_level="ERROR")
    assert settings.data_dir.is_dir()
    assert root.level == logging.ERROR
    assert len(root.handlers) == 1


def test_what_is_piped_is_wide():
    assert output_console().width == PIPED_WIDTH


def test_a_terminal_keeps_its_width(on_a_terminal):
    assert output_console().width == 60


def test_what_would_lose_figures_is_wide_on_a_narrow_terminal_too(on_a_terminal):
    assert output_console(least=90).width == 90


def test_a_name_is_kept_in_single_spaces():
    assert person("  Ana   Lea ", "--coder") == "Ana Lea"


@pytest.mark.parametrize("name", ["", "  ", "x" * 121])
def test_what_is_no_name_is_refused_with_the_option_that_it_came_from(name):
    with pytest.raises(InputError, match=r"^coder '.*' is no name; 1 to 120 characters are expected in --coder$"):
        person(name, "--coder")
