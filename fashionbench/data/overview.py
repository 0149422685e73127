"""What a person wants to see of a data set before a training: classes, range, equal images, and a contact sheet."""

import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from fashionbench.data.dataset import Dataset
from fashionbench.errors import SetupError
from fashionbench.options.run import UNLIKE_CLASSES
from fashionbench.records.files import write_atomically

__all__ = ["EqualImages", "describe", "find_equal", "find_peculiarities", "write_preview"]

PREVIEW_IMAGES: Final = 10
"""Of each class on a contact sheet."""

TILE: Final = 64
"""Pixels of the longer side of an image on a contact sheet; larger images are made smaller, smaller ones enlarged."""

GAP: Final = 4

NAME_WIDTH: Final = 160

NAME_CHARACTERS: Final = 20

FONT_SIZE: Final = 14


DARK: Final = 127
"""Images without a brighter pixel fill less than half of the range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualImages:
    """Which images have exactly the pixels of another one."""

    repeated_in_training: NDArray[np.bool_]
    """Whether a training image equals an earlier training image."""
    repeated_in_test: NDArray[np.bool_]
    """Whether a test image equals an earlier test image."""
    in_both: NDArray[np.bool_]
    """Whether a test image is a training image, too."""
    differing_labels: int
    """How many images equal one with another label."""


def find_equal(dataset: Dataset) -> EqualImages:
    """Compare all images of a data set by their digests."""
    train, test = _digest_each(dataset.train_images), _digest_each(dataset.test_images)
    labels: defaultdict[bytes, Counter[int]] = defaultdict(Counter)
    for digests, each in ((train, dataset.train_labels), (test, dataset.test_labels)):
        for digest, label in zip(digests, each.tolist(), strict=True):
            labels[digest][label] += 1
    known = {*train}
    return EqualImages(
        repeated_in_training=_find_repeated(train),
        repeated_in_test=_find_repeated(test),
        in_both=np.array([digest in known for digest in test], bool),
        differing_labels=sum(counts.total() for counts in labels.values() if len(counts) > 1),
    )


def find_peculiarities(dataset: Dataset) -> list[str]:
    """Return a line on each thing that makes the accuracy mean less than it seems."""
    found = []
    if in_both := int(find_equal(dataset).in_both.sum()):
        found.append(
            f"{in_both:,} of {len(dataset.test_labels):,} test images are training images, too: accuracies on them say "
            "nothing of new images"
        )
    counts = dataset.train_labels.bincount()
    least, most = int(counts.argmin()), int(counts.argmax())
    if counts[most] > UNLIKE_CLASSES * counts[least]:
        found.append(
            f"Classes are unlike: {dataset.classes[most]} has {counts[most]:,} training images, "
            f"{dataset.classes[least]} has {counts[least]:,}. Accuracy is mostly that of large classes; --score "
            "balanced compares balanced accuracy, which counts all classes alike"
        )
    highest = int(max(dataset.train_images.max(), dataset.test_images.max()))
    if highest <= DARK:
        found.append(f"The brightest pixel is {highest} of 255: check the range of the pixels")
    return found


def describe(dataset: Dataset) -> list[str]:
    """Return lines on a data set: what it is, its classes with their counts, equal images, and its digests."""
    images = {"training": dataset.train_images, "validation": dataset.validation_images, "test": dataset.test_images}
    there = {what: each for what, each in images.items() if each is not None}
    channels, height, width = dataset.task.shape
    lowest = min(int(each.min()) for each in there.values())
    highest = max(int(each.max()) for each in there.values())
    return [
        dataset.described,
        " and ".join(", ".join(f"{len(each):,} {what}" for what, each in there.items()).rsplit(", ", 1)) + " images",
        f"{height} x {width} pixels in {'grey' if channels == 1 else 'colour'}, values from {lowest} to {highest}",
        *_count_classes(dataset),
        *(f"{name}  sha256 {digest}" for name, digest in dataset.digests.items()),
    ]


def write_preview(dataset: Dataset, path: Path, find_font: Callable[[str], Path]) -> None:
    """Write a contact sheet as PNG: a row of training images for each class.

    Args:
        dataset: The images.
        path: The file to write.
        find_font: Returns a font with the letters of a name.

    Raises:
        SetupError: The file cannot be written.

    """
    _, height, width = dataset.task.shape
    scale = TILE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    step_right, step_down = size[0] + GAP, size[1] + GAP
    sheet = Image.new(
        "RGB", (NAME_WIDTH + PREVIEW_IMAGES * step_right, len(dataset.classes) * step_down + GAP), "white"
    )
    draw = ImageDraw.Draw(sheet)
    for label, name in enumerate(dataset.classes):
        top = GAP + label * step_down
        words = f"{label}  {name[:NAME_CHARACTERS]}"
        draw.text((GAP, top + size[1] // 2), words, fill="black", font=_open_font(find_font(words)), anchor="lm")
        for place, index in enumerate(_choose(dataset.train_labels.numpy() == label)):
            pixels = np.moveaxis(dataset.train_images[index].numpy(), 0, -1)  # (H, W, channels)
            tile = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
            sheet.paste(tile.resize(size, how), (NAME_WIDTH + place * step_right, top))
    stream = io.BytesIO()
    sheet.save(stream, "PNG")
    try:
        write_atomically(path, stream.getvalue())
    except OSError as error:
        raise SetupError(
            f"file {path} cannot be written ({error.strerror})",
            expected="a folder that can be written",
            remedy="choose another file with --preview",
        ) from error


def _open_font(path: Path) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    try:
        return ImageFont.truetype(path, FONT_SIZE)
    except OSError:  # fonts of emoji may have pictures of other sizes only
        return ImageFont.load_default(FONT_SIZE)


def _choose(is_of_class: NDArray[np.bool_]) -> list[int]:
    """Return the indices of some images of a class, evenly spaced."""
    indices = np.flatnonzero(is_of_class)
    places = np.linspace(0, len(indices) - 1, min(PREVIEW_IMAGES, len(indices))).round().astype(int)
    return [int(index) for index in indices[places]]


def _digest_each(images: Tensor) -> list[bytes]:
    return [hashlib.blake2b(image, digest_size=16).digest() for image in images.contiguous().numpy()]


def _find_repeated(digests: list[bytes]) -> NDArray[np.bool_]:
    first = {digest: place for place, digest in reversed([*enumerate(digests)])}
    return np.array([first[digest] != place for place, digest in enumerate(digests)], bool)


def _count_classes(dataset: Dataset) -> list[str]:
    """Return a table with a line for each class and one for all."""
    equal = find_equal(dataset)
    train, test = dataset.train_labels.numpy(), dataset.test_labels.numpy()
    own = {} if dataset.validation_labels is None else {"validation": dataset.validation_labels.numpy()}
    counted = {"training": train} | own | {"test": test}
    repeated = {
        "repeated in training": train[equal.repeated_in_training],
        "repeated in test": test[equal.repeated_in_test],
        "in both": test[equal.in_both],
    }
    has_equal = any(len(labels) for labels in repeated.values())
    columns = {f"{head:>8}": labels for head, labels in (counted | repeated if has_equal else counted).items()}
    width = max(len("class"), *map(len, dataset.classes))
    lines = ["  ".join([f"{'class':{width}}", *columns])]
    for label, name in [*enumerate(dataset.classes), (None, "all")]:
        counts = [len(labels) if label is None else int((labels == label).sum()) for labels in columns.values()]
        cells = [f"{count:{len(head)},}" for count, head in zip(counts, columns, strict=True)]
        lines.append("  ".join([f"{name:{width}}", *cells]))
    if not has_equal:
        return [*lines, "No two images are equal."]
    return [
        *lines,
        "Repeated: equal to an earlier image. In both: test images that are training images, too.",
        *([f"{equal.differing_labels:,} images equal one with another label."] if equal.differing_labels else []),
    ]
