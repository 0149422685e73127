"""What fine-tuning does to a network before it trains: freeze all but its head, and normalise its images."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final, Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from fashionbench.errors import InputError
from fashionbench.models.sources.weights import find_head
from fashionbench.recipe.fields import Normalization

__all__ = ["freeze_all_but", "normalize"]

IMAGENET: Final[tuple[tuple[float, ...], tuple[float, ...]]] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of ImageNet's red, green and blue, as torchvision's weights expect them."""


class _InEvaluation(nn.Module):
    """Added to the class of a frozen norm, so that it computes with its statistics and leaves them as they are."""

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002, FBT001, FBT002 - as torch declares it
        return super().train(mode=False)


@cache
def _frozen(kind: type[nn.Module]) -> type[nn.Module]:
    """Return a kind of norm that stays in evaluation; torch.fx still takes it for a layer of torch."""
    return type(f"Frozen{kind.__name__}", (_InEvaluation, kind), {"__module__": kind.__module__})


def freeze_all_but(model: nn.Module, classes: int, new: Sequence[str] = ()) -> nn.Module:
    """Freeze a network, in place, but for its head and what is new in it; frozen norms stay in evaluation.

    Args:
        model: The network.
        classes: The number of classes, by which the head is found.
        new: Names of tensors that are not from a file of weights, which are trained too.

    Raises:
        InputError: The network has no head.

    """
    head, _ = find_head(model, classes)
    trained = {*new, *(f"{head}.{name}" for name, _ in model.get_submodule(head).named_parameters())}
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name in trained
    for name, part in model.named_modules():
        if isinstance(part, _NormBase) and not any(each.startswith(f"{name}.") for each in trained):
            kind: Any = type(part)  # mypy doubts that a class of torch has a hash, and that this is one of its kind
            subclass: Any = _frozen(kind)
            part.__class__ = subclass
            part.eval()
    return model


class _Normalize(nn.Module):
    """Subtract a mean and divide by a standard deviation, channel by channel."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Sequence[float], deviation: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return normalised images (N, channels, height, width)."""
        return (images - self.mean) / self.deviation


def normalize(model: nn.Module, how: Normalization, channels: int) -> nn.Module:
    """Return a network that normalises its images first.

    Args:
        model: The network.
        how: ``imagenet``, whose average grey images get, or means and standard deviations, one for each channel.
        channels: Of the images.

    Raises:
        InputError: There are other numbers of values than channels.

    """
    mean, deviation = IMAGENET if how == "imagenet" else how
    if how == "imagenet" and channels == 1:
        mean, deviation = ((sum(values) / len(values),) for values in IMAGENET)
    if {len(mean), len(deviation)} - {1, channels}:
        raise InputError(
            f"normalize has {len(mean)} means and {len(deviation)} standard deviations, the images {channels} channels",
            expected="one of each, or one for each channel",
            remedy="correct normalize in the recipe",
        )
    return nn.Sequential(_Normalize(mean, deviation), model)
