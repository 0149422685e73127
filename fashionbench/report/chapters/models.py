"""The chapters on models and inference: size, operations, share of the device's peak, latency and throughput."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from fashionbench import units
from fashionbench.catalogue import is_baseline
from fashionbench.records.grouping import machine
from fashionbench.records.record import InferenceRecord, Peak, TrainingRecord
from fashionbench.report.context import Context, cell, words
from fashionbench.report.frames import BATCH, DEVICE, HIGH, LOW, MODEL, SECONDS, inference
from fashionbench.report.view import Block, Cell, Table

__all__ = ["inference_times", "limits", "models"]


def models(context: Context) -> tuple[Block, ...]:
    """Set the models beside each other: what they are, whatever they learned."""
    known = {each.model: each for each in reversed(context.trainings)}
    rows = []
    for model in (each for each in context.styles if each in known):
        info = known[model].model_info
        batches = sorted({each.recipe.batch_size_for(model) for each in context.trainings})
        rows.append(
            (
                Cell(text=context.styles[model].name, style=context.styles[model], words=True),
                cell(units.count(info.layers if info else None)),
                cell(units.count(info.parameters if info else None)),
                cell(units.count(info.reachable_parameters if info else None)),
                cell(
                    units.bare(units.percent(info.reachable_parameters / max(info.parameters, 1) if info else None, 0))
                ),
                cell(units.fixed(info.forward_flops / 1e6 if info else None, 1)),
                cell(units.fixed(info.training_flops / 1e6 if info else None, 1)),
                cell(units.MISSING if is_baseline(model) else ", ".join(map(units.count, batches))),
            )
        )
    limit = limits(context)
    return (
        Table(
            caption="Size and arithmetic",
            head=(
                *("model", "layers", "parameters", "reachable", "reachable, %", "forward, MFLOP"),
                *("training, MFLOP", "batch"),
            ),
            rows=tuple(rows),
            note="Layers are convolutions and linear ones. Operations are for one image, a multiplication and an "
            "addition counted as two. Parameters that only ever meet zero padding at this image size are not "
            "reachable: they cost memory, and learn nothing.",
        ),
        *([limit] if limit else []),
    )  # fmt: skip


def inference_times(context: Context) -> tuple[Block, ...]:
    """Tabulate latency and throughput of the forward pass."""
    frame = inference(context.records)
    frame = frame[frame[SECONDS].notna()]
    if frame.empty:
        return ()
    order = {model: place for place, model in enumerate(context.styles)}
    rows = sorted(
        frame[[DEVICE, BATCH, MODEL, SECONDS, LOW, HIGH]].itertuples(index=False, name=None),
        key=lambda row: (row[0], row[1], order[row[2]]),
    )
    return (
        Table(
            caption="Forward pass alone",
            head=("model", "device", "batch", "ms a batch", "middle half", "images / s"),
            rows=tuple(
                (
                    Cell(text=context.styles[model].name, style=context.styles[model], words=True),
                    words(device),
                    cell(units.count(batch)),
                    cell(units.bare(units.milliseconds(median))),
                    cell(f"{units.bare(units.milliseconds(low))} to {units.bare(units.milliseconds(high))}"),
                    cell(units.count(batch / median)),
                )
                for device, batch, model, median, low, high in rows
            ),
            note="Median of the timed rounds and their first and third quartile. Batch 1 is the latency of a single "
            "image, the large batch the throughput.",
        ),
    )


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


def limits(context: Context) -> Table | None:
    """Tabulate achieved over possible, for each training and inference case; None where no peak was measured."""
    uses = [*_trainings(context), *_inferences(context)]
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
                Cell(text=context.styles[each.model].name, style=context.styles[each.model], words=True),
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


def _trainings(context: Context) -> Iterator[_Use]:
    for device in context.devices:
        for model in context.models_on(device):
            cases = [each for each in context.on(device) if each.model == model]
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


def _inferences(context: Context) -> Iterator[_Use]:
    for record in context.records:
        info, peak = record.model_info, record.peak
        if not isinstance(record, InferenceRecord) or record.result is None or peak is None:
            continue
        if info is None or not info.forward_flops:  # a classical baseline
            continue
        seconds = float(np.median(record.result.seconds)) or math.inf
        numbers = info.reachable_parameters + FORWARD_PASSES * (info.activations or 0) * record.batch_size
        yield _Use(
            model=record.model,
            device=context.labels[machine(record)],
            use=f"forward, batch {record.batch_size}",
            flops_per_second=(info.useful_forward_flops or info.forward_flops) * record.batch_size / seconds,
            bytes_per_second=BYTES * numbers / seconds,
            peak=peak,
        )
