"""The fast execution: a model rewritten for speed and checked against itself, and memory kept between steps."""

import copy
import ctypes
import sys
from functools import partial
from typing import Final

import torch
from torch import nn

from fashionbench.errors import describe_error
from fashionbench.execution.guard import find_difference, find_inference_difference
from fashionbench.execution.rewriting import (
    find_normed_places,
    fold_batch_norm,
    fuse_first_batch_norm,
    pool_before_relu,
    rewrite_convolutions,
    rewrite_linear,
)
from fashionbench.models.dataflow import trace

__all__ = ["keep_memory", "rewrite", "speed_up", "speed_up_inference", "try_rewriting"]

_MALLOC_PARAMETERS: Final = (
    (-1, 2**31 - 1),  # M_TRIM_THRESHOLD
    (-2, 256 * 1024**2),  # M_TOP_PAD
    (-3, 32 * 1024**2),  # M_MMAP_THRESHOLD, of which 32 MiB is the most
)
"""Of mallopt(3): the parameter's number in malloc.h, and bytes."""


def speed_up(model: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    """Return a model rewritten for speed, or as it is where the rewritten one would train another function.

    Args:
        model: The model, on the CPU; left as it is.
        shape: Channels, height and width of its images.

    """
    return try_rewriting(model, shape)[0]


def try_rewriting(model: nn.Module, shape: tuple[int, int, int]) -> tuple[nn.Module, str]:
    """Return a model rewritten for speed and an empty text, or the model as it is and why it stays so.

    Both train for three steps on random images, and their losses and outputs are compared (``guard.py``).
    """
    if _has_hooks(model):
        return model, "somebody has hooked on to it"
    try:
        rewritten = rewrite(copy.deepcopy(model), shape)
        difference = find_difference(model, rewritten, shape)
    except Exception as error:
        return model, describe_error(error)
    return (model, difference) if difference else (rewritten, "")


def _has_hooks(model: nn.Module) -> bool:
    """Whether somebody has hooked on to a model or a parameter: a copy loses such hooks, or calls the original's."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    kept = ("_backward_hooks", "_post_accumulate_grad_hooks")
    return any(getattr(each, name, None) for each in model.modules() for name in hooks) or any(
        getattr(each, name, None) for each in model.parameters() for name in kept
    )


def rewrite(model: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    """Rewrite a model in place, computing the same function and gradients to rounding.

    What depends on how the data flow is done only where torch.fx can trace it.
    """
    model.to(memory_format=torch.channels_last)
    flow = trace(model)
    places = [] if flow is None else find_normed_places(model, flow)
    if flow is not None:
        pool_before_relu(model, flow)
    rewrite_convolutions(model, flow, shape)
    fuse_first_batch_norm(places)
    rewrite_linear(model)
    return model


def speed_up_inference(model: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    """Return a model, in evaluation mode, rewritten for speed, or as it is where its outputs would be others."""
    try:
        difference = find_inference_difference(model, partial(_rewrite_for_inference, shape=shape), shape)
    except Exception:
        return model.eval()
    return model.eval() if difference else _rewrite_for_inference(model, shape)


def _rewrite_for_inference(model: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    flow = trace(model)
    return rewrite(model.eval() if flow is None else fold_batch_norm(model, flow), shape).eval()


def keep_memory() -> None:
    """Let glibc keep freed memory for the next step, for the rest of this process.

    By default each step's large buffers are mapped again and every page of them faults: half of a FashionCNN step.
    Elsewhere than under glibc this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for parameter, value in _MALLOC_PARAMETERS:
            mallopt(parameter, value)
