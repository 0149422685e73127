"""The rule: from records to WORTH IT, NOT WORTH IT, TIE or CANNOT TELL, with all that went into it."""

from collections.abc import Callable, Sequence
from typing import Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from fashionbench.errors import InputError
from fashionbench.record import InferenceRecord, TrainingRecord, TrainingResult
from fashionbench.report import units
from fashionbench.report.money import Money
from fashionbench.report.statistics import (
    CONFIDENCE,
    Correct,
    Interval,
    PairedOutcomes,
    detectable_gain,
    gain_interval,
    look_confidence,
    mcnemar_exact,
    paired_outcomes,
    seed_allowance,
    seeds_needed,
    slowdown_interval,
)
from fashionbench.report.tables import device_labels, in_order, machine, model_name

__all__ = [
    "DEFAULT_MARGIN_PP",
    "NO_MONEY",
    "RULE_VERSION",
    "DeviceVerdict",
    "Recommendation",
    "State",
    "Thresholds",
    "Verdict",
    "decide",
    "judge",
]

RULE_VERSION: Final = 1
DEFAULT_MARGIN_PP: Final = 0.5
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


def decide(
    records: Sequence[TrainingRecord | InferenceRecord],
    *,
    margin_pp: float = DEFAULT_MARGIN_PP,
    price_minutes_per_pp: float | None = None,
    money: Money = NO_MONEY,
) -> Verdict | None:
    """Judge the model with most parameters against the one with fewest, per device and over devices.

    The classical baselines, which have no layers, are judged only where there are not two networks.

    Args:
        records: Of one recipe; what is unfinished, and inference, is passed over.
        margin_pp: The smallest gain that matters, in percentage points.
        price_minutes_per_pp: What a percentage point may cost, in training minutes.
        money: What an hour costs, and a percentage point may cost, in money.

    Returns:
        None where on no device two models finished at the same seed.

    Raises:
        InputError: Records of several recipes or data, or of unlike test images.

    """
    records = in_order(records)
    finished = [each for each in records if isinstance(each, TrainingRecord) and each.result is not None]
    _require_alike(finished)
    infos = {each.model: each.model_info for each in finished if each.model_info is not None}
    networks = {model: info for model, info in infos.items() if info.layers != 0}
    sizes = {model: info.parameters for model, info in (networks if len(networks) > 1 else infos).items()}
    if len(sizes) < 2:  # noqa: PLR2004 - a comparison needs two
        return None
    small, big = (pick(sizes, key=lambda name: (sizes[name], name)) for pick in (min, max))
    thresholds = Thresholds(margin=margin_pp / 100, price_minutes_per_pp=price_minutes_per_pp, money=money)
    labels = device_labels(records)
    devices = []
    for key, label in labels.items():
        on_device = [each for each in finished if machine(each) == key]
        device = _judge_device(label, on_device, small, big, thresholds)
        if device is not None:
            devices.append(device)
    if not devices:
        return None
    return _over_devices(
        small, big, thresholds, tuple(devices), is_result=all(each.recipe.is_result for each in finished)
    )


def _require_alike(finished: Sequence[TrainingRecord]) -> None:
    checks: tuple[tuple[str, Callable[[TrainingRecord], object]], ...] = (
        ("releases of the data", lambda each: (each.data.name, each.data.release)),
        ("sets of test images", lambda each: each.result.test_labels.data if each.result else None),
    )
    for name in {each.recipe.name for each in finished}:
        if len({each.recipe.model_dump_json() for each in finished if each.recipe.name == name}) > 1:
            raise InputError(
                f"records of several recipes of the name {name[:60]!r}",
                expected="one recipe of a name, since unlike runs are never averaged",
                remedy="make a report of each apart",
            )
    for what, part in checks:
        if len({part(each) for each in finished}) > 1:
            raise InputError(
                f"records of several {what}",
                expected="one, since unlike runs are never averaged",
                remedy="make a report of each apart",
            )


