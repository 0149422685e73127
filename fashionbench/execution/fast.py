"""The fast execution: a model rewritten for speed, and memory kept between steps."""

import ctypes
import sys
from typing import Final

import torch
from torch import nn

from fashionbench.execution.rewriting import (
    fold_batch_norm,
    norm_by_patches,
    pool_before_relu,
    rewrite_convolutions,
    rewrite_linear,
)

__all__ = ["keep_memory", "speed_up", "speed_up_inference"]

_MALLOC_PARAMETERS: Final = (
    (-1, 2**31 - 1),  # M_TRIM_THRESHOLD
    (-2, 256 * 1024**2),  # M_TOP_PAD
    (-3, 32 * 1024**2),  # M_MMAP_THRESHOLD, of which 32 MiB is the most
)
"""Of mallopt(3): the parameter's number in malloc.h, and bytes."""


def speed_up(model: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    """Rewrite a model in place for speed, computing the same function and gradients to rounding.

    Args:
        model: The model, on the CPU.
        shape: Channels, height and width of its images.

    """
    model.to(memory_format=torch.channels_last)
    pool_before_relu(model)
    rewrite_convolutions(model, shape)
    norm_by_patches(model)
    rewrite_linear(model)
    return model


def speed_up_inference(model: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    """Return a model, in evaluation mode, rewritten for speed: as ``speed_up``, with batch norms folded."""
    pool_before_relu(model)
    return speed_up(fold_batch_norm(model), shape).eval()


def keep_memory() -> None:
    """Let glibc keep freed memory for the next step, for the rest of this process.

    By default each step's large buffers are mapped anew and every page of them faults: half of a FashionCNN step.
    Elsewhere than under glibc this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for parameter, value in _MALLOC_PARAMETERS:
            mallopt(parameter, value)
