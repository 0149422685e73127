"""Both models at every budget: what each reaches, the state of the gain, and from when on the big one is worth it."""

import json
import math
from collections.abc import Mapping

import numpy as np
import pytest
from simulation import BUDGETS, CURVES, NOISY_SPREAD, SEED_SPREAD, cover_crossover, simulate_budgets
from synthetic import make_budgets, make_study, make_training
from verdicts import judged

from fashionbench.judging.comparison import compare
from fashionbench.judging.rule import DEFAULT_THRESHOLDS, Thresholds
from fashionbench.judging.statistics.crossover import find_crossover, last_rise
from fashionbench.judging.verdict import decide_by
from fashionbench.records.grouping import at_largest_budget

RISING = {1.0: -0.02, 2.0: -0.005, 4.0: 0.012, 8.0: 0.02}


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_each_budget_has_both_accuracies_the_gain_and_its_state() -> None:
    verdict = judged(make_budgets(RISING))

    (found,) = verdict.budgets
    assert found.device == "cpu"
    assert [each.minutes for each in found.rungs] == [1, 2, 4, 8]
    assert [each.state for each in found.rungs] == ["NOT WORTH IT", "NOT WORTH IT", "WORTH IT", "WORTH IT"]
    for rung, gain in zip(found.rungs, RISING.values(), strict=True):
        assert rung.seeds == (0, 1, 2)
        assert rung.small is not None
        assert rung.big is not None
        assert rung.gain is not None
        assert rung.small.epochs == int(60 * rung.minutes / 8)
        assert rung.small.minutes == pytest.approx(rung.small.epochs * 8 / 60)
        assert rung.gain.estimate == pytest.approx(gain, abs=0.002)
        assert rung.gain.estimate == pytest.approx(rung.big.accuracy.estimate - rung.small.accuracy.estimate)


def test_the_crossover_is_between_the_last_budget_below_the_margin_and_the_next() -> None:
    verdict = judged(make_budgets(RISING))

    crossover = verdict.budgets[0].crossover
    assert crossover is not None
    assert crossover.minutes is not None
    assert crossover.low is not None
    assert crossover.high is not None
    assert 2 < crossover.low < crossover.minutes < crossover.high < 4
    assert plain(verdict.sentence) == (
        f"With 1 min, take FashionCNN; from about {crossover.minutes:.1f} min on, ResNet18 is worth it "
        f"(95 % CI {crossover.low:.1f} min to {crossover.high:.1f} min)."
    )
    assert json.loads(verdict.model_dump_json())["budgets"][0]["crossover"]["minutes"] == crossover.minutes


@pytest.mark.parametrize(
    ("gains", "sentence"),
    [
        ({1.0: -0.02, 8.0: -0.01}, "ResNet18 is not worth it over FashionCNN with any budget up to 8 min."),
        (
            {1.0: -0.02, 8.0: 0.004},
            "Whether ResNet18 is worth it over FashionCNN with a budget of up to 8 min is open.",
        ),
        (
            {0.5: 0.02, 2.0: -0.02, 4.0: -0.02, 8.0: -0.01},
            "ResNet18 is worth it over FashionCNN with 0.5 min, not with 2 min, 4 min and 8 min.",
        ),
        ({0.5: 0.02, 8.0: 0.004}, "ResNet18 is worth it over FashionCNN with 0.5 min; with 8 min, this is open."),
        ({0.5: 0.0052, 8.0: -0.01}, "ResNet18 is not worth it over FashionCNN with 8 min; with 0.5 min, this is open."),
        ({0.5: 0.02, 2.0: -0.02, 8.0: 0.02}, "With 0.5 min and from about 4.7 min on, ResNet18 is worth it"),
        ({1.0: -0.02, 8.0: 0.0053}, " to more than 8 min, so this is open)."),
        (
            {0.5: 0.02, 8.0: 0.02},
            "ResNet18 is worth it over FashionCNN from 0.5 min on, the smallest budget with both models (95 % CI",
        ),
        ({0.1: None, 1.0: 0.0, 8.0: 0.02}, "With 0.1 min, take FashionCNN; from about "),
        ({1.0: 0.005, 2.0: 0.004, 8.0: 0.02}, "From about 2."),
    ],
)
def test_the_sentence_says_what_to_take(gains: Mapping[float, float | None], sentence: str) -> None:
    assert sentence in plain(judged(make_budgets(gains)).sentence)


def test_the_sentence_of_budgets_is_not_that_of_a_report_with_other_trainings() -> None:
    budgets = make_budgets({1.0: -0.02, 8.0: -0.01})

    verdict = judged([*budgets, *make_study(3, gain=0.02)])

    assert [plain(each.sentence) for each in verdict.budgets] == [
        "ResNet18 is not worth it over FashionCNN with any budget up to 8 min."
    ]
    assert "with any budget" not in verdict.sentence


