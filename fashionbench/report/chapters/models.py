"""The chapters on model sizes and speed: parameters, operations, latency, throughput, share of peak performance."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from fashionbench import units
from fashionbench.catalogue import is_baseline
from fashionbench.judging.statistics.times import mean_minutes
from fashionbench.records.grouping import machine
from fashionbench.records.record import InferenceRecord, ModelInfo, Peak, TrainingRecord
from fashionbench.report.context import Context, model_cell, number_cell, results_of, text_cell
from fashionbench.report.view import Block, Cell, DeviceSubsection, Table

__all__ = ["model_sizes", "speed"]

BYTES: Final = 4
"""Bytes of a number in memory; with bf16, weights and moments stay in single precision."""

STEP_PASSES: Final[Mapping[str, int]] = MappingProxyType({"adam": 10, "adamw": 10, "sgd": 6})
"""Minimum number of times that a training step reads or writes each weight: read forward and backward, its gradient
written; Adam reads gradient, weight and both moments, and writes all but the gradient; SGD has no moments."""

TRAINING_PASSES: Final = 4
"""Minimum number of times that a training reads or writes each activation: it and its gradient, each once."""

FORWARD_PASSES: Final = 2


def model_sizes(context: Context) -> tuple[Block, ...]:
    """Tabulate parameters and operations of each model."""
    known = {each.model: each for each in reversed(context.trainings)}
    rows = []
    for model in (each for each in context.styles if each in known):
        info = known[model].model_info
        batches = sorted({each.recipe.for_model(model).batch_size for each in context.trainings})
        share = info.reachable_parameters / max(info.parameters, 1) if info else None
        rows.append(
            (
                model_cell(context.styles[model]),
                number_cell(units.count(info.layers if info else None)),
                number_cell(units.count(info.parameters if info else None)),
                number_cell(units.count(info.reachable_parameters if info else None)),
                number_cell(units.bare(units.percent(share, 0))),
                number_cell(_megaflops(_forward_flops(info))),
                number_cell(_megaflops(_training_flops(info))),
                number_cell(units.MISSING if is_baseline(model) else ", ".join(map(units.count, batches))),
            )
        )
    return (
        Table(
            caption="Parameters and operations",
            header=(
                *("model", "layers", "parameters", "reachable", "reachable, %", "forward, MFLOP"),
                *("training, MFLOP", "batch size"),
            ),
            rows=tuple(rows),
            note="Layers are convolutional and linear layers, those of shortcuts included. Operations are per image; "
            "a multiplication and an addition count as two, and operations on zero padding are left out. Parameters "
            "that are not reachable only multiply zero padding at this image size: they use memory and learn nothing."
            + "".join(f" {each}." for each in _odd_models(context, known)),
        ),
    )  # fmt: skip


def _odd_models(context: Context, known: Mapping[str, TrainingRecord]) -> Iterator[str]:
    """Return a sentence on each model that was not built by its name alone, or of which not all weights are trained."""
    for model, record in known.items():
        info, name = record.model_info, context.styles[model].name
        if info is not None and info.built:
            yield f"{name}: {info.built}"
        if info is not None and info.trained_parameters is not None and info.trained_parameters < info.parameters:
            yield (
                f"{name}: {units.count(info.trained_parameters)} of {units.count(info.parameters)} parameters are "
                "trained, the others are frozen"
            )


def _forward_flops(info: ModelInfo | None) -> int | None:
    return (info.useful_forward_flops or info.forward_flops) if info else None


def _training_flops(info: ModelInfo | None) -> int | None:
    return (info.useful_training_flops or info.training_flops) if info else None


def _megaflops(flops: int | None) -> str:
    return units.fixed(flops / 1e6, 1) if flops else units.MISSING


LIMITING_SHARE: Final = 0.3
"""Of the peak or of the bandwidth: a workload with a smaller share of both is limited by neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Workload:
    """One row of the table: a training or a forward pass of a model on a device."""

    model: str
    description: str
    batch: int
    batch_seconds: float
    quartiles: tuple[float, float] | None
    flops: int | None
    """Of an image."""
    numbers: float
    """Numbers read or written in memory for a batch, at least."""
    peak: Peak | None

    def cells(self, context: Context, peak: Peak | None) -> Iterator[Cell]:
        """Yield the cells of the row; each rate follows from the shown numbers to its left, and the device's peak."""
        milliseconds = units.significant(1000 * self.batch_seconds)
        rate = units.significant(1000 * self.batch / _read(milliseconds))
        quartiles = [units.significant(1000 * each) for each in self.quartiles or ()]
        yield model_cell(context.styles[self.model])
        yield text_cell(self.description)
        yield number_cell(milliseconds + (f" ({' to '.join(quartiles)})" if quartiles else ""))
        yield number_cell(rate)
        if peak is None:
            return
        if self.peak is None or not self.flops:
            yield from [number_cell(units.MISSING)] * 4
            yield text_cell(units.MISSING)
            return
        megaflops = _megaflops(self.flops)
        gigaflops = units.significant(_read(megaflops) * _read(rate) / 1000)
        share = _read(gigaflops) / _read(_gigaflops_peak(peak))
        bandwidth = BYTES * self.numbers / self.batch_seconds / peak.copy_bytes_per_second
        yield number_cell(megaflops)
        yield number_cell(gigaflops)
        yield number_cell(units.fixed(100 * share, 0))
        yield number_cell(units.fixed(100 * bandwidth, 0))
        if float(units.fixed(max(share, bandwidth), 2)) < LIMITING_SHARE:
            yield text_cell("overhead")
        else:
            yield text_cell("arithmetic" if share >= bandwidth else "memory")


