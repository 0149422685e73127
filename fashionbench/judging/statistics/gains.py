"""The difference in accuracy or in balanced accuracy: its interval, and how many seeds would narrow it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fashionbench.judging.statistics.intervals import (
    ASSUMED_SEED_SPREAD,
    CONFIDENCE,
    Correct,
    GainProbabilities,
    Interval,
    correct_predictions,
    describe_confidence,
    half_width,
    satterthwaite,
    wilson_interval,
)
from fashionbench.options.option import Score
from fashionbench.records.record import TrainingResult

__all__ = [
    "POWER",
    "Classes",
    "accuracy_interval",
    "detectable_gain",
    "gain_error",
    "gain_interval",
    "gain_probabilities",
    "list_strata",
    "mean_score",
    "probability_of_winning",
    "seeds_needed",
    "true_classes",
]

POWER: Final = 0.8
"""Probability of finding the detectable gain."""

MOST_SEEDS: Final = 1_000
"""Number of seeds beyond which none are recommended."""

ASSUMED_STABLE_SHARE: Final = 0.25
"""Part of a single seed pair's variance over images that more seeds do not reduce, assumed; 0.22 in the reference
run."""

TWO_DIGITS: Final = 10
"""Degrees of freedom from which on they are shown without decimals."""

Classes = NDArray[np.integer] | None
"""The true class of each test image, (images,), for balanced accuracy; None: for accuracy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ImagePart:
    """The part of the gain's variance that comes from the choice of test images."""

    variance: float
    freedom: float
    """Its degrees of freedom."""
    resolution: float
    """What one test image changes, of the smallest class."""


def true_classes(results: Sequence[TrainingResult], score: Score) -> Classes:
    """Return what the functions below need to know of the images for a score."""
    return np.asarray(results[0].test_labels.array()) if score == "balanced" else None


def mean_score(correct: Correct, classes: Classes = None) -> float:
    """Return the accuracy over all seeds; with the classes of the images, the balanced accuracy: their mean recall."""
    return float(correct.mean() if classes is None else _score_seeds(correct, classes).mean())


def accuracy_interval(results: Sequence[TrainingResult], score: Score = "accuracy") -> Interval:
    """Return the 95 % interval of one model's mean test accuracy, or of its balanced accuracy.

    The accuracy of one training has Wilson's interval. The others are intervals of the gain over a model that is never
    right, so they cover seeds and test images in the same way as the gain's interval.
    """
    correct = correct_predictions(results)
    if len(correct) == 1 and score == "accuracy":
        return wilson_interval(int(correct.sum()), correct.size)
    return gain_interval(correct, np.zeros_like(correct), classes=true_classes(results, score))


def gain_interval(big: Correct, small: Correct, confidence: float = CONFIDENCE, classes: Classes = None) -> Interval:
    """Return the interval of the difference in accuracy, big minus small, over seeds and paired test images.

    With n > 1 seeds, the variance is the sum of two parts: of the seeds, s_big^2 / n + s_small^2 / n, and of the
    images, the variance over images of the mean difference, divided by the number of images. Both parts contain the
    chance that a seed is right on an image, so its estimate is subtracted once. The degrees of freedom are those of
    Satterthwaite (1946). With one seed, the variance is that of the images alone.

    For balanced accuracy, the mean recall of the classes (Brodersen et al., 2010), the images are a sample stratified
    by class: their part is the mean of the classes' parts, divided by the number of classes (Cochran, 1977, 5.4).

    Args:
        big: Whether the big model is right, (seeds, images).
        small: The same for the small model: same images in the same order, seeds paired.
        confidence: Confidence of this interval alone, from ``look_confidence``.
        classes: The true class of each image, for the difference in balanced accuracy; None: in accuracy.

    """
    seeds, images = big.shape
    estimate = mean_score(big, classes) - mean_score(small, classes)
    error, freedom = gain_error(big, small, classes)
    half = half_width(error, freedom, confidence)
    stratified = "" if classes is None else ", stratified by class"
    degrees = f"{freedom:.{0 if freedom >= TWO_DIGITS else 1}f}"
    method = (
        f"paired over {images:,} test images{stratified}; one training per model: seed-to-seed variation is not "
        "included"
        if seeds == 1
        else f"t interval over {seeds} seeds and {images:,} paired test images{stratified}, {degrees} degrees of "
        f"freedom (Satterthwaite){describe_confidence(confidence)}"
    )
    return Interval(estimate=estimate, low=estimate - half, high=estimate + half, method=method)


def detectable_gain(big: Correct, small: Correct, confidence: float = CONFIDENCE, classes: Classes = None) -> float:
    """Return the true gain that such a run finds to be significantly above zero with probability ``POWER``.

    It is (t_(1 - alpha/2) + t_power) standard errors (Bloom, 1995), with the degrees of freedom of the interval.
    """
    error, freedom = gain_error(big, small, classes)
    return half_width(error, freedom, confidence) + float(stats.t.ppf(POWER, freedom)) * error


