"""The user's own images, read from a folder, an ``.npz`` or a CSV of pixels."""

import math
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torchvision import datasets

from fashionbench.data.arrays import channels_first, draw_test_images, make_dataset
from fashionbench.data.dataset import Dataset
from fashionbench.errors import InputError

__all__ = ["load_csv", "load_folder", "load_npz"]

MAX_HEADER_CHARACTERS: Final = 1024 * 1024

MAX_PIXEL: Final = 255

NPZ_NAMES: Final = ("x_train", "y_train", "x_test", "y_test")
"""As in Keras."""


def load_folder(path: Path) -> Dataset:
    """Read a folder with ``train`` and ``test``, each with one folder of images per class.

    Raises:
        InputError: The folder has another layout, an unreadable image, or images of several sizes.

    """
    if not all((path / half).is_dir() for half in ("train", "test")):
        raise InputError(
            f"folder {path} does not contain the folders train and test",
            expected="both, each with one folder of images per class",
            remedy="move the images there",
        )
    try:
        halves = [datasets.ImageFolder(str(path / half), loader=_open) for half in ("train", "test")]
        train_classes, test_classes = (", ".join(half.classes)[:80] for half in halves)
        if halves[0].classes != halves[1].classes:
            raise InputError(
                f"folder {path}: classes {train_classes} in train, {test_classes} in test",
                expected="the same folders in both",
                remedy="rename the folders",
            )
        train, test = (_read_half(path, half) for half in halves)
    except (OSError, Image.DecompressionBombError) as error:  # an unreadable image is an OSError too
        raise InputError(
            f"folder {path}: {str(error).partition(chr(10))[0][:200]}",
            expected="readable images",
            remedy="replace or remove it",
        ) from error
    return make_dataset(path.resolve().name, "a folder of images", tuple(halves[0].classes), train, test)


def _open(path: str) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image if image.mode == "L" else image.convert("RGB"), dtype=np.uint8)


def _read_half(path: Path, half: datasets.ImageFolder) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    images, first = [], None
    for (name, _), (image, _) in zip(half.samples, half, strict=True):
        first = first or image.shape
        if image.shape != first:
            raise InputError(
                f"folder {path}: {Path(name).name} is {' x '.join(map(str, image.shape))}, the first image "
                f"{' x '.join(map(str, first))}",
                expected="images of one size, all grey or all in colour",
                remedy="resize them",
            )
        images.append(image)
    return channels_first(np.stack(images)), np.asarray(half.targets)


def load_npz(path: Path) -> Dataset:
    """Read an ``.npz`` with the arrays ``x_train``, ``y_train``, ``x_test`` and ``y_test``, as in Keras.

    Raises:
        InputError: The file is no archive of arrays, or an array is missing or has another form.

    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in NPZ_NAMES if name in file}
    except Exception as error:
        # a damaged archive makes zipfile and numpy raise a dozen kinds of error, few of them OSError or ValueError
        raise InputError(
            f"{path} is not an .npz of arrays ({str(error).partition(chr(10))[0][:200]})",
            expected="a file that numpy.savez wrote",
            remedy="write it again",
        ) from error
    missing = [name for name in NPZ_NAMES if name not in arrays]
    if missing:
        raise InputError(
            f"{path} has no array {missing[0]!r}", expected=", ".join(NPZ_NAMES), remedy="rename the arrays"
        )
    for name in ("x_train", "x_test"):
        if arrays[name].dtype != np.uint8 or arrays[name].ndim not in {3, 4}:
            raise InputError(
                f"{path}: {name} is {arrays[name].dtype} of {arrays[name].ndim} axes",
                expected="uint8, 0 to 255, of shape (N, height, width) or (N, height, width, channels)",
                remedy="convert the images",
            )
    train, test = (
        (channels_first(arrays[f"x_{half}"]), _flat_labels(path, arrays[f"y_{half}"])) for half in ("train", "test")
    )
    return make_dataset(path.stem, "an .npz file", None, train, test)


def load_csv(path: Path) -> Dataset:
    """Read a CSV with a header row, and then a label and the pixels of a square image in each row.

    Raises:
        InputError: The rows have another form.

    """
    try:
        with path.open(encoding="utf-8") as file:
            header = file.readline(MAX_HEADER_CHARACTERS).strip().split(",")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # about an empty file, which is refused below
                table = np.loadtxt(file, dtype=np.int64, delimiter=",", ndmin=2, comments=None)
    except (OSError, ValueError, OverflowError) as error:
        raise InputError(
            f"{path}: {str(error).partition(';')[0][:200]}",
            expected="a header row, then rows of integers",
            remedy="correct the file",
        ) from error
    labels, pixels = table[:, 0], table[:, 1:]
    side = math.isqrt(pixels.shape[1])
    if not pixels.size or side * side != pixels.shape[1]:
        raise InputError(
            f"{path} has {len(table):,} rows of {table.shape[1]} columns ({header[0][:40]!r} first)",
            expected="a label, then the pixels of a square image",
            remedy="correct the file",
        )
    if pixels.min() < 0 or pixels.max() > MAX_PIXEL:
        raise InputError(
            f"{path} has pixels of {pixels.min()} to {pixels.max()}",
            expected="0 to 255",
            remedy="scale them to that range",
        )
    images = pixels.astype(np.uint8).reshape(-1, 1, side, side)
    return make_dataset(path.stem, "a CSV file", None, *draw_test_images(images, labels))


def _flat_labels(path: Path, labels: NDArray[Any]) -> NDArray[np.int64]:
    flat = labels.reshape(len(labels), -1) if labels.ndim else labels.reshape(1, -1)
    if not np.issubdtype(labels.dtype, np.integer) or flat.shape[1] != 1:
        raise InputError(
            f"{path}: labels are {labels.dtype} of shape {labels.shape}",
            expected="one integer for each image",
            remedy="convert the labels",
        )
    return np.asarray(flat[:, 0], dtype=np.int64)
