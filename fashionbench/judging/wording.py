"""The sentences of a verdict: what was found, which model to choose, and what would change the verdict."""

from collections.abc import Iterator, Sequence

from fashionbench import units
from fashionbench.catalogue import model_label
from fashionbench.judging.findings import DeviceVerdict, Recommendation
from fashionbench.judging.rule import (
    DEFAULT_MARGIN_PP,
    TIE_SLOWDOWN,
    Evidence,
    State,
    Thresholds,
    dominates,
    judge,
)
from fashionbench.judging.statistics.intervals import Estimate, Interval
from fashionbench.judging.statistics.times import price_interval

__all__ = [
    "advise_on_accuracy",
    "advise_on_cost",
    "describe_agreement",
    "describe_changes",
    "describe_doubts",
    "describe_finding",
    "describe_others",
]


def describe_finding(
    pair: tuple[str, str],
    state: State,
    evidence: Evidence,
    thresholds: Thresholds,
    doubt: str,
) -> str:
    """Return one sentence with the reason for which the rule gives a state on a device.

    Args:
        pair: The small and the big model, here and below.
        state: The state.
        evidence: What the state was decided on.
        thresholds: Those that the state was decided by.
        doubt: Why the slowdown does not count, if it is not part of the evidence.

    """
    small, big = map(model_label, pair)
    gain, slowdown = evidence.gain, evidence.slowdown
    size = f"({units.bare(units.pp(gain.estimate))}, 95 % CI {units.bare(units.interval_pp(gain.low, gain.high))})"
    if slowdown is None:
        return (
            f"The {thresholds.score_name} gain of {big} {_describe_position(gain, thresholds)} {size}; the training "
            f"time does not count ({doubt})."
        )
    if state == "CANNOT TELL" and gain.high < thresholds.margin and slowdown.low <= 1 <= slowdown.high:
        limits = units.bare(units.interval_ratio(slowdown.low, slowdown.high))
        time = f"{units.ratio(slowdown.estimate)} as long, 95 % CI {limits}"
        return (
            f"The {thresholds.score_name} gain of {big} lies below the {_describe_margin(thresholds)} {size}; whether "
            f"it takes longer to train than {small} is open ({time})."
        )
    time = f"{big} {_describe_time(small, slowdown)}"
    if gain.low >= thresholds.margin:
        return f"{time}{_describe_large_gain(state, thresholds, size)}."
    if gain.high >= thresholds.margin and state != "TIE":
        return f"{time}{_describe_open_gain(state, thresholds, size)}."
    return f"{time}{_describe_small_gain(state, gain, thresholds, size)}."


def _describe_position(gain: Interval, thresholds: Thresholds) -> str:
    """Return where the interval of a gain lies."""
    margin = _describe_margin(thresholds)
    if gain.low >= thresholds.margin:
        return f"lies above the {margin}"
    return f"lies below the {margin}" if gain.high < thresholds.margin else f"may or may not reach the {margin}"


def describe_others(share: float | None) -> str:
    """Return how much of the CPUs other processes used during one training."""
    return f"other processes used {units.percent(share, 0)} of the CPUs"


def describe_doubts(slowdown: Interval | Estimate, others: float | None) -> str:
    """Return why the rule does not rely on a slowdown: all reasons, or nothing.

    Args:
        slowdown: Big over small training time, and its interval or why it has none.
        others: Which fraction of the CPUs other processes used during one training, where it was too much.

    """
    disturbed = () if others is None else (describe_others(others),)
    too_few = () if isinstance(slowdown, Interval) else (slowdown.method.partition("because ")[2],)
    return ", and ".join((*disturbed, *too_few))


def _describe_large_gain(state: State, thresholds: Thresholds, size: str) -> str:
    """Return what a gain above the margin decides, after what the training time does."""
    above = f", and its {thresholds.score_name} gain lies above the {_describe_margin(thresholds)} {size}"
    price = thresholds.price_minutes_per_pp
    if state == "WORTH IT":
        return above
    if price is None:
        return f"{above}, but one seed does not show the variation between seeds"
    return f"{above}, but {_describe_price(state, price)}"


def _describe_open_gain(state: State, thresholds: Thresholds, size: str) -> str:
    """Return what a gain decides whose interval contains the margin."""
    price = thresholds.price_minutes_per_pp
    if state == "WORTH IT":
        return f", and is no less accurate{_by(thresholds)} {_add_unit(size)}"
    if state == "NOT WORTH IT" and price is not None:
        return f", and {_describe_price(state, price)}, even at the upper limit of its gain {size}"
    return f"; whether its {thresholds.score_name} gain reaches the {_describe_margin(thresholds)} is open {size}"


