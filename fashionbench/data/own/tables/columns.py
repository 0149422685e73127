"""Which column of a table is the label, and which are the pixels of an image, in order."""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from fashionbench.data.arrays import CHANNELS, MISSING, NUMBER
from fashionbench.data.own.tables.packed import SPLIT_NAMES
from fashionbench.errors import InputError

__all__ = [
    "LABEL_NAMES",
    "Columns",
    "LabelLikeness",
    "NoLabelError",
    "arrange_columns",
    "choose_label",
    "find_label",
    "is_header",
]

LABEL_NAMES: Final = frozenset({"label", "labels", "class", "target", "y"})

INDEX_NAMES: Final = frozenset({"", "index", "id", "idx", "unnamed: 0", "imageid", "image_id", "rowid", "row_id"})
"""Columns that number the rows; pandas writes one without a name."""

NAMES_SHOWN: Final = 5

MOST_COLUMNS_OF_A_LIST: Final = 8
"""A table of files and their labels has so few columns."""

TIMES_OTHERS: Final = 4
"""A table of images has at least so many columns for each that says something else of the image."""

FEWEST_COUNTED: Final = 10
"""So many numbers that count 0, 1, 2 ... in the first row are a header: pandas writes it for columns without names."""

CHANNEL: Final = re.compile(r"(?:^|(?<=[^a-z]))(r|g|b|red|green|blue)(?=[^a-z]|$)")

COLUMN_FIRST: Final = re.compile(r"(?<![a-z])(?:x|c|cols?|columns?)[^a-z#]*#[^a-z#]*(?:y|r|rows?)[^a-z#]*#")
"""Names such as ``x3_y0``, by which the column of a pixel comes before its row."""

LETTERS: Final = {"r": "0 red", "g": "1 green", "b": "2 blue"}
"""By which the channels of a pixel are sorted."""

LabelLikeness = Literal["yes", "maybe", "no"]


class NoLabelError(InputError):
    """No column of a table can be its label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The places of the columns that matter."""

    label: int
    pixels: tuple[int, ...]
    """Row by row, and the red, green and blue of a pixel next to each other."""
    height: int
    width: int
    channels: int
    are_channels_named: bool
    """Whether names say which column is red, green or blue; else their order does."""
    passed_over: tuple[str, ...]
    """The names of columns that number the rows, or say something else of the images."""


def is_header(cells: Sequence[str]) -> bool:
    """Return whether a table's first row names the columns; a row of numbers does not, unless they count them."""
    words = {cell.strip().lower() for cell in cells}
    numbers = [cell for cell in cells if NUMBER.fullmatch(cell.replace(",", "."))]
    names = {word for word in words if not NUMBER.fullmatch(word.replace(",", "."))} - MISSING
    if names & (LABEL_NAMES - {"y"}):  # "y" may be a class, as in "y" and "n"
        return True
    if not numbers:
        return bool(names)
    counts = all(number.strip().isdecimal() for number in numbers) and sorted(map(int, numbers)) in (
        [*range(len(numbers))],
        [*range(1, len(numbers) + 1)],
    )
    return counts and (len(numbers) >= FEWEST_COUNTED or bool(names & LABEL_NAMES))


def find_label(where: str, names: Sequence[str] | None, width: int, wanted: str | None = None) -> tuple[int, ...]:
    """Return the place of the label's column, or the places of the two columns that may be it: the first and the last.

    Args:
        where: The file, for messages.
        names: What the header calls the columns; None: there is no header.
        width: The number of columns.
        wanted: The name of the label's column, or its number from 1; None: it is not known.

    Raises:
        InputError: The header names no label, or several.

    """
    if wanted is not None:
        return (_find_wanted(where, names, width, wanted),)
    if names is None:
        return (0, width - 1)
    lower = [name.lower() for name in names]
    named = [place for place, name in enumerate(lower) if name in LABEL_NAMES]
    if len(named) == 1:
        return (named[0],)
    rest = [place for place, name in enumerate(lower) if name not in INDEX_NAMES | SPLIT_NAMES]
    if not named and rest and all(name.isdecimal() for name in (lower[place] for place in rest)):
        return (rest[0], rest[-1])
    wordy = [place for place in rest if not re.search(r"\d", lower[place])]
    if not named and len(wordy) == 1:
        return (wordy[0],)
    found = " and ".join(repr(names[place][:40]) for place in (named or wordy)[:NAMES_SHOWN])
    raise (InputError if named else NoLabelError)(
        f"{where}: {f'columns {found}' if found else f'no column among {width:,}'} could be the label",
        expected=f"one column with the name {', '.join(sorted(LABEL_NAMES - {'labels'}))}",
        remedy="give the name of the column with --label-column; a table without labels cannot be used",
    )


def _find_wanted(where: str, names: Sequence[str] | None, width: int, wanted: str) -> int:
    """Return the place of the column that the user named."""
    found = [place for place, name in enumerate(names or ()) if name == wanted]
    found = found or [place for place, name in enumerate(names or ()) if name.lower() == wanted.lower()]
    if not found and wanted.isascii() and wanted.isdecimal() and 1 <= int(wanted[:9]) <= width:
        found = [int(wanted) - 1]
    if len(found) != 1:
        raise NoLabelError(
            f"{where} has {len(found) or 'no'} columns with the name {wanted[:40]!r}",
            expected=f"one of its {width:,} columns" + (f", such as {', '.join(names[:3])[:80]}" if names else ""),
            remedy="give --label-column its name, or its number from 1",
        )
    return found[0]


