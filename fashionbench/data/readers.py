"""Readers of IDX files, gzipped or not, and of Kaggle's CSV: strict, and with a limit on every size."""

import gzip
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from fashionbench.errors import InputError
from fashionbench.opening import is_file, open_regular, read_at_most

__all__ = [
    "CSV_NAMES",
    "IDX_NAMES",
    "decode_idx",
    "encode_idx",
    "find_csv",
    "find_idx",
    "read_csv",
    "read_idx_bytes",
]

IDX_NAMES: Final = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

CSV_NAMES: Final = ("fashion-mnist_train.csv", "fashion-mnist_test.csv")

CSV_HEADER: Final = ",".join(["label", *(f"pixel{number}" for number in range(1, 785))])

MAX_IDX_BYTES: Final = 47_040_016
"""Size of the largest file of the data set, the training images."""

CSV_COLUMNS: Final = 785

MAX_CSV_ROWS: Final = 60_000

MAX_LINE_BYTES: Final = 16 * 1024


def find_idx(folder: Path) -> dict[str, Path]:
    """Return the paths of those of the four IDX files that a folder contains, plain or ``.gz``, by their plain names.

    Its subfolders ``raw`` and ``FashionMNIST/raw``, torchvision's layout, are searched too.
    """
    for searched in (folder, folder / "raw", folder / "FashionMNIST" / "raw"):
        found = {
            name: path
            for name in IDX_NAMES
            for path in (searched / f"{name}.gz", searched / name)  # the plain file wins
            if is_file(path)
        }
        if found:
            return found
    return {}


def find_csv(folder: Path) -> tuple[Path, ...]:
    """Return the paths of those of the two Kaggle CSV files that a folder contains, the training file first."""
    return tuple(path for name in CSV_NAMES if is_file(path := folder / name))


def read_idx_bytes(path: Path) -> bytes:
    """Return a file's decompressed bytes.

    Raises:
        InputError: The file cannot be read, is a broken gz, or is larger than any file of the data set.

    """
    try:
        with open_regular(path) as stream, gzip.GzipFile(fileobj=stream) if path.suffix == ".gz" else stream as file:
            return read_at_most(file, MAX_IDX_BYTES)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"{path} is a broken gz file ({error})", expected="a complete gz file", remedy="download it again"
        ) from error
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror})",
            expected=f"a readable file of at most {MAX_IDX_BYTES:,} bytes, as Fashion-MNIST's training images have",
            remedy="check its permissions, and that it is Fashion-MNIST",
        ) from error


def decode_idx(name: str, content: bytes) -> NDArray[np.uint8]:
    """Return images (N, rows, columns) or labels (N,) of an IDX file's bytes.

    The format: two zero bytes, the type (8: unsigned byte), the number of axes, the length of each axis as a
    big-endian 32-bit number, then the values (http://yann.lecun.com/exdb/mnist/).

    Raises:
        InputError: The type, the number of axes or the number of values differs from the format or from the header.

    """
    axes = 3 if "images" in name else 1
    header = 4 + 4 * axes
    beginning = bytes([0, 0, 8, axes])
    if content[:4] != beginning or len(content) < header:
        raise InputError(
            f"{name} begins with the bytes {content[:4].hex(' ') or 'none'}",
            expected=f"{beginning.hex(' ')}, an IDX file of {'images' if axes > 1 else 'labels'}",
            remedy="check that this is the file that its name says",
        )
    shape = struct.unpack(f">{axes}I", content[4:header])
    values = int(np.prod(shape, dtype=object))
    if len(content) - header != values:
        raise InputError(
            f"{name} contains {len(content) - header:,} values",
            expected=f"{values:,}, as its header says ({' x '.join(map(str, shape))})",
            remedy="download it again",
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def encode_idx(values: NDArray[np.uint8]) -> bytes:
    """Return an array as the bytes of an IDX file: the inverse of ``decode_idx``."""
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def read_csv(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return images (N, 28, 28) and labels (N,) of a Kaggle CSV.

    Raises:
        InputError: The header differs, a row has another length, or a value is no label or grey level.

    """
    try:
        with open_regular(path) as file:
            _check_header(path, file)
            table = np.loadtxt(_bounded_lines(path, file), dtype=np.int32, delimiter=",", ndmin=2, comments=None)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror})", expected="a readable file", remedy="check its permissions"
        ) from error
    except ValueError as error:
        raise InputError(
            f"{path}: {str(error).partition(';')[0]}",
            expected="785 integers in each row",
            remedy="download the file again",
        ) from error
    if table.shape[1] != CSV_COLUMNS or not len(table):
        raise InputError(
            f"{path} has {len(table):,} rows of {table.shape[1]} columns",
            expected="rows of 785: a label and 784 pixels",
            remedy="download the file again",
        )
    labels, pixels = table[:, 0], table[:, 1:]
    for what, values, highest in (("label", labels, 9), ("pixel", pixels, 255)):
        wrong = (values < 0) | (values > highest)
        if wrong.any():
            row = int(np.argwhere(wrong)[0][0])
            raise InputError(
                f"{path} has a {what} of {int(values[wrong][0])} in row {row + 1}",
                expected=f"0 to {highest}",
                remedy="download the file again",
            )
    return pixels.astype(np.uint8).reshape(-1, 28, 28), labels.astype(np.uint8)


def _check_header(path: Path, file: BinaryIO) -> None:
    header = file.readline(MAX_LINE_BYTES).decode("ascii", errors="replace").strip().replace('"', "")
    if header == CSV_HEADER:
        return
    columns = header.split(",")
    missing = [name for name in CSV_HEADER.split(",") if name not in columns]
    raise InputError(
        f"{path} has {len(columns)} columns" + (f", {missing[0]!r} missing" if missing else ", in another order"),
        expected="785: label, pixel1 to pixel784",
        remedy="download the Kaggle file again",
    )


def _bounded_lines(path: Path, file: BinaryIO) -> Iterator[bytes]:
    rows = 0
    while line := file.readline(MAX_LINE_BYTES):
        rows += 1
        if len(line) == MAX_LINE_BYTES or rows > MAX_CSV_ROWS or line.count(b",") >= CSV_COLUMNS:
            too_much = "rows" if rows > MAX_CSV_ROWS else f"than {CSV_COLUMNS} columns in row {rows}"
            raise InputError(
                f"{path} has more {too_much}",
                expected=f"at most {MAX_CSV_ROWS:,} rows of 785 numbers",
                remedy="check that it is the Kaggle file",
            )
        yield line
