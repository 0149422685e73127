"""The style of the figures: colours, markers, hatches and fonts."""

import logging
import warnings
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType
from typing import Final
from unicodedata import east_asian_width

import matplotlib as mpl
from matplotlib import font_manager

from fashionbench.catalogue import CATALOGUE

__all__ = [
    "CSS_VARIABLES",
    "HALF",
    "INK",
    "LINE",
    "MARKER_PATHS",
    "MODEL_COLOURS",
    "MUTED",
    "PAPER",
    "TONE_COLOURS",
    "WIDE",
    "ModelStyle",
    "make_styles",
    "page_style",
    "shorten",
    "templates_folder",
]

WIDE: Final = 736

HALF: Final = 356
"""Widths of figures in CSS pixels: the page's column, and half of it without the gap. One SVG unit is one pixel."""

INK, MUTED, LINE, PAPER = "#1c1f23", "#5b6470", "#e3e6ea", "#ffffff"

MODEL_COLOURS: Final = ("#0b6e99", "#bd4e0a", "#7b4fa6", "#3f7d3a", "#b03a6b", "#6b5b1e")

HATCHES: Final = ("", "////", "\\\\\\\\", "....", "xxxx", "----")

TONE_COLOURS: Final = MappingProxyType({"yes": "#1f6b3a", "no": "#9b2c2c", "unsure": "#7a5b00"})

CSS_VARIABLES: Final = MappingProxyType(
    {INK: "--ink", MUTED: "--muted", LINE: "--line", PAPER: "--paper"}
    | {colour: f"--{tone}" for tone, colour in TONE_COLOURS.items()}
    | {colour: f"--model{number}" for number, colour in enumerate(MODEL_COLOURS)}
)
"""The CSS variable that replaces each colour on a screen, where it follows the light or dark scheme."""

MARKER_PATHS: Final = MappingProxyType(
    {
        "o": "M0 5a5 5 0 1 0 10 0a5 5 0 1 0-10 0z",
        "s": "M.5 .5h9v9h-9z",
        "^": "M5 0 10 9.5H0z",
        "D": "M5-.5 10.5 5 5 10.5-.5 5z",
        "v": "M5 10 0 .5H10z",
        "P": "M3.3 0h3.4v3.3H10v3.4H6.7V10H3.3V6.7H0V3.3h3.3z",
        "X": "M2.5 0 5 2.5 7.5 0 10 2.5 7.5 5 10 7.5 7.5 10 5 7.5 2.5 10 0 7.5 2.5 5 0 2.5z",
        "<": "M0 5 9.5 0V10z",
        ">": "M10 5 .5 0V10z",
        "p": "M5 0 10 3.8 8.1 10H1.9L0 3.8z",
        "h": "M5 0 9.5 2.5v5L5 10 .5 7.5v-5z",
        "*": "M5 0 6.2 3.6H10L7 5.9 8.1 9.6 5 7.3 1.9 9.6 3 5.9 0 3.6h3.8z",
    }
)
"""matplotlib's markers in the order of use, each with the same shape as an SVG path in a 10 by 10 box."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStyle:
    """How a model is drawn everywhere; colour and marker each identify it alone."""

    name: str
    number: int
    """Number of its colour among the CSS variables: ``--model0`` and so on."""
    colour: str
    marker: str
    hatch: str


def make_styles(names: Mapping[str, str]) -> dict[str, ModelStyle]:
    """Return a style for each model of ``names`` (model to its shown name), in the order given."""
    own = {model: named.appearance for model, named in CATALOGUE.items() if named.appearance is not None}
    free = iter(number for number in range(len(names) + len(own)) if number not in own.values())
    numbers = {model: own[model] if model in own else next(free) for model in names}
    return {
        model: ModelStyle(
            name=names[model],
            number=number % len(MODEL_COLOURS),
            colour=MODEL_COLOURS[number % len(MODEL_COLOURS)],
            marker=tuple(MARKER_PATHS)[number % len(MARKER_PATHS)],
            hatch=HATCHES[number % len(HATCHES)],
        )
        for model, number in numbers.items()
    }


def templates_folder() -> Path:
    """Return the folder of templates and fonts: inside the package in a wheel, next to it in a checkout."""
    package = Path(__file__).parents[2]
    return next(folder for folder in (package / "templates", package.parent / "templates") if folder.is_dir())


def shorten(name: str, length: int = 26) -> str:
    """Return a name truncated to the width of ``length`` letters for a figure; tables show the whole name."""
    ends = list(accumulate(2 if east_asian_width(letter) in "WF" else 1 for letter in name))
    return name if not ends or ends[-1] <= length else f"{name[: bisect_left(ends, length)].rstrip()}…"


@cache
def _register_fonts() -> None:
    for font in sorted((templates_folder() / "fonts").glob("*.ttf")):
        font_manager.fontManager.addfont(font)


def _is_about_another_font(record: logging.LogRecord) -> bool:
    return "DejaVu Sans" not in record.getMessage()


@contextmanager
def page_style() -> Iterator[None]:
    """Apply the page's fonts, colours and lines to the figures drawn in this context."""
    _register_fonts()
    # DejaVu Sans, for the letters that Inter lacks, has no weight of 600, which matplotlib would report
    logging.getLogger("matplotlib.font_manager").addFilter(_is_about_another_font)
    with mpl.rc_context(fname=templates_folder() / "report.mplstyle"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        yield
