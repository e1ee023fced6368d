"""What plots have in common: how they look, and PNG files beside one HTML page that needs nothing but itself."""

import html
import io
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import InputError, SettingError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#22302a"
_DPI = 150
_STYLE = (
    f"body{{font:15px/1.5 system-ui,sans-serif;color:{INK};background:#fff;max-width:72rem;"
    "margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}"
    "th,td{padding:.3rem .6rem;text-align:right;border-bottom:1px solid #dde5e0;white-space:nowrap}"
    "th:first-child,td:first-child{text-align:left}small{color:#5d6b64;display:block}"
    ".wide{overflow-x:auto}svg{max-width:100%;height:auto}"
)


def inked() -> AbstractContextManager[None]:
    """Figures made inside have their words in INK; every figure is made inside of one of these.

    Raises:
        SettingError: If Matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
    except ImportError as error:
        raise SettingError(f"plots need Matplotlib ({error}); install 'qualstream[plots]'") from error

    return rc_context({"font.size": 9, "axes.edgecolor": INK, "text.color": INK, "axes.labelcolor": INK})


def clean(ax: "Axes") -> None:
    """Take away what is not data but for a light grid behind it."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(visible=True, color="#e3e9e5", linewidth=0.7)
    ax.set_axisbelow(True)


def write_figures(figures: "Mapping[str, Figure]", page: str, folder: Path) -> list[Path]:
    """Write each figure as PNG under its name, and the page as ``index.html``.

    Args:
        figures: By name, without a folder or an ending.
        page: HTML, see ``as_page``.
        folder: Made where it is missing.

    Returns:
        The files written.

    Raises:
        InputError: If the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, figure in figures.items():
            figure.savefig(folder / f"{name}.png", dpi=_DPI, metadata={"Software": None})
        (folder / "index.html").write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write plots to '{folder}' ({error.strerror}); give another folder") from error
    return [*(folder / f"{name}.png" for name in figures), folder / "index.html"]


def as_page(title: str, inside: str) -> str:
    """A whole page under a heading.

    Args:
        title: Plain text.
        inside: HTML.
    """
    title = html.escape(title, quote=False)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>{inside}</body></html>\n"
    )


def as_svg(figure: "Figure", name: str) -> str:
    """A figure as inline SVG: without header, metadata and namespaces, its ids made its own."""
    from matplotlib import rc_context

    target = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    svg = target.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|\sxmlns(:\w+)?=\"[^\"]*\"", "", svg, flags=re.DOTALL)
    used = set(re.findall(r"(?:href=\"|url\()#([\w.-]+)", svg))
    svg = re.sub(r'\sid="([\w.-]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", svg)
    svg = re.sub(r"(href=\"|url\()#", rf"\1#{name}-", svg)
    label = html.escape(name.replace("_", " "))
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
