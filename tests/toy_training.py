"""A training that takes a moment: a small network, its images, and checkpoints."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from cases import CPU
from torch import Tensor, nn

from fashionbench.data.dataset import Split, Task
from fashionbench.execution.step import StepOptions, TrainingStep, prepare_step
from fashionbench.recipe.fields import Recipe
from fashionbench.records.record import Execution
from fashionbench.training.case import Case
from fashionbench.training.checkpoint import Checkpoints
from fashionbench.training.clock import TrainingClock
from fashionbench.training.loop import Curves, Supervision, Tick, train

RECIPE = Recipe(name="toy", epochs=3, batch_size=10, step_epochs=1)


TASK = Task(shape=(1, 28, 28), classes=10)


def network(execution: Execution = "fast") -> TrainingStep:
    """Return a small network of the layers of FashionCNN, whose checkpoints are small as well."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)
        second = nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)
        model = nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(288, 16), nn.Dropout(0.25), nn.Linear(16, 10))
    options = StepOptions(execution=execution, rewritten=True)  # as a run has decided
    return prepare_step(model, TASK, device=torch.device("cpu"), learning_rate=RECIPE.learning_rate, options=options)


def divide(images: Tensor, labels: Tensor, count: int) -> Split:
    """Return the first ``count`` images for training and the others for validation, with none to test on."""
    return Split(
        train_images=images[:count],
        train_labels=labels[:count],
        validation_images=images[count:],
        validation_labels=labels[count:],
        test_images=images[:0],
        test_labels=labels[:0],
    )


def split() -> Split:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(256, (60, 1, 28, 28), generator=generator, dtype=torch.uint8)
    return divide(images, torch.arange(60) % 10, 50)


def run(
    step: TrainingStep,
    checkpoints: Checkpoints | None = None,
    *,
    recipe: Recipe = RECIPE,
    clock: TrainingClock | None = None,
    watch: Callable[[Tick], None] = lambda _: None,
) -> Curves:
    case = Case(model="fashioncnn", device=CPU, recipe=recipe, seed=0, execution=step.options.execution)
    supervision = Supervision(clock=clock or TrainingClock(), watch=watch, checkpoints=checkpoints)
    return train(case, step, split(), supervision)


class StopAt:
    """Wishes a training to stop when it was asked so many times."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def never() -> bool:
    return False


def keeper(path: Path, stop: Callable[[], bool] = never, *, seconds: float = 1e9) -> Checkpoints:
    return Checkpoints(path, stop=stop, seconds_between=seconds, warn=pytest.fail)
