"""Puts the four packages inside ``qualstream`` when a wheel is built, so that an installed one takes no name of others.

In the repository they stand at the top and import each other by these names; in a wheel they are
``qualstream.infra``, ``qualstream.models``, ``qualstream.schemas`` and ``qualstream.streams``, and their import
statements say so. Only import statements are changed, each on its line; a module that names a package in another way
is refused. See docs/adr/0020-installed-names.md.
"""

import ast
import re
import shutil
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGES = ("infra", "models", "schemas", "streams")
HOME = "qualstream"
LEFT_OUT = ("infra/setup", "infra/docker", "infra/helm", "infra/grafana", "infra/prometheus", "infra/otel")
"""Folders that are for who builds or runs an image, and not for the program."""
_NAME = re.compile(rf"\b(?=(?:{'|'.join(PACKAGES)})\b)")


class PackagesInside(BuildHookInterface[Any]):
    """hatchling's hook: a wheel's packages stand inside ``qualstream``; an editable installation's stay."""

    PLUGIN_NAME = "custom"

    @property
    def _folder(self) -> Path:
        return Path(self.directory) / "renamed"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the renamed modules, and say where each file of the four packages goes."""
        if version == "editable":
            return
        root, renamed = Path(self.root), self._folder
        shutil.rmtree(renamed, ignore_errors=True)
        for path in packaged(root, Path(HOME), *map(Path, PACKAGES)):
            inside = path if path.parts[0] == HOME else Path(HOME) / path
            target = renamed / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".py":
                source = (root / path).read_text(encoding="utf-8")
                target.write_text(renamed_source(source, str(path)), encoding="utf-8")
            else:
                shutil.copyfile(root / path, target)
            build_data["force_include"][str(target)] = str(inside)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Take the renamed modules away again."""
        shutil.rmtree(self._folder, ignore_errors=True)


def packaged(root: Path, *packages: Path) -> list[Path]:
    """The files of packages that belong into a wheel, relative to the repository's root."""
    files = [path.relative_to(root) for package in packages for path in (root / package).rglob("*") if path.is_file()]
    return sorted(
        path
        for path in files
        if "__pycache__" not in path.parts and not any(path.is_relative_to(folder) for folder in LEFT_OUT)
    )


def renamed_source(source: str, name: str) -> str:
    """A module's source with its imports of the four packages from inside ``qualstream``; each stays on its line.

    Args:
        source: As the repository has it.
        name: Of the file, for errors.

    Raises:
        ValueError: If an import cannot be renamed: ``import infra.files`` without ``as`` would bind another name.
    """
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and not node.level and _is_ours(node.module or ""):
            _rename(lines, node, name)
        elif isinstance(node, ast.Import) and any(_is_ours(alias.name) for alias in node.names):
            if len(node.names) > 1 or node.names[0].asname is None:
                raise ValueError(f"{name}, line {node.lineno}: write `from PACKAGE import ...` or `import ... as ...`")
            _rename(lines, node, name)
    return "".join(lines)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in PACKAGES


def _rename(lines: list[str], node: ast.ImportFrom | ast.Import, name: str) -> None:
    line = lines[node.lineno - 1]
    # ast counts bytes, and before an import there is nothing but spaces, or a one-line statement in plain letters
    before, statement = line[: node.col_offset], line[node.col_offset :]
    changed, count = _NAME.subn(f"{HOME}.", statement, count=1)
    if not count:
        raise ValueError(f"{name}, line {node.lineno}: the package is not on the import's first line; put it there")
    lines[node.lineno - 1] = before + changed
