"""What a user's class or function is called with: found from its parameters, and told in one line."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import Parameter
from types import MappingProxyType
from typing import Any, Final

from torch import nn

from fashionbench.errors import InputError

__all__ = ["Call", "find_call"]

NAMES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "shape": ("shape", "input_shape", "image_shape"),
        "classes": (
            *("num_classes", "n_classes", "nb_classes", "num_class", "n_class", "classes", "num_labels"),
            *("num_outputs", "n_outputs", "out_features", "output_dim", "output_size", "out_dim", "n_out"),
        ),
        "channels": (
            *("in_channels", "in_channel", "in_chans", "input_channels", "input_channel", "in_ch", "n_channels"),
            *("channels", "num_channels", "img_channels", "image_channels"),
        ),
        "size": ("image_size", "img_size"),
        "features": ("in_features", "input_dim", "input_size", "in_dim", "n_features"),
    }
)
"""The parameters that are understood, by what they are given."""

AMBIGUOUS: Final = frozenset({"shape", "channels", "num_channels", "input_size"})
"""With a default, one of these may mean something else, such as the width of the network or the height of images."""

POSITIONS: Final = ("shape", "classes")

OTHER_MEANING: Final = re.compile(
    "hidden|embed|latent|layer|block|width|depth|filter|kernel|units|drop|growth|config|cfg|args|param"
)
"""In the name of a required parameter: it is neither a shape nor a number of classes, as in ``hidden_size``."""

POSITIONAL: Final = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """How a user's class or function is called, whatever the task."""

    function: Callable[..., nn.Module]
    positions: tuple[str, ...] = ()
    """What is given by position, as keys of ``NAMES``."""
    names: tuple[tuple[str, str], ...] = ()
    """Names of parameters, each with what it is given."""

    def __call__(self, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the network for images of a shape (channels, height, width) and a number of classes."""
        given, named = self._arguments(shape, classes)
        return self.function(*given, **named)

    def describe(self, shape: tuple[int, int, int], classes: int) -> str:
        """Return the call as it would be typed: ``Net(in_channels=1, num_classes=10)``."""
        given, named = self._arguments(shape, classes)
        shown = [*map(repr, given), *(f"{name}={value!r}" for name, value in named.items())]
        name = getattr(self.function, "__name__", type(self.function).__name__)
        return f"{name}({', '.join(shown)})"

    def _arguments(self, shape: tuple[int, int, int], classes: int) -> tuple[list[Any], dict[str, Any]]:
        channels, height, width = shape
        values = {
            "shape": shape,
            "classes": classes,
            "channels": channels,
            "size": height if height == width else (height, width),
            "features": channels * height * width,
        }
        return [values[each] for each in self.positions], {name: values[each] for name, each in self.names}


def find_call(model: str, function: object) -> Call:
    """Return how to call what ``module:name`` names.

    Parameters with a known name are given by name, such as ``num_classes`` and ``in_channels``. Two required parameters
    with other names are given the shape and the number of classes. What needs nothing is called with nothing.

    Args:
        model: Its name, for the message.
        function: A class, a function, or anything else that can be called.

    Raises:
        InputError: It is no such thing, or a parameter without a default has a name that says nothing.

    """
    if not callable(function) or isinstance(function, nn.Module):
        raise InputError(
            f"model {model[:80]!r} is {'a network that is already built' if callable(function) else 'not callable'}",
            expected="a class or a function that builds a network, so that each seed begins with its own weights",
            remedy="name the class or a function with --models",
        )
    try:
        parameters = [*inspect.signature(function).parameters.values()]
    except (TypeError, ValueError):  # some of C's have none
        return Call(function=function, positions=POSITIONS)
    if getattr(function, "__init__", None) is nn.Module.__init__:
        return Call(function=function)
    meaning = {name: kind for kind, names in NAMES.items() for name in names}
    required = [each for each in parameters if each.default is Parameter.empty and each.kind not in _VARIABLE]
    unknown = [each.name for each in required if each.name not in meaning or each.kind is Parameter.POSITIONAL_ONLY]
    if unknown and _takes_shape_and_classes(required, meaning):
        return Call(function=function, positions=POSITIONS)
    if unknown:
        raise InputError(
            f"model {model[:80]!r} needs {' and '.join(map(repr, unknown[:3]))}, which "
            f"{'have' if len(unknown) > 1 else 'has'} no default",
            expected="no required parameters but (shape, classes), or names such as num_classes and in_channels",
            remedy="give them a default, or name a function without them",
        )
    if not required and any(each.kind is Parameter.VAR_POSITIONAL for each in parameters):
        return Call(function=function, positions=POSITIONS)
    names = [(each.name, meaning[each.name]) for each in parameters if each.name in meaning and _is_free(each)]
    passes_on = any(each.kind is Parameter.VAR_KEYWORD for each in parameters)
    if passes_on and "classes" not in dict(names).values():
        names.append(("num_classes", "classes"))
    return Call(function=function, names=tuple(names))


_VARIABLE: Final = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def _takes_shape_and_classes(required: list[Parameter], meaning: Mapping[str, str]) -> bool:
    """Say whether exactly two parameters are required, by position, and their names do not say something else."""
    return (
        len(required) == len(POSITIONS)
        and all(each.kind in POSITIONAL and not OTHER_MEANING.search(each.name) for each in required)
        and all(meaning.get(each.name, kind) == kind for each, kind in zip(required, POSITIONS, strict=True))
    )


def _is_free(parameter: Parameter) -> bool:
    """Say whether a parameter of a known name is required, or has a number or None as its default."""
    if parameter.kind in {Parameter.POSITIONAL_ONLY, *_VARIABLE}:
        return False
    if parameter.default is Parameter.empty:
        return True
    return parameter.name not in AMBIGUOUS and (
        parameter.default is None or (isinstance(parameter.default, int) and not isinstance(parameter.default, bool))
    )
