"""What is open in a verdict, and what it must not rest on: times of a busy machine, prices, single epochs."""

import json

import pytest
from synthetic import make_study, make_training
from verdicts import judged

from fashionbench.judging.rule import Evidence, Thresholds, deciding_half_width, find_open_parts
from fashionbench.judging.statistics.intervals import Interval
from fashionbench.recipe.fields import RECIPES
from fashionbench.records.record import InferenceRecord, TrainingRecord


def interval(low: float, high: float) -> Interval:
    return Interval(estimate=(low + high) / 2, low=low, high=high, method="given")


def evidence_of(gain: tuple[float, float], slowdown: tuple[float, float] | None) -> Evidence:
    """Return evidence where the small model trains for five minutes."""
    if slowdown is None:
        return Evidence(gain=interval(*gain), slowdown=None, extra_minutes=None)
    extra = interval(*(5 * (each - 1) for each in slowdown))
    return Evidence(gain=interval(*gain), slowdown=interval(*slowdown), extra_minutes=extra)


@pytest.mark.parametrize(
    ("gain", "slowdown", "price", "parts"),
    [
        ((0.006, 0.02), (3.9, 4.1), None, ()),
        ((0.001, 0.009), (3.9, 4.1), None, ("gain",)),
        ((0.001, 0.004), (0.9, 1.4), None, ("time",)),
        ((0.001, 0.004), None, None, ("time",)),
        ((0.001, 0.008), (0.9, 1.4), None, ("gain", "time")),
        ((0.01, 0.02), (3.9, 4.1), 10.0, ("price",)),
        ((0.01, 0.02), None, 10.0, ("time",)),
        ((-0.006, 0.003), (0.9, 1.1), None, ("gain",)),
        ((-0.03, -0.01), (0.2, 0.3), None, ()),  # a trade-off: faster, but worse
    ],
)
def test_what_is_open_is_what_would_decide(
    gain: tuple[float, float], slowdown: tuple[float, float] | None, price: float | None, parts: tuple[str, ...]
) -> None:
    thresholds = Thresholds(margin=0.005, price_minutes_per_pp=price)
    ratio = sum(slowdown) / 2 if slowdown else 3.0

    found = find_open_parts(evidence_of(gain, slowdown), thresholds, slowdown=ratio, extra_minutes=5 * (ratio - 1))

    assert found == parts


@pytest.mark.parametrize(
    ("gain", "slowdown", "half"),
    [
        ((0.001, 0.013), (3.9, 4.1), 0.002),  # of 0.7 pp, to the margin of 0.5
        ((-0.004, 0.006), (3.9, 4.1), 0.004),  # of 0.1 pp, below the margin
        ((-0.006, 0.004), (0.9, 1.1), 0.004),  # of −0.1 pp, within the margin on both sides
        ((-0.001, 0.003), (0.2, 0.3), 0.001),  # of 0.1 pp, above zero
    ],
)
def test_the_gain_must_be_known_to_the_nearest_limit_that_decides(
    gain: tuple[float, float], slowdown: tuple[float, float], half: float
) -> None:
    thresholds = Thresholds(margin=0.005, price_minutes_per_pp=None)

    assert deciding_half_width(evidence_of(gain, slowdown), thresholds) == pytest.approx(half)


def disturb(records: list[TrainingRecord | InferenceRecord], share: float) -> list[TrainingRecord | InferenceRecord]:
    """Return records of trainings during which others used a fraction of the CPUs."""
    return [
        record.model_copy(
            update={
                "result": record.result.model_copy(
                    update={"others_cpu_share": (share,) * len(record.result.epoch_seconds)}
                )
            }
        )
        if isinstance(record, TrainingRecord) and record.result
        else record
        for record in records
    ]


def test_a_verdict_does_not_rest_on_the_minutes_of_a_busy_machine() -> None:
    records = make_study(3, gain=-0.02)
    quiet, busy = (judged(disturb(records, share)) for share in (0.04, 0.4))

    assert quiet.state == "NOT WORTH IT"
    assert busy.state == "CANNOT TELL"
    assert busy.devices[0].open == ("time",)
    assert busy.devices[0].others_cpu_share == pytest.approx(0.4)
    assert busy.would_change[-1] == "The training time is open: close other programs, then measure again."
    assert busy.sentence.replace("\N{NO-BREAK SPACE}", " ").endswith(
        "the training time does not count (4.8 × as long, but other processes used 40 % of the CPUs)."
    )
    assert busy.where_cost_matters.model is None
    assert busy.where_cost_matters.sentence == "The training times are not reliable enough to choose by them."
    assert busy.where_only_accuracy_counts.model == "fashioncnn"


def test_a_busy_machine_leaves_a_verdict_that_needs_no_minutes() -> None:
    busy = disturb(make_study(3, gain=0.015), 0.4)

    assert judged(busy).state == "WORTH IT"
    assert judged(busy).devices[0].price_minutes_per_pp is None
    assert judged(busy, price_minutes_per_pp=1000.0).state == "CANNOT TELL"
    assert judged(busy, price_minutes_per_pp=1000.0).devices[0].open == ("time",)


