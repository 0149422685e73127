"""The sentences of a verdict: what was found, which model to choose, and what would change the verdict."""

from collections.abc import Sequence

from fashionbench import units
from fashionbench.catalogue import model_label
from fashionbench.judging.intervals import Interval
from fashionbench.judging.rule import TIE_SLOWDOWN, DeviceVerdict, Recommendation, State, Thresholds, dominates

__all__ = ["advise_on_accuracy", "advise_on_cost", "describe_agreement", "describe_changes", "describe_finding"]


def describe_finding(pair: tuple[str, str], gain: Interval, slowdown: Interval) -> str:
    """Return one sentence on training time and accuracy; ``pair`` is the small and the big model, here and below."""
    small, big = map(model_label, pair)
    size = f"{units.pp(gain.estimate)}, 95 % CI {units.bare(units.interval_pp(gain.low, gain.high))}"
    return f"{big} {_describe_time(small, slowdown)} and is {_describe_accuracy(gain)} ({size})."


def _describe_time(small: str, slowdown: Interval) -> str:
    estimate = units.ratio(slowdown.estimate)
    if slowdown.low > 1:
        return f"takes {estimate} as long to train as {small}"
    if slowdown.high < 1:
        return f"takes {units.ratio(slowdown.estimate, 2)} as long to train as {small}"
    if slowdown.high <= TIE_SLOWDOWN:
        return f"takes about as long to train as {small} ({estimate})"
    return f"does not take significantly longer to train than {small} ({estimate})"


def _describe_accuracy(gain: Interval) -> str:
    if gain.low > 0:
        return "significantly more accurate"
    if gain.high < 0:
        return "significantly less accurate"
    return "not significantly more accurate"


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
    margin = units.pp(thresholds.margin).removeprefix("+")
    if state == "WORTH IT" and all(device.gain.low >= thresholds.margin for device in devices):
        return Recommendation(model=big, sentence=f"Its gain is at least {margin} at 95 % confidence.")
    if state == "WORTH IT":
        return Recommendation(model=big, sentence=f"It is no slower and no less accurate than {model_label(small)}.")
    if all(device.slowdown.high < 1 for device in devices):
        if all(device.gain.high <= -thresholds.margin for device in devices):
            return Recommendation(model=small, sentence=f"Its gain is at least {margin} at 95 % confidence.")
        sentence = f"It trains in less time, and {model_label(small)} is not shown to gain {margin} or more."
        return Recommendation(model=big, sentence=sentence)
    has_price = thresholds.price_minutes_per_pp is not None or thresholds.money.per_pp is not None
    at_price = " at the stated price" if has_price else ""
    return Recommendation(model=small, sentence=f"{model_label(big)} is not shown to gain {margin} or more{at_price}.")


def advise_on_accuracy(pair: tuple[str, str], devices: Sequence[DeviceVerdict]) -> Recommendation:
    """Return which model to choose if only accuracy counts."""
    small, big = pair
    for model, other, is_better in (
        (big, small, all(device.gain.low > 0 for device in devices)),
        (small, big, all(device.gain.high < 0 for device in devices)),
    ):
        if is_better:
            sentence = f"It is significantly more accurate than {model_label(other)}."
            return Recommendation(model=model, sentence=sentence)
    if len(devices) > 1:
        return Recommendation(model=None, sentence="No difference is statistically significant on all devices.")
    return Recommendation(model=None, sentence="The difference is not statistically significant.")


def describe_changes(
    pair: tuple[str, str], thresholds: Thresholds, devices: Sequence[DeviceVerdict]
) -> tuple[str, ...]:
    """Say, for each device, which margin, price or number of seeds would change the verdict."""
    lines = []
    small, big = map(model_label, pair)
    for device in devices:
        at = f" (on {device.device})" if len(devices) > 1 else ""
        gain = device.gain
        lowest = units.pp(gain.low, 2).removeprefix("+")
        if device.state == "WORTH IT" and dominates(gain, device.slowdown):
            lines.append(f"No margin changes this: {big} is no slower and no less accurate than {small}{at}.")
        elif device.state == "WORTH IT":
            lines.append(f"A margin above {lowest} would leave the verdict open{at}.")
        elif gain.low > 0:
            lines.append(f"A margin of {lowest} or less would make {big} worth it{at}.")
        elif device.slowdown.high < 1:
            lines.append(f"{big} takes less time, so a gain with an interval above zero would make it worth it{at}.")
        else:
            lines.append(f"No margin makes {big} worth it: its gain is not significantly above zero{at}.")
        if device.price_minutes_per_pp is not None:
            price = units.price(device.price_minutes_per_pp.high)
            lines.append(
                f"At a price of {price} or more, even the lower limit of the gain pays for the extra time{at}."
            )
        if device.state == "CANNOT TELL" and gain.high < thresholds.margin and device.slowdown.high >= 1:
            ratio = units.interval_ratio(device.slowdown.low, device.slowdown.high, 2)
            lines.append(f"The training time is open: 95 % CI {ratio} of {small}'s{at}.")
        if device.state == "CANNOT TELL" and gain.low < thresholds.margin <= gain.high:
            margin = units.pp(thresholds.margin).removeprefix("+")
            lines.append(
                f"About {device.seeds_needed} seeds would decide, if the gain does not change{at}."
                if device.seeds_needed is not None
                else f"No number of seeds would decide with these test images: the gain is too close to the margin of "
                f"{margin}{at}."
            )
        if device.slowdown.low > 1 and device.state != "WORTH IT":
            saved = units.minutes(device.big_minutes - device.small_minutes)
            lines.append(f"{small} saves {saved} per training{at}.")
    return tuple(lines)
