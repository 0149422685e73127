"""Figures as SVG text that is the same for the same input, with tooltips and the page's own colours."""

import re
from collections.abc import Sequence
from html import escape
from io import StringIO

import matplotlib as mpl
from matplotlib.figure import Figure

from fashionbench.report.figures.style import VARIABLES, page_style

__all__ = ["to_svg", "tooltip", "with_variables"]


def to_svg(figure: Figure, *, key: str, title: str) -> str:
    """Return a figure as the text of an ``<svg>`` element in the colours of paper.

    Args:
        figure: What one of this module's functions drew.
        key: A word that is unique on the page: its ids are made from it.
        title: What the figure shows, for those who cannot see it.

    """
    buffer = StringIO()
    with page_style(), mpl.rc_context({"svg.hashsalt": key}):
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    inside = re.sub(r"\s+", " ", buffer.getvalue()).partition("<defs>")[2].rpartition("</svg>")[0]
    body = re.sub(r"<style.*?</style>|<g/>", "", re.sub(r"<[^>]+>", _slim, f"<defs>{inside}"))
    width, height = (round(float(inches) * 72) for inches in figure.get_size_inches())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}" stroke-linejoin="round">'
        f"<title>{escape(title)}</title>{body}</svg>"
    )


def tooltip(words: Sequence[str], seed: object = None) -> str:
    """Return a matplotlib ``gid`` that the page's script reads: words for each mark of a line, or for all of it."""
    return f"tell:{'' if seed is None else seed}:{'|'.join(each.replace('|', ' ') for each in words)}"


def _slim(tag: re.Match[str]) -> str:
    """Return one tag without idle ids and rotations, ``told`` ones as data, its numbers to a hundredth of a pixel."""
    spoken = re.sub(r'(?<=<g) id="tell:(\d*):([^"]*)"', r' data-seed="\1" data-tell="\2"', tag[0])
    short = re.sub(r'(?<=<g) id="[^"]*"| data-seed=""| transform="rotate\(-0 [^"]*"', "", spoken)
    return re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", short)


def with_variables(drawn: str) -> str:
    """Return an SVG, or a colour, in the page's CSS variables, so that it follows light and dark."""
    colours = re.compile("|".join(VARIABLES))
    return re.sub(
        r"<[^>]+>|^#\w+$", lambda tag: colours.sub(lambda colour: f"var({VARIABLES[colour[0]]})", tag[0]), drawn
    )
