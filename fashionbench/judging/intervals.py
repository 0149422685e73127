"""Confidence intervals of gain and slowdown, as pure functions on arrays: fractions in, fractions out."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy import stats

__all__ = [
    "ASSUMED_SEED_SPREAD",
    "CONFIDENCE",
    "Correct",
    "Interval",
    "Z",
    "detectable_gain",
    "gain_interval",
    "look_confidence",
    "seed_allowance",
    "seeds_needed",
    "slowdown_interval",
    "wilson_interval",
]

CONFIDENCE: Final = 0.95

POWER: Final = 0.8

Z: Final = float(stats.norm.ppf(0.5 + CONFIDENCE / 2))

FEWEST_FOR_SEED_INTERVAL: Final = 3

MOST_SEEDS: Final = 1_000

ASSUMED_SEED_SPREAD: Final = 0.0025
"""Standard deviation of test accuracy over seeds, assumed while only one is known: 0.19 and 0.29 pp in one run of three
seeds (FashionCNN and ResNet18), 0.10 and 0.09 in the reference run."""

ASSUMED_STABLE_SHARE: Final = 0.25
"""Part of one seed pair's variance over images that more seeds would not average away; 0.22 in the reference run."""

Correct = NDArray[np.bool_]
"""Whether each prediction is right, (seeds, images)."""


class Interval(BaseModel):
    """An estimate with its 95 % interval; where a verdict is looked at repeatedly, 95 % over all the looks."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    estimate: float
    low: float
    high: float
    method: str
    """How it was made and what it carries, for the page."""


def wilson_interval(right: int, images: int) -> Interval:
    """Return Wilson's score interval of a proportion (Wilson, 1927)."""
    interval = stats.binomtest(right, images).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(
        estimate=right / images,
        low=float(interval.low),
        high=float(interval.high),
        method=f"Wilson's interval, {images:,} test images",
    )


def look_confidence(seeds: int, looks: Sequence[int]) -> float:
    """Return the confidence that a look's interval needs, so that those of all looks hold the truth in 95 % together.

    Every planned seed brings an equal share of the 5 %, and a look spends what the seeds since the look before have
    brought: alpha spending in proportion to the seeds (Kim and DeMets, 1987, with rho = 1). The looks' errors are added
    up (Bonferroni), so that nothing is assumed of how they depend on each other.

    Args:
        seeds: How many there are.
        looks: Planned numbers of seeds at which the verdict is looked at, rising; empty where one number was fixed.

    """
    if not looks:
        return CONFIDENCE
    place = next((place for place, look in enumerate(looks) if seeds <= look), len(looks) - 1)
    new = looks[place] - (looks[place - 1] if place else 0)
    return 1 - (1 - CONFIDENCE) * new / looks[-1]


def _half_width(error: float, freedom: float, confidence: float) -> float:
    return float(stats.t.ppf(0.5 + confidence / 2, freedom)) * error


def _at(confidence: float) -> str:
    """Return what to add to a method's words where the interval is one of several looks'."""
    return "" if confidence == CONFIDENCE else f"; {100 * confidence:.1f} % at this look, 95 % over all looks"


def gain_interval(big: Correct, small: Correct, confidence: float = CONFIDENCE) -> Interval:
    """Return the interval of the difference in accuracy, big minus small, over seeds and (paired) test images.

    With n > 1 seeds its variance is the sum of the seeds' part, s_big^2 / n + s_small^2 / n, and of the images' part,
    the variance over the images of the mean difference, divided by the images. Both hold the chance by which a seed
    meets an image, so its estimate is subtracted once. The degrees of freedom are Satterthwaite's (1946). With one
    seed it is the images' part alone.

    Args:
        big: Whether the big model is right, (seeds, images).
        small: The same for the small model; same images in the same order, seeds paired.
        confidence: Of this interval by itself, from ``look_confidence``.

    """
    seeds, images = big.shape
    estimate = float(big.mean() - small.mean())
    half = _half_width(*_gain_error(big, small), confidence)
    method = (
        f"paired over {images:,} test images; one training each: seed-to-seed variation is not in this interval"
        if seeds == 1
        else f"{seeds} seeds and {images:,} paired test images, t with {_gain_error(big, small)[1]:.1f} degrees of "
        f"freedom{_at(confidence)}"
    )
    return Interval(estimate=estimate, low=estimate - half, high=estimate + half, method=method)


def detectable_gain(big: Correct, small: Correct, confidence: float = CONFIDENCE) -> float:
    """Return the true gain that an interval like this one lies wholly above zero for, in ``POWER`` of studies.

    It is (t_(1 - alpha/2) + t_power) standard errors (Bloom, 1995), with the degrees of freedom of the interval.
    """
    error, freedom = _gain_error(big, small)
    return _half_width(error, freedom, confidence) + float(stats.t.ppf(POWER, freedom)) * error


