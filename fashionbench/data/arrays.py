"""Arrays of images and labels: brought to one form, checked, split, and made into a data set."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from fashionbench.data.dataset import Dataset, LabelledImages
from fashionbench.errors import InputError, visible

__all__ = [
    "CHANNELS",
    "DRAWN",
    "MAX_LABEL",
    "MISSING",
    "MOST_CLASSES",
    "NUMBER",
    "channels_first",
    "check_class_count",
    "check_memory",
    "is_name",
    "make_dataset",
    "most_unpacked",
    "name_labels",
    "scale_pixels",
]

FEWEST_CLASSES: Final = 2

MOST_CLASSES: Final = 256
"""A record stores each prediction in one byte."""

DRAWN: Final = "a fifth of each class was drawn for the test"
"""For readers, where the data have no test images."""

NAMES_SHOWN: Final = 5

CHANNELS: Final = (1, 3)

AXES_WITHOUT_CHANNELS: Final = 3

WHITE: Final = 255

NUMBER: Final = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)

MISSING: Final = frozenset({"", "nan", "na", "n/a", "#n/a", "null"})
"""How programs write that there is no value, in lower case."""

MAX_LABEL: Final = 2**53
"""Up to here a float holds each integer."""

BLOCK: Final = 1_000
"""Images that are compared at once."""

SHOWN: Final = 40
"""Characters of a wrong label that a message quotes."""

MEMORY_SHARE: Final = 0.5

FREE_BYTES: Final = 128 * 1024**2

MOST_TIMES: Final = 200
"""By which a compressed file may grow. Some are made to grow 1,000 times; drawings on an empty ground grow some 50."""

LONGEST_NAME: Final = 200

JOINERS: Final = re.compile("[\u200c\u200d\ufe0e\ufe0f\U000e0020-\U000e007f]")
"""Invisible, but part of words in Persian and Hindi and of emoji."""


def most_unpacked(stored: int) -> int:
    """Return how many bytes a file of ``stored`` bytes may become, so that a small one cannot fill the memory."""
    return max(FREE_BYTES, MOST_TIMES * stored)


def is_name(text: str) -> bool:
    """Return whether a class may have this name."""
    return 0 < len(text) <= LONGEST_NAME and JOINERS.sub("", text).isprintable()


def check_memory(where: str, count: int, stored: int | None = None) -> None:
    """Refuse images that would need more than half of this machine's memory, or far more than their files.

    Args:
        where: What contains them, for the message.
        count: The bytes that they need.
        stored: The bytes of their files; None where their size is the user's choice.

    Raises:
        InputError: ``count`` bytes are more than that.

    """
    if stored is not None and count > most_unpacked(stored):
        raise InputError(
            f"{where} needs {count / 1e6:,.0f} MB of memory, but its files have only {stored / 1e6:,.1f} MB",
            expected=f"at most {MOST_TIMES} times the size of its files",
            remedy="check where the files come from: they may be made to fill the memory",
        )
    memory = psutil.virtual_memory().total
    if count > MEMORY_SHARE * memory:
        raise InputError(
            f"{where} needs {count / 1e9:,.1f} GB of memory",
            expected=f"at most half of this machine's {memory / 1e9:,.1f} GB",
            remedy="use fewer images, or make those of a folder smaller with --image-size",
        )


def channels_first(images: NDArray[Any]) -> NDArray[Any]:
    """Return (N, H, W) or (N, H, W, C) as (N, C, H, W)."""
    return images[:, None] if images.ndim == AXES_WITHOUT_CHANNELS else np.moveaxis(images, 3, 1)


def scale_pixels(
    parts: Sequence[NDArray[Any]], where: Callable[[int, tuple[int, ...]], str], announce: Callable[[str], None]
) -> list[NDArray[np.uint8]]:
    """Return pixels as uint8: those from 0 to 255 as they are, and times 255 where the largest of all is at most 1.

    Args:
        parts: Arrays of numbers that are scaled alike, such as training and test images.
        where: Says in which place a value stands, from the index of its part and its index in there.
        announce: Called with a line where pixels are multiplied.

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
        announce("pixels from 0 to 1, multiplied by 255")
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
    values: dict[str, int | None] = {}
    for label in dict.fromkeys(labels):
        text = label.strip()
        is_number = NUMBER.fullmatch(text) is not None and abs(float(text)) < MAX_LABEL  # else two would become one
        if len(text) > LONGEST_NAME:  # NumPy would give each label the space of the longest
            raise InputError(
                f"{where(labels.index(label))} has a label of {len(text):,} letters",
                expected=f"1 to {LONGEST_NAME} letters that can be printed",
                remedy="rename the class",
            )
        if text.lower() in MISSING or (is_number and not float(text).is_integer()):
            raise InputError(
                f"{where(labels.index(label))} has the label {text[:SHOWN]!r}",
                expected="an integer or a name as the label of each image",
                remedy="complete or correct the labels",
            )
        # 007 is a name: as a number, it would be shown as 7
        values[label] = int(float(text)) if is_number and not re.match(r"[+-]?0\d", text) else None
    if None in values.values():
        return np.array([label.strip() for label in labels])
    return np.array([values[label] for label in labels], dtype=np.int64)


