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

__all__ = ["Dataset", "Split", "Task", "draw_split", "split_dataset"]

TEST_SUBSET_SEED: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a network is built for: the shape of its images and the number of classes."""

    shape: tuple[int, int, int]
    """Channels, height and width."""
    classes: int


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
    def task(self) -> Task:
        """What a network for these images is built for."""
        _, channels, height, width = self.train_images.shape
        return Task(shape=(channels, height, width), classes=len(self.classes))

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


def draw_split(dataset: Dataset, recipe: Recipe, seed: int) -> Split:
    """Draw the images that a recipe asks for.

    Raises:
        InputError: It asks for more than there are, or for too few to hold each class.

    """
    return split_dataset(
        dataset,
        validation_fraction=recipe.validation_fraction,
        seed=seed,
        train_images=recipe.train_images,
        test_images=recipe.test_images,
    )
