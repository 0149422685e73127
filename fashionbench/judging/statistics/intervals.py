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
    "correct_predictions",
    "describe_confidence",
    "half_width",
    "look_confidence",
    "satterthwaite",
    "seed_allowance",
    "wilson_interval",
]

CONFIDENCE: Final = 0.95


Z: Final = float(stats.norm.ppf(0.5 + CONFIDENCE / 2))
"""Half-width of a 95 % interval of a normal distribution, in standard errors."""

ASSUMED_SEED_SPREAD: Final = 0.0025
"""Standard deviation of test accuracy over seeds, assumed for a single seed. FashionCNN and ResNet18 showed 0.19 and
0.29 pp in one run of three seeds, and 0.10 and 0.09 pp in the reference run."""

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


def wilson_interval(right: float, images: int) -> Interval:
    """Return Wilson's score interval of a proportion (Wilson, 1927); the count may be a mean over seeds."""
    share, z = right / images, float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    middle = (share + z**2 / (2 * images)) / (1 + z**2 / images)
    half = z / (1 + z**2 / images) * math.sqrt(share * (1 - share) / images + z**2 / (4 * images**2))
    return Interval(
        estimate=share,
        low=max(0.0, middle - half),
        high=min(1.0, middle + half),
        method=f"Wilson interval, {images:,} test images",
    )


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
