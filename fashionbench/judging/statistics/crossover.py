"""The budget from which on a gain reaches the margin, with its interval; pure functions of plain arrays."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from fashionbench.judging.statistics.gains import Classes, gain_error, list_strata, mean_score
from fashionbench.judging.statistics.intervals import ASSUMED_SEED_SPREAD, CONFIDENCE, Correct

__all__ = ["Crossover", "find_crossover", "last_rise"]

DRAWS: Final = 10_000

MANY: Final = 1e9
"""Degrees of freedom of a normal distribution, nearly."""

Pairs = Sequence[tuple[Correct, Correct]]
"""Of each budget, whether the big and the small model are right, (seeds, images) each, seeds paired."""


class Crossover(BaseModel):
    """The budget from which on the gain reaches the margin. None stands for more than the largest budget tried."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    minutes: float | None
    low: float | None
    high: float | None
    method: str
    """How it was computed, and what its interval includes, for readers of the report."""


def find_crossover(pairs: Pairs, minutes: Sequence[float], margin: float, classes: Classes = None) -> Crossover:
    """Return the crossover of measured gains with its 95 % interval.

    The gains of all budgets are drawn from the distributions of their intervals: t distributions, of which two are
    correlated as far as the same test images make them. This is a parametric bootstrap over seeds and images. A plain
    one, over three seeds, would be too narrow. The interval ends at the 2.5 and 97.5 percentiles of the crossovers. A
    single seed has the assumed spread over seeds.

    Args:
        pairs: The predictions at each budget, all on the same test images.
        minutes: The budgets, ascending.
        margin: The smallest gain that matters, a fraction.
        classes: The true class of each image, for gains in balanced accuracy; None: in accuracy.

    """
    gains = np.array([mean_score(big, classes) - mean_score(small, classes) for big, small in pairs])
    errors, freedoms = map(np.array, zip(*(_error(*pair, classes) for pair in pairs), strict=True))
    generator = np.random.default_rng(0)  # the same records give the same interval
    factor = _factor(_correlation(pairs, errors, classes))
    draws = generator.standard_normal((DRAWS, len(gains))) @ factor.T
    freedoms = np.minimum(freedoms, MANY)
    drawn = gains + errors * draws / np.sqrt(generator.chisquare(freedoms, draws.shape) / freedoms)  # (draws, budgets)
    limits = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
    found = np.quantile(last_rise(drawn - margin, minutes), limits, method="inverted_cdf")
    estimate, low, high = (
        float(each) if each < math.inf else None for each in (last_rise(gains[None] - margin, minutes)[0], *found)
    )
    seeds, images = min(len(big) for big, _ in pairs), pairs[0][0].shape[1]
    spread = "an assumed variation over seeds" if seeds == 1 else f"{seeds} seeds at each budget"
    return Crossover(
        minutes=estimate,
        low=low,
        high=high,
        method=f"percentiles of {DRAWS:,} draws from the t distributions of the gains, over {spread} and {images:,} "
        "test images; between two budgets, the gain is interpolated in the logarithm of the minutes",
    )


def _error(big: Correct, small: Correct, classes: Classes) -> tuple[float, float]:
    """Return the standard error of a gain and its degrees of freedom; a single seed has the assumed spread."""
    error, freedom = gain_error(big, small, classes)
    return math.hypot(error, math.sqrt(2) * ASSUMED_SEED_SPREAD) if len(big) == 1 else error, freedom


def _correlation(pairs: Pairs, errors: NDArray[np.float64], classes: Classes) -> NDArray[np.float64]:
    """Return how the gains of the budgets are correlated by their common test images, (budgets, budgets).

    Trainings of different budgets have nothing else in common.
    """
    per_image = np.stack([big.mean(axis=0) - small.mean(axis=0) for big, small in pairs])  # (budgets, images)
    strata = [per_image[:, members] for members in list_strata(classes)]
    variances = [np.cov(each) / each.shape[1] for each in strata if each.shape[1] > 1]
    shared = np.asarray(sum(variances)) / len(strata) ** 2 / np.outer(errors, errors)
    found: NDArray[np.float64] = np.clip(shared, -1, 1)
    np.fill_diagonal(found, 1)
    return found


def _factor(correlation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a matrix whose product with its transpose is a correlation, or the nearest one if this is none.

    An estimate may be none, because the spread over seeds is estimated apart: its negative eigenvalues become zero
    (Rebonato and Jaeckel, 1999).
    """
    values, vectors = np.linalg.eigh(correlation)
    found = vectors * np.sqrt(values.clip(min=0))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def last_rise(gains: NDArray[np.float64], minutes: Sequence[float]) -> NDArray[np.float64]:
    """Return the minutes from which on a gain stays at or above zero, for each row of gains, (rows, budgets).

    Between two budgets, the gain is interpolated linearly in the logarithm of the minutes. If it is never below zero,
    these are the minutes of the smallest budget; if it is below zero at the largest, they are infinite.
    """
    logs = np.log(np.asarray(minutes, dtype=np.float64))
    is_below = gains < 0
    after = np.where(is_below.any(axis=1), gains.shape[1] - np.argmax(is_below[:, ::-1], axis=1), 0)
    found = np.full(len(gains), np.inf)
    found[after == 0] = minutes[0]
    rising = np.flatnonzero((after > 0) & (after < gains.shape[1]))
    end = after[rising]
    below, above = gains[rising, end - 1], gains[rising, end]
    found[rising] = np.exp(logs[end - 1] + (logs[end] - logs[end - 1]) * below / (below - above))
    return found
