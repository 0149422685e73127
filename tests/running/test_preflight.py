"""What would fail after an hour fails in the first seconds."""

import pytest
from cases import CPU

from fashionbench.data.dataset import Dataset
from fashionbench.recipe import Recipe
from fashionbench.running.preflight import estimate_seconds
from fashionbench.training.case import Case


@pytest.mark.parametrize("execution", ["fast", "plain"])
def test_an_estimate_grows_with_the_epochs(sample: Dataset, execution: str) -> None:
    short, long = (
        Case(
            model="fashioncnn",
            device=CPU,
            recipe=Recipe(name="x", epochs=epochs),
            seed=0,
            execution="fast" if execution == "fast" else "plain",
        )
        for epochs in (1, 1_000)
    )

    assert estimate_seconds(long, sample) > 20 * estimate_seconds(short, sample) > 0
