"""Fashion-MNIST: found, fetched, verified, and read."""

import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import platformdirs
from numpy.typing import NDArray
from torchvision.datasets import FashionMNIST

from fashionbench.data.dataset import Dataset
from fashionbench.data.fetch import PACKAGE, download_from_mirror, download_package, find_installed_package
from fashionbench.data.readers import IDX_NAMES, decode_idx, encode_idx, find_csv, find_idx, read_csv, read_idx_bytes
from fashionbench.errors import FashionBenchError, InputError, SetupError
from fashionbench.records.store import write_whole

__all__ = ["CURRENT", "OLDER", "SAMPLE", "cache_folder", "find_dataset"]

CURRENT: Final = "current (31 Aug 2017)"
"""zalandoresearch/fashion-mnist commit 658ec8c: what torchvision, Keras, Hugging Face and Debian carry."""

OLDER: Final = "older draw (26 Aug 2017)"
"""Commit 9490065: what Kaggle's CSV carries. Its training images are partly test images of the current release."""

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
"""How the older draw's training and test labels begin."""

FULL_SIZES: Final = (60_000, 10_000)

ENVIRONMENT_NAME: Final = "FASHIONBENCH_DATA"


def cache_folder() -> Path:
    """Return this user's cache folder for FashionBench (it need not exist)."""
    return Path(platformdirs.user_cache_path("fashionbench"))


def find_dataset(
    data: Path | None,
    *,
    environ: Mapping[str, str],
    cache: Path,
    announce: Callable[[str], None],
    allow_sample: bool = False,
) -> Dataset:
    """Find the data, fetch it if need be, verify it and read it.

    The order: ``data``, the folder that ``FASHIONBENCH_DATA`` names, the cache, Debian's package where installed,
    torchvision's mirror, the same package downloaded and unpacked without root.

    Args:
        data: A folder of the four IDX files, gzipped or not, or of the Kaggle CSV pair.
        environ: The environment variables.
        cache: Where verified files are kept, in torchvision's layout.
        announce: Is told what is being done.
        allow_sample: Accept a folder with fewer images than any release has, for checking an installation.

    Raises:
        InputError: The folder given holds no, broken or other data.
        SetupError: No folder was given and no source has the data.

    """
    started = time.perf_counter()
    dataset = _find(data, environ=environ, cache=cache, announce=announce, allow_sample=allow_sample)
    return replace(dataset, read_seconds=time.perf_counter() - started)


def _find(
    data: Path | None, *, environ: Mapping[str, str], cache: Path, announce: Callable[[str], None], allow_sample: bool
) -> Dataset:
    if data is not None:
        return _from_folder(data, "the folder given with --data", cache, allow_sample=allow_sample)
    if environ.get(ENVIRONMENT_NAME):
        folder = Path(environ[ENVIRONMENT_NAME])
        return _from_folder(folder, f"the folder that {ENVIRONMENT_NAME} names", cache, allow_sample=allow_sample)
    if find_idx(cache / "current"):
        try:
            return _from_folder(cache / "current", "the cache", cache)
        except InputError as error:
            announce(f"The cache is damaged and will be made anew: {error}")
    failures = []
    for source, fetch in (
        (f"Debian package {PACKAGE}", find_installed_package),
        ("torchvision's mirror", download_from_mirror),
        (f"Debian package {PACKAGE}, downloaded", download_package),
    ):
        with tempfile.TemporaryDirectory(prefix="fashionbench-") as work:
            try:
                found = fetch(Path(work), announce)
                return _from_folder(found, source, cache)
            except FashionBenchError as error:
                failures.append(f"{source}: {error.found}")
    raise SetupError(
        f"no Fashion-MNIST found ({'; '.join(failures)})",
        expected="one of these sources to have it",
        remedy=f"run: sudo apt-get install {PACKAGE}, or give a folder with --data PATH",
    )


