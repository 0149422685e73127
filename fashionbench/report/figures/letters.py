"""Which letters no font of this machine has: where they stand, a PDF that is made here shows boxes."""

import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

from fontTools.ttLib import TTFont, TTLibError
from matplotlib import font_manager

from fashionbench.report.figures.style import templates_folder

__all__ = ["find_missing_letters"]

VISIBLE: Final = "LNS"
"""Categories of Unicode: letters, numbers and symbols such as emoji; marks are in the fonts of their letters."""


def find_missing_letters(texts: Iterable[str]) -> str:
    """Return the letters that only other machines can show, each once."""
    letters = {each for text in texts for each in text if unicodedata.category(each)[0] in VISIBLE}
    missing = {ord(letter) for letter in letters if not letter.isascii()}
    for path in (*(templates_folder() / "fonts").glob("*.ttf"), *sorted(map(Path, font_manager.findSystemFonts()))):
        if not missing:
            break
        missing -= _covered(path)
    return "".join(map(chr, sorted(missing)))


@cache
def _covered(path: Path) -> frozenset[int]:
    """Return the letters of a font; none of a file that is no font."""
    try:
        with path.open("rb") as stream, TTFont(stream, fontNumber=0, lazy=True) as font:
            return frozenset(font.getBestCmap() or ())
    except (TTLibError, OSError):
        return frozenset()
