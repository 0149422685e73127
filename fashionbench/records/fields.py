"""The types of a record's fields: bounded numbers and names, tuples, and arrays packed as text."""

import base64
import math
from typing import Annotated, Final, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, NonNegativeInt, model_validator

__all__ = ["Fraction", "Name", "Names", "Packed", "Rate", "Seconds", "Strict", "TupleOf"]

MOST_NAMES: Final = 1_000

Fraction = Annotated[float, Field(ge=0, le=1)]

Name = Annotated[str, Field(min_length=1, max_length=200)]

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _limit_names(given: object) -> object:
    if isinstance(given, dict) and len(given) > MOST_NAMES:
        message = f"more than {MOST_NAMES} names"
        raise ValueError(message)
    return given


T = TypeVar("T")

TupleOf = Annotated[tuple[T, ...], Field(strict=False), FailFast()]
"""A tuple, read from a JSON list. Validation stops at the first error: an untrusted file may contain millions."""

Names = Annotated[dict[str, str], BeforeValidator(_limit_names)]


class Strict(BaseModel):
    """A frozen model that converts no types and rejects unknown fields."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Packed(Strict):
    """An array as base64 of its little-endian bytes: compact and exact."""

    dtype: Literal["u1", "<u2", "<f4"]
    shape: TupleOf[NonNegativeInt]
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
