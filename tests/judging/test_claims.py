"""The study's claims are compared with the measurement, and stay open if the measurement is not precise enough."""

import re

import pytest
from synthetic import make_study, make_training

from fashionbench.judging.claims import Claim, check_accuracies, check_claims
from fashionbench.judging.verdict import decide
from fashionbench.recipe.fields import RECIPES
from fashionbench.records.record import InferenceRecord, TrainingRecord


def claims_of(records: list[TrainingRecord | InferenceRecord]) -> dict[str, Claim]:
    verdict = decide(records)
    assert verdict is not None
    return {claim.statement: claim for claim in check_claims(records, verdict)}


def study_with(big_seconds: float, *, big: float = 0.93, small: float = 0.91) -> list[TrainingRecord | InferenceRecord]:
    return [
        make_training(model, seed=seed, accuracy=accuracy, train_seconds=seconds)
        for seed in range(3)
        for model, accuracy, seconds in (("fashioncnn", small, 180.0), ("resnet18", big, big_seconds))
    ]


@pytest.mark.parametrize(
    ("device", "big_seconds", "gpu", "cpu"),
    [
        ("cuda", 25 * 60, "reproduced", "cannot tell"),
        ("mps", 15 * 60, "not reproduced", "cannot tell"),
        ("cpu", 25 * 60, "cannot tell", "not reproduced"),
        ("cpu", 82 * 60, "cannot tell", "reproduced"),
        ("cpu", 15 * 60, "cannot tell", "not reproduced"),
    ],
)
def test_a_slowdown_is_compared_with_that_on_the_same_kind_of_device(
    device: str, big_seconds: float, gpu: str, cpu: str
) -> None:
    records = [
        each.model_copy(update={"device": device}) if isinstance(each, TrainingRecord) else each
        for each in study_with(big_seconds)
    ]

    claims = [claim for statement, claim in claims_of(records).items() if "as long" in statement]

    assert [claim.outcome for claim in claims] == [gpu, cpu]
    assert claims[device == "cpu"].evidence.startswith(f"{big_seconds / 180:.1f}\N{NO-BREAK SPACE}× on {device} (95 % ")
    assert claims[device != "cpu"].evidence == f"not measured on a {'GPU' if device == 'cpu' else 'CPU'}"


def test_a_slowdown_that_is_not_reliable_or_has_no_interval_stays_open() -> None:
    busy = [
        each.model_copy(update={"result": each.result.model_copy(update={"others_cpu_share": (0.5,) * 10})})
        for each in study_with(82 * 60)
        if isinstance(each, TrainingRecord) and each.result
    ]
    once = RECIPES["study"].model_copy(update={"epochs": 1})
    short = [make_training(m, recipe=once, train_seconds=t) for m, t in (("fashioncnn", 180.0), ("resnet18", 4920.0))]

    for records, doubt in ((busy, ", not reliable)"), (short, "27.3\N{NO-BREAK SPACE}× on cpu (no interval)")):
        claim = claims_of(list(records))[
            "ResNet18 takes 82 min to train on its CPU, the CNN 3 min: 27.3\N{NO-BREAK SPACE}× as long"
        ]
        assert claim.outcome == "cannot tell"
        assert doubt in claim.evidence


def test_the_claims_are_in_the_verdict() -> None:
    records = study_with(1_500)
    verdict = decide(records)

    assert verdict is not None
    assert verdict.claims == check_claims(records, verdict)
    assert len(verdict.claims) == 8


def test_records_without_the_studys_classes_have_no_claims() -> None:
    classes = tuple(f"class {number}" for number in range(10))

    assert claims_of([make_training(model, classes=classes) for model in ("fashioncnn", "resnet18")]) == {}


def test_a_slowdown_whose_interval_crosses_the_tolerance_stays_open() -> None:
    records = study_with(82 * 60)
    records[1] = make_training("resnet18", seed=0, accuracy=0.93, train_seconds=30 * 60)

    claim = claims_of(records)[
        "ResNet18 takes 82 min to train on its CPU, the CNN 3 min: 27.3\N{NO-BREAK SPACE}× as long"
    ]

    assert claim.outcome == "cannot tell"
    assert claim.evidence == "19.5\N{NO-BREAK SPACE}× on cpu (95 % CI 4.6 to 82.7)"


