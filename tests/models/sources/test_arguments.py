"""A user's class or function is called with what its parameters say, or refused in a line."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fashionbench.errors import InputError
from fashionbench.models.sources.arguments import find_call

SHAPE = (3, 32, 48)


class Tutorial(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 1)


class Configurable(nn.Module):
    def __init__(self, in_channels: int = 1, num_classes: int = 1000, channels: int = 64, img_size: Any = 224) -> None:
        super().__init__()
        self.given = in_channels, num_classes, channels, img_size


class Inherited(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


class Keyworded(nn.Module):
    def __init__(self, *, n_classes: int, in_features: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.given = n_classes, in_features, dropout


def by_position(shape_of_images: object, k: object, width: int = 8) -> object:
    return shape_of_images, k, width


def by_position_only(shape: object, classes: object, /) -> object:
    return shape, classes


def mixed(s: object, num_classes: object) -> object:
    return s, num_classes


def turned(classes: object, shape: object) -> object:
    return classes, shape


def channels_and_classes(channels: object, classes: object) -> object:
    return channels, classes


def anything(*given: object) -> object:
    return given


def passing_on(*, progress: bool = True, **others: object) -> object:
    return progress, others


def named_list(classes: tuple[str, ...] = ("a", "b")) -> object:
    return classes


@pytest.mark.parametrize(
    ("function", "called", "given"),
    [
        (by_position, "by_position((3, 32, 48), 7)", (SHAPE, 7, 8)),
        (by_position_only, "by_position_only((3, 32, 48), 7)", (SHAPE, 7)),
        (mixed, "mixed((3, 32, 48), 7)", (SHAPE, 7)),
        (turned, "turned(classes=7, shape=(3, 32, 48))", (7, SHAPE)),
        (channels_and_classes, "channels_and_classes(channels=3, classes=7)", (3, 7)),
        (anything, "anything((3, 32, 48), 7)", (SHAPE, 7)),
        (passing_on, "passing_on(num_classes=7)", (True, {"num_classes": 7})),
        (named_list, "named_list()", ("a", "b")),
        (partial(by_position, width=2), "partial((3, 32, 48), 7)", (SHAPE, 7, 2)),
    ],
)
def test_a_function_is_called_with_what_it_takes(function: Callable[..., object], called: str, given: object) -> None:
    call = find_call("nets:make", function)

    assert call.describe(SHAPE, 7) == called
    assert call(SHAPE, 7) == given


@pytest.mark.parametrize(
    ("kind", "called", "given"),
    [
        (Tutorial, "Tutorial()", None),
        (Inherited, "Inherited()", None),
        (Configurable, "Configurable(in_channels=3, num_classes=7, img_size=(32, 48))", (3, 7, 64, (32, 48))),
        (Keyworded, "Keyworded(n_classes=7, in_features=4608)", (7, 4608, 0.5)),
    ],
)
def test_a_class_is_called_with_what_it_takes(kind: type[nn.Module], called: str, given: object) -> None:
    call = find_call("nets:Net", kind)

    network = call(SHAPE, 7)

    assert call.describe(SHAPE, 7) == called
    assert isinstance(network, kind)
    assert getattr(network, "given", None) == given


def test_what_has_no_signature_is_given_shape_and_classes() -> None:
    assert find_call("nets:zeros", torch.zeros).describe((1, 2, 2), 3) == "zeros((1, 2, 2), 3)"


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda config: config, r"needs 'config', which has no default\. Expected no required parameters but"),
        (lambda hidden_size, num_classes: (hidden_size, num_classes), r"needs 'hidden_size', which has no default"),
        (lambda config, args: (config, args), r"needs 'config' and 'args', which have no default"),
        (lambda num_classes, depth: (num_classes, depth), r"needs 'depth'"),
        (lambda a, b, c: (a, b, c), r"needs 'a' and 'b' and 'c'"),
        (Tutorial(), r"is a network that is already built\. Expected a class or a function that builds"),
        (3, r"is not callable"),
    ],
)
def test_what_cannot_be_called_is_refused_in_a_line(function: object, message: str) -> None:
    with pytest.raises(InputError, match=rf"Model 'nets:make' {message}"):
        find_call("nets:make", function)
