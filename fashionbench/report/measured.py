"""The chapters on cost, the models themselves, inference and the study's claims."""

from dataclasses import replace

import numpy as np
import pandas as pd

from fashionbench.record import InferenceRecord, TrainingResult
from fashionbench.report import plots, units
from fashionbench.report.claims import check_claims
from fashionbench.report.limits import limits
from fashionbench.report.material import (
    Material,
    accuracy_interval,
    bare,
    cell,
    draw,
    per_device,
    results_of,
    words,
)
from fashionbench.report.money import predictions_cost
from fashionbench.report.tables import (
    ACCURACY,
    BASELINES,
    BATCH,
    DEVICE,
    HIGH,
    LABEL,
    LOW,
    MINUTES,
    MODEL,
    SECONDS,
    inference,
    runs,
)
from fashionbench.report.verdict import NO_MONEY, DeviceVerdict
from fashionbench.report.view import Block, Cell, Exhibit, Shown, Table

__all__ = ["claims", "cost", "inference_times", "models", "summary"]


def _mean_minutes(results: list[TrainingResult]) -> float:
    """Return the geometric mean of training minutes, the verdict's own statistic."""
    return float(np.exp(np.mean([np.log(max(each.train_seconds, 1e-9) / 60) for each in results])))


def summary(material: Material) -> tuple[Table, ...]:
    """Return a table a device: what each model cost and scored; the last one carries the note."""
    tables = [_summary_on(material, device) for device in material.devices]
    return (*(replace(each, note="") for each in tables[:-1]), *tables[-1:])


def _summary_on(material: Material, device: str) -> Table:
    trainings = material.on(device)
    minutes = {model: _mean_minutes(results_of(trainings, model)) for model in material.models_on(device)}
    digits = units.minutes_digits(*minutes.values())
    rows = []
    for model, mean in minutes.items():
        results = results_of(trainings, model)
        info = next(each.model_info for each in trainings if each.model == model)
        accuracy = accuracy_interval(results)
        half = (accuracy.high - accuracy.low) / 2
        peaks = [each.peak_device_bytes or each.peak_host_bytes for each in results]
        rows.append(
            (
                Cell(text=material.looks[model].name, look=material.looks[model], words=True),
                cell(bare(units.minutes(mean, digits))),
                cell(f"{bare(units.percent(accuracy.estimate))} ± {bare(units.percent(half))}"),
                cell(bare(units.percent(float(np.mean([each.scores.macro_f1 for each in results]))))),
                cell(units.millions(info.parameters if info else None)),
                cell(units.millions(info.reachable_parameters if info else None)),
                cell(units.megaflops(info.training_flops if info else None)),
                cell(units.mebibytes(max(peaks))),
                cell(units.count(len(results))),
            )
        )
    on_accelerator = any(each.peak_device_bytes for model in minutes for each in results_of(trainings, model))
    name = next(each.device_name for each in trainings)
    return Table(
        caption=f"On {device}: {name}" if name not in device else f"On {device}",
        head=(
            *("model", "minutes", "accuracy, %", "macro F1, %", "parameters", "reachable", "MFLOP"),
            "peak, device" if on_accelerator else "peak memory",
            "seeds",
        ),
        rows=tuple(rows),
        note="Training minutes are the geometric mean over seeds; accuracy the mean on the test images ± half its 95 % "
        "interval. Reachable parameters are those that an image of this size can ever change; MFLOP are those of one "
        "image, forward and backward.",
    )


def cost(material: Material) -> tuple[Block, ...]:
    """Show accuracy against minutes for every device, and what each model took and what a gained point costs."""
    tables = [each for each in (_cost_table(material), _money_table(material)) if each is not None]
    return (*per_device(material, _front), *summary(material), *tables)


def _front(material: Material, device: str) -> tuple[Shown, ...]:
    frame = runs(material.records)
    frame = frame[(frame[DEVICE] == device) & frame[MINUTES].notna()]
    trainings = material.on(device)
    rows = []
    for model in material.models_on(device):
        results = results_of(trainings, model)
        accuracy = accuracy_interval(results)
        rows.append(
            {
                MODEL: model,
                MINUTES: (minutes := _mean_minutes(results)),
                ACCURACY: accuracy.estimate,
                LOW: accuracy.low,
                HIGH: accuracy.high,
                LABEL: f"{units.percent(accuracy.estimate)} in {units.minutes(minutes, units.minutes_digits(minutes))}",
            }
        )
    judged, verdict = material.judged(device), material.verdict
    margin = None
    reading = (
        "Each light mark is one training; the large one is a model's mean, its cross the 95 % interval of accuracy "
    )
    reading += "and the range of minutes. "
    finding = "One model alone: nothing to compare its minutes with."
    if judged is not None and verdict is not None:
        width = units.pp(verdict.thresholds.margin).removeprefix("+")
        margin = judged.small_accuracy, judged.small_accuracy + verdict.thresholds.margin, f"margin\n{width}"
        small, big = material.looks[verdict.small].name, material.looks[verdict.big].name
        finding = f"{big} {_side(judged)} {small} and {_height(judged)}."
        reading += f"Above the band a gain over {small} exceeds your margin of {width}."
    elif len(rows) > 1:
        finding = "These models share no seed, so that their gain has no interval."
    drawn = plots.accuracy_minutes(frame, pd.DataFrame(rows), material.looks, margin=margin)
    title = f"Test accuracy against training minutes on {device}"
    return (Exhibit(finding=finding, drawings=(draw(drawn, key=f"front-{device}", title=title),), reading=reading),)


