"""Simulated studies with a known truth."""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fashionbench.judging.rule import Evidence, State, Thresholds, judge
from fashionbench.judging.statistics.crossover import find_crossover, last_rise
from fashionbench.judging.statistics.differences import METRICS, class_differences
from fashionbench.judging.statistics.gains import gain_interval
from fashionbench.judging.statistics.intervals import Interval, look_confidence
from fashionbench.judging.statistics.times import extra_interval, price_interval, slowdown_interval

Correct = NDArray[np.bool_]

IMAGES: Final = 10_000
SEED_SPREAD: Final = 0.002
NOISY_SPREAD: Final = 0.005
SEEDS: Final = (1, 3, 5)
MARGIN: Final = 0.005
HARD: Final = 0.2

CLASSES: Final = 10
CENTRES: Final = np.repeat([0.8, 1.4, 2.0, 2.5, 3.0], 2)
"""How easy the images of each class are; two neighbouring classes are confused with each other."""
DIFFICULTY, PREFERENCE, BIAS, NOISE = 1.2, 0.3, 0.05, 0.3
"""Standard deviations: of images, of a model on an image, of a seed on a class, of a seed on an image."""

UNLIKE_SIZES: Final = [4_000, 2_000, 800, 400, 160]
UNLIKE_CENTRES: Final = np.array([3.0, 2.5, 2.0, 1.5, 1.0])
"""Classes of unlike sizes, and how easy their images are."""

LOOKS: Final = (3, 5, 8, 12, 20)
"""After how many seeds an interim analysis judges the verdict."""

MINUTES: Final = (19.0, 4.0)
"""Of the big and the small model."""


def correct(accuracies: list[float], images: int = 2_000, seed: int = 0) -> Correct:
    """Return which predictions of independent trainings are right, (seeds, images)."""
    generator = np.random.default_rng(seed)
    return np.stack([generator.random(images) < accuracy for accuracy in accuracies])


def simulate(generator: np.random.Generator, gain: float, seeds: int) -> tuple[Correct, Correct]:
    """Simulate which predictions of two models are right, (seeds, images), with a true gain of ``gain``."""
    ((big, small),) = simulate_budgets(generator, [gain], seeds)
    return big, small


def simulate_budgets(
    generator: np.random.Generator, gains: Sequence[float], seeds: int, spread: float = SEED_SPREAD
) -> list[tuple[Correct, Correct]]:
    """Simulate the predictions of two models, (seeds, images), with a true gain at each budget.

    Each study has its own images, the same at all budgets. Both models are always right on four in five. On each of the
    others, the hard ones, the models have a probability in common, plus or minus a preference for one of them, so that
    hard images are hard for both models and all seeds. A seed changes all probabilities of a model, with the standard
    deviation ``spread`` over seeds. The mean accuracy of the small model is 91.5 %. Only the hard images are drawn.
    """
    hard = generator.binomial(IMAGES, HARD)
    common = 0.2 + 0.6 * generator.beta(0.9, 0.54, hard)
    preference = generator.choice([-0.1, 0.1], hard)

    def train(own_gain: float, own_preference: NDArray[np.float64]) -> Correct:
        effects = own_gain + generator.normal(0, spread, seeds)
        right = np.ones((seeds, IMAGES), dtype=bool)
        right[:, :hard] = generator.random((seeds, hard)) < common + own_preference + effects[:, None] / HARD
        return right

    return [(train(gain, preference), train(0.0, -preference)) for gain in gains]


def simulate_times(
    generator: np.random.Generator, spread: float, seeds: int, minutes: Sequence[float] = MINUTES
) -> tuple[list[float], list[float]]:
    """Simulate training seconds of both models, with a run-to-run spread that is log-normal."""
    big, small = (60 * each * np.exp(generator.normal(0, spread, seeds)) for each in minutes)
    return big.tolist(), small.tolist()


