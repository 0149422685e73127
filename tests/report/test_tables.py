"""Records as frames."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from synthetic import CLASSES, make_environment, make_inference, make_study, make_training

from fashionbench.recipe import RECIPES
from fashionbench.record import TrainingRecord
from fashionbench.report import tables


def test_runs_have_a_row_for_every_training_finished_or_not() -> None:
    records = [*make_study(2), make_training("resnet18", device="mps", status="absent", reason="not on this machine")]

    frame = tables.runs(records)

    assert list(frame[tables.STATUS]) == ["finished"] * 4 + ["absent"]
    assert frame[tables.REASON].iloc[-1] == "not on this machine"
    assert frame[tables.MINUTES].isna().tolist() == [False] * 4 + [True]


def test_runs_give_minutes_and_fractions() -> None:
    record = make_training(accuracy=0.9, train_seconds=90.0)

    frame = tables.runs([record])

    assert frame[tables.MINUTES].item() == 1.5
    assert frame[tables.ACCURACY].item() == pytest.approx(0.9, abs=1e-4)
    assert np.isnan(frame[tables.PEAK_DEVICE_BYTES].item())


def test_a_device_is_labelled_by_its_word_where_that_tells_it_from_the_others() -> None:
    records = make_study(1, devices=("cpu", "cuda"))

    labels = tables.device_labels(records)

    assert list(dict.fromkeys(labels.values())) == ["cpu", "cuda"]


def test_two_machines_of_the_same_word_are_told_apart_by_name() -> None:
    other = make_training(device="cuda").model_copy(update={"device_name": "Another GPU"})

    labels = tables.device_labels([make_training(device="cuda"), other])

    assert list(labels.values()) == ["cuda (Synthetic GPU)", "cuda (Another GPU)"]


def test_the_same_cpu_with_other_threads_is_another_machine() -> None:
    environment = make_environment().model_copy(update={"threads": 1})
    other = make_training().model_copy(update={"environment": environment})

    labels = tables.device_labels([make_training(), other])

    assert list(labels.values()) == [
        "cpu (Synthetic CPU, host Synthetic CPU, 2 threads)",
        "cpu (Synthetic CPU, host Synthetic CPU, 1 threads)",
    ]


def test_step_losses_are_binned_to_what_print_can_show_and_keep_their_range() -> None:
    record = make_training()
    assert record.result is not None
    losses = record.result.step_losses.array()

    frame = tables.step_losses([record])

    assert len(frame) == 240
    assert frame[tables.LOW].min() == losses.min()
    assert frame[tables.HIGH].max() == losses.max()
    assert frame[tables.ITERATION].is_monotonic_increasing


def test_a_short_run_keeps_every_iteration() -> None:
    record = make_training(images=200, recipe=make_training().recipe.model_copy(update={"epochs": 1}))
    assert record.result is not None

    frame = tables.step_losses([record])

    assert frame[tables.LOSS].tolist() == pytest.approx(record.result.step_losses.array().tolist())
    assert frame[tables.ITERATION].tolist() == list(range(1, 46))


def test_epochs_carry_the_minutes_trained_until_then() -> None:
    record = make_training(train_seconds=600.0)

    frame = tables.epochs([record])

    assert frame[tables.EPOCH].tolist() == list(range(1, 11))
    assert frame[tables.MINUTES].tolist() == pytest.approx(list(range(1, 11)))


def test_class_scores_are_long_and_equal_the_record() -> None:
    record = make_training()
    assert record.result is not None

    frame = tables.class_scores([record])

    assert len(frame) == len(CLASSES) * len(tables.METRICS)
    shirt = frame[(frame[tables.CLASS] == "Shirt") & (frame[tables.METRIC] == "recall")]
    assert shirt[tables.SCORE].item() == record.result.scores.classes[6].recall


def test_confusions_count_every_test_image_once() -> None:
    frame = tables.confusions([make_training(images=1_000)])

    assert frame[tables.IMAGES].sum() == 1_000
    assert len(frame) == len(CLASSES) ** 2


def test_inference_gives_median_and_quartiles_of_the_rounds() -> None:
    record = make_inference("resnet18", batch_size=256)
    failed = record.model_copy(update={"status": "failed", "reason": "no memory", "result": None})
    assert record.result is not None

    frame = tables.inference([record, failed, make_training()])

    assert frame[tables.SECONDS].iloc[0] == record.result.median_seconds()
    assert frame[tables.LOW].iloc[0] < frame[tables.SECONDS].iloc[0] < frame[tables.HIGH].iloc[0]
    assert frame[tables.REASON].tolist() == ["", "no memory"]


@pytest.mark.parametrize(
    "make", [tables.runs, tables.step_losses, tables.epochs, tables.class_scores, tables.confusions, tables.inference]
)
def test_a_frame_without_finished_records_keeps_its_columns(
    make: Callable[[list[TrainingRecord]], pd.DataFrame],
) -> None:
    absent = make_training(status="absent", reason="not here")

    frame = make([absent])

    assert tables.MODEL in frame.columns


def test_the_study_models_are_written_as_the_study_writes_them() -> None:
    names = [tables.model_name(word) for word in ("fashioncnn", "resnet18", "mine")]

    assert names == ["FashionCNN", "ResNet18", "mine"]


def test_execution_precision_and_several_recipes_stand_in_the_label_of_a_training() -> None:
    usual, inference = make_training(), make_inference()
    swift = make_training(recipe=RECIPES["swift"])
    half = usual.model_copy(update={"precision": "bf16"})
    plain = usual.model_copy(update={"execution": "plain"})

    one_recipe = tables.device_labels([usual, half, plain, inference])
    two_recipes = tables.device_labels([usual, swift, inference])

    assert [one_recipe[tables.machine(each)] for each in (usual, half, plain, inference)] == [
        "cpu", "cpu bf16", "cpu plain", "cpu",
    ]  # fmt: skip
    assert [two_recipes[tables.machine(each)] for each in (usual, swift, inference)] == [
        "cpu study", "cpu swift", "cpu",
    ]  # fmt: skip
