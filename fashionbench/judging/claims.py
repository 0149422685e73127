"""The original study's claims checked against the measurement: reproduced, not reproduced, or cannot tell."""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from fashionbench import units
from fashionbench.catalogue import CATALOGUE, STUDY_MODELS, model_label
from fashionbench.judging.findings import Claim, DeviceVerdict, Outcome, Verdict
from fashionbench.judging.statistics.differences import ClassDifference, class_differences
from fashionbench.judging.statistics.intervals import Interval
from fashionbench.records.grouping import device_labels, finished_trainings, machine
from fashionbench.records.record import InferenceRecord, TrainingRecord

__all__ = ["Claim", "check_accuracies", "check_claims", "differences_on"]

STUDY_DATA: Final = "Fashion-MNIST"

DRESS: Final = "Dress"
"""The class that the study names."""

STUDY_CNN_MINUTES: Final = 3

STUDY_RESNET_MINUTES: Final = {"GPU": 25, "CPU": 82}
"""By kind of device. The study does not name that of the CNN's 3 minutes, so both ratios are compared with them."""

RATIO_TOLERANCE: Final = 1.5
"""A slowdown within this factor of the study's counts as the same, because the hardware differs."""

ACCEPTABLE_ACCURACY: Final = 0.90
"""The study calls the CNN's result acceptable without a figure. This one is ours; the report states it."""


def check_claims(records: Iterable[TrainingRecord | InferenceRecord], verdict: Verdict) -> tuple[Claim, ...]:
    """Check the study's claims, on the first judged device.

    There are none of other models or data, and a check of an installation cannot judge them.
    """
    records = tuple(records)
    finished = finished_trainings(records)
    is_study = (verdict.small, verdict.big) == STUDY_MODELS and verdict.is_result
    if not is_study or any(each.data.name != STUDY_DATA or DRESS not in each.data.classes for each in finished):
        return ()
    first = verdict.devices[0]
    on_first = f"; on {first.device}" if len(verdict.devices) > 1 else ""
    return (
        *(_check_slowdown(kind, minutes, verdict) for kind, minutes in STUDY_RESNET_MINUTES.items()),
        *_check_classes(differences_on(records, verdict, first), finished[0].data.classes, verdict, on_first),
        Claim(
            statement="A shallow network achieves an acceptable result",
            outcome="reproduced" if first.small_accuracy >= ACCEPTABLE_ACCURACY else "not reproduced",
            evidence=f"FashionCNN reaches {units.percent(first.small_accuracy)}{on_first}",
        ),
        _check_advice(verdict),
    )


def check_accuracies(records: Iterable[TrainingRecord | InferenceRecord]) -> tuple[str, ...]:
    """Return a warning for each accuracy of the study recipe that is outside the range of published results."""
    warnings = []
    for each in finished_trainings(records):
        expected = CATALOGUE[each.model].expected_accuracy if each.model in CATALOGUE else None
        accuracy = each.result.scores.accuracy if each.result else None
        is_study = each.data.name == STUDY_DATA and each.recipe.name == "study" and each.recipe.is_result
        if is_study and expected and accuracy is not None and not expected[0] <= accuracy <= expected[1]:
            warnings.append(
                f"{model_label(each.model)} on {each.device}, seed {each.seed}: the test accuracy of "
                f"{units.percent(accuracy, 2)} is outside the range of published results, "
                f"{units.bare(units.percent(expected[0]))} to {units.percent(expected[1])}. "
                "Check the data, the device and the versions."
            )
    return tuple(warnings)


def differences_on(
    records: Iterable[TrainingRecord | InferenceRecord], verdict: Verdict, device: DeviceVerdict
) -> tuple[ClassDifference, ...]:
    """Return the differences by class, big minus small, over the seeds of one judged device."""
    records = tuple(records)
    labels = device_labels(records)
    on_device = [each for each in finished_trainings(records) if labels[machine(each)] == device.device]
    results = {(each.model, each.seed): each.result for each in on_device if each.result is not None}
    big, small = (
        np.stack([results[model, seed].test_predictions.array() for seed in device.seeds]).astype(np.int64)
        for model in (verdict.big, verdict.small)
    )
    truth = results[verdict.big, device.seeds[0]].test_labels.array().astype(np.int64)
    return class_differences(truth, big, small, len(on_device[0].data.classes))


def _check_slowdown(kind: str, minutes: int, verdict: Verdict) -> Claim:
    """Compare the study's slowdown on a kind of device with that on the devices of this kind."""
    claimed = minutes / STUDY_CNN_MINUTES
    devices = [device for device in verdict.devices if (device.device_word == "cpu") == (kind == "CPU")]
    outcomes = {_compare_ratio(claimed, device.evidence().slowdown) for device in devices}
    order: tuple[Outcome, ...] = ("reproduced", "cannot tell", "not reproduced")
    measured = "; ".join(_describe_slowdown(device) for device in devices)
    return Claim(
        statement=f"ResNet18 takes {minutes} min to train on its {kind}, the CNN {STUDY_CNN_MINUTES} min: "
        f"{units.ratio(claimed)} as long",
        outcome=next((each for each in order if each in outcomes), "cannot tell"),
        evidence=measured or f"not measured on a {kind}",
    )


