"""Intervals and tests agree with independent implementations, and intervals have the coverage that they claim."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from synthetic import make_training

from fashionbench.judging.differences import (
    class_differences,
    expected_calibration_error,
    holm,
    mcnemar_exact,
    paired_outcomes,
)
from fashionbench.judging.intervals import (
    CONFIDENCE,
    Interval,
    accuracy_interval,
    detectable_gain,
    gain_interval,
    look_confidence,
    seed_allowance,
    seeds_needed,
    slowdown_interval,
    wilson_interval,
)
from fashionbench.judging.rule import State, Thresholds, judge

IMAGES = 10_000
MARGIN = 0.005
SPREAD = 0.002
HARD = 0.2


def correct(accuracies: list[float], images: int = 2_000, seed: int = 0) -> NDArray[np.bool_]:
    generator = np.random.default_rng(seed)
    return np.stack([generator.random(images) < accuracy for accuracy in accuracies])


@pytest.mark.parametrize(("right", "images"), [(0, 10), (10, 10), (9_155, 10_000), (1, 3)])
def test_wilson_agrees_with_statsmodels(right: int, images: int) -> None:
    interval = wilson_interval(right, images)

    low, high = proportion_confint(right, images, method="wilson")
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-9)


def test_an_accuracy_has_wilsons_interval_and_with_several_seeds_includes_their_spread() -> None:
    results = [make_training(seed=seed, accuracy=0.9 + seed / 50).result for seed in range(3)]
    finished = [each for each in results if each is not None]

    one, three = accuracy_interval(finished[:1]), accuracy_interval(finished)

    assert one == wilson_interval(9_000, 10_000)
    assert three.estimate == pytest.approx(0.92)
    assert three.high - three.estimate == pytest.approx(4.30 * 0.02 / math.sqrt(3), rel=0.05)


@pytest.mark.parametrize(("only_big", "only_small"), [(0, 5), (12, 30), (289, 412), (7, 7)])
def test_mcnemar_agrees_with_statsmodels(only_big: int, only_small: int) -> None:
    expected = mcnemar([[0, only_big], [only_small, 0]], exact=True).pvalue

    assert mcnemar_exact(only_big, only_small) == pytest.approx(expected, abs=1e-9)


def test_mcnemar_of_models_that_never_differ_is_one() -> None:
    assert mcnemar_exact(0, 0) == 1.0


def test_holm_agrees_with_statsmodels() -> None:
    p_values = np.random.default_rng(0).random(20).tolist()

    expected = multipletests(p_values, method="holm")[1]

    assert holm(p_values) == pytest.approx(expected, abs=1e-9)


def test_the_gain_of_one_seed_covers_images_only_and_says_so() -> None:
    big, small = correct([0.92], seed=1), correct([0.90], seed=2)

    interval = gain_interval(big, small)

    difference = big[0].astype(float) - small[0]
    half = 1.959963984540054 * difference.std(ddof=1) / math.sqrt(difference.size)
    assert interval.estimate == pytest.approx(difference.mean())
    assert interval.high - interval.estimate == pytest.approx(half)
    assert "seed-to-seed variation is not included" in interval.method


def test_equal_models_have_no_gain_and_an_interval_without_width() -> None:
    big = np.ones((3, 50), dtype=bool)

    interval = gain_interval(big, big)

    assert (interval.low, interval.estimate, interval.high) == (0.0, 0.0, 0.0)


def test_the_same_input_gives_the_same_interval() -> None:
    big, small = correct([0.92, 0.93, 0.91]), correct([0.9, 0.91, 0.9], seed=1)

    assert gain_interval(big, small) == gain_interval(big, small)


def test_the_slowdown_of_three_seeds_has_a_t_interval_of_paired_logs() -> None:
    interval = slowdown_interval([20.0, 22.0, 21.0], [5.0, 5.0, 5.0], [], [])

    logs = np.log([4.0, 4.4, 4.2])
    half = 4.302652729911275 * logs.std(ddof=1) / math.sqrt(3)
    assert interval.estimate == pytest.approx(math.exp(logs.mean()))
    assert interval.high == pytest.approx(math.exp(logs.mean() + half))


def test_the_slowdown_of_one_seed_has_an_interval_from_its_epochs_and_says_so() -> None:
    interval = slowdown_interval([20.0], [5.0], [9.0, 10.0, 11.0], [2.4, 2.5, 2.6])

    assert interval.low < 4.0 < interval.high
    assert "interval from the seconds of the epochs" in interval.method


@pytest.mark.parametrize("epochs", [([20.0], [5.0]), ([10.0, 10.0], [2.5, 2.5])], ids=["one epoch", "equal epochs"])
def test_a_slowdown_without_variation_has_an_interval_without_width(epochs: tuple[list[float], list[float]]) -> None:
    interval = slowdown_interval([20.0], [5.0], *epochs)

    assert interval.low == interval.high == pytest.approx(4.0)


def test_paired_outcomes_count_every_image_once() -> None:
    big = np.array([[True, True, False, False]])
    small = np.array([[True, False, True, False]])

    outcomes = paired_outcomes(big, small)

    assert (outcomes.both, outcomes.only_big, outcomes.only_small, outcomes.neither) == (1, 1, 1, 1)


def test_class_differences_agree_with_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 500)
    big = np.where(generator.random((2, 500)) < 0.9, labels, 0)
    small = np.where(generator.random((2, 500)) < 0.7, labels, 1)

    differences = class_differences(labels, big, small, 3)

    for metric, row in (("precision", 0), ("recall", 1), ("f1", 2)):
        means = [
            np.mean([precision_recall_fscore_support(labels, each)[row] for each in model], axis=0)
            for model in (big, small)
        ]
        found = [each.estimate for each in differences if each.metric == metric]
        assert found == pytest.approx((means[0] - means[1]).tolist())
    assert all(each.low <= each.estimate <= each.high for each in differences)


def test_equal_classes_do_not_differ_significantly() -> None:
    labels = np.arange(60) % 3

    differences = class_differences(labels, labels[None], labels[None], 3)

    assert {each.adjusted_p for each in differences} == {1.0}


def test_a_narrower_interval_needs_more_seeds_and_some_widths_are_out_of_reach() -> None:
    big, small = correct([0.92, 0.93, 0.915]), correct([0.91, 0.92, 0.9], seed=1)

    wide, narrow = seeds_needed(big, small, 0.02), seeds_needed(big, small, 0.01)

    assert wide is not None
    assert narrow is not None
    assert 3 <= wide <= narrow
    assert seeds_needed(big[:1], small[:1], 1e-6) is None


def test_a_model_whose_confidence_is_its_accuracy_is_calibrated() -> None:
    confidences = np.array([0.75, 0.75, 0.75, 0.75, 1.0])
    right = np.array([True, True, True, False, True])

    reliability = expected_calibration_error(confidences, right)

    assert reliability.error == pytest.approx(0.0)
    assert reliability.counts == (4, 1)


def simulate(generator: np.random.Generator, gain: float, seeds: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Simulate which predictions of two models are right, (seeds, images), with a true gain of ``gain``.

    Each study has its own images. Both models are always right on four in five. On each of the others, the hard ones,
    the models have a probability in common, plus or minus a preference for one of them, so that hard images are hard
    for both models and all seeds. A seed changes all probabilities of a model. The mean accuracy of the small model is
    91.5 %. Only the hard images are drawn.
    """
    hard = generator.binomial(IMAGES, HARD)
    common = 0.2 + 0.6 * generator.beta(0.9, 0.54, hard)
    preference = generator.choice([-0.1, 0.1], hard)
    models = []
    for own_gain, own_preference in ((gain, preference), (0.0, -preference)):
        effects = own_gain + generator.normal(0, SPREAD, seeds)
        right = np.ones((seeds, IMAGES), dtype=bool)
        right[:, :hard] = generator.random((seeds, hard)) < common + own_preference + effects[:, None] / HARD
        models.append(right)
    return models[0], models[1]


