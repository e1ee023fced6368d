"""The pages for those who work on the house name what there is."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from schemas import Segment
from schemas.ids import segment_id

ROOT = Path(__file__).parents[2]
PAGES = (
    "docs/architecture.md",
    "docs/glossary.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/adr/0012-rooms.md",
    "docs/intake.md",
)
_PATH = re.compile(r"(?<![\w/.])(?:schemas|models|streams|infra|tests)/[\w./-]*\w/?")
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
_ANSWER = re.compile(r"^\| (.+) \| `([\w/]+\.py)(?::([\w.]+))?` \|$", re.MULTILINE)


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def answers() -> list[tuple[str, str, str]]:
    """Question, file and name of each row of "where is the code that decides"."""
    section = text_of("docs/architecture.md").partition("## Where is the code that decides")[2].partition("\n## ")[0]
    return _ANSWER.findall(section)


def defined(path: Path) -> set[str]:
    """What a module defines: functions, classes, their methods and fields, and constants."""
    names = set[str]()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names |= bound_by(node)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{name}" for inner in node.body for name in bound_by(inner)}
    return names


def bound_by(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


@pytest.mark.parametrize("page", PAGES)
def test_every_path_and_link_on_a_page_leads_somewhere(page):
    text = text_of(page)
    linked = {str((ROOT / page).parent.relative_to(ROOT) / link) for link in _LINK.findall(text)}
    assert {path for path in {*_PATH.findall(text), *linked} if not (ROOT / path).exists()} == set()


def test_twenty_and_more_decisions_have_their_place():
    section = text_of("docs/architecture.md").partition("## Where is the code that decides")[2].partition("\n## ")[0]
    assert len(answers()) == section.count("\n| ") - 1 > 20  # all rows but the heading


@pytest.mark.parametrize(("question", "path", "name"), answers())
def test_what_decides_is_where_the_floor_plan_says(question, path, name):
    assert not name or name in defined(ROOT / path), question


def test_every_stage_of_the_plan_is_a_room():
    text = text_of("docs/architecture.md")
    rooms = {path.name for path in (ROOT / "models").iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert {room for room in rooms if f"models/{room}/" not in text} == set()


def test_the_record_that_producers_are_shown_is_the_one_that_is_read():
    blocks = re.findall(r"```(\w+)\n(.*?)```", text_of("docs/intake.md"), re.DOTALL)
    (described,) = [json.loads(text) for kind, text in blocks if kind == "json"]
    example: dict[str, Any] = {}
    exec(next(text for kind, text in blocks if kind == "python"), example)
    segment = Segment.from_bytes(example["value"])
    assert example["key"] == str(segment.id).encode()
    assert segment.id == segment_id("spring", "shop", "r-17")
    fields = Segment.model_json_schema()
    assert set(described["properties"]) == set(fields["properties"]) - {"cut_from"}
    assert set(described["required"]) == set(fields["required"])
