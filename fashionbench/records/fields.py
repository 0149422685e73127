"""The types of a record's fields: bounded numbers and names, tuples, and arrays packed as text."""

import base64
import math
import re
from typing import Annotated, Final, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, model_validator

__all__ = [
    "Count",
    "Fraction",
    "Loss",
    "Name",
    "Names",
    "Packed",
    "Rate",
    "Seconds",
    "Strict",
    "Text",
    "TupleOf",
    "without_control_characters",
]

MOST_NAMES: Final = 1_000

Fraction = Annotated[float, Field(ge=0, le=1)]

# a terminal obeys these; tabs and line breaks are harmless
CONTROL_CHARACTERS: Final = r"\x00-\x08\x0b-\x1f\x7f-\x9f"

Text = Annotated[str, Field(max_length=100_000, pattern=f"^[^{CONTROL_CHARACTERS}]*$")]

Name = Annotated[Text, Field(min_length=1, max_length=200)]

Count = Annotated[int, Field(ge=0, lt=2**64)]

Loss = Annotated[float, Field(ge=-1, le=1e30, allow_inf_nan=False)]

Rate = Annotated[float, Field(gt=0, le=1e30, allow_inf_nan=False)]

Seconds = Annotated[float, Field(ge=0, le=1e10, allow_inf_nan=False)]


def without_control_characters(text: str) -> str:
    """Return a text from elsewhere, such as a library's message, as a record's field accepts it."""
    return re.sub(f"[{CONTROL_CHARACTERS}]", "\N{REPLACEMENT CHARACTER}", text)


def _limit_names(given: object) -> object:
    if isinstance(given, dict) and len(given) > MOST_NAMES:
        message = f"more than {MOST_NAMES} names"
        raise ValueError(message)
    return given


T = TypeVar("T")

TupleOf = Annotated[tuple[T, ...], Field(strict=False), FailFast()]
"""A tuple, read from a JSON list. Validation stops at the first error: an untrusted file may contain millions."""

Names = Annotated[dict[Text, Text], BeforeValidator(_limit_names)]


class Strict(BaseModel):
    """A frozen model that converts no types and rejects unknown fields."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Packed(Strict):
    """An array as base64 of its little-endian bytes: compact and exact."""

    dtype: Literal["u1", "<u2", "<f4"]
    shape: Annotated[TupleOf[Annotated[int, Field(ge=0, le=2**31)]], Field(max_length=4)]
    data: str

    @classmethod
    def of(cls, array: NDArray[np.generic], dtype: Literal["u1", "<u2", "<f4"]) -> Self:
        """Pack an array, converted to ``dtype``."""
        raw = np.ascontiguousarray(array, dtype=np.dtype(dtype))
        return cls(dtype=dtype, shape=raw.shape, data=base64.b64encode(raw.tobytes()).decode("ascii"))

    def array(self) -> NDArray[np.generic]:
        """Return the array, read-only, of ``shape`` and ``dtype``."""
        return np.frombuffer(base64.b64decode(self.data), dtype=np.dtype(self.dtype)).reshape(self.shape)

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        wanted = math.prod(self.shape) * np.dtype(self.dtype).itemsize
        try:
            size = len(base64.b64decode(self.data, validate=True))
        except ValueError as error:
            message = f"the data is not base64 ({error})"
            raise ValueError(message) from error
        if size != wanted:
            message = f"the data has {size} bytes, but shape {self.shape} of {self.dtype} needs {wanted}"
            raise ValueError(message)
        return self
