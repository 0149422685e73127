"""The price of an hour on a device, in any currency, and what trainings and predictions cost at it."""

import math
from typing import Final, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from fashionbench.errors import InputError
from fashionbench.records.record import InferenceRecord

__all__ = ["Money", "predictions_cost"]

MILLION: Final = 1_000_000


class Money(BaseModel):
    """Prices of a device's hour by its word, and what a percentage point may cost."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    per_hour: dict[str, float] = Field(default_factory=dict)
    """By device word; ``cuda`` holds for ``cuda:1`` as well."""
    per_pp: float | None = None
    """What a percentage point of accuracy may cost a training; None: not stated in money."""

    @model_validator(mode="after")
    def _check_both(self) -> Self:
        if self.per_pp is not None and not self.per_hour:
            raise InputError(
                f"price-money {self.per_pp:g} without a price per hour",
                expected="both",
                remedy="add --price-per-hour, such as cpu=0.05,cuda=1.20",
            )
        return self

    def rate(self, device: str) -> float | None:
        """Return the price of an hour on a device, None where it is not stated."""
        return self.per_hour.get(device, self.per_hour.get(device.partition(":")[0]))

    def minutes_per_pp(self, device: str) -> float | None:
        """Return how many training minutes a percentage point may cost on a device, None where nothing is stated.

        Raises:
            InputError: A percentage point has its price, and the device's hour has none.

        """
        if self.per_pp is None:
            return None
        rate = self.rate(device)
        if rate is None:
            raise InputError(
                f"price-money {self.per_pp:g} and no price of an hour on {device}",
                expected="one for each device",
                remedy=f"add {device}=... to --price-per-hour",
            )
        return 60 * self.per_pp / rate if rate else math.inf


def predictions_cost(record: InferenceRecord, rate: float) -> float | None:
    """Return what a million predictions cost at a price of an hour; None where they were not timed."""
    if record.result is None:
        return None
    return float(np.median(record.result.seconds)) / record.batch_size * MILLION / 3600 * rate
