"""What a page may be found at fault for by looking at it: names, headings, contrast, width."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

_FAULTS = (Path(__file__).parent / "faults.js").read_text(encoding="utf-8")


def faults(page: Page) -> list[str]:
    """What is wrong with the page as it stands, in words; empty where nothing is."""
    found: Any = page.evaluate(_FAULTS)
    return list(found)


def tab_stops(page: Page, most: int = 60) -> list[str]:
    """The names of what the tab key reaches, in its order, from the top of the page on."""
    page.evaluate("() => { document.activeElement?.blur(); window.scrollTo(0, 0); }")
    stops: list[str] = []
    for _ in range(most):
        page.keyboard.press("Tab")
        name = page.evaluate(
            "() => { const e = document.activeElement; if (e === document.body) return null;"
            "return (e.getAttribute('aria-label') || e.innerText || e.labels?.[0]?.innerText || e.id).trim(); }"
        )
        if name is None:
            break
        stops.append(name)
    return stops
