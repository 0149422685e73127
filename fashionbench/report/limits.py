"""How near the machine's limit a case came: useful operations over its peak, least traffic over its bandwidth."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from fashionbench.record import InferenceRecord, Peak, TrainingRecord
from fashionbench.report import units
from fashionbench.report.material import Material, cell, words
from fashionbench.report.tables import machine
from fashionbench.report.view import Cell, Table

__all__ = ["limits"]

BYTES: Final = 4
"""Of a number in memory; with bf16 weights and moments stay single."""
STEP_PASSES: Final = 10
"""Times a training step touches each weight at least: read forward and backward, its gradient written; Adam reads
gradient, weight and both moments and writes all but the gradient."""
TRAINING_PASSES: Final = 4
"""Times a training touches each activation at least: it and its gradient, written once and read once."""
FORWARD_PASSES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Use:
    model: str
    device: str
    use: str
    flops_per_second: float
    bytes_per_second: float
    peak: Peak

    @property
    def peak_share(self) -> float:
        return self.flops_per_second / max(self.peak.product_flops_per_second, self.peak.convolution_flops_per_second)

    @property
    def bandwidth_share(self) -> float:
        return self.bytes_per_second / self.peak.copy_bytes_per_second


def limits(material: Material) -> Table | None:
    """Tabulate achieved over possible, for each training and inference case; None where no peak was measured."""
    uses = [*_trainings(material), *_inferences(material)]
    if not uses:
        return None
    peaks = {each.device: each.peak for each in uses}
    rates = "; ".join(
        f"{device}: {units.fixed(peak.product_flops_per_second / 1e9, 0)} GFLOP/s in products, "
        f"{units.fixed(peak.convolution_flops_per_second / 1e9, 0)} in convolutions, "
        f"{units.fixed(peak.copy_bytes_per_second / 1e9, 0)} GB/s in copies"
        for device, peak in peaks.items()
    )
    return Table(
        caption="Share of the machine's peak",
        head=("model", "device", "use", "GFLOP/s", "of peak, %", "of bandwidth, %", "nearer bound"),
        rows=tuple(
            (
                Cell(text=material.looks[each.model].name, look=material.looks[each.model], words=True),
                words(each.device),
                words(each.use),
                cell(units.fixed(each.flops_per_second / 1e9, 1)),
                cell(units.fixed(100 * each.peak_share, 0)),
                cell(units.fixed(100 * each.bandwidth_share, 0)),
                words("arithmetic" if each.peak_share >= each.bandwidth_share else "memory"),
            )
            for each in uses
        ),
        note="Only operations that meet data count, and of memory only the least that must move: weights and "
        "activations, once for each use. What neither explains is reordering, launching and waiting. Peaks, measured "
        f"before the first case: {rates}.",
    )


def _trainings(material: Material) -> Iterator[_Use]:
    for device in material.devices:
        for model in material.models_on(device):
            cases = [each for each in material.on(device) if each.model == model]
            shares = [share for each in cases if (share := _training(each, device)) is not None]
            if shares:
                yield shares[len(shares) // 2]


def _training(record: TrainingRecord, device: str) -> _Use | None:
    info, peak, result = record.model_info, record.peak, record.result
    if result is None or peak is None or info is None or not info.training_flops or not result.train_seconds:
        return None
    epochs = record.recipe.epochs_for(record.model)
    images = record.data.train_images * epochs
    batch = record.recipe.batch_size_for(record.model)
    steps = math.ceil(record.data.train_images / batch) * epochs
    numbers = STEP_PASSES * info.reachable_parameters * steps + TRAINING_PASSES * (info.activations or 0) * images
    return _Use(
        model=record.model,
        device=device,
        use=f"training, batch {batch}",
        flops_per_second=(info.useful_training_flops or info.training_flops) * images / result.train_seconds,
        bytes_per_second=BYTES * numbers / result.train_seconds,
        peak=peak,
    )


def _inferences(material: Material) -> Iterator[_Use]:
    for record in material.records:
        info, peak = record.model_info, record.peak
        if not isinstance(record, InferenceRecord) or record.result is None or peak is None:
            continue
        if info is None or not info.forward_flops:  # a classical baseline
            continue
        seconds = float(np.median(record.result.seconds)) or math.inf
        numbers = info.reachable_parameters + FORWARD_PASSES * (info.activations or 0) * record.batch_size
        yield _Use(
            model=record.model,
            device=material.labels[machine(record)],
            use=f"forward, batch {record.batch_size}",
            flops_per_second=(info.useful_forward_flops or info.forward_flops) * record.batch_size / seconds,
            bytes_per_second=BYTES * numbers / seconds,
            peak=peak,
        )
