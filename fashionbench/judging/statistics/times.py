"""Training time: slowdown, extra minutes, minutes per percentage point, and what other processes used of the CPUs."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fashionbench.judging.statistics.intervals import CONFIDENCE, Estimate, Interval, describe_confidence, half_width
from fashionbench.records.record import TrainingResult

__all__ = [
    "extra_interval",
    "mean_minutes",
    "others_share",
    "price_interval",
    "slowdown_interval",
    "training_extra",
    "training_slowdown",
]

FEWEST_FOR_SEED_INTERVAL: Final = 3
"""Seeds from which the intervals of times include run-to-run variation."""

WIDEST_RATIO: Final = 1e6
"""A time that is not known to within this factor is not known."""

TOO_FEW: Final = "no interval, because there are too few seeds or epochs"


def mean_minutes(results: Sequence[TrainingResult]) -> float:
    """Return the geometric mean of training minutes."""
    return float(np.exp(_logs([each.train_seconds for each in results]).mean())) / 60


def others_share(results: Sequence[TrainingResult]) -> float | None:
    """Return the largest fraction of the CPUs that other processes used during one training, on average.

    None if no training was long enough to measure it.
    """
    shares = []
    for each in results:
        # where it was resumed, there may be fewer epochs than seconds
        known = [
            (share, seconds)
            for share, seconds in zip(each.others_cpu_share, each.epoch_seconds, strict=False)
            if share is not None and seconds > 0
        ]
        if known:
            shares.append(float(np.average([share for share, _ in known], weights=[seconds for _, seconds in known])))
    return max(shares, default=None)


def training_slowdown(
    big: Sequence[TrainingResult], small: Sequence[TrainingResult], confidence: float = CONFIDENCE
) -> Interval | Estimate:
    """Return the interval of the ratio of training times, big over small, of trainings paired by seed."""
    return slowdown_interval(*_seconds(big, small), confidence)


def _seconds(
    big: Sequence[TrainingResult], small: Sequence[TrainingResult]
) -> tuple[list[float], list[float], list[float], list[float]]:
    """Return the seconds of the trainings of both sides, and those of their epochs."""
    trainings = [[each.train_seconds for each in side] for side in (big, small)]
    epochs = [[seconds for each in side for seconds in each.epoch_seconds] for side in (big, small)]
    return trainings[0], trainings[1], epochs[0], epochs[1]


def slowdown_interval(
    big_seconds: Sequence[float],
    small_seconds: Sequence[float],
    big_epochs: Sequence[float],
    small_epochs: Sequence[float],
    confidence: float = CONFIDENCE,
) -> Interval | Estimate:
    """Return the interval of the ratio of training times, big over small.

    With three seeds or more it is a t interval of the paired log ratios. With fewer it is Welch's interval (1947) of
    the logs of the epochs' seconds, scaled to the whole training. It does not include run-to-run variation. With one
    epoch, there is none.

    Args:
        big_seconds: Training seconds per seed.
        small_seconds: The same for the small model, seeds paired.
        big_epochs: Seconds of each epoch of all seeds.
        small_epochs: The same for the small model.
        confidence: Confidence of this interval alone, from ``look_confidence``.

    """
    logs = _logs(big_seconds) - _logs(small_seconds)
    estimate = float(logs.mean())
    if len(logs) >= FEWEST_FOR_SEED_INTERVAL:
        half = half_width(float(logs.std(ddof=1)) / math.sqrt(len(logs)), len(logs) - 1, confidence)
        method = f"t interval on the log ratios of {len(logs)} seed pairs{describe_confidence(confidence)}"
    else:
        half = _welch_half_width(_logs(big_epochs), _logs(small_epochs), confidence)
        method = "interval from the seconds of the epochs: run-to-run variation is not included"
    if not half < math.log(WIDEST_RATIO):
        return Estimate(estimate=math.exp(estimate), method=f"ratio of geometric means, {TOO_FEW}")
    return Interval(
        estimate=math.exp(estimate),
        low=math.exp(estimate - half),
        high=math.exp(estimate + half),
        method=f"ratio of geometric means, {method}",
    )


def _logs(seconds: Sequence[float]) -> NDArray[np.float64]:
    return np.log(np.maximum(np.asarray(seconds, dtype=np.float64), 1e-9))


def _welch_half_width(one: NDArray[np.float64], other: NDArray[np.float64], confidence: float) -> float:
    if min(len(one), len(other)) <= 1:
        return math.inf
    parts = [float(each.var(ddof=1)) / len(each) for each in (one, other)]
    variance = sum(parts)
    if variance == 0:
        return 0.0
    freedom = variance**2 / sum(part**2 / (len(each) - 1) for part, each in zip(parts, (one, other), strict=True))
    return half_width(math.sqrt(variance), freedom, confidence)


def training_extra(
    big: Sequence[TrainingResult], small: Sequence[TrainingResult], confidence: float = CONFIDENCE
) -> Interval | Estimate:
    """Return the interval of the minutes that the big model trains longer, of trainings paired by seed."""
    return extra_interval(*_seconds(big, small), confidence)


def extra_interval(
    big_seconds: Sequence[float],
    small_seconds: Sequence[float],
    big_epochs: Sequence[float],
    small_epochs: Sequence[float],
    confidence: float = CONFIDENCE,
) -> Interval | Estimate:
    """Return the interval of the difference of training times, big minus small, in minutes; arguments as above.

    It combines the t intervals of both geometric means, and their correlation, by the method of variance estimates
    recovery (Zou and Donner, 2008). With fewer than three seeds, these intervals come from the seconds of the epochs.
    """
    means = [float(np.exp(_logs(each).mean())) / 60 for each in (big_seconds, small_seconds)]
    by_seed = len(big_seconds) >= FEWEST_FOR_SEED_INTERVAL
    logs = [_logs(each) for each in ((big_seconds, small_seconds) if by_seed else (big_epochs, small_epochs))]
    halves = [_t_half_width(each, confidence) for each in logs]
    estimate = means[0] - means[1]
    if max(halves) > math.log(WIDEST_RATIO):
        return Estimate(estimate=estimate, method=f"difference of geometric means, {TOO_FEW}")
    correlation = float(stats.pearsonr(*logs).statistic) if by_seed and min(halves) > 0 else 0.0
    below = [mean * -math.expm1(-half) for mean, half in zip(means, halves, strict=True)]
    above = [mean * math.expm1(half) for mean, half in zip(means, halves, strict=True)]
    return Interval(
        estimate=estimate,
        low=estimate - _combine(below[0], above[1], correlation),
        high=estimate + _combine(above[0], below[1], correlation),
        method=f"difference of geometric means, {'over seeds' if by_seed else 'from the seconds of the epochs'}",
    )


def _t_half_width(logs: NDArray[np.float64], confidence: float) -> float:
    if len(logs) <= 1:
        return math.inf
    return half_width(float(logs.std(ddof=1)) / math.sqrt(len(logs)), len(logs) - 1, confidence)


def _combine(big: float, small: float, correlation: float) -> float:
    """Return how far a difference's limit is from its estimate, from the same distances of its two parts."""
    return math.sqrt(max(0.0, big**2 + small**2 - 2 * correlation * big * small))


def price_interval(extra: Interval, gain: Interval) -> Interval:
    """Return the interval of the minutes per percentage point; the gain's interval must be above zero.

    The interval of the ratio follows from those of the extra minutes and of the gain by the method of variance
    estimates recovery (Newcombe, 2016). At a price outside of it, the rule knows whether the gain is worth its time.
    """
    points = 100 * gain.estimate

    def solve(minutes: float, limit: float, sign: int) -> float:
        scale = limit * (2 * points - limit)
        product = extra.estimate * points
        root = math.sqrt(max(0.0, product**2 - minutes * (2 * extra.estimate - minutes) * scale))
        return (product + sign * root) / scale

    return Interval(
        estimate=extra.estimate / points,
        low=solve(extra.low, 100 * gain.high, -1),
        high=solve(extra.high, 100 * gain.low, 1),
        method="extra minutes divided by the gain, from the intervals of both",
    )
