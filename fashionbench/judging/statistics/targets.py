"""Time to target: the minutes of training until each model first reaches a validation accuracy."""

import math
from collections.abc import Iterable, Sequence
from statistics import median, median_low

import numpy as np
from pydantic import BaseModel, ConfigDict

from fashionbench.records.grouping import device_labels, machine
from fashionbench.records.record import TrainingRecord, TrainingResult

__all__ = ["TimeToTarget", "list_targets", "minutes_to_target", "reachable_target"]


class TimeToTarget(BaseModel):
    """How long a model trained on a device until it first reached a validation accuracy."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    device: str
    """The label of the device, as in ``DeviceVerdict``."""
    model: str
    target: float
    """The validation accuracy, a fraction."""
    seeds: int
    reached: int
    """The number of seeds that reached it."""
    minutes: float | None
    """Median over the seeds, of which one that never reaches it takes infinitely long; None: never."""


def list_targets(
    finished: Sequence[TrainingRecord], pair: tuple[str, str], target: float | None
) -> tuple[TimeToTarget, ...]:
    """Return the time to the target of both models, where both took steps: a classical baseline is fitted at once."""
    found = []
    for key, label in device_labels(finished).items():
        results = {
            model: [
                each.result
                for each in finished
                if machine(each) == key and each.model == model and each.result and each.result.step_losses.shape[0]
            ]
            for model in pair
        }
        if all(results.values()):
            wanted = reachable_target(results.values()) if target is None else target
            for model, those in results.items():
                reached, minutes = minutes_to_target(those, wanted)
                found.append(
                    TimeToTarget(
                        device=label, model=model, target=wanted, seeds=len(those), reached=reached, minutes=minutes
                    )
                )
    return tuple(found)


def minutes_to_target(results: Sequence[TrainingResult], target: float) -> tuple[int, float | None]:
    """Return how many trainings reach a validation accuracy, and the median of their minutes until then.

    The minutes are those on the clock at the end of the first epoch that reaches it, as in MLPerf Training (Mattson et
    al., 2020). A training that never does takes infinitely long, as in AlgoPerf (Dahl et al., 2023); None: so does the
    median.
    """
    minutes = [
        next(
            (
                float(clock) / 60
                for clock, accuracy in zip(np.cumsum(each.epoch_seconds), each.validation_accuracies, strict=True)
                if accuracy >= target
            ),
            math.inf,
        )
        for each in results
    ]
    middle = median(minutes)
    return sum(each < math.inf for each in minutes), middle if middle < math.inf else None


def reachable_target(models: Iterable[Sequence[TrainingResult]]) -> float:
    """Return the lower of the models' final validation accuracies, which half of each model's trainings reach.

    Of several trainings of a model, it is the median; of an even number, the lower one in the middle.
    """
    return min(median_low(each.validation_accuracies[-1] for each in results) for results in models)