def test_a_budget_without_an_epoch_is_told_with_its_reason() -> None:
    (found,) = judged(make_budgets({0.1: None, 1.0: 0.0, 8.0: 0.02})).budgets

    first = found.rungs[0]
    assert (first.big, first.gain, first.state, first.seeds) == (None, None, None, ())
    assert first.small is not None
    assert [plain(each) for each in first.missing] == [
        "ResNet18, 0.1 min: an epoch takes about 25 s, longer than the budget"
    ]


def test_a_single_budget_with_both_models_gives_no_crossover_and_the_sentence_of_the_gain() -> None:
    verdict = judged(make_budgets({0.1: None, 4.0: 0.02}))

    assert verdict.budgets[0].crossover is None
    assert verdict.budgets[0].sentence == ""
    assert plain(verdict.sentence).endswith("the training time does not count (both models have 4 min).")
    assert verdict.where_cost_matters.model == "resnet18"


def test_the_verdict_is_that_of_the_largest_budget_by_the_gain_alone() -> None:
    verdict = judged(make_budgets({1.0: 0.02, 4.0: -0.02}))

    assert (verdict.state, verdict.devices[0].open) == ("NOT WORTH IT", ())
    assert verdict.devices[0].budget_minutes == 4
    assert verdict.devices[0].price_minutes_per_pp is None
    assert [each.minutes for each in verdict.models] == pytest.approx([30 * 8 / 60, 9 * 25 / 60])
    advice = "ResNet18 gains less than the margin in the same time at 95 % confidence."
    assert verdict.where_cost_matters.sentence == advice
    assert judged(make_budgets({1.0: 0.02, 4.0: 0.005})).devices[0].open == ("gain",)


def test_epochs_may_differ_by_device_and_each_device_has_its_crossover() -> None:
    records = make_budgets(RISING, devices=("cpu", "cuda"))

    verdict = judged(records)

    assert [each.device for each in verdict.budgets] == ["cpu", "cuda"]
    assert verdict.sentence.startswith("On cpu: With 1\N{NO-BREAK SPACE}min, take FashionCNN")
    assert "On cuda: With" in verdict.sentence


def test_a_device_that_has_no_training_at_the_largest_budget_has_no_rungs() -> None:
    records = [*make_budgets(RISING), *make_budgets({1.0: 0.0}, devices=("cuda",))]

    assert [each.device for each in judged(records).budgets] == ["cpu"]


def test_trainings_without_a_budget_have_no_rungs() -> None:
    assert judged(make_study(2)).budgets == ()


def test_only_the_largest_budget_is_left_where_there_are_budgets() -> None:
    study, budgets = make_study(1), make_budgets({1.0: 0.0, 2.0: 0.0}, 1)
    failed = [each.model_copy(update={"result": None, "status": "failed"}) for each in budgets]

    assert at_largest_budget(study) == tuple(study)
    assert at_largest_budget([*study, *budgets]) == (*study, *budgets[2:])
    assert at_largest_budget(failed) == tuple(failed[2:])
    assert at_largest_budget([*budgets[:2], *failed[2:]]) == tuple(budgets[:2])


def test_two_runs_with_budgets_are_compared_at_the_largest() -> None:
    found = compare(make_budgets(RISING), make_budgets(RISING), DEFAULT_THRESHOLDS)

    assert [(each.model, each.accuracy and each.accuracy.estimate) for each in found.changes] == [
        ("fashioncnn", 0),
        ("resnet18", 0),
    ]


@pytest.mark.parametrize(
    ("gains", "minutes"),
    [
        ((-1, -1, -1, -1), math.inf),
        ((1, 1, 1, -1), math.inf),
        ((1, 1, 1, 1), 1),
        ((0, 0, 0, 0), 1),
        ((-1, 1, 1, 1), math.sqrt(2)),
        ((-1, 1, -1, 3), 4 * 2**0.25),
        ((-1, 0, 1, 1), 2),
    ],
)
def test_the_crossover_is_the_last_rise_to_zero_on_a_logarithmic_scale(
    gains: tuple[float, ...], minutes: float
) -> None:
    assert last_rise(np.array([gains, gains], dtype=float), BUDGETS).tolist() == pytest.approx([minutes] * 2)


