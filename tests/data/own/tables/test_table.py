"""A CSV gives each row's image and label, whatever its form; or row and column of what is wrong are named."""

import gzip
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tables import LABELS, NAMES, PIXELS, expected, read, refusal, write

from fashionbench.data.arrays import DRAWN, name_labels
from fashionbench.data.own.tables.table import load_table


def test_images_are_square_and_of_one_channel_and_a_fifth_is_for_the_test(tmp_path: Path) -> None:
    found = load_table(write(tmp_path / "own.csv", [LABELS, PIXELS], ["label", *NAMES]), lambda _: None)

    assert (found.name, found.source, found.classes) == ("own", f"a CSV file; {DRAWN}", tuple("0123456789"))
    assert found.train_images.shape == (80, 1, 8, 8)
    assert found.test_images.shape == (20, 1, 8, 8)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "   "])
@pytest.mark.parametrize("names", [["label", *NAMES], ["label", *map(str, range(64))], None])
def test_each_separator_is_read_with_a_header_and_without(
    tmp_path: Path, separator: str, names: list[str] | None
) -> None:
    found, said = read(write(tmp_path / "own.csv", [LABELS, PIXELS], names, separator))

    assert found == expected()
    assert said == ([] if names else ["own.csv: no header row; the first column is the label"])


@pytest.mark.parametrize("end", [".CSV", ".csv.gz", ".csv.zip", ".zip", ".tsv"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_compressed_files_and_byte_order_marks_are_read(tmp_path: Path, end: str, encoding: str) -> None:
    plain = write(tmp_path / "plain.txt", [LABELS, PIXELS], ["label", *NAMES]).read_text().encode(encoding)
    path = tmp_path / f"own{end}"
    if end.endswith("gz"):
        path.write_bytes(gzip.compress(plain, 1))
    elif end.endswith("zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("own.csv", plain)
            archive.writestr("__MACOSX/._own.csv", b"foreign")
    else:
        path.write_bytes(plain)

    assert read(path) == (expected(), [])


def test_the_line_in_which_excel_names_the_separator_is_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "own.csv", [LABELS, PIXELS], ["label", *NAMES], ";")
    path.write_bytes(b"sep=;\r\n" + path.read_bytes())

    assert read(path) == (expected(), [])


def test_a_line_says_that_emnists_letters_lie_on_their_side(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 784))

    _, said = read(write(tmp_path / "emnist-letters-train.csv", [np.arange(20) % 2, images], None))

    assert said[1].endswith("EMNIST's own tables have their letters on their side; --dataset emnist turns them upright")


def test_quotes_blank_lines_and_old_line_ends_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "own.csv", [LABELS, PIXELS], ["label", *NAMES], form='"{}"')
    lines = path.read_text().splitlines()
    path.write_bytes("\r\n".join(["", *lines[:50], "", *lines[50:], ""]).encode())

    assert read(path) == (expected(), [])


def test_names_and_numbers_with_a_point_are_labels(tmp_path: Path) -> None:
    names = np.array([f"digit {label}" for label in LABELS])
    padded = np.array([f"{label:02}" for label in LABELS])

    assert read(write(tmp_path / "a.csv", [names, PIXELS], ["label", *NAMES]))[0] == expected(labels=names)
    assert read(write(tmp_path / "b.csv", [names, PIXELS], None))[0] == expected(labels=names)
    assert read(write(tmp_path / "c.csv", [padded, PIXELS], ["label", *NAMES]))[0] == expected(labels=padded)
    assert read(write(tmp_path / "d.csv", [LABELS * 1.0, PIXELS], ["label", *NAMES]))[0] == expected()
    yes = np.where(LABELS > 4, "y", "n")
    assert read(write(tmp_path / "e.csv", [yes, PIXELS], None))[0] == expected(labels=yes)


@pytest.mark.parametrize(("separator", "point"), [(",", "."), (";", "."), (";", ",")])
def test_pixels_from_zero_to_one_are_scaled(tmp_path: Path, separator: str, point: str) -> None:
    path = write(tmp_path / "own.csv", [LABELS, PIXELS / 255], ["label", *NAMES], separator)
    path.write_text(path.read_text().replace(".", point))

    assert read(path) == (expected(), ["own.csv: pixels from 0 to 1, multiplied by 255"])


def test_black_and_white_are_scaled_and_whole_numbers_may_have_a_point(tmp_path: Path) -> None:
    is_white = (PIXELS > 99).astype(int)

    assert read(write(tmp_path / "a.csv", [LABELS, is_white], ["label", *NAMES]))[0] == expected(
        (is_white * 255).astype(np.uint8)
    )
    assert read(write(tmp_path / "b.csv", [LABELS, PIXELS * 1.0], ["label", *NAMES]))[0] == expected()


