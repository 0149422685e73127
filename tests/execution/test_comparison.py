"""Both executions take turns in processes of their own, and their ratio comes with an interval."""

import pytest

from fashionbench.data.dataset import Dataset
from fashionbench.devices.device import Device
from fashionbench.errors import CaseFailedError
from fashionbench.execution.comparison import ExecutionComparison
from fashionbench.recipe import Recipe
from fashionbench.training.case import Case

RECIPE = Recipe(name="toy", is_result=False)


def case_on(word: str) -> Case:
    return Case(model="fashioncnn", device=Device(word=word, name=word), recipe=RECIPE, seed=0)


def test_executions_take_turns_and_turn_the_order_round(sample: Dataset) -> None:
    trial = ExecutionComparison(case_on("cpu"), sample, 20)

    taken = [trial.take_turns() for _ in range(2)]

    assert taken == trial.step_seconds["fast"]
    assert len(trial.step_seconds["plain"]) == 2
    assert all(seconds > 0 for seconds in (*trial.step_seconds["plain"], *taken))
    assert min(trial.peak_bytes["plain"] + trial.peak_bytes["fast"]) > 10**8


def test_a_device_that_fails_is_told_in_its_own_words(sample: Dataset) -> None:
    trial = ExecutionComparison(case_on("meta:1"), sample, 20)

    with pytest.raises(CaseFailedError, match="meta"):
        trial.take_turns()


def test_the_ratio_is_the_median_of_the_pairs_with_its_interval(sample: Dataset) -> None:
    trial = ExecutionComparison(case_on("cpu"), sample, 20)
    trial.step_seconds["plain"] += [1.0, 2.0, 4.0, 1.0, 2.0, 4.0, 1.0, 2.0]
    trial.step_seconds["fast"] += [0.5, 0.8, 2.4, 0.3, 1.0, 1.6, 0.45, 0.9]
    trial.peak_bytes["plain"] += [200, 220, 190]
    trial.peak_bytes["fast"] += [150, 160, 140]

    ratios = trial.ratios()

    assert ratios["ratio_fast_over_plain"] == pytest.approx(0.45)
    assert (ratios["ratio_low"], ratios["ratio_high"]) == (0.3, 0.6)
    assert ratios["pairs"] == 8
    assert ratios["ratio_of_peak_memory"] == 0.75
