"""One training step: its preparation, its batches, and forward, backward and update."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, count, islice
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.utils.data import DataLoader, TensorDataset

from fashionbench.data.dataset import Task
from fashionbench.devices.load import wait_politely
from fashionbench.devices.precision import arithmetic
from fashionbench.devices.recording import TakeStep, record_step
from fashionbench.devices.runtime import pins_memory, synchronize
from fashionbench.execution.fast import keep_memory, speed_up
from fashionbench.models.randomness import seeded_generators
from fashionbench.recipe.fields import OptimizerName
from fashionbench.records.record import Execution, Precision, StepMethod

__all__ = [
    "StepOptions",
    "TrainingStep",
    "Update",
    "iterate_batches",
    "make_optimizer",
    "prepare_step",
    "scale_pixels",
    "time_steps",
    "train_step",
    "warm_up",
]

WARM_UP_STEPS: Final = 3

MOST_STEPS_AT_ONCE: Final = 16

Change = Callable[[Iterator[tuple[Tensor, Tensor]]], Iterator[tuple[Tensor, Tensor]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """How the optimizer changes the weights, but for its learning rate."""

    optimizer: OptimizerName = "adam"
    momentum: float = 0.0
    """Of SGD."""
    weight_decay: float = 0.0
    cycles: bool = False
    """Whether the schedule changes Adam's betas in each step, so that a recorded update would be a wrong one."""


ADAM: Final = Update()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOptions:
    """How a step is computed, whatever the model and the images."""

    execution: Execution = "fast"
    precision: Precision = "fp32"
    label_smoothing: float = 0.0
    """Part of each label that is spread evenly over all classes."""
    update: Update = ADAM
    rewritten: bool | None = None
    """Whether the fast execution rewrites the layers; None: where it finds no objection."""
    method: StepMethod | None = None
    """How the fast execution computes its steps on an accelerator; None: as on the CPU."""

    @property
    def captured(self) -> bool:
        """Whether a step, or the part of it that finds gradients, is recorded once and then done again."""
        return self.method is not None and self.method.startswith("captured")

    @property
    def channels_last(self) -> bool:
        """Whether the fast execution may change the order of axes in memory."""
        return self.method is None or self.method.endswith("channels-last")


