"""Differences beyond gain and slowdown: by class, image by image, and in calibration."""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy import stats

from fashionbench.judging.statistics.intervals import CONFIDENCE, Correct, half_width, satterthwaite

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

METRICS: Final = MappingProxyType({"precision": (1, 0), "recall": (0, 1), "f1": (1, 1)})
"""By name: how much an image counts in the denominator because it is named so, and because it is of the class."""


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

    The intervals are made as the gain's: t intervals of a variance over seeds and one over paired test images, in which
    the chance that a seed is right on an image is counted once, with Satterthwaite's degrees of freedom. The variance
    over images is that of the influence of each image on the score (the delta method). Each interval is for one
    comparison; the p values are adjusted for all of them by Holm's method.

    Args:
        labels: True classes, (images,).
        big: Predicted classes, (seeds, images).
        small: The same for the small model, images in the same order.
        classes: Number of classes.

    """
    found = [
        (metric, index, *_difference(weights, labels == index, big == index, small == index))
        for metric, weights in METRICS.items()
        for index in range(classes)
    ]
    adjusted = holm([p_value for *_, p_value in found])
    return tuple(
        ClassDifference(
            metric=metric,
            class_index=index,
            estimate=estimate,
            low=estimate - half,
            high=estimate + half,
            adjusted_p=each,
        )
        for (metric, index, estimate, half, _), each in zip(found, adjusted, strict=True)
    )


def _difference(
    weights: tuple[int, int], is_class: NDArray[np.bool_], big: NDArray[np.bool_], small: NDArray[np.bool_]
) -> tuple[float, float, float]:
    """Return a difference in one score of one class, the half-width of its interval, and its p value.

    Args:
        weights: How much a named image and one of the class count in the score's denominator.
        is_class: Whether an image is of the class, (images,).
        big: Whether it is named so, (seeds, images).
        small: The same for the small model.

    """
    counted = is_class | big.any(axis=0) | small.any(axis=0)  # the others change nothing
    sides = [_score(weights, is_class[counted], each[:, counted]) for each in (big, small)]
    seeds, many = len(big), max(1, int(counted.sum()) - 1)
    (big_scores, big_influence, _), (small_scores, small_influence, _) = sides
    estimate = float(big_scores.mean() - small_scores.mean())
    image_part = float(((big_influence.mean(axis=0) - small_influence.mean(axis=0)) ** 2).sum())
    parts, freedoms = [], []
    for scores, influence, _ in sides if seeds > 1 else ():
        variance, chance = float(scores.var(ddof=1)), float(influence.var(axis=0, ddof=1).sum())
        # a few seeds may vary less than by chance alone, which is known better, from all images
        parts.append(max(variance, chance) / seeds)
        freedoms.append(seeds - 1 if variance > chance else many)
        image_part -= chance / seeds
    resolution = max(resolution for _, _, resolution in sides)
    error, freedom = satterthwaite([*parts, max(0.0, image_part)], [*freedoms, many], resolution)
    if error == 0:  # no image is of this class, or named so
        return estimate, 0.0, 1.0
    p_value = float(2 * stats.t.sf(abs(estimate) / error, freedom))
    return estimate, half_width(error, freedom, CONFIDENCE), p_value


def _score(
    weights: tuple[int, int], is_class: NDArray[np.bool_], named: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return a score for each seed, (seeds,), the influence of each image on it, (seeds, images), and its resolution.

    All three scores are a number of images that are right over a weighted number of images that count. An influence is
    the derivative with respect to an image's weight, and the resolution is what one more right image would change.
    """
    right = sum(weights) * (named & is_class)
    counts = weights[0] * named + weights[1] * is_class
    whole = counts.sum(axis=1)
    scores = _divide(right.sum(axis=1), whole)
    influence = _divide(right - scores[:, None] * counts, np.broadcast_to(whole[:, None], right.shape))
    return scores, influence, float(_divide(np.full(whole.shape, sum(weights)), whole).max())


def _divide(part: NDArray[np.floating | np.integer], whole: NDArray[np.integer]) -> NDArray[np.float64]:
    quotient: NDArray[np.float64] = np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)
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
