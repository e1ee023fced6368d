"""Figures of the analysis page as SVG: bars of frequencies, and a network of codes that stand together."""

from collections.abc import Mapping, Sequence
from html import escape
from math import sqrt

from infra.storage.analysis.code_counts import CodeCount
from infra.storage.analysis.crosstab import Cooccurrence
from infra.web.language.speech import gettext

_BARS, _BAR, _WIDTH, _NAMES = 25, 22, 900, 300  # bars of the chart, their height, and its widths
_LONGEST_NAME = 44
_TALL, _EDGE = 560, 90  # height of the network, and the room about it for labels
_DOT, _LINE = 22.0, 9.0  # radius and width of the largest
_SEED = 7  # the same codes always make the same picture
_INK = "#7a8087"


def frequency_bars(counts: Sequence[CodeCount], *, alone: bool = False) -> str:
    """How many segments have each code; every label in it is escaped.

    Args:
        counts: The most used first; the first 25 are drawn.
        alone: Whether it is a file of its own.
    """
    shown = counts[:_BARS]
    most = max((count.segments for count in shown), default=1)
    bars = "".join(_bar(count, n, most) for n, count in enumerate(shown))
    return _svg(bars, max(1, len(shown)) * _BAR + 8, gettext("Segments by code"), alone=alone)


def code_network(together: Cooccurrence, *, alone: bool = False) -> str:
    """Codes as dots and pairs that stand together as lines; areas and widths grow with the counts.

    Places by networkx's spring layout (Fruchterman and Reingold 1991): codes that often stand together are near.

    Args:
        together: What to draw; codes that stand with no other are left out.
        alone: Whether it is a file of its own.
    """
    pairs = {
        (row, column): n
        for row, counts in enumerate(together.counts)
        for column, n in enumerate(counts)
        if row < column and n
    }
    places = _places(pairs)
    own = {row: together.counts[row][row] for row in places}
    lines = "".join(_line(together, pair, n, places, max(pairs.values())) for pair, n in pairs.items())
    dots = "".join(_dot(together, row, places[row], own[row] / max(own.values())) for row in places)
    return _svg(f"<g>{lines}</g><g>{dots}</g>", _TALL, gettext("Codes that stand together"), alone=alone)


def _places(pairs: Mapping[tuple[int, int], int]) -> dict[int, tuple[float, float]]:
    """Where each code is drawn, in the picture's units."""
    import networkx

    graph = networkx.Graph()
    graph.add_weighted_edges_from((row, column, n) for (row, column), n in sorted(pairs.items()))
    if not graph:
        return {}
    spread = networkx.spring_layout(graph, seed=_SEED, k=3 / sqrt(len(graph)), iterations=150)
    return {
        row: (
            _EDGE + (float(x) + 1) / 2 * (_WIDTH - 2 * _EDGE),
            _EDGE / 2 + (float(y) + 1) / 2 * (_TALL - _EDGE),
        )
        for row, (x, y) in spread.items()
    }


def _line(
    together: Cooccurrence, pair: tuple[int, int], n: int, places: Mapping[int, tuple[float, float]], most: int
) -> str:
    (x1, y1), (x2, y2) = places[pair[0]], places[pair[1]]
    names = {"first": together.codes[pair[0]].label, "second": together.codes[pair[1]].label, "n": n}
    title = gettext("%(first)s and %(second)s: %(n)s") % names
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{_INK}" stroke-opacity="0.55" '
        f'stroke-width="{max(1.0, _LINE * n / most):.1f}"><title>{escape(title)}</title></line>'
    )


def _dot(together: Cooccurrence, row: int, place: tuple[float, float], share: float) -> str:
    (x, y), radius = place, max(4.0, _DOT * sqrt(share))
    label = together.codes[row].label
    title = escape(f"{label}: {together.counts[row][row]}")
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="#2f7fb8"><title>{title}</title></circle>'
        f'<text x="{x:.1f}" y="{y + radius + 13:.1f}" text-anchor="middle">{escape(_short(label))}</text>'
    )


def _bar(count: CodeCount, n: int, most: int) -> str:
    top, room = n * _BAR + 4, _WIDTH - _NAMES - 60
    whole, people = room * count.segments / most, room * count.people / most
    return (
        f'<text x="{_NAMES - 8}" y="{top + 14}" text-anchor="end">{escape(_short(count.label))}</text>'
        f'<rect x="{_NAMES}" y="{top}" width="{whole:.1f}" height="{_BAR - 6}" fill="#2f7fb8"/>'
        f'<rect x="{_NAMES}" y="{top}" width="{people:.1f}" height="{_BAR - 6}" fill="#d9822b"/>'
        f'<text x="{_NAMES + whole + 6:.1f}" y="{top + 14}">{count.segments}</text>'
    )


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST_NAME else label[: _LONGEST_NAME - 1] + "…"


def _svg(parts: str, height: int, name: str, *, alone: bool) -> str:
    head = ' xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="12"' if alone else ""
    return f'<svg{head} viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(name)}">{parts}</svg>'
