"""Models by name: the study's networks, baselines, classifiers of libraries, the user's own, and trained weights."""

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
from fashionbench.errors import InputError, describe_error
from fashionbench.models.baselines import BASELINES, Baseline
from fashionbench.models.networks import FashionCNN, Shape, build_resnet18
from fashionbench.models.randomness import seeded_generators
from fashionbench.models.sources.arguments import Call, find_call
from fashionbench.models.sources.libraries import (
    LIBRARIES,
    TORCHVISION,
    classifier_names,
    find_classifier,
    library_version,
)
from fashionbench.models.sources.weights import digest_weights, fit_weights, require_weights

__all__ = [
    "ENTRY_POINTS",
    "MODELS",
    "Builder",
    "build_model",
    "describe_building",
    "find_builder",
    "find_new",
    "is_own",
    "network_names",
    "source_of",
]

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
            ``fashionbench.models``; ``torchvision:NAME`` or ``timm:NAME``; or ``module:name`` of a class or function,
            from an installed package or a file in the current folder. ``@`` and the path of a file of weights may
            follow the name of a network.

    Raises:
        InputError: There is no such model, its module cannot be imported, or its weights are not there.
        SetupError: Its library is not installed.

    """
    name, weights = _split(name)
    if name in BASELINES and weights is None:
        return lambda _, __: Baseline(name)
    build = MODELS.get(name) or find_classifier(name) or find_call(name, _find_own(name))
    if weights is None:
        return build
    require_weights(weights)
    return lambda shape, classes: _load_weights(build(shape, classes), weights, classes)


def is_own(name: str) -> bool:
    """Return whether a model's code is the user's or an installed package's: its import may do anything."""
    network, _ = _split(name)
    return network not in MODELS and network not in BASELINES and not network.startswith(LIBRARIES)


def _split(name: str) -> tuple[str, Path | None]:
    """Return the name of a network, and the path of its weights if there is one after ``@``."""
    network, _, weights = name.partition("@")
    return network, Path(weights).expanduser() if weights else None


def _load_weights(model: nn.Module, weights: Path, classes: int) -> nn.Module:
    state = model.state_dict()
    state.update(fit_weights(model, weights, classes).taken)
    model.load_state_dict(state)
    return model


def _find_own(name: str) -> object:
    """Return what an entry point or ``module:name`` names."""
    for entry in entry_points(group=ENTRY_POINTS, name=name):
        return _load(name, entry.load)
    module, _, function = name.partition(":")
    if not re.fullmatch(r"\w+(\.\w+)*:\w+", name):
        raise InputError(
            f"unknown model {name[:80]!r}",
            expected=f"one of {', '.join([*MODELS, *BASELINES, *_declared_names()])}, torchvision:NAME or timm:NAME of "
            "a classifier, or module:name of a class or function",
            remedy="give --models one of these, or several separated by commas",
        )
    here = str(Path.cwd())
    if here not in sys.path:  # as python -m does; the processes that train inherit sys.path
        sys.path.insert(0, here)
    return _load(name, lambda: getattr(import_module(module), function))


def build_model(name: str, task: Task, seed: int) -> nn.Module:
    """Build a model on the CPU, in training mode. The seed decides all weights that are not from a file.

    The global generators of PyTorch, Python and NumPy are left unchanged.

    Raises:
        InputError: There is no model of that name.

    """
    build = find_builder(name)
    with seeded_generators(seed):
        model = build(task.shape, task.classes)
        if not isinstance(model, nn.Module):
            raise InputError(
                f"model {name[:80]!r} gives {type(model).__name__}",
                expected="a class or a function that gives a torch.nn.Module",
                remedy="correct it, or choose another with --models",
            )
        if any(is_lazy(parameter) for parameter in model.parameters()):
            with torch.no_grad():
                model.eval()(torch.zeros(1, *task.shape))
        return model.train()


def find_new(name: str, model: nn.Module, classes: int) -> tuple[str, ...]:
    """Return the names of a model's tensors that are not from its file of weights; none where it has no file."""
    _, weights = _split(name)
    return () if weights is None else fit_weights(model, weights, classes).new


def describe_building(name: str, task: Task) -> str:
    """Return how a model is built where its name does not say it: the user's call, and what a file of weights gives."""
    network, weights = _split(name)
    builder = find_builder(network)
    told = [f"called as {builder.describe(task.shape, task.classes)}"] if isinstance(builder, Call) else []
    if weights is not None:
        told.append(fit_weights(build_model(network, task, seed=0), weights, task.classes).describe(weights))
    return "; ".join(told)


def source_of(name: str) -> bytes:
    """Return what changes when a model's code changes: the content of its files, or the version of its library.

    Where it begins with trained weights, the digest of their file follows.

    Raises:
        InputError: There is no model of that name.

    """
    name, weights = _split(name)
    if weights is not None:
        return source_of(name) + digest_weights(weights)
    if name in MODELS:
        return str(torchvision.__version__).encode()
    if name.startswith(LIBRARIES):
        return library_version(name).encode()
    if name in BASELINES:
        return BASELINES[name].version.encode()
    own = _find_own(name)
    builder = inspect.unwrap(own) if callable(own) else own
    declared = [entry.module for entry in entry_points(group=ENTRY_POINTS, name=name)]
    parts: list[Any] = [sys.modules[declared[0] if declared else name.partition(":")[0]]]
    if inspect.isfunction(builder) or inspect.isclass(builder):  # it may be in another file; a partial is in none
        parts.append(builder)
    paths = [inspect.getsourcefile(part) for part in parts]
    return b"".join(Path(path).read_bytes() for path in paths if path)


def network_names() -> list[str]:
    """Return the names of the networks that there are, but for those of timm and of the current folder."""
    return [*MODELS, *_declared_names(), *(f"{TORCHVISION}{name}" for name in classifier_names())]


def _declared_names() -> list[str]:
    return sorted({entry.name for entry in entry_points(group=ENTRY_POINTS)})


def _load(name: str, load: Callable[[], object]) -> object:
    try:
        return load()
    except (Exception, SystemExit) as error:
        raise InputError(
            f"model {name[:80]!r} cannot be loaded ({describe_error(error)})",
            expected="a class or a function that builds a network, in a module that can be imported",
            remedy="check its name, and that its package is installed or its file is in the current folder",
        ) from error