def _describe_small_gain(state: State, gain: Interval, thresholds: Thresholds, size: str) -> str:
    """Return what a gain below the margin decides."""
    margin = _describe_margin(thresholds)
    if state == "TIE":
        return f", and its {thresholds.score_name} differs by no more than the {margin} {size}"
    if state == "WORTH IT":
        return f", and is no less accurate{_by(thresholds)} {_add_unit(size)}"
    if gain.high < 0:
        return f", and is significantly less accurate{_by(thresholds)} {_add_unit(size)}"
    if state == "CANNOT TELL":
        return f"; whether it is as accurate{_by(thresholds)} is open {_add_unit(size)}"
    small = "is significant but small: it " if gain.low > 0 else ""
    return f", and its {thresholds.score_name} gain {small}lies below the {margin} {size}"


def _by(thresholds: Thresholds) -> str:
    """Return an addition to "more accurate" that says by which score, if it is not accuracy."""
    return "" if thresholds.score == "accuracy" else f" by {thresholds.score_name}"


def _add_unit(size: str) -> str:
    return size.replace(",", " percentage points,", 1)


def _describe_margin(thresholds: Thresholds) -> str:
    margin = 100 * thresholds.margin
    default = "default " if units.fixed(margin, 3) == units.fixed(DEFAULT_MARGIN_PP, 3) else ""
    return f"{default}margin of {margin:g} percentage points"


def _describe_price(state: State, price: float) -> str:
    """Return what the stated price says about the extra training time."""
    limit = units.price(price)
    if state == "NOT WORTH IT":
        return f"the extra time costs more than the gain is worth at the stated {limit}"
    return f"whether the gain is worth the extra time at the stated {limit} is open"


def _describe_time(small: str, slowdown: Interval) -> str:
    estimate = units.ratio(slowdown.estimate)
    if slowdown.low > 1:
        return f"takes {units.bare(estimate)} times as long to train as {small}"
    if slowdown.high < 1:
        return f"takes {units.fixed(slowdown.estimate, 2)} times as long to train as {small}"
    if slowdown.high <= TIE_SLOWDOWN:
        return f"takes about as long to train as {small} ({estimate})"
    return f"does not take significantly longer to train than {small} ({estimate})"


def describe_agreement(devices: Sequence[DeviceVerdict]) -> str:
    """Return whether the verdict is the same on all devices."""
    names = [device.device for device in devices]
    if len(devices) == 1:
        return f"measured on {names[0]}"
    if len({device.state for device in devices}) == 1:
        return f"the same on {', '.join(names[:-1])} and {names[-1]}"
    return f"depends on the device: {', '.join(f'{device.state} on {device.device}' for device in devices)}"


def advise_on_cost(
    pair: tuple[str, str], thresholds: Thresholds, state: State, devices: Sequence[DeviceVerdict]
) -> Recommendation:
    """Return which model to choose if time or cost matters: the faster one, unless the other is worth its time."""
    small, big = pair
    if state == "WORTH IT" and all(device.gain.low >= thresholds.margin for device in devices):
        return Recommendation(model=big, sentence="Its gain is at least the margin at 95 % confidence.")
    if state == "WORTH IT":
        sentence = f"It is no slower and no less accurate than {model_label(small)}{_by(thresholds)}."
        return Recommendation(model=big, sentence=sentence)
    slowdowns = [device.evidence().slowdown for device in devices if device.budget_minutes is None]
    if None in slowdowns:
        return Recommendation(model=None, sentence="The training times are not reliable enough to choose by them.")
    if slowdowns and all(each is not None and each.high < 1 for each in slowdowns):
        if all(device.gain.high <= -thresholds.margin for device in devices):
            return Recommendation(model=small, sentence="Its gain is at least the margin at 95 % confidence.")
        is_less = all(-device.gain.low < thresholds.margin for device in devices)
        sentence = f"It trains in less time, and {model_label(small)} {_describe_lack(is_less=is_less)}."
        return Recommendation(model=big, sentence=sentence)
    is_less = all(device.gain.high < thresholds.margin for device in devices)
    has_price = any(device.price_limit is not None for device in devices)
    condition = "" if slowdowns else " in the same time"
    if slowdowns and has_price and not is_less:
        condition = " at the stated price"
    return Recommendation(model=small, sentence=f"{model_label(big)} {_describe_lack(condition, is_less=is_less)}.")


