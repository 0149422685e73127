"""Find, fetch, verify and split Fashion-MNIST. Whatever the source, it ends as the same four verified files."""

import dataclasses
import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import platformdirs
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from torch import Tensor
from torchvision.datasets import FashionMNIST

from fashionbench.errors import FashionBenchError, InputError, SetupError
from fashionbench.measure.readers import IDX_NAMES, decode_idx, encode_idx, find_csv, find_idx, read_csv, read_idx_bytes
from fashionbench.store import write_whole

__all__ = ["CURRENT", "OLDER", "SAMPLE", "Dataset", "Split", "cache_folder", "find_dataset", "split_dataset"]

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
PACKAGE: Final = "dataset-fashion-mnist"
PACKAGE_FOLDER: Final = Path("usr/share/datasets/fashion-mnist")
MIRROR_TIMEOUT_SECONDS: Final = 15.0
PROGRAM_TIMEOUT_SECONDS: Final = 300.0
TEST_SUBSET_SEED: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """All images, in memory, on the CPU."""

    name: str
    release: str
    source: str
    """For people, without a path of the machine."""
    digests: Mapping[str, str]
    """SHA-256 of each decompressed IDX file, or of each array of another set."""
    classes: tuple[str, ...]
    train_images: Tensor
    """(N, channels, height, width), uint8."""
    train_labels: Tensor
    """(N,), int64."""
    test_images: Tensor
    test_labels: Tensor
    read_seconds: float = 0.0
    """Finding, fetching, verifying and decoding."""

    @property
    def described(self) -> str:
        """Its name, release and source in a line."""
        return ", ".join(word for word in (self.name, self.release, f"from {self.source}") if word)

    def __reduce__(self) -> tuple[object, ...]:
        """Travel to another process by value: torch's own way takes shared memory, of which containers have little."""
        fields = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return _unpack_dataset, (
            {name: value.numpy() if isinstance(value, Tensor) else value for name, value in fields.items()},
        )


def _unpack_dataset(fields: dict[str, Any]) -> Dataset:
    tensors = {name: torch.from_numpy(value) for name, value in fields.items() if isinstance(value, np.ndarray)}
    return Dataset(**{**fields, **tensors})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """The images of one training: uint8 (N, 1, 28, 28), and labels int64 (N,)."""

    train_images: Tensor
    train_labels: Tensor
    validation_images: Tensor
    validation_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


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


def split_dataset(
    dataset: Dataset, *, validation_fraction: float, seed: int, train_images: int | None, test_images: int | None
) -> Split:
    """Draw the training and validation images by ``seed``, stratified by class (scikit-learn's train_test_split).

    Args:
        dataset: All images.
        validation_fraction: Part of the training images that is kept for validation, in (0, 1).
        seed: Decides which.
        train_images: Draw only so many before the validation split; None takes all.
        test_images: Draw only so many test images, the same for every seed; None takes all.

    Raises:
        InputError: More images asked for than there are, or too few for the classes.

    """
    train = _draw(dataset.train_labels, train_images, seed, "train_images")
    test = _draw(dataset.test_labels, test_images, TEST_SUBSET_SEED, "test_images")
    try:
        kept, held_out = train_test_split(
            train, test_size=validation_fraction, stratify=dataset.train_labels[train].numpy(), random_state=seed
        )
    except ValueError as error:
        raise InputError(
            f"validation_fraction {validation_fraction} of {len(train)} training images ({error})",
            expected="a part that holds each class",
            remedy="change validation_fraction in the recipe",
        ) from error
    return Split(
        train_images=dataset.train_images[kept],
        train_labels=dataset.train_labels[kept],
        validation_images=dataset.train_images[held_out],
        validation_labels=dataset.train_labels[held_out],
        test_images=dataset.test_images[test],
        test_labels=dataset.test_labels[test],
    )


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
        (f"Debian package {PACKAGE}", _installed_package),
        ("torchvision's mirror", _from_mirror),
        (f"Debian package {PACKAGE}, downloaded", _from_archive),
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


def _draw(labels: Tensor, count: int | None, seed: int, field: str) -> NDArray[np.int64]:
    every = np.arange(len(labels))
    if count is None or count == len(labels):
        return every
    try:
        drawn, _ = train_test_split(every, train_size=count, stratify=labels.numpy(), random_state=seed)
    except ValueError as error:
        raise InputError(
            f"{field} {count} of {len(labels)} images",
            expected="fewer than there are, and some of each class",
            remedy=f"change {field} in the recipe",
        ) from error
    return np.asarray(drawn)


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


def _installed_package(_: Path, __: Callable[[str], None]) -> Path:
    folder = Path("/") / PACKAGE_FOLDER
    if not folder.is_dir():
        raise SetupError("not installed", expected=str(folder), remedy=f"sudo apt-get install {PACKAGE}")
    return folder


def _from_mirror(folder: Path, announce: Callable[[str], None]) -> Path:
    announce("Fetching Fashion-MNIST from torchvision's mirror (30 MB)")
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(MIRROR_TIMEOUT_SECONDS)
    try:
        FashionMNIST(folder, download=True)
    except (OSError, RuntimeError) as error:
        raise SetupError(" ".join(str(error).split()), expected="an answer", remedy="check the network") from error
    finally:
        socket.setdefaulttimeout(before)
    return folder


def _from_archive(folder: Path, announce: Callable[[str], None]) -> Path:
    apt_get, dpkg_deb = shutil.which("apt-get"), shutil.which("dpkg-deb")
    if apt_get is None or dpkg_deb is None:
        raise SetupError("no apt-get here", expected="Debian or a relative", remedy="use another source")
    announce(f"Downloading Debian's package {PACKAGE} (27 MB), which needs no root")
    _run([apt_get, "download", PACKAGE], folder)
    (package,) = folder.glob(f"{PACKAGE}_*.deb")
    _run([dpkg_deb, "--extract", str(package), str(folder)], folder)
    return folder / PACKAGE_FOLDER


def _run(command: list[str], folder: Path) -> None:
    try:
        subprocess.run(  # noqa: S603 - fixed commands, found on PATH
            command,
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            timeout=PROGRAM_TIMEOUT_SECONDS,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.CalledProcessError as error:
        last_line = error.stderr.strip().rpartition("\n")[2]
        raise SetupError(
            f"{Path(command[0]).name} failed ({last_line})", expected="success", remedy="see above"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise SetupError(f"{Path(command[0]).name} took too long", expected="an answer", remedy="try again") from error
