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
    "judge",
]

RULE_VERSION: Final = 1

DEFAULT_MARGIN_PP: Final = MARGIN.read({})

NO_MONEY: Final = Money()

TIE_SLOWDOWN: Final = 1.25
"""A slowdown between its inverse and this is as good as none."""

State = Literal["WORTH IT", "NOT WORTH IT", "TIE", "CANNOT TELL"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Thresholds(_Frozen):
    """What the user decides, and what the rule fixes."""

    margin: float
    """The smallest gain that matters, a fraction."""
    price_minutes_per_pp: float | None
    """What a percentage point may cost, in training minutes; None: not stated."""
    money: Money = Money()
    """Prices of hours, and of a percentage point in money, which goes before that in minutes."""
    tie_slowdown: float = TIE_SLOWDOWN
    confidence: float = CONFIDENCE

    @classmethod
    def read(cls, given: Given) -> Self:
        """Read them from the options of a run, a report or a comparison.

        Raises:
            InputError: A text that is no such number, or an amount of money without prices per hour.

        """
        return cls(
            margin=MARGIN.read(given) / 100,
            price_minutes_per_pp=PRICE.read(given),
            money=Money(per_hour=PRICE_PER_HOUR.read(given), per_pp=PRICE_MONEY.read(given)),
        )


DEFAULT_THRESHOLDS: Final = Thresholds.read({})


class Recommendation(_Frozen):
    """Which model to take; None: either."""

    model: str | None
    sentence: str


class DeviceVerdict(_Frozen):
    """The verdict on one device."""

    device: str
    """The label that tells it from the others."""
    device_name: str
    seeds: tuple[int, ...]
    """Those at which both models finished."""
    test_images: int
    looks: tuple[int, ...] = ()
    """Planned numbers of seeds at which the verdict was looked at; empty where the number was fixed beforehand."""
    confidence: float = CONFIDENCE
    """Of gain and slowdown at this look by itself; over all planned looks it is that of the thresholds."""
    small_minutes: float
    """Geometric mean over the seeds, as for the big model."""
    big_minutes: float
    small_accuracy: float
    """Mean over the seeds, a fraction."""
    big_accuracy: float
    gain: Interval
    """Big minus small accuracy, a fraction."""
    slowdown: Interval
    """Big over small training time."""
    detectable_gain: float
    """The true gain that such a run finds to be above zero four times in five, a fraction."""
    outcomes: PairedOutcomes
    mcnemar_p: tuple[float, ...]
    """McNemar's exact test for each seed."""
    price_minutes_per_pp: Interval | None
    """Extra training minutes per extra percentage point; None unless the gain's interval lies above 0."""
    state: State
    provisional: bool
    """One seed only."""
    seeds_needed: int | None
    """How many seeds would decide, where it cannot tell; None where none would, or none are needed."""
    sentence: str


class Verdict(_Frozen):
    """The whole answer; verdict.json is this."""

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
        allowance: What "worth it" takes off the gain's low end, for variation that the interval does not hold.

    """
    surely = gain.low - allowance
    price = thresholds.price_minutes_per_pp
    affordable = price is None or extra_minutes <= price * 100 * surely
    too_dear = price is not None and extra_minutes > max(0.0, price * 100 * gain.high)
    slower = slowdown.low > 1
    if surely >= thresholds.margin and affordable:
        return "WORTH IT"
    if slower and (gain.high < thresholds.margin or too_dear):
        return "NOT WORTH IT"
    within_margin = -thresholds.margin <= gain.low and gain.high <= thresholds.margin
    if within_margin and 1 / thresholds.tie_slowdown <= slowdown.low and slowdown.high <= thresholds.tie_slowdown:
        return "TIE"
    return "CANNOT TELL"
