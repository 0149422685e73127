"""Both executions take turns, and their ratio comes with an interval."""

from collections.abc import Callable

import pytest

from fashionbench.data.dataset import Dataset
from fashionbench.execution.comparison import ExecutionComparison, take_turn
from fashionbench.execution.step import StepOptions
from fashionbench.running.process.call import CallFailedError, call_in_process


def comparison_on(
    device: str, sample: Dataset, call: Callable[..., tuple[float, int]] = call_in_process
) -> ExecutionComparison:
    return ExecutionComparison(
        model="fashioncnn",
        dataset=sample,
        device=device,
        precision="fp32",
        batch_size=20,
        call=call,
    )


def test_executions_take_turns_and_turn_the_order_round(sample: Dataset) -> None:
    order: list[str] = []

    def call(function: object, *given: object) -> tuple[float, int]:
        assert function is take_turn
        order.extend(each.execution for each in given if isinstance(each, StepOptions))
        return float(len(order)), 100 * len(order)

    comparison = comparison_on("cpu", sample, call)

    taken = [comparison.take_turns() for _ in range(2)]

    assert order == ["plain", "fast", "fast", "plain"]
    assert taken == comparison.step_seconds["fast"] == [2.0, 3.0]
    assert comparison.step_seconds["plain"] == [1.0, 4.0]
    assert comparison.peak_bytes == {"plain": [100, 400], "fast": [200, 300]}


def test_a_device_that_fails_is_told_in_its_own_words(sample: Dataset) -> None:
    comparison = comparison_on("meta:1", sample)

    with pytest.raises(CallFailedError, match="meta"):
        comparison.take_turns()


def test_the_ratio_is_the_median_of_the_pairs_with_its_interval(sample: Dataset) -> None:
    comparison = comparison_on("cpu", sample)
    comparison.step_seconds["plain"] += [1.0, 2.0, 4.0, 1.0, 2.0, 4.0, 1.0, 2.0]
    comparison.step_seconds["fast"] += [0.5, 0.8, 2.4, 0.3, 1.0, 1.6, 0.45, 0.9]
    comparison.peak_bytes["plain"] += [200, 220, 190]
    comparison.peak_bytes["fast"] += [150, 160, 140]

    ratios = comparison.ratios()

    assert ratios["ratio_fast_over_plain"] == pytest.approx(0.45)
    assert (ratios["ratio_low"], ratios["ratio_high"]) == (0.3, 0.6)
    assert ratios["pairs"] == 8
    assert ratios["ratio_of_peak_memory"] == 0.75
