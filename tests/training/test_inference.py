"""The forward pass is timed over whole batches."""

import pytest
from cases import CPU
from synthetic import make_environment

from fashionbench.data.dataset import Dataset
from fashionbench.devices.device import Device
from fashionbench.training.case import InferenceCase
from fashionbench.training.identity import Provenance
from fashionbench.training.inference import FEWEST_ROUNDS, measure_inference

PROVENANCE = Provenance(identity="1" * 64, environment=make_environment(), code_sha256="2" * 64, model_sha256="3" * 64)


def case_of(batch_size: int = 1, device: Device = CPU, model: str = "fashioncnn") -> InferenceCase:
    return InferenceCase(
        model=model,
        device=device,
        batch_size=batch_size,
        execution="fast",
        precision="fp32",
        seconds=0.1,
    )


@pytest.mark.parametrize(("batch_size", "model"), [(1, "fashioncnn"), (256, "fashioncnn"), (4, "dummy")])
def test_inference_times_rounds_and_keeps_them(sample: Dataset, batch_size: int, model: str) -> None:
    record = measure_inference(case_of(batch_size, model=model), sample, PROVENANCE)

    assert record.result is not None
    assert len(record.result.seconds) >= FEWEST_ROUNDS
    assert min(record.result.seconds) > 0
    assert record.batch_size == batch_size
    assert record.environment == make_environment()
    assert (record.identity, record.code_sha256, record.model_sha256) == ("1" * 64, "2" * 64, "3" * 64)


def test_what_inference_raises_is_left_to_the_caller_which_records_it(sample: Dataset) -> None:
    with pytest.raises((AssertionError, RuntimeError)):  # a torch without CUDA, or with fewer devices
        measure_inference(case_of(device=Device(word="cuda:97", name="not there")), sample, PROVENANCE)
