"""The fast execution against the plain one, by turns on one machine, so that its drift meets both alike."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, count
from multiprocessing.connection import Connection
from typing import Final

import numpy as np
import torch
from scipy.stats import quantile_test

from fashionbench.errors import CaseFailedError
from fashionbench.measure.case import Case, build_for, image_shape
from fashionbench.measure.data import Dataset
from fashionbench.measure.devices import peak_host_bytes, synchronize
from fashionbench.measure.execution import keep_memory, make_optimizer
from fashionbench.measure.helper import clean_context
from fashionbench.measure.training import iterate_batches, scale_pixels, train_step, warm_up
from fashionbench.record import Execution

__all__ = ["Trial", "open_trial"]

SECONDS_A_TURN: Final = 1.0

Ends = dict[Execution, "Connection[object, object]"]


@dataclass(frozen=True, slots=True)
class _Turn:
    step_seconds: float
    peak_bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Two trainings that wait for their turns, each in a process of its own, as the allocator's settings are."""

    ends: Ends
    step_seconds: dict[Execution, list[float]] = field(default_factory=lambda: {"plain": [], "fast": []})
    """Mean seconds of a step, one entry a turn."""
    peak_bytes: dict[Execution, int] = field(default_factory=dict)
    """The process's resident memory at its highest so far."""

    def take_turns(self) -> float:
        """Let each execution train for about a second, the other one first each time; return fast's seconds a step."""
        order: tuple[Execution, ...] = ("plain", "fast")
        for execution in order if len(self.step_seconds["fast"]) % 2 == 0 else order[::-1]:
            self.ends[execution].send("go")
            match self.ends[execution].recv():
                case _Turn() as turn:
                    self.step_seconds[execution].append(turn.step_seconds)
                    self.peak_bytes[execution] = turn.peak_bytes
                case reason:
                    raise CaseFailedError(str(reason), expected="a training step", remedy="take another device")
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
            "ratio_of_peak_memory": self.peak_bytes["fast"] / self.peak_bytes["plain"],
        }


@contextmanager
def open_trial(case: Case, dataset: Dataset, batch_size: int) -> Iterator[Trial]:
    """Prepare both executions of a case's training step, with ``batch_size`` images a step.

    Raises:
        CaseFailedError: The model does not train on this device (torch's own words).

    """
    context = clean_context()
    ends: Ends = {}
    processes = []
    for execution in ("plain", "fast"):
        ours, theirs = context.Pipe()
        job = (theirs, replace(case, execution=execution), dataset, batch_size)
        processes.append(context.Process(target=_work, args=job, daemon=True))
        processes[-1].start()
        theirs.close()
        ends[execution] = ours
    try:
        yield Trial(ends)
    finally:
        for end in ends.values():
            end.close()
        for process in processes:
            process.join()
            process.close()


def _work(end: "Connection[object, object]", case: Case, dataset: Dataset, batch_size: int) -> None:
    """Train for a turn whenever told so, until the other end is closed."""
    try:
        turns = _turns(case, dataset, batch_size)
        while True:
            end.recv()
            end.send(_Turn(next(turns), peak_host_bytes()))
    except EOFError:
        pass
    except RuntimeError as error:
        end.send(str(error).partition("\n")[0])


def _turns(case: Case, dataset: Dataset, batch_size: int) -> Iterator[float]:
    if case.execution == "fast":
        keep_memory()
    device = torch.device(case.device.word)
    model = build_for(case, dataset).to(device)
    warm_up(model, image_shape(dataset), batch_size, len(dataset.classes), case.execution, case.precision)
    optimizer = make_optimizer(model, case.recipe.learning_rate, case.execution)
    images = dataset.train_images if case.execution == "fast" else scale_pixels(dataset.train_images)
    images, labels = images.to(device), dataset.train_labels.to(device)
    generator = torch.Generator().manual_seed(0)
    batches = chain.from_iterable(
        iterate_batches(images, labels, batch_size, generator, case.execution) for _ in count()
    )
    while True:
        started, steps = time.perf_counter(), 0
        while time.perf_counter() - started < SECONDS_A_TURN:
            train_step(model, optimizer, *next(batches), precision=case.precision)
            synchronize(device)
            steps += 1
        yield (time.perf_counter() - started) / steps
