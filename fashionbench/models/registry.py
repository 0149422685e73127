"""Models by name: the study's networks, classical baselines, torchvision's classifiers, and the user's own."""

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
from fashionbench.models.randomness import seeded_generators

__all__ = ["ENTRY_POINTS", "MODELS", "build_model", "find_builder", "source_of"]

ENTRY_POINTS: Final = "fashionbench.models"
"""The entry-point group in which an installed package declares its models."""

Builder = Callable[[Shape, int], nn.Module]
"""Returns a network that maps images (N, *shape), in [0, 1], to logits (N, classes)."""

MODELS: Final = MappingProxyType[str, Builder]({"fashioncnn": FashionCNN, "resnet18": build_resnet18})
"""The networks with a name of their own; ``catalogue.py`` has their labels."""


def find_builder(name: str) -> Builder:
    """Return the function that builds a model.

    Args:
        name: ``fashioncnn``, ``resnet18``; ``dummy``, ``logreg``, ``forest``; an entry point of the group
            ``fashionbench.models``; ``torchvision:NAME``; or ``module:function``, from an installed package or a file
            in the current folder.

    Raises:
        InputError: There is no such model, or its module cannot be imported.

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
            expected=f"one of {', '.join([*MODELS, *BASELINES, *_declared_names()])}, torchvision:NAME of a classifier "
            "of torchvision, or module:function",
            remedy="give --models one of these, or several separated by commas",
        )
    here = str(Path.cwd())
    if here not in sys.path:  # as python -m does; the processes that train inherit sys.path
        sys.path.insert(0, here)
    return _load(name, lambda: getattr(import_module(module), function))


def build_model(name: str, task: Task, seed: int) -> nn.Module:
    """Build a model on the CPU, in training mode, with weights drawn from ``seed``.

    The global generators of PyTorch, Python and NumPy are left unchanged.

    Raises:
        InputError: There is no model of that name.

    """
    build = find_builder(name)
    with seeded_generators(seed):
        model = build(task.shape, task.classes)
        if any(is_lazy(parameter) for parameter in model.parameters()):
            with torch.no_grad():
                model.eval()(torch.zeros(1, *task.shape))
        return model.train()


def source_of(name: str) -> bytes:
    """Return what changes when a model's code changes: the content of its files, or the version of its library.

    Raises:
        InputError: There is no model of that name.

    """
    if name in MODELS or name.startswith(TORCHVISION):
        return str(torchvision.__version__).encode()
    if name in BASELINES:
        return BASELINES[name].version.encode()
    builder = inspect.unwrap(find_builder(name))
    declared = [entry.module for entry in entry_points(group=ENTRY_POINTS, name=name)]
    parts: list[Any] = [sys.modules[declared[0] if declared else name.partition(":")[0]]]
    if inspect.isfunction(builder) or inspect.isclass(builder):  # it may be in another file; a partial is in none
        parts.append(builder)
    paths = [inspect.getsourcefile(part) for part in parts]
    return b"".join(Path(path).read_bytes() for path in paths if path)


def _declared_names() -> list[str]:
    return sorted({entry.name for entry in entry_points(group=ENTRY_POINTS)})


def _load(name: str, load: Callable[[], Builder]) -> Builder:
    try:
        return load()
    except Exception as error:
        raise InputError(
            f"model {name[:80]!r} cannot be loaded ({type(error).__name__}: {str(error).partition(chr(10))[0][:200]})",
            expected="a function of a shape (channels, height, width) and a number of classes, in a module that can be "
            "imported",
            remedy="check its name, and that its package is installed or its file is in the current folder",
        ) from error
