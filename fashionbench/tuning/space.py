"""The search space: which fields of a recipe are tuned, between which values, and the points drawn from it."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from scipy.stats import qmc

from fashionbench.errors import InputError
from fashionbench.recipe.fields import Hyperparameters, Recipe
from fashionbench.recipe.file import SHOWN, read_toml

__all__ = [
    "DEFAULT_SPACE",
    "Range",
    "Space",
    "Value",
    "describe_point",
    "describe_space",
    "draw_points",
    "load_space",
    "vary",
]

Value = bool | int | float | str | dict[str, bool | int | float]
"""Of a field; a table for ``augment``."""


class Range(BaseModel):
    """All numbers between two, drawn evenly or evenly in their logarithm."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    low: float
    high: float
    scale: Literal["linear", "log"] = "linear"

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if not -math.inf < self.low < self.high < math.inf:
            message = f"low {self.low} is not below high {self.high}"
            raise ValueError(message)
        if self.scale == "log" and self.low <= 0:
            message = f"low {self.low} has no logarithm"
            raise ValueError(message)
        return self

    def at(self, fraction: float) -> float:
        """Return the number that lies at a fraction of the way from low to high, with three significant digits."""
        if self.scale == "log":
            value = self.low * (self.high / self.low) ** fraction
        else:
            value = self.low + fraction * (self.high - self.low)
        return min(max(float(f"{value:.3g}"), self.low), self.high)


Choices = Annotated[tuple[Value, ...], Field(min_length=2)]
Space = Mapping[str, Range | tuple[Value, ...]]
"""What each field may become: a number of a range, or one of some values."""

DEFAULT_SPACE: Final[Space] = MappingProxyType(
    {
        "learning_rate": Range(low=0.0005, high=0.02, scale="log"),
        "weight_decay": Range(low=0.000001, high=0.001, scale="log"),
        "label_smoothing": Range(low=0.0, high=0.2),
        "augment": ({}, {"flip": True}, {"flip": True, "shift": 2}),
        "batch_size": (32, 64, 128, 256),
    }
)
"""The same for every model, whatever it is. Weight decay is an L2 penalty, as the built-in recipes train by Adam."""


def load_space(path: Path | None, base: Recipe) -> Space:
    """Return the search space of a ``.toml`` file, or the default one.

    Args:
        path: Fields with ``{low = 0.001, high = 0.01, scale = "log"}`` or a list of values; None: the default space.
        base: The recipe that is tuned, which every point of the space must fit.

    Raises:
        InputError: The file cannot be read, has an unknown field, or values that the recipe cannot have.

    """
    if path is None:
        return DEFAULT_SPACE
    try:
        space = TypeAdapter(dict[str, Range | Choices]).validate_python(read_toml(path, "space"))
        if unknown := [field for field in space if field not in Hyperparameters.model_fields]:
            raise InputError(
                f"space file {path} has the unknown field {unknown[0][:SHOWN]!r}",
                expected=f"only the fields {', '.join(Hyperparameters.model_fields)}",
                remedy="correct or remove it",
            )
        for field, values in space.items():
            for value in (values.low, values.high) if isinstance(values, Range) else values:
                vary(base, {field: value})
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"space file {path}, {'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}",
            expected='fields of a recipe, each with {low = ..., high = ..., scale = "log"} or a list of values',
            remedy="correct that field",
        ) from error
    return space


def draw_points(space: Space, number: int, seed: int = 0) -> tuple[dict[str, Value], ...]:
    """Draw points of a space that lie more evenly than random ones (scrambled Halton sequence; Owen, 2017).

    The first points of a longer sequence are those of a shorter one, so that more trials keep the earlier ones.
    """
    fractions = qmc.Halton(len(space), rng=seed).random(number)  # (number, fields)
    return tuple(
        {field: _at(values, float(fraction)) for (field, values), fraction in zip(space.items(), row, strict=True)}
        for row in fractions
    )


def _at(values: Range | tuple[Value, ...], fraction: float) -> Value:
    return values.at(fraction) if isinstance(values, Range) else values[int(fraction * len(values))]


def vary(base: Recipe, point: Mapping[str, Value], name: str | None = None) -> Recipe:
    """Return a recipe with the fields of a point, for every model.

    Raises:
        ValidationError: A field that no recipe has, or a value that it cannot have.

    """
    models = {model: {**own.model_dump(exclude_unset=True), **point} for model, own in base.model.items()}
    changed = {**point, "model": models, "test_images": None, "name": name or base.name}
    return Recipe.model_validate({**dict(base), **changed})


def describe_point(point: Mapping[str, Value]) -> str:
    """Return the values of a point, after the names of their fields."""
    return ", ".join(f"{field} {_describe(value)}" for field, value in point.items())


def _describe(value: Value) -> str:
    if isinstance(value, dict):
        inner = [name if how is True else f"{name} {how:g}" for name, how in value.items() if how]
        return " + ".join(inner) or "none"
    return f"{value:g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


def describe_space(space: Space) -> tuple[str, ...]:
    """Return a line for each field of a space."""
    return tuple(
        f"{field}: {values.low:g} to {values.high:g}, {values.scale}"
        if isinstance(values, Range)
        else f"{field}: {', '.join(map(_describe, values[:-1]))} or {_describe(values[-1])}"
        for field, values in space.items()
    )