def make_dataset(  # noqa: PLR0913, PLR0917 - the parts of a data set, most of them in pairs
    name: str,
    source: str,
    classes: tuple[str, ...] | None,
    train: LabelledImages,
    test: LabelledImages,
    validation: LabelledImages | None = None,
) -> Dataset:
    """Check the halves against each other and return the data set.

    Args:
        name: The data set's name, for readers.
        source: Where it comes from, for readers.
        classes: A name for each class in the order of the labels; None: the labels themselves.
        train: Images (N, channels, height, width) and labels (N,) to train with. Labels may be any integers or names.
        test: The same to test with.
        validation: The same to validate with; None: drawn from the training images for each case.

    Raises:
        InputError: The halves do not fit each other, all images are equal, or the number of channels or classes is out
            of range.

    """
    halves = {"training": train, "test": test} | ({} if validation is None else {"validation": validation})
    for what, (images, labels) in halves.items():
        if len(images) != len(labels) or images.shape[1:] != train[0].shape[1:] or images.shape[1] not in CHANNELS:
            shape = " x ".join(map(str, images.shape[1:]))
            raise InputError(
                f"data set {name}: {len(images):,} {what} images of {shape} with {len(labels):,} labels",
                expected="one label for each image, one image size in all halves, and 1 or 3 channels",
                remedy="correct the data",
            )
    present = np.unique(train[1])
    check_class_count(name, len(present))
    _check_labels(name, present, halves)
    first = train[0][0]
    blocks = (images[start : start + BLOCK] for images, _ in halves.values() for start in range(0, len(images), BLOCK))
    if all((block == first).all() for block in blocks):
        raise InputError(
            f"data set {name}: all {sum(len(images) for images, _ in halves.values())} images are equal",
            expected="images that differ",
            remedy="look at the files: what you see in them may not be in their pixels",
        )
    arrays: dict[str, NDArray[np.uint8] | NDArray[np.int64]] = {}
    for what, (images, labels) in halves.items():
        arrays |= {f"{what} images": images, f"{what} labels": np.searchsorted(present, labels)}
    names = tuple(map(str, present.tolist())) if classes is None else classes
    if odd := [each for each in names if not is_name(each)]:
        raise InputError(
            f"data set {name}: a class has the name {odd[0][:LONGEST_NAME]!r}",
            expected=f"1 to {LONGEST_NAME} letters that can be printed",
            remedy="rename the class",
        )
    tensors = {key: torch.from_numpy(np.require(array, requirements=["C", "W"])) for key, array in arrays.items()}
    return Dataset(
        name=visible(name),
        release="",
        source=source,
        digests={key: hashlib.sha256(tensor.numpy().data).hexdigest() for key, tensor in tensors.items()},
        classes=names,
        train_images=tensors["training images"],
        train_labels=tensors["training labels"],
        test_images=tensors["test images"],
        test_labels=tensors["test labels"],
        validation_images=tensors.get("validation images"),
        validation_labels=tensors.get("validation labels"),
    )


def check_class_count(name: str, count: int) -> None:
    """Refuse a data set without two classes, or with more than a record can name.

    Raises:
        InputError: It has another number of classes.

    """
    if not FEWEST_CLASSES <= count <= MOST_CLASSES:
        raise InputError(
            f"data set {name}: {count:,} class{'es' if count != 1 else ''} in the training images",
            expected=f"{FEWEST_CLASSES} to {MOST_CLASSES}",
            remedy="use a part of the classes" if count > MOST_CLASSES else "check the labels",
        )


def _check_labels(name: str, present: NDArray[Any], halves: Mapping[str, LabelledImages]) -> None:
    known = {*present.tolist()}
    for what, (_, labels) in halves.items():
        found = {*np.unique(labels).tolist()}
        missing = known - found if what == "test" else set[Any]()
        only = [*(f"{each} is not in the {what} images" for each in sorted(missing))]
        only += [f"{each} is only in the {what} images" for each in sorted(found - known)]
        if only:
            raise InputError(
                f"data set {name}: class {', class '.join(only[:NAMES_SHOWN])}",
                expected=f"the same classes in training and {what} images",
                remedy="correct the labels, or remove the class",
            )
