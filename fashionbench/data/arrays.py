"""Arrays of images and labels checked and made into a data set."""

import hashlib
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from fashionbench.data.dataset import Dataset
from fashionbench.errors import InputError

__all__ = ["channels_first", "draw_test_images", "make_dataset"]

MOST_CLASSES: Final = 256
"""A prediction is kept in a byte."""

TEST_FRACTION: Final = 0.2

SPLIT_SEED: Final = 0

CHANNELS: Final = (1, 3)

Half = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Images (N, C, H, W) and labels (N,)."""


def channels_first(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (N, H, W) or (N, H, W, C) as (N, C, H, W)."""
    return images[:, None] if images.ndim == 3 else np.moveaxis(images, 3, 1)  # noqa: PLR2004 - no axis of channels


def draw_test_images(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> tuple[Half, Half]:
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


def make_dataset(name: str, source: str, classes: tuple[str, ...] | None, train: Half, test: Half) -> Dataset:
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