def changed(row: int, column: int, cell: object) -> NDArray[Any]:
    pixels: NDArray[Any] = PIXELS.astype(object)
    pixels[row, column] = cell
    return pixels


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (256, "is 256. Expected pixels that are integers from 0 to 255, or all of them numbers from 0 to 1."),
        (-1, "is -1. Expected pixels"),
        (12.5, "is 12.5. Expected pixels"),
        ("", "is empty. Expected a number in each column of pixels."),
        ("x", "is 'x'. Expected a number"),
        ("nan", "is empty. Expected a number"),
        ("True", "is 'True'. Expected a number"),
        ("1e999", "is inf. Expected pixels"),
        (10**30, "is 1e+30. Expected pixels"),
    ],
)
def test_a_pixel_that_is_none_is_refused_with_its_row_and_column(tmp_path: Path, cell: object, words: str) -> None:
    with_names = write(tmp_path / "a.csv", [LABELS, changed(5, 17, cell)], ["label", *NAMES])
    without = write(tmp_path / "b.csv", [LABELS, changed(5, 17, cell)], None)

    assert f"a.csv, row 7, column 'pixel17' {words}" in refusal(with_names)
    assert f"b.csv, row 6, column 19 {words}" in refusal(without)


@pytest.mark.parametrize("label", ["", "nan", "NULL", "0.5", "1e-3"])
def test_a_label_that_is_missing_or_a_fraction_is_refused_with_its_row(tmp_path: Path, label: str) -> None:
    labels = LABELS.astype(object)
    labels[5] = label

    found = refusal(write(tmp_path / "own.csv", [labels, PIXELS], ["label", *NAMES]))

    assert f"own.csv, row 7, has the label {label!r}. Expected an integer or a name" in found


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has 0 columns. Expected 2 to 300,000, separated by commas"),
        (b"x" * 200_000 + b",pixel0\n1,2\n", "begins with 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'. Expected cells"),
        (b"label,pixel0\n", "own.csv: no rows. Expected rows"),
        (b"label\n1\n", "has 1 columns. Expected 2 to 300,000, separated by commas"),
        (b'"label,pixel0\n1,2\n', "has 1 columns. Expected 2 to 300,000, separated by commas"),
        (b"label,pixel0\n1,2,3\n4,5\n", "has 2 cells in its first row and 3 in the next"),
        (b"label,pixel0\ncaf\xe9,2\nb,3\n", "codec can't decode byte 0xe9"),
        (b"label,pixel0\n1,25\n2,7\n", "Expected five images of each class or more"),
        (gzip.compress(b"label", mtime=0)[:-5], "cannot be read (Compressed file ended"),
        (b"PK\3\4 and no more", "cannot be read (File is not a zip file)"),
        (b"\xff\xfe1", "cannot be read ('utf-16"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "own.csv").write_bytes(content)

    found = refusal(tmp_path / "own.csv")

    assert words in found


def test_a_zip_of_several_tables_that_are_no_halves_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "own.zip", "w") as archive:
        archive.writestr("a.csv", "x")
        archive.writestr("b.csv", "y")

    assert "contains 2 tables: a.csv, b.csv. Expected one, or one for each half" in refusal(tmp_path / "own.zip")


def test_a_pipe_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")

    assert "pipe.csv cannot be read (not a regular file)" in refusal(tmp_path / "pipe.csv")
    assert "none.csv cannot be read (No such file or directory)" in refusal(tmp_path / "none.csv")


def test_more_text_than_memory_allows_and_countless_columns_are_refused(
    tmp_path: Path, memory: Callable[[int], None]
) -> None:
    (tmp_path / "wide.csv").write_bytes(b"label" + b",p" * 300_001)
    assert "has 300,002 columns. Expected 2 to 300,000" in refusal(tmp_path / "wide.csv")

    memory(16_000)
    assert "at most 1,000 are read). Expected a CSV file" in refusal(tmp_path / "wide.csv")


def test_a_line_that_is_longer_than_any_tables_is_refused_before_it_is_divided(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"label,pixel\n1," + b"," * 10_000_000)

    assert "has a line of over 9,600,000 bytes" in refusal(tmp_path / "x.csv")


def test_a_small_archive_of_countless_numbers_is_refused(tmp_path: Path) -> None:
    text = b"label,pixel\n" + b"1,2\n" * 40_000_000
    with gzip.open(tmp_path / "x.csv.gz", "wb", compresslevel=1) as file:
        file.write(text)
    with zipfile.ZipFile(tmp_path / "y.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("y.csv", text)

    for name in ("x.csv.gz", "y.zip"):
        assert "bytes or more, and at most 1" in refusal(tmp_path / name)


def test_labels_of_more_digits_than_a_number_keeps_are_names() -> None:
    labels = ["12345678901234567890", "12345678901234567891", "7"]

    assert name_labels(labels, str).tolist() == labels
    assert name_labels(["3", "7"], str).tolist() == [3, 7]


def test_an_endless_label_is_refused_with_its_row_before_each_takes_as_much_space(tmp_path: Path) -> None:
    labels = LABELS.astype(object)
    write(tmp_path / "x_train.csv", [labels, PIXELS], ["label", *NAMES])
    labels[3] = "a" * 300
    write(tmp_path / "x_test.csv", [labels, PIXELS], ["label", *NAMES])

    assert "x_test.csv, row 5, has a label of 300 letters. Expected 1 to 200" in refusal(tmp_path / "x_train.csv")
