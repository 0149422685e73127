"""Intervals and tests agree with independent implementations, and intervals have the coverage that they claim."""

import math

import numpy as np
import pytest
from scipy import stats
from simulation import LOOKS, add_seeds_until_decided, correct, cover_classes, simulate, weigh_price
from sklearn.metrics import precision_recall_fscore_support
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from synthetic import make_training

from fashionbench.judging.rule import State
from fashionbench.judging.statistics.differences import (
    class_differences,
    expected_calibration_error,
    holm,
    mcnemar_exact,
    paired_outcomes,
)
from fashionbench.judging.statistics.gains import accuracy_interval, detectable_gain, gain_interval, seeds_needed
from fashionbench.judging.statistics.intervals import (
    CONFIDENCE,
    look_confidence,
    seed_allowance,
    wilson_interval,
)

MARGIN = 0.005


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


def test_the_intervals_of_equal_models_are_those_of_one_differing_image() -> None:
    big = np.ones((3, 50), dtype=bool)

    interval = gain_interval(big, big)

    assert interval.estimate == 0.0
    assert interval.high == -interval.low == pytest.approx(stats.t.ppf(0.975, 49) / 50)
    assert gain_interval(big[:1], big[:1]).high == pytest.approx(1.959963984540054 / 50)
    assert gain_interval(big[:, :1], big[:, :1]).high > 1


def test_the_same_input_gives_the_same_interval() -> None:
    big, small = correct([0.92, 0.93, 0.91]), correct([0.9, 0.91, 0.9], seed=1)

    assert gain_interval(big, small) == gain_interval(big, small)


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


def test_the_recall_of_all_classes_together_has_the_interval_of_the_gain() -> None:
    big, small = correct([0.92, 0.96, 0.9]), correct([0.9, 0.95, 0.87], seed=1)
    labels = np.zeros(big.shape[1], dtype=int)

    (found,) = (
        each
        for each in class_differences(labels, 1 - big, 1 - small, 2)
        if each.metric == "recall" and each.class_index == 0
    )
    expected = gain_interval(big, small)

    assert found.estimate == pytest.approx(expected.estimate)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=2e-3)


def test_a_score_without_variation_has_the_interval_of_one_image() -> None:
    labels = np.array([0, 0, 1, 1, 1, 1])
    wrong = np.array([1, 1, 1, 1, 1, 1])

    recall = [each for each in class_differences(labels, labels[None], wrong[None], 3) if each.metric == "recall"]

    assert [recall[0].estimate, recall[0].high] == pytest.approx([1.0, 1 + stats.t.ppf(0.975, 1) / 2])
    assert recall[0].adjusted_p > 0.05
    assert (recall[2].low, recall[2].high, recall[2].adjusted_p) == (0.0, 0.0, 1.0)  # no such image


@pytest.mark.parametrize("seeds", [3, 5])
def test_the_differences_of_classes_have_their_coverage_and_are_rarely_called_significant(seeds: int) -> None:
    covered, false = cover_classes(np.random.default_rng(seeds), seeds, 150)

    assert min(covered.values()) > 0.88  # 4 standard errors below 95 %
    assert 0.93 <= np.mean(list(covered.values())) <= 0.98
    assert false <= 0.05


@pytest.mark.parametrize("spread", [0.02, 0.3])
def test_the_interval_of_a_price_carries_the_spread_of_the_times(spread: float) -> None:
    generator = np.random.default_rng(5)
    gains = [gain_interval(*simulate(generator, 0.015, 3)) for _ in range(300)]

    found = [weigh_price(generator, each, spread, 3, 0.015) for each in gains if each.low > 0]

    assert np.mean([is_covered for is_covered, _ in found]) >= 0.9
    for state in ("WORTH IT", "NOT WORTH IT"):  # at exactly the price that it has
        assert np.mean([each == state for _, each in found]) < 0.06


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


@pytest.mark.slow
@pytest.mark.parametrize("gain", [0.0045, 0.005])
def test_adding_seeds_until_decided_rarely_ends_in_a_false_verdict(gain: float) -> None:
    adjusted, unadjusted = [], []
    for seed in range(250):
        study = simulate(np.random.default_rng(seed), gain, LOOKS[-1])
        adjusted.append(add_seeds_until_decided(*study, gain, LOOKS))
        unadjusted.append(add_seeds_until_decided(*study, gain, ()))

    false: State = "WORTH IT" if gain < MARGIN else "NOT WORTH IT"
    assert np.mean([state == false for state, _, _ in adjusted]) < 0.05
    assert np.mean([is_covered for _, _, is_covered in adjusted]) > 0.93
    assert np.mean([is_covered for _, _, is_covered in unadjusted]) < 0.9  # plain 95 % intervals would be wrong
