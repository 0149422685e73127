"""The rows of a table, CSV or Parquet, with the numbers that they have in their file."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from fashionbench.data.arrays import NUMBER, check_memory
from fashionbench.data.own.halves import Half
from fashionbench.data.own.tables.columns import NoLabelError, find_label, is_header
from fashionbench.data.own.tables.content import PARQUET, Content
from fashionbench.data.own.tables.packed import MOST_PACKED, find_halves, is_packed, unpack
from fashionbench.errors import InputError, SetupError

__all__ = ["Rows", "lacks_labels", "read_numbers", "read_rows", "split_rows"]

SEPARATORS: Final = ";\t|,"
"""Of equally many columns the first counts: a comma may stand in numbers."""

WHITESPACE: Final = r"\s+"
"""For pandas, where none of these separates the cells."""

MAX_COLUMNS: Final = 300_000
"""pandas takes some 50 microseconds for each; 512 x 512 pixels, or 316 x 316 in colour."""

MAX_LINE_BYTES: Final = 32 * MAX_COLUMNS

SAMPLE_BYTES: Final = 64 * 1024

SAMPLE_ROWS: Final = 100
"""The first that are not empty tell the form."""

MESSAGE_CHARACTERS: Final = 200

NUMBER_BYTES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A table as it was read."""

    where: str
    """Its path, for messages."""
    names: tuple[str, ...] | None
    """Of its columns; None: there is no header row."""
    frame: pd.DataFrame
    """Its columns are numbered from 0; those of ``candidates`` are texts."""
    first_row: int
    """The number of its first row in the file, from 1."""
    candidates: tuple[int, ...]
    """The columns that may be the label."""

    def row(self, place: int) -> str:
        """Name a row, for messages."""
        return f"{self.where}, row {int(self.frame.index[place]) + self.first_row}"

    def cell(self, place: int, column: int) -> str:
        """Name a cell, for messages."""
        return f"{self.row(place)}, column {repr(self.names[column][:40]) if self.names else column + 1}"


def lacks_labels(content: Content, train: Content, label: str | None) -> bool:
    """Return whether a table has one column fewer than that of the training images, or a header row without a label.

    Raises:
        InputError: It is no table.

    """
    width, names = _read_names(content, label)
    if width == _read_names(train, label)[0] - 1:
        return True
    try:
        find_label(content[0], names, width, label)
    except NoLabelError:
        return True
    return False


def read_rows(content: Content, label: str | None) -> Rows:
    """Read a table.

    Args:
        content: Its path and its bytes.
        label: The name or the number of the label's column, if it is known.

    Raises:
        InputError: Its rows have unlike numbers of cells, or no column can be the label.
        SetupError: The library that reads Parquet is missing.

    """
    where, text = content
    if text.startswith(PARQUET):
        return _read_parquet(where, text, label)
    width, names = _read_names(content, label)
    blank = len(text) - len(text.lstrip(b"\r\n"))
    parse = partial(_parse, where, text[blank:], _read_first(where, text)[1], skip=0 if names is None else 1)
    packed = width <= MOST_PACKED and is_packed(parse(None))
    frame = parse(range(width) if packed else find_label(where, names, width, label))
    if frame.shape[1] == width + 1 and frame.iloc[:, -1].isna().all():  # a separator at the end of each row
        frame = frame.iloc[:, :-1]
    if frame.shape[1] != width:
        raise InputError(
            f"{where} has {width:,} cells in its first row and {frame.shape[1]:,} in the next",
            expected="rows with the same number of cells",
            remedy="correct the file",
        )
    first_row = text[:blank].count(b"\n") + (1 if names is None else 2)
    if packed:
        names, frame = unpack(names, frame, lambda cells: _parse(where, cells, WHITESPACE, (), skip=0))
    candidates = find_label(where, names, frame.shape[1], label)
    return Rows(where=where, names=names, frame=frame, first_row=first_row, candidates=candidates)


def split_rows(rows: Rows) -> dict[Half, Rows]:
    """Return the rows of each half, where a column says it; all are for training where none does.

    Raises:
        InputError: That column says something else.

    """
    halves = find_halves(rows.where, rows.names, rows.frame, rows.candidates)
    if halves is None:
        return {"train": rows}
    order: tuple[Half, ...] = ("train", "validation", "test")
    return {half: replace(rows, frame=rows.frame[halves == half]) for half in order if (halves == half).any()}


def read_numbers(rows: Rows, columns: Sequence[int]) -> NDArray[Any]:
    """Return some columns as numbers (N, columns).

    Raises:
        InputError: A cell is empty or is no number.

    """
    pixels = rows.frame[[*columns]]
    kinds = pixels.dtypes
    words = [column for column in pixels.columns if not is_numeric_dtype(kinds[column]) or is_bool_dtype(kinds[column])]
    pixels = pixels.copy() if words else pixels
    for column in words:
        numbers = pd.to_numeric(pixels[column].astype(str), errors="coerce")
        _refuse_cell(pixels[column], numbers.isna().to_numpy(), rows.cell)
        pixels[column] = numbers
    values = pixels.to_numpy()
    if values.dtype.kind == "f":
        empty = np.isnan(values)
        for column in [pixels.columns[int(np.argmax(empty.any(axis=0)))]] if empty.any() else []:
            _refuse_cell(pixels[column], pixels[column].isna().to_numpy(), rows.cell)
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


