"""The models: the study's two, classical baselines, torchvision's, and anybody's own, each found by its name."""

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
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torchvision.models import get_model, list_models, resnet18

from fashionbench.errors import InputError
from fashionbench.measure.baselines import BASELINES, Baseline

__all__ = ["ENTRY_POINTS", "MODELS", "FashionCNN", "Shape", "build_model", "find_builder", "source_of"]

ENTRY_POINTS: Final = "fashionbench.models"
"""Group of the entry points by which an installed package offers models."""
TORCHVISION: Final = "torchvision:"

Shape = tuple[int, int, int]
"""Channels, height and width of an image."""
Builder = Callable[[Shape, int], nn.Module]
"""Makes a network that takes images (N, *shape), in [0, 1], to logits (N, classes)."""


class FashionCNN(nn.Module):
    """The study's shallow network: two convolutions, three linear layers, one dropout.

    The study's notebook writes ``Dropout2d``; on the flat activations it stands behind, that is plain dropout.
    There is no activation between the linear layers, as in the study's list.
    """

    def __init__(self, shape: Shape = (1, 28, 28), classes: int = 10) -> None:
        super().__init__()
        channels, *sizes = shape
        rows, columns = ((size // 2 - 2) // 2 for size in sizes)  # 6 and 6 of 28 x 28
        self.layer1 = nn.Sequential(
            nn.Conv2d(channels, 32, kernel_size=3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2, 2)
        )
        self.layer2 = nn.Sequential(nn.Conv2d(32, 64, kernel_size=3), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2, 2))
        self.fc1 = nn.Linear(64 * rows * columns, 600)
        self.dropout = nn.Dropout(0.25)
        self.fc2 = nn.Linear(600, 120)
        self.fc3 = nn.Linear(120, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, classes) of images (N, channels, height, width)."""
        features = self.layer2(self.layer1(images))  # (N, 64, rows, columns)
        hidden = self.dropout(self.fc1(features.flatten(1)))  # (N, 600)
        logits: Tensor = self.fc3(self.fc2(hidden))
        return logits


def _build_resnet18(shape: Shape, classes: int) -> nn.Module:
    model: nn.Module = resnet18(num_classes=classes)
    model.conv1 = nn.Conv2d(shape[0], 64, kernel_size=7, stride=2, padding=3, bias=False)
    return model


MODELS: Final = MappingProxyType[str, Builder]({"fashioncnn": FashionCNN, "resnet18": _build_resnet18})
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
    if name.removeprefix(TORCHVISION) in _torchvision_names() and name.startswith(TORCHVISION):
        return lambda shape, classes: _adapt(name.removeprefix(TORCHVISION), shape, classes)
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


def build_model(name: str, *, shape: Shape, classes: int, seed: int) -> nn.Module:
    """Build a model on the CPU with weights drawn from ``seed``; torch's own generator is left as it was.

    Raises:
        InputError: No model of that name.

    """
    build = find_builder(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build(shape, classes)
        if any(is_lazy(parameter) for parameter in model.parameters()):
            with torch.no_grad():
                model.eval()(torch.zeros(1, *shape))
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


def _torchvision_names() -> list[str]:
    names: list[str] = list_models(module=torchvision.models)
    return names


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


def _adapt(name: str, shape: Shape, classes: int) -> nn.Module:
    """Build a classifier of torchvision with as many inputs and outputs as asked for, as the study does ResNet18."""
    model: nn.Module = get_model(name, weights=None, num_classes=classes)
    first = next(part for part in model.named_modules() if isinstance(part[1], nn.Conv2d))
    path, old = first
    parent, _, leaf = path.rpartition(".")
    if isinstance(old, nn.Conv2d) and old.in_channels != shape[0]:
        new = nn.Conv2d(
            shape[0],
            old.out_channels,
            (old.kernel_size[0], old.kernel_size[1]),
            stride=(old.stride[0], old.stride[1]),
            padding=old.padding if isinstance(old.padding, str) else (old.padding[0], old.padding[1]),
            bias=old.bias is not None,
        )
        setattr(model.get_submodule(parent), leaf, new)
    return model
