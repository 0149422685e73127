"""The classifiers of torchvision and timm, untrained, for the channels, the size and the classes of a task."""

from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import version
from types import ModuleType
from typing import Any, Final

import torchvision
from torch import nn
from torchvision.models import get_model, list_models

from fashionbench.errors import InputError, SetupError

__all__ = ["LIBRARIES", "TORCHVISION", "classifier_names", "find_classifier", "library_version"]

TORCHVISION: Final = "torchvision:"

LIBRARIES: Final = (TORCHVISION, "timm:")
"""What the name of a library's classifier begins with."""

Shape = tuple[int, int, int]


def classifier_names(library: str = TORCHVISION) -> list[str]:
    """Return the names of a library's classifiers.

    Raises:
        SetupError: timm is not installed.

    """
    names: list[str] = (
        list_models(module=torchvision.models) if library == TORCHVISION else _import_timm().list_models()
    )
    return names


def find_classifier(name: str) -> Callable[[Shape, int], nn.Module] | None:
    """Return the function that builds ``torchvision:NAME`` or ``timm:NAME``; None where the name is of neither.

    Raises:
        InputError: The library has no classifier of that name.
        SetupError: timm is not installed.

    """
    for library in LIBRARIES:
        if name.startswith(library):
            own, known = name.removeprefix(library), classifier_names(library)
            if own not in known:
                alike = get_close_matches(own, known) or known[:3]
                raise InputError(
                    f"unknown model {name[:80]!r}",
                    expected=f"a classifier of {library[:-1]}, such as {', '.join(library + each for each in alike)}",
                    remedy="give --models one of these, or another of its names",
                )
            build = _build_torchvision if library == TORCHVISION else _build_timm
            return lambda shape, classes: build(own, shape, classes)
    return None


def library_version(name: str) -> str:
    """Return the version of the library that a classifier is of."""
    return str(torchvision.__version__) if name.startswith(TORCHVISION) else version("timm")


def _build_torchvision(name: str, shape: Shape, classes: int) -> nn.Module:
    """Build a classifier without auxiliary heads; its first convolution takes the channels of ``shape``."""
    options: dict[str, Any] = {}
    if name in {"googlenet", "inception_v3"}:
        options = {"aux_logits": False, "init_weights": True}
    elif name.startswith("vit_"):
        options = {"image_size": shape[1]}
    elif name.startswith("maxvit_"):
        options = {"input_size": shape[1:]}
    model: nn.Module = get_model(name, weights=None, num_classes=classes, **options)
    path, old = next(part for part in model.named_modules() if isinstance(part[1], nn.Conv2d))
    if isinstance(old, nn.Conv2d) and old.in_channels != shape[0]:
        parent, _, leaf = path.rpartition(".")
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


def _build_timm(name: str, shape: Shape, classes: int) -> nn.Module:
    """Build a classifier of timm; one of a fixed image size is told the size of ``shape``."""
    timm = _import_timm()
    facts = timm.get_pretrained_cfg(name)
    options = {"img_size": shape[1:]} if facts is not None and facts.fixed_input_size else {}
    model: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes, in_chans=shape[0], **options)
    return model


def _import_timm() -> ModuleType:
    try:
        return import_module("timm")
    except ImportError as error:
        raise SetupError(
            "the library timm is not installed",
            expected="timm, for models whose name begins with timm:",
            remedy='run: python -m pip install "fashionbench[timm]"',
        ) from error