def weigh_price(
    generator: np.random.Generator, gain: Interval, spread: float, seeds: int, true_gain: float
) -> tuple[bool, str]:
    """Return whether the price's interval covers the true price, and the state at exactly this price."""
    big, small = simulate_times(generator, spread, seeds)
    slowdown, extra = slowdown_interval(big, small, [], []), extra_interval(big, small, [], [])
    assert isinstance(slowdown, Interval)
    assert isinstance(extra, Interval)
    truth = (MINUTES[0] - MINUTES[1]) / (100 * true_gain)
    price = price_interval(extra, gain)
    state = judge(
        Evidence(gain=gain, slowdown=slowdown, extra_minutes=extra), Thresholds(margin=0.0, price_minutes_per_pp=truth)
    )
    return price.low <= truth <= price.high, state


def simulate_classes(
    generator: np.random.Generator, seeds: int, shift: float = 0.0
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Simulate labels, (images,), and the predictions of two models, (seeds, images).

    Each class is confused with one other. Images are hard or easy for both models and all seeds, a model prefers some
    of them, and a seed prefers some classes. The images of the first class are easier for the big model by ``shift``.
    """
    labels = np.repeat(np.arange(CLASSES), IMAGES // CLASSES)
    ease = CENTRES[labels] + generator.normal(0, DIFFICULTY, IMAGES)
    predictions = []
    for own in (shift, 0.0):
        bias = generator.normal(0, BIAS, (seeds, CLASSES))
        lead = ease + own * (labels == 0) + generator.normal(0, PREFERENCE, IMAGES)
        lead = lead + bias[:, labels] - bias[:, labels ^ 1] + generator.normal(0, NOISE, (seeds, IMAGES))
        predictions.append(np.where(lead > 0, labels, labels ^ 1))
    return labels, predictions[0], predictions[1]


def true_differences(shift: float, draws: int = 200_000) -> dict[tuple[str, int], float]:
    """Return the true difference of each score and class of ``simulate_classes``, by averaging over many seeds."""
    bias = np.random.default_rng(0).normal(0, BIAS, (draws, CLASSES))
    width = np.sqrt(DIFFICULTY**2 + PREFERENCE**2 + NOISE**2)
    scores = []
    for own in (shift, 0.0):
        lead = CENTRES + own * (np.arange(CLASSES) == 0) + bias - bias[:, np.arange(CLASSES) ^ 1]
        recall = stats.norm.cdf(lead / width)
        named = recall + 1 - recall[:, np.arange(CLASSES) ^ 1]
        scores.append({"precision": recall / named, "recall": recall, "f1": 2 * recall / (1 + named)})
    return {
        (metric, index): float((scores[0][metric][:, index] - scores[1][metric][:, index]).mean())
        for metric in METRICS
        for index in range(CLASSES)
    }


def cover_classes(
    generator: np.random.Generator, seeds: int, studies: int, shift: float = 0.0
) -> tuple[dict[tuple[str, int], float], float]:
    """Return how often each interval covers the truth, and how often an equal class is called significant."""
    truth = true_differences(shift)
    covered = dict.fromkeys(truth, 0)
    false = 0
    for _ in range(studies):
        found = class_differences(*simulate_classes(generator, seeds, shift), CLASSES)
        for each in found:
            covered[each.metric, each.class_index] += each.low <= truth[each.metric, each.class_index] <= each.high
        false += any(each.adjusted_p < 0.05 for each in found if each.class_index > 1 or not shift)
    return {key: count / studies for key, count in covered.items()}, false / studies


def simulate_unlike(
    generator: np.random.Generator, seeds: int, sizes: Sequence[int], shift: float = 0.0
) -> tuple[Correct, Correct, NDArray[np.int64]]:
    """Simulate which predictions of two models are right, (seeds, images), and the classes of the images.

    As in ``simulate_classes``, with classes of unlike sizes, large ones easier. The images of the smallest class, the
    last, are easier for the big model by ``shift``.
    """
    classes = np.repeat(np.arange(len(sizes)), sizes)
    ease = UNLIKE_CENTRES[classes] + generator.normal(0, DIFFICULTY, len(classes))
    models = []
    for own in (shift, 0.0):
        bias = generator.normal(0, BIAS, (seeds, len(sizes)))[:, classes]
        lead = ease + own * (classes == len(sizes) - 1) + generator.normal(0, PREFERENCE, len(classes))
        models.append(lead + bias + generator.normal(0, NOISE, (seeds, len(classes))) > 0)
    return models[0], models[1], classes


def true_balanced_gain(shift: float) -> float:
    """Return the true gain of ``simulate_unlike`` in balanced accuracy."""
    width = np.sqrt(DIFFICULTY**2 + PREFERENCE**2 + BIAS**2 + NOISE**2)
    rare = UNLIKE_CENTRES[-1]
    return float(stats.norm.cdf((rare + shift) / width) - stats.norm.cdf(rare / width)) / len(UNLIKE_CENTRES)


def cover_balanced(
    generator: np.random.Generator, seeds: int, sizes: Sequence[int], shift: float, studies: int
) -> tuple[float, float, float]:
    """Return how often the interval covers the true balanced gain, how often it is above 0, and half its width."""
    truth, found = true_balanced_gain(shift), []
    for _ in range(studies):
        big, small, classes = simulate_unlike(generator, seeds, sizes, shift)
        found.append(gain_interval(big, small, classes=classes))
    covered = np.mean([each.low <= truth <= each.high for each in found])
    return (
        float(covered),
        float(np.mean([each.low > 0 for each in found])),
        float(np.mean([each.high - each.estimate for each in found])),
    )


BUDGETS: Final = (1.0, 2.0, 4.0, 8.0)

CURVES: Final = {
    "steep": (-0.03, -0.01, 0.01, 0.02),
    "slow": (-0.004, 0.001, 0.006, 0.011),
    "early": (-0.005, 0.015, 0.018, 0.02),
    "early, flat": (-0.01, 0.008, 0.009, 0.01),
    "late": (-0.01, -0.005, 0.0, 0.012),
    "at a budget": (-0.015, -0.005, 0.005, 0.015),
    "late, flat": (-0.01, 0.0, 0.006, 0.007),
    "none": (-0.01, 0.0, 0.003, 0.004),
    "none, far": (-0.02, -0.015, -0.01, -0.005),
    "always": (0.007, 0.01, 0.012, 0.014),
}
"""True gains at the budgets: the crossover is between two of them, beyond the largest, or the smallest."""


class CrossoverCoverage(NamedTuple):
    """Of the intervals of simulated studies, the fractions that ..."""

    covered: float
    early: float
    """... end before the true crossover;"""
    late: float
    """... begin after it;"""
    is_open: float
    """... have no upper end."""
    width: float
    """The ratio of the ends, of those that have both: the geometric mean."""


def true_crossover(gains: Sequence[float]) -> float:
    """Return the crossover of true gains, infinite where there is none."""
    return float(last_rise(np.array([gains]) - MARGIN, BUDGETS)[0])


def cover_crossover(
    generator: np.random.Generator, gains: Sequence[float], seeds: int, studies: int, spread: float = SEED_SPREAD
) -> CrossoverCoverage:
    """Return how the crossover's intervals of simulated studies lie about the truth."""
    truth, ends = true_crossover(gains), []
    for _ in range(studies):
        found = find_crossover(simulate_budgets(generator, gains, seeds, spread), BUDGETS, MARGIN)
        ends.append([math.inf if each is None else each for each in (found.low, found.high)])
    low, high = np.array(ends).T
    closed = np.isfinite(high)
    return CrossoverCoverage(
        covered=float(np.mean((low <= truth) & (truth <= high))),
        early=float(np.mean(high < truth)),
        late=float(np.mean(low > truth)),
        is_open=float(np.mean(~closed)),
        width=float(np.exp(np.mean(np.log(high[closed] / low[closed])))) if closed.any() else math.nan,
    )


def add_seeds_until_decided(
    big: Correct, small: Correct, gain: float, looks: tuple[int, ...]
) -> tuple[State, int, bool]:
    """Return how a study ends that stops when it is decided, its seeds, and whether all intervals cover the gain."""
    slowdown = Interval(estimate=7.0, low=6.0, high=8.0, method="")
    intervals = [gain_interval(big[:look], small[:look], look_confidence(look, looks)) for look in LOOKS]
    thresholds = Thresholds(margin=MARGIN, price_minutes_per_pp=None)
    states = [judge(Evidence(gain=each, slowdown=slowdown, extra_minutes=slowdown), thresholds) for each in intervals]
    last = next((place for place, state in enumerate(states) if state != "CANNOT TELL"), len(LOOKS) - 1)
    return states[last], LOOKS[last], all(each.low <= gain <= each.high for each in intervals)
