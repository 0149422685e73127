"""What would fail after an hour fails in the first seconds."""

import pytest
from cases import CPU

from fashionbench.data.dataset import Dataset
from fashionbench.devices.load import CpuLoad
from fashionbench.recipe import Recipe
from fashionbench.running.preflight import estimate_seconds, tell_load
from fashionbench.training.case import Case


class Load:
    """Stands for the load of a machine."""

    def __init__(self, *shares: float | None) -> None:
        self.left = [*shares]

    def share(self) -> float | None:
        return self.left.pop(0)


@pytest.mark.parametrize(
    ("load", "lines"), [(Load(0.52), 1), (Load(None, 0.52), 1), (Load(0.05), 0), (Load(None, None), 0), (None, 0)]
)
def test_a_busy_machine_is_told_in_one_line(load: CpuLoad | None, lines: int) -> None:
    told: list[str] = []

    tell_load(load, told.append)

    assert len(told) == lines
    assert all(line.startswith("The machine is busy: other processes use 52% of the CPUs.") for line in told)


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
