"""Fashion-MNIST: found or fetched, verified by SHA-256, and decoded once."""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import platformdirs
import torch
from numpy.typing import NDArray

from fashionbench.catalogue import CURRENT_RELEASE, OLDER_RELEASE
from fashionbench.data.dataset import Dataset
from fashionbench.data.fetch import SOURCES, Source
from fashionbench.data.readers import (
    CSV_NAMES,
    IDX_NAMES,
    decode_idx,
    encode_idx,
    find_csv,
    find_idx,
    read_csv,
    read_idx_bytes,
)
from fashionbench.errors import FashionBenchError, InputError, SetupError
from fashionbench.opening import is_file, is_folder
from fashionbench.records.files import temporary_folder, write_atomically

__all__ = ["CLASSES", "SAMPLE", "cache_folder", "fetch_dataset", "find_dataset", "read_folder"]

SAMPLE: Final = "sample, not verified"

DIGESTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    }
)
"""SHA-256 of the current release's decompressed files."""

OLDER_LABELS: Final = ((2, 9, 6, 0, 3, 4, 4, 5), (0, 1, 2, 2, 3, 2, 8, 6))
"""The first training and test labels of the older draw."""

FULL_SIZES: Final = (60_000, 10_000)

CLASSES: Final = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)

ENVIRONMENT_NAME: Final = "FASHIONBENCH_DATA"


def cache_folder() -> Path:
    """Return this user's cache folder for FashionBench; it may not exist yet."""
    return Path(platformdirs.user_cache_path("fashionbench"))


def find_dataset(
    data: Path | None,
    *,
    environ: Mapping[str, str],
    cache: Path,
    announce: Callable[[str], None],
    allow_sample: bool = False,
) -> Dataset:
    """Find Fashion-MNIST, fetch it if necessary, verify it and read it.

    The first of these that is given or has it: ``data``, the folder that ``FASHIONBENCH_DATA`` names, the cache, and
    the sources of ``fetch.py``.

    Args:
        data: A folder of the four IDX files, gzipped or not, or of the Kaggle CSV pair.
        environ: The environment variables.
        cache: The folder where fetched files are kept.
        announce: Called with a line about each download.
        allow_sample: Accept a folder with fewer images than any release, to check an installation.

    Raises:
        InputError: The folder given contains no data, damaged data or other data.
        SetupError: No folder was given, and no source has the data.

    """
    started = time.perf_counter()
    if data is not None:
        dataset = read_folder(data, "the folder given with --data", allow_sample=allow_sample)
    elif environ.get(ENVIRONMENT_NAME):
        named = f"the folder that {ENVIRONMENT_NAME} names"
        dataset = read_folder(Path(environ[ENVIRONMENT_NAME]), named, allow_sample=allow_sample)
    else:
        dataset = fetch_dataset(cache, announce)
    return replace(dataset, read_seconds=time.perf_counter() - started)


def read_folder(
    folder: Path, source: str, *, allow_sample: bool = False, digests: Mapping[str, str] = DIGESTS
) -> Dataset:
    """Read a folder of the four IDX files or of the Kaggle CSV pair, and find out which release it contains.

    Args:
        folder: Its IDX files may be gzipped.
        source: Where the data come from, for readers of the record.
        allow_sample: Accept fewer images than any release has.
        digests: SHA-256 of each decompressed file of the current release.

    Raises:
        InputError: The folder contains no data, damaged data or other data.

    """
    csv = find_csv(folder)
    if len(csv) == len(CSV_NAMES) and not find_idx(folder):
        arrays = dict(zip(IDX_NAMES, (array for path in csv for array in read_csv(path)), strict=True))
        found = {name: _digest(encode_idx(array)) for name, array in arrays.items()}
    else:
        files = _read_idx(folder)
        arrays = {name: decode_idx(name, content) for name, content in files.items()}
        found = {name: _digest(content) for name, content in files.items()}
    release = _recognise(folder, arrays, allow_sample=allow_sample)
    if release == CURRENT_RELEASE:
        _check_digests(folder, found, digests)
    return _make_dataset(arrays, found, release, source)


def fetch_dataset(
    cache: Path,
    announce: Callable[[str], None],
    *,
    sources: tuple[Source, ...] = SOURCES,
    digests: Mapping[str, str] = DIGESTS,
) -> Dataset:
    """Return the current release from the cache, or else from the first source that has it, and keep it in the cache.

    Args:
        cache: The folder where the verified IDX files are kept, in torchvision's layout.
        announce: Called with a line about each download.
        sources: Where to fetch from, in order.
        digests: SHA-256 of each decompressed file; others are refused.

    Raises:
        SetupError: No source has the files, or the cache cannot be written.

    """
    kept = cache / "current"
    if find_idx(kept):
        try:
            return _decode(_read_verified(kept, digests), digests, "the cache")
        except InputError as error:
            announce(f"The cache is damaged and will be replaced: {error}")
    failures = []
    for source in sources:
        with temporary_folder() as work:
            try:
                files = _read_verified(source.fetch(work, announce), digests)
            except FashionBenchError as error:
                failures.append(f"{source.name}: {error.found}")
                continue
        _keep(files, kept / "FashionMNIST" / "raw")
        return _decode(files, digests, source.name)
    raise SetupError(
        f"no Fashion-MNIST found ({'; '.join(failures)})",
        expected="one of these sources to have it, or a folder given with --data PATH",
        remedy="check the network connection, then repeat the command",
    )


