"""The fast execution: a model rewritten for speed and checked against itself, and memory kept between steps."""

import copy
import ctypes
import gc
import sys
from collections.abc import Callable
from functools import partial
from typing import Final

import torch
from torch import Tensor, nn

from fashionbench.errors import describe_error
from fashionbench.execution.guard import find_difference, find_inference_difference
from fashionbench.execution.rewriting import (
    find_normed_places,
    fold_batch_norm,
    fuse_first_batch_norm,
    pool_before_relu,
    rewrite_convolutions,
    rewrite_dropout,
    rewrite_linear,
)
from fashionbench.models.analysis.dataflow import is_steady, trace
from fashionbench.models.analysis.state import State, asks_for_classes, is_independent
from fashionbench.models.analysis.taps import is_exactly

__all__ = ["find_objection", "keep_memory", "rewrite", "speed_up", "speed_up_inference"]

SHARES: Final = "its code reaches beyond it: to what a copy would share, or to variables that it changes"

_MALLOC_PARAMETERS: Final = (
    (-1, 2**31 - 1),  # M_TRIM_THRESHOLD
    (-2, 256 * 1024**2),  # M_TOP_PAD
    (-3, 32 * 1024**2),  # M_MMAP_THRESHOLD, of which 32 MiB is the most
)
"""Of mallopt(3): the parameter's number in malloc.h, and bytes."""


def speed_up(model: nn.Module, shape: tuple[int, int, int], *, suits: bool | None = None) -> nn.Module:
    """Return a model rewritten for speed, in place, or as it is where the rewritten one would train otherwise.

    Args:
        model: The model, on the CPU.
        shape: Channels, height and width of its images.
        suits: Whether it is rewritten; None asks ``find_objection``.

    """
    if suits is None:
        suits = not find_objection(model, shape)
    return rewrite(model, shape) if suits else model


def find_objection(model: nn.Module, shape: tuple[int, int, int]) -> str:
    """Return why a model's layers must stay as they are; empty where they may be rewritten.

    A copy is rewritten. Both train for three steps on random images, and their losses and outputs are compared
    (``guard.py``). The model's own code runs in this process, so that what it counts outside of the model goes on: a
    run asks in a process of its own.
    """
    if _has_hooks(model):
        return "somebody has hooked on to it"
    return _try(model, lambda: find_difference(model, rewrite(copy.deepcopy(model), shape), shape))


def _try(model: nn.Module, compare: Callable[[], str]) -> str:
    """Return how copies of a model differ, or why there can be no such comparison; empty where all is well."""
    try:
        if not is_independent(copy.deepcopy(model), model):
            return SHARES
        before, buffers = State(model), [buffer.clone() for buffer in model.buffers()]
        difference = compare()
        if State(model).content == before.content:
            return difference
        for buffer, value in zip(model.buffers(), buffers, strict=True):
            buffer.copy_(value)
    except Exception as error:
        return describe_error(error)
    return SHARES


def _has_hooks(model: nn.Module) -> bool:
    """Whether somebody has hooked on to a model or a parameter: a copy loses such hooks, or calls the original's."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    kept = ("_backward_hooks", "_post_accumulate_grad_hooks")
    nodes = [each for each in gc.get_objects() if type(each).__name__ == "AccumulateGrad"]  # no other way to ask them
    held = {id(getattr(each, "variable", None)) for each in nodes}
    return any(getattr(each, name, None) for each in model.modules() for name in hooks) or any(
        id(each) in held or any(getattr(each, name, None) for name in kept) for each in model.parameters()
    )


def rewrite(model: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    """Rewrite a model in place, computing the same function and gradients to rounding.

    What it does in every pass must be known: a pass changes nothing and looks at no value, and torch.fx can trace it.
    Of any other model, only the matrix products change, and these only where its code does not ask for classes.
    """
    flow = trace(model) if is_steady(model, shape) else None
    if flow is None:
        if not asks_for_classes(model):
            rewrite_linear(model)
        return model
    for layer in model.modules():
        convolves = is_exactly(layer, nn.Conv2d) or is_exactly(layer, nn.ConvTranspose2d)  # others may read weights
        if convolves and flow.is_only_called(layer):
            layer.to(memory_format=torch.channels_last)
    places = find_normed_places(model, flow)
    pool_before_relu(model, flow)
    rewrite_convolutions(model, flow, shape)
    fuse_first_batch_norm(places)
    rewrite_linear(model)
    rewrite_dropout(model)
    for name in flow.before_views():
        model.get_submodule(name).register_forward_hook(_make_contiguous)
    return model


def _make_contiguous(_: nn.Module, __: object, output: object) -> object:
    """Return a layer's output in the order of axes that ``view`` expects."""
    return output.contiguous() if isinstance(output, Tensor) else output


def speed_up_inference(model: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    """Return a model, in evaluation mode, rewritten for speed, or as it is where its outputs would be others."""
    change = partial(_rewrite_for_inference, shape=shape)
    suits = not _try(model, lambda: find_inference_difference(model, change, shape))
    model.eval()
    return change(model) if suits else model


def _rewrite_for_inference(model: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    flow = trace(model) if is_steady(model, shape) else None
    model.eval()
    rewritten = rewrite(model if flow is None else fold_batch_norm(model, flow), shape)
    rewritten.eval()
    return rewritten


def keep_memory() -> None:
    """Let glibc keep freed memory for the next step, for the rest of this process.

    By default each step's large buffers are mapped again and every page of them faults: half of a FashionCNN step.
    Elsewhere than under glibc this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for parameter, value in _MALLOC_PARAMETERS:
            mallopt(parameter, value)