def test_one_epoch_each_gives_no_slowdown_to_rely_on() -> None:
    once = RECIPES["study"].model_copy(update={"epochs": 1})
    records: list[TrainingRecord | InferenceRecord] = [
        make_training(model, recipe=once, accuracy=accuracy, train_seconds=seconds)
        for model, accuracy, seconds in (("fashioncnn", 0.93, 5.0), ("resnet18", 0.91, 2_300.0))
    ]

    verdict = judged(records)

    assert verdict.state == "CANNOT TELL"
    assert verdict.sentence.endswith("(460.0\N{NO-BREAK SPACE}× as long, but there are too few seeds or epochs).")
    assert verdict.would_change[-1] == "The training time is open: train more seeds."
    assert "low" not in json.loads(verdict.model_dump_json())["devices"][0]["slowdown"]


@pytest.mark.parametrize(
    ("share", "reasons", "remedy"),
    [
        (0.02, "there are too few seeds or epochs", "train more seeds"),
        (
            0.4,
            "other processes used 40 % of the CPUs, and there are too few seeds or epochs",
            "close other programs, then train more seeds",
        ),
    ],
)
def test_all_reasons_against_the_minutes_are_told_and_all_that_is_open(share: float, reasons: str, remedy: str) -> None:
    once = RECIPES["study"].model_copy(update={"epochs": 1})
    trainings = [
        make_training(model, recipe=once, accuracy=accuracy, train_seconds=seconds)
        for model, accuracy, seconds in (("fashioncnn", 0.91, 5.0), ("resnet18", 0.914, 50.0))
    ]

    verdict = judged(disturb([*trainings], share))

    assert verdict.devices[0].open == ("gain", "time")
    said = verdict.sentence.replace("\N{NO-BREAK SPACE}", " ")
    assert said.endswith(f"the training time does not count (10.0 × as long, but {reasons}).")
    assert verdict.would_change[-1] == f"The gain and the training time are open: {remedy}."


def test_a_price_that_the_interval_contains_is_what_is_open() -> None:
    records = make_study(3, gain=0.015)
    price = judged(records).devices[0].price_minutes_per_pp
    assert price is not None

    verdict = judged(records, price_minutes_per_pp=price.estimate)

    assert verdict.state == "CANNOT TELL"
    assert verdict.devices[0].open == ("price",)
    assert verdict.devices[0].seeds_needed is None
    assert verdict.would_change[0] == "No margin makes ResNet18 worth it at this price."
    for factor, state in ((0.999, "NOT WORTH IT"), (1.001, "CANNOT TELL")):
        assert judged(records, price_minutes_per_pp=factor * price.low).state == state
    for factor, state in ((0.999, "CANNOT TELL"), (1.001, "WORTH IT")):
        assert judged(records, price_minutes_per_pp=factor * price.high).state == state


def test_a_faster_but_less_accurate_model_is_a_trade_off() -> None:
    records: list[TrainingRecord | InferenceRecord] = [
        make_training(model, seed=seed, accuracy=accuracy, train_seconds=seconds * (1 + 0.01 * seed))
        for seed in range(3)
        for model, accuracy, seconds in (("fashioncnn", 0.93, 900), ("resnet18", 0.91, 240))
    ]

    verdict = judged(records)

    assert verdict.state == "CANNOT TELL"
    assert verdict.devices[0].open == ()
    assert verdict.would_change[-1] == (
        "ResNet18 takes less time at a gain of −2.0\N{NO-BREAK SPACE}pp: the rule does not weigh lost accuracy against "
        "time."
    )


def test_every_number_of_the_first_page_is_in_the_verdict() -> None:
    records = [*make_study(2, devices=("cpu", "cuda")), make_training("tiny")]

    found = judged(records).models

    assert [(each.device, each.model, each.seeds) for each in found] == [
        ("cpu", "fashioncnn", (0, 1)),
        ("cpu", "tiny", (0,)),
        ("cpu", "resnet18", (0, 1)),
        ("cuda", "fashioncnn", (0, 1)),
        ("cuda", "resnet18", (0, 1)),
    ]
    assert found[0].minutes == pytest.approx(judged(records).devices[0].small_minutes)
    assert found[0].accuracy.estimate == pytest.approx(judged(records).devices[0].small_accuracy)
    assert (found[2].parameters, found[2].peak_device_bytes, found[3].peak_device_bytes) == (
        *(11_175_370, None, 600_000_000),
    )
    assert json.loads(judged(records).model_dump_json())["models"][0]["macro_f1"] == found[0].macro_f1


@pytest.mark.parametrize(
    ("records", "state"),
    [
        (make_study(3, gain=0.015), "WORTH IT"),
        (make_study(3, gain=-0.02), "NOT WORTH IT"),
        (make_study(3, gain=0.005), "CANNOT TELL"),
    ],
)
def test_the_probabilities_agree_with_the_state(records: list[TrainingRecord | InferenceRecord], state: str) -> None:
    verdict = judged(records)
    found = verdict.devices[0].probabilities

    assert verdict.state == state
    assert (found.at_least_margin >= 0.975) == (state == "WORTH IT")
    assert (found.at_least_margin <= 0.025) == (state == "NOT WORTH IT")
    assert 0 <= verdict.devices[0].probability_of_winning <= 1