def test_a_class_with_a_significantly_lower_score_refutes_the_claim() -> None:
    claim = claims_of(study_with(1_500, big=0.80, small=0.93))["ResNet18 has the higher recall in every class"]

    assert claim.outcome == "not reproduced"
    assert ", below it in T-shirt/top, " in claim.evidence


def test_the_evidence_says_which_class_is_left_out_and_that_intervals_are_not_adjusted() -> None:
    claims = claims_of(study_with(1_500, big=0.911, small=0.91))

    precision = claims["ResNet18 has the higher precision in every class except Dress"].evidence
    recall = claims["ResNet18 has the higher recall in every class"].evidence
    assert " of 9 classes other than Dress; unadjusted 95 % CI above zero in " in precision
    assert " of 10 classes; unadjusted 95 % CI above zero in " in recall


def test_a_large_significant_difference_in_every_class_reproduces_the_claim() -> None:
    claim = claims_of(study_with(1_500, big=0.99, small=0.80))["ResNet18 has by far the higher F1 score in every class"]

    assert claim.outcome == "reproduced"
    least = "0.5\N{NO-BREAK SPACE}pp"
    assert f"higher by more than {least} in 10 of 10 classes; unadjusted 95 % CI above {least} in 10" in claim.evidence


def test_a_difference_that_is_not_significant_stays_open() -> None:
    claims = claims_of(study_with(1_500, big=0.911, small=0.91))
    claim = claims["ResNet18 has the higher precision in every class except Dress"]

    assert claim.outcome == "cannot tell"
    dress = claims["FashionCNN has the higher precision in the class Dress"]
    assert dress.outcome == "cannot tell"
    assert re.match(
        r"(not )?higher in this run; unadjusted 95 % CI of the lead of FashionCNN −[\d.]+ to \+[\d.]+ pp$",
        dress.evidence,
    )


@pytest.mark.parametrize(("small", "outcome"), [(0.91, "reproduced"), (0.85, "not reproduced")])
def test_a_shallow_network_is_acceptable_from_ninety_percent(small: float, outcome: str) -> None:
    assert (
        claims_of(study_with(1_500, small=small))["A shallow network achieves an acceptable result"].outcome == outcome
    )


@pytest.mark.parametrize(
    ("gain", "spread", "outcome"),
    [(0.003, 0.0001, "reproduced"), (0.02, 0.002, "not reproduced"), (0.0, 0.002, "cannot tell")],
)
def test_the_studys_advice_is_compared_with_ours(gain: float, spread: float, outcome: str) -> None:
    claims = claims_of(make_study(5, gain=gain, spread=spread))

    assert claims["Choose the CNN if time and cost matter, ResNet18 otherwise"].outcome == outcome


def test_other_models_than_the_studys_have_no_claims() -> None:
    records: list[TrainingRecord | InferenceRecord] = [
        make_training("resnet18"),
        make_training("fashioncnn").model_copy(update={"model": "mine"}),
    ]

    assert claims_of(records) == {}


def test_an_accuracy_outside_the_published_range_is_a_warning() -> None:
    (warning,) = check_accuracies([make_training(accuracy=0.99), make_training("resnet18", accuracy=0.92)])

    assert warning.replace("\N{NO-BREAK SPACE}", " ") == (
        "FashionCNN on cpu, seed 0: the test accuracy of 99.00 % is outside the range of published results, "
        "91.0 to 93.5 %. Check the data, the device and the versions."
    )


def test_only_the_study_recipe_and_known_models_have_a_published_range() -> None:
    mine = make_training(accuracy=0.5).model_copy(update={"model": "mine"})

    assert check_accuracies([make_training(accuracy=0.5, recipe=RECIPES["smoke"]), mine]) == ()


def test_a_check_of_an_installation_judges_no_claim() -> None:
    assert claims_of([make_training(model, recipe=RECIPES["smoke"]) for model in ("fashioncnn", "resnet18")]) == {}
