"""A training step that a device records once and then does again by itself, without a call for each of its parts."""

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

__all__ = ["TakeStep", "capture", "record_step", "records_work"]

GRAPHS: Final = ("CUDAGraph", "XPUGraph")
"""Names of the class of recorded work in the modules of the devices that can record it."""

CALLS_BEFORE_CAPTURE: Final = 3

TakeStep = Callable[[Tensor, Tensor], Tensor]
"""Trains on one batch (B, C, H, W) in [0, 1] and (B,), and returns its loss, a detached scalar on the device."""


def records_work(device: torch.device) -> bool:
    """Return whether PyTorch can record work on this kind of device; the device is not asked."""
    return any(hasattr(torch.get_device_module(device), name) for name in GRAPHS)


def capture(device: torch.device, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Record the work of a function on a device that ``records_work``; return a function that does it again.

    The work is done three times before, on a stream of its own, as PyTorch's documentation asks for. What it reads must
    stay where it is, and its result is the same tensor each time.

    Raises:
        RuntimeError: The work cannot be recorded, for example because it waits for a value of the device.

    """
    module: Any = torch.get_device_module(device)
    make = next(getattr(module, name) for name in GRAPHS if hasattr(module, name))
    with module.device(device):
        here, aside = module.current_stream(device), module.Stream(device)
        aside.wait_stream(here)
        with module.stream(aside):
            for _ in range(CALLS_BEFORE_CAPTURE):
                work()
        here.wait_stream(aside)
        graph = make()
        with module.graph(graph):
            result = work()

    def replay() -> Tensor:
        graph.replay()
        return result

    return replay


def record_step(
    take: TakeStep,
    batch: tuple[Tensor, Tensor],
    *,
    model: nn.Module,
    optimizer: Optimizer,
    gradients: TakeStep | None = None,
) -> TakeStep:
    """Record a step; return what does it again for batches of the same shape, and as usual for others.

    Model and optimizer are afterwards as they were before. A recording reads from fixed places, so each batch is copied
    there, and so is a learning rate that has changed. The other numbers of an update, such as Adam's betas, stay as
    recorded. Where they change, only the gradients are recorded, and the optimizer updates the weights as usual.

    Args:
        take: The step.
        batch: Images (B, C, H, W) and labels (B,) on the device, which later ones replace.
        model: What the step trains.
        optimizer: What updates it.
        gradients: The part of the step that ends with the gradients, if only that is recorded. An update that is not
            fused keeps numbers on the host, so that it cannot be. None: the step is recorded with its update.

    Raises:
        RuntimeError: The step cannot be recorded.

    """
    images, labels = batch
    groups = optimizer.param_groups if gradients is None else []
    rates = [float(group["lr"]) for group in groups]
    places = [images.new_full((), rate) for rate in rates]
    before = {id(each): each.detach().clone() for each in _changing(model, optimizer)}
    try:
        for group, place in zip(groups, places, strict=True):
            group.update(_as_recorded(group, place, capturable=True))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of the calls before: this optimizer is meant to be recorded
            replay = capture(images.device, partial(gradients or take, images, labels))
    finally:
        for group, rate in zip(groups, rates, strict=True):
            group.update(_as_recorded(group, rate, capturable=False))
    with torch.no_grad():
        for each in _changing(model, optimizer):  # what is new is the optimizer's, which begins with zeros
            each.copy_(before[id(each)]) if id(each) in before else each.zero_()
    found = [] if gradients is None else [(weight, weight.grad) for weight in model.parameters()]

    def take_recorded(given: Tensor, answers: Tensor) -> Tensor:
        if given.shape != images.shape:
            return take(given, answers)
        images.copy_(given)
        labels.copy_(answers)
        for number, (group, place) in enumerate(zip(groups, places, strict=True)):
            if group["lr"] != rates[number]:
                rates[number] = group["lr"]
                place.fill_(group["lr"])
        loss = replay().clone()
        if gradients is not None:
            for weight, gradient in found:  # a smaller batch leaves others
                weight.grad = gradient
            optimizer.step()
        return loss

    return take_recorded


def _as_recorded(group: dict[str, Any], rate: float | Tensor, *, capturable: bool) -> dict[str, Any]:
    """Return what changes in an optimizer's group while a step is recorded. SGD has no word for being recorded."""
    return {"lr": rate} | ({"capturable": capturable} if "capturable" in group else {})


def _changing(model: nn.Module, optimizer: Optimizer) -> Iterator[Tensor]:
    """Yield the tensors that a step may change."""
    states = chain.from_iterable(state.values() for state in optimizer.state.values())
    yield from chain(model.parameters(), model.buffers(), (each for each in states if isinstance(each, Tensor)))
