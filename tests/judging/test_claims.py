"""The study's statements are held against the measurement, and called open where it cannot tell."""

import pytest
from synthetic import make_study, make_training

from fashionbench.judging.claims import Claim, check_bands, check_claims
from fashionbench.judging.verdict import decide
from fashionbench.recipe import RECIPES
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
    ("big_seconds", "gpu", "cpu"),
    [
        (25 * 60, "reproduced", "not reproduced"),
        (82 * 60, "not reproduced", "reproduced"),
        (15 * 60, "not reproduced", "not reproduced"),
    ],
)
def test_the_slowdown_is_compared_as_a_ratio(big_seconds: float, gpu: str, cpu: str) -> None:
    claims = claims_of(study_with(big_seconds))

    outcomes = [claim.outcome for statement, claim in claims.items() if "as long" in statement]
    assert outcomes == [gpu, cpu]


def test_a_slowdown_whose_interval_crosses_the_tolerance_is_left_open() -> None:
    records = study_with(25 * 60)
    records[1] = make_training("resnet18", seed=0, accuracy=0.93, train_seconds=10 * 60)

    outcome = claims_of(records)[
        "ResNet18 takes 25 min on its GPU against 3 for the CNN: 8.3\N{NO-BREAK SPACE}× as long"
    ]

    assert outcome.outcome == "cannot tell"


def test_a_class_in_which_the_big_model_is_surely_worse_refutes_the_claim() -> None:
    claim = claims_of(study_with(1_500, big=0.80, small=0.93))["ResNet18 has the higher recall in every class"]

    assert claim.outcome == "not reproduced"
    assert "surely not in" in claim.evidence


def test_a_big_sure_lead_in_every_class_reproduces_the_claim() -> None:
    claim = claims_of(study_with(1_500, big=0.99, small=0.80))["ResNet18 has by far the higher F1 in every class"]

    assert claim.outcome == "reproduced"
    assert "so in 10 of 10 classes by more than 0.5\N{NO-BREAK SPACE}pp" in claim.evidence


def test_a_lead_too_small_to_be_sure_is_left_open() -> None:
    claim = claims_of(study_with(1_500, big=0.911, small=0.91))["ResNet18 is more precise in every class but Dress"]

    assert claim.outcome == "cannot tell"


@pytest.mark.parametrize(("small", "outcome"), [(0.91, "reproduced"), (0.85, "not reproduced")])
def test_a_shallow_network_is_acceptable_from_ninety_percent(small: float, outcome: str) -> None:
    assert claims_of(study_with(1_500, small=small))["A shallow network gets an acceptable result"].outcome == outcome


@pytest.mark.parametrize(
    ("gain", "spread", "outcome"),
    [(0.003, 0.0001, "reproduced"), (0.02, 0.002, "not reproduced"), (0.0, 0.002, "cannot tell")],
)
def test_the_studys_advice_is_compared_with_ours(gain: float, spread: float, outcome: str) -> None:
    claims = claims_of(make_study(5, gain=gain, spread=spread))

    assert claims["Choose the CNN where time and cost matter, ResNet18 otherwise"].outcome == outcome


def test_other_models_than_the_studys_have_no_claims() -> None:
    records: list[TrainingRecord | InferenceRecord] = [
        make_training("resnet18"),
        make_training("fashioncnn").model_copy(update={"model": "mine"}),
    ]

    assert claims_of(records) == {}


def test_an_accuracy_outside_the_band_is_said_so() -> None:
    (warning,) = check_bands([make_training(accuracy=0.99), make_training("resnet18", accuracy=0.92)])

    assert warning.startswith(
        "FashionCNN on cpu, seed 0: 99.00\N{NO-BREAK SPACE}% on the test images is outside the 91.0"
    )


def test_only_the_study_recipe_has_bands() -> None:
    assert check_bands([make_training(accuracy=0.5, recipe=RECIPES["smoke"])]) == ()
