"""The rule: WORTH IT, NOT WORTH IT, TIE or CANNOT TELL, from the evidence on one device and the user's thresholds."""

import math
from dataclasses import dataclass, replace
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict

from fashionbench.judging.prices import Money
from fashionbench.judging.statistics.intervals import CONFIDENCE, Estimate, Interval, seed_allowance
from fashionbench.options.option import Given, Score
from fashionbench.options.run import MARGIN, PRICE, PRICE_MONEY, PRICE_PER_HOUR, SCORE, TARGET

__all__ = [
    "DEFAULT_MARGIN_PP",
    "DEFAULT_THRESHOLDS",
    "NO_MONEY",
    "RULE_VERSION",
    "TIE_SLOWDOWN",
    "Evidence",
    "OpenPart",
    "State",
    "Thresholds",
    "deciding_half_width",
    "dominates",
    "find_open_parts",
    "judge",
    "weigh",
    "weigh_at_budget",
]

RULE_VERSION: Final = 3
"""Changes with the rule, so that verdicts of different rules are never compared unnoticed."""

DEFAULT_MARGIN_PP: Final = MARGIN.read({})

NO_MONEY: Final = Money()

TIE_SLOWDOWN: Final = 1.25
"""A slowdown between the inverse of this and this counts as none."""

State = Literal["WORTH IT", "NOT WORTH IT", "TIE", "CANNOT TELL"]

OpenPart = Literal["gain", "time", "price"]

BISECTIONS: Final = 40


class Thresholds(BaseModel):
    """What the user decides and what the rule fixes."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    score: Score = "accuracy"
    """What the gain is a difference of."""
    margin: float
    """The smallest gain that matters, a fraction."""
    price_minutes_per_pp: float | None
    """The acceptable price of a percentage point, in minutes of training; None: no limit."""
    target: float | None = None
    """The validation accuracy for the time to target; None: the lower of the two final ones."""
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
            score=SCORE.read(given),
            margin=MARGIN.read(given) / 100,
            price_minutes_per_pp=PRICE.read(given),
            target=TARGET.read(given),
            money=Money(per_hour=PRICE_PER_HOUR.read(given), per_pp=PRICE_MONEY.read(given)),
        )

    @property
    def score_name(self) -> str:
        """Return what readers call the score."""
        return "balanced accuracy" if self.score == "balanced" else "accuracy"

    def on(self, device: str) -> Self:
        """Return the thresholds on a device, where a price in money is one in minutes.

        Raises:
            InputError: A percentage point has a price in money, but an hour on the device has none.

        """
        in_money = self.money.minutes_per_pp(device)
        return self if in_money is None else self.model_copy(update={"price_minutes_per_pp": in_money})


DEFAULT_THRESHOLDS: Final = Thresholds.read({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the rule judges on one device."""

    gain: Interval
    """Big minus small score, fractions."""
    slowdown: Interval | None
    """Big over small training time; None if the times are not reliable, or too few for an interval."""
    extra_minutes: Interval | None
    """Big minus small training time; None as for the slowdown."""
    allowance: float = 0.0
    """Subtracted from the gain's lower limit, for variation that the interval does not include."""
    at_budget: bool = False
    """Whether both models were given the same minutes, so that the gain alone decides."""

    @property
    def lowest_gain(self) -> float:
        """Return the gain's lower limit, less the allowance."""
        return self.gain.low - self.allowance


def weigh(gain: Interval, slowdown: Estimate, extra_minutes: Estimate, seeds: int, *, is_reliable: bool) -> Evidence:
    """Return what the rule may rely on: times only if they are reliable and have an interval.

    Args:
        gain: Big minus small accuracy, or balanced accuracy.
        slowdown: Big over small training time, with or without an interval.
        extra_minutes: Big minus small training time, the same.
        seeds: The number of seeds.
        is_reliable: Whether the machine was free for the trainings.

    """
    known, extra = (each if is_reliable and isinstance(each, Interval) else None for each in (slowdown, extra_minutes))
    return Evidence(gain=gain, slowdown=known, extra_minutes=extra, allowance=seed_allowance(gain, seeds))


def weigh_at_budget(gain: Interval, seeds: int) -> Evidence:
    """Return what the rule may rely on where both models were given the same minutes: the gain alone."""
    allowance = seed_allowance(gain, seeds)
    return Evidence(gain=gain, slowdown=None, extra_minutes=None, allowance=allowance, at_budget=True)


