"""How the house is built, in figures: `python -m tests.structure` prints them, and a test holds them to their bounds.

Read as text: nothing of the project is imported. Methods and nested functions count as functions; a name counts as
bound where it is assigned, a parameter, a loop's variable or a comprehension's.
"""

import ast
import re
import statistics
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("schemas", "models", "streams", "infra", "qualstream")
FOLDERS = (*PACKAGES, "tests", "benchmarks")
MOST_MODULES = 16
FREE_FOLDERS = ("infra/storage/migrations/versions",)
"""Folders that may hold any number of modules."""
FLAT = {
    "models": {"bisection", "errors", "fakes", "invariants", "pipeline", "ports"},
    "infra": {"brokers", "clock", "settings"},
}
"""Modules that stand beside the rooms; every other one has a room."""
VAGUE = ("said", "found", "made", "told", "one", "some", "wanted")
"""Names of values that tell how a value came, not what it is."""
_WORD_BEFORE_NUMBER = re.compile(r"#\s*\S+")


@dataclass(frozen=True)
class Module:
    """One file of Python."""

    path: str
    name: str
    source: str
    tree: ast.Module


def modules(folders: Iterable[str] = PACKAGES) -> list[Module]:
    """Every module of these folders, by path."""
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    read = []
    for path in paths:
        relative = path.relative_to(ROOT)
        name = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
        source = path.read_text(encoding="utf-8")
        read.append(Module(str(relative), name, source, ast.parse(source)))
    return read


def crowded(folders: Iterable[str] = FOLDERS) -> dict[str, int]:
    """Folders that hold more modules than a reader takes in; ``__init__`` does not count."""
    counts: Counter[str] = Counter()
    for module in modules(folders):
        folder, _, file = module.path.rpartition("/")
        counts[folder] += file != "__init__.py"
    return {folder: n for folder, n in counts.items() if n > MOST_MODULES and folder not in FREE_FOLDERS}


def without_a_room() -> list[str]:
    """Modules of ``models`` and ``infra`` that stand beside the rooms and are not among those that may."""
    flat = []
    for folder, allowed in FLAT.items():
        names = {path.stem for path in (ROOT / folder).glob("*.py")} - {"__init__"}
        flat += [f"{folder}/{name}.py" for name in sorted(names - allowed)]
    return flat


def circles() -> list[list[str]]:
    """Modules that import each other, round about; imports inside functions count, those for type checkers do not."""
    known = {module.name for module in modules()}
    graph = {module.name: set(_imports(module, known)) - {module.name} for module in modules()}
    return [sorted(part) for part in _strongly_connected(graph) if len(part) > 1]


