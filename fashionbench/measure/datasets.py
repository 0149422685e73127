"""Other images than the study's: torchvision's sets, and anybody's own as folders, an .npz or a CSV of pixels."""

import hashlib
import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torchvision import datasets

from fashionbench.errors import InputError, SetupError
from fashionbench.measure.data import Dataset, find_dataset

__all__ = ["FASHION_MNIST", "NAMED", "load_dataset"]

FASHION_MNIST: Final = "fashion-mnist"
NAMED: Final = MappingProxyType[str, tuple[str, Callable[..., Any]]](
    {
        "mnist": ("MNIST", datasets.MNIST),
        "kmnist": ("KMNIST", datasets.KMNIST),
        "emnist": ("EMNIST balanced", lambda *args, **options: datasets.EMNIST(*args, split="balanced", **options)),
        "cifar10": ("CIFAR-10", datasets.CIFAR10),
    }
)
"""Torchvision's, by the word that ``--dataset`` takes."""
MOST_CLASSES: Final = 256
"""A prediction is kept in a byte."""
MOST_LINE: Final = 1024 * 1024
TEST_FRACTION: Final = 0.2
SPLIT_SEED: Final = 0
NPZ_NAMES: Final = ("x_train", "y_train", "x_test", "y_test")
"""As Keras names them."""
CHANNELS: Final = (1, 3)

Half = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Images (N, C, H, W) and labels (N,)."""


def load_dataset(  # noqa: PLR0913 - what data may come from, each named
    word: str,
    data: Path | None,
    *,
    environ: Mapping[str, str],
    cache: Path,
    announce: Callable[[str], None],
    allow_sample: bool = False,
) -> Dataset:
    """Find, read and check a data set.

    Args:
        word: ``fashion-mnist``; ``mnist``, ``kmnist``, ``emnist`` or ``cifar10`` of torchvision, which fetches it;
            ``digits`` of scikit-learn; or a path: a folder with ``train`` and ``test``, each with a folder of images a
            class; an ``.npz`` of ``x_train``, ``y_train``, ``x_test`` and ``y_test``; a ``.csv`` whose rows are a label
            and the pixels of a square image. Where nobody parted the test images, a fifth is drawn, the same each time.
        data: Where the named ones lie in torchvision's layout; None: in the cache, fetched if need be.
        environ: The environment variables.
        cache: Where fetched files are kept.
        announce: Is told what is being done.
        allow_sample: Accept a sample of Fashion-MNIST.

    Raises:
        InputError: No such data, or not of this form.
        SetupError: It cannot be fetched.

    """
    if word == FASHION_MNIST:
        return find_dataset(data, environ=environ, cache=cache, announce=announce, allow_sample=allow_sample)
    started = time.perf_counter()
    path = Path(word)
    if word in NAMED:
        found = _from_torchvision(word, data or cache / word, announce, download=data is None)
    elif word == "digits":
        bundled = load_digits()
        found = _make("Digits of scikit-learn", "scikit-learn's copy", None, *_part(_whole(bundled), bundled.target))
    elif path.is_dir():
        found = _from_folders(path)
    elif path.suffix == ".npz" and path.is_file():
        found = _from_npz(path)
    elif path.suffix == ".csv" and path.is_file():
        found = _from_csv(path)
    else:
        raise InputError(
            f"unknown dataset {word[:120]!r}",
            expected=f"{FASHION_MNIST}, {', '.join(NAMED)}, digits, or the path of a folder of images, an "
            ".npz or a .csv",
            remedy="mend the value of --dataset",
        )
    return replace(found, read_seconds=time.perf_counter() - started)


def _whole(bundled: Any) -> NDArray[np.uint8]:  # noqa: ANN401 - scikit-learn's Bunch
    """Return scikit-learn's digits, whose grey levels end at 16, as (N, 1, 8, 8)."""
    return np.asarray(np.rint(bundled.images * (255 / 16)), dtype=np.uint8)[:, None]


