"""The sentences of a verdict: what was found, which model to choose, and what would change the answer."""

from fashionbench import units
from fashionbench.catalogue import model_label
from fashionbench.judging.intervals import Interval
from fashionbench.judging.rule import TIE_SLOWDOWN, DeviceVerdict, Recommendation, State, Thresholds

__all__ = ["advise_on_accuracy", "advise_on_cost", "describe_changes", "describe_finding"]


def describe_finding(big_model: str, small_model: str, gain: Interval, slowdown: Interval) -> str:
    """Return one sentence on training time and gain."""
    big, small = model_label(big_model), model_label(small_model)
    time = (
        f"{big} trains {units.ratio(slowdown.estimate)} as long as {small}"
        if slowdown.low > 1
        else f"{big} trains about as long as {small} ({units.ratio(slowdown.estimate)})"
        if 1 <= slowdown.high <= TIE_SLOWDOWN
        else f"{big} does not surely train longer than {small} ({units.ratio(slowdown.estimate)})"
        if slowdown.high >= 1
        else f"{big} trains in {units.ratio(slowdown.estimate, 2)} the time of {small}"
    )
    size = f"{units.pp(gain.estimate)}, 95 % {units.interval_pp(gain.low, gain.high)}"
    if gain.low > 0:
        return f"{time} for a sure gain in accuracy: {size}."
    if gain.high < 0:
        return f"{time} and is surely less accurate: {size}."
    return f"{time} for a gain in accuracy that cannot be told from zero: {size}."


def advise_on_cost(small: str, big: str, thresholds: Thresholds, state: State) -> Recommendation:
    """Return which model to choose if time or cost matters."""
    margin = units.pp(thresholds.margin).removeprefix("+")
    if state == "WORTH IT":
        return Recommendation(model=big, sentence=f"Its gain of {margin} or more is sure.")
    return Recommendation(model=small, sentence=f"The simple model, until a gain of {margin} or more is sure.")


def advise_on_accuracy(small: str, big: str, devices: tuple[DeviceVerdict, ...]) -> Recommendation:
    """Return which model to choose if only accuracy counts."""
    if all(device.gain.low > 0 for device in devices):
        return Recommendation(model=big, sentence="It is surely more accurate, whatever it costs.")
    if all(device.gain.high < 0 for device in devices):
        return Recommendation(model=small, sentence=f"It is surely more accurate than {model_label(big)}.")
    return Recommendation(model=None, sentence="No difference in accuracy is sure; more seeds may show one.")


def describe_changes(
    small: str, big: str, thresholds: Thresholds, devices: tuple[DeviceVerdict, ...]
) -> tuple[str, ...]:
    """Say, per device, at which margin or price the verdict would be another, and how many seeds would tell."""
    lines = []
    small, big = model_label(small), model_label(big)
    for device in devices:
        at = f" (on {device.device})" if len(devices) > 1 else ""
        gain = device.gain
        if device.state == "WORTH IT":
            lines.append(f"A margin above {units.pp(gain.low, 2).removeprefix('+')} would leave it open{at}.")
        elif gain.low > 0:
            lines.append(
                f"A margin of {units.pp(gain.low, 2).removeprefix('+')} or less would make {big} worth it{at}."
            )
        else:
            lines.append(f"No margin makes {big} surely worth it: its gain may be nothing{at}.")
        if device.price_minutes_per_pp is not None:
            lines.append(
                f"At {units.price(device.price_minutes_per_pp.high)} or more, the sure gain pays for the minutes{at}."
            )
        if device.state == "CANNOT TELL":
            lines.append(
                f"About {device.seeds_needed} seeds would decide, if the gain stays where it is{at}."
                if device.seeds_needed is not None
                else f"No number of seeds would decide with these test images: the gain is too near the margin of "
                f"{units.pp(thresholds.margin).removeprefix('+')}{at}."
            )
        if device.slowdown.low > 1 and device.state != "WORTH IT":
            lines.append(f"{small} saves {units.minutes(device.big_minutes - device.small_minutes)} a training{at}.")
    return tuple(lines)
