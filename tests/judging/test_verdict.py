"""The rule's four states at each of its boundaries, and the sentences of a verdict."""

import json
import math

import pytest
from synthetic import make_inference, make_study, make_training
from verdicts import judged

from fashionbench.errors import InputError
from fashionbench.judging.rule import Evidence, Thresholds, judge, weigh
from fashionbench.judging.statistics.intervals import Interval
from fashionbench.judging.verdict import decide
from fashionbench.recipe.fields import RECIPES
from fashionbench.records.record import InferenceRecord, TrainingRecord


def interval(low: float, high: float) -> Interval:
    return Interval(estimate=(low + high) / 2, low=low, high=high, method="given")


@pytest.mark.parametrize(
    ("gain", "slowdown", "price", "state"),
    [
        ((0.005, 0.02), (3.9, 4.1), None, "WORTH IT"),  # the whole gain at or above the margin
        ((0.0049, 0.02), (3.9, 4.1), None, "CANNOT TELL"),
        ((0.006, 0.02), (0.5, 0.6), None, "WORTH IT"),  # faster as well
        ((0.0, 0.0049), (3.9, 4.1), None, "NOT WORTH IT"),  # the whole gain below the margin, and slower
        ((0.0, 0.005), (3.9, 4.1), None, "CANNOT TELL"),
        ((-0.03, -0.01), (3.9, 4.1), None, "NOT WORTH IT"),
        ((-0.03, -0.01), (0.9, 1.4), None, "CANNOT TELL"),  # not significantly slower
        ((0.0, 0.004), (0.2, 0.3), None, "WORTH IT"),  # no less accurate, and faster
        ((0.0, 0.004), (0.9, 1.0), None, "TIE"),  # no slower and no worse, but better in neither
        ((0.001, 0.004), (0.9, 1.0), None, "WORTH IT"),
        ((-0.001, 0.004), (0.2, 0.3), None, "CANNOT TELL"),
        ((-0.003, 0.003), (1.0, 1.2), None, "TIE"),
        ((-0.003, 0.003), (1.001, 1.2), None, "NOT WORTH IT"),  # within the margin, but significantly slower
        ((-0.005, 0.005), (0.8, 1.25), None, "TIE"),  # the boundaries are included
        ((-0.0051, 0.005), (0.8, 1.25), None, "CANNOT TELL"),
        ((-0.005, 0.005), (0.79, 1.25), None, "CANNOT TELL"),
        ((-0.005, 0.005), (0.8, 1.26), None, "CANNOT TELL"),
        ((0.01, 0.02), (3.9, 4.1), 15.01, "WORTH IT"),  # 15 extra minutes for at least 1 pp at 15 min per pp
        ((0.01, 0.02), (3.9, 4.1), 14.99, "CANNOT TELL"),
        ((0.01, 0.02), (3.9, 4.1), 7.51, "CANNOT TELL"),
        ((0.01, 0.02), (3.9, 4.1), 7.49, "NOT WORTH IT"),  # even the highest gain does not pay
        ((0.01, 0.02), (3.9, 4.1), math.inf, "WORTH IT"),  # an hour costs nothing
    ],
)
def test_each_boundary_of_the_rule_falls_on_its_side(
    gain: tuple[float, float], slowdown: tuple[float, float], price: float | None, state: str
) -> None:
    thresholds = Thresholds(margin=0.005, price_minutes_per_pp=price)

    evidence = Evidence(gain=interval(*gain), slowdown=interval(*slowdown), extra_minutes=interval(15.0, 15.0))

    assert judge(evidence, thresholds) == state


def test_a_single_seed_needs_a_larger_gain_to_be_worth_it() -> None:
    gain, thresholds = interval(0.006, 0.014), Thresholds(margin=0.005, price_minutes_per_pp=None)
    slowdown, extra = interval(3.9, 4.1), interval(15.0, 15.0)
    several, one = (weigh(gain, slowdown, extra, seeds, is_reliable=True) for seeds in (3, 1))

    assert judge(several, thresholds) == "WORTH IT"
    assert judge(one, thresholds) == "CANNOT TELL"


def test_a_large_significant_gain_is_worth_it_and_both_recommendations_follow() -> None:
    verdict = judged(make_study(3, gain=0.015))

    assert verdict.state == "WORTH IT"
    assert (verdict.where_cost_matters.model, verdict.where_only_accuracy_counts.model) == ("resnet18", "resnet18")
    assert verdict.devices[0].price_minutes_per_pp is not None
    assert any("A margin above" in line for line in verdict.would_change)
    assert verdict.where_cost_matters.sentence == "Its gain is at least the margin at 95 % confidence."
    assert verdict.where_only_accuracy_counts.sentence == "It is significantly more accurate than FashionCNN."


