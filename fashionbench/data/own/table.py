"""Read the user's images from a CSV file: a row for each image, with its label and its pixels."""

import codecs
import csv
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import pandas as pd
import psutil
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from fashionbench.data.arrays import (
    MOST_CLASSES,
    NUMBER,
    channels_first,
    draw_test_images,
    make_dataset,
    name_labels,
    scale_pixels,
)
from fashionbench.data.dataset import Dataset
from fashionbench.data.own.columns import (
    Columns,
    LabelLikeness,
    arrange_columns,
    choose_label,
    find_label,
    is_header,
)
from fashionbench.data.readers import open_regular
from fashionbench.errors import InputError

__all__ = ["SUFFIXES", "load_csv"]

SUFFIXES: Final = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".zip")
"""How the name of a table ends, in lower case."""

SEPARATORS: Final = ";\t|,"
"""Of equally many columns the first counts: a comma may stand in numbers."""

MEMORY_SHARE: Final = 1 / 16
"""Of this machine's memory for a file's text; a number of two or three letters takes eight bytes in the table."""

MAX_COLUMNS: Final = 1_000_000

CLEARLY_SMOOTHER: Final = 0.85

SAMPLE_IMAGES: Final = 200

SAMPLE_BYTES: Final = 64 * 1024

MESSAGE_CHARACTERS: Final = 200


def load_csv(path: Path, announce: Callable[[str], None]) -> Dataset:
    """Read a CSV whose rows are a label and the pixels of a square image; it may be gzipped or zipped.

    The separator is a comma, a semicolon, a tab or a bar. There may be a header row; the label is then the column with
    the name label, class, target or y, and the pixels are in the order of their numbers. A fifth of each class is drawn
    for the test.

    Args:
        path: The file.
        announce: Called with a line about what was read in a way that the user should know.

    Raises:
        InputError: The rows have another form, or a value is no label or no pixel.

    """
    content = _read_content(path)
    text = content.lstrip(b"\r\n")
    first = io.BytesIO(text).readline().rstrip(b"\n").partition(b"\r")[0].decode(errors="replace")
    separator = max(SEPARATORS, key=first.count)
    cells = [cell.strip() for cell in _split(path, first, separator)]
    names = cells if is_header(cells) else None
    candidates = find_label(str(path), names, len(cells))
    table = _parse(path, text, separator, candidates, skip=0 if names is None else 1)
    if table.shape[1] != len(cells):
        raise InputError(
            f"{path} has {len(cells):,} cells in its first row and {table.shape[1]:,} in the next",
            expected="rows with the same number of cells",
            remedy="correct the file",
        )
    first_row = content[: len(content) - len(text)].count(b"\n") + (1 if names is None else 2)
    rows = [*(table.index + first_row)]
    label = choose_label(str(path), candidates, lambda place: _likeness(table[place]))
    columns = arrange_columns(str(path), names, len(cells), label)

    def where(row: int, column: int) -> str:
        return f"{path}, row {rows[row]}, column {repr(names[column][:40]) if names else column + 1}"

    labels = name_labels(table[label].fillna("").tolist(), lambda row: f"{path}, row {rows[row]},")
    (pixels,) = scale_pixels(
        [_read_numbers(table[[*columns.pixels]], where)],
        lambda _, index: where(index[0], columns.pixels[index[1]]),
    )
    images = _shape(path, pixels, columns)
    if said := _describe(columns, names):
        announce(f"{path.name}: {said}")
    return make_dataset(path.name.partition(".")[0], "a CSV file", None, *draw_test_images(images, labels))


def _read_content(path: Path) -> bytes:
    """Return a file's text as UTF-8 without a byte-order mark, decompressed."""
    limit = int(MEMORY_SHARE * psutil.virtual_memory().total)
    try:
        with open_regular(path) as stream:
            beginning = stream.read(2)
            stream.seek(0)
            if beginning == b"\x1f\x8b":
                with gzip.GzipFile(fileobj=stream) as packed:
                    content = packed.read(limit + 1)
            elif beginning == b"PK":
                content = _read_zipped(path, stream, limit)
            else:
                content = stream.read(limit + 1)
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            content = content.decode("utf-16").encode()
    except (OSError, EOFError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} cannot be read ({getattr(error, 'strerror', None) or str(error)[:MESSAGE_CHARACTERS]})",
            expected="a readable CSV file, plain, gzipped or zipped",
            remedy="check the file",
        ) from error
    if len(content) > limit:
        raise InputError(
            f"{path} contains over {limit / 1e9:,.1f} GB of text",
            expected="at most that, 1/16 of this machine's memory",
            remedy="write the images to an .npz or a folder",
        )
    return content.removeprefix(codecs.BOM_UTF8)


def _read_zipped(path: Path, stream: BinaryIO, limit: int) -> bytes:
    with zipfile.ZipFile(stream) as archive:
        found = [
            name
            for name in archive.namelist()
            if name.lower().endswith((".csv", ".tsv")) and not name.startswith("__MACOSX/")
        ]
        if len(found) != 1:
            raise InputError(
                f"{path} contains {len(found)} CSV files",
                expected="one",
                remedy="unpack it, and give the path of one of its files",
            )
        with archive.open(found[0]) as member:
            return member.read(limit + 1)