def _from_torchvision(word: str, root: Path, announce: Callable[[str], None], *, download: bool) -> Dataset:
    name, make = NAMED[word]
    if download:
        announce(f"{name}: from the cache, or fetched by torchvision")
    try:
        halves = [make(root, train=part, download=download) for part in (True, False)]
    except (OSError, RuntimeError) as error:
        raise SetupError(
            f"no {name} ({' '.join(str(error).split())[:200]})",
            expected="torchvision to find or fetch it",
            remedy="check the network, or give a folder in torchvision's layout with --data PATH",
        ) from error
    classes = tuple(str(each) for each in halves[0].classes)
    train, test = ((_channels_first(np.asarray(half.data)), np.asarray(half.targets)) for half in halves)
    return _make(name, f"torchvision {torchvision.__version__}", classes, train, test)


def _from_folders(path: Path) -> Dataset:
    if not all((path / half).is_dir() for half in ("train", "test")):
        raise InputError(
            f"{path} has no folders train and test",
            expected="both, each with a folder of images for each class",
            remedy="move the images so",
        )
    try:
        halves = [datasets.ImageFolder(str(path / half), loader=_open) for half in ("train", "test")]
        if halves[0].classes != halves[1].classes:
            raise InputError(
                f"{path}: classes {', '.join(halves[0].classes)[:80]} in train, {', '.join(halves[1].classes)[:80]} in "
                "test",
                expected="the same folders in both",
                remedy="mend the folders' names",
            )
        train, test = (_read_folder(path, half) for half in halves)
    except (OSError, Image.DecompressionBombError) as error:  # an unreadable image is an OSError too
        raise InputError(
            f"{path}: {str(error).partition(chr(10))[0][:200]}", expected="readable images", remedy="mend or remove it"
        ) from error
    return _make(path.resolve().name, "a folder of images", tuple(halves[0].classes), train, test)


def _open(path: str) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image if image.mode == "L" else image.convert("RGB"), dtype=np.uint8)


def _read_folder(path: Path, half: Any) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:  # noqa: ANN401 - ImageFolder
    images, first = [], None
    for (name, _), (image, _) in zip(half.samples, half, strict=True):
        first = first or image.shape
        if image.shape != first:
            raise InputError(
                f"{path}: {Path(name).name} is {' x '.join(map(str, image.shape))}, the first image "
                f"{' x '.join(map(str, first))}",
                expected="images of one size, all grey or all in colour",
                remedy="resize them",
            )
        images.append(image)
    return _channels_first(np.stack(images)), np.asarray(half.targets)


def _from_npz(path: Path) -> Dataset:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in NPZ_NAMES if name in file}
    except Exception as error:
        # zipfile and numpy raise a dozen kinds over a spoiled archive, and few of them are OSError or ValueError
        raise InputError(
            f"{path} is no .npz of arrays ({str(error).partition(chr(10))[0][:200]})",
            expected="what numpy.savez writes",
            remedy="write it again",
        ) from error
    missing = [name for name in NPZ_NAMES if name not in arrays]
    if missing:
        raise InputError(
            f"{path} has no array {missing[0]!r}", expected=", ".join(NPZ_NAMES), remedy="name the arrays so"
        )
    for name in ("x_train", "x_test"):
        if arrays[name].dtype != np.uint8 or arrays[name].ndim not in {3, 4}:
            raise InputError(
                f"{path}: {name} is {arrays[name].dtype} of {arrays[name].ndim} axes",
                expected="uint8 of 0 to 255, (N, height, width) or (N, height, width, channels)",
                remedy="convert the images",
            )
    train, test = (
        (_channels_first(arrays[f"x_{half}"]), _whole_numbers(path, arrays[f"y_{half}"])) for half in ("train", "test")
    )
    return _make(path.stem, "an .npz file", None, train, test)