def _judge_device(
    label: str, records: Sequence[TrainingRecord], small: str, big: str, thresholds: Thresholds
) -> DeviceVerdict | None:
    results: dict[str, dict[int, TrainingResult]] = {small: {}, big: {}}
    for each in records:
        if each.result is not None and each.model in results:
            results[each.model][each.seed] = each.result
    seeds = tuple(sorted(results[small].keys() & results[big].keys()))
    if not seeds:
        return None
    pairs = [(results[big][seed], results[small][seed]) for seed in seeds]
    big_correct, small_correct = (np.stack([_correct(pair[side]) for pair in pairs]) for side in (0, 1))
    big_seconds, small_seconds = ([pair[side].train_seconds for pair in pairs] for side in (0, 1))
    looks = tuple(sorted({look for each in records for look in each.looks}))
    confidence = look_confidence(len(seeds), looks)
    gain = gain_interval(big_correct, small_correct, confidence)
    slowdown = slowdown_interval(
        big_seconds,
        small_seconds,
        [second for pair in pairs for second in pair[0].epoch_seconds],
        [second for pair in pairs for second in pair[1].epoch_seconds],
        confidence,
    )
    big_minutes, small_minutes = (float(np.exp(np.log(each).mean())) / 60 for each in (big_seconds, small_seconds))
    in_money = thresholds.money.minutes_per_pp(records[0].device)
    if in_money is not None:
        thresholds = thresholds.model_copy(update={"price_minutes_per_pp": in_money})
    state = judge(gain, slowdown, big_minutes - small_minutes, thresholds, seed_allowance(gain, len(seeds)))
    needed = None
    if state == "CANNOT TELL":
        needed = seeds_needed(big_correct, small_correct, abs(gain.estimate - thresholds.margin), confidence)
    return DeviceVerdict(
        device=label,
        device_name=records[0].device_name,
        seeds=seeds,
        test_images=big_correct.shape[1],
        looks=looks,
        confidence=confidence,
        small_minutes=small_minutes,
        big_minutes=big_minutes,
        small_accuracy=float(small_correct.mean()),
        big_accuracy=float(big_correct.mean()),
        gain=gain,
        slowdown=slowdown,
        detectable_gain=detectable_gain(big_correct, small_correct, confidence),
        outcomes=paired_outcomes(big_correct, small_correct),
        mcnemar_p=tuple(
            mcnemar_exact(int((one & ~other).sum()), int((~one & other).sum()))
            for one, other in zip(big_correct, small_correct, strict=True)
        ),
        price_minutes_per_pp=_price(gain, big_minutes - small_minutes),
        state=state,
        provisional=len(seeds) == 1,
        seeds_needed=needed,
        sentence=_describe(big, small, gain, slowdown),
    )


def _correct(result: TrainingResult) -> Correct:
    return np.asarray(result.test_predictions.array() == result.test_labels.array())


def _price(gain: Interval, extra_minutes: float) -> Interval | None:
    if gain.low <= 0 or extra_minutes <= 0:
        return None
    return Interval(
        estimate=extra_minutes / (100 * gain.estimate),
        low=extra_minutes / (100 * gain.high),
        high=extra_minutes / (100 * gain.low),
        method="extra minutes over the gain and the ends of its interval",
    )


def _describe(big_model: str, small_model: str, gain: Interval, slowdown: Interval) -> str:
    big, small = model_name(big_model), model_name(small_model)
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


def _over_devices(
    small: str, big: str, thresholds: Thresholds, devices: tuple[DeviceVerdict, ...], *, is_result: bool
) -> Verdict:
    states = {device.state for device in devices}
    first = devices[0]
    state: State = first.state if len(states) == 1 else "CANNOT TELL"
    by_device = ", ".join(f"{device.state} on {device.device}" for device in devices)
    if len(devices) == 1:
        agreement = f"measured on {first.device}"
    elif len(states) == 1:
        agreement = f"holds on {', '.join(device.device for device in devices[:-1])} and {devices[-1].device}"
    else:
        agreement = f"flips: {by_device}"
    sentence = first.sentence if len(states) == 1 else f"It depends on the device: {by_device}."
    return Verdict(
        small=small,
        big=big,
        is_result=is_result,
        thresholds=thresholds,
        devices=devices,
        state=state,
        provisional=any(device.provisional for device in devices),
        agreement=agreement,
        sentence=sentence,
        where_cost_matters=_where_cost_matters(small, big, thresholds, state),
        where_only_accuracy_counts=_where_accuracy_counts(small, big, devices),
        would_change=_would_change(small, big, thresholds, devices),
    )


def _where_cost_matters(small: str, big: str, thresholds: Thresholds, state: State) -> Recommendation:
    margin = units.pp(thresholds.margin).removeprefix("+")
    if state == "WORTH IT":
        return Recommendation(model=big, sentence=f"Its gain of {margin} or more is sure.")
    return Recommendation(model=small, sentence=f"The simple model, until a gain of {margin} or more is sure.")


def _where_accuracy_counts(small: str, big: str, devices: tuple[DeviceVerdict, ...]) -> Recommendation:
    if all(device.gain.low > 0 for device in devices):
        return Recommendation(model=big, sentence="It is surely more accurate, whatever it costs.")
    if all(device.gain.high < 0 for device in devices):
        return Recommendation(model=small, sentence=f"It is surely more accurate than {model_name(big)}.")
    return Recommendation(model=None, sentence="No difference in accuracy is sure; more seeds may show one.")


def _would_change(small: str, big: str, thresholds: Thresholds, devices: tuple[DeviceVerdict, ...]) -> tuple[str, ...]:
    """Say, per device, at which margin or price the verdict would be another, and how many seeds would tell."""
    lines = []
    small, big = model_name(small), model_name(big)
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