def test_the_detectable_gain_is_found_in_four_of_five_studies() -> None:
    generator = np.random.default_rng(3)
    detectable = float(np.mean([detectable_gain(*simulate(generator, 0.01, 5)) for _ in range(500)]))

    found = np.mean([gain_interval(*simulate(generator, detectable, 5)).low > 0 for _ in range(1_200)])

    assert 0.74 <= found <= 0.86  # 4 standard errors of the two simulations


@pytest.mark.slow
@pytest.mark.parametrize("gain", [0.0, 0.0045, 0.005, 0.015])
@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_intervals_have_their_coverage_and_a_small_gain_is_rarely_worth_it(gain: float, seeds: int) -> None:
    generator = np.random.default_rng([seeds, round(gain * 10_000)])

    intervals = [gain_interval(*simulate(generator, gain, seeds)) for _ in range(1_000)]

    covered = np.mean([interval.low <= gain <= interval.high for interval in intervals])
    worth = np.mean([interval.low - seed_allowance(interval, seeds) >= MARGIN for interval in intervals])
    if seeds > 1:  # the interval of one seed covers the images only, and says so
        assert 0.92 <= covered <= 0.98
    if gain < MARGIN:
        assert worth < 0.05


LOOKS = (3, 5, 8, 12, 20)


