"""Figures as SVG text: the same input gives the same bytes; with tooltips, and colours that the page can replace."""

import re
from collections.abc import Sequence
from html import escape
from io import StringIO

import matplotlib as mpl
from matplotlib.figure import Figure

from fashionbench.report.figures.style import CSS_VARIABLES, page_style

__all__ = ["to_svg", "tooltip", "with_variables"]


def to_svg(figure: Figure, *, key: str, title: str) -> str:
    """Return a figure as the text of an ``<svg>`` element in the colours for paper.

    Args:
        figure: The figure to save.
        key: A string that is unique on the page; the ids are derived from it.
        title: The text alternative of the figure.

    """
    buffer = StringIO()
    with page_style(), mpl.rc_context({"svg.hashsalt": key}):
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    inside = re.sub(r"\s+", " ", buffer.getvalue()).partition("<defs>")[2].rpartition("</svg>")[0]
    body = re.sub(r"<style.*?</style>|<g/>", "", re.sub(r"<[^>]+>", _simplify, f"<defs>{inside}"))
    width, height = (round(float(inches) * 72) for inches in figure.get_size_inches())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}" stroke-linejoin="round">'
        f"<title>{escape(title)}</title>{body}</svg>"
    )


def tooltip(texts: Sequence[str], seed: object = None) -> str:
    """Return a matplotlib ``gid`` that becomes a tooltip: one text for a whole line, or one for each of its markers."""
    return f"tooltip:{'' if seed is None else seed}:{'|'.join(each.replace('|', ' ') for each in texts)}"


def _simplify(tag: re.Match[str]) -> str:
    """Return a tag with its tooltip as data, without unused ids and rotations, and with two decimals in its numbers."""
    with_data = re.sub(r'(?<=<g) id="tooltip:(\d*):([^"]*)"', r' data-seed="\1" data-tooltip="\2"', tag[0])
    short = re.sub(r'(?<=<g) id="[^"]*"| data-seed=""| transform="rotate\(-0 [^"]*"', "", with_data)
    return re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", short)


def with_variables(drawn: str) -> str:
    """Return an SVG or a colour with the page's CSS variables, so that it follows the light or dark scheme."""
    colours = re.compile("|".join(CSS_VARIABLES))
    return re.sub(
        r"<[^>]+>|^#\w+$", lambda tag: colours.sub(lambda colour: f"var({CSS_VARIABLES[colour[0]]})", tag[0]), drawn
    )
