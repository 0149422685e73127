"""Confidence intervals of accuracies and of their differences: pure functions, fractions in, fractions out."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy import stats

from fashionbench.records.record import TrainingResult

__all__ = [
    "ASSUMED_SEED_SPREAD",
    "CONFIDENCE",
    "Correct",
    "Estimate",
    "GainProbabilities",
    "Interval",
    "accuracy_interval",
    "correct_predictions",
    "describe_confidence",
    "detectable_gain",
    "gain_error",
    "gain_interval",
    "gain_probabilities",
    "half_width",
    "look_confidence",
    "probability_of_winning",
    "satterthwaite",
    "seed_allowance",
    "seeds_needed",
    "wilson_interval",
]

CONFIDENCE: Final = 0.95

POWER: Final = 0.8
"""Probability of finding the detectable gain."""

Z: Final = float(stats.norm.ppf(0.5 + CONFIDENCE / 2))
"""Half-width of a 95 % interval of a normal distribution, in standard errors."""

MOST_SEEDS: Final = 1_000
"""Number of seeds beyond which none are recommended."""

ASSUMED_SEED_SPREAD: Final = 0.0025
"""Standard deviation of test accuracy over seeds, assumed for a single seed. FashionCNN and ResNet18 showed 0.19 and
0.29 pp in one run of three seeds, and 0.10 and 0.09 pp in the reference run."""

ASSUMED_STABLE_SHARE: Final = 0.25
"""Part of a single seed pair's variance over images that more seeds do not reduce, assumed; 0.22 in the reference
run."""

Correct = NDArray[np.bool_]
"""Whether each prediction is right, (seeds, images)."""


class Estimate(BaseModel):
    """An estimate without an interval, because the measurement shows no variation."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    estimate: float
    method: str
    """How it was computed, and what its interval includes or why it has none, for readers of the report."""


class Interval(Estimate):
    """An estimate with its 95 % confidence interval.

    With interim analyses, the confidence is 95 % for all planned analyses together.
    """

    low: float
    high: float


class GainProbabilities(BaseModel):
    """The probabilities of a true gain in three regions, which add up to 1."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    at_least_margin: float
    """The big model is better by the margin or more."""
    within_margin: float
    """The models are practically equivalent: neither is better by the margin."""
    below_minus_margin: float
    """The small model is better by more than the margin."""


def correct_predictions(results: Sequence[TrainingResult]) -> Correct:
    """Return whether each prediction is right, (seeds, images), of trainings scored on the same test images."""
    return np.stack([np.asarray(each.test_predictions.array() == each.test_labels.array()) for each in results])


def wilson_interval(right: int, images: int) -> Interval:
    """Return Wilson's score interval of a proportion (Wilson, 1927)."""
    interval = stats.binomtest(right, images).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(
        estimate=right / images,
        low=float(interval.low),
        high=float(interval.high),
        method=f"Wilson interval, {images:,} test images",
    )


def accuracy_interval(results: Sequence[TrainingResult]) -> Interval:
    """Return the 95 % interval of one model's mean test accuracy.

    With one training it is Wilson's interval. With several it is the interval of the gain over a model that is never
    right, so it covers seeds and test images in the same way as the gain's interval.
    """
    correct = correct_predictions(results)
    if len(correct) == 1:
        return wilson_interval(int(correct.sum()), correct.size)
    return gain_interval(correct, np.zeros_like(correct))


def look_confidence(seeds: int, looks: Sequence[int]) -> float:
    """Return the confidence that an interim analysis needs, so that all planned analyses together have 95 %.

    This is alpha spending in proportion to the seeds (Kim and DeMets, 1987, with rho = 1): every planned seed
    contributes an equal share of the 5 %, and an analysis spends the shares of the seeds since the previous one. The
    shares are added (Bonferroni), so nothing is assumed about how the analyses depend on each other.

    Args:
        seeds: Number of seeds at hand.
        looks: Numbers of seeds at which an analysis is planned, ascending; empty if the number of seeds is fixed.

    """
    if not looks:
        return CONFIDENCE
    index = next((index for index, look in enumerate(looks) if seeds <= look), len(looks) - 1)
    new = looks[index] - (looks[index - 1] if index else 0)
    return 1 - (1 - CONFIDENCE) * new / looks[-1]


