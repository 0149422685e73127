"""The time to a target is the clock at the end of the first epoch that reaches it; some trainings never do."""

import numpy as np
import pytest
from synthetic import make_training

from fashionbench.judging.statistics.targets import list_targets, minutes_to_target
from fashionbench.records.fields import Packed
from fashionbench.records.record import TrainingRecord, TrainingResult

PAIR = ("fashioncnn", "resnet18")


def result(*accuracies: float, epoch_minutes: float = 1.0) -> TrainingResult:
    made = make_training().result
    assert made is not None
    return made.model_copy(
        update={"validation_accuracies": accuracies, "epoch_seconds": (60 * epoch_minutes,) * len(accuracies)}
    )


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (0.7, (3, 1.0)),  # at once, in one minute each
        (0.8, (2, 2.0)),  # one of three never does
        (0.9, (1, None)),  # two of three never do, so the median does not either
        (0.95, (0, None)),
    ],
)
def test_the_median_counts_a_training_that_never_reaches_the_target_as_infinitely_long(
    target: float, expected: tuple[int, float | None]
) -> None:
    results = [result(0.7, 0.8, 0.85), result(0.75, 0.8, 0.9), result(0.7, 0.72, 0.79)]

    assert minutes_to_target(results, target) == expected


def records(big: TrainingResult) -> list[TrainingRecord]:
    small = result(0.7, 0.8, epoch_minutes=0.5)
    return [
        make_training(model).model_copy(update={"result": found})
        for model, found in zip(PAIR, (small, big), strict=True)
    ]


def test_the_target_is_what_was_asked_for_or_the_lower_final_accuracy() -> None:
    trainings = records(result(0.6, 0.82))

    lower, asked = (list_targets(trainings, PAIR, target) for target in (None, 0.81))

    assert [(each.model, each.target, each.minutes) for each in lower] == [
        ("fashioncnn", 0.8, 1.0),
        ("resnet18", 0.8, 2.0),
    ]
    assert [(each.target, each.minutes) for each in asked] == [(0.81, None), (0.81, 2.0)]


def test_a_model_without_steps_has_no_time_to_a_target() -> None:
    fitted_at_once = result(0.8).model_copy(update={"step_losses": Packed.of(np.empty(0), "<f4")})

    assert list_targets(records(fitted_at_once), PAIR, None) == ()