def test_a_small_significant_gain_counts_only_if_cost_does_not() -> None:
    verdict = judged(make_study(10, gain=0.002, spread=0.0001))

    assert verdict.state == "NOT WORTH IT"
    assert verdict.where_cost_matters.model == "fashioncnn"
    assert verdict.where_only_accuracy_counts.model == "resnet18"
    assert any("or less would make ResNet18 worth it" in line for line in verdict.would_change)
    assert verdict.where_cost_matters.sentence == "ResNet18 gains less than the margin at 95 % confidence."


def test_a_price_that_is_too_high_is_the_reason_of_the_recommendation() -> None:
    verdict = judged(make_study(3, gain=0.015), price_minutes_per_pp=0.1)

    assert verdict.state == "NOT WORTH IT"
    assert verdict.where_cost_matters.sentence.endswith("the margin or more at the stated price.")


def test_a_difference_that_is_not_significant_has_no_winner() -> None:
    verdict = judged(make_study(3, gain=0.0))

    assert verdict.where_only_accuracy_counts.model is None
    assert verdict.where_only_accuracy_counts.sentence == "The difference is not statistically significant."


def test_a_big_model_that_is_worse_is_recommended_to_nobody() -> None:
    verdict = judged(make_study(3, gain=-0.02))

    assert verdict.state == "NOT WORTH IT"
    assert verdict.where_only_accuracy_counts.model == "fashioncnn"
    assert "significantly less accurate" in verdict.sentence
    assert verdict.devices[0].price_minutes_per_pp is None


def test_one_seed_gives_a_provisional_verdict_and_says_how_many_would_decide() -> None:
    verdict = judged(make_study(1, gain=0.0, spread=0.0), margin_pp=0.3)

    assert verdict.state == "CANNOT TELL"
    assert verdict.provisional
    assert verdict.devices[0].seeds_needed is not None
    needed = (
        f"About {verdict.devices[0].seeds_needed} seeds would decide, if the gain does not change and seeds vary as "
    )
    assert any(needed in line for line in verdict.would_change)


def test_a_gain_at_the_margin_is_never_decided_by_seeds() -> None:
    verdict = judged(make_study(2, gain=0.005, spread=0.0))

    assert verdict.state == "CANNOT TELL"
    assert verdict.devices[0].seeds_needed is None
    assert any("No number of seeds would decide" in line for line in verdict.would_change)


def test_devices_with_the_same_verdict_are_listed_and_never_averaged() -> None:
    verdict = judged(make_study(3, gain=0.015, devices=("cpu", "cuda")))

    assert verdict.agreement == "the same on cpu and cuda"
    assert [device.device for device in verdict.devices] == ["cpu", "cuda"]
    assert verdict.devices[0].big_minutes > 5 * verdict.devices[1].big_minutes


def test_devices_with_different_verdicts_leave_the_overall_verdict_open() -> None:
    records = make_study(3, gain=0.015) + make_study(3, gain=-0.02, devices=("cuda",))

    verdict = judged(records)

    assert verdict.state == "CANNOT TELL"
    assert verdict.agreement == "depends on the device: WORTH IT on cpu, NOT WORTH IT on cuda"
    assert verdict.sentence == "The verdict depends on the device: WORTH IT on cpu, NOT WORTH IT on cuda."
    assert verdict.where_only_accuracy_counts.sentence == "No difference is statistically significant on all devices."


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (240.0, "takes about as long to train as FashionCNN (1.0"),
        (60.0, "takes 0.25 times as long to train"),
    ],
)
def test_the_sentence_of_a_big_model_that_is_not_slower(seconds: float, text: str) -> None:
    records: list[TrainingRecord | InferenceRecord] = []
    for seed in range(3):
        wobble = 1 + 0.01 * seed
        records.append(make_training("fashioncnn", seed=seed, train_seconds=240))
        records.append(make_training("resnet18", seed=seed, train_seconds=seconds * wobble * 0.99))

    assert text in judged(records).sentence


