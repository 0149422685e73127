"""Arrays of images and labels: checked, split into training and test, and made into a data set."""

import hashlib
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from fashionbench.data.dataset import Dataset
from fashionbench.errors import InputError

__all__ = ["channels_first", "draw_test_images", "make_dataset"]

FEWEST_CLASSES: Final = 2

MOST_CLASSES: Final = 256
"""A record stores each prediction in one byte."""

TEST_FRACTION: Final = 0.2

SPLIT_SEED: Final = 0

CHANNELS: Final = (1, 3)

AXES_WITHOUT_CHANNELS: Final = 3

Half = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Images (N, C, H, W) and labels (N,)."""


def channels_first(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (N, H, W) or (N, H, W, C) as (N, C, H, W)."""
    return images[:, None] if images.ndim == AXES_WITHOUT_CHANNELS else np.moveaxis(images, 3, 1)


def draw_test_images(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> tuple[Half, Half]:
    """Split images into training and test: a fifth of each class is for the test, the same each time.

    Raises:
        InputError: A class has too few images.

    """
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


def make_dataset(name: str, source: str, classes: tuple[str, ...] | None, train: Half, test: Half) -> Dataset:
    """Check the training and the test half against each other and return the data set.

    Args:
        name: The data set's name, for readers.
        source: Where it comes from, for readers.
        classes: A name for each class in the order of the labels; None: the labels themselves.
        train: Images (N, channels, height, width) and labels (N,) to train with. Labels may be any integers.
        test: The same to test with.

    Raises:
        InputError: The halves do not fit each other, or the number of channels or classes is out of range.

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