def _gain_error(big: Correct, small: Correct) -> tuple[float, float]:
    """Return the gain's standard error and its degrees of freedom."""
    seeds, images = big.shape
    per_image = big.mean(axis=0) - small.mean(axis=0)
    image_part = float(per_image.var(ddof=1)) / images
    if seeds == 1:
        return math.sqrt(image_part), math.inf
    parts = [float(each.mean(axis=1).var(ddof=1)) / seeds for each in (big, small)]
    chance = sum(float(each.var(axis=0, ddof=1).mean()) for each in (big, small)) / seeds / images
    image_part = max(0.0, image_part - chance)
    variance = sum(parts) + image_part
    if variance == 0:
        return 0.0, math.inf
    shares = sum(part**2 for part in parts) / (seeds - 1) + image_part**2 / (images - 1)
    return math.sqrt(variance), variance**2 / shares


def seed_allowance(gain: Interval, seeds: int) -> float:
    """Return by how much the low end of a gain from one seed must fall to hold the seeds' assumed spread as well.

    From two seeds on the interval holds their own spread, and the allowance is 0.
    """
    half = gain.estimate - gain.low
    return math.hypot(half, Z * math.sqrt(2) * ASSUMED_SEED_SPREAD) - half if seeds == 1 else 0.0


def slowdown_interval(
    big_seconds: Sequence[float],
    small_seconds: Sequence[float],
    big_epochs: Sequence[float],
    small_epochs: Sequence[float],
    confidence: float = CONFIDENCE,
) -> Interval:
    """Return the interval of the ratio of training times, big over small, as geometric means.

    From three seeds on, a t interval on the log ratios paired by seed; below that Welch's interval on the logs of the
    epochs' seconds, scaled to the whole training, which does not hold what differs from run to run.

    Args:
        big_seconds: Training seconds per seed.
        small_seconds: The same, seeds paired.
        big_epochs: Seconds of every epoch of all seeds.
        small_epochs: The same.
        confidence: Of this interval by itself, from ``look_confidence``.

    """
    logs = np.log(np.asarray(big_seconds) / np.asarray(small_seconds))
    estimate = float(logs.mean())
    if len(logs) >= FEWEST_FOR_SEED_INTERVAL:
        half = _half_width(float(logs.std(ddof=1)) / math.sqrt(len(logs)), len(logs) - 1, confidence)
        method = f"ratio of geometric means, t interval on log ratios of {len(logs)} seed pairs{_at(confidence)}"
    else:
        half = _welch_half_width(np.log(np.asarray(big_epochs)), np.log(np.asarray(small_epochs)), confidence)
        method = "ratio of geometric means, interval from the epochs' seconds: run-to-run variation is not in it"
    return Interval(
        estimate=math.exp(estimate), low=math.exp(estimate - half), high=math.exp(estimate + half), method=method
    )


def _welch_half_width(one: NDArray[np.float64], other: NDArray[np.float64], confidence: float) -> float:
    if min(len(one), len(other)) < 2:  # noqa: PLR2004 - a variance needs two
        return 0.0
    parts = [float(each.var(ddof=1)) / len(each) for each in (one, other)]
    variance = sum(parts)
    if variance == 0:
        return 0.0
    freedom = variance**2 / sum(part**2 / (len(each) - 1) for part, each in zip(parts, (one, other), strict=True))
    return _half_width(math.sqrt(variance), freedom, confidence)


def seeds_needed(big: Correct, small: Correct, half_width: float, confidence: float = CONFIDENCE) -> int | None:
    """Return how many seeds would bring the gain's half-width to ``half_width``; None where no number would.

    With one seed at hand, a spread over seeds and a share of the images' part are assumed, of the size that
    three seeds showed.

    Args:
        big: Whether the big model is right, (seeds, images).
        small: The same.
        half_width: The wanted half-width, a fraction.
        confidence: Of the interval.

    """
    seeds, images = big.shape
    per_image = big.mean(axis=0) - small.mean(axis=0)
    image_part = float(per_image.var(ddof=1)) / images
    if seeds == 1:
        seed_variance = 2 * ASSUMED_SEED_SPREAD**2
        image_part *= ASSUMED_STABLE_SHARE
    else:
        seed_variance = sum(float(each.mean(axis=1).var(ddof=1)) for each in (big, small))
        chance = sum(float(each.var(axis=0, ddof=1).mean()) for each in (big, small)) / seeds / images
        image_part = max(0.0, image_part - chance)
    for number in range(max(seeds, 2), MOST_SEEDS + 1):
        freedom = 2 * (number - 1)
        if _half_width(math.sqrt(seed_variance / number + image_part), freedom, confidence) <= half_width:
            return number
    return None
