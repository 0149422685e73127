"""One training step: batches, optimizer, and forward, backward and update."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam
from torch.utils.data import DataLoader, TensorDataset

from fashionbench.devices.precision import arithmetic
from fashionbench.devices.runtime import synchronize
from fashionbench.records.record import Execution, Precision

__all__ = ["WARM_UP_STEPS", "iterate_batches", "make_optimizer", "scale_pixels", "train_step", "warm_up"]

WARM_UP_STEPS: Final = 3


def scale_pixels(images: Tensor) -> Tensor:
    """Return uint8 images as float32 in [0, 1]: pixels / 255, as the study does."""
    return images.to(torch.float32).div_(255)


def iterate_batches(  # noqa: PLR0913 - each named
    images: Tensor,
    labels: Tensor,
    batch_size: int,
    generator: torch.Generator,
    execution: Execution,
    *,
    start: int = 0,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield shuffled batches (B, C, H, W) in [0, 1] and (B,), every image once.

    A last batch of a single image is left out: batch normalisation cannot train on it.

    Args:
        images: (N, C, H, W), uint8; float32 in [0, 1] for the plain execution, which scales its data beforehand.
        labels: (N,), int64, on the same device.
        batch_size: Images a batch.
        generator: Decides the order.
        execution: ``fast`` gathers from the resident array; ``plain`` is PyTorch's DataLoader.
        start: Batches to pass over, which a training that goes on has seen.

    """
    if execution == "plain":
        loader = DataLoader(
            TensorDataset(images, labels),
            batch_size,
            shuffle=True,
            generator=generator,
            drop_last=len(images) % batch_size == 1,
        )
        yield from islice(loader, start, None)
        return
    order = torch.randperm(len(images), generator=generator).to(images.device)
    for chosen in order.split(batch_size)[start:]:
        if len(chosen) > 1:
            yield scale_pixels(images[chosen]), labels[chosen]


def train_step(  # noqa: PLR0913 - what a step depends on
    model: nn.Module,
    optimizer: Adam,
    images: Tensor,
    labels: Tensor,
    *,
    precision: Precision = "fp32",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Train on one batch and return its loss, a detached scalar on the device."""
    with arithmetic(images.device, precision):
        logits = model(images)
    loss = functional.cross_entropy(logits.float(), labels, label_smoothing=label_smoothing)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach()


def warm_up(  # noqa: PLR0913, PLR0917 - what a step depends on
    model: nn.Module,
    shape: tuple[int, int, int],
    batch_size: int,
    classes: int,
    execution: Execution,
    precision: Precision = "fp32",
) -> None:
    """Take a few steps of a throw-away ``model`` on noise, so that the clock meets warm kernels and caches.

    It cannot teach: neither the model nor the images nor the labels are those of the training.
    """
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(batch_size, *shape, generator=generator).to(device)
    labels = torch.randint(classes, (batch_size,), generator=generator).to(device)
    optimizer = make_optimizer(model.train(), 1e-4, execution)
    for _ in range(WARM_UP_STEPS):
        train_step(model, optimizer, images, labels, precision=precision)
    synchronize(device)


def make_optimizer(model: nn.Module, learning_rate: float, execution: Execution) -> Adam:
    """Return Adam with PyTorch's defaults; the fast execution updates all weights in one fused kernel."""
    return Adam(model.parameters(), lr=learning_rate, fused=True if execution == "fast" else None)