def _read(shown: str) -> float:
    return float(shown.replace(",", ""))


def _gigaflops_peak(peak: Peak) -> str:
    return units.fixed(_best_rate(peak) / 1e9, 0)


def _best_rate(peak: Peak) -> float:
    """Return the better of the two peaks: those of products and of convolutions."""
    return max(peak.product_flops_per_second, peak.convolution_flops_per_second)


def speed(context: Context) -> tuple[Block, ...]:
    """Tabulate time and throughput of trainings and forward passes and, where a peak was measured, the share of it."""
    found: dict[str, list[_Workload]] = {}
    for device in context.devices:
        found.setdefault(device, []).extend(_trainings_on(context, device))
    order = list(context.styles)
    timed = [each for each in context.records if isinstance(each, InferenceRecord) and each.result is not None]
    for each in sorted(timed, key=lambda each: (each.batch_size, order.index(each.model))):
        found.setdefault(context.labels[machine(each)], []).append(_forward_pass(each))
    tables = {device: _tabulate(context, workloads) for device, workloads in found.items() if workloads}
    if len(tables) == 1:
        return tuple(tables.values())
    return tuple(DeviceSubsection(device=device, blocks=(table,)) for device, table in tables.items())


def _tabulate(context: Context, workloads: list[_Workload]) -> Table:
    peaks = [each.peak for each in workloads if each.peak is not None and each.flops]
    peak = max(peaks, key=_best_rate, default=None)  # a run that was continued measured it again
    peak_header = ("MFLOP/image", "GFLOP/s", "% of peak", "% of bandwidth", "limited by")
    return Table(
        caption="Time and throughput of a batch",
        header=(
            *("model", "workload", "ms per batch (25th–75th percentile)", "images/s"),
            *(peak_header if peak else ()),
        ),
        rows=tuple(tuple(each.cells(context, peak)) for each in workloads),
        note="Training: the mean of all steps, from the training time. Forward: the median of the timed rounds, with "
        "their percentiles; batch size 1 shows the latency of a single image, the large batch size the throughput."
        + _describe_peak(peak),
    )


def _describe_peak(peak: Peak | None) -> str:
    if peak is None:
        return ""
    return (
        f" The peak is {_gigaflops_peak(peak)} GFLOP/s: the better of matrix products "
        f"({units.fixed(peak.product_flops_per_second / 1e9, 0)}) and convolutions "
        f"({units.fixed(peak.convolution_flops_per_second / 1e9, 0)}), measured before the run. The bandwidth is "
        f"{units.fixed(peak.copy_bytes_per_second / 1e9, 0)} GB/s, measured by copies; its share is a lower bound, "
        "because only what has to be moved is counted: each reachable weight, input and output once per use. "
        "Limited by: the larger of the two shares, or "
        f"overhead where both are under {units.percent(LIMITING_SHARE, 0)}. Overhead is everything else, such as "
        "changing layouts, starting operations and waiting."
    )


def _trainings_on(context: Context, device: str) -> Iterator[_Workload]:
    """Yield one workload for each model that took steps, from the mean time over its seeds."""
    trainings = context.trainings_on(device)
    for model in context.models_on(device):
        record = next(each for each in trainings if each.model == model)
        seconds = 60 * mean_minutes(results_of(trainings, model))
        if not is_baseline(model) and seconds:
            yield _training(record, seconds)


def _training(record: TrainingRecord, seconds: float) -> _Workload:
    info = record.model_info
    how = record.recipe.for_model(record.model)
    epochs, batch = how.epochs, how.batch_size
    images = record.data.train_images * epochs
    steps = math.ceil(record.data.train_images / batch) * epochs
    weights = STEP_PASSES[how.optimizer] * info.reachable_parameters * steps if info else 0
    activations = TRAINING_PASSES * (info.activations or 0) * images if info else 0
    return _Workload(
        model=record.model,
        description=f"training, batch {batch}",
        batch=batch,
        batch_seconds=seconds * batch / images,
        quartiles=None,
        flops=_training_flops(info),
        numbers=(weights + activations) * batch / images,
        peak=record.peak,
    )


def _forward_pass(record: InferenceRecord) -> _Workload:
    info, seconds = record.model_info, record.result.seconds if record.result else ()
    low, median, high = map(float, np.quantile(seconds, [0.25, 0.5, 0.75]))
    activations = FORWARD_PASSES * (info.activations or 0) * record.batch_size if info else 0
    return _Workload(
        model=record.model,
        description=f"forward, batch {record.batch_size}",
        batch=record.batch_size,
        batch_seconds=median or 1e-9,
        quartiles=(low, high),
        flops=_forward_flops(info),
        numbers=(info.reachable_parameters if info else 0) + activations,
        peak=record.peak,
    )