def _from_folder(folder: Path, source: str, cache: Path, *, allow_sample: bool = False) -> Dataset:
    """Read a folder, verify what it holds, keep it in the cache as IDX and let torchvision read it from there."""
    files = _read_folder(folder)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    release = _recognise(folder, files, digests, allow_sample=allow_sample)
    place = "current" if release == CURRENT else hashlib.sha256("".join(digests.values()).encode()).hexdigest()[:16]
    raw = cache / place / "FashionMNIST" / "raw"
    try:
        for name, content in files.items():
            if not (folder == cache / place or _holds(raw / name, digests[name])):
                write_whole(raw / name, content)
    except OSError as error:
        raise SetupError(
            f"the cache folder {raw} cannot be written ({error.strerror})",
            expected="a writable cache folder with some 60 MB free",
            remedy="make room, or set XDG_CACHE_HOME to another folder",
        ) from error
    train, test = (FashionMNIST(cache / place, train=part, download=False) for part in (True, False))
    return Dataset(
        name="Fashion-MNIST",
        release=release,
        source=source,
        digests=digests,
        classes=tuple(FashionMNIST.classes),
        train_images=train.data.unsqueeze(1),
        train_labels=train.targets,
        test_images=test.data.unsqueeze(1),
        test_labels=test.targets,
    )


def _holds(path: Path, digest: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def _read_folder(folder: Path) -> dict[str, bytes]:
    """Return the four IDX files' bytes, from IDX or converted from CSV."""
    idx, csv = find_idx(folder), find_csv(folder)
    if len(idx) == len(IDX_NAMES):
        return {name: read_idx_bytes(idx[name]) for name in IDX_NAMES}
    if idx and csv:
        raise InputError(
            f"{folder} holds {len(idx)} of the 4 IDX files and {len(csv)} of the 2 CSV files",
            expected="one kind, whole: the CSV is an older draw, and mixing them puts test images into training",
            remedy="remove the one or complete the other",
        )
    if len(csv) == 2:  # noqa: PLR2004 - the pair
        arrays = [array for path in csv for array in read_csv(path)]
        return {name: encode_idx(array) for name, array in zip(IDX_NAMES, arrays, strict=True)}
    if not folder.is_dir():
        found = f"{folder} is {'a file' if folder.exists() else 'not there'}"
    else:
        there = [*idx, *(path.name for path in csv)]
        found = f"{folder} holds {'only ' + ', '.join(there) if there else 'none of the files'}"
    raise InputError(
        found,
        expected=f"a folder of {', '.join(IDX_NAMES)} (each may end in .gz), or of fashion-mnist_train.csv and "
        "fashion-mnist_test.csv",
        remedy="check the path, or leave it out to have the data fetched",
    )


def _recognise(folder: Path, files: dict[str, bytes], digests: dict[str, str], *, allow_sample: bool) -> str:
    """Return which release the files are, by their digests and, for the older draw, by size and first labels."""
    if digests == DIGESTS:
        return CURRENT
    arrays = [decode_idx(name, files[name]) for name in IDX_NAMES]
    _, train_labels, _, test_labels = arrays
    _check_shapes(folder, arrays)
    begin = tuple(tuple(int(label) for label in labels[:8]) for labels in (train_labels, test_labels))
    sizes = (len(train_labels), len(test_labels))
    if sizes == FULL_SIZES and begin == OLDER_LABELS:
        return OLDER
    if allow_sample and max(sizes) < min(FULL_SIZES):
        return SAMPLE
    if sizes != FULL_SIZES:
        raise InputError(
            f"{folder} holds {sizes[0]:,} training and {sizes[1]:,} test images",
            expected="60,000 and 10,000",
            remedy="fetch the data again, or use a recipe with is_result = false for a sample",
        )
    name = next(name for name in IDX_NAMES if digests[name] != DIGESTS[name])
    raise InputError(
        f"{folder}: {name} has SHA-256 {digests[name][:16]}...",
        expected=f"{DIGESTS[name][:16]}..., Fashion-MNIST's; this is another data set (MNIST has the same names and "
        "sizes) or a damaged copy",
        remedy="fetch Fashion-MNIST again",
    )


def _check_shapes(folder: Path, arrays: list[NDArray[np.uint8]]) -> None:
    for half, images, labels in (("training", arrays[0], arrays[1]), ("test", arrays[2], arrays[3])):
        if images.shape[1:] != (28, 28) or len(images) != len(labels) or not len(labels):
            raise InputError(
                f"{folder}: {half} images of shape {' x '.join(map(str, images.shape))} with {len(labels):,} labels",
                expected="as many labels as images of 28 x 28",
                remedy="fetch the data again",
            )
        if labels.max() > 9:  # noqa: PLR2004 - ten classes
            place = int(np.argmax(labels > 9))  # noqa: PLR2004 - ten classes
            raise InputError(
                f"{folder}: {half} label {place + 1} is {labels[place]}",
                expected="0 to 9",
                remedy="fetch the data again",
            )