def _read_verified(folder: Path, digests: Mapping[str, str]) -> dict[str, bytes]:
    files = _read_idx(folder)
    _check_digests(folder, {name: _digest(content) for name, content in files.items()}, digests)
    return files


def _decode(files: Mapping[str, bytes], digests: Mapping[str, str], source: str) -> Dataset:
    arrays = {name: decode_idx(name, content) for name, content in files.items()}
    return _make_dataset(arrays, digests, CURRENT_RELEASE, source)


def _keep(files: Mapping[str, bytes], folder: Path) -> None:
    try:
        for name, content in files.items():
            write_atomically(folder / name, content)
    except OSError as error:
        raise SetupError(
            f"the cache folder {folder} cannot be written ({error.strerror})",
            expected="a writable folder with 60 MB of free space",
            remedy="make room, or set XDG_CACHE_HOME to another folder",
        ) from error


def _read_idx(folder: Path) -> dict[str, bytes]:
    """Return the four IDX files' decompressed bytes."""
    idx, csv = find_idx(folder), find_csv(folder)
    if len(idx) == len(IDX_NAMES):
        return {name: read_idx_bytes(idx[name]) for name in IDX_NAMES}
    if idx and csv:
        raise InputError(
            f"folder {folder} contains {len(idx)} of the 4 IDX files and {len(csv)} of the 2 CSV files",
            expected="either all IDX files or both CSV files: the CSV files are an older draw, and mixing them puts "
            "test images into the training images",
            remedy="complete one kind and remove the other",
        )
    if not is_folder(folder):
        found = f"path {folder} {'is a file' if is_file(folder) else 'does not exist'}"
    else:
        there = [*idx, *(path.name for path in csv)]
        found = f"folder {folder} contains {'only ' + ', '.join(there) if there else 'none of the files'}"
    raise InputError(
        found,
        expected=f"a folder with {', '.join(IDX_NAMES)} (each may end in .gz), or with {' and '.join(CSV_NAMES)}",
        remedy="check the path, or leave it out to have the data fetched",
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _recognise(folder: Path, arrays: Mapping[str, NDArray[np.uint8]], *, allow_sample: bool) -> str:
    """Return the release by its number of images, and the older draw by its first labels too."""
    train_images, train_labels, test_images, test_labels = (arrays[name] for name in IDX_NAMES)
    _check_half(folder, "training", train_images, train_labels)
    _check_half(folder, "test", test_images, test_labels)
    sizes = (len(train_labels), len(test_labels))
    first_labels = tuple(tuple(labels[:8].tolist()) for labels in (train_labels, test_labels))
    if sizes == FULL_SIZES and first_labels == OLDER_LABELS:
        return OLDER_RELEASE
    if allow_sample and max(sizes) < min(FULL_SIZES):
        return SAMPLE
    if sizes != FULL_SIZES:
        raise InputError(
            f"folder {folder} contains {sizes[0]:,} training and {sizes[1]:,} test images",
            expected="60,000 and 10,000",
            remedy="download the data again, or use a recipe with is_result = false for a sample",
        )
    return CURRENT_RELEASE


def _check_half(folder: Path, half: str, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    if images.shape[1:] != (28, 28) or len(images) != len(labels) or not len(labels):
        raise InputError(
            f"folder {folder}: {half} images of shape {' x '.join(map(str, images.shape))} with {len(labels):,} labels",
            expected="one label for each image, and images of 28 x 28",
            remedy="download the data again",
        )
    wrong = labels >= len(CLASSES)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise InputError(
            f"folder {folder}: {half} label {first + 1} is {labels[first]}",
            expected="0 to 9",
            remedy="download the data again",
        )


def _check_digests(folder: Path, found: Mapping[str, str], expected: Mapping[str, str]) -> None:
    for name in IDX_NAMES:
        if found[name] != expected[name]:
            raise InputError(
                f"folder {folder}: {name} has SHA-256 {found[name][:16]}...",
                expected=f"Fashion-MNIST's, {expected[name][:16]}...; this is another data set (MNIST has the same "
                "names and sizes) or a damaged copy",
                remedy="download Fashion-MNIST again",
            )


def _make_dataset(
    arrays: Mapping[str, NDArray[np.uint8]], digests: Mapping[str, str], release: str, source: str
) -> Dataset:
    train_images, train_labels, test_images, test_labels = (arrays[name] for name in IDX_NAMES)
    return Dataset(
        name="Fashion-MNIST",
        release=release,
        source=source,
        digests=dict(digests),
        classes=CLASSES,
        train_images=torch.tensor(train_images[:, None]),  # (N, 1, 28, 28)
        train_labels=torch.tensor(train_labels, dtype=torch.int64),
        test_images=torch.tensor(test_images[:, None]),
        test_labels=torch.tensor(test_labels, dtype=torch.int64),
    )