def gain_interval(big: Correct, small: Correct, confidence: float = CONFIDENCE) -> Interval:
    """Return the interval of the difference in accuracy, big minus small, over seeds and paired test images.

    With n > 1 seeds, the variance is the sum of two parts: of the seeds, s_big^2 / n + s_small^2 / n, and of the
    images, the variance over images of the mean difference, divided by the number of images. Both parts contain the
    chance that a seed is right on an image, so its estimate is subtracted once. The degrees of freedom are those of
    Satterthwaite (1946). With one seed, the variance is that of the images alone.

    Args:
        big: Whether the big model is right, (seeds, images).
        small: The same for the small model: same images in the same order, seeds paired.
        confidence: Confidence of this interval alone, from ``look_confidence``.

    """
    seeds, images = big.shape
    estimate = float(big.mean() - small.mean())
    error, freedom = gain_error(big, small)
    half = half_width(error, freedom, confidence)
    method = (
        f"paired over {images:,} test images; one training per model: seed-to-seed variation is not included"
        if seeds == 1
        else f"t interval over {seeds} seeds and {images:,} paired test images, {freedom:.1f} degrees of freedom "
        f"(Satterthwaite){describe_confidence(confidence)}"
    )
    return Interval(estimate=estimate, low=estimate - half, high=estimate + half, method=method)


def detectable_gain(big: Correct, small: Correct, confidence: float = CONFIDENCE) -> float:
    """Return the true gain that such a run finds to be significantly above zero with probability ``POWER``.

    It is (t_(1 - alpha/2) + t_power) standard errors (Bloom, 1995), with the degrees of freedom of the interval.
    """
    error, freedom = gain_error(big, small)
    return half_width(error, freedom, confidence) + float(stats.t.ppf(POWER, freedom)) * error


def gain_probabilities(big: Correct, small: Correct, margin: float) -> GainProbabilities:
    """Return the probabilities that the true gain is at or above the margin, within it either way, or below minus it.

    The margin is a region of practical equivalence (Benavoli, Corani, Demsar and Zaffalon, 2017). The distribution is
    the t distribution of the gain's interval: with flat priors, it is that of the true gain.
    With a single seed, it includes the assumed spread over seeds.
    """
    estimate = float(big.mean() - small.mean())
    error, freedom = gain_error(big, small)
    if len(big) == 1:
        error = math.hypot(error, math.sqrt(2) * ASSUMED_SEED_SPREAD)
    above = float(stats.t.sf((margin - estimate) / error, freedom))
    below = float(stats.t.cdf((-margin - estimate) / error, freedom))
    return GainProbabilities(at_least_margin=above, within_margin=max(0.0, 1 - above - below), below_minus_margin=below)


def probability_of_winning(big: Correct, small: Correct) -> float:
    """Return the probability that one more training of the big model is right on more of these images than the small's.

    It is predicted from the spread over seeds by the t distribution; a single seed has the assumed spread.
    """
    seeds, images = big.shape
    spreads = [ASSUMED_SEED_SPREAD**2 if seeds == 1 else float(each.mean(axis=1).var(ddof=1)) for each in (big, small)]
    freedom = math.inf if seeds == 1 else seeds - 1
    # the mean over seeds is uncertain, too
    error, freedoms = satterthwaite([each * (1 + 1 / seeds) for each in spreads], [freedom, freedom], 1 / images)
    return float(stats.t.cdf(float(big.mean() - small.mean()) / error, freedoms))