DEFAULT: Final = StepOptions()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingStep:
    """A model that is ready to train: on its device, as its execution wants it, with its optimizer."""

    model: nn.Module
    optimizer: Optimizer
    device: torch.device
    options: StepOptions

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """Train on one batch (B, C, H, W) in [0, 1] and (B,); return its loss, a detached scalar on the device."""
        images = images.to(self.device, non_blocking=True)  # no copy of what is there, as the batches of fast are
        labels = labels.to(self.device, non_blocking=True)
        return train_step(self.model, self.optimizer, images, labels, self.options)

    def place(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return images (N, C, H, W), uint8, and labels (N,), where the execution keeps them.

        The fast one keeps them on the device, as bytes. The plain one keeps them on the host, scaled, as tutorials do,
        and copies each batch.
        """
        if self.options.execution == "plain":
            return scale_pixels(images), labels
        placed = images.to(self.device), labels.to(self.device)
        synchronize(self.device)
        return placed

    def begin(self, images: Tensor, labels: Tensor, batch_size: int) -> TakeStep:
        """Return what takes the steps from now on: this step, or a recording of it if that is its method.

        Model, optimizer and random state stay as they are.

        Args:
            images: What ``place`` returned; only the shape of its first batch matters.
            labels: The same.
            batch_size: Images per batch.

        Raises:
            RuntimeError: The step cannot be recorded on this device.

        """
        self.model.train()
        if not self.options.captured:
            return self
        batch = scale_pixels(images[:batch_size]), labels[:batch_size].clone()
        whole = not self.options.update.cycles and all(group["fused"] for group in self.optimizer.param_groups)
        part = None if whole else partial(find_gradients, self.model, self.optimizer, options=self.options)
        with seeded_generators(0, self.device):  # which are restored
            recorded = record_step(self, batch, model=self.model, optimizer=self.optimizer, gradients=part)
        synchronize(self.device)
        return recorded

    def batches(
        self, images: Tensor, labels: Tensor, batch_size: int, generator: torch.Generator, start: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield shuffled batches of what ``place`` returned, as ``iterate_batches`` does."""
        pinned = pins_memory(self.device)
        return iterate_batches(images, labels, batch_size, generator, self.options.execution, start, pinned=pinned)


def prepare_step(
    model: nn.Module, task: Task, *, device: torch.device, learning_rate: float, options: StepOptions
) -> TrainingStep:
    """Make a model ready to train; the estimate, the comparison of executions and the training all begin here.

    Args:
        model: As it is defined, on the CPU; the fast execution changes it in place.
        task: Its images and classes.
        device: Where it will train.
        learning_rate: The optimizer's.
        options: How its steps are computed.

    """
    if options.execution == "fast":
        keep_memory()
        wait_politely()
        if options.channels_last:
            model = speed_up(model, task.shape, suits=options.rewritten)
    model.to(device)
    if options.method is not None and options.channels_last and options.rewritten is False:
        model.to(memory_format=torch.channels_last)
    optimizer = make_optimizer(model, learning_rate, options.execution, options.update)
    return TrainingStep(model=model, optimizer=optimizer, device=device, options=options)


def make_optimizer(model: nn.Module, learning_rate: float, execution: Execution, update: Update = ADAM) -> Optimizer:
    """Return an optimizer with PyTorch's defaults; the fast execution updates all weights in one fused kernel.

    That kernel takes no complex weights, and rounds those of less than single precision otherwise than plain does.
    """
    suits = all(each.dtype in {torch.float32, torch.float64} for each in model.parameters())
    weights, decay, fused = model.parameters(), update.weight_decay, True if execution == "fast" and suits else None
    if update.optimizer == "sgd":
        return SGD(weights, lr=learning_rate, momentum=update.momentum, weight_decay=decay, fused=fused)
    return (Adam if update.optimizer == "adam" else AdamW)(weights, lr=learning_rate, weight_decay=decay, fused=fused)


def scale_pixels(images: Tensor) -> Tensor:
    """Return uint8 images as float32 in [0, 1]: pixels / 255, as the study does."""
    return images.to(torch.float32).div_(255)


def iterate_batches(  # noqa: PLR0913, PLR0917 - two arrays, and what decides their order and their batches
    images: Tensor,
    labels: Tensor,
    batch_size: int,
    generator: torch.Generator,
    execution: Execution,
    start: int = 0,
    *,
    pinned: bool = False,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield shuffled batches (B, C, H, W) in [0, 1] and (B,), every image once.

    A last batch of a single image is left out: batch normalisation cannot train on it.

    Args:
        images: (N, C, H, W), uint8; float32 in [0, 1] for the plain execution, which scales its data beforehand.
        labels: (N,), int64, on the same device.
        batch_size: Images per batch.
        generator: Decides the order.
        execution: ``fast`` gathers from the resident array; ``plain`` is PyTorch's DataLoader.
        start: Batches to pass over, which a resumed training has seen.
        pinned: Whether the DataLoader pins its batches in memory, which a copy to an accelerator asks for.

    """
    if execution == "plain":
        loader = DataLoader(
            TensorDataset(images, labels),
            batch_size,
            shuffle=True,
            generator=generator,
            drop_last=len(images) % batch_size == 1,
            pin_memory=pinned,
        )
        yield from islice(loader, start, None)
        return
    order = torch.randperm(len(images), generator=generator).to(images.device)
    for chosen in order.split(batch_size)[start:]:
        if len(chosen) > 1:
            yield scale_pixels(images[chosen]), labels[chosen]


def train_step(
    model: nn.Module, optimizer: Optimizer, images: Tensor, labels: Tensor, options: StepOptions = DEFAULT
) -> Tensor:
    """Train on one batch and return its loss, a detached scalar on the device."""
    loss = find_gradients(model, optimizer, images, labels, options)
    optimizer.step()
    return loss


def find_gradients(
    model: nn.Module, optimizer: Optimizer, images: Tensor, labels: Tensor, options: StepOptions = DEFAULT
) -> Tensor:
    """Give the weights the gradients of one batch and return its loss, a detached scalar on the device."""
    with arithmetic(images.device, options.precision):
        logits = model(images)
    loss = functional.cross_entropy(logits.float(), labels, label_smoothing=options.label_smoothing)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    return loss.detach()


def warm_up(step: TrainingStep, task: Task, batch_size: int) -> None:
    """Take a few steps of a throw-away model on noise, so that the clock meets warm kernels and caches.

    It cannot teach: neither the model nor the images nor the labels are those of the training.
    """
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(batch_size, *task.shape, generator=generator).to(step.device)
    labels = torch.randint(task.classes, (batch_size,), generator=generator).to(step.device)
    step.model.train()
    for _ in range(WARM_UP_STEPS):
        step(images, labels)
    synchronize(step.device)


def time_steps(  # noqa: PLR0913 - what a training has, too
    step: TrainingStep, images: Tensor, labels: Tensor, *, batch_size: int, seconds: float, change: Change = iter
) -> float:
    """Return the mean seconds of a step, over about so many seconds of steps and after a few to warm up.

    Args:
        step: What trains; its model learns from this.
        images: (N, C, H, W), uint8, on the CPU; they repeat as often as needed.
        labels: (N,), int64.
        batch_size: Images per batch, at most N.
        seconds: How long to train.
        change: What becomes of the batches of each pass over the images, such as their augmentation.

    """
    placed = step.place(images, labels)
    take_step = step.begin(*placed, batch_size)
    generator = torch.Generator().manual_seed(0)
    batches = chain.from_iterable(change(step.batches(*placed, batch_size, generator)) for _ in count())

    def take(number: int) -> float:
        """Return the seconds of some steps. As in a training, nothing waits for the device between two."""
        started = time.perf_counter()
        for _ in range(number):
            take_step(*next(batches))
        synchronize(step.device)
        return time.perf_counter() - started

    take(WARM_UP_STEPS)
    spent, steps, number = 0.0, 0, 1
    while spent < seconds:
        spent += take(number)
        steps += number
        number = min(2 * number, MOST_STEPS_AT_ONCE)
    return spent / steps
