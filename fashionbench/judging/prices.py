"""The price of an hour on a device, in any currency, and what trainings and predictions cost at it."""

import math
from typing import Final, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from fashionbench.errors import InputError
from fashionbench.records.record import InferenceRecord

__all__ = ["Money", "predictions_cost"]

MOST_RATES: Final = 100

MILLION: Final = 1_000_000


class Money(BaseModel):
    """Prices of a device's hour by its word, and what a percentage point may cost."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    per_hour: dict[str, float] = Field(default_factory=dict)
    """By device word; ``cuda`` holds for ``cuda:1`` as well."""
    per_pp: float | None = None
    """What a percentage point of accuracy may cost a training; None: not stated in money."""

    @classmethod
    def parse(cls, per_hour: str, per_pp: str | float | None) -> Self:
        """Read ``cuda=1.20,cpu=0.05`` and an amount; both may be empty.

        Raises:
            InputError: No such prices, or an amount without any.

        """
        rates: dict[str, float] = {}
        for part in [each.strip() for each in per_hour.split(",")[:MOST_RATES]] if per_hour else []:
            word, _, amount = part.partition("=")
            rates[word.strip()] = _amount("price-per-hour", part, amount)
        limit = None if per_pp in {None, ""} else _amount("price-money", str(per_pp), str(per_pp))
        if limit is not None and not rates:
            raise InputError(
                f"price-money {per_pp} without a price per hour",
                expected="both",
                remedy="add --price-per-hour, as cpu=0.05,cuda=1.20",
            )
        return cls(per_hour=rates, per_pp=limit)

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


def _amount(option: str, part: str, text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not 0 <= amount < math.inf:
        raise InputError(
            f"{option} {part[:60]!r}",
            expected="a number, 0 or more"
            + (", behind a device's word, as cpu=0.05" if option != "price-money" else ""),
            remedy=f"mend the value of --{option}",
        )
    return amount


def predictions_cost(record: InferenceRecord, rate: float) -> float | None:
    """Return what a million predictions cost at a price of an hour; None where they were not timed."""
    if record.result is None:
        return None
    return float(np.median(record.result.seconds)) / record.batch_size * MILLION / 3600 * rate
