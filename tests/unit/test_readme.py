"""What README and docs/measured.md say was measured stands on the page that they name."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_PAGE = re.compile(r"\]\(((?:docs/)?results/[\w-]+\.md)\)")
_FIGURE = re.compile(r"(?<![\w.,])\d+\.\d+(?![\w.]*\d)|(?<![\w.,])\d{1,3}(?:,\d{3})+(?![\d])")
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")


def text_of(page: str, section: str = "") -> str:
    text = (ROOT / page).read_text(encoding="utf-8")
    return text.partition(section)[2].partition("\n## ")[0] if section else text


def parts(text: str) -> list[tuple[str, set[str]]]:
    """Paragraphs and tables with the pages that they, or the words before them, name."""
    blocks, pages = [], set[str]()
    for block in re.split(r"\n\n", text):
        pages = {page.removeprefix("docs/") for page in _PAGE.findall(block)} or pages
        blocks.append((block, pages))
    return blocks


def figures(text: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(figure, tuple(sorted(pages))) for block, pages in parts(text) for figure in _FIGURE.findall(block)]


MEASURED = figures(text_of("docs/measured.md"))
SHORT = figures(text_of("README.md", "## How good is it?"))
OPERATING = figures(text_of("docs/operate.md", "## Sizes"))
LIMITS = figures(text_of("docs/limits.md", "## How good are the codes?"))


def as_measured(figure: str, page: str) -> bool:
    """Whether a page has a figure, or a longer one that rounds to it, as a number or as a share in per cent."""
    digits = len(figure.partition(".")[2])
    plain = float(figure.replace(",", ""))
    numbers = [float(each.replace(",", "")) for each in _NUMBER.findall(page)]
    return any(round(number * scale, digits) == plain for number in numbers for scale in (1, 100))


def test_figures_are_found_at_all() -> None:
    assert len(MEASURED) > 40
    assert len(SHORT) >= 6
    assert len(OPERATING) >= 7
    assert len(LIMITS) >= 2


@pytest.mark.parametrize(
    ("figure", "pages"),
    [*MEASURED, *SHORT, *OPERATING, *LIMITS],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_figure_stands_on_the_page_that_is_named_beside_it(figure: str, pages: tuple[str, ...]) -> None:
    texts = [text_of(f"docs/{page}") for page in pages]
    assert any(as_measured(figure, text) for text in texts), f"{figure} stands on none of {', '.join(pages)}"


def test_the_short_page_repeats_what_the_long_one_says() -> None:
    long = text_of("docs/measured.md")
    assert [figure for figure, _ in SHORT if figure not in long] == []


def test_no_figure_of_the_readme_stands_outside_what_names_its_page() -> None:
    without_shown_output = re.sub(r"(?s)```.*?```", "", text_of("README.md"))
    text = without_shown_output.replace("Python 3.11", "")
    assert sorted(figure for figure, _ in figures(text)) == sorted(figure for figure, _ in SHORT)


def test_the_readme_is_short() -> None:
    assert len(text_of("README.md").splitlines()) <= 150