def gain_probabilities(big: Correct, small: Correct, margin: float, classes: Classes = None) -> GainProbabilities:
    """Return the probabilities that the true gain is at or above the margin, within it either way, or below minus it.

    The margin is a region of practical equivalence (Benavoli, Corani, Demsar and Zaffalon, 2017). The distribution is
    the t distribution of the gain's interval: with flat priors, it is that of the true gain.
    With a single seed, it includes the assumed spread over seeds.
    """
    estimate = mean_score(big, classes) - mean_score(small, classes)
    error, freedom = gain_error(big, small, classes)
    if len(big) == 1:
        error = math.hypot(error, math.sqrt(2) * ASSUMED_SEED_SPREAD)
    above = float(stats.t.sf((margin - estimate) / error, freedom))
    below = float(stats.t.cdf((-margin - estimate) / error, freedom))
    return GainProbabilities(at_least_margin=above, within_margin=max(0.0, 1 - above - below), below_minus_margin=below)


def probability_of_winning(big: Correct, small: Correct, classes: Classes = None) -> float:
    """Return the probability that one more training of the big model scores higher on these images than the small's.

    It is predicted from the spread over seeds by the t distribution; a single seed has the assumed spread.
    """
    seeds = len(big)
    sides = [_score_seeds(each, classes) for each in (big, small)]
    spreads = [ASSUMED_SEED_SPREAD**2 if seeds == 1 else float(each.var(ddof=1)) for each in sides]
    freedom = math.inf if seeds == 1 else seeds - 1
    # the mean over seeds is uncertain, too
    parts = [each * (1 + 1 / seeds) for each in spreads]
    error, freedoms = satterthwaite(parts, [freedom, freedom], _weigh_images(big, small, classes).resolution)
    gain = mean_score(big, classes) - mean_score(small, classes)
    return float(stats.t.cdf(gain / error, freedoms))


def gain_error(big: Correct, small: Correct, classes: Classes) -> tuple[float, float]:
    """Return the gain's standard error and its degrees of freedom."""
    seeds = len(big)
    images = _weigh_images(big, small, classes)
    if seeds == 1:
        return max(math.sqrt(images.variance), images.resolution), math.inf if classes is None else images.freedom
    parts = [float(_score_seeds(each, classes).var(ddof=1)) / seeds for each in (big, small)]
    return _combine(parts, images, seeds)


def _score_seeds(correct: Correct, classes: Classes) -> NDArray[np.float64]:
    """Return the score of each seed, (seeds,)."""
    return np.asarray(np.mean([correct[:, members].mean(axis=1) for members in list_strata(classes)], axis=0))


def list_strata(classes: Classes) -> Sequence[NDArray[np.bool_] | slice]:
    """Return which images are in each group whose means a score averages: one group of all, or one of each class."""
    return [slice(None)] if classes is None else [classes == each for each in np.unique(classes)]


def _combine(parts: Sequence[float], images: _ImagePart, seeds: int) -> tuple[float, float]:
    """Return the standard error of variances over seeds and images, and its degrees of freedom."""
    return satterthwaite([*parts, images.variance], [*(seeds - 1 for _ in parts), images.freedom], images.resolution)


def _weigh_images(big: Correct, small: Correct, classes: Classes) -> _ImagePart:
    """Return the part of the gain's variance that comes from the choice of test images."""
    seeds, counts, variances, chances = len(big), [], [], []
    for members in list_strata(classes):
        sides = [each[:, members].mean(axis=0) for each in (big, small)]
        counts.append(count := len(sides[0]))
        # of a single image there is no variance to see: less than its resolution
        variances.append(float((sides[0] - sides[1]).var(ddof=1) / count) if count > 1 else 0.0)
        # over seeds, a prediction that is right or wrong has the variance p (1 - p) n / (n - 1)
        chance = sum(float((each * (1 - each)).mean()) for each in sides) / (seeds - 1) / count if seeds > 1 else 0.0
        chances.append(chance if count > 1 else 0.0)
    freedoms = [max(1, each - 1) for each in counts]
    shares = sum(each**2 / freedom for each, freedom in zip(variances, freedoms, strict=True))
    return _ImagePart(
        variance=max(0.0, sum(variances) - sum(chances)) / len(counts) ** 2,
        freedom=sum(variances) ** 2 / shares if shares and len(counts) > 1 else min(freedoms),
        resolution=1 / min(counts) / len(counts),
    )


def seeds_needed(
    big: Correct, small: Correct, required: float, confidence: float = CONFIDENCE, classes: Classes = None
) -> int | None:
    """Return how many seeds, more than at hand, would narrow the half-width to ``required``; None if no number would.

    With a single seed, the spread over seeds and the stable part of the variance over images are assumed.

    Args:
        big: Whether the big model is right, (seeds, images).
        small: The same for the small model.
        required: The required half-width, a fraction.
        confidence: Confidence of the interval.
        classes: The true class of each image, for balanced accuracy.

    """
    seeds = len(big)
    images = _weigh_images(big, small, classes)
    if seeds == 1:
        seed_variances = [ASSUMED_SEED_SPREAD**2] * 2
        images = replace(images, variance=images.variance * ASSUMED_STABLE_SHARE)
    else:
        seed_variances = [float(_score_seeds(each, classes).var(ddof=1)) for each in (big, small)]
    for number in range(seeds + 1, MOST_SEEDS + 1):
        error, freedom = _combine([each / number for each in seed_variances], images, number)
        if half_width(error, freedom, confidence) <= required:
            return number
    return None
