"""Differences beyond gain and slowdown: by class, image by image, and in calibration."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy import stats

from fashionbench.judging.intervals import Correct, Z

__all__ = [
    "METRICS",
    "ClassDifference",
    "PairedOutcomes",
    "Reliability",
    "class_differences",
    "expected_calibration_error",
    "holm",
    "mcnemar_exact",
    "paired_outcomes",
]

BOOTSTRAP_SAMPLES: Final = 500

METRICS: Final = ("precision", "recall", "f1")


class ClassDifference(BaseModel):
    """The difference in one metric of one class, big minus small."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    metric: str
    class_index: int
    """The index of the class."""
    estimate: float
    low: float
    high: float
    adjusted_p: float
    """p value, adjusted by Holm's method for all classes and metrics."""


class PairedOutcomes(BaseModel):
    """Numbers of test images by which of the two models is right, as means over the seed pairs."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    both: float
    only_big: float
    only_small: float
    neither: float


class Reliability(BaseModel):
    """Accuracy of predictions in bins of confidence of equal width; empty bins are left out."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    error: float
    """Expected calibration error: mean gap between confidence and accuracy, weighted by images, in [0, 1]."""
    confidences: tuple[float, ...]
    accuracies: tuple[float, ...]
    counts: tuple[int, ...]


def paired_outcomes(big: Correct, small: Correct) -> PairedOutcomes:
    """Return on how many images both models, one or neither is right; (seeds, images) each, seeds paired."""
    seeds = len(big)
    return PairedOutcomes(
        both=float((big & small).sum() / seeds),
        only_big=float((big & ~small).sum() / seeds),
        only_small=float((~big & small).sum() / seeds),
        neither=float((~big & ~small).sum() / seeds),
    )


def mcnemar_exact(only_big: int, only_small: int) -> float:
    """Return the two-sided p value of McNemar's exact test; 1 if the models never differ."""
    if only_big + only_small == 0:
        return 1.0
    return float(stats.binomtest(only_big, only_big + only_small, 0.5).pvalue)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p values adjusted for multiple comparisons by Holm's step-down method (1979), in the given order."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    restored = np.empty_like(adjusted)
    restored[order] = adjusted
    return tuple(float(value) for value in restored)


def class_differences(
    labels: NDArray[np.integer], big: NDArray[np.integer], small: NDArray[np.integer], classes: int
) -> tuple[ClassDifference, ...]:
    """Return the difference in precision, recall and F1 of each class, big minus small, with its 95 % interval.

    The variance is the sum of two parts: over images (a paired bootstrap with a fixed seed) and over seeds. Each
    interval is for one comparison; the p values are adjusted for all of them by Holm's method.

    Args:
        labels: True classes, (images,).
        big: Predicted classes, (seeds, images).
        small: The same for the small model, images in the same order.
        classes: Number of classes.

    """
    weights = np.random.default_rng(0).multinomial(
        len(labels), np.full(len(labels), 1 / len(labels)), size=BOOTSTRAP_SAMPLES
    )
    once = np.ones((1, len(labels)))
    resampled = [_class_scores(weights.astype(np.float32), labels, each, classes) for each in (big, small)]
    measured = [_class_scores(once, labels, each, classes)[0] for each in (big, small)]  # (seeds, metrics, classes)
    estimates = measured[0].mean(axis=0) - measured[1].mean(axis=0)  # (metrics, classes)
    variances = (resampled[0].mean(axis=1) - resampled[1].mean(axis=1)).var(axis=0, ddof=1)
    if len(big) > 1:
        variances = variances + sum(each.var(axis=0, ddof=1) / len(each) for each in measured)
    errors = np.sqrt(variances)
    with np.errstate(divide="ignore", invalid="ignore"):
        p_values = np.nan_to_num(2 * stats.norm.sf(np.abs(estimates) / errors), nan=1.0)
    adjusted = np.reshape(holm(p_values.ravel().tolist()), estimates.shape)
    return tuple(
        ClassDifference(
            metric=metric,
            class_index=index,
            estimate=float(estimates[row, index]),
            low=float(estimates[row, index] - Z * errors[row, index]),
            high=float(estimates[row, index] + Z * errors[row, index]),
            adjusted_p=float(adjusted[row, index]),
        )
        for row, metric in enumerate(METRICS)
        for index in range(classes)
    )


def _class_scores(
    weights: NDArray[np.floating], labels: NDArray[np.integer], predictions: NDArray[np.integer], classes: int
) -> NDArray[np.float64]:
    """Return precision, recall and F1, (samples, seeds, metrics, classes), of images counted ``weights`` times."""
    every = np.arange(classes)
    truth = (labels[:, None] == every).astype(weights.dtype)  # (images, classes)
    support = weights @ truth
    scores = []
    for each in predictions:
        predicted = (each[:, None] == every).astype(weights.dtype)
        right, named = weights @ (predicted * truth), weights @ predicted
        scores.append(
            np.stack([_divide(right, named), _divide(right, support), _divide(2 * right, named + support)], axis=1)
        )
    return np.stack(scores, axis=1).astype(np.float64)


def _divide(part: NDArray[np.floating], whole: NDArray[np.floating]) -> NDArray[np.floating]:
    quotient: NDArray[np.floating] = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    return quotient


def expected_calibration_error(
    confidences: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 10
) -> Reliability:
    """Return the expected calibration error and its bins (Guo et al., 2017), of arrays of shape (images,)."""
    indices = np.minimum((confidences * bins).astype(int), bins - 1)
    counts = np.bincount(indices, minlength=bins)
    used = counts > 0
    confidence = np.bincount(indices, weights=confidences, minlength=bins)[used] / counts[used]
    accuracy = np.bincount(indices, weights=right, minlength=bins)[used] / counts[used]
    return Reliability(
        error=float((np.abs(confidence - accuracy) * counts[used]).sum() / counts.sum()),
        confidences=tuple(float(value) for value in confidence),
        accuracies=tuple(float(value) for value in accuracy),
        counts=tuple(int(value) for value in counts[used]),
    )
