"""The forward pass alone, timed: latency at batch 1, throughput at a large batch."""

import timeit
from collections.abc import Mapping
from typing import Any, Final

import torch

from fashionbench.data.dataset import Dataset
from fashionbench.devices.load import wait_politely
from fashionbench.devices.precision import arithmetic, single_precision
from fashionbench.devices.runtime import synchronize
from fashionbench.errors import visible
from fashionbench.execution.fast import keep_memory, speed_up_inference
from fashionbench.execution.step import scale_pixels
from fashionbench.models.baselines import Baseline, evenly_spaced
from fashionbench.models.description import describe
from fashionbench.models.registry import build_model
from fashionbench.records.record import InferenceRecord, InferenceResult
from fashionbench.training.case import InferenceCase
from fashionbench.training.identity import Provenance, record_fields

__all__ = ["BATCH_SIZES", "measure_inference", "record_inference_failure"]

BATCH_SIZES: Final = (1, 256)
"""Inference is timed for latency at the first and for throughput at the second."""
FEWEST_ROUNDS: Final = 10
MOST_ROUNDS: Final = 10_000
BASELINE_IMAGES: Final = 6_000


def measure_inference(case: InferenceCase, dataset: Dataset, provenance: Provenance) -> InferenceRecord:
    """Time the forward pass over one batch of test images, uint8 on the device to logits, with untrained weights.

    A classical baseline is fitted to 6,000 training images before. Where there are fewer test images than the batch
    needs, they repeat.

    Raises:
        Exception: What the model or its device raises.

    """
    with single_precision(case.torch_device, case.precision):
        return _time_forward(case, dataset, provenance)


def _time_forward(case: InferenceCase, dataset: Dataset, provenance: Provenance) -> InferenceRecord:
    target = case.torch_device
    model = build_model(case.model, dataset.task, seed=0).eval()
    if isinstance(model, Baseline):
        few = evenly_spaced(BASELINE_IMAGES, len(dataset.train_images))
        model.fit(dataset.train_images[few], dataset.train_labels[few], 0)
    info = describe(case.model, dataset.task, model)
    if case.execution == "fast" and not isinstance(model, Baseline):
        keep_memory()
        wait_politely()
        model = speed_up_inference(model, dataset.task.shape)
    model.to(target)
    images = dataset.test_images[torch.arange(case.batch_size) % len(dataset.test_images)].to(target)

    @torch.inference_mode()
    def forward() -> None:
        with arithmetic(target, case.precision):
            model(scale_pixels(images))
        synchronize(target)

    slowest = max(timeit.repeat(forward, number=1, repeat=FEWEST_ROUNDS))  # these warm up, too
    rounds = min(max(FEWEST_ROUNDS, int(case.seconds / slowest)), MOST_ROUNDS)
    seconds = timeit.repeat(forward, number=1, repeat=rounds)
    result = InferenceResult(seconds=tuple(seconds))
    return _record(case, provenance, {"status": "finished", "result": result, "model_info": info})


def record_inference_failure(case: InferenceCase, provenance: Provenance, reason: str) -> InferenceRecord:
    """Return the record of a forward pass that gave no result."""
    reason = visible(reason)
    return _record(case, provenance, {"status": "failed", "reason": reason})


def _record(case: InferenceCase, provenance: Provenance, outcome: Mapping[str, Any]) -> InferenceRecord:
    fields = {**record_fields(case, provenance), "batch_size": case.batch_size}
    return InferenceRecord.model_validate({**fields, **outcome})
