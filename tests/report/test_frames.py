"""Records as frames."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from synthetic import CLASSES, make_environment, make_inference, make_study, make_training

from fashionbench.catalogue import model_label
from fashionbench.recipe.fields import RECIPES
from fashionbench.records.grouping import device_labels, machine
from fashionbench.records.record import TrainingRecord
from fashionbench.report import frames


def test_runs_have_a_row_for_every_training_finished_or_not() -> None:
    records = [*make_study(2), make_training("resnet18", device="mps", status="absent", reason="not on this machine")]

    frame = frames.runs(records)

    assert list(frame[frames.STATUS]) == ["finished"] * 4 + ["absent"]
    assert frame[frames.REASON].iloc[-1] == "not on this machine"
    assert frame[frames.MINUTES].isna().tolist() == [False] * 4 + [True]


def test_runs_give_minutes_and_fractions() -> None:
    record = make_training(accuracy=0.9, train_seconds=90.0)

    frame = frames.runs([record])

    assert frame[frames.MINUTES].item() == 1.5
    assert frame[frames.ACCURACY].item() == pytest.approx(0.9, abs=1e-4)
    assert np.isnan(frame[frames.PEAK_DEVICE_BYTES].item())


def test_a_device_is_labelled_by_its_word_if_that_is_unique() -> None:
    records = make_study(1, devices=("cpu", "cuda"))

    labels = device_labels(records)

    assert list(dict.fromkeys(labels.values())) == ["cpu", "cuda"]


def test_two_machines_of_the_same_word_are_labelled_by_name() -> None:
    other = make_training(device="cuda").model_copy(update={"device_name": "Another GPU"})

    labels = device_labels([make_training(device="cuda"), other])

    assert list(labels.values()) == ["cuda (Synthetic GPU)", "cuda (Another GPU)"]


def test_the_same_cpu_with_other_threads_is_another_machine() -> None:
    environment = make_environment().model_copy(update={"threads": 1})
    other = make_training().model_copy(update={"environment": environment})

    labels = device_labels([make_training(), other])

    assert list(labels.values()) == [
        "cpu (Synthetic CPU, host Synthetic CPU, 2 threads)",
        "cpu (Synthetic CPU, host Synthetic CPU, 1 threads)",
    ]


def test_step_losses_are_binned_and_keep_their_range() -> None:
    record = make_training()
    assert record.result is not None
    losses = record.result.step_losses.array()

    frame = frames.step_losses([record])

    assert len(frame) == 240
    assert frame[frames.LOW].min() == losses.min()
    assert frame[frames.HIGH].max() == losses.max()
    assert frame[frames.ITERATION].is_monotonic_increasing


def test_a_short_run_keeps_every_iteration() -> None:
    record = make_training(images=200, recipe=make_training().recipe.model_copy(update={"epochs": 1}))
    assert record.result is not None

    frame = frames.step_losses([record])

    assert frame[frames.LOSS].tolist() == pytest.approx(record.result.step_losses.array().tolist())
    assert frame[frames.ITERATION].tolist() == list(range(1, 46))


def test_epochs_carry_the_minutes_trained_until_then() -> None:
    record = make_training(train_seconds=600.0)

    frame = frames.epochs([record])

    assert frame[frames.EPOCH].tolist() == list(range(1, 11))
    assert frame[frames.MINUTES].tolist() == pytest.approx(list(range(1, 11)))


def test_class_scores_are_long_and_equal_the_record() -> None:
    record = make_training()
    assert record.result is not None

    frame = frames.class_scores([record])

    assert len(frame) == len(CLASSES) * len(frames.METRICS)
    shirt = frame[(frame[frames.CLASS] == "Shirt") & (frame[frames.METRIC] == "recall")]
    assert shirt[frames.SCORE].item() == record.result.scores.classes[6].recall


def test_confusions_count_every_test_image_once() -> None:
    frame = frames.confusions([make_training(images=1_000)])

    assert frame[frames.IMAGES].sum() == 1_000
    assert len(frame) == len(CLASSES) ** 2


@pytest.mark.parametrize(
    "make", [frames.runs, frames.step_losses, frames.epochs, frames.class_scores, frames.confusions]
)
def test_a_frame_without_finished_records_keeps_its_columns(
    make: Callable[[list[TrainingRecord]], pd.DataFrame],
) -> None:
    absent = make_training(status="absent", reason="not here")

    frame = make([absent])

    assert frames.MODEL in frame.columns


def test_the_study_models_are_written_as_the_study_writes_them() -> None:
    names = [model_label(word) for word in ("fashioncnn", "resnet18", "mine")]

    assert names == ["FashionCNN", "ResNet18", "mine"]


def test_execution_precision_and_several_recipes_are_in_the_label_of_a_training() -> None:
    usual, inference = make_training(), make_inference()
    swift = make_training(recipe=RECIPES["swift"])
    half = usual.model_copy(update={"precision": "bf16"})
    plain = usual.model_copy(update={"execution": "plain"})

    one_recipe = device_labels([usual, half, plain, inference])
    two_recipes = device_labels([usual, swift, inference])

    assert [one_recipe[machine(each)] for each in (usual, half, plain, inference)] == [
        "cpu", "cpu bf16", "cpu plain", "cpu",
    ]  # fmt: skip
    assert [two_recipes[machine(each)] for each in (usual, swift, inference)] == [
        "cpu study", "cpu swift", "cpu",
    ]  # fmt: skip
