"""The top-level names are ours, and importing them brings in no tensor library."""

import importlib.util
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "models", "streams", "infra", "qualstream")
HEAVY = (
    "torch",
    "transformers",
    "peft",
    "sentence_transformers",
    "setfit",
    "small_text",
    "qdrant_client",
    "qdrant_edge",
)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_top_level_name_resolves_inside_the_repository(name):
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin == str(ROOT / name / "__init__.py")


def test_no_other_distribution_owns_a_top_level_name():
    owners = packages_distributions()
    assert {name: set(owners.get(name, [])) - {"qualstream"} for name in PACKAGES} == {name: set() for name in PACKAGES}


def test_importing_the_domain_the_streams_and_the_command_line_imports_no_tensors():
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in ("schemas", "models", "streams")
        for path in sorted((ROOT / package).rglob("*.py"))
        if "backends" not in path.parts
    ]
    assert "models.pipeline" in modules
    script = (
        "import importlib, sys\n"
        f"for name in {[*modules, 'infra.cli', 'infra.roles.registry']!r}: importlib.import_module(name)\n"
        f"print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
