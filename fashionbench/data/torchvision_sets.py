"""MNIST, KMNIST, EMNIST and CIFAR-10, as torchvision keeps them."""

from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import torchvision
from torchvision import datasets

from fashionbench.data.arrays import channels_first, make_dataset
from fashionbench.data.dataset import Dataset
from fashionbench.errors import SetupError

__all__ = ["NAMED", "load_from_torchvision"]

NAMED: Final = MappingProxyType[str, tuple[str, Callable[..., Any]]](
    {
        "mnist": ("MNIST", datasets.MNIST),
        "kmnist": ("KMNIST", datasets.KMNIST),
        "emnist": ("EMNIST balanced", lambda *args, **options: datasets.EMNIST(*args, split="balanced", **options)),
        "cifar10": ("CIFAR-10", datasets.CIFAR10),
    }
)
"""Torchvision's, by the word that ``--dataset`` takes."""


def load_from_torchvision(word: str, root: Path, announce: Callable[[str], None], *, download: bool) -> Dataset:
    """Read one of ``NAMED`` from a folder in torchvision's layout, downloaded if asked for.

    Raises:
        SetupError: torchvision neither finds nor downloads it.

    """
    name, make = NAMED[word]
    if download:
        announce(f"{name}: from the cache, or fetched by torchvision")
    try:
        halves = [make(root, train=part, download=download) for part in (True, False)]
    except (OSError, RuntimeError) as error:
        raise SetupError(
            f"no {name} ({' '.join(str(error).split())[:200]})",
            expected="torchvision to find or fetch it",
            remedy="check the network, or give a folder in torchvision's layout with --data PATH",
        ) from error
    classes = tuple(str(each) for each in halves[0].classes)
    train, test = ((channels_first(np.asarray(half.data)), np.asarray(half.targets)) for half in halves)
    return make_dataset(name, f"torchvision {torchvision.__version__}", classes, train, test)