def test_a_crossover_without_doubt_has_an_interval_that_is_a_point() -> None:
    right, wrong = np.ones((2, 100), dtype=bool), np.zeros((2, 100), dtype=bool)

    found = find_crossover([(right, wrong), (right, wrong)], (1.0, 2.0), 0.5)
    never = find_crossover([(wrong, right), (wrong, right)], (1.0, 2.0), 0.5)

    assert (found.low, found.minutes, found.high) == (1, 1, 1)
    assert (never.low, never.minutes, never.high) == (None, None, None)


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_same_predictions_give_the_same_interval_and_more_seeds_are_named(seeds: int) -> None:
    pairs = simulate_budgets(np.random.default_rng(0), (-0.02, 0.02), seeds)

    first, second = (find_crossover(pairs, (1.0, 8.0), 0.005) for _ in range(2))

    assert first == second
    assert ("an assumed variation over seeds" in first.method) == (seeds == 1)


def test_budgets_are_compared_by_the_score_of_the_verdict() -> None:
    records = make_budgets(RISING, is_unlike=True)

    plain, balanced = (judged(records, score=score).budgets[0] for score in ("accuracy", "balanced"))

    for rung, other in zip(balanced.rungs, plain.rungs, strict=True):
        assert rung.gain is not None
        assert rung.small is not None
        assert rung.big is not None
        assert rung.gain.estimate == pytest.approx(rung.big.accuracy.estimate - rung.small.accuracy.estimate)
        assert "stratified by class" in rung.gain.method
        assert rung.gain != other.gain
    assert balanced.crossover != plain.crossover


def test_a_crossover_in_balanced_accuracy_of_a_single_class_is_that_in_accuracy() -> None:
    pairs = simulate_budgets(np.random.default_rng(0), (-0.02, 0.02), 3)
    classes = np.zeros(pairs[0][0].shape[1], dtype=int)

    one = find_crossover(pairs, (1.0, 8.0), 0.005, classes)
    classes[:1] = 1  # a class with one image, whose images do not vary
    wide = find_crossover(pairs, (1.0, 8.0), 0.005, classes)

    of_accuracy = find_crossover(pairs, (1.0, 8.0), 0.005)
    assert (one.low, one.minutes, one.high) == pytest.approx((of_accuracy.low, of_accuracy.minutes, of_accuracy.high))
    assert (wide.low, wide.high) == (1, None)


@pytest.mark.parametrize(("curve", "spread"), [("steep", SEED_SPREAD), ("late", NOISY_SPREAD)])
def test_the_interval_of_the_crossover_covers_the_truth(curve: str, spread: float) -> None:
    found = cover_crossover(np.random.default_rng(19), CURVES[curve], 3, 80, spread)

    assert 0.90 <= found.covered < 1.0  # docs/statistics.md has 500 studies of each curve
    assert found.covered + found.early + found.late == pytest.approx(1)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (0.9, [("fashioncnn", 3, 5.0), ("resnet18", 3, 15.833)]),
        (0.95, [("fashioncnn", 0, None), ("resnet18", 0, None)]),
    ],
)
def test_the_time_to_a_target_ends_with_the_first_epoch_that_reaches_it(
    target: float, expected: list[tuple[str, int, float | None]]
) -> None:
    records = [
        make_training(model, seed=seed, accuracy=0.91, train_seconds=seconds)
        for seed in range(3)
        for model, seconds in (("fashioncnn", 600), ("resnet18", 1900))
    ]

    verdict = decide_by(records, Thresholds(margin=0.005, price_minutes_per_pp=None, target=target))

    assert verdict is not None
    assert [(each.model, each.reached, each.minutes and round(each.minutes, 3)) for each in verdict.targets] == expected
    assert {each.target for each in verdict.targets} == {target}


def test_the_target_is_the_lower_final_accuracy_and_most_seeds_reach_it() -> None:
    records = [
        make_training(model, seed=seed, accuracy=accuracy + 0.001 * seed)
        for seed in range(4)
        for model, accuracy in (("fashioncnn", 0.90), ("resnet18", 0.92))
    ]

    found = judged(records).targets

    assert found[0].target == found[1].target
    assert [each.reached for each in found] == [3, 4]
    assert found[0].minutes is not None
    assert found[1].minutes is not None
    assert found[1].minutes < found[0].minutes < 4


def test_a_target_that_only_one_of_two_seeds_reaches_is_never_reached() -> None:
    records = [
        make_training(model, seed=seed, accuracy=0.90 + 0.02 * seed)
        for seed in range(2)
        for model in ("fashioncnn", "resnet18")
    ]

    verdict = decide_by(records, Thresholds(margin=0.005, price_minutes_per_pp=None, target=0.91))

    assert verdict is not None
    assert [(each.reached, each.minutes) for each in verdict.targets] == [(1, None)] * 2
