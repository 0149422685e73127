"""Columns that are no single pixel: one with all pixels of an image in each cell, and one that says the half."""

import re
from collections.abc import Callable
from types import MappingProxyType
from typing import Final

import pandas as pd

from fashionbench.data.own.halves import Half, find_half
from fashionbench.errors import InputError

__all__ = ["MOST_PACKED", "SPLIT_NAMES", "find_halves", "is_packed", "unpack"]

MOST_PACKED: Final = 8
"""A table with all pixels of an image in one cell has few columns."""

BARE: Final = 2
"""Columns of a table of labels and images alone."""

PACKED: Final = re.compile(r"\s*\d+(?:\.\d*)?(?:\s+\d+(?:\.\d*)?){3,}\s*")

BLANKS: Final = str.maketrans("[],;\n\r", "      ")
"""What may stand between the numbers of a list, next to spaces."""

SPLIT_NAMES: Final = frozenset({"split", "usage", "subset"})
"""Columns that say the half of each image, in lower case."""

COMPETITION: Final = MappingProxyType[str, Half]({"publictest": "validation", "privatetest": "test"})
"""How Kaggle calls the halves of its competitions, as in FER2013."""


def is_packed(frame: pd.DataFrame) -> bool:
    """Return whether a cell of a table's first row has all pixels of an image."""
    return any(_are_pixels(cell) for cell in frame.iloc[0]) if len(frame) else False


def _are_pixels(cell: object) -> bool:
    return PACKED.fullmatch(str(cell).translate(BLANKS)) is not None


def unpack(
    names: tuple[str, ...] | None, frame: pd.DataFrame, parse: Callable[[bytes], pd.DataFrame]
) -> tuple[tuple[str, ...] | None, pd.DataFrame]:
    """Return a table with a column for each pixel, where a column has all pixels of an image in each cell.

    Args:
        names: Of its columns; None: there is no header row.
        frame: Its cells as texts.
        parse: Reads a table whose cells stand between spaces.

    """
    for place in range(frame.shape[1]):
        if _are_pixels(frame[place].iloc[0]):
            cells = [str(cell).translate(BLANKS) for cell in frame[place].fillna("")]
            pixels = parse("\n".join(cells).encode())
            pixels.index = frame.index[pixels.index]
            before, after = frame.iloc[:, :place], frame.iloc[:, place + 1 :]
            spread = pd.concat([before, pixels, after], axis=1)
            if names is None and frame.shape[1] == BARE:
                names = "label", "label"
            if names is not None:
                names = (*names[:place], *(f"pixel{number}" for number in range(pixels.shape[1])), *names[place + 1 :])
            return names, spread.set_axis(range(spread.shape[1]), axis=1)
    return names, frame


def find_halves(
    where: str, names: tuple[str, ...] | None, frame: pd.DataFrame, label: tuple[int, ...]
) -> "pd.Series[str] | None":
    """Return the half of each row, as a column such as ``split`` or ``Usage`` says; None where there is none.

    Raises:
        InputError: It says something else, or that no row is for training.

    """
    places = [place for place, name in enumerate(names or ()) if name.lower() in SPLIT_NAMES and place not in label]
    if names is None or len(places) != 1:
        return None
    values = frame[places[0]].fillna("").astype(str).str.strip()
    halves = {value: COMPETITION.get(value.lower()) or find_half(value)[0] for value in values.unique().tolist()}
    unknown = [value for value, half in halves.items() if half is None]
    if unknown or "train" not in halves.values():
        raise InputError(
            f"{where}: column {names[places[0]][:40]!r} has {repr(unknown[0][:40]) if unknown else 'no training rows'}",
            expected="train, validation or test for each image, train for some",
            remedy="correct the column, or remove it",
        )
    return values.map(halves)