def judge(evidence: Evidence, thresholds: Thresholds) -> State:
    """Apply the rule to one device."""
    gain, slowdown, margin, tie = evidence.gain, evidence.slowdown, thresholds.margin, thresholds.tie_slowdown
    if evidence.at_budget:
        return "WORTH IT" if evidence.lowest_gain >= margin else "NOT WORTH IT" if gain.high < margin else "CANNOT TELL"
    affordable, too_expensive = _compare_with_price(evidence, thresholds.price_minutes_per_pp)
    if (evidence.lowest_gain >= margin and affordable) or dominates(evidence):
        return "WORTH IT"
    if slowdown is None:
        return "CANNOT TELL"
    if slowdown.low > 1 and (gain.high < margin or too_expensive):
        return "NOT WORTH IT"
    if -margin <= gain.low and gain.high <= margin and 1 / tie <= slowdown.low and slowdown.high <= tie:
        return "TIE"
    return "CANNOT TELL"


def dominates(evidence: Evidence) -> bool:
    """Say whether the big model is no slower and no less accurate at 95 % confidence, and better in one of the two."""
    slowdown = evidence.slowdown
    if slowdown is None or slowdown.high > 1 or evidence.lowest_gain < 0:
        return False
    return slowdown.high < 1 or evidence.lowest_gain > 0


def _compare_with_price(evidence: Evidence, price: float | None) -> tuple[bool, bool]:
    """Say whether the gain is worth its extra time at a price in minutes per percentage point, and whether it is not.

    The net worth is price x gain - extra minutes (net benefit: Stinnett and Mullahy, 1998). Its interval combines those
    of the two by the method of variance estimates recovery (Zou and Donner, 2008).
    """
    if price is None or math.isinf(price):
        return True, False
    extra = evidence.extra_minutes
    if extra is None:
        return False, False
    low, estimate, high = (
        100 * price * each for each in (evidence.lowest_gain, evidence.gain.estimate, evidence.gain.high)
    )
    net = estimate - extra.estimate
    lowest = net - math.hypot(estimate - low, extra.high - extra.estimate)
    highest = net + math.hypot(high - estimate, extra.estimate - extra.low)
    return lowest >= 0, highest < 0


def find_open_parts(
    evidence: Evidence, thresholds: Thresholds, *, slowdown: float, extra_minutes: float
) -> tuple[OpenPart, ...]:
    """Return what must be known better for a verdict; nothing if it is decided, or is a trade-off.

    Args:
        evidence: What the rule judges.
        thresholds: Margin and price.
        slowdown: The estimate, whether or not it has an interval.
        extra_minutes: The same.

    """
    if judge(evidence, thresholds) != "CANNOT TELL":
        return ()
    if evidence.lowest_gain >= thresholds.margin:  # so the gain at its price is not decided
        return ("time",) if evidence.extra_minutes is None else ("price",)
    known_gain = replace(evidence, gain=_point(evidence.gain.estimate), allowance=0.0)
    if judge(known_gain, thresholds) != "CANNOT TELL":
        return ("gain",)
    known_time = replace(evidence, slowdown=_point(slowdown), extra_minutes=_point(extra_minutes))
    if judge(known_time, thresholds) != "CANNOT TELL":
        return ("time",)
    # a model that is faster but less accurate is a trade-off, however well both are known
    both = judge(replace(known_time, gain=known_gain.gain, allowance=0.0), thresholds)
    return ("gain", "time") if both != "CANNOT TELL" else ()


def _point(value: float) -> Interval:
    return Interval(estimate=value, low=value, high=value, method="as if it were known exactly")


def deciding_half_width(evidence: Evidence, thresholds: Thresholds) -> float:
    """Return the largest half-width of the gain's interval, with the same estimate, that decides the verdict.

    Args:
        evidence: What the rule judges, where the gain is what is open.
        thresholds: Margin and price.

    """
    gain = evidence.gain
    narrow, wide = 0.0, gain.estimate - evidence.lowest_gain
    for _ in range(BISECTIONS):
        half = (narrow + wide) / 2
        limits = {"low": gain.estimate - half, "high": gain.estimate + half}
        tried = replace(evidence, gain=gain.model_copy(update=limits), allowance=0.0)
        narrow, wide = (half, wide) if judge(tried, thresholds) != "CANNOT TELL" else (narrow, half)
    return narrow
