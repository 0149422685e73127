"""The data set that ``--dataset`` names, by a name or by a path."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.utils import Bunch

from fashionbench.catalogue import DATASETS
from fashionbench.data.arrays import draw_test_images, make_dataset
from fashionbench.data.dataset import Dataset
from fashionbench.data.fashion_mnist import find_dataset
from fashionbench.data.overview import find_equal
from fashionbench.data.own.archive import load_npz
from fashionbench.data.own.folder import load_folder
from fashionbench.data.own.table import SUFFIXES, load_csv
from fashionbench.data.published import NAMED, load_published
from fashionbench.errors import InputError

__all__ = ["load_dataset"]

FASHION_MNIST: Final = DATASETS[0]


def load_dataset(  # noqa: PLR0913 - where data may come from, by keyword
    word: str,
    data: Path | None,
    *,
    environ: Mapping[str, str],
    cache: Path,
    announce: Callable[[str], None],
    allow_sample: bool = False,
) -> Dataset:
    """Find, read and check a data set.

    Args:
        word: A name or a path. Names: ``fashion-mnist``; ``mnist``, ``kmnist``, ``emnist`` or ``cifar10``;
            ``digits`` of scikit-learn. Paths: a folder with ``train`` and ``test``, each with one folder of images per
            class; an ``.npz``; a ``.csv``, see ``data/own``. Where there is no test split, a fifth of each class is
            drawn, the same each time.
        data: The folder of a data set that is given by name; None: the cache, where it is fetched if necessary.
        environ: The environment variables.
        cache: The folder where fetched files are kept.
        announce: Called with a line about each download.
        allow_sample: Accept a folder with a sample of Fashion-MNIST.

    Raises:
        InputError: The data do not exist, or have another form.
        SetupError: The data cannot be fetched.

    """
    if word == FASHION_MNIST:
        return find_dataset(data, environ=environ, cache=cache, announce=announce, allow_sample=allow_sample)
    started = time.perf_counter()
    path = Path(word)
    if word in NAMED:
        found = load_published(NAMED[word], data or cache / word, announce, download=data is None)
    elif word == "digits":
        digits = load_digits()
        halves = draw_test_images(_scale_digits(digits), digits.target)
        found = make_dataset("Digits of scikit-learn", "scikit-learn's copy", None, *halves)
    elif path.is_dir():
        found = load_folder(path, announce)
    elif path.name.lower().endswith(".npz"):
        found = load_npz(path, announce)
    elif path.name.lower().endswith(SUFFIXES):
        found = load_csv(path, announce)
    else:
        raise InputError(
            f"unknown dataset {word[:120]!r}",
            expected=f"one of {', '.join(DATASETS)}, or the path of a folder of images, an .npz or a .csv file",
            remedy="give --dataset one of those",
        )
    in_both = int(find_equal(found).in_both.sum())
    if in_both:
        announce(
            f"{in_both:,} of {len(found.test_labels):,} test images are training images, too: accuracies on them say "
            "nothing of new images"
        )
    return replace(found, read_seconds=time.perf_counter() - started)


def _scale_digits(digits: Bunch) -> NDArray[np.uint8]:
    """Return scikit-learn's digits, whose grey levels are 0 to 16, as (N, 1, 8, 8) of 0 to 255."""
    return np.asarray(np.rint(digits.images * (255 / 16)), dtype=np.uint8)[:, None]
