"""The training loop that the clock times."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR, StepLR

from fashionbench.devices.runtime import synchronize
from fashionbench.errors import CaseFailedError
from fashionbench.execution.step import iterate_batches, make_optimizer, scale_pixels, train_step
from fashionbench.recipe import Recipe
from fashionbench.records.record import Execution, Precision
from fashionbench.training.checkpoint import Checkpoints, State
from fashionbench.training.clock import TrainingClock

__all__ = ["Curves", "Tick", "train"]

SECONDS_BETWEEN_TICKS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """How far a training has come, for those who watch."""

    epoch: int
    """Counted from 1."""
    step: int
    """Steps done, of all epochs."""
    steps: int
    """Steps of the whole training."""
    loss: float
    """Mean training loss since the tick before."""
    train_seconds: float
    validation_accuracy: float | None = None
    """After an epoch's validation; None in between."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """What a training leaves behind besides its weights."""

    step_losses: Tensor
    """(steps,), float32, on the CPU."""
    epoch_seconds: tuple[float, ...]
    validation_losses: tuple[float, ...]
    validation_accuracies: tuple[float, ...]
    validation_seconds: float
    """Off the training clock."""
    resumed: int = 0
    """How often the training went on from a checkpoint."""


def train(  # noqa: PLR0913 - what a training depends on, each named
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    recipe: Recipe,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    execution: Execution,
    precision: Precision,
    clock: TrainingClock,
    validate: Callable[[], tuple[float, float]],
    watch: Callable[[Tick], None],
    checkpoints: Checkpoints | None = None,
) -> Curves:
    """Train a model by the recipe, with only the training itself on the clock.

    Args:
        model: On its device already, in training mode afterwards.
        images: Training images (N, C, H, W), uint8, on the CPU.
        labels: (N,), int64, on the CPU.
        recipe: Rate, schedule and labels.
        epochs: How often every image is seen.
        batch_size: Images a batch.
        seed: Decides the order of images and the dropout.
        execution: How batches and updates are carried out.
        precision: The arithmetic of a step.
        clock: Advances while training, up to the device's wait at each epoch's end.
        validate: Returns loss and accuracy (a fraction) on the validation images; off the clock.
        watch: Is told of the progress about once a second and after each epoch.
        checkpoints: Where to go on from and to save to, off the clock; None trains from the start and saves nothing.

    Raises:
        CaseFailedError: The loss is no longer finite.

    """
    device = next(model.parameters()).device
    steps = len(range(0, len(images) - 1, batch_size))  # as iterate_batches yields them
    step = partial(train_step, precision=precision, label_smoothing=recipe.label_smoothing)
    base = clock()
    with torch.random.fork_rng(devices=[device] if device.type != "cpu" else [], device_type=device.type):
        torch.manual_seed(seed)
        with clock.running():
            if execution == "plain":
                images = scale_pixels(images)
            images, labels = images.to(device), labels.to(device)
            optimizer = make_optimizer(model, recipe.learning_rate, execution)
            schedule = _make_schedule(optimizer, recipe, epochs, steps)
        state = State(
            model=model, optimizer=optimizer, schedule=schedule, generator=torch.Generator().manual_seed(seed)
        )
        if checkpoints is not None and checkpoints.restore(state):
            clock.advance(state.seconds - (clock() - base))

        def keep() -> None:
            """Save within an epoch, where that is due."""
            if checkpoints is not None and checkpoints.due():
                synchronize(device)
                with clock.paused():
                    state.seconds = clock() - base
                    checkpoints.save(state)

        def tick(loss: float, accuracy: float | None = None) -> None:
            watch(
                Tick(
                    epoch=state.epoch + 1,
                    step=state.epoch * steps + len(state.step_losses),
                    steps=epochs * steps,
                    loss=loss,
                    train_seconds=clock() - base,
                    validation_accuracy=accuracy,
                )
            )

        while state.epoch < epochs:
            with clock.running():
                state.epoch_began = state.generator.get_state()
                batches = iterate_batches(
                    images, labels, batch_size, state.generator, execution, start=len(state.step_losses)
                )
                _train_epoch(state, batches, tick, keep, step)
                if isinstance(schedule, StepLR):
                    schedule.step()
                synchronize(device)
            state.epoch_seconds.append(clock() - base - sum(state.epoch_seconds))
            losses = torch.stack(state.step_losses).cpu()
            _require_finite(losses, state.epoch)
            before = time.perf_counter()
            state.validations.append(validate())
            state.validation_seconds += time.perf_counter() - before
            tick(float(losses.mean()), state.validations[-1][1])
            state.end_epoch(losses)
    return Curves(
        step_losses=torch.cat(state.losses),
        epoch_seconds=tuple(state.epoch_seconds),
        validation_losses=tuple(loss for loss, _ in state.validations),
        validation_accuracies=tuple(accuracy for _, accuracy in state.validations),
        validation_seconds=state.validation_seconds,
        resumed=state.resumed,
    )


def _make_schedule(optimizer: Adam, recipe: Recipe, epochs: int, steps: int) -> LRScheduler:
    """Return the recipe's schedule; a ``StepLR`` counts epochs, a ``OneCycleLR`` steps, of ``steps`` an epoch."""
    if recipe.schedule == "one-cycle":
        return OneCycleLR(optimizer, recipe.learning_rate, total_steps=epochs * steps)
    return StepLR(optimizer, recipe.step_epochs, recipe.gamma)


def _train_epoch(
    state: State,
    batches: Iterator[tuple[Tensor, Tensor]],
    tick: Callable[[float], None],
    keep: Callable[[], None],
    step: Callable[[nn.Module, Adam, Tensor, Tensor], Tensor],
) -> None:
    state.model.train()
    told, shown = time.perf_counter(), len(state.step_losses)
    for images, labels in batches:
        state.step_losses.append(step(state.model, state.optimizer, images, labels))
        if isinstance(state.schedule, OneCycleLR):
            state.schedule.step()
        # reading a loss waits for the device, so it is done about once a second and not per step
        if time.perf_counter() - told >= SECONDS_BETWEEN_TICKS:
            tick(float(torch.stack(state.step_losses[shown:]).mean()))
            told, shown = time.perf_counter(), len(state.step_losses)
        keep()


def _require_finite(losses: Tensor, epoch: int) -> None:
    if not bool(losses.isfinite().all()):
        step = int((~losses.isfinite()).nonzero()[0])
        raise CaseFailedError(
            f"the training loss became {float(losses[step])} in epoch {epoch + 1}, step {step + 1}",
            expected="a finite loss",
            remedy="lower the recipe's learning_rate",
        )
