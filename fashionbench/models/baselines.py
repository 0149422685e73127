"""Classical classifiers of scikit-learn behind the interface of a network."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import sklearn
import torch
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

__all__ = ["BASELINES", "Baseline", "evenly_spaced"]

LEAST_PROBABILITY: Final = 1e-7
"""Replaces 0, so that the loss stays finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    make: Callable[[int], Any]
    """Makes the estimator from a seed."""
    size: Callable[[Any], int]
    """Counts the numbers that the fitted estimator learned."""
    version: str = f"scikit-learn {sklearn.__version__}"


BASELINES: Final = MappingProxyType(
    {
        "dummy": _Kind(make=lambda _: DummyClassifier(strategy="most_frequent"), size=lambda _: 1),
        "logreg": _Kind(
            make=lambda _: LogisticRegression(),
            size=lambda fitted: fitted.coef_.size + fitted.intercept_.size,
        ),
        "forest": _Kind(
            make=lambda seed: RandomForestClassifier(n_jobs=torch.get_num_threads(), random_state=seed),
            size=lambda fitted: sum(tree.tree_.node_count for tree in fitted.estimators_),
        ),
    }
)
"""The most frequent class; logistic regression (lbfgs, at most 100 iterations); a random forest of 100 trees. All have
scikit-learn's defaults and run on the CPU, on pixels in [0, 1]."""


def evenly_spaced(count: int, images: int) -> Tensor:
    """Return at most ``count`` evenly spaced indices of images. A data set may list its images class by class."""
    return torch.linspace(0, images - 1, min(count, images)).long()


class Baseline(nn.Module):
    """An estimator that is fitted once to all images. Its log-probabilities serve as logits."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self._fitted: Any = None

    def fit(self, images: Tensor, labels: Tensor, seed: int) -> None:
        """Fit the estimator to images (N, C, H, W), uint8, and labels (N,)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the limit of iterations is intended
            self._fitted = BASELINES[self.name].make(seed).fit(_flatten(images.to(torch.float32) / 255), labels.numpy())

    @property
    def size(self) -> int:
        """How many numbers the fitted estimator learned; a node of a forest counts as one. 0 before it is fitted."""
        return 0 if self._fitted is None else int(BASELINES[self.name].size(self._fitted))

    def forward(self, images: Tensor) -> Tensor:
        """Return log-probabilities (N, classes) of images (N, C, H, W) in [0, 1]."""
        probabilities = torch.from_numpy(self._fitted.predict_proba(_flatten(images))).to(torch.float32)
        return probabilities.clamp(min=LEAST_PROBABILITY).log()


def _flatten(images: Tensor) -> NDArray[np.float32]:
    return np.asarray(images.flatten(1).numpy(), dtype=np.float32)
