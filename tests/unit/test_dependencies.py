"""What pyproject.toml declares is what is imported; what is pinned has hashes; what is optional says how to get it."""

import ast
import logging
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from infra.experiments.plots import inked
from infra.settings import load_settings
from infra.telemetry.observe import worker_telemetry
from infra.training.tracking import MlflowTracking
from models.backends.token_usage import TokenUsage
from models.errors import SettingError
from streams.topology import role

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "models", "streams", "infra", "qualstream")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
OPTIONAL = ("documents", "refi", "plots", "setfit", "tracking", "traces", "local")
UNIMPORTED = {
    "psycopg": "SQLAlchemy takes it where the database URL names PostgreSQL",
    "python-multipart": "FastAPI reads forms with it",
}
ONLY_SOMEWHERE = {"infra.telemetry.tracing"}
"""Modules that are only imported where their extra is wanted."""


def distributions(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(each).name) for each in requirements}


DECLARED = distributions(PROJECT["dependencies"])
BUILDING = distributions(PYPROJECT["build-system"]["requires"])
EXTRAS = {name: distributions(each) for name, each in PROJECT["optional-dependencies"].items()}


@cache
def owners() -> dict[str, set[str]]:
    return {name: {canonicalize_name(each) for each in by} for name, by in packages_distributions().items()}


def imports(*folders: str, lazy: bool = True) -> Iterator[tuple[str, str]]:
    """Modules and the packages of others that they import; without ``lazy`` only at their top level."""
    for path in (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree) if lazy else tree.body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            yield from ((module, name.partition(".")[0]) for name in names)


def owners_of(package: str) -> set[str]:
    """Who brings a package; of several that share a name those that are declared, if any is."""
    everybody = owners().get(package, {package})
    return everybody & DECLARED.union(*EXTRAS.values()) or everybody


def of_others(*folders: str, lazy: bool = True) -> dict[str, set[str]]:
    """The distributions of others that folders import, with the modules that do."""
    importers: dict[str, set[str]] = {}
    for module, package in imports(*folders, lazy=lazy):
        if package not in sys.stdlib_module_names and package not in (*PACKAGES, "tests", "benchmarks"):
            for owner in owners_of(package):
                importers.setdefault(owner, set()).add(module)
    return importers


def test_what_the_product_imports_is_declared():
    known = DECLARED.union(BUILDING, *(EXTRAS[name] for name in OPTIONAL))
    assert {name: by for name, by in of_others(*PACKAGES).items() if name not in known} == {}


def test_what_is_declared_is_imported():
    used = set(of_others(*PACKAGES))
    assert DECLARED - used == set(UNIMPORTED) & DECLARED - used


def test_what_is_optional_is_imported_only_where_it_is_wanted():
    optional = set().union(*(EXTRAS[name] for name in OPTIONAL))
    eager = {name: by - ONLY_SOMEWHERE for name, by in of_others(*PACKAGES, lazy=False).items() if name in optional}
    assert {name: by for name, by in eager.items() if by} == {}


def test_what_only_benchmarks_import_is_no_dependency_of_the_product():
    compared = EXTRAS["benchmarks"] - EXTRAS["plots"]
    assert compared <= set(of_others("benchmarks"))
    assert compared & (DECLARED | set(of_others(*PACKAGES))) == set()


def test_every_pinned_package_has_hashes_and_every_declared_one_is_pinned():
    lines = re.sub(r"\\\n\s*", "", (ROOT / "requirements.lock").read_text(encoding="utf-8")).splitlines()
    pins = {canonicalize_name(line.split("==")[0]): line for line in lines if not line.startswith("#")}
    assert {name for name, line in pins.items() if "--hash=sha256:" not in line} == set()
    declared = [
        *PROJECT["dependencies"],
        *(each for extra in PROJECT["optional-dependencies"].values() for each in extra),
    ]
    for requirement in map(Requirement, declared):
        pin = pins[canonicalize_name(requirement.name)].split()[0].split("==")[1]
        assert requirement.specifier.contains(pin, prereleases=True), requirement


def test_plots_name_the_extra_that_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SettingError, match=r"Matplotlib .* install 'qualstream\[plots\]'"):
        inked()


def test_training_without_mlflow_goes_on_and_the_log_names_the_extra(monkeypatch, tmp_path, caplog):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with caplog.at_level(logging.WARNING), MlflowTracking(f"file:{tmp_path}").run("study", "first", {}, {}) as run:
        run.metrics({"macro_f1": 0.5}, 0)
    assert "install 'qualstream[tracking]'" in caplog.text


def test_spans_without_opentelemetry_name_the_extra_that_is_missing(monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "infra.telemetry.tracing", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    settings = load_settings(data_dir=tmp_path, otlp_url="http://127.0.0.1:4318")
    with (
        pytest.raises(SettingError, match=r"QUALSTREAM_OTLP_URL .* install 'qualstream\[traces\]'"),
        worker_telemetry(settings, role("coders"), TokenUsage()),
    ):
        pass
