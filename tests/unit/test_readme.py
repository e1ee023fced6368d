"""What README says was measured stands on the page that it names."""

import re
from pathlib import Path

import pytest

README = Path("README.md").read_text(encoding="utf-8")
MEASURES = README[README.index("## What it measures") : README.index("## Credit")]
_PAGE = re.compile(r"\]\((docs/results/[\w-]+\.md)\)")
_FIGURE = re.compile(r"(?<![\w.,])\d+\.\d+(?![\w.]*\d)|(?<![\w.,])\d{1,3}(?:,\d{3})+(?![\d])")


def _parts() -> list[tuple[str, set[str]]]:
    """Paragraphs and tables with the pages that they, or the words before them, name."""
    parts, pages = [], set[str]()
    for block in re.split(r"\n\n", MEASURES):
        pages = set(_PAGE.findall(block)) or pages
        parts.append((block, pages))
    return parts


def _figures() -> list[tuple[str, tuple[str, ...]]]:
    return [(figure, tuple(sorted(pages))) for block, pages in _parts() for figure in _FIGURE.findall(block)]


def _as_measured(figure: str, page: str) -> bool:
    """Whether a page has a figure, or a longer one that rounds to it, as a number or as a share in per cent."""
    digits = len(figure.partition(".")[2])
    plain = float(figure.replace(",", ""))
    numbers = [float(each.replace(",", "")) for each in re.findall(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?", page)]
    return any(round(number * scale, digits) == plain for number in numbers for scale in (1, 100))


def test_figures_are_found_at_all() -> None:
    assert len(_figures()) > 40


@pytest.mark.parametrize(("figure", "pages"), _figures(), ids=lambda each: each if isinstance(each, str) else "")
def test_a_figure_stands_on_the_page_that_the_readme_names(figure: str, pages: tuple[str, ...]) -> None:
    texts = [Path(page).read_text(encoding="utf-8") for page in pages]
    assert any(_as_measured(figure, text) for text in texts), f"{figure} stands on none of {', '.join(pages)}"
