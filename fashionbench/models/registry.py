"""Models by name: the study's, classical baselines, torchvision's, and the user's own."""

import inspect
import re
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import torch
import torchvision
from torch import nn
from torch.nn.parameter import is_lazy

from fashionbench.data.dataset import Task
from fashionbench.errors import InputError
from fashionbench.models.baselines import BASELINES, Baseline
from fashionbench.models.networks import (
    TORCHVISION,
    FashionCNN,
    Shape,
    build_classifier,
    build_resnet18,
    classifier_names,
)

__all__ = ["ENTRY_POINTS", "MODELS", "build_model", "find_builder", "source_of"]

ENTRY_POINTS: Final = "fashionbench.models"
"""Group of the entry points by which an installed package offers models."""

Builder = Callable[[Shape, int], nn.Module]
"""Makes a network that takes images (N, *shape), in [0, 1], to logits (N, classes)."""


MODELS: Final = MappingProxyType[str, Builder]({"fashioncnn": FashionCNN, "resnet18": build_resnet18})
"""The study's, which run where nothing else is asked for."""


def find_builder(name: str) -> Builder:
    """Return what builds a model.

    Args:
        name: ``fashioncnn``, ``resnet18``; ``dummy``, ``logreg``, ``forest``; an entry point of the group
            ``fashionbench.models``; ``torchvision:NAME``; or ``module:function``, the module being importable from
            here or lying in the current folder.

    Raises:
        InputError: No such model, or its module cannot be imported.

    """
    if name in MODELS:
        return MODELS[name]
    if name in BASELINES:
        return lambda _, __: Baseline(name)
    for entry in entry_points(group=ENTRY_POINTS, name=name):
        return _load(name, entry.load)
    if name.removeprefix(TORCHVISION) in classifier_names() and name.startswith(TORCHVISION):
        return lambda shape, classes: build_classifier(name.removeprefix(TORCHVISION), shape, classes)
    module, _, function = name.partition(":")
    if name.startswith(TORCHVISION) or not re.fullmatch(r"\w+(\.\w+)*:\w+", name):
        raise InputError(
            f"unknown model {name[:80]!r}",
            expected=f"one of {', '.join([*MODELS, *BASELINES, *_offered()])}, torchvision:NAME of a classifier of "
            "torchvision, or module:function",
            remedy="name one of those with --models",
        )
    here = str(Path.cwd())
    if here not in sys.path:  # where python -m would look; the processes that train are told
        sys.path.insert(0, here)
    return _load(name, lambda: getattr(import_module(module), function))


def build_model(name: str, task: Task, seed: int) -> nn.Module:
    """Build a model on the CPU with weights drawn from ``seed``; torch's own generator is left as it was.

    Raises:
        InputError: No model of that name.

    """
    build = find_builder(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build(task.shape, task.classes)
        if any(is_lazy(parameter) for parameter in model.parameters()):
            with torch.no_grad():
                model.eval()(torch.zeros(1, *task.shape))
        return model.train()


def source_of(name: str) -> bytes:
    """Return what tells one state of a model's code from another: its file, or the version of its library."""
    if name in MODELS or name.startswith(TORCHVISION):
        return str(torchvision.__version__).encode()
    if name in BASELINES:
        return BASELINES[name].version.encode()
    builder = inspect.unwrap(find_builder(name))
    offered = [entry.module for entry in entry_points(group=ENTRY_POINTS, name=name)]
    parts: list[Any] = [sys.modules[offered[0] if offered else name.partition(":")[0]]]
    if inspect.isfunction(builder) or inspect.isclass(builder):  # it may come from another file; a partial has none
        parts.append(builder)
    paths = [inspect.getsourcefile(part) for part in parts]
    return b"".join(Path(path).read_bytes() for path in paths if path)


def _offered() -> list[str]:
    return sorted({entry.name for entry in entry_points(group=ENTRY_POINTS)})


def _load(name: str, load: Callable[[], Builder]) -> Builder:
    try:
        return load()
    except Exception as error:
        raise InputError(
            f"model {name[:80]!r} cannot be loaded ({type(error).__name__}: {str(error).partition(chr(10))[0][:200]})",
            expected="a function of a shape (channels, height, width) and a number of classes, in a module that can be "
            "imported",
            remedy="check its name, and that its package is installed or lies in this folder",
        ) from error