def _side(judged: DeviceVerdict) -> str:
    slowdown = judged.slowdown
    if slowdown.low > 1:
        return "sits to the right of"
    return "sits to the left of" if slowdown.high < 1 else "takes about the minutes of"


def _height(judged: DeviceVerdict) -> str:
    if judged.gain.low > 0:
        return "surely higher"
    return "surely lower" if judged.gain.high < 0 else "not surely higher"


def _cost_table(material: Material) -> Table | None:
    if material.verdict is None:
        return None
    devices = material.verdict.devices
    return Table(
        caption="What the gain costs",
        head=("device", "verdict", "gain, pp (95 %)", "slowdown, × (95 %)", "extra min", "min per pp"),
        rows=tuple(
            (
                words(each.device),
                words(each.state.capitalize()),
                cell(_with_interval(units.pp(each.gain.estimate), units.interval_pp(each.gain.low, each.gain.high))),
                cell(
                    _with_interval(
                        units.ratio(each.slowdown.estimate),
                        units.interval_ratio(each.slowdown.low, each.slowdown.high),
                    )
                ),
                cell(bare(units.minutes(each.big_minutes - each.small_minutes))),
                cell(bare(units.price(each.price_minutes_per_pp.estimate if each.price_minutes_per_pp else None))),
            )
            for each in devices
        ),
        note="Minutes per percentage point are given only where the gain surely exceeds zero. The smallest true gain "
        "that a run like this one finds to be above zero in four cases of five: "
        + ", ".join(f"{units.pp(each.detectable_gain).removeprefix('+')} on {each.device}" for each in devices)
        + ".",
    )


def _money_table(material: Material) -> Table | None:
    """Tabulate what trainings and predictions cost, where the user told the price of an hour."""
    money = material.verdict.thresholds.money if material.verdict else NO_MONEY
    forward: dict[tuple[str, str, str], InferenceRecord] = {}
    for each in material.records:
        if isinstance(each, InferenceRecord):  # the largest batch comes last
            forward[each.model, each.device, each.device_name] = each
    rows = []
    for device in material.devices:
        trainings = material.on(device)
        rate = money.rate(trainings[0].device)
        if rate is None:
            continue
        for model in material.models_on(device):
            minutes = _mean_minutes(results_of(trainings, model))
            timed = forward.get((model, trainings[0].device, trainings[0].device_name))
            cost = predictions_cost(timed, rate) if timed else None
            rows.append(
                (
                    Cell(text=material.looks[model].name, look=material.looks[model], words=True),
                    words(device),
                    cell(units.fixed(rate, 2)),
                    cell(units.money(minutes / 60 * rate)),
                    cell(units.money(cost)),
                )
            )
    if not rows:
        return None
    limit = f" A percentage point may cost {units.money(money.per_pp)}." if money.per_pp is not None else ""
    return Table(
        caption="In money",
        head=("model", "device", "an hour", "a training", "a million predictions"),
        rows=tuple(rows),
        note=f"In the money of --price-per-hour. Predictions at the largest batch that was timed.{limit}",
    )


def _with_interval(estimate: str, interval: str) -> str:
    return f"{bare(estimate)} ({bare(interval)})"


def models(material: Material) -> tuple[Block, ...]:
    """Set the models beside each other: what they are, whatever they learned."""
    known = {each.model: each for each in reversed(material.trainings)}
    rows = []
    for model in (each for each in material.looks if each in known):
        info = known[model].model_info
        batches = sorted({each.recipe.batch_size_for(model) for each in material.trainings})
        rows.append(
            (
                Cell(text=material.looks[model].name, look=material.looks[model], words=True),
                cell(units.count(info.layers if info else None)),
                cell(units.count(info.parameters if info else None)),
                cell(units.count(info.reachable_parameters if info else None)),
                cell(bare(units.percent(info.reachable_parameters / max(info.parameters, 1) if info else None, 0))),
                cell(units.fixed(info.forward_flops / 1e6 if info else None, 1)),
                cell(units.fixed(info.training_flops / 1e6 if info else None, 1)),
                cell(units.MISSING if model in BASELINES else ", ".join(map(units.count, batches))),
            )
        )
    limit = limits(material)
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


def inference_times(material: Material) -> tuple[Block, ...]:
    """Tabulate latency and throughput of the forward pass."""
    frame = inference(material.records)
    frame = frame[frame[SECONDS].notna()]
    if frame.empty:
        return ()
    order = {model: place for place, model in enumerate(material.looks)}
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
                    Cell(text=material.looks[model].name, look=material.looks[model], words=True),
                    words(device),
                    cell(units.count(batch)),
                    cell(bare(units.milliseconds(median))),
                    cell(f"{bare(units.milliseconds(low))} to {bare(units.milliseconds(high))}"),
                    cell(units.count(batch / median)),
                )
                for device, batch, model, median, low, high in rows
            ),
            note="Median of the timed rounds and their first and third quartile. Batch 1 is the latency of a single "
            "image, the large batch the throughput.",
        ),
    )


def claims(material: Material) -> tuple[Block, ...]:
    """Hold the study's statements against the measurement."""
    held = check_claims(material.records, material.verdict) if material.verdict else ()
    if not held:
        return ()
    return (
        Table(
            caption="Held against this run",
            head=("statement", "here", "measured"),
            rows=tuple(
                (words(each.statement), words(each.outcome.capitalize()), words(each.evidence)) for each in held
            ),
        ),
    )