def test_only_seeds_with_which_both_models_finished_are_compared() -> None:
    records = [
        *make_study(2, gain=0.01),
        make_training("resnet18", seed=2, status="failed", reason="no memory"),
        make_training("fashioncnn", seed=2),
        make_training("fashioncnn", device="cuda", status="absent", reason="not found"),
    ]

    verdict = judged(records)

    assert [device.seeds for device in verdict.devices] == [(0, 1)]


@pytest.mark.parametrize(
    "records",
    [
        [],
        [make_inference()],
        [make_training("fashioncnn")],
        [make_training("fashioncnn", seed=0), make_training("resnet18", seed=1)],
    ],
    ids=["nothing", "inference only", "one model", "no common seed"],
)
def test_there_is_no_verdict_without_a_pair(records: list[TrainingRecord | InferenceRecord]) -> None:
    assert decide(records) is None


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            make_training("resnet18", recipe=RECIPES["study"].model_copy(update={"epochs": 3})),
            r"Several recipes with the name 'study'\. Expected one recipe of each name, because different recipes",
        ),
        (
            make_training("resnet18").model_copy(
                update={"data": make_training().data.model_copy(update={"release": "older draw (26 Aug 2017)"})}
            ),
            r"Records of several data sets or releases\. Expected one, because results on different images",
        ),
        (
            make_training("resnet18", images=1_000),
            r"Records of several sets of test images\. Expected one, because results on different images",
        ),
    ],
)
def test_records_that_must_not_be_averaged_are_rejected(other: TrainingRecord, message: str) -> None:
    with pytest.raises(InputError, match=f"{message} are never averaged"):
        decide([make_training("fashioncnn"), other])


def test_a_check_of_an_installation_is_not_a_result() -> None:
    smoke = RECIPES["smoke"]

    verdict = judged([make_training(model, recipe=smoke) for model in ("fashioncnn", "resnet18")])

    assert not verdict.is_result


def test_same_records_give_the_same_json() -> None:
    first, second = (judged(make_study(2)).model_dump_json() for _ in range(2))

    assert first == second
    assert json.loads(first)["rule_version"] == 3


def test_a_ratio_of_times_that_is_not_significant_is_not_called_about_as_long() -> None:
    records = [
        *(make_training(seed=seed, train_seconds=seconds) for seed, seconds in enumerate((100.0, 400.0, 90.0))),
        *(
            make_training("resnet18", seed=seed, train_seconds=seconds)
            for seed, seconds in enumerate((900.0, 500.0, 800.0))
        ),
    ]

    verdict = decide(records)

    assert verdict is not None
    assert "whether it takes longer to train than FashionCNN is open (4.6" in verdict.sentence


def test_a_big_model_that_is_as_good_in_less_time_is_recommended() -> None:
    verdict = judged(
        [
            make_training(model, seed=seed, accuracy=0.926 + 0.0005 * seed, train_seconds=seconds * (1 + 0.01 * seed))
            for seed in range(3)
            for model, seconds in (("fashioncnn", 900), ("resnet18", 240))
        ]
    )

    assert verdict.where_cost_matters.model == "resnet18"
    assert verdict.where_cost_matters.sentence.startswith("It trains in less time, and FashionCNN gains less than the")
    assert verdict.would_change[0].startswith("ResNet18 takes less time")
    assert verdict.devices[0].open == ("gain",)  # above or below zero
    assert verdict.devices[0].seeds_needed is None or verdict.devices[0].seeds_needed > 3


def test_a_faster_and_better_big_model_is_worth_it_whatever_the_margin() -> None:
    records: list[TrainingRecord | InferenceRecord] = [
        make_training(model, seed=seed, accuracy=accuracy, train_seconds=seconds * (1 + 0.01 * seed))
        for seed in range(3)
        for model, accuracy, seconds in (("fashioncnn", 0.91, 900), ("resnet18", 0.93, 240))
    ]

    verdict = judged(records, margin_pp=50)

    assert verdict.state == "WORTH IT"
    assert verdict.where_cost_matters.sentence == "It is no slower and no less accurate than FashionCNN."
    assert verdict.would_change[0].startswith("No margin changes this")


def test_a_slower_small_model_that_is_better_by_the_margin_is_recommended() -> None:
    records: list[TrainingRecord | InferenceRecord] = [
        make_training(model, seed=seed, accuracy=accuracy, train_seconds=seconds * (1 + 0.01 * seed))
        for seed in range(3)
        for model, accuracy, seconds in (("fashioncnn", 0.93, 900), ("resnet18", 0.91, 240))
    ]

    assert judged(records).where_cost_matters.model == "fashioncnn"