def _describe_slowdown(device: DeviceVerdict) -> str:
    slowdown = device.slowdown
    limits, digits = "no interval", 1
    if isinstance(slowdown, Interval):
        limits = f"95 % CI {units.bare(units.interval_ratio(slowdown.low, slowdown.high))}"
        digits = units.ratio_digits(slowdown.high)
    doubt = "" if device.times_are_reliable else ", not reliable"
    return f"{units.ratio(slowdown.estimate, digits)} on {device.device} ({limits}{doubt})"


def _compare_ratio(claimed: float, measured: Interval | None) -> Outcome:
    low, high = claimed / RATIO_TOLERANCE, claimed * RATIO_TOLERANCE
    if measured is None:
        return "cannot tell"
    if low <= measured.low and measured.high <= high:
        return "reproduced"
    return "not reproduced" if measured.high < low or measured.low > high else "cannot tell"


def _check_classes(
    differences: Sequence[ClassDifference], classes: Sequence[str], verdict: Verdict, on_first: str
) -> tuple[Claim, ...]:
    """Check the claims on scores by class."""
    by_metric: dict[str, dict[str, ClassDifference]] = {}
    for each in differences:
        by_metric.setdefault(each.metric, {})[classes[each.class_index]] = each
    precision = by_metric["precision"]
    claimed = (
        (
            "ResNet18",
            "has the higher precision in every class except Dress",
            {name: each for name, each in precision.items() if name != DRESS},
            0.0,
        ),
        (
            "FashionCNN",
            "has the higher precision in the class Dress",
            {name: _reverse(each) for name, each in precision.items() if name == DRESS},
            0.0,
        ),
        ("ResNet18", "has the higher recall in every class", by_metric["recall"], 0.0),
        ("ResNet18", "has by far the higher F1 score in every class", by_metric["f1"], verdict.thresholds.margin),
    )
    return tuple(
        Claim(statement=f"{better} {statement}", outcome=outcome, evidence=evidence + on_first)
        for better, statement, by_class, least in claimed
        for outcome, evidence in (_check_each_class(by_class, least, better),)
    )


def _reverse(difference: ClassDifference) -> ClassDifference:
    """Return a difference as small minus big."""
    return difference.model_copy(
        update={"estimate": -difference.estimate, "low": -difference.high, "high": -difference.low}
    )


def _check_each_class(differences: dict[str, ClassDifference], least: float, better: str) -> tuple[Outcome, str]:
    """Check that ``better`` leads by more than ``least`` in each class, and return the outcome with its evidence.

    The claim is reproduced if all intervals are above ``least``, and not reproduced if one is below.
    """
    significant = sum(each.low > least for each in differences.values())
    below = [name for name, each in differences.items() if each.high < least]
    outcome: Outcome = "reproduced" if significant == len(differences) else "not reproduced" if below else "cannot tell"
    if len(differences) == 1:
        (only,) = differences.values()
        limits = units.bare(units.interval_pp(only.low, only.high))
        position = "higher" if only.estimate > 0 else "not higher"
        return outcome, f"{position} in this run; unadjusted 95 % CI of the lead of {better} {limits} pp"
    higher = sum(each.estimate > least for each in differences.values())
    by_margin = f" by more than {units.pp(least).removeprefix('+')}" if least else ""
    bound = units.pp(least).removeprefix("+") if least else "zero"
    others = "" if DRESS in differences else f" other than {DRESS}"
    evidence = (
        f"higher{by_margin} in {higher or 'none'} of {len(differences)} classes{others}; unadjusted 95 % CI above "
        f"{bound} in {significant or 'none'}"
    )
    if below:
        evidence += f", below it in {', '.join(below)}"
    return outcome, evidence


def _check_advice(verdict: Verdict) -> Claim:
    cost, accuracy = verdict.where_cost_matters.model, verdict.where_only_accuracy_counts.model
    outcome: Outcome
    if cost == verdict.small and accuracy == verdict.big:
        outcome = "reproduced"
    elif cost == verdict.big or accuracy == verdict.small:
        outcome = "not reproduced"
    else:
        outcome = "cannot tell"
    chosen = [model_label(model) if model else "no clear winner" for model in (cost, accuracy)]
    return Claim(
        statement="Choose the CNN if time and cost matter, ResNet18 otherwise",
        outcome=outcome,
        evidence=f"if time or cost matters: {chosen[0]}; if only accuracy counts: {chosen[1]}",
    )
