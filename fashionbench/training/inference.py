"""The forward pass alone, timed: latency at batch 1, throughput at a large batch."""

import timeit
from collections.abc import Callable
from typing import Final

import torch

from fashionbench.data.dataset import Dataset
from fashionbench.devices.device import Device
from fashionbench.devices.environment import describe_environment
from fashionbench.devices.precision import arithmetic
from fashionbench.devices.runtime import synchronize
from fashionbench.execution.fast import keep_memory, speed_up_inference
from fashionbench.execution.step import scale_pixels
from fashionbench.models.baselines import Baseline, spread
from fashionbench.models.description import describe
from fashionbench.records.record import Execution, InferenceRecord, InferenceResult, Precision, Status
from fashionbench.training.case import build_plain
from fashionbench.training.measure import now

__all__ = ["BATCH_SIZES", "measure_inference", "time_rounds"]

BATCH_SIZES: Final = (1, 256)
"""Inference is timed for latency at the first and for throughput at the second."""

SECONDS_PER_INFERENCE: Final = 1.0

FEWEST_ROUNDS: Final = 10

MOST_ROUNDS: Final = 10_000

BASELINE_IMAGES: Final = 6_000


def time_rounds(forward: Callable[[], None]) -> tuple[float, ...]:
    """Call ``forward`` for about a second, after a few calls to warm up, and return each call's seconds."""
    slowest = max(timeit.repeat(forward, number=1, repeat=FEWEST_ROUNDS))
    rounds = min(max(FEWEST_ROUNDS, int(SECONDS_PER_INFERENCE / slowest)), MOST_ROUNDS)
    return tuple(timeit.repeat(forward, number=1, repeat=rounds))


def measure_inference(  # noqa: PLR0913 - each named
    model_name: str,
    device: Device,
    dataset: Dataset,
    *,
    batch_size: int,
    command: str,
    execution: Execution = "fast",
    precision: Precision = "fp32",
    timed: Callable[[Callable[[], None]], tuple[float, ...]] = time_rounds,
) -> InferenceRecord:
    """Time the forward pass over one batch of test images, uint8 on the device to logits, with untrained weights.

    A classical baseline is fitted to 6,000 training images before.

    Args:
        model_name: A model of the registry.
        device: Where.
        dataset: Gives the images.
        batch_size: Images a batch; the images repeat where there are fewer.
        command: What was typed, for the record.
        execution: Rewritten for speed, or as it is defined.
        precision: The arithmetic.
        timed: Calls its argument as often as it likes and returns the seconds of each round.

    """
    target = torch.device(device.word)
    model = build_plain(model_name, dataset, 0).eval()
    if isinstance(model, Baseline):
        few = spread(BASELINE_IMAGES, len(dataset.train_images))
        model.fit(dataset.train_images[few], dataset.train_labels[few], 0)
    elif execution == "fast":
        keep_memory()
        model = speed_up_inference(model, dataset.task.shape)
    model.to(target)
    images = dataset.test_images[torch.arange(batch_size) % len(dataset.test_images)].to(target)

    @torch.inference_mode()
    def run() -> None:
        with arithmetic(target, precision):
            model(scale_pixels(images))
        synchronize(target)

    status: Status = "finished"
    try:
        run()
        result, reason = InferenceResult(seconds=timed(run)), ""
    except (MemoryError, RuntimeError) as error:
        result, status, reason = None, "failed", str(error).partition("\n")[0]
    return InferenceRecord(
        model=model_name,
        device=device.word,
        device_name=device.name,
        execution=execution,
        precision=precision,
        status=status,
        reason=reason,
        measured_at=now(),
        environment=describe_environment(device, command),
        model_info=describe(model_name, dataset.task, model),
        batch_size=batch_size,
        result=result,
    )