def _split(path: Path, line: str, separator: str) -> list[str]:
    try:
        (cells,) = csv.reader([line], delimiter=separator)
    except (csv.Error, ValueError) as error:  # a quote that is not closed, an endless cell, or no line at all
        raise InputError(
            f"{path} begins with {line[:40]!r}",
            expected="cells between commas, semicolons, tabs or bars",
            remedy="correct the first line",
        ) from error
    if not 1 < len(cells) <= MAX_COLUMNS:
        raise InputError(
            f"{path} has {len(cells):,} columns",
            expected=f"2 to {MAX_COLUMNS:,}, separated by commas, semicolons, tabs or bars",
            remedy="check the separator",
        )
    return cells


def _parse(path: Path, text: bytes, separator: str, texts: Sequence[int], *, skip: int) -> pd.DataFrame:
    try:
        table = pd.read_csv(
            io.BytesIO(text),
            sep=separator,
            header=None,
            skiprows=skip,
            dtype=dict.fromkeys(texts, str),
            keep_default_na=False,
            na_values=[""],
            skip_blank_lines=False,  # so that rows keep their numbers
            skipinitialspace=True,
            decimal="," if separator != "," and re.search(rb"\d,\d", text[:SAMPLE_BYTES]) else ".",
            low_memory=False,
        )
    except (ValueError, OverflowError) as error:
        is_empty = isinstance(error, pd.errors.EmptyDataError)
        raise InputError(
            f"{path}: {'no rows' if is_empty else str(error).partition(chr(10))[0][:MESSAGE_CHARACTERS]}",
            expected="rows with the same number of cells, in UTF-8",
            remedy="correct the file",
        ) from error
    return table.dropna(how="all")


def _likeness(column: "pd.Series[Any]") -> LabelLikeness:
    """Return whether a column looks like labels: a few integers or names, and more than one."""
    values = column.dropna().unique().tolist()
    numbers = [value for value in values if NUMBER.fullmatch(value)]
    if not 1 < len(values) <= MOST_CLASSES or any(not float(number).is_integer() for number in numbers):
        return "no"
    ordered = sorted(int(float(number)) for number in numbers)
    counts = ordered in ([*range(len(ordered))], [*range(1, len(ordered) + 1)])
    return "yes" if len(numbers) < len(values) or counts else "maybe"


def _read_numbers(pixels: pd.DataFrame, where: Callable[[int, int], str]) -> NDArray[Any]:
    """Return the pixels as numbers (N, columns); ``where`` names a cell by its index among the rows and its column."""
    kinds = pixels.dtypes
    words = [column for column in pixels.columns if not is_numeric_dtype(kinds[column]) or is_bool_dtype(kinds[column])]
    pixels = pixels.copy() if words else pixels
    for column in words:
        numbers = pd.to_numeric(pixels[column].astype(str), errors="coerce")
        _refuse_cell(pixels[column], numbers.isna().to_numpy(), where)
        pixels[column] = numbers
    values = pixels.to_numpy()
    if values.dtype.kind == "f":
        empty = np.isnan(values)
        for column in [pixels.columns[int(np.argmax(empty.any(axis=0)))]] if empty.any() else []:
            _refuse_cell(pixels[column], pixels[column].isna().to_numpy(), where)
    return values


def _refuse_cell(cells: "pd.Series[Any]", wrong: NDArray[np.bool_], where: Callable[[int, int], str]) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        found = str(cells.iloc[row])
        raise InputError(
            f"{where(row, int(str(cells.name)))} is {'empty' if found == 'nan' else repr(found[:40])}",
            expected="a number in each column of pixels",
            remedy="correct the file",
        )


def _shape(path: Path, pixels: NDArray[np.uint8], columns: Columns) -> NDArray[np.uint8]:
    """Return images (N, channels, side, side)."""
    side, channels = columns.side, columns.channels
    images = pixels.reshape(-1, side, side, channels)
    planes = pixels.reshape(-1, channels, side, side).transpose(0, 2, 3, 1)
    if channels > 1 and not columns.are_channels_named and _roughness(planes) < CLEARLY_SMOOTHER * _roughness(images):
        raise InputError(
            f"{path} seems to have all red pixels of an image first, then all green and all blue ones",
            expected="red, green and blue of a pixel next to each other, where the names of the columns do not say it",
            remedy="name the columns r0, r1 ... g0, g1 ... b0, b1 ...",
        )
    return channels_first(images)


def _roughness(images: NDArray[np.uint8]) -> float:
    """Return how much a pixel of (N, H, W, channels) differs from the one below it."""
    return float(np.abs(np.diff(images[:SAMPLE_IMAGES].astype(np.int16), axis=1)).mean())


def _describe(columns: Columns, names: Sequence[str] | None) -> str:
    """Say in which way a table was read where another way is possible; else nothing."""
    said = []
    if names is None:
        said.append(f"no header row; the {'last' if columns.label else 'first'} column is the label")
    if columns.passed_over:
        said.append(f"column {', '.join(map(repr, columns.passed_over))} not used")
    if columns.channels > 1:
        order = "by the names of the columns" if columns.are_channels_named else "next to each other for each pixel"
        said.append(f"{columns.side} x {columns.side} pixels in colour, red, green and blue {order}")
    return "; ".join(said)
