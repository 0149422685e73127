"""Slowdown, extra minutes and price have intervals that carry the spread of the times, if there is any to see."""

import math

import numpy as np
import pytest
from scipy import stats
from synthetic import make_training

from fashionbench.judging.statistics.intervals import Interval
from fashionbench.judging.statistics.times import (
    extra_interval,
    mean_minutes,
    others_share,
    price_interval,
    slowdown_interval,
    training_extra,
    training_slowdown,
)
from fashionbench.records.record import TrainingResult


def result(seconds: float, shares: tuple[float | None, ...] = (), epochs: int = 2) -> TrainingResult:
    found = make_training(images=100, train_seconds=seconds).result
    assert found is not None
    return found.model_copy(
        update={"epoch_seconds": tuple(seconds / epochs for _ in range(epochs)), "others_cpu_share": shares}
    )


def given(low: float, high: float, estimate: float | None = None) -> Interval:
    return Interval(estimate=(low + high) / 2 if estimate is None else estimate, low=low, high=high, method="given")


def test_the_slowdown_of_three_seeds_has_a_t_interval_of_paired_logs() -> None:
    interval = slowdown_interval([20.0, 22.0, 21.0], [5.0, 5.0, 5.0], [], [])

    logs = np.log([4.0, 4.4, 4.2])
    half = 4.302652729911275 * logs.std(ddof=1) / math.sqrt(3)
    assert isinstance(interval, Interval)
    assert interval.estimate == pytest.approx(math.exp(logs.mean()))
    assert interval.high == pytest.approx(math.exp(logs.mean() + half))


def test_the_interval_of_an_interim_analysis_is_wider() -> None:
    look = slowdown_interval([20.0, 22.0, 21.0], [5.0, 5.0, 5.0], [], [], 0.99)

    assert isinstance(look, Interval)
    assert look.high > 4.5


def test_the_slowdown_of_one_seed_has_an_interval_from_its_epochs_and_says_so() -> None:
    interval = slowdown_interval([20.0], [5.0], [9.0, 10.0, 11.0], [2.4, 2.5, 2.6])

    assert isinstance(interval, Interval)
    assert interval.low < 4.0 < interval.high
    assert "interval from the seconds of the epochs" in interval.method


@pytest.mark.parametrize(
    "epochs",
    [([20.0], [5.0]), ([10.0, 10.0], [5.0]), ([1e-9, 20.0], [2.5, 2.5]), ([0.0, 0.0, 20.0], [2.5, 2.5, 0.0])],
    ids=["one epoch each", "one epoch of a model", "any ratio fits", "epochs without seconds"],
)
def test_an_interval_that_cannot_be_is_left_out_with_its_reason(epochs: tuple[list[float], list[float]]) -> None:
    slowdown, extra = (make([20.0], [5.0], *epochs) for make in (slowdown_interval, extra_interval))

    for found, estimate in ((slowdown, 4.0), (extra, 0.25)):
        assert not isinstance(found, Interval)
        assert found.estimate == pytest.approx(estimate)
        assert found.method.endswith("no interval, because there are too few seeds or epochs")


def test_equal_epochs_have_an_interval_without_width() -> None:
    interval = slowdown_interval([20.0], [5.0], [10.0, 10.0], [2.5, 2.5])

    assert isinstance(interval, Interval)
    assert interval.low == interval.high == pytest.approx(4.0)


def test_the_extra_minutes_of_three_seeds_agree_with_a_paired_t_interval_if_the_spread_is_small() -> None:
    generator = np.random.default_rng(0)
    together = 1 + 0.002 * generator.normal(size=5)
    big = 1_200 * together * (1 + 0.001 * generator.normal(size=5))
    small = 600 * together * (1 + 0.001 * generator.normal(size=5))

    interval = extra_interval(big.tolist(), small.tolist(), [], [])

    extra = (big - small) / 60
    half = stats.t.ppf(0.975, 4) * extra.std(ddof=1) / math.sqrt(5)
    assert isinstance(interval, Interval)
    assert interval.estimate == pytest.approx(extra.mean(), rel=1e-4)
    assert [interval.low, interval.high] == pytest.approx([extra.mean() - half, extra.mean() + half], rel=1e-3)


def test_the_extra_minutes_of_one_seed_come_from_its_epochs() -> None:
    interval = extra_interval([1_200.0], [300.0], [590.0, 610.0], [148.0, 152.0])

    assert isinstance(interval, Interval)
    assert interval.low < 15 < interval.high
    assert interval.method == "difference of geometric means, from the seconds of the epochs"


def test_trainings_are_compared_by_their_seconds_and_epochs() -> None:
    big, small = [result(1_200.0)], [result(300.0)]

    slowdown, extra = training_slowdown(big, small), training_extra(big, small)

    assert [slowdown.estimate, extra.estimate] == pytest.approx([4.0, 15.0])
    assert mean_minutes([result(60.0), result(240.0)]) == pytest.approx(2.0)


def test_the_price_of_a_known_time_is_that_time_over_the_limits_of_the_gain() -> None:
    price = price_interval(given(15.0, 15.0), given(0.01, 0.03))

    assert [price.low, price.estimate, price.high] == pytest.approx([5.0, 7.5, 15.0])


def test_the_price_of_a_known_gain_has_the_limits_of_the_time_and_may_be_negative() -> None:
    price = price_interval(given(-2.0, 40.0, estimate=10.0), given(0.01, 0.01))

    assert [price.low, price.estimate, price.high] == pytest.approx([-2.0, 10.0, 40.0])


def test_an_uncertain_time_and_gain_make_the_price_less_certain_than_each_alone() -> None:
    time, gain = given(10.0, 20.0), given(0.01, 0.03)

    both = price_interval(time, gain)

    for alone in (price_interval(given(15.0, 15.0), gain), price_interval(time, given(0.02, 0.02))):
        assert both.low < alone.low < alone.high < both.high


def test_what_others_used_is_the_largest_mean_of_a_training_weighted_by_time() -> None:
    quiet = result(60.0, (0.01, 0.03))
    once = result(60.0, (0.0, 0.4)).model_copy(update={"epoch_seconds": (45.0, 15.0)})

    assert others_share([quiet]) == pytest.approx(0.02)
    assert others_share([quiet, once]) == pytest.approx(0.1)
    assert others_share([result(60.0, (None, 0.3))]) == pytest.approx(0.3)
    assert others_share([result(60.0), result(60.0, (None, None))]) is None
