"""CSV files of scikit-learn's digits: written in any form, and read back as counts of images and labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from fashionbench.data.arrays import DRAWN
from fashionbench.data.dataset import AS_STORED, Dataset, Reading
from fashionbench.data.own.tables.table import load_table
from fashionbench.errors import InputError

DIGITS = load_digits()
IMAGES = np.rint(DIGITS.images[:100] * 255 / 16).astype(np.uint8)  # (100, 8, 8)
LABELS = DIGITS.target[:100]
NAMES = [f"pixel{number}" for number in range(64)]
PIXELS = IMAGES.reshape(-1, 64)


def write(
    path: Path,
    columns: Sequence[NDArray[Any]],
    names: Sequence[str] | None,
    separator: str = ",",
    *,
    form: str = "{}",
) -> Path:
    """Write columns of any kind next to each other, with a header where there are names."""
    table = np.column_stack([column.astype(object) for column in columns])
    lines = [separator.join(names)] if names else []
    path.write_text("\n".join([*lines, *(separator.join(form.format(cell) for cell in row) for row in table)]) + "\n")
    return path


def read(path: Path, reading: Reading = AS_STORED) -> tuple[dict[tuple[str, bytes], int], list[str]]:
    """Return how often each image and label was read, whichever half it is in, and what was said but of the draw."""
    said: list[str] = []
    return count(load_table(path, said.append, reading)), [line for line in said if not line.endswith(DRAWN)]


def count(found: Dataset) -> dict[tuple[str, bytes], int]:
    counts: dict[tuple[str, bytes], int] = {}
    for images, labels in ((found.train_images, found.train_labels), (found.test_images, found.test_labels)):
        for image, label in zip(images.numpy(), labels.tolist(), strict=True):
            key = (found.classes[label], image.tobytes())
            counts[key] = counts.get(key, 0) + 1
    return counts


def expected(images: NDArray[np.uint8] = IMAGES, labels: Sequence[object] | NDArray[Any] = LABELS) -> dict[Any, int]:
    counts: dict[tuple[str, bytes], int] = {}
    for image, label in zip(images, labels, strict=True):
        key = (str(label), image.tobytes())
        counts[key] = counts.get(key, 0) + 1
    return counts


def refusal(path: Path, reading: Reading = AS_STORED) -> str:
    with pytest.raises(InputError) as refused:
        read(path, reading)
    return str(refused.value)
