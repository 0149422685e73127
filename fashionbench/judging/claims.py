"""The original study's claims checked against the measurement: reproduced, not reproduced, or cannot tell."""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from fashionbench import units
from fashionbench.catalogue import CATALOGUE, STUDY_MODELS, model_label
from fashionbench.judging.differences import ClassDifference, class_differences
from fashionbench.judging.verdict import DeviceVerdict, Verdict
from fashionbench.records.grouping import device_labels, machine
from fashionbench.records.record import InferenceRecord, TrainingRecord

__all__ = ["Claim", "check_bands", "check_claims", "differences_on"]

Outcome = Literal["reproduced", "not reproduced", "cannot tell"]

STUDY_DATA: Final = "Fashion-MNIST"

STUDY_CNN_MINUTES: Final = 3

STUDY_RESNET_MINUTES: Final = {"its GPU": 25, "its CPU": 82}
"""The study names no device for the CNN's 3 minutes, so that both ratios are held against every device."""

RATIO_TOLERANCE: Final = 1.5
"""A slowdown within this factor of the study's counts as the same, hardware being another."""

ACCEPTABLE: Final = 0.90
"""The study calls the CNN's result acceptable and names no figure; this is ours, printed with the claim."""


class Claim(BaseModel):
    """One statement of the study and what became of it."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    statement: str
    outcome: Outcome
    evidence: str


def check_claims(records: Sequence[TrainingRecord | InferenceRecord], verdict: Verdict) -> tuple[Claim, ...]:
    """Return the study's claims, on the first device that was judged; none for other models or data."""
    if (verdict.small, verdict.big) != STUDY_MODELS or any(name != STUDY_DATA for name in _data_names(records)):
        return ()
    first = verdict.devices[0]
    classes = next(each.data.classes for each in records if isinstance(each, TrainingRecord) and each.result)
    differences = differences_on(records, verdict, first)
    at = f" (on {first.device}, n = {len(first.seeds)})"
    return (
        *(_slowdown_claim(where, minutes, verdict) for where, minutes in STUDY_RESNET_MINUTES.items()),
        _class_claim(
            "ResNet18 is more precise in every class but Dress",
            [each for each in differences if each.metric == "precision" and classes[each.place] != "Dress"],
            classes,
            at,
        ),
        _class_claim(
            "FashionCNN is more precise in the class Dress",
            [
                each.model_copy(update={"estimate": -each.estimate, "low": -each.high, "high": -each.low})
                for each in differences
                if each.metric == "precision" and classes[each.place] == "Dress"
            ],
            classes,
            at,
        ),
        _class_claim(
            "ResNet18 has the higher recall in every class",
            [each for each in differences if each.metric == "recall"],
            classes,
            at,
        ),
        _class_claim(
            "ResNet18 has by far the higher F1 in every class",
            [each for each in differences if each.metric == "f1"],
            classes,
            at,
            least=verdict.thresholds.margin,
        ),
        Claim(
            statement="A shallow network gets an acceptable result",
            outcome="reproduced" if first.small_accuracy >= ACCEPTABLE else "not reproduced",
            evidence=f"FashionCNN reaches {units.percent(first.small_accuracy)}; "
            f"at least {units.percent(ACCEPTABLE, 0)} counts as acceptable here{at}",
        ),
        _advice_claim(verdict),
    )


def check_bands(records: Sequence[TrainingRecord | InferenceRecord]) -> tuple[str, ...]:
    """Return a sentence for each accuracy of the study recipe that lies outside what is to be expected."""
    bands = {name: model.expected_accuracy for name, model in CATALOGUE.items() if model.expected_accuracy}
    return tuple(
        f"{model_label(each.model)} on {each.device}, seed {each.seed}: "
        f"{units.percent(each.result.scores.accuracy, 2)} on the test images is outside the "
        f"{units.percent(bands[each.model][0])} to {units.percent(bands[each.model][1])} that published results "
        "lead to expect; check data, device and versions."
        for each in records
        if isinstance(each, TrainingRecord)
        and each.result is not None
        and each.data.name == STUDY_DATA
        and each.recipe.name == "study"
        and each.recipe.is_result
        and each.model in bands
        and not bands[each.model][0] <= each.result.scores.accuracy <= bands[each.model][1]
    )


