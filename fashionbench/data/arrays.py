"""Arrays of images and labels: brought to one form, checked, split, and made into a data set."""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from fashionbench.data.dataset import Dataset
from fashionbench.errors import InputError

__all__ = [
    "CHANNELS",
    "MISSING",
    "MOST_CLASSES",
    "NUMBER",
    "channels_first",
    "check_memory",
    "draw_test_images",
    "make_dataset",
    "name_labels",
    "scale_pixels",
]

FEWEST_CLASSES: Final = 2

MOST_CLASSES: Final = 256
"""A record stores each prediction in one byte."""

TEST_FRACTION: Final = 0.2

SPLIT_SEED: Final = 0

CHANNELS: Final = (1, 3)

AXES_WITHOUT_CHANNELS: Final = 3

WHITE: Final = 255

NUMBER: Final = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)

MISSING: Final = frozenset({"", "nan", "na", "n/a", "#n/a", "null"})
"""How programs write that there is no value, in lower case."""

MEMORY_SHARE: Final = 0.5

Half = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Images (N, C, H, W) and labels (N,)."""


def check_memory(where: str, count: int) -> None:
    """Refuse images that would need more than half of this machine's memory.

    Raises:
        InputError: ``count`` bytes are more than that.

    """
    memory = psutil.virtual_memory().total
    if count > MEMORY_SHARE * memory:
        raise InputError(
            f"{where} needs {count / 1e9:,.1f} GB of memory",
            expected=f"at most half of this machine's {memory / 1e9:,.1f} GB",
            remedy="use fewer or smaller images",
        )


def channels_first(images: NDArray[Any]) -> NDArray[Any]:
    """Return (N, H, W) or (N, H, W, C) as (N, C, H, W)."""
    return images[:, None] if images.ndim == AXES_WITHOUT_CHANNELS else np.moveaxis(images, 3, 1)


def scale_pixels(
    parts: Sequence[NDArray[Any]], where: Callable[[int, tuple[int, ...]], str]
) -> list[NDArray[np.uint8]]:
    """Return pixels as uint8: those from 0 to 255 as they are, and times 255 where the largest of all is at most 1.

    Args:
        parts: Arrays of numbers that are scaled alike, such as training and test images.
        where: Says in which place a value stands, from the index of its part and its index in there.

    Raises:
        InputError: A value is negative, above 255, a fraction above 1, or no number.

    """
    if all(part.dtype == np.uint8 for part in parts):
        return [*parts]

    def refuse(wrongs: Iterable[NDArray[np.bool_]]) -> None:
        for place, wrong in enumerate(wrongs):
            if wrong.any():
                index = tuple(int(axis) for axis in np.unravel_index(np.argmax(wrong), wrong.shape))
                raise InputError(
                    f"{where(place, index)} is {parts[place][index]}",
                    expected="pixels that are integers from 0 to 255, or all of them numbers from 0 to 1",
                    remedy="scale the pixels to one of these ranges",
                )

    refuse(~((part >= 0) & (part <= WHITE)) for part in parts)  # true for what is not a number, too
    if max(part.max(initial=0) for part in parts) <= 1:
        return [np.rint(part * float(WHITE)).astype(np.uint8) for part in parts]
    refuse(part != part.astype(np.uint8) for part in parts)
    return [part.astype(np.uint8) for part in parts]


def name_labels(labels: Sequence[str], where: Callable[[int], str]) -> NDArray[Any]:
    """Return labels that were read as text: integers where all of them are, else names.

    Args:
        labels: As the file has them.
        where: Says in which place a label stands, from its index.

    Raises:
        InputError: A label is missing or is a fraction.

    """
    texts = [label.strip() for label in labels]
    values: dict[str, int | None] = {}
    for place, text in enumerate(texts):
        if text in values:
            continue
        is_number = NUMBER.fullmatch(text) is not None
        if text.lower() in MISSING or (is_number and not float(text).is_integer()):
            raise InputError(
                f"{where(place)} has the label {text!r}",
                expected="an integer or a name as the label of each image",
                remedy="complete or correct the labels",
            )
        # 007 is a name: as a number, it would be shown as 7
        values[text] = int(float(text)) if is_number and not re.match(r"[+-]?0\d", text) else None
    if None in values.values():
        return np.array(texts)
    return np.array([values[text] for text in texts], dtype=np.int64)


def draw_test_images(images: NDArray[np.uint8], labels: NDArray[Any]) -> tuple[Half, Half]:
    """Split images into training and test: a fifth of each class is for the test, the same each time.

    Raises:
        InputError: A class has too few images, or an image no label.

    """
    if len(images) != len(labels):
        raise InputError(
            f"{len(images):,} images with {len(labels):,} labels",
            expected="one label for each image",
            remedy="correct the data",
        )
    try:
        train, test = train_test_split(
            np.arange(len(labels)), test_size=TEST_FRACTION, stratify=labels, random_state=SPLIT_SEED
        )
    except ValueError as error:
        raise InputError(
            f"{len(labels)} images ({error})",
            expected="at least two images of each class, and five images for each class on average",
            remedy="add images",
        ) from error
    return (images[train], labels[train]), (images[test], labels[test])


def make_dataset(
    name: str,
    source: str,
    classes: tuple[str, ...] | None,
    train: tuple[NDArray[np.uint8], NDArray[Any]],
    test: tuple[NDArray[np.uint8], NDArray[Any]],
) -> Dataset:
    """Check the training and the test half against each other and return the data set.

    Args:
        name: The data set's name, for readers.
        source: Where it comes from, for readers.
        classes: A name for each class in the order of the labels; None: the labels themselves.
        train: Images (N, channels, height, width) and labels (N,) to train with. Labels may be any integers or names.
        test: The same to test with.

    Raises:
        InputError: The halves do not fit each other, all images are equal, or the number of channels or classes is out
            of range.

    """
    for what, (images, labels) in (("training", train), ("test", test)):
        if len(images) != len(labels) or images.shape[1:] != train[0].shape[1:] or images.shape[1] not in CHANNELS:
            shape = " x ".join(map(str, images.shape[1:]))
            raise InputError(
                f"data set {name}: {len(images):,} {what} images of {shape} with {len(labels):,} labels",
                expected="one label for each image, one image size in both halves, and 1 or 3 channels",
                remedy="correct the data",
            )
    present, test_present = np.unique(train[1]), np.unique(test[1])
    if len(present) > MOST_CLASSES or len(present) < FEWEST_CLASSES or {*present.tolist()} != {*test_present.tolist()}:
        raise InputError(
            f"data set {name}: {len(present)} classes in the training images, {len(test_present)} in the test images",
            expected=f"the same classes in both, {FEWEST_CLASSES} to {MOST_CLASSES}",
            remedy="correct the labels",
        )
    if all((images == train[0][:1]).all() for images, _ in (train, test)):
        raise InputError(
            f"data set {name}: all {len(train[0]) + len(test[0]):,} images are equal",
            expected="images that differ",
            remedy="look at the files: what you see in them may not be in their pixels",
        )
    names = tuple(map(str, present.tolist())) if classes is None else classes
    arrays: dict[str, NDArray[np.uint8] | NDArray[np.int64]] = {
        "training images": train[0],
        "training labels": np.searchsorted(present, train[1]),
        "test images": test[0],
        "test labels": np.searchsorted(present, test[1]),
    }
    tensors = {key: torch.from_numpy(np.require(array, requirements=["C", "W"])) for key, array in arrays.items()}
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
