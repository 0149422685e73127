"""The training loop that the clock times."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Final

import torch
from torch import Tensor

from fashionbench import units
from fashionbench.data.dataset import Split
from fashionbench.devices.load import CpuLoad, own_processes
from fashionbench.devices.recording import TakeStep
from fashionbench.devices.runtime import synchronize
from fashionbench.errors import CaseFailedError
from fashionbench.execution.step import TrainingStep
from fashionbench.models.randomness import seeded_generators
from fashionbench.records.record import DISTURBING_SHARE
from fashionbench.training.case import Case
from fashionbench.training.checkpoint import Checkpoints
from fashionbench.training.clock import TrainingClock
from fashionbench.training.ingredients.augmentation import augment_batches, draw
from fashionbench.training.ingredients.schedule import make_schedule
from fashionbench.training.ingredients.state import State
from fashionbench.training.scoring import predict

__all__ = ["Curves", "Supervision", "Tick", "train"]

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
    paused_seconds: float = 0.0
    """How long the process stood still during the training; off the clock."""
    recording_seconds: float = 0.0
    """How long the device took to record a step, if that is how it computes them; off the clock."""
    others_cpu_share: tuple[float | None, ...] = ()
    """Of each epoch, the fraction of the CPUs that other processes used; None where it was too short to tell."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Supervision:
    """What surrounds a training: its clock, those who watch it, and its checkpoints."""

    clock: TrainingClock = field(default_factory=TrainingClock)
    watch: Callable[[Tick], None] = lambda _: None
    """Called about once a second and after each epoch."""
    warn: Callable[[str], None] = lambda _: None
    """Called with what a reader of the seconds should know, one line each."""
    checkpoints: Checkpoints | None = None
    """Where to resume from and to save to, off the clock; None trains from the start and saves nothing."""
    load: CpuLoad = field(default_factory=lambda: CpuLoad(own_processes()))


def train(case: Case, step: TrainingStep, split: Split, supervision: Supervision) -> Curves:
    """Train by the case's recipe, with only the training itself on the clock.

    Args:
        case: Its recipe, its batch size, its number of epochs, and its seed, which decides order and dropout.
        step: The case's model, prepared; in training mode afterwards.
        split: The images, uint8, on the CPU; the test images are not used.
        supervision: The clock, which advances up to the device's wait at the end of each epoch, those who watch, and
            the checkpoints.

    Raises:
        CaseFailedError: The loss is no longer finite.
        Stopped: The checkpoints were asked to stop; the state is saved.

    """
    clock, checkpoints, device = supervision.clock, supervision.checkpoints, step.device
    how = case.hyperparameters
    steps = len(range(0, len(split.train_images) - 1, how.batch_size))  # as iterate_batches yields them
    base, stood_still = clock(), clock.standstill_seconds
    with seeded_generators(case.seed, device):
        with clock.running():
            images, labels = step.place(split.train_images, split.train_labels)
        schedule = make_schedule(step.optimizer, how, steps)
        state = State(
            model=step.model,
            optimizer=step.optimizer,
            schedule=schedule,
            generator=torch.Generator().manual_seed(case.seed),
            method=step.options.method,
            epochs=how.epochs,
            steps=steps,
        )
        if checkpoints is not None and checkpoints.restore(state):
            clock.advance(state.seconds - (clock() - base))
        paused_before, warned = state.paused_seconds, False
        take, recording_seconds = _begin(step, images, labels, how.batch_size)

        def keep() -> None:
            """Save within an epoch, where that is due."""
            if checkpoints is not None and checkpoints.due():
                synchronize(device)
                with clock.off():
                    state.seconds = clock() - base
                    state.paused_seconds = paused_before + clock.standstill_seconds - stood_still
                    checkpoints.save(state)

        def tick(loss: float, accuracy: float | None = None) -> None:
            supervision.watch(
                Tick(
                    epoch=state.epoch + 1,
                    step=state.epoch * steps + len(state.step_losses),
                    steps=how.epochs * steps,
                    loss=loss,
                    train_seconds=clock() - base,
                    validation_accuracy=accuracy,
                )
            )

        while state.epoch < how.epochs:
            with clock.running():
                state.epoch_began = state.generator.get_state()
                seen = len(state.step_losses)
                batches = step.batches(images, labels, how.batch_size, state.generator, seen)
                if seen:  # passing over them is no training
                    with clock.off():
                        batches = chain([*islice(batches, 1)], batches)
                        synchronize(device)
                batches = augment_batches(
                    batches,
                    draw(how.augment, images, seed=case.seed, epoch=state.epoch, device=images.device),
                    seen * how.batch_size,
                )
                _train_epoch(state, batches, tick, keep, take)
                synchronize(device)
            state.epoch_seconds.append(clock() - base - sum(state.epoch_seconds))
            share = supervision.load.share()
            state.others_cpu_share.append(share)
            if not warned and share is not None and share > DISTURBING_SHARE:
                warned = True
                supervision.warn(
                    f"{case.name}, epoch {state.epoch + 1}: other processes used {units.percent(share, 0)} "
                    "of the CPUs, so its training time is too long; close them, or run again later"
                )
            losses = torch.stack(state.step_losses).cpu()
            _require_finite(losses, state.epoch)
            before = time.perf_counter()
            predicted = predict(step.model, split.validation_images, split.validation_labels, case.precision)
            state.validations.append((predicted.loss, predicted.accuracy))
            state.validation_seconds += time.perf_counter() - before
            tick(float(losses.mean()), predicted.accuracy)
            state.end_epoch(losses)
    return Curves(
        step_losses=torch.cat(state.losses),
        epoch_seconds=tuple(state.epoch_seconds),
        validation_losses=tuple(loss for loss, _ in state.validations),
        validation_accuracies=tuple(accuracy for _, accuracy in state.validations),
        validation_seconds=state.validation_seconds,
        resumed=state.resumed,
        paused_seconds=paused_before + clock.standstill_seconds - stood_still,
        recording_seconds=recording_seconds,
        others_cpu_share=tuple(state.others_cpu_share),
    )


def _begin(step: TrainingStep, images: Tensor, labels: Tensor, batch_size: int) -> tuple[TakeStep, float]:
    """Return what takes the steps of a training whose state is restored, and the seconds to record one."""
    started = time.perf_counter()
    take = step.begin(images, labels, batch_size)
    return take, time.perf_counter() - started


def _train_epoch(
    state: State,
    batches: Iterator[tuple[Tensor, Tensor]],
    tick: Callable[[float], None],
    keep: Callable[[], None],
    take: TakeStep,
) -> None:
    state.model.train()
    last_tick, shown = time.perf_counter(), len(state.step_losses)
    for images, labels in batches:
        state.step_losses.append(take(images, labels))
        state.schedule.step()
        # reading a loss waits for the device, so it is done about once a second and not per step
        if time.perf_counter() - last_tick >= SECONDS_BETWEEN_TICKS:
            tick(float(torch.stack(state.step_losses[shown:]).mean()))
            last_tick, shown = time.perf_counter(), len(state.step_losses)
        keep()


def _require_finite(losses: Tensor, epoch: int) -> None:
    if not bool(losses.isfinite().all()):
        step = int((~losses.isfinite()).nonzero()[0])
        raise CaseFailedError(
            f"the training loss became {float(losses[step])} in epoch {epoch + 1}, step {step + 1}",
            expected="a finite loss",
            remedy="lower the recipe's learning_rate",
        )