def choose_label(where: str, candidates: tuple[int, ...], is_label: Callable[[int], LabelLikeness]) -> int:
    """Return which of two columns without a telling name is the label.

    Raises:
        InputError: Both could be it, or none.

    """
    first, last = candidates[0], candidates[-1]
    if first == last:
        return first
    match is_label(first), is_label(last):
        case ("yes", "maybe" | "no") | ("maybe", "no"):
            return first
        case "no", "yes" | "maybe":
            return last
        case likeness, _:
            which = (
                "neither its first column nor its last" if likeness == "no" else "both its first column and its last"
            )
            raise InputError(
                f"{where} has no header that names the label, and {which} could be it",
                expected="a header row with a column of the name label",
                remedy="give the number of its column with --label-column, such as 1",
            )


def arrange_columns(
    where: str, names: Sequence[str] | None, width: int, label: int, size: tuple[int, int] | None = None
) -> Columns:
    """Return the places of a table's columns.

    Pixels are in the order of the numbers in their names. Three channels are told from one by their count; their
    names say which is which (``r0``, ``pixel0_g``), or else red, green and blue of a pixel stand next to each other.

    Args:
        where: The file, for messages.
        names: What the header calls the columns; None: there is no header.
        width: The number of columns.
        label: The place of the label's column.
        size: Height and width of images that are not square.

    Raises:
        InputError: A column is neither the label nor a pixel, or the pixels are not those of a square image.

    """
    shown = names if names is not None else [str(place) for place in range(width)]
    is_index = [names is not None and name.lower() in INDEX_NAMES | SPLIT_NAMES for name in shown]
    others = _find_others(shown, label)
    places = [place for place in range(width) if place != label and not is_index[place] and place not in others]
    keys = _order(where, {place: shown[place].lower() for place in places})
    pixels = tuple(sorted(places, key=keys.__getitem__))
    are_channels_named = any(key[1] for key in keys.values())
    channels = 3 if are_channels_named or math.isqrt(len(pixels)) ** 2 != len(pixels) else 1
    height = breadth = math.isqrt(len(pixels) // channels)
    if height * breadth * channels != len(pixels) and size is not None:
        height, breadth = size
        channels = len(pixels) // (height * breadth)
    if not pixels or height * breadth * channels != len(pixels) or channels not in CHANNELS:
        raise InputError(
            f"{where} has {len(pixels):,} columns of pixels in {width:,} columns"
            + (f" ({', '.join(repr(shown[place][:40]) for place in sorted(others))} not used)" if others else ""),
            expected="a column for the label, and the pixels of a square image, in one channel or in three",
            remedy="give a table of pixels; images in files of their own belong in one folder per class"
            if not pixels
            else "put the labels, which may be in a table of their own, into a column of this one"
            if any(math.isqrt(width // each) ** 2 * each == width for each in CHANNELS)
            else "check the separator and the columns, or give height and width with --image-size, such as 20x30",
        )
    return Columns(
        label=label,
        pixels=pixels,
        height=height,
        width=breadth,
        channels=channels,
        are_channels_named=are_channels_named,
        passed_over=tuple(
            shown[place]
            for place in range(width)
            if place != label and (shown[place].lower() in INDEX_NAMES or place in others)
        ),
    )


def _find_others(names: Sequence[str], label: int) -> frozenset[int]:
    """Return the columns whose names have no number, such as ``age``, next to at least as many numbered pixels."""
    places = [place for place in range(len(names)) if place != label]
    known = INDEX_NAMES | SPLIT_NAMES
    wordy = frozenset(
        place for place in places if not re.search(r"\d", names[place]) and names[place].lower() not in known
    )
    return wordy if len(places) >= TIMES_OTHERS * len(wordy) else frozenset()


def _order(where: str, names: dict[int, str]) -> dict[int, tuple[tuple[int, ...], str]]:
    """Return the numbers in the name of each column of pixels, and the letter of its channel where names have one."""
    shapes = {place: re.sub(r"\d+", "#", name) for place, name in names.items()}
    letters = {place: found[1][0] for place, shape in shapes.items() if (found := CHANNEL.search(shape))}
    if len(letters) == len(names) and {*letters.values()} == {*LETTERS}:
        shapes = {place: CHANNEL.sub("?", shape, count=1) for place, shape in shapes.items()}
    else:
        letters = {}
    usual = Counter(shapes.values()).most_common(1)
    keys: dict[int, tuple[tuple[int, ...], str]] = {}
    for place, name in names.items():
        if shapes[place] != usual[0][0] or "#" not in shapes[place]:
            raise InputError(
                f"{where}: column {name[:40]!r} is neither the label nor a pixel",
                expected="a label and pixels whose names end in their number, such as pixel0, pixel1 and so on",
                remedy="remove or rename the column"
                if len(names) > MOST_COLUMNS_OF_A_LIST
                else "give a table of pixels; images in files of their own belong in one folder per class",
            )
        numbers = tuple(int(number) for number in re.findall(r"\d+", name))
        numbers = numbers[::-1] if COLUMN_FIRST.search(shapes[place]) else numbers
        keys[place] = (numbers, LETTERS[letters[place]] if place in letters else "")
    if len({*keys.values()}) < len(keys):
        twice, _ = Counter(names.values()).most_common(1)[0]
        raise InputError(
            f"{where}: two columns are pixel {twice[:40]!r}",
            expected="a name of its own for each column",
            remedy="rename or remove one of them",
        )
    return keys
