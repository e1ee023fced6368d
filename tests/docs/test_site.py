"""The documentation site builds without a warning, and what is written by a program is current."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import qualstream
from infra.settings import Settings, variable
from infra.setup import api_page
from infra.setup.settings_page import SECTIONS, settings_page, written

ROOT = Path(__file__).parents[2]


def test_the_settings_page_is_what_the_settings_say():
    assert written().read_text(encoding="utf-8") == settings_page().rstrip() + "\n", (
        "run: python -m infra.setup.settings_page > docs/settings.md"
    )


def test_the_python_reference_is_what_the_docstrings_say():
    assert api_page.written().read_text(encoding="utf-8") == api_page.api_page(), (
        "run: python -m infra.setup.api_page > docs/reference.md"
    )


def test_every_public_name_is_in_the_python_reference_or_a_result_of_one_that_is():
    described = {name for names in api_page.SECTIONS.values() for name in names}
    assert set(qualstream.__all__) - described == {"Evaluation", "ScanResult", "__version__"}


def test_every_setting_stands_on_the_page_once_and_the_page_names_no_other():
    rows = re.findall(r"^\| `(QUALSTREAM_\w+)` \|", settings_page(), re.MULTILINE)
    assert sorted(rows) == sorted(variable(field) for field in Settings.model_fields)
    assert {field for section in SECTIONS.values() for field in section} <= set(Settings.model_fields)


@pytest.mark.parametrize("page", [*ROOT.glob("docs/*.md"), ROOT / "README.md"], ids=lambda page: page.stem)
def test_every_variable_that_a_page_names_is_a_setting(page):
    known = {variable(field) for field in Settings.model_fields} | {"QUALSTREAM_"}
    named = set(re.findall(r"(?<!_)QUALSTREAM_\w*", page.read_text(encoding="utf-8")))
    assert named <= known


def test_every_decision_is_in_the_index():
    index = (ROOT / "docs/adr/README.md").read_text(encoding="utf-8")
    for path in (ROOT / "docs/adr").glob("0*.md"):
        title = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        assert f"[{title}]({path.name})" in index


def test_the_site_builds_without_a_broken_link(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site/tutorials/interviews/index.html").is_file()
    home = (tmp_path / "site/index.html").read_text(encoding="utf-8")
    assert not re.findall(r'(?:src|href)="https?://(?!squidfunk)', home.partition("</head>")[0])
