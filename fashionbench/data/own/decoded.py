"""Decoded copies of large folders of images, kept in the cache by the digest of all that decides them."""

import hashlib
import os
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import PIL
import torch
from numpy.typing import NDArray

from fashionbench.data.dataset import Reading
from fashionbench.data.own.halves import Half
from fashionbench.data.own.listing import Layout
from fashionbench.errors import SetupError
from fashionbench.opening import open_regular
from fashionbench.records.files import temporary_folder

__all__ = ["FEWEST_KEPT", "Copy", "find_copy", "keep_copy", "name_copy"]

FEWEST_KEPT: Final = 1_000
"""A folder of fewer files is decoded in a second or two each time."""

COPIES_KEPT: Final = 3
"""The most recently used ones; older ones are deleted."""

BLOCK_BYTES: Final = 1024 * 1024

PARTS: Final = ("images", "labels")


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """What was decoded."""

    halves: Mapping[Half, tuple[NDArray[np.uint8], NDArray[np.int64]]]
    """Images (N, channels, H, W) and labels (N,)."""
    remarks: tuple[str, ...]
    """What was taken for what, for the user."""


def name_copy(layout: Layout, reading: Reading) -> str:
    """Return the digest of the files' contents, halves and classes, of how they are read, and of the code that reads.

    Empty if a file cannot be read.
    """
    files = [*layout.files]
    try:
        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            contents = [*threads.map(_digest, files)]
    except OSError:
        return ""
    facts = [
        PIL.__version__,
        repr((reading.image_size, reading.fit)),
        repr((layout.remarks, layout.passed_over, layout.refused)),
    ]
    facts += [_digest(each) for each in sorted(Path(__file__).parents[1].rglob("*.py"))]
    facts += [
        repr((file.relative_to(layout.root).as_posix(), layout.files[file], content))
        for file, content in zip(files, contents, strict=True)
    ]
    return hashlib.sha256("\n".join(facts).encode(errors="surrogateescape")).hexdigest()


def find_copy(cache: Path, name: str) -> Copy | None:
    """Return a copy; None if there is none, or a damaged one."""
    path = _path(cache, name)
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            found = {key: arrays[key] for key in arrays.files}
        os.utime(path)
        remarks = tuple(found.pop("remarks").tolist())
        halves = {half: (found[f"{half} images"], found[f"{half} labels"]) for half in _halves(found)}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return Copy(halves=halves, remarks=remarks)


def keep_copy(cache: Path, name: str, copy: Copy) -> None:
    """Write a copy and delete old ones; a cache that cannot be written is left as it is."""
    arrays: dict[str, Any] = {
        f"{half} {what}": array for half, pair in copy.halves.items() for what, array in zip(PARTS, pair, strict=True)
    }
    path = _path(cache, name)
    with suppress(OSError, SetupError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(path.parent) as work:
            np.savez(work / path.name, remarks=np.array(copy.remarks, dtype=str), **arrays)
            (work / path.name).replace(path)
        for old in sorted(path.parent.glob("*.npz"), key=lambda each: each.stat().st_mtime)[:-COPIES_KEPT]:
            old.unlink()


def _path(cache: Path, name: str) -> Path:
    return cache / "decoded" / f"{name}.npz"


def _halves(found: Mapping[str, object]) -> list[Half]:
    known: tuple[Half, ...] = ("train", "validation", "test")
    return [half for half in known if f"{half} images" in found]


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open_regular(path) as stream:
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
