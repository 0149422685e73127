"""A file is read as its format says, or refused in one line; a file made to fill the memory is refused early."""

import gzip
import os
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from fashionbench.data.readers import (
    CSV_HEADER,
    IDX_NAMES,
    MAX_IDX_BYTES,
    decode_idx,
    encode_idx,
    read_csv,
    read_idx_bytes,
)
from fashionbench.errors import InputError


def write_csv(path: Path, labels: list[int], *, header: str = CSV_HEADER, pixel: str = "7") -> Path:
    rows = [",".join([str(label), *[pixel] * 784]) for label in labels]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_a_truncated_gz_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(bytes(range(256)) * 8)
    (tmp_path / "x.gz").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(InputError, match=r"gz is a broken gz file \(Compressed file ended.*Download it again"):
        read_idx_bytes(tmp_path / "x.gz")


def test_a_gz_bomb_is_refused_without_being_unpacked(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(bytes(MAX_IDX_BYTES + 1), compresslevel=1))

    with pytest.raises(InputError, match=r"at most 47,040,016 are read\)\. Expected a readable file of at most"):
        read_idx_bytes(tmp_path / "x.gz")


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="root reads any file, Windows has no such mode"
)
@pytest.mark.parametrize("reader", [read_idx_bytes, read_csv])
def test_an_unreadable_file_is_refused(tmp_path: Path, reader: object) -> None:
    assert callable(reader)
    (tmp_path / "x").touch(mode=0)

    with pytest.raises(InputError, match=r"cannot be read \(Permission denied\)"):
        reader(tmp_path / "x")


@pytest.mark.parametrize("reader", [read_idx_bytes, read_csv])
def test_a_file_that_vanished_is_refused(tmp_path: Path, reader: object) -> None:
    assert callable(reader)

    with pytest.raises(
        InputError, match=r"gone cannot be read \(No such file or directory\)\. Expected a readable file"
    ):
        reader(tmp_path / "gone")


def test_what_was_encoded_is_decoded() -> None:
    images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)

    assert np.array_equal(decode_idx(IDX_NAMES[0], encode_idx(images)), images)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"begins with the bytes none\. Expected 00 00 08 03, an IDX file of images"),
        (b"\x00\x00\x08\x01" + bytes(8), "begins with the bytes 00 00 08 01"),
        (b"\x00\x00\x08\x03" + struct.pack(">3I", 2, 28, 28) + bytes(10), r"10 values\. Expected 1,568, .*2 x 28"),
        (b"\x00\x00\x08\x03" + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1), "contains 0 values"),
        (encode_idx(np.zeros((400, 28, 28), np.uint8)) + b"\x00", r"contains 313,601 values\. Expected 313,600"),
    ],
)
def test_an_idx_file_that_contradicts_its_header_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        decode_idx(IDX_NAMES[0], content)


def test_a_csv_gives_images_and_labels(tmp_path: Path) -> None:
    images, labels = read_csv(write_csv(tmp_path / "x.csv", [*range(10)]))

    assert images.shape == (10, 28, 28)
    assert images.dtype == np.uint8
    assert labels.tolist() == [*range(10)]
    assert int(images[0, 0, 0]) == 7


@pytest.mark.parametrize(
    ("header", "labels", "pixel", "message"),
    [
        (CSV_HEADER.removesuffix(",pixel784"), [1], "7", r"has 784 columns, 'pixel784' missing\. Expected 785"),
        (CSV_HEADER.replace("label,pixel1,", "pixel1,label,"), [1], "7", "785 columns, in another order"),
        (CSV_HEADER, [1, 10], "7", r"has a label of 10 in row 2\. Expected 0 to 9"),
        (CSV_HEADER, [1], "256", r"has a pixel of 256 in row 1\. Expected 0 to 255"),
        (CSV_HEADER, [1], "-1", "has a pixel of -1 in row 1"),
        (CSV_HEADER, [1], "x", r"could not convert string 'x'.*\. Expected 785 integers in each row"),
        (CSV_HEADER, [1], "7,7", "has more than 785 columns in row 1"),
        (CSV_HEADER, [1], "7" * 30, "has more than 785 columns in row 1"),
    ],
)
def test_a_csv_that_is_not_the_kaggle_one_is_refused(
    tmp_path: Path, header: str, labels: list[int], pixel: str, message: str
) -> None:
    path = write_csv(tmp_path / "x.csv", labels, header=header, pixel=pixel)

    with pytest.raises(InputError, match=message):
        read_csv(path)


def test_a_csv_with_a_row_too_short_is_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.csv", [1, 2])
    path.write_text(path.read_text() + "1,2,3\n")

    with pytest.raises(InputError, match=r"the number of columns changed from 785 to 3"):
        read_csv(path)


def test_a_csv_of_too_many_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(f"{CSV_HEADER}\n" + "1\n" * 60_001)

    with pytest.raises(InputError, match=r"has more rows\. Expected at most 60,000 rows"):
        read_csv(tmp_path / "x.csv")


def test_a_csv_without_rows_is_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.csv", [])

    with pytest.warns(UserWarning, match="input contained no data"), pytest.raises(InputError, match="has 0 rows"):
        read_csv(path)
