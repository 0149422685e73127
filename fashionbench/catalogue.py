"""The facts about named models, data sets and releases of Fashion-MNIST, each once. Imports no torch."""

from dataclasses import dataclass
from pathlib import PurePath
from types import MappingProxyType
from typing import Final

__all__ = [
    "CATALOGUE",
    "CURRENT_RELEASE",
    "DATASETS",
    "OLDER_RELEASE",
    "STUDY_MODELS",
    "NamedModel",
    "is_baseline",
    "model_label",
    "release_label",
]

STUDY_MODELS: Final = ("fashioncnn", "resnet18")
"""The models that the study compares, the small one first; the default of a run."""

DATASETS: Final = ("fashion-mnist", "mnist", "kmnist", "emnist", "cifar10", "digits")
"""The data sets that have a name, the study's first; ``data/load.py`` reads each."""

CURRENT_RELEASE: Final = "current (31 Aug 2017)"
"""Of Fashion-MNIST: zalandoresearch/fashion-mnist commit 658ec8c, which torchvision, Keras, Hugging Face and Debian
distribute, and to which published results refer."""

OLDER_RELEASE: Final = "older draw (26 Aug 2017)"
"""Of Fashion-MNIST: commit 9490065, Kaggle's CSV. Some of its training images are test images of the current one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedModel:
    """What is known about a model before it is built."""

    label: str
    """Its name for readers."""
    appearance: int | None = None
    """Number of its colour, marker and hatch in all reports (``report/figures/style.py``); None: the next free one."""
    is_baseline: bool = False
    """Whether it is a classical estimator, which has no training steps and runs on the CPU only."""
    expected_accuracy: tuple[float, float] | None = None
    """Range of published test accuracies of such networks, for the study recipe on the current data."""


CATALOGUE: Final = MappingProxyType(
    {
        "fashioncnn": NamedModel(label="FashionCNN", appearance=0, expected_accuracy=(0.91, 0.935)),
        "resnet18": NamedModel(label="ResNet18", appearance=1, expected_accuracy=(0.90, 0.935)),
        "dummy": NamedModel(label="Most frequent class", is_baseline=True),
        "logreg": NamedModel(label="Logistic regression", is_baseline=True),
        "forest": NamedModel(label="Random forest", is_baseline=True),
    }
)
"""By name, as in ``--models``; ``models/registry.py`` builds them."""


def model_label(model: str) -> str:
    """Return the name of a model for readers: its label, or the name given with ``--models``."""
    network, at, weights = model.partition("@")
    label = CATALOGUE[network].label if network in CATALOGUE else network.removeprefix("torchvision:")
    return f"{label}{at}{PurePath(weights).name}"


def is_baseline(model: str) -> bool:
    """Say whether a model is a classical baseline."""
    return model in CATALOGUE and CATALOGUE[model].is_baseline


def release_label(release: str) -> str:
    """Return the name of a release for readers; "current" would say less with every year."""
    return {CURRENT_RELEASE: "release of 31 Aug 2017", OLDER_RELEASE: "older draw of 26 Aug 2017"}.get(release, release)
