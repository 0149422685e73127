"""A record is the same after JSON, and an inconsistent one is rejected."""

import json
from typing import Literal

import numpy as np
import pytest
from pydantic import ValidationError
from synthetic import make_inference, make_training

from fashionbench.records.fields import Packed
from fashionbench.records.record import InferenceRecord, TrainingRecord


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
