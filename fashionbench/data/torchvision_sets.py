"""MNIST, KMNIST, EMNIST and CIFAR-10, fetched and read by torchvision."""

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
"""Title and torchvision's class, by the name that ``--dataset`` takes."""


def load_from_torchvision(name: str, root: Path, announce: Callable[[str], None], *, download: bool) -> Dataset:
    """Read one of ``NAMED`` from a folder in torchvision's layout, and download it first with ``download``.

    Raises:
        SetupError: torchvision does not find it there, or cannot download it.

    """
    title, make = NAMED[name]
    if download:
        announce(f"{title}: from the cache, or downloaded by torchvision")
    try:
        halves = [make(root, train=part, download=download) for part in (True, False)]
    except (OSError, RuntimeError) as error:
        raise SetupError(
            f"no {title} ({' '.join(str(error).split())[:200]})",
            expected="torchvision to find or download it",
            remedy="check the network, or give a folder in torchvision's layout with --data PATH",
        ) from error
    classes = tuple(str(each) for each in halves[0].classes)
    train, test = ((channels_first(np.asarray(half.data)), np.asarray(half.targets)) for half in halves)
    return make_dataset(title, f"torchvision {torchvision.__version__}", classes, train, test)