def _from_csv(path: Path) -> Dataset:
    try:
        with path.open(encoding="utf-8") as file:
            head = file.readline(MOST_LINE).strip().split(",")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of an empty file, which is refused below
                table = np.loadtxt(file, dtype=np.int64, delimiter=",", ndmin=2, comments=None)
    except (OSError, ValueError, OverflowError) as error:
        raise InputError(
            f"{path}: {str(error).partition(';')[0][:200]}",
            expected="a head, then rows of whole numbers",
            remedy="write the file so",
        ) from error
    labels, pixels = table[:, 0], table[:, 1:]
    side = math.isqrt(pixels.shape[1])
    if not pixels.size or side * side != pixels.shape[1]:
        raise InputError(
            f"{path} has {len(table):,} rows of {table.shape[1]} columns ({head[0][:40]!r} first)",
            expected="a label, then the pixels of a square image",
            remedy="write the file so",
        )
    if pixels.min() < 0 or pixels.max() > 255:  # noqa: PLR2004 - a grey level
        raise InputError(
            f"{path} has pixels of {pixels.min()} to {pixels.max()}", expected="0 to 255", remedy="scale them"
        )
    images = pixels.astype(np.uint8).reshape(-1, 1, side, side)
    return _make(path.stem, "a CSV file", None, *_part(images, labels))


def _whole_numbers(path: Path, labels: NDArray[Any]) -> NDArray[np.int64]:
    flat = labels.reshape(len(labels), -1) if labels.ndim else labels.reshape(1, -1)
    if not np.issubdtype(labels.dtype, np.integer) or flat.shape[1] != 1:
        raise InputError(
            f"{path}: labels are {labels.dtype} of shape {labels.shape}",
            expected="a whole number for each image",
            remedy="convert them",
        )
    return np.asarray(flat[:, 0], dtype=np.int64)


def _channels_first(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (N, H, W) or (N, H, W, C) as (N, C, H, W)."""
    return images[:, None] if images.ndim == 3 else np.moveaxis(images, 3, 1)  # noqa: PLR2004 - no axis of channels


def _part(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> tuple[Half, Half]:
    """Draw the test images, a fifth, stratified and the same each time."""
    try:
        train, test = train_test_split(
            np.arange(len(labels)), test_size=TEST_FRACTION, stratify=labels, random_state=SPLIT_SEED
        )
    except ValueError as error:
        raise InputError(
            f"{len(labels)} images ({error})", expected="enough of each class to part", remedy="bring more images"
        ) from error
    return (images[train], labels[train]), (images[test], labels[test])


def _make(name: str, source: str, classes: tuple[str, ...] | None, train: Half, test: Half) -> Dataset:
    """Check two halves against each other and return the data set; classes without names get their labels'."""
    for what, (images, labels) in (("training", train), ("test", test)):
        if len(images) != len(labels) or images.shape[1:] != train[0].shape[1:] or images.shape[1] not in CHANNELS:
            shape = " x ".join(map(str, images.shape[1:]))
            raise InputError(
                f"{name}: {len(images):,} {what} images of {shape} with {len(labels):,} labels",
                expected="as many labels as images, of one size in both halves, with 1 or 3 channels",
                remedy="mend the data",
            )
    present, test_present = np.unique(train[1]), np.unique(test[1])
    if len(present) > MOST_CLASSES or len(present) < 2 or set(present.tolist()) != set(test_present.tolist()):  # noqa: PLR2004 - a choice
        raise InputError(
            f"{name}: {len(present)} classes in the training images, {len(test_present)} in the test images",
            expected=f"the same in both, 2 to {MOST_CLASSES}",
            remedy="mend the labels",
        )
    names = tuple(map(str, present.tolist())) if classes is None else classes
    arrays: dict[str, NDArray[np.uint8] | NDArray[np.int64]] = {
        "training images": train[0],
        "training labels": np.searchsorted(present, train[1]),
        "test images": test[0],
        "test labels": np.searchsorted(present, test[1]),
    }
    tensors = {key: torch.from_numpy(np.ascontiguousarray(array)) for key, array in arrays.items()}
    return Dataset(
        name=name,
        release="",
        source=source,
        digests={key: hashlib.sha256(tensor.numpy().tobytes()).hexdigest() for key, tensor in tensors.items()},
        classes=names,
        train_images=tensors["training images"],
        train_labels=tensors["training labels"],
        test_images=tensors["test images"],
        test_labels=tensors["test labels"],
    )
