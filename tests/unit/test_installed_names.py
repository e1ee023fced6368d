"""What is installed takes one name: the four packages stand inside ``qualstream``, whatever others are called."""

import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.setup.build_hook import PACKAGES, packaged, renamed_source

ROOT = Path(__file__).parents[2]
MODULES = [path for path in packaged(ROOT, Path("qualstream"), *map(Path, PACKAGES)) if path.suffix == ".py"]
_MODULE_NAME = re.compile(rf"({'|'.join(PACKAGES)})(\.[a-z_]\w*)+")
USE = """
import infra, models, schemas, streams, sys
import qualstream
assert [each.OWNER for each in (infra, models, schemas, streams)] == ["somebody else"] * 4
coder = qualstream.Coder(profile=sys.argv[1], data_dir="data")
print(coder.code(["a nice app"])[0].code)
with qualstream.connect(study="s", data_dir="data") as stack:
    print(stack.ingest(["a good thing"]).new)
for name in qualstream.__all__:
    getattr(qualstream, name)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder as pip leaves it: the wheel of this checkout, unpacked."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "wheel")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = (folder / "wheel").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def users(tmp_path_factory) -> Path:
    """A user's own project, whose packages have the same four names."""
    folder = tmp_path_factory.mktemp("project")
    for name in PACKAGES:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text('OWNER = "somebody else"\n')
    return folder


def run(site: Path, users: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{users}:{site}", "HOME": str(users)}
    line = [sys.executable, *command]
    return subprocess.run(line, cwd=users, env=environment, capture_output=True, text=True, check=False)


def test_a_wheel_has_one_package_and_nothing_of_the_workshop(site):
    assert {path.name for path in site.iterdir() if path.is_dir()} - {"wheel"} == {
        "qualstream",
        "qualstream-0.1.0.dist-info",
    }
    assert {path.name for path in (site / "qualstream").iterdir() if path.is_dir()} == set(PACKAGES)
    assert not (site / "qualstream/infra/setup").exists()
    assert (site / "qualstream/infra/web/templates").is_dir()
    assert (site / "qualstream/infra/storage/migrations/env.py").is_file()


def test_an_installed_one_works_beside_a_users_packages_of_the_same_names(site, users):
    done = run(site, users, "-c", USE, str(ROOT / "tests/data/fakes.toml"))
    assert (done.returncode, done.stdout.split("\n")) == (0, ["nice app", "1", ""]), done.stderr


def test_an_installed_ones_command_line_runs_beside_them(site, users):
    done = run(site, users, "-m", "qualstream", "topology")
    assert done.stdout.startswith("role       reads"), done.stderr


def test_every_role_of_an_installed_one_is_found(site, users):
    script = (
        "from qualstream.infra.roles.registry import MODULES, find_role\nprint(*(find_role(n).name for n in MODULES))"
    )
    done = run(site, users, "-c", script)
    assert done.stdout.split() == [path.stem for path in map(Path, done.stdout.split())], done.stderr
    assert "coders" in done.stdout


def test_a_file_is_read_apart_by_an_installed_one(site, users):
    (users / "texts.csv").write_text("text\nIt crashes when I upload a photo\n")
    script = (
        "from pathlib import Path\n"
        "from qualstream.infra.files.sandbox import TextsAsked, read_texts_apart\n"
        "files = read_texts_apart([('texts.csv', Path('texts.csv'))], TextsAsked(study='s'))\n"
        "print(files.first[0].text)"
    )
    done = run(site, users, "-c", script)
    assert done.stdout.strip() == "It crashes when I upload a photo", done.stderr


def test_only_the_names_in_imports_change():
    for path in MODULES:
        source = (ROOT / path).read_text(encoding="utf-8")
        changed = renamed_source(source, str(path))
        assert len(changed.splitlines()) == len(source.splitlines())
        assert ast.dump(ast.parse(changed)) == ast.dump(expected(source)), path


def expected(source: str) -> ast.Module:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in PACKAGES:
            node.module = f"qualstream.{node.module}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                alias.name = f"qualstream.{alias.name}" if alias.name.partition(".")[0] in PACKAGES else alias.name
    return tree


def test_no_string_names_a_module_that_an_installed_one_has_elsewhere():
    named = []
    for path in set(MODULES) - {Path("qualstream/__init__.py")}:  # which knows both places
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and _MODULE_NAME.fullmatch(text):
                named.append(f"{path}:{node.lineno}: {text}")
    assert named == []


@pytest.mark.parametrize("source", ["import infra.files\n", "import models, os\n", "from \\\n    infra import clock\n"])
def test_an_import_that_cannot_be_renamed_stops_the_build(source):
    with pytest.raises(ValueError, match=r"m\.py, line 1: "):
        renamed_source(source, "m.py")


def test_a_checkout_says_which_package_is_in_its_way(users):
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{users}:{ROOT}"}
    line = [sys.executable, "-c", "import qualstream"]
    done = subprocess.run(line, cwd=users, env=environment, capture_output=True, text=True, check=False)
    assert (
        f"ImportError: 'infra' is {users / 'infra' / '__init__.py'}, but a checkout of Qualstream needs" in done.stderr
    )
