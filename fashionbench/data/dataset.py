"""A data set in memory, how it is read, and its split into training, validation and test images."""

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from torch import Tensor

from fashionbench.errors import InputError
from fashionbench.options.option import Fit, Given
from fashionbench.options.run import FIT, IMAGE_SIZE, LABEL_COLUMN, TEST
from fashionbench.recipe.fields import Recipe

__all__ = [
    "AS_STORED",
    "Dataset",
    "LabelledImages",
    "Reading",
    "Split",
    "Task",
    "count_images",
    "draw_split",
    "draw_test_images",
    "draw_test_places",
    "hide_test_images",
    "name_small_classes",
]

TEST_SUBSET_SEED: Final = 0

TEST_FRACTION: Final = 0.2

SPLIT_SEED: Final = 0

FEWEST_OF_A_CLASS: Final = 5
"""From so many, a fifth can be drawn."""

LabelledImages = tuple[NDArray[np.uint8], NDArray[Any]]
"""Images (N, C, H, W) and labels (N,), which may be any integers or names."""

MOST_CLASSES_NAMED: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a network is built for: the shape of its images and the number of classes."""

    shape: tuple[int, int, int]
    """Channels, height and width."""
    classes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the user decides about the reading of images."""

    image_size: tuple[int, int] | None = None
    """Height and width; None: as stored, or found by a rule where the images have several sizes."""
    fit: Fit = "crop"
    """How an image of another shape is brought to that size."""
    label_column: str | None = None
    """Of a table: the name of the column, or its number from 1; None: found by its name."""
    test: Path | None = None
    """A table of the test images; None: found next to the training images, or drawn from them."""

    @classmethod
    def read(cls, given: Given) -> Self:
        """Read the options.

        Raises:
            InputError: A text that its option does not take.

        """
        return cls(
            image_size=IMAGE_SIZE.read(given),
            fit=FIT.read(given),
            label_column=LABEL_COLUMN.read(given),
            test=TEST.read(given),
        )


AS_STORED: Final = Reading()


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
    validation_images: Tensor | None = None
    """None: drawn from the training images by the seed of each case."""
    validation_labels: Tensor | None = None
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


def count_images(dataset: Dataset, recipe: Recipe) -> tuple[int, int, int]:
    """Return the numbers of images that ``draw_split`` gives: to train, to validate and to test with."""
    train = recipe.train_images or len(dataset.train_images)
    test = recipe.test_images or len(dataset.test_images)
    if dataset.validation_images is not None:
        return train, len(dataset.validation_images), test
    validation = math.ceil(train * recipe.validation_fraction)  # as scikit-learn rounds
    return train - validation, validation, test


def draw_split(dataset: Dataset, recipe: Recipe, seed: int) -> Split:
    """Draw the images that a recipe asks for, stratified by class (scikit-learn's train_test_split).

    A data set with validation images of its own keeps them.

    Args:
        dataset: All images.
        recipe: How many images to train and test with, and which fraction of the former is for validation.
        seed: Decides which images train and which validate; the test images are the same for every seed.

    Raises:
        InputError: The recipe asks for more images than there are, or for too few to have some of each class.

    """
    train = _draw(dataset.train_labels, recipe.train_images, seed, "train_images")
    test = _draw(dataset.test_labels, recipe.test_images, TEST_SUBSET_SEED, "test_images")
    if dataset.validation_images is None or dataset.validation_labels is None:
        train, validated = _draw_validation(dataset, train, recipe, seed)
        validation_images, validation_labels = dataset.train_images[validated], dataset.train_labels[validated]
    else:
        validation_images, validation_labels = dataset.validation_images, dataset.validation_labels
    return Split(
        train_images=dataset.train_images[train],
        train_labels=dataset.train_labels[train],
        validation_images=validation_images,
        validation_labels=validation_labels,
        test_images=dataset.test_images[test],
        test_labels=dataset.test_labels[test],
    )


def name_small_classes(labels: Sequence[str], least: int) -> str:
    """Return the classes that have fewer than ``least`` images, with their counts; empty if there is none."""
    few = sorted((count, name) for name, count in Counter(labels).items() if count < least)
    named = [f"class {name!r} has {count} image{'s' if count > 1 else ''}" for count, name in few[:MOST_CLASSES_NAMED]]
    more = len(few) - len(named)
    return ", ".join([*named, *([f"and {more:,} more classes have so few"] if more else [])])


def _draw_validation(
    dataset: Dataset, train: NDArray[np.int64], recipe: Recipe, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split the indices of training images into those that train and those that validate."""
    labels = dataset.train_labels[train].numpy()
    try:
        trained, validated = train_test_split(
            train, test_size=recipe.validation_fraction, stratify=labels, random_state=seed
        )
    except ValueError as error:
        small = name_small_classes([dataset.classes[label] for label in labels], 2)
        raise InputError(
            f"validation_fraction {recipe.validation_fraction} of {len(train)} training images ({small or error})",
            expected="images of each class to train and to validate with, two of each at least",
            remedy="add images of that class, or remove the class"
            if small
            else "change validation_fraction in the recipe",
        ) from error
    return trained, validated


def hide_test_images(dataset: Dataset, recipe: Recipe, seed: int) -> Dataset:
    """Return a data set whose test images are the validation images of a seed's split: what a trial is scored on."""
    split = draw_split(dataset, recipe, seed)
    return dataclasses.replace(
        dataset,
        test_images=split.validation_images,
        test_labels=split.validation_labels,
        digests={**dataset.digests, "scored on": f"the validation images of seed {seed}"},
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


def draw_test_images(images: NDArray[np.uint8], labels: NDArray[Any]) -> tuple[LabelledImages, LabelledImages]:
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
    train, test = draw_test_places(labels)
    return (images[train], labels[train]), (images[test], labels[test])


def draw_test_places(labels: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places of the labels that are for training, and of the fifth of each class that is for the test.

    Raises:
        InputError: A class has too few images.

    """
    reason: object = "no image of some class is in it"
    try:
        train, test = train_test_split(
            np.arange(len(labels)), test_size=TEST_FRACTION, stratify=labels, random_state=SPLIT_SEED
        )
        if {*labels[train].tolist()} == {*labels[test].tolist()}:
            return train, test
    except ValueError as error:
        reason = error
    small = name_small_classes([*map(str, labels.tolist())], FEWEST_OF_A_CLASS)
    raise InputError(
        f"a fifth of {len(labels):,} images cannot be drawn for the test: {small or reason}",
        expected="five images of each class or more",
        remedy="add images of that class, remove the class, or give test images of your own",
    )
