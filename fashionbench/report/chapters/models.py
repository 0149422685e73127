"""The chapters on model sizes and inference: parameters, operations, share of peak performance, latency, throughput."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from fashionbench import units
from fashionbench.catalogue import is_baseline
from fashionbench.records.grouping import machine
from fashionbench.records.record import InferenceRecord, Peak, TrainingRecord
from fashionbench.report.context import Context, model_cell, number_cell, text_cell
from fashionbench.report.frames import BATCH, DEVICE, HIGH, LOW, MODEL, SECONDS, inference
from fashionbench.report.view import Block, Table

__all__ = ["inference_times", "model_sizes", "peak_share_table"]


def model_sizes(context: Context) -> tuple[Block, ...]:
    """Tabulate parameters and operations of each model, and the share of peak performance that its cases reach."""
    known = {each.model: each for each in reversed(context.trainings)}
    rows = []
    for model in (each for each in context.styles if each in known):
        info = known[model].model_info
        batches = sorted({each.recipe.for_model(model).batch_size for each in context.trainings})
        rows.append(
            (
                model_cell(context.styles[model]),
                number_cell(units.count(info.layers if info else None)),
                number_cell(units.count(info.parameters if info else None)),
                number_cell(units.count(info.reachable_parameters if info else None)),
                number_cell(
                    units.bare(units.percent(info.reachable_parameters / max(info.parameters, 1) if info else None, 0))
                ),
                number_cell(units.fixed(info.forward_flops / 1e6 if info else None, 1)),
                number_cell(units.fixed(info.training_flops / 1e6 if info else None, 1)),
                number_cell(units.MISSING if is_baseline(model) else ", ".join(map(units.count, batches))),
            )
        )
    peak_shares = peak_share_table(context)
    return (
        Table(
            caption="Parameters and operations",
            header=(
                *("model", "layers", "parameters", "reachable", "reachable, %", "forward, MFLOP"),
                *("training, MFLOP", "batch size"),
            ),
            rows=tuple(rows),
            note="Layers are convolutional and linear layers. Operations are for one image; a multiplication and an "
            "addition count as two. Parameters that are not reachable only multiply zero padding at this image size: "
            "they use memory and learn nothing.",
        ),
        *([peak_shares] if peak_shares else []),
    )  # fmt: skip


def inference_times(context: Context) -> tuple[Block, ...]:
    """Tabulate latency and throughput of the forward pass."""
    frame = inference(context.records)
    frame = frame[frame[SECONDS].notna()]
    if frame.empty:
        return ()
    order = list(context.styles)
    rows = sorted(
        frame[[DEVICE, BATCH, MODEL, SECONDS, LOW, HIGH]].itertuples(index=False, name=None),
        key=lambda row: (row[0], row[1], order.index(row[2])),
    )
    return (
        Table(
            caption="Latency and throughput of the forward pass",
            header=("model", "device", "batch size", "ms per batch", "25th–75th percentile", "images/s"),
            rows=tuple(
                (
                    model_cell(context.styles[model]),
                    text_cell(device),
                    number_cell(units.count(batch)),
                    number_cell(units.bare(units.milliseconds(median))),
                    number_cell(f"{units.bare(units.milliseconds(low))} to {units.bare(units.milliseconds(high))}"),
                    number_cell(units.count(batch / median)),
                )
                for device, batch, model, median, low, high in rows
            ),
            note="Median of the timed rounds, with its 25th and 75th percentile. Batch size 1 shows the latency of a "
            "single image, the large batch size the throughput.",
        ),
    )


BYTES: Final = 4
"""Bytes of a number in memory; with bf16, weights and moments stay in single precision."""

STEP_PASSES: Final = 10
"""Minimum number of times that a training step reads or writes each weight: read forward and backward, its gradient
written; Adam reads gradient, weight and both moments, and writes all but the gradient."""

TRAINING_PASSES: Final = 4
"""Minimum number of times that a training reads or writes each activation: it and its gradient, each once."""

FORWARD_PASSES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Workload:
    model: str
    device: str
    description: str
    flops_per_second: float
    bytes_per_second: float
    peak: Peak

    @property
    def peak_share(self) -> float:
        return self.flops_per_second / max(self.peak.product_flops_per_second, self.peak.convolution_flops_per_second)

    @property
    def bandwidth_share(self) -> float:
        return self.bytes_per_second / self.peak.copy_bytes_per_second


def peak_share_table(context: Context) -> Table | None:
    """Tabulate the share of peak performance of each training and inference case; None if no peak was measured."""
    workloads = [*_training_workloads(context), *_inference_workloads(context)]
    if not workloads:
        return None
    peaks = {each.device: each.peak for each in workloads}
    rates = "; ".join(
        f"{device}: {units.fixed(peak.product_flops_per_second / 1e9, 0)} GFLOP/s in matrix products, "
        f"{units.fixed(peak.convolution_flops_per_second / 1e9, 0)} in convolutions, "
        f"{units.fixed(peak.copy_bytes_per_second / 1e9, 0)} GB/s in copies"
        for device, peak in peaks.items()
    )
    return Table(
        caption="Share of peak performance",
        header=("model", "device", "workload", "GFLOP/s", "of peak, %", "of bandwidth, %", "limited by"),
        rows=tuple(
            (
                model_cell(context.styles[each.model]),
                text_cell(each.device),
                text_cell(each.description),
                number_cell(units.fixed(each.flops_per_second / 1e9, 1)),
                number_cell(units.fixed(100 * each.peak_share, 0)),
                number_cell(units.fixed(100 * each.bandwidth_share, 0)),
                text_cell("arithmetic" if each.peak_share >= each.bandwidth_share else "memory"),
            )
            for each in workloads
        ),
        note="Only operations on data count, not those on zero padding. Memory traffic is a lower bound: each weight "
        "and activation once per use. The remaining time goes to layout changes, kernel launches and waiting. Peaks, "
        f"measured before the first case: {rates}.",
    )


def _training_workloads(context: Context) -> Iterator[_Workload]:
    """Return one workload for each model and device: that of the middle seed."""
    for device in context.devices:
        for model in context.models_on(device):
            cases = [each for each in context.trainings_on(device) if each.model == model]
            found = [workload for each in cases if (workload := _training_workload(each, device)) is not None]
            if found:
                yield found[len(found) // 2]


def _training_workload(record: TrainingRecord, device: str) -> _Workload | None:
    info, peak, result = record.model_info, record.peak, record.result
    if result is None or peak is None or info is None or not info.training_flops or not result.train_seconds:
        return None
    recipe = record.recipe.for_model(record.model)
    images = record.data.train_images * recipe.epochs
    steps = math.ceil(record.data.train_images / recipe.batch_size) * recipe.epochs
    numbers = STEP_PASSES * info.reachable_parameters * steps + TRAINING_PASSES * (info.activations or 0) * images
    return _Workload(
        model=record.model,
        device=device,
        description=f"training, batch {recipe.batch_size}",
        flops_per_second=(info.useful_training_flops or info.training_flops) * images / result.train_seconds,
        bytes_per_second=BYTES * numbers / result.train_seconds,
        peak=peak,
    )


def _inference_workloads(context: Context) -> Iterator[_Workload]:
    for record in context.records:
        info, peak = record.model_info, record.peak
        if not isinstance(record, InferenceRecord) or record.result is None or peak is None:
            continue
        if info is None or not info.forward_flops:  # a classical baseline
            continue
        seconds = float(np.median(record.result.seconds)) or math.inf
        numbers = info.reachable_parameters + FORWARD_PASSES * (info.activations or 0) * record.batch_size
        yield _Workload(
            model=record.model,
            device=context.labels[machine(record)],
            description=f"forward, batch {record.batch_size}",
            flops_per_second=(info.useful_forward_flops or info.forward_flops) * record.batch_size / seconds,
            bytes_per_second=BYTES * numbers / seconds,
            peak=peak,
        )
