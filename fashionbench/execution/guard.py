"""The guard of the fast execution: a rewritten model is used only where it trains what the model itself trains."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Adam

from fashionbench.errors import describe_error
from fashionbench.models.analysis.modes import SCORING, TIMING, TRAINING, Mode
from fashionbench.models.randomness import seeded_generators

__all__ = ["find_difference", "find_inference_difference"]

IMAGES: Final = 4
EPSILON: Final = 1e-3
"""Adam's: gradients that are zero to rounding, as of a bias before a norm, then move nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arithmetic:
    dtype: torch.dtype
    steps: int
    tolerance: float
    """Relative difference of losses and outputs that counts as rounding."""
    most: float
    """The same for a model that makes much of small differences, as norms over few pixels do."""


CHECKS: Final = (
    _Arithmetic(dtype=torch.float64, steps=3, tolerance=1e-9, most=1e-5),
    _Arithmetic(dtype=torch.float32, steps=1, tolerance=1e-3, most=0.1),
)
MOST_PARAMETERS: Final = 30_000_000
"""Larger models are compared in single precision only: double would take minutes and gigabytes."""
ROUNDING_FACTOR: Final = 100
"""A difference that a model makes of a change of its images in the last bit, this many times, is rounding too."""


def find_difference(model: nn.Module, rewritten: nn.Module, shape: tuple[int, int, int]) -> str:
    """Return how a rewritten model trains otherwise than the model it was made of; empty where it does not.

    Copies of both train by Adam on the same random images, three steps in double precision and one in single, with
    randomised norms and the same seeds. Losses, outputs in training, and at last outputs in evaluation are compared.

    Args:
        model: As it is defined, on the CPU; left as it is.
        rewritten: Of the same weights; left as it is.
        shape: Channels, height and width of the images.

    """
    size = sum(each.numel() for each in model.parameters())
    failure = ""
    for arithmetic in CHECKS if size <= MOST_PARAMETERS else CHECKS[-1:]:
        try:
            expected = _train(model, shape, arithmetic)
        except Exception as error:
            failure = describe_error(error)
            continue
        try:
            found = _train(rewritten, shape, arithmetic)
        except Exception as error:
            return describe_error(error)
        difference = _largest_difference(expected, found)
        if difference > arithmetic.tolerance:
            rounding = ROUNDING_FACTOR * _largest_difference(expected, _train(model, shape, arithmetic, last_bit=True))
            if not difference <= min(rounding, arithmetic.most):
                return f"its losses or outputs differ in {str(arithmetic.dtype).removeprefix('torch.')}"
        failure = ""
    return failure


def find_inference_difference(
    model: nn.Module, rewrite: Callable[[nn.Module], nn.Module], shape: tuple[int, int, int]
) -> str:
    """Return how a model's outputs in evaluation change when it is rewritten; empty where they do not.

    Compared on a copy whose norms are as after some training: untrained ones are the identity. In the mode in which a
    forward pass is timed, and in that of scoring.
    """
    single, modes = CHECKS[-1], (SCORING, TIMING)
    prepared, copied = (_prepare(model, single.dtype) for _ in range(2))
    expected = [_evaluate(prepared, shape, single, mode) for mode in modes]
    try:
        rewritten = rewrite(copied)
        found = [_evaluate(rewritten, shape, single, mode) for mode in modes]
    except Exception as error:
        return describe_error(error)
    return "" if _largest_difference(expected, found) <= single.tolerance else "its outputs differ"


def _train(
    model: nn.Module, shape: tuple[int, int, int], arithmetic: _Arithmetic, *, last_bit: bool = False
) -> list[Tensor]:
    """Train a copy; return loss and output in training of each step, and the output in evaluation at the end.

    ``last_bit`` asks for images that differ in the last bit, each pixel up or down, as norms undo a common factor.
    """
    model = _prepare(model, arithmetic.dtype)
    optimizer = Adam(model.parameters(), lr=1e-3, eps=EPSILON)
    outcome = []
    for step in range(arithmetic.steps):
        with seeded_generators(step), TRAINING.entered():
            images = _images(shape, arithmetic.dtype, step)
            if last_bit:
                images *= 1 + torch.finfo(images.dtype).eps * (torch.randint_like(images, 2) * 2 - 1)
            model.train()
            output = model(images.clone())
            loss = functional.cross_entropy(output, torch.arange(IMAGES) % output.shape[1])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            outcome += [loss.detach(), output.detach()]
    return [*outcome, _evaluate(model, shape, arithmetic, SCORING)]


def _evaluate(model: nn.Module, shape: tuple[int, int, int], arithmetic: _Arithmetic, mode: Mode) -> Tensor:
    with seeded_generators(0), mode.entered():
        model.eval()
        output: Tensor = model(_images(shape, arithmetic.dtype, 0))
        return output


def _images(shape: tuple[int, int, int], dtype: torch.dtype, seed: int) -> Tensor:
    return torch.rand(IMAGES, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def _prepare(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return a copy in an arithmetic, its norms' weights and statistics as after some training."""
    prepared = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(0)
    for layer in prepared.modules():
        if isinstance(layer, _BatchNorm):
            for values in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
                if values is not None:
                    values.detach().copy_(0.5 + torch.rand(values.shape, generator=generator))
    return prepared.double() if dtype == torch.float64 else prepared.float()  # complex weights stay complex


def _difference(one: Tensor, other: Tensor) -> float:
    """Return the largest difference relative to the largest value; infinite where the shapes differ."""
    if one.shape != other.shape:
        return float("inf")
    return float((one - other).abs().max() / one.abs().max().clamp(min=1e-12))


def _largest_difference(expected: list[Tensor], found: list[Tensor]) -> float:
    """Return the largest of the relative differences; infinite where one is no number."""
    differences = [_difference(one, other) for one, other in zip(expected, found, strict=True)]
    return max(float("inf") if math.isnan(each) else each for each in differences)
