"""The fast execution compared with plain, in turns on one machine, so that its drift affects both alike."""

import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain, count
from typing import Final

import numpy as np
import torch
from scipy.stats import quantile_test

from fashionbench.data.dataset import Dataset
from fashionbench.devices.runtime import peak_host_bytes, synchronize
from fashionbench.errors import CaseFailedError
from fashionbench.execution.fast import keep_memory
from fashionbench.execution.step import WARM_UP_STEPS, iterate_batches, make_optimizer, scale_pixels, train_step
from fashionbench.records.record import Execution
from fashionbench.running.process import clean_context
from fashionbench.training.case import Case, build_for

__all__ = ["ExecutionComparison"]

SECONDS_A_TURN: Final = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class ExecutionComparison:
    """A case's training step in both executions, with ``batch_size`` images a step.

    Each turn is a process of its own, as the allocator's settings are a process's. And the first steps leave its heap
    in a state that lasts, and that moves the plain step by a third: turns within one process would not be independent.
    """

    case: Case
    dataset: Dataset
    batch_size: int
    step_seconds: dict[Execution, list[float]] = field(default_factory=lambda: {"plain": [], "fast": []})
    """Mean seconds of a step, one entry a turn."""
    peak_bytes: dict[Execution, list[int]] = field(default_factory=lambda: {"plain": [], "fast": []})
    """The process's resident memory at its highest, one entry a turn."""

    def take_turns(self) -> float:
        """Let each execution train for about a second, the other one first each time; return fast's seconds a step.

        Raises:
            CaseFailedError: The model does not train on this device (torch's own words).

        """
        order: tuple[Execution, ...] = ("plain", "fast")
        for execution in order if len(self.step_seconds["fast"]) % 2 == 0 else order[::-1]:
            with ProcessPoolExecutor(1, mp_context=clean_context()) as pool:
                turn = pool.submit(_turn, replace(self.case, execution=execution), self.dataset, self.batch_size)
                try:
                    step_seconds, peak_bytes = turn.result()
                except RuntimeError as error:
                    raise CaseFailedError(
                        str(error).partition("\n")[0], expected="a training step", remedy="take another device"
                    ) from error
            self.step_seconds[execution].append(step_seconds)
            self.peak_bytes[execution].append(peak_bytes)
        return self.step_seconds["fast"][-1]

    def ratios(self) -> dict[str, float | int]:
        """Return fast over plain: the median of the pairs with its 95 % interval, and the peak memory's."""
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


def _turn(case: Case, dataset: Dataset, batch_size: int) -> tuple[float, int]:
    """Train for a turn, and return the mean seconds of a step and the process's peak bytes."""
    if case.execution == "fast":
        keep_memory()
    device = torch.device(case.device.word)
    model = build_for(case, dataset).to(device)
    optimizer = make_optimizer(model, case.recipe.learning_rate, case.execution)
    images = dataset.train_images if case.execution == "fast" else scale_pixels(dataset.train_images)
    images, labels = images.to(device), dataset.train_labels.to(device)
    generator = torch.Generator().manual_seed(0)
    batches = chain.from_iterable(
        iterate_batches(images, labels, batch_size, generator, case.execution) for _ in count()
    )

    def step() -> None:
        train_step(model, optimizer, *next(batches), precision=case.precision)
        synchronize(device)

    for _ in range(WARM_UP_STEPS):
        step()
    started, steps = time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS_A_TURN:
        step()
        steps += 1
    return (time.perf_counter() - started) / steps, peak_host_bytes()
