"""The types of a record's fields: bounded numbers and names, tuples, and arrays packed as text."""

import base64
import math
from datetime import datetime
from typing import Annotated, Final, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, FailFast, Field, model_validator

__all__ = [
    "Count",
    "Duration",
    "Fraction",
    "Loss",
    "Name",
    "Names",
    "Number",
    "Packed",
    "Rate",
    "Seconds",
    "Strict",
    "Text",
    "Time",
    "TupleOf",
]

MOST_NAMES: Final = 1_000

Fraction = Annotated[float, Field(ge=0, le=1)]

# a terminal obeys the first of these; the last show a text in another order than it is read in
CONTROL_CHARACTERS: Final = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069"

Text = Annotated[str, Field(max_length=100_000, pattern=f"^[^{CONTROL_CHARACTERS}]*$")]

Name = Annotated[str, Field(max_length=200, pattern=rf"^[^{CONTROL_CHARACTERS}\t\n]+$")]

Count = Annotated[int, Field(ge=0, le=2**53)]
"""Up to here, a floating-point number is exact."""

Number = Annotated[int, Field(ge=1, le=2**53)]
"""A count of what there is at least one of."""

Loss = Annotated[float, Field(ge=-1, le=1e30, allow_inf_nan=False)]

Rate = Annotated[float, Field(ge=1, le=1e30, allow_inf_nan=False)]

Seconds = Annotated[float, Field(ge=0, le=1e10, allow_inf_nan=False)]

Duration = Annotated[float, Field(ge=1e-9, le=1e10, allow_inf_nan=False)]
"""Seconds by which others are divided."""


def _check_time(text: str) -> str:
    datetime.fromisoformat(text)
    return text


Time = Annotated[str, Field(pattern=r"^2\d{3}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$"), AfterValidator(_check_time)]
"""UTC, ISO 8601, to the second."""


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
