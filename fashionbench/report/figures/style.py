"""The style of the figures: colours, markers and fonts."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

import matplotlib as mpl
from matplotlib import font_manager

from fashionbench.catalogue import CATALOGUE

__all__ = [
    "HALF",
    "INK",
    "LINE",
    "MARKS",
    "MODEL_COLOURS",
    "MUTED",
    "PAPER",
    "TONES",
    "VARIABLES",
    "WIDE",
    "ModelStyle",
    "make_styles",
    "page_style",
    "shorten",
    "templates_folder",
]

WIDE: Final = 736

HALF: Final = 356
"""Widths in CSS pixels: the page's column, and half of it less the gap. One unit of an SVG is one pixel."""

INK, MUTED, LINE, PAPER = "#1c1f23", "#5b6470", "#e3e6ea", "#ffffff"

MODEL_COLOURS: Final = ("#0b6e99", "#bd4e0a", "#7b4fa6", "#3f7d3a", "#b03a6b", "#6b5b1e")

HATCHES: Final = ("", "////", "\\\\\\\\", "....", "xxxx", "----")

TONES: Final = MappingProxyType({"yes": "#1f6b3a", "no": "#9b2c2c", "unsure": "#7a5b00"})

VARIABLES: Final = MappingProxyType(
    {INK: "--ink", MUTED: "--muted", LINE: "--line", PAPER: "--paper"}
    | {colour: f"--{tone}" for tone, colour in TONES.items()}
    | {colour: f"--model{number}" for number, colour in enumerate(MODEL_COLOURS)}
)
"""The colours of paper, and the CSS variables that stand for them on a screen."""

MARKS: Final = MappingProxyType(
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
"""matplotlib's markers in the order of use, and their like as SVG paths in a 10 by 10 box, for marks beside names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStyle:
    """How a model is drawn everywhere: colour and shape, so that either alone tells it."""

    name: str
    place: int
    """Number of its colour among the page's variables."""
    colour: str
    marker: str
    hatch: str


def make_styles(names: Mapping[str, str]) -> dict[str, ModelStyle]:
    """Return a style for each model of ``names`` (model to its shown name), in the order given."""
    own = {model: named.appearance for model, named in CATALOGUE.items() if named.appearance is not None}
    free = iter(place for place in range(len(names) + len(own)) if place not in own.values())
    places = {model: own[model] if model in own else next(free) for model in names}
    return {
        model: ModelStyle(
            name=names[model],
            place=place % len(MODEL_COLOURS),
            colour=MODEL_COLOURS[place % len(MODEL_COLOURS)],
            marker=tuple(MARKS)[place % len(MARKS)],
            hatch=HATCHES[place % len(HATCHES)],
        )
        for model, place in places.items()
    }


def templates_folder() -> Path:
    """Return the folder of templates and fonts: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).parents[2]
    return next(folder for folder in (package / "templates", package.parent / "templates") if folder.is_dir())


def shorten(name: str, length: int = 26) -> str:
    """Return a name cut to ``length`` characters for a figure; tables show it whole."""
    return name if len(name) <= length else f"{name[: length - 1].rstrip()}…"


@cache
def _register_fonts() -> None:
    for font in sorted((templates_folder() / "fonts").glob("*.ttf")):
        font_manager.fontManager.addfont(font)


@contextmanager
def page_style() -> Iterator[None]:
    """Give every figure drawn inside the page's type, colours and lines."""
    _register_fonts()
    with mpl.rc_context(fname=templates_folder() / "report.mplstyle"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        yield
