"""The files of a table: plain, gzipped or zipped, and those of its other halves, by their names."""

import codecs
import gzip
import io
import os
import re
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final

import psutil

from fashionbench.data.arrays import most_unpacked
from fashionbench.data.own.halves import Half, find_half
from fashionbench.data.own.listing import IMAGE_SUFFIXES
from fashionbench.errors import InputError
from fashionbench.opening import open_regular, read_at_most

__all__ = ["PARQUET", "SUFFIXES", "Content", "find_table", "read_tables"]

TEXTS: Final = (".csv", ".tsv", ".csv.gz", ".tsv.gz")

SUFFIXES: Final = (*TEXTS, ".parquet", ".zip")
"""How the name of a table ends, in lower case."""

PARQUET: Final = b"PAR1"
"""How a Parquet file begins."""

MEMORY_SHARE: Final = 1 / 16
"""Of this machine's memory for a file's text; a number of two or three letters takes eight bytes in the table."""

MESSAGE_CHARACTERS: Final = 200

SEPARATOR_HINT: Final = re.compile(rb"sep=.(?=\r?\n)")
"""What Excel writes into a first line of its own."""

Content = tuple[str, bytes]
"""The path of a table, for messages, and its bytes; text is UTF-8 without a byte-order mark."""


def find_table(folder: Path) -> Path | None:
    """Return the table of training images in a folder without images; None where there is no such table, or several."""
    try:
        entries = [*folder.iterdir()]
        trains = [each for each in entries if _end(each.name) and each.is_file() and _half(each.name)[0] == "train"]
        if len(trains) != 1:
            return None
        files = (file for each in entries if each.is_dir() for file in each.rglob("*"))
        return None if any(file.suffix.lower() in IMAGE_SUFFIXES for file in files) else trains[0]
    except OSError:
        return None  # its reader as a folder of images names the reason


def read_tables(path: Path, test: Path | None) -> dict[Half, Content]:
    """Read a table and those of the other halves, which stand next to it or in the same archive.

    Of ``x_train.csv`` the others are ``x_val.csv`` and ``x_test.csv``. A table that stands alone is ``train``.

    Args:
        path: The table of the training images, or of all images, or an archive of tables.
        test: The table of the test images; None: found by its name.

    Raises:
        InputError: A file cannot be read, or an archive contains other tables.

    """
    tables = _read(path)
    if len(tables) > 1:
        halves = _pair(tables, next((name for name in tables if _half(name)[0] == "train"), ""))
        if "train" not in halves or len(halves) < len(tables):
            raise InputError(
                f"{path} contains {len(tables)} tables: {', '.join(tables)[:MESSAGE_CHARACTERS]}",
                expected="one, or one for each half with names such as x_train.csv and x_test.csv",
                remedy="unpack it, and give the path of one of its files; name that of the test images with --test",
            )
        found: dict[Half, Content] = {half: (f"{path}: {name}", tables[name]) for half, name in halves.items()}
    else:
        found = {"train": (str(path), next(iter(tables.values())))}
        if test is None and _half(path.name)[0] == "train":
            end = _end(path.name)
            siblings = [each.name for each in path.parent.iterdir() if _end(each.name) == end and each.is_file()]
            found |= {
                half: (str(path.parent / name), next(iter(_read(path.parent / name).values())))
                for half, name in _pair(siblings, path.name).items()
                if half != "train"
            }
    if test is not None:
        found["test"] = (str(test), next(iter(_read(test).values())))
    return {"train": found.pop("train"), **found}


def _end(name: str) -> str:
    """Return the end of a table's name, in lower case; empty for another file."""
    return (
        ""
        if name.startswith(".")
        else max((end for end in SUFFIXES if name.lower().endswith(end)), key=len, default="")
    )


def _half(name: str) -> tuple[Half | None, tuple[str, ...]]:
    """Return the half that the name of a table says, and the other words of the name."""
    return find_half(Path(name).name.lower().removesuffix(_end(Path(name).name)))


def _pair(names: Iterable[str], train: str) -> dict[Half, str]:
    """Return the names that differ from the training table's only in the half."""
    rest = _half(train)[1]
    found: dict[Half, str] = {}
    for name in sorted(names):
        half, other = _half(name)
        if half is not None and other == rest:
            found.setdefault(half, name)
    return found


def _read(path: Path) -> dict[str, bytes]:
    """Return the tables of a file by their names, decompressed."""
    limit = int(MEMORY_SHARE * psutil.virtual_memory().total)
    try:
        with open_regular(path, limit) as stream:
            beginning = stream.read(2)
            stream.seek(0)
            unpacked = min(limit, most_unpacked(os.fstat(stream.fileno()).st_size))
            if beginning == b"\x1f\x8b":
                with gzip.GzipFile(fileobj=stream) as packed:
                    contents = {path.name: read_at_most(packed, unpacked)}
            elif beginning == b"PK":
                contents = _read_zipped(path, stream, unpacked)
            else:
                contents = {path.name: read_at_most(stream, limit)}
        decoded = {name: _decode(content) for name, content in contents.items()}
    except (OSError, EOFError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} cannot be read ({getattr(error, 'strerror', None) or str(error)[:MESSAGE_CHARACTERS]})",
            expected="a CSV file, plain, gzipped or zipped, of at most 1/16 of this machine's memory",
            remedy="check the file, or write the images to an .npz or a folder",
        ) from error
    return decoded


def _decode(content: bytes) -> bytes:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        content = content.decode("utf-16").encode()
    text = content.removeprefix(codecs.BOM_UTF8)
    hint = SEPARATOR_HINT.match(text)  # a blank line in its place keeps the numbers of the rows
    return text if hint is None else text[hint.end() :]


def _read_zipped(path: Path, stream: BinaryIO, limit: int) -> dict[str, bytes]:
    with zipfile.ZipFile(stream) as archive:
        tables = {
            # Kaggle's archives have some files twice, in a folder of their own, too
            (Path(info.filename).name, info.CRC): info
            for info in archive.infolist()
            if info.filename.lower().endswith((*TEXTS, ".parquet")) and not info.filename.startswith("__MACOSX/")
        }
        if not tables:
            raise InputError(
                f"{path} contains no table, but {', '.join(archive.namelist())[:MESSAGE_CHARACTERS] or 'nothing'}",
                expected="a .csv file in it",
                remedy="unpack it; if it contains images, give the path of their folder",
            )
        contents = {}
        for info in tables.values():
            with archive.open(info) as member:
                content = read_at_most(member, limit)
            limit -= len(content)
            if content.startswith(b"\x1f\x8b"):
                with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
                    content = read_at_most(packed, limit)
                    limit -= len(content)
            contents[info.filename] = content
        return contents