def gain_error(big: Correct, small: Correct) -> tuple[float, float]:
    """Return the gain's standard error and its degrees of freedom."""
    seeds, images = big.shape
    image_part = _image_variance(big, small)
    if seeds == 1:
        return max(math.sqrt(image_part), 1 / images), math.inf
    parts = [float(each.mean(axis=1).var(ddof=1)) / seeds for each in (big, small)]
    return _combine(parts, image_part, seeds, images)


def _combine(parts: Sequence[float], image_part: float, seeds: int, images: int) -> tuple[float, float]:
    """Return the standard error of variances over seeds and images, and its degrees of freedom."""
    freedoms = [*(seeds - 1 for _ in parts), max(1, images - 1)]
    return satterthwaite([*parts, image_part], freedoms, 1 / images)


def satterthwaite(parts: Sequence[float], freedoms: Sequence[float], resolution: float) -> tuple[float, float]:
    """Return the standard error of a sum of variances, and the degrees of freedom of Satterthwaite (1946).

    Args:
        parts: The estimated variances.
        freedoms: The degrees of freedom of each, those of the images last.
        resolution: The smallest standard error: what one test image changes. Models that agree on all test images may
            differ on others.

    """
    variance = sum(parts)
    if variance <= resolution**2:
        return resolution, freedoms[-1]
    shares = sum(part**2 / freedom for part, freedom in zip(parts, freedoms, strict=True))
    return math.sqrt(variance), variance**2 / shares if shares else math.inf


def _image_variance(big: Correct, small: Correct) -> float:
    """Return the part of the gain's variance that comes from the choice of test images."""
    seeds, images = big.shape
    if images == 1:
        return 0.0  # which is less than its resolution
    per_image = big.mean(axis=0) - small.mean(axis=0)
    variance = float(per_image.var(ddof=1) / images)
    if seeds == 1:
        return variance
    chance = float(sum(each.var(axis=0, ddof=1).mean() for each in (big, small)) / seeds / images)
    return max(0.0, variance - chance)


def half_width(error: float, freedom: float, confidence: float) -> float:
    """Return half the width of a t interval."""
    return float(stats.t.ppf(0.5 + confidence / 2, freedom)) * error


def describe_confidence(confidence: float) -> str:
    """Return an addition to a method's description if the interval belongs to one of several interim analyses."""
    if confidence == CONFIDENCE:
        return ""
    return f"; {100 * confidence:.1f} % at this interim analysis, 95 % over all planned analyses"


def seed_allowance(gain: Interval, seeds: int) -> float:
    """Return how far the lower limit of a single seed's gain falls if the assumed spread over seeds is included.

    With two seeds or more, the interval includes their measured spread, and the allowance is 0.
    """
    half = gain.estimate - gain.low
    return math.hypot(half, Z * math.sqrt(2) * ASSUMED_SEED_SPREAD) - half if seeds == 1 else 0.0


def seeds_needed(big: Correct, small: Correct, required: float, confidence: float = CONFIDENCE) -> int | None:
    """Return how many seeds, more than at hand, would narrow the half-width to ``required``; None if no number would.

    With a single seed, the spread over seeds and the stable part of the variance over images are assumed.

    Args:
        big: Whether the big model is right, (seeds, images).
        small: The same for the small model.
        required: The required half-width, a fraction.
        confidence: Confidence of the interval.

    """
    seeds = len(big)
    image_part = _image_variance(big, small)
    if seeds == 1:
        seed_variances = [ASSUMED_SEED_SPREAD**2] * 2
        image_part *= ASSUMED_STABLE_SHARE
    else:
        seed_variances = [float(each.mean(axis=1).var(ddof=1)) for each in (big, small)]
    for number in range(seeds + 1, MOST_SEEDS + 1):
        error, freedom = _combine([each / number for each in seed_variances], image_part, number, big.shape[1])
        if half_width(error, freedom, confidence) <= required:
            return number
    return None
