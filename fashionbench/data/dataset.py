"""A data set in memory, and its split into training, validation and test images."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from torch import Tensor

from fashionbench.errors import InputError
from fashionbench.recipe import Recipe

__all__ = ["Dataset", "Split", "Task", "draw_split"]

TEST_SUBSET_SEED: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a network is built for: the shape of its images and the number of classes."""

    shape: tuple[int, int, int]
    """Channels, height and width."""
    classes: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """All images and labels, in memory, on the CPU."""

    name: str
    release: str
    """Which edition of a data set that has several; else empty."""
    source: str
    """Where it comes from, for readers; without a path of this machine."""
    digests: Mapping[str, str]
    """SHA-256 of each decompressed IDX file of Fashion-MNIST, or of each array of another data set."""
    classes: tuple[str, ...]
    """Their names, in the order of the labels."""
    train_images: Tensor
    """(N, channels, height, width), uint8."""
    train_labels: Tensor
    """(N,), int64."""
    test_images: Tensor
    test_labels: Tensor
    read_seconds: float = 0.0
    """Time to find, fetch, verify and decode it."""

    @property
    def task(self) -> Task:
        """The task of a network for these images."""
        _, channels, height, width = self.train_images.shape
        return Task(shape=(channels, height, width), classes=len(self.classes))

    @property
    def described(self) -> str:
        """Name, release and source in one line."""
        return ", ".join(word for word in (self.name, self.release, f"from {self.source}") if word)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the tensors by value: PyTorch would use shared memory, of which containers have little."""
        fields = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return _unpack_dataset, (
            {name: value.numpy() if isinstance(value, Tensor) else value for name, value in fields.items()},
        )


def _unpack_dataset(fields: dict[str, Any]) -> Dataset:
    tensors = {name: torch.from_numpy(value) for name, value in fields.items() if isinstance(value, np.ndarray)}
    return Dataset(**{**fields, **tensors})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """The images of one training, uint8 (N, channels, height, width), and their labels, int64 (N,)."""

    train_images: Tensor
    train_labels: Tensor
    validation_images: Tensor
    validation_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


def draw_split(dataset: Dataset, recipe: Recipe, seed: int) -> Split:
    """Draw the images that a recipe asks for, stratified by class (scikit-learn's train_test_split).

    Args:
        dataset: All images.
        recipe: How many images to train and test with, and which fraction of the former is for validation.
        seed: Decides which images train and which validate; the test images are the same for every seed.

    Raises:
        InputError: The recipe asks for more images than there are, or for too few to have some of each class.

    """
    train = _draw(dataset.train_labels, recipe.train_images, seed, "train_images")
    test = _draw(dataset.test_labels, recipe.test_images, TEST_SUBSET_SEED, "test_images")
    try:
        trained, validated = train_test_split(
            train,
            test_size=recipe.validation_fraction,
            stratify=dataset.train_labels[train].numpy(),
            random_state=seed,
        )
    except ValueError as error:
        raise InputError(
            f"validation_fraction {recipe.validation_fraction} of {len(train)} training images ({error})",
            expected="a fraction that leaves images of each class on both sides",
            remedy="change validation_fraction in the recipe",
        ) from error
    return Split(
        train_images=dataset.train_images[trained],
        train_labels=dataset.train_labels[trained],
        validation_images=dataset.train_images[validated],
        validation_labels=dataset.train_labels[validated],
        test_images=dataset.test_images[test],
        test_labels=dataset.test_labels[test],
    )


def _draw(labels: Tensor, count: int | None, seed: int, field: str) -> NDArray[np.int64]:
    """Return the indices of ``count`` images, stratified by class; None: of all."""
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
