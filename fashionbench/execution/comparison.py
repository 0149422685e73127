"""Ways to compute a step, compared: fast with plain in turns, and the methods of fast on an accelerator."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain, count, islice
from typing import Final, get_args

import numpy as np
import torch
from scipy.stats import quantile_test
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fashionbench.data.dataset import Dataset
from fashionbench.devices.precision import single_precision
from fashionbench.devices.recording import records_work
from fashionbench.devices.runtime import peak_host_bytes
from fashionbench.execution.step import StepOptions, TrainingStep, prepare_step, time_steps
from fashionbench.models.randomness import seeded_generators
from fashionbench.models.registry import build_model
from fashionbench.records.record import Execution, Precision, StepMethod

__all__ = ["STEPS_COMPARED", "ExecutionComparison", "step_methods", "take_turn", "time_method"]

SECONDS_PER_TURN: Final = 1.0
LEARNING_RATE: Final = 0.001

SECONDS_PER_METHOD: Final = 0.5

STEPS_COMPARED: Final = 20

BATCHES_COMPARED: Final = 4

ROUNDING: Final = 1e-4
"""Relative difference of losses that counts as rounding."""

ROUNDING_FACTOR: Final = 10
"""So many times the difference that a change of the images in their last bit makes is rounding, too ..."""

MOST_ROUNDING: Final = 0.05
"""... up to this."""


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
    call: Callable[..., tuple[float, int]]
    """Calls a function with its arguments in a process of its own, and returns its value."""
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
            seconds, peak = self.call(take_turn, self.model, self.dataset, self.device, options, self.batch_size)
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


def step_methods(device: torch.device) -> tuple[StepMethod, ...]:
    """Return how the fast execution can compute its steps on a kind of accelerator; the device is not asked."""
    methods: tuple[StepMethod, ...] = get_args(StepMethod)
    return methods if records_work(device) else methods[:2]


def time_method(
    prepare: Callable[[StepMethod], TrainingStep],
    schedule: Callable[[Optimizer], LRScheduler],
    dataset: Dataset,
    *,
    method: StepMethod,
    batch_size: int,
) -> float | str:
    """Return the mean seconds of a step computed by a method, or why steps cannot be computed so.

    A captured step can be used if 20 of its steps give the losses of eager ones within rounding, on this very device,
    with a smaller batch and the whole schedule on the way.

    Args:
        prepare: Makes the same new model ready to train by a method.
        schedule: Returns the training's schedule, shortened to ``STEPS_COMPARED`` steps.
        dataset: Its training images are used; they repeat as often as needed.
        method: How to compute the steps.
        batch_size: Images per batch.

    """
    few = torch.arange(BATCHES_COMPARED * batch_size - 1) % len(dataset.train_images)  # the last batch is smaller
    images, labels = dataset.train_images[few], dataset.train_labels[few]
    if method.startswith("captured"):
        eager: StepMethod = "contiguous" if method.endswith("contiguous") else "channels-last"

        def try_steps(method: StepMethod, scale: float = 1.0) -> Tensor:
            step = prepare(method)
            return _train(step, step.place(images, labels), batch_size, schedule(step.optimizer), scale)

        expected, found = try_steps(eager), try_steps(method)
        rounded = try_steps(eager, 1 + torch.finfo(torch.float32).eps)
        difference, rounding = (
            float((each - expected).abs().max() / expected.abs().max()) for each in (found, rounded)
        )
        if not difference <= min(max(ROUNDING, ROUNDING_FACTOR * rounding), MOST_ROUNDING):
            return f"its losses differ from those of eager steps by {difference:.1e} (rounding: {rounding:.1e})"
    whole = len(images) // batch_size * batch_size  # the smaller batch is never captured, and rare in a training
    return time_steps(
        prepare(method), images[:whole], labels[:whole], batch_size=batch_size, seconds=SECONDS_PER_METHOD
    )


def _train(
    step: TrainingStep, placed: tuple[Tensor, Tensor], batch_size: int, schedule: LRScheduler, scale: float
) -> Tensor:
    """Train for a few steps on scaled images; return the losses, on the CPU."""
    losses = []
    generator = torch.Generator().manual_seed(0)
    with seeded_generators(0, step.device):
        take = step.begin(*placed, batch_size)
        batches = chain.from_iterable(step.batches(*placed, batch_size, generator) for _ in count())
        for images, labels in islice(batches, STEPS_COMPARED):
            losses.append(take(images * scale, labels))
            schedule.step()
    return torch.stack(losses).cpu()
