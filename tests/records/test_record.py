"""A record survives the way to JSON and back, and nothing half-right is let in."""

import json
from typing import Literal

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from synthetic import make_inference, make_training

from fashionbench.records.fields import Packed
from fashionbench.records.record import InferenceRecord, TrainingRecord, parse_failure


def test_a_record_comes_back_from_json_as_it_was() -> None:
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
        ({"shape": [5]}, r"data of 4 bytes where shape \(5,\) of u1 needs 5"),
        ({"data": "!!!!"}, "data is no base64"),
        ({"dtype": "O"}, "Input should be 'u1', '<u2' or '<f4'"),
    ],
)
def test_a_packed_array_that_contradicts_itself_is_refused(change: dict[str, object], message: str) -> None:
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


def test_a_newer_schema_is_refused() -> None:
    newer = json.loads(make_training().model_dump_json()) | {"schema_version": 2}

    with pytest.raises(ValidationError, match="schema_version"):
        TrainingRecord.model_validate_json(json.dumps(newer))


def test_inference_median_is_of_its_rounds() -> None:
    result = make_inference().result

    assert result is not None
    assert result.median_seconds() == pytest.approx(float(np.median(result.seconds)))


def test_a_record_of_a_million_faults_is_told_by_their_number() -> None:
    with pytest.raises(ValidationError) as failure:
        TypeAdapter(list[int]).validate_python(["x"] * 1_001)

    assert parse_failure(failure.value) == "1,001 fields do not fit"
