"""The verdict in probabilities: they are those of the gain's interval, and come true as often as they say."""

import numpy as np
import pytest
from scipy import stats
from simulation import correct, simulate

from fashionbench.judging.statistics.gains import gain_interval, gain_probabilities, probability_of_winning
from fashionbench.judging.statistics.intervals import ASSUMED_SEED_SPREAD, seed_allowance

MARGIN = 0.005


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_probabilities_of_a_gain_are_those_of_its_interval_and_add_up(seeds: int) -> None:
    big, small = correct([0.92, 0.93, 0.915][:seeds]), correct([0.9, 0.91, 0.9][:seeds], seed=1)
    interval = gain_interval(big, small)
    allowance = seed_allowance(interval, seeds)

    found = gain_probabilities(big, small, 0.01)

    assert found.at_least_margin + found.within_margin + found.below_minus_margin == pytest.approx(1)
    assert gain_probabilities(big, small, interval.low - allowance).at_least_margin == pytest.approx(0.975)
    assert gain_probabilities(big, small, interval.high + allowance).at_least_margin == pytest.approx(0.025)
    assert gain_probabilities(big, small, 0.0).within_margin == pytest.approx(0, abs=1e-12)


def test_of_studies_of_all_gains_as_many_are_won_as_predicted() -> None:
    generator = np.random.default_rng(6)
    predicted, won = [], []
    for _ in range(800):
        big, small = simulate(generator, generator.uniform(-0.01, 0.01), 4)
        predicted.append(probability_of_winning(big[:3], small[:3]))
        won.append(float(big[3].sum() > small[3].sum()))

    bins = np.digitize(predicted, [0.25, 0.75])

    for each in range(3):
        chosen = bins == each
        assert np.mean(np.array(predicted)[chosen]) == pytest.approx(np.mean(np.array(won)[chosen]), abs=0.08)


def test_the_probability_of_winning_of_one_seed_assumes_a_spread() -> None:
    big, small = correct([0.92]), correct([0.9], seed=1)

    expected = stats.norm.cdf((big.mean() - small.mean()) / (2 * ASSUMED_SEED_SPREAD))

    assert probability_of_winning(big, small) == pytest.approx(expected)
    assert probability_of_winning(big, big) == pytest.approx(0.5)


def test_a_gain_at_the_margin_is_called_likely_above_it_as_often_as_it_says() -> None:
    generator = np.random.default_rng(8)

    above = [gain_probabilities(*simulate(generator, MARGIN, 3), MARGIN).at_least_margin for _ in range(500)]

    for level in (0.05, 0.5, 0.95):
        assert np.mean(np.array(above) <= level) == pytest.approx(level, abs=0.07)  # 3 standard errors
