"""A record is the same after JSON, and an inconsistent one is rejected."""

import json
from typing import Literal

import numpy as np
import pytest
from pydantic import ValidationError
from synthetic import make_inference, make_training

from fashionbench.records.fields import Packed
from fashionbench.records.record import InferenceRecord, TrainingRecord, Trial


def test_a_record_is_the_same_after_json() -> None:
    training, inference = make_training(), make_inference()

    assert TrainingRecord.model_validate_json(training.model_dump_json()) == training
    assert InferenceRecord.model_validate_json(inference.model_dump_json()) == inference


@pytest.mark.parametrize("dtype", ["u1", "<u2", "<f4"])
def test_packed_arrays_are_exact(dtype: Literal["u1", "<u2", "<f4"]) -> None:
    array = np.arange(12).reshape(3, 4)

    packed = Packed.of(array, dtype)

    assert packed.array().tolist() == array.tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": [5]}, r"the data has 4 bytes, but shape \(5,\) of u1 needs 5"),
        ({"data": "!!!!"}, "the data is not base64"),
        ({"dtype": "O"}, "Input should be 'u1', '<u2' or '<f4'"),
    ],
)
def test_an_inconsistent_packed_array_is_rejected(change: dict[str, object], message: str) -> None:
    fields = json.loads(Packed.of(np.arange(4), "u1").model_dump_json()) | change

    with pytest.raises(ValidationError, match=message):
        Packed.model_validate_json(json.dumps(fields))


@pytest.mark.parametrize("record", [make_training(), make_inference()], ids=["training", "inference"])
def test_status_and_result_must_agree(record: TrainingRecord | InferenceRecord) -> None:
    finished = json.loads(record.model_dump_json())

    with pytest.raises(ValidationError, match="status 'failed' with a result"):
        type(record).model_validate_json(json.dumps(finished | {"status": "failed"}))
    with pytest.raises(ValidationError, match="status 'finished' without a result"):
        type(record).model_validate_json(json.dumps(finished | {"result": None}))


def test_a_newer_schema_is_rejected() -> None:
    newer = json.loads(make_training().model_dump_json()) | {"schema_version": 2}

    with pytest.raises(ValidationError, match="schema_version"):
        TrainingRecord.model_validate_json(json.dumps(newer))


def test_inference_median_is_of_its_rounds() -> None:
    result = make_inference().result

    assert result is not None
    assert result.median_seconds() == pytest.approx(float(np.median(result.seconds)))


def test_a_record_has_a_limited_number_of_names() -> None:
    fields = json.loads(make_training().model_dump_json())
    fields["environment"]["versions"] = {f"library {number}": "1" for number in range(1_001)}

    with pytest.raises(ValidationError, match="more than 1000 names"):
        TrainingRecord.model_validate_json(json.dumps(fields))


def spoiled(change: dict[str, object]) -> str:
    """Return a training's JSON with some fields of its result, or of its parts, replaced."""
    fields = json.loads(make_training(images=50).model_dump_json())
    for place, value in change.items():
        part = fields
        *path, last = place.split(".")
        for name in path:
            part = part[int(name) if name.isdigit() else name]
        part[last] = value
    return json.dumps(fields)


