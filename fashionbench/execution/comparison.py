"""The fast execution compared with plain, in turns on one machine, so that its drift affects both alike."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from scipy.stats import quantile_test

from fashionbench.data.dataset import Dataset
from fashionbench.devices.precision import single_precision
from fashionbench.devices.runtime import peak_host_bytes
from fashionbench.execution.step import StepOptions, prepare_step, time_steps
from fashionbench.models.registry import build_model
from fashionbench.records.record import Execution, Precision

__all__ = ["ExecutionComparison", "take_turn"]

SECONDS_PER_TURN: Final = 1.0
LEARNING_RATE: Final = 0.001


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExecutionComparison:
    """A model's training step in both executions.

    Each turn is a process of its own, as the allocator's settings belong to a process. And the first steps leave its
    heap in a state that lasts, and that changes the plain step by a third: turns in one process are not independent.
    """

    model: str
    dataset: Dataset
    device: str
    """As torch writes it."""
    precision: Precision
    batch_size: int
    call: Mapping[Execution, Callable[..., tuple[float, int]]]
    """Calls a function with its arguments in a process of its own, as an execution has it, and returns its value."""
    step_seconds: dict[Execution, list[float]] = field(default_factory=lambda: {"plain": [], "fast": []})
    """Mean seconds of a step, one entry per turn."""
    peak_bytes: dict[Execution, list[int]] = field(default_factory=lambda: {"plain": [], "fast": []})
    """Peak resident memory of the process, one entry per turn."""

    def take_turns(self) -> float:
        """Let each execution train for about a second, in the other order each time; return fast's seconds per step.

        Raises:
            CaseFailedError: The model does not train on this device (torch's own words).

        """
        order: tuple[Execution, ...] = ("plain", "fast")
        for execution in order if len(self.step_seconds["fast"]) % 2 == 0 else order[::-1]:
            options = StepOptions(execution=execution, precision=self.precision, rewritten=True)
            seconds, peak = self.call[execution](
                take_turn, self.model, self.dataset, self.device, options, self.batch_size
            )
            self.step_seconds[execution].append(seconds)
            self.peak_bytes[execution].append(peak)
        return self.step_seconds["fast"][-1]

    def ratios(self) -> dict[str, float | int]:
        """Return fast over plain: the median of the pairs with its 95 % interval, and the ratio of peak memory."""
        pairs = np.asarray(self.step_seconds["fast"]) / np.asarray(self.step_seconds["plain"])
        low, high = np.asarray(quantile_test(pairs).confidence_interval(0.95), dtype=float)
        return {
            "ratio_fast_over_plain": float(np.median(pairs)),
            "ratio_low": float(low),
            "ratio_high": float(high),
            "pairs": len(pairs),
            "plain_step_seconds": float(np.median(self.step_seconds["plain"])),
            "fast_step_seconds": float(np.median(self.step_seconds["fast"])),
            "ratio_of_peak_memory": float(np.median(self.peak_bytes["fast"]) / np.median(self.peak_bytes["plain"])),
        }


def take_turn(model: str, dataset: Dataset, device: str, options: StepOptions, batch_size: int) -> tuple[float, int]:
    """Train for a turn, and return the mean seconds of a step and the process's peak bytes."""
    step = prepare_step(
        build_model(model, dataset.task, seed=0),
        dataset.task,
        device=torch.device(device),
        learning_rate=LEARNING_RATE,
        options=options,
    )
    images, labels = dataset.train_images, dataset.train_labels
    with single_precision(step.device, options.precision):
        seconds = time_steps(step, images, labels, batch_size=batch_size, seconds=SECONDS_PER_TURN)
    return seconds, peak_host_bytes()