def _read_names(content: Content, label: str | None) -> tuple[int, tuple[str, ...] | None]:
    """Return the number of a table's columns, and their names; None: there is no header row."""
    where, text = content
    if text.startswith(PARQUET):
        names = tuple(map(str, _open_parquet(where, text).schema_arrow.names))
        return len(names), names
    cells, _ = _read_first(where, text)
    is_named = label in cells and not NUMBER.fullmatch(label)
    return len(cells), tuple(cells) if is_named or is_header(cells) else None


def _read_first(where: str, text: bytes) -> tuple[list[str], str]:
    """Return the cells of a CSV's first row, and the separator."""
    _check_lines(where, text)
    line = io.BytesIO(text.lstrip(b"\r\n")).readline().rstrip(b"\n").partition(b"\r")[0].decode(errors="replace")
    separator = max(SEPARATORS, key=line.count)
    if separator not in line and len(line.split()) > 1:
        return line.split()[: MAX_COLUMNS + 1], WHITESPACE
    try:
        (cells,) = csv.reader([line], delimiter=separator) if line.count(separator) < MAX_COLUMNS else ([],)
    except (csv.Error, ValueError) as error:  # a quote that is not closed, an endless cell, or no line at all
        raise InputError(
            f"{where} begins with {line[:40]!r}",
            expected="cells between commas, semicolons, tabs or bars",
            remedy="correct the first line",
        ) from error
    if not 1 < len(cells) <= MAX_COLUMNS:
        raise InputError(
            f"{where} has {len(cells) or line.count(separator) + bool(line):,} columns",
            expected=f"2 to {MAX_COLUMNS:,}, separated by commas, semicolons, tabs or bars",
            remedy="check the separator",
        )
    cells = [cell.strip() for cell in cells]
    return (cells if cells[-1] else cells[:-1]), separator


def _check_lines(where: str, text: bytes) -> None:
    """Refuse a line that is longer than any table's, before it is divided into cells."""
    start = 0
    while len(text) - start > MAX_LINE_BYTES:
        end = max(text.rfind(each, start, start + MAX_LINE_BYTES) for each in (b"\n", b"\r"))
        if end < 0:
            raise InputError(
                f"{where} has a line of over {MAX_LINE_BYTES:,} bytes",
                expected=f"at most {MAX_COLUMNS:,} columns",
                remedy="check the file",
            )
        start = end + 1


def _parse(where: str, text: bytes, separator: str, texts: Sequence[int] | None, *, skip: int) -> pd.DataFrame:
    """Return the cells of a CSV, those of some columns as texts; None: of the first rows only, and all as texts."""
    try:
        table = pd.read_csv(
            io.BytesIO(text),
            sep=separator,
            header=None,
            skiprows=skip,
            nrows=SAMPLE_ROWS if texts is None else None,
            dtype=str if texts is None else dict.fromkeys(texts, str),
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
            f"{where}: {'no rows' if is_empty else str(error).partition(chr(10))[0][:MESSAGE_CHARACTERS]}",
            expected="rows with the same number of cells, in UTF-8",
            remedy="correct the file",
        ) from error
    empty = table.iloc[:, 0].isna()
    if empty.any():  # dropna on all cells takes as long as reading them
        empty &= table[empty].isna().all(axis=1).reindex(table.index, fill_value=False)
        table = table[~empty]
    return table


def _open_parquet(where: str, content: bytes) -> Any:  # noqa: ANN401 - pyarrow ships no types
    try:
        from pyarrow import ArrowException, parquet  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise SetupError(
            f"{where} is a Parquet file, which pyarrow reads, and that is not installed",
            expected="pyarrow in this environment",
            remedy="run: python -m pip install pyarrow",
        ) from error
    try:
        file = parquet.ParquetFile(io.BytesIO(content))
    except (ArrowException, OSError, ValueError) as error:
        raise InputError(
            f"{where} cannot be read ({str(error).partition(chr(10))[0][:MESSAGE_CHARACTERS]})",
            expected="a Parquet file with a column for the label and one for each pixel",
            remedy="write it again",
        ) from error
    check_memory(where, file.metadata.num_rows * file.metadata.num_columns * NUMBER_BYTES, len(content))
    return file


def _read_parquet(where: str, content: bytes, label: str | None) -> Rows:
    frame = _open_parquet(where, content).read().to_pandas().reset_index(drop=True)
    names = tuple(map(str, frame.columns))
    frame = frame.set_axis(range(len(names)), axis=1)
    candidates = find_label(where, names, len(names), label)
    frame = frame.astype(dict.fromkeys(candidates, str))
    return Rows(where=where, names=names, frame=frame, first_row=1, candidates=candidates)