def test_interim_analyses_share_the_five_percent_in_proportion_to_their_new_seeds() -> None:
    shares = [1 - look_confidence(look, LOOKS) for look in LOOKS]

    assert sum(shares) == pytest.approx(0.05)
    assert shares[0] / shares[1] == pytest.approx(3 / 2)
    assert look_confidence(4, LOOKS) == look_confidence(5, LOOKS)  # a case failed: still the same analysis
    assert look_confidence(25, LOOKS) == look_confidence(20, LOOKS)
    assert look_confidence(7, ()) == CONFIDENCE


def test_the_interval_of_an_interim_analysis_is_wider_and_says_so() -> None:
    big, small = correct([0.92, 0.93, 0.915]), correct([0.91, 0.92, 0.9], seed=1)

    alone, look = gain_interval(big, small), gain_interval(big, small, look_confidence(3, LOOKS))

    assert look.low < alone.low < alone.high < look.high
    assert look.method.endswith("99.2 % at this interim analysis, 95 % over all planned analyses")
    assert slowdown_interval([20.0, 22.0, 21.0], [5.0, 5.0, 5.0], [], [], 0.99).high > 4.5


def add_seeds_until_decided(
    big: NDArray[np.bool_], small: NDArray[np.bool_], gain: float, looks: tuple[int, ...]
) -> tuple[State, bool]:
    """Return how a study ends that stops when it is decided, and whether all its intervals cover the true gain."""
    slowdown = Interval(estimate=7.0, low=6.0, high=8.0, method="")
    intervals = [gain_interval(big[:look], small[:look], look_confidence(look, looks)) for look in LOOKS]
    thresholds = Thresholds(margin=MARGIN, price_minutes_per_pp=None)
    states = [judge(interval, slowdown, 9.0, thresholds) for interval in intervals]
    ended = next((state for state in states if state != "CANNOT TELL"), states[-1])
    return ended, all(interval.low <= gain <= interval.high for interval in intervals)


@pytest.mark.slow
@pytest.mark.parametrize("gain", [0.0045, 0.005])
def test_adding_seeds_until_decided_rarely_ends_in_a_false_verdict(gain: float) -> None:
    adjusted, unadjusted = [], []
    for seed in range(250):
        study = simulate(np.random.default_rng(seed), gain, LOOKS[-1])
        adjusted.append(add_seeds_until_decided(*study, gain, LOOKS))
        unadjusted.append(add_seeds_until_decided(*study, gain, ()))

    false: State = "WORTH IT" if gain < MARGIN else "NOT WORTH IT"
    assert np.mean([state == false for state, _ in adjusted]) < 0.05
    assert np.mean([is_covered for _, is_covered in adjusted]) > 0.93
    assert np.mean([is_covered for _, is_covered in unadjusted]) < 0.9  # plain 95 % intervals would be wrong
