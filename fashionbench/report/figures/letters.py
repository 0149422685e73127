"""Which fonts of this machine have the letters of a text, and which letters none has: a PDF shows boxes for these."""

import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

from fontTools.ttLib import TTFont, TTLibError
from matplotlib import font_manager

from fashionbench.report.figures.style import templates_folder

__all__ = ["find_font", "find_missing_letters"]

VISIBLE: Final = "LNS"
"""Categories of Unicode: letters, numbers and symbols such as emoji; marks are in the fonts of their letters."""


def find_missing_letters(texts: Iterable[str]) -> str:
    """Return the letters that only other machines can show, each once."""
    missing = {ord(letter) for text in texts for letter in _visible(text) if not letter.isascii()}
    for path in _fonts() if missing else ():
        missing -= _covered(path)
        if not missing:
            break
    return "".join(map(chr, sorted(missing)))


def find_font(text: str) -> Path:
    """Return the first font with all letters of a text; where none has all, the font of the page."""
    first, *others = _fonts()
    letters = {ord(letter) for letter in _visible(text)}
    return next((path for path in (first, *others) if letters <= _covered(path)), first)


def _visible(text: str) -> Iterator[str]:
    return (letter for letter in text if unicodedata.category(letter)[0] in VISIBLE)


def _fonts() -> list[Path]:
    """Return the fonts of the page, then those of this machine."""
    own = sorted((templates_folder() / "fonts").glob("*.ttf"))
    return [*own, *sorted(map(Path, font_manager.findSystemFonts()))]


@cache
def _covered(path: Path) -> frozenset[int]:
    """Return the letters of a font; none of a file that is no font."""
    try:
        with path.open("rb") as stream, TTFont(stream, fontNumber=0, lazy=True) as font:
            return frozenset(font.getBestCmap() or ())
    except (TTLibError, OSError):
        return frozenset()