def _imports(module: Module, known: set[str]) -> Iterator[str]:
    typing = {
        id(node)
        for block in ast.walk(module.tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.module and id(node) not in typing:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                target = full if full in known else node.module
                if target in known:
                    yield target
        elif isinstance(node, ast.Import) and id(node) not in typing:
            yield from (alias.name for alias in node.names if alias.name in known)


def _strongly_connected(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """Parts of a graph in which each node reaches each other one: Kosaraju's two passes."""
    order: list[str] = []
    seen: set[str] = set()
    for start in graph:
        _visit(graph, start, seen, order)
    backwards: dict[str, set[str]] = defaultdict(set)
    for node, targets in graph.items():
        for target in targets:
            backwards[target].add(node)
    parts, seen = [], set()
    for start in reversed(order):
        part: list[str] = []
        _visit(backwards, start, seen, part)
        if part:
            parts.append(set(part))
    return parts


def _visit(graph: Mapping[str, set[str]], start: str, seen: set[str], order: list[str]) -> None:
    """Depth first; appends each node that is new when all that it reaches was visited."""
    if start in seen:
        return
    seen.add(start)
    stack = [(start, iter(graph.get(start, ())))]
    while stack:
        node, targets = stack[-1]
        target = next((t for t in targets if t not in seen), None)
        if target is None:
            order.append(node)
            stack.pop()
        else:
            seen.add(target)
            stack.append((target, iter(graph.get(target, ()))))


def contract_exceptions() -> list[str]:
    """Imports that a contract of import-linter ignores."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    return [str(each) for contract in contracts for each in contract.get("ignore_imports", ())]


def defined_twice() -> dict[str, list[str]]:
    """Classes and aliases that two modules define under one name; those that begin with an underscore count too."""
    homes: dict[str, list[str]] = defaultdict(list)
    for module in modules():
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(module.name)
            elif isinstance(node, ast.Assign) and _is_alias(node):
                homes[node.targets[0].id].append(module.name)  # type: ignore[attr-defined]
    return {name: places for name, places in sorted(homes.items()) if len(places) > 1}


def _is_alias(node: ast.Assign) -> bool:
    """A type's other name: one capitalised target, a subscript, an attribute or a union as its value."""
    target = node.targets[0]
    return (
        isinstance(target, ast.Name)
        and re.fullmatch(r"[A-Z][a-z]\w*", target.id) is not None
        and isinstance(node.value, ast.Subscript | ast.Attribute | ast.BinOp)
    )


def vague_names() -> dict[str, int]:
    """How often each vague name is bound."""
    counts: Counter[str] = Counter()
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in VAGUE:
                counts[node.id] += 1
            elif isinstance(node, ast.arg) and node.arg in VAGUE:
                counts[node.arg] += 1
    return {name: counts[name] for name in VAGUE}


def unexplained_constants() -> list[str]:
    """Numbers at a module's top in ``models`` that stand without a comment beside, above, or a sentence below."""
    places = []
    for module in modules(["models"]):
        lines, body = module.source.splitlines(), module.tree.body
        for n, node in enumerate(body):
            if not isinstance(node, ast.Assign | ast.AnnAssign) or not _is_number(node.value):
                continue
            follower = body[n + 1] if n + 1 < len(body) else None
            sentence = isinstance(follower, ast.Expr) and isinstance(follower.value, ast.Constant)
            beside = any(_WORD_BEFORE_NUMBER.search(line) for line in lines[node.lineno - 1 : node.end_lineno])
            above = node.lineno > 1 and lines[node.lineno - 2].startswith("#")
            if not (sentence or beside or above):
                places.append(f"{module.path}:{node.lineno}: {lines[node.lineno - 1]}")
    return places


def _is_number(value: ast.expr | None) -> bool:
    match value:
        case ast.Constant(value=number):
            return isinstance(number, int | float) and not isinstance(number, bool)
        case ast.UnaryOp(operand=operand):
            return _is_number(operand)
        case ast.BinOp(left=left, right=right):
            return _is_number(left) and _is_number(right)
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            return bool(parts) and all(_is_number(part) for part in parts)
        case ast.Call(args=parts, keywords=named) if parts or named:  # such as an array, or a length of time
            return all(map(_is_number, [*parts, *(each.value for each in named)]))
    return False


def function_lengths() -> list[tuple[int, str]]:
    """Lines of every function and method, decorators left out, the shortest first."""
    lengths = []
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                lengths.append((size, f"{module.path}:{node.lineno} {node.name}"))
    return sorted(lengths)


def long_modules(most: int = 400) -> list[str]:
    """Modules of more lines than that, but for the SQL tables, which are one list."""
    sizes = {module.path: len(module.source.splitlines()) for module in modules()}
    return [f"{path} ({n})" for path, n in sizes.items() if n > most and not path.endswith("storage/tables.py")]


def main() -> None:
    """Print the figures."""
    lengths = [size for size, _ in function_lengths()]
    quantiles = statistics.quantiles(lengths, n=20)
    rows: list[tuple[str, object]] = [
        ("modules", len(modules())),
        (f"folders with more than {MOST_MODULES} modules", crowded() or 0),
        ("modules without a room", without_a_room() or 0),
        ("import circles", circles() or 0),
        ("exceptions in contracts", contract_exceptions() or 0),
        ("names defined in two modules", f"{len(defined_twice())}: {', '.join(defined_twice())}"),
        ("vague names bound", f"{sum(vague_names().values())}: {vague_names()}"),
        ("numbers in models without a word", len(unexplained_constants())),
        (
            "lines a function: median, 95th percentile, most",
            f"{statistics.median(lengths):g}, {quantiles[-1]:g}, {lengths[-1]}",
        ),
        ("modules over 400 lines", long_modules() or 0),
    ]
    for name, value in rows:
        print(f"{name:<50} {value}")


if __name__ == "__main__":
    main()