def packed(values: object, dtype: Literal["u1", "<u2", "<f4"] = "u1") -> object:
    return Packed.of(np.array(values), dtype).model_dump(mode="json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"result.test_predictions": packed([0] * 49)}, "are not lists of the same length"),
        ({"result.test_confidences": packed([[0] * 50], "<u2")}, "are not lists of the same length"),
        ({"result.test_confidences": packed([0] * 50)}, "are numbers of another type"),
        (
            {
                f"result.test_{name}": packed([], "<u2" if name == "confidences" else "u1")
                for name in ("labels", "predictions", "confidences")
            },
            "there are fewer than 2 test images",
        ),
        ({"result.test_predictions": packed([10] * 50)}, "is not one of the 10 classes"),
        ({"data.test_images": 51}, "are not those of 51 test images"),
        ({"result.mistakes.0.index": 50}, "a mistake is not one of the predictions"),
        ({"result.mistakes.0.label": 10}, "a mistake is not one of the predictions"),
        ({"result.mistakes.0.image": packed(np.zeros((2, 4, 4)))}, "has no channels, height and width"),
        ({"result.mistakes.0.image": packed([1, 2])}, "has no channels, height and width"),
        ({"result.scores.classes": []}, "the scores are not those of the 10 classes"),
        ({"result.scores.classes.0.name": "x"}, "the scores are not those of the 10 classes"),
        ({"result.scores.classes.0.recall": 0.0}, "the scores of a class are not those of the predictions"),
        ({"result.scores.classes.0.support": 6}, "the scores of a class are not those of the predictions"),
        ({"result.scores.confusion": [[0] * 9] * 10}, "the confusion matrix of 10 classes is not that"),
        ({"result.scores.confusion": [[1] * 10] * 10}, "the confusion matrix of 10 classes is not that"),
        ({"result.scores.accuracy": 0.5}, "the accuracy or a mean over the classes is not that"),
        ({"result.scores.macro_f1": 0.5}, "the accuracy or a mean over the classes is not that"),
        ({"result.others_cpu_share": [0.0]}, "the use of the CPUs by other processes is not that of 10 epochs"),
        (
            {"result.self_check": {"train_seconds": 1.0, "differing_losses": 0, "differing_predictions": 51}},
            "more losses or predictions differ in the repetition",
        ),
        ({"looks": [3, 2]}, "the planned numbers of seeds do not ascend"),
        ({"data.classes": ["x"] * 10}, "two classes have the same name"),
        ({"result.validation_losses": [0.5] * 9}, "are not those of 10 epochs"),
        ({"result.train_seconds": 1.0}, "do not add up"),
        ({"result.step_losses": packed([0.5] * 11, "<f4")}, "10 epochs of equal length"),
        ({"result.step_losses": packed([float("nan")] * 10, "<f4")}, "not finite numbers"),
        ({"result.scores.loss": 1e300}, "less than or equal to"),
        ({"result.test_labels.shape": [10**12]}, "less than or equal to"),
        ({"model_info.parameters": 2**64}, "less than"),
        ({"data.classes": ["x"] * 257}, "at most 256 items"),
        ({"measured_at": "yesterday"}, "measured_at"),
        ({"measured_at": "2026-02-30T12:00:00Z"}, "day is out of range"),
        ({"device": "tpu9"}, "String should match pattern"),
        ({"device_name": "\u202ecpu"}, "String should match pattern"),
        ({"model": "net\x1b[2J"}, "String should match pattern"),
        ({"environment.versions": {"\x07": "1"}}, "String should match pattern"),
    ],
    ids=str,
)
def test_a_record_that_does_not_fit_together_is_rejected(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainingRecord.model_validate_json(spoiled(change))


def test_a_baselines_single_epoch_fits_every_recipe() -> None:
    change = {"model": "forest", "result.epoch_seconds": [240.0], "result.step_losses": packed([], "<f4")}
    change |= {"result.validation_losses": [0.5], "result.validation_accuracies": [0.5]}

    assert TrainingRecord.model_validate_json(spoiled(change)).result is not None


def test_a_trial_that_chose_what_it_has_not_timed_is_rejected() -> None:
    with pytest.raises(ValidationError, match="'captured contiguous', was not timed"):
        Trial(chosen="captured contiguous", step_seconds={"contiguous": 0.001}, rejected={})


def test_a_trial_states_its_choice_and_all_else_that_was_tried() -> None:
    alone = Trial(chosen="contiguous", step_seconds={"contiguous": 0.00123}, rejected={})
    several = Trial(
        chosen="captured contiguous",
        step_seconds={"channels-last": 0.002, "captured contiguous": 0.0004, "contiguous": 0.001},
        rejected={"captured channels-last": "its losses differ"},
    )

    assert alone.described() == "contiguous, 1.23 ms a step"
    assert several.described() == (
        "captured contiguous, 0.40 ms a step (contiguous 1.00 ms; channels-last 2.00 ms; "
        "captured channels-last cannot be used: its losses differ)"
    )
