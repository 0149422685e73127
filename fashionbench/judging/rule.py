"""The rule (WORTH IT, NOT WORTH IT, TIE or CANNOT TELL) and the values that a verdict consists of."""

from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict

from fashionbench.judging.differences import PairedOutcomes
from fashionbench.judging.intervals import CONFIDENCE, Interval
from fashionbench.judging.prices import Money
from fashionbench.options import MARGIN, PRICE, PRICE_MONEY, PRICE_PER_HOUR, Given

__all__ = [
    "DEFAULT_MARGIN_PP",
    "DEFAULT_THRESHOLDS",
    "NO_MONEY",
    "RULE_VERSION",
    "TIE_SLOWDOWN",
    "DeviceVerdict",
    "Recommendation",
    "State",
    "Thresholds",
    "Verdict",
    "dominates",
    "judge",
]

RULE_VERSION: Final = 2
"""Changes with the rule, so that verdicts of different rules are never compared unnoticed."""

DEFAULT_MARGIN_PP: Final = MARGIN.read({})

NO_MONEY: Final = Money()

TIE_SLOWDOWN: Final = 1.25
"""A slowdown between the inverse of this and this counts as none."""

State = Literal["WORTH IT", "NOT WORTH IT", "TIE", "CANNOT TELL"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Thresholds(_Frozen):
    """What the user decides and what the rule fixes."""

    margin: float
    """The smallest gain that matters, a fraction."""
    price_minutes_per_pp: float | None
    """The acceptable price of a percentage point, in minutes of training; None: no limit."""
    money: Money = Money()
    """Prices in money. Its limit for a percentage point replaces the one in minutes."""
    tie_slowdown: float = TIE_SLOWDOWN
    confidence: float = CONFIDENCE

    @classmethod
    def read(cls, given: Given) -> Self:
        """Read the thresholds from the options of a run, a report or a comparison.

        Raises:
            InputError: A value is not a valid number, or there is a price in money without prices per hour.

        """
        return cls(
            margin=MARGIN.read(given) / 100,
            price_minutes_per_pp=PRICE.read(given),
            money=Money(per_hour=PRICE_PER_HOUR.read(given), per_pp=PRICE_MONEY.read(given)),
        )


DEFAULT_THRESHOLDS: Final = Thresholds.read({})


class Recommendation(_Frozen):
    """Which model to choose; None: no clear winner."""

    model: str | None
    sentence: str


class DeviceVerdict(_Frozen):
    """The verdict on one device."""

    device: str
    """The label that distinguishes it from the other devices."""
    device_name: str
    seeds: tuple[int, ...]
    """Those with which both models finished."""
    test_images: int
    looks: tuple[int, ...] = ()
    """Numbers of seeds at which an interim analysis was planned; empty if the number of seeds was fixed."""
    confidence: float = CONFIDENCE
    """Confidence of gain and slowdown in this analysis alone; ``thresholds`` has that of all planned analyses."""
    small_minutes: float
    """Geometric mean over the seeds."""
    big_minutes: float
    small_accuracy: float
    """Mean over the seeds, a fraction."""
    big_accuracy: float
    gain: Interval
    """Big minus small accuracy, a fraction."""
    slowdown: Interval
    """Big over small training time."""
    detectable_gain: float
    """The true gain that such a run finds to be above zero in four of five cases, a fraction."""
    outcomes: PairedOutcomes
    mcnemar_p: tuple[float, ...]
    """McNemar's exact test for each seed."""
    price_minutes_per_pp: Interval | None
    """Extra minutes of training per percentage point gained; None unless the gain is significantly above zero."""
    state: State
    provisional: bool
    """One seed only."""
    seeds_needed: int | None
    """How many seeds would decide a CANNOT TELL; None if no number would, or if the verdict is decided."""
    sentence: str


class Verdict(_Frozen):
    """The answer over all devices; ``verdict.json`` contains it."""

    rule_version: int = RULE_VERSION
    small: str
    big: str
    is_result: bool
    """False for a recipe that only checks an installation."""
    thresholds: Thresholds
    devices: tuple[DeviceVerdict, ...]
    state: State
    provisional: bool
    agreement: str
    """Whether the verdict is the same on every device."""
    sentence: str
    where_cost_matters: Recommendation
    where_only_accuracy_counts: Recommendation
    would_change: tuple[str, ...]


def judge(
    gain: Interval, slowdown: Interval, extra_minutes: float, thresholds: Thresholds, allowance: float = 0.0
) -> State:
    """Apply the rule to one device.

    Args:
        gain: Big minus small accuracy, fractions.
        slowdown: Big over small training time.
        extra_minutes: Big minus small training time.
        thresholds: Margin and price.
        allowance: Subtracted from the gain's lower limit, for variation that the interval does not include.

    """
    lowest_gain = gain.low - allowance
    price = thresholds.price_minutes_per_pp
    affordable = price is None or extra_minutes <= price * 100 * lowest_gain
    too_expensive = price is not None and extra_minutes > max(0.0, price * 100 * gain.high)
    slower = slowdown.low > 1
    if (lowest_gain >= thresholds.margin and affordable) or dominates(gain, slowdown, allowance):
        return "WORTH IT"
    if slower and (gain.high < thresholds.margin or too_expensive):
        return "NOT WORTH IT"
    within_margin = -thresholds.margin <= gain.low and gain.high <= thresholds.margin
    if within_margin and 1 / thresholds.tie_slowdown <= slowdown.low and slowdown.high <= thresholds.tie_slowdown:
        return "TIE"
    return "CANNOT TELL"


def dominates(gain: Interval, slowdown: Interval, allowance: float = 0.0) -> bool:
    """Say whether the big model is no slower and no less accurate at 95 % confidence, and better in one of the two."""
    lowest_gain = gain.low - allowance
    return slowdown.high <= 1 and lowest_gain >= 0 and (slowdown.high < 1 or lowest_gain > 0)
