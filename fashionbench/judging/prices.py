"""Prices in money: of an hour on each device, of a percentage point of accuracy, and of predictions."""

import math
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fashionbench.errors import InputError
from fashionbench.records.record import InferenceRecord

__all__ = ["Money", "predictions_cost"]

MILLION: Final = 1_000_000


class Money(BaseModel):
    """Prices of an hour by device, and the acceptable price of a percentage point, in any currency."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    per_hour: dict[str, float] = Field(default_factory=dict)
    """By device word; ``cuda`` applies to ``cuda:1`` too."""
    per_pp: float | None = None
    """The acceptable price of a percentage point, per training; None: no limit in money."""

    @model_validator(mode="after")
    def _require_rates(self) -> Self:
        if self.per_pp is not None and not self.per_hour:
            raise InputError(
                f"--price-money {self.per_pp:g} without --price-per-hour",
                expected="both options",
                remedy="add --price-per-hour, such as cpu=0.05,cuda=1.20",
            )
        return self

    def rate(self, device: str) -> float | None:
        """Return the price of an hour on a device; None if there is none."""
        return self.per_hour.get(device, self.per_hour.get(device.partition(":")[0]))

    def minutes_per_pp(self, device: str) -> float | None:
        """Return the acceptable price of a percentage point on a device, in minutes of training; None if there is none.

        Raises:
            InputError: A percentage point has a price, but an hour on the device has none.

        """
        if self.per_pp is None:
            return None
        rate = self.rate(device)
        if rate is None:
            raise InputError(
                f"--price-money {self.per_pp:g} without the price of an hour on {device}",
                expected="a price for each device",
                remedy=f"add {device}=PRICE to --price-per-hour",
            )
        return 60 * self.per_pp / rate if rate else math.inf


def predictions_cost(record: InferenceRecord, rate: float) -> float | None:
    """Return what a million predictions cost at a price per hour; None if they were not timed."""
    if record.result is None:
        return None
    return record.result.median_seconds() / record.batch_size * MILLION / 3600 * rate
