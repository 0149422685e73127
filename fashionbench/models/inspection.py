"""What a network does that its author may not intend, and that makes its numbers mean something else."""

from math import isclose
from typing import Final

import torch
from torch import Tensor, nn

from fashionbench.data.dataset import Task

__all__ = ["count_trained", "find_unsaved_state", "gives_probabilities", "random_images"]

TOLERANCE: Final = 1e-3

MODULE: Final = frozenset(vars(nn.Module()))
"""What every module has by itself."""


def random_images(task: Task, count: int, seed: int = 0) -> Tensor:
    """Return images of random pixels in [0, 1], (count, channels, height, width)."""
    return torch.rand(count, *task.shape, generator=torch.Generator().manual_seed(seed))


def count_trained(network: nn.Module) -> int:
    """Return the number of parameters that training changes: those that are not frozen."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def gives_probabilities(network: nn.Module, task: Task) -> bool:
    """Return whether outputs for random images are in (0, 1), as after a softmax or sigmoid, where logits belong.

    Both in training and in evaluation count, as a network may have a softmax in one of them only.
    """
    was_training = network.training
    found = False
    for training in (True, False):
        network.train(mode=training)
        with torch.no_grad():
            outputs = [network(random_images(task, 4, seed)).double() for seed in (0, 1)]
        found |= all(bool(((each > 0) & (each < 1)).all()) and _as_a_whole(each) for each in outputs)
    network.train(mode=was_training)
    return found


def _as_a_whole(outputs: Tensor) -> bool:
    """Return whether each row sums to one, as after a softmax, or all is around a half, as after a fresh sigmoid."""
    sums_to_one = bool(((outputs.sum(1) - 1).abs() < TOLERANCE).all())
    return sums_to_one or isclose(float(outputs.mean()), 0.5, abs_tol=0.25)


def find_unsaved_state(network: nn.Module, task: Task) -> tuple[str, ...]:
    """Return the names of what changes from one training pass to the next and that ``state_dict`` leaves out.

    Those are buffers that are not persistent, and plain attributes such as counters. What the first pass sets, such as
    a cache, is not among them.
    """
    was_training = network.training
    network.train()
    with torch.no_grad():
        network(random_images(task, 4))
        before = _unsaved(network)
        network(random_images(task, 4, seed=1))
    network.train(mode=was_training)
    after = _unsaved(network)
    return tuple(name for name, value in after.items() if name not in before or not _same(before[name], value))


def _unsaved(network: nn.Module) -> dict[str, Tensor | str]:
    """Return a copy of the tensors, and the text of plain values, that ``state_dict`` leaves out."""
    saved = network.state_dict()
    found: dict[str, Tensor | str] = {
        name: buffer.detach().clone() for name, buffer in network.named_buffers() if name not in saved
    }
    for prefix, module in network.named_modules():
        for name, value in vars(module).items():
            whole = f"{prefix}.{name}" if prefix else name
            if isinstance(value, Tensor):
                found[whole] = value.detach().clone()
            elif name not in MODULE and isinstance(value, (bool, int, float, str, list, tuple, dict, set)):
                found[whole] = repr(value)
    return found


def _same(one: Tensor | str, other: Tensor | str) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and bool(torch.equal(one, other))
    return isinstance(one, str) and one == other