def _describe_lack(condition: str = "", *, is_less: bool) -> str:
    if is_less:
        return f"gains less than the margin{condition} at 95 % confidence"
    return f"is not shown to gain the margin or more{condition}"


def advise_on_accuracy(
    pair: tuple[str, str], thresholds: Thresholds, devices: Sequence[DeviceVerdict]
) -> Recommendation:
    """Return which model to choose if only accuracy counts."""
    small, big = pair
    for model, other, is_better in (
        (big, small, all(device.gain.low > 0 for device in devices)),
        (small, big, all(device.gain.high < 0 for device in devices)),
    ):
        if is_better:
            sentence = f"It is significantly more accurate than {model_label(other)}{_by(thresholds)}."
            return Recommendation(model=model, sentence=sentence)
    if len(devices) > 1:
        return Recommendation(model=None, sentence="No difference is statistically significant on all devices.")
    return Recommendation(model=None, sentence="The difference is not statistically significant.")


def describe_changes(
    pair: tuple[str, str], thresholds: Thresholds, devices: Sequence[DeviceVerdict]
) -> tuple[str, ...]:
    """Say, for each device, which margin, price or number of seeds would change the verdict."""
    small, big = map(model_label, pair)
    return tuple(
        f"{line} (on {device.device})." if len(devices) > 1 else f"{line}."
        for device in devices
        for line in (
            _describe_margins(small, big, thresholds, device),
            *_describe_sufficient_price(device),
            *_describe_open_parts(big, thresholds, device),
        )
    )


def _describe_sufficient_price(device: DeviceVerdict) -> Iterator[str]:
    evidence = device.evidence()
    if evidence.extra_minutes is not None and evidence.lowest_gain > 0 and device.price_minutes_per_pp is not None:
        lowered = evidence.gain.model_copy(update={"low": evidence.lowest_gain})
        price = units.price(price_interval(evidence.extra_minutes, lowered).high)
        yield f"At a price of {price} or more, the gain pays for the extra time at 95 % confidence"


def _describe_open_parts(big: str, thresholds: Thresholds, device: DeviceVerdict) -> Iterator[str]:
    """Yield how the parts that are open can be known better."""
    seeds = "close other programs, then train more seeds" if not device.times_are_reliable else "train more seeds"
    if device.open == ("gain", "time"):
        yield f"The gain and the training time are open: {seeds}"
    elif device.open == ("gain",):
        spread = " and seeds vary as they usually do" if device.provisional else ""
        limit = "the margin" if device.gain.high >= thresholds.margin else "zero or to the margin"
        yield (
            f"About {device.seeds_needed} seeds would decide, if the gain does not change{spread}"
            if device.seeds_needed is not None
            else f"No number of seeds would decide with these test images: the gain is too close to {limit}"
        )
    elif device.open == ("time",):
        measure = "train more seeds" if device.times_are_reliable else "close other programs, then measure again"
        yield f"The training time is open: {measure}"
    if device.state == "CANNOT TELL" and not device.open:
        loss = units.pp(device.gain.estimate)
        lost = f"lost {thresholds.score_name}"
        yield f"{big} takes less time at a gain of {loss}: the rule does not weigh {lost} against time"


def _describe_margins(small: str, big: str, thresholds: Thresholds, device: DeviceVerdict) -> str:
    """Return which other margins would change the verdict on a device."""
    evidence = device.evidence()
    lowest, highest = (units.pp(each, 2).removeprefix("+") for each in (evidence.lowest_gain, evidence.gain.high))
    if device.state == "WORTH IT" and dominates(evidence):
        return f"No margin changes this: {big} is no slower and no less accurate than {small}{_by(thresholds)}"
    if device.state == "WORTH IT":
        return f"A margin above {lowest} would change it to CANNOT TELL"
    if judge(evidence, Thresholds(margin=0.0, price_minutes_per_pp=device.price_limit)) == "WORTH IT":
        return f"A margin of {lowest} or less would make {big} worth it"
    if evidence.lowest_gain > 0:
        return f"No margin makes {big} worth it at this price"
    if evidence.slowdown is not None and evidence.slowdown.high < 1:
        return f"{big} takes less time, so a gain with an interval above zero would make it worth it"
    is_open_below = device.state == "NOT WORTH IT" and evidence.gain.high > 0
    upper = f"A margin of {highest} or less, the upper end of the interval, would change it to CANNOT TELL. "
    below = upper if is_open_below else ""
    return f"{below}No margin makes {big} worth it: its gain is not significantly above zero"
