"""A data set by the word or path that --dataset takes."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from fashionbench.data.arrays import draw_test_images, make_dataset
from fashionbench.data.dataset import Dataset
from fashionbench.data.fashion_mnist import find_dataset
from fashionbench.data.own import load_csv, load_folder, load_npz
from fashionbench.data.torchvision_sets import NAMED, load_from_torchvision
from fashionbench.errors import InputError

__all__ = ["FASHION_MNIST", "load_dataset"]

FASHION_MNIST: Final = "fashion-mnist"


def load_dataset(  # noqa: PLR0913 - what data may come from, each named
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
        word: ``fashion-mnist``; ``mnist``, ``kmnist``, ``emnist`` or ``cifar10`` of torchvision, which fetches it;
            ``digits`` of scikit-learn; or a path: a folder with ``train`` and ``test``, each with a folder of images a
            class; an ``.npz`` of ``x_train``, ``y_train``, ``x_test`` and ``y_test``; a ``.csv`` whose rows are a label
            and the pixels of a square image. Where nobody parted the test images, a fifth is drawn, the same each time.
        data: Where the named ones lie in torchvision's layout; None: in the cache, fetched if need be.
        environ: The environment variables.
        cache: Where fetched files are kept.
        announce: Is told what is being done.
        allow_sample: Accept a sample of Fashion-MNIST.

    Raises:
        InputError: No such data, or not of this form.
        SetupError: It cannot be fetched.

    """
    if word == FASHION_MNIST:
        return find_dataset(data, environ=environ, cache=cache, announce=announce, allow_sample=allow_sample)
    started = time.perf_counter()
    path = Path(word)
    if word in NAMED:
        found = load_from_torchvision(word, data or cache / word, announce, download=data is None)
    elif word == "digits":
        bundled = load_digits()
        found = make_dataset(
            "Digits of scikit-learn", "scikit-learn's copy", None, *draw_test_images(_whole(bundled), bundled.target)
        )
    elif path.is_dir():
        found = load_folder(path)
    elif path.suffix == ".npz" and path.is_file():
        found = load_npz(path)
    elif path.suffix == ".csv" and path.is_file():
        found = load_csv(path)
    else:
        raise InputError(
            f"unknown dataset {word[:120]!r}",
            expected=f"{FASHION_MNIST}, {', '.join(NAMED)}, digits, or the path of a folder of images, an "
            ".npz or a .csv",
            remedy="mend the value of --dataset",
        )
    return replace(found, read_seconds=time.perf_counter() - started)


def _whole(bundled: Any) -> NDArray[np.uint8]:  # noqa: ANN401 - scikit-learn's Bunch
    """Return scikit-learn's digits, whose grey levels end at 16, as (N, 1, 8, 8)."""
    return np.asarray(np.rint(bundled.images * (255 / 16)), dtype=np.uint8)[:, None]