def _data_names(records: Sequence[TrainingRecord | InferenceRecord]) -> set[str]:
    return {each.data.name for each in records if isinstance(each, TrainingRecord)}


def differences_on(
    records: Sequence[TrainingRecord | InferenceRecord], verdict: Verdict, device: DeviceVerdict
) -> tuple[ClassDifference, ...]:
    """Return the per-class differences, big minus small, over the seeds of one judged device."""
    labels = device_labels(records)
    chosen = {
        (each.model, each.seed): each
        for each in records
        if isinstance(each, TrainingRecord) and each.result is not None and labels[machine(each)] == device.device
    }
    results = {key: each.result for key, each in chosen.items() if each.result is not None}
    big, small = (
        np.stack([results[model, seed].test_predictions.array() for seed in device.seeds]).astype(np.int64)
        for model in (verdict.big, verdict.small)
    )
    first = verdict.big, device.seeds[0]
    truth = results[first].test_labels.array().astype(np.int64)
    return class_differences(truth, big, small, len(chosen[first].data.classes))


def _slowdown_claim(where: str, minutes: int, verdict: Verdict) -> Claim:
    claimed = minutes / STUDY_CNN_MINUTES
    low, high = claimed / RATIO_TOLERANCE, claimed * RATIO_TOLERANCE
    outcomes: list[Outcome] = []
    for device in verdict.devices:
        interval = device.slowdown
        if low <= interval.low and interval.high <= high:
            outcomes.append("reproduced")
        elif interval.high < low or interval.low > high:
            outcomes.append("not reproduced")
        else:
            outcomes.append("cannot tell")
    outcome = next(each for each in ("reproduced", "cannot tell", "not reproduced") if each in outcomes)
    measured = "; ".join(
        f"{units.ratio(device.slowdown.estimate)} on {device.device}, "
        f"95 % {units.interval_ratio(device.slowdown.low, device.slowdown.high)}"
        for device in verdict.devices
    )
    return Claim(
        statement=f"ResNet18 takes {minutes} min on {where} against {STUDY_CNN_MINUTES} for the CNN: "
        f"{units.ratio(claimed)} as long",
        outcome=outcome,
        evidence=f"measured {measured}; within a factor of {RATIO_TOLERANCE} counts as the same",
    )


def _class_claim(
    statement: str, differences: Sequence[ClassDifference], classes: Sequence[str], at: str, least: float = 0.0
) -> Claim:
    """Hold a difference claimed of each class: one that is surely not so refutes, all surely so reproduce."""
    reproduced = all(each.low > least for each in differences)
    refuting = [classes[each.place] for each in differences if each.high < least]
    holding = sum(each.estimate > least for each in differences)
    sure = sum(each.low > least for each in differences)
    needed = f" by more than {units.pp(least).removeprefix('+')}" if least else ""
    if len(differences) == 1:
        (only,) = differences
        evidence = f"by {units.pp(only.estimate)}, 95 % {units.interval_pp(only.low, only.high)}"
    else:
        evidence = f"so in {holding} of {len(differences)} classes{needed}, surely (95 %) in {sure}"
    if refuting and len(differences) > 1:
        evidence += f"; surely not in {', '.join(refuting)}"
    return Claim(
        statement=statement,
        outcome="reproduced" if reproduced else "not reproduced" if refuting else "cannot tell",
        evidence=evidence + at,
    )


def _advice_claim(verdict: Verdict) -> Claim:
    cost, accuracy = verdict.where_cost_matters.model, verdict.where_only_accuracy_counts.model
    outcome: Outcome
    if cost == verdict.small and accuracy == verdict.big:
        outcome = "reproduced"
    elif cost == verdict.big or accuracy == verdict.small:
        outcome = "not reproduced"
    else:
        outcome = "cannot tell"
    return Claim(
        statement="Choose the CNN where time and cost matter, ResNet18 otherwise",
        outcome=outcome,
        evidence=f"where cost matters: {model_label(cost or 'either')}; "
        f"where only accuracy counts: {model_label(accuracy or 'either')}",
    )
