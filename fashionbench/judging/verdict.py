"""The verdict: from records to a decision on each device and over all devices."""

from collections.abc import Callable, Sequence

import numpy as np

from fashionbench.errors import InputError
from fashionbench.judging.differences import mcnemar_exact, paired_outcomes
from fashionbench.judging.intervals import (
    Correct,
    Interval,
    detectable_gain,
    gain_interval,
    look_confidence,
    seed_allowance,
    seeds_needed,
    slowdown_interval,
)
from fashionbench.judging.prices import Money
from fashionbench.judging.rule import DEFAULT_MARGIN_PP, NO_MONEY, DeviceVerdict, State, Thresholds, Verdict, judge
from fashionbench.judging.wording import advise_on_accuracy, advise_on_cost, describe_changes, describe_finding
from fashionbench.records.grouping import device_labels, in_order, machine
from fashionbench.records.record import InferenceRecord, TrainingRecord, TrainingResult

__all__ = ["DeviceVerdict", "Verdict", "decide", "decide_by"]


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
    return decide_by(
        records, Thresholds(margin=margin_pp / 100, price_minutes_per_pp=price_minutes_per_pp, money=money)
    )


def decide_by(records: Sequence[TrainingRecord | InferenceRecord], thresholds: Thresholds) -> Verdict | None:
    """Decide as ``decide`` does, by thresholds that were read from options."""
    records = in_order(records)
    finished = [each for each in records if isinstance(each, TrainingRecord) and each.result is not None]
    _require_alike(finished)
    infos = {each.model: each.model_info for each in finished if each.model_info is not None}
    networks = {model: info for model, info in infos.items() if info.layers != 0}
    sizes = {model: info.parameters for model, info in (networks if len(networks) > 1 else infos).items()}
    if len(sizes) < 2:  # noqa: PLR2004 - a comparison needs two
        return None
    small, big = (pick(sizes, key=lambda name: (sizes[name], name)) for pick in (min, max))
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
        sentence=describe_finding(big, small, gain, slowdown),
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
        where_cost_matters=advise_on_cost(small, big, thresholds, state),
        where_only_accuracy_counts=advise_on_accuracy(small, big, devices),
        would_change=describe_changes(small, big, thresholds, devices),
    )
