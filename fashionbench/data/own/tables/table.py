"""Read the user's images from a table, CSV or Parquet: a row for each image, with its label and its pixels."""

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from fashionbench.data.arrays import (
    DRAWN,
    MOST_CLASSES,
    NUMBER,
    make_dataset,
    name_labels,
    scale_pixels,
)
from fashionbench.data.dataset import AS_STORED, Dataset, LabelledImages, Reading, draw_test_images
from fashionbench.data.own.flat import describe_order, is_by_planes, shape_images
from fashionbench.data.own.halves import Half
from fashionbench.data.own.tables.columns import (
    LABEL_NAMES,
    Columns,
    LabelLikeness,
    arrange_columns,
    choose_label,
)
from fashionbench.data.own.tables.content import PARQUET, read_tables
from fashionbench.data.own.tables.rows import Rows, lacks_labels, read_numbers, read_rows, split_rows

__all__ = ["load_table"]


EMNIST, EMNIST_SHAPE = "emnist", (1, 28, 28)
"""The name and the images of tables whose rows and columns are exchanged."""


def load_table(path: Path, announce: Callable[[str], None], reading: Reading = AS_STORED) -> Dataset:
    """Read a table whose rows are a label and the pixels of an image; a CSV may be gzipped or zipped.

    The separator is a comma, a semicolon, a tab or a bar. There may be a header row; the label is then the column with
    the name label, class, target or y, and the pixels are in the order of their numbers. The test images are in a table
    of their own, such as ``x_test.csv`` next to ``x_train.csv``, or a fifth of each class is drawn.

    Args:
        path: The file.
        announce: Called with a line about what was found by a rule.
        reading: The column of the label, the table of the test images, and the size of images that are not square.

    Raises:
        InputError: The rows have another form, or a value is no label or no pixel.
        SetupError: The library that reads Parquet is missing.

    """
    said: list[str] = []
    contents = read_tables(path, reading.test)
    train = read_rows(contents["train"], reading.label_column)
    tables = split_rows(train)
    if len(tables) > 1:
        said.append("a column says which images are for training, validation and test")
    for half, content in [*contents.items()][1:]:
        if reading.test is None and lacks_labels(content, contents["train"], reading.label_column):
            said.append(f"{_name(content[0])} is not used: it has no labels")
        else:
            tables[half] = read_rows(content, reading.label_column)
    if "validation" in tables and "test" not in tables:
        tables["test"] = tables.pop("validation")
    said += [f"{_name(rows.where)} has the {half} images" for half, rows in tables.items() if rows.where != train.where]
    halves = _read_images(tables, reading, said.append)
    if "test" not in halves:
        said.append(DRAWN)
        halves["train"], halves["test"] = draw_test_images(*halves["train"])
    for line in said:
        announce(f"{path.name}: {line}")
    name = path.name.partition(".")[0]
    source = "; ".join([f"a {'Parquet' if contents['train'][1].startswith(PARQUET) else 'CSV'} file", *said])
    return make_dataset(name, source, None, halves["train"], halves["test"], halves.get("validation"))


def _name(where: str) -> str:
    """Return the name of a table, without the folder or the archive that contains it."""
    return Path(where.rpartition(": ")[2]).name


def _read_images(
    tables: dict[Half, Rows], reading: Reading, announce: Callable[[str], None]
) -> dict[Half, LabelledImages]:
    """Return the images and labels of each half, and say what was found by a rule."""
    arranged = _arrange(tables, reading)
    train, columns = tables["train"], arranged["train"]
    for line in _describe(columns, train.names):
        announce(line)
    texts = {half: rows.frame[arranged[half].label].fillna("").tolist() for half, rows in tables.items()}
    ends = [0, *accumulate(map(len, texts.values()))]

    def name_row(number: int) -> str:
        part = bisect_right(ends, number) - 1
        return f"{tables[halves[part]].row(number - ends[part])},"

    halves = [*tables]
    labels = name_labels([*chain(*texts.values())], name_row)
    pixels = scale_pixels(
        [read_numbers(tables[half], arranged[half].pixels) for half in halves],
        lambda part, index: tables[halves[part]].cell(index[0], arranged[halves[part]].pixels[index[1]]),
        announce,
    )
    shape = columns.channels, columns.height, columns.width
    by_planes = not columns.are_channels_named and is_by_planes(pixels[0], shape)
    if EMNIST in train.where.lower() and shape == EMNIST_SHAPE:
        announce("EMNIST's own tables have their letters on their side; --dataset emnist turns them upright")
    if columns.channels > 1:
        is_named = columns.are_channels_named
        order = "channels by the names of the columns" if is_named else describe_order(by_planes=by_planes)
        announce(f"{columns.width} x {columns.height} pixels in colour, {order}")
    return {
        half: (shape_images(values, shape, by_planes=by_planes), labels[start:end])
        for half, values, (start, end) in zip(halves, pixels, pairwise(ends), strict=True)
    }


def _arrange(tables: dict[Half, Rows], reading: Reading) -> dict[Half, Columns]:
    """Return the places of the columns of each table; the training table decides for those with the same names."""
    found: dict[Half, Columns] = {}
    for half, rows in tables.items():
        width = rows.frame.shape[1]
        if found and rows.names == tables["train"].names and width == tables["train"].frame.shape[1]:
            found[half] = found["train"]
            continue
        frame = rows.frame
        likeness = {place: _likeness(frame[place]) for place in rows.candidates}
        label = choose_label(rows.where, rows.candidates, likeness.__getitem__)
        found[half] = arrange_columns(rows.where, rows.names, width, label, reading.image_size)
    return found


def _likeness(column: "pd.Series[Any]") -> LabelLikeness:
    """Return whether a column looks like labels: a few integers or names, and more than one."""
    values = column.dropna().unique().tolist()
    numbers = [value for value in values if NUMBER.fullmatch(value)]
    if not 1 < len(values) <= MOST_CLASSES or any(not float(number).is_integer() for number in numbers):
        return "no"
    ordered = sorted(int(float(number)) for number in numbers)
    counts = ordered in ([*range(len(ordered))], [*range(1, len(ordered) + 1)])
    return "yes" if len(numbers) < len(values) or counts else "maybe"


def _describe(columns: Columns, names: tuple[str, ...] | None) -> list[str]:
    """Say in which way a table was read where another way is possible."""
    said = []
    if names is None:
        column = {0: "the first column", len(columns.pixels): "the last column"}.get(columns.label)
        said.append(f"no header row; {column or f'column {columns.label + 1}'} is the label")
    elif names[columns.label].lower() not in LABEL_NAMES:
        said.append(f"column {names[columns.label][:40]!r} is the label")
    if columns.passed_over:
        said.append(f"column {', '.join(map(repr, columns.passed_over))} not used")
    return said
