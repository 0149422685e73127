"""The chapter on accuracy against training time, and on the cost of the gain."""

from dataclasses import replace
from operator import truediv

import numpy as np

from fashionbench import units
from fashionbench.catalogue import model_label
from fashionbench.judging.findings import DeviceVerdict
from fashionbench.judging.prices import predictions_cost
from fashionbench.judging.rule import NO_MONEY
from fashionbench.judging.statistics.gains import POWER, accuracy_interval
from fashionbench.judging.statistics.intervals import Estimate, Interval
from fashionbench.judging.statistics.times import mean_minutes
from fashionbench.records.record import InferenceRecord
from fashionbench.report.context import (
    Context,
    accuracy_digits,
    model_cell,
    number_cell,
    per_device,
    results_of,
    text_cell,
)
from fashionbench.report.frames import HIGH, LABEL, LOW, MODEL
from fashionbench.report.front.card import NOT_APPLICABLE
from fashionbench.report.front.decision import draw_accuracy, mean_accuracies
from fashionbench.report.view import Block, CaptionedFigure, Cell, ContentBlock, Table

__all__ = ["accuracy_against_time", "make_summary"]


def accuracy_against_time(context: Context) -> tuple[Block, ...]:
    """Show accuracy against training minutes where the first page does not, the summary tables, and the gain's cost."""
    tables = [each for each in (_cost_table(context), _money_table(context)) if each is not None]
    return (*per_device(context, _figure_on), *make_summary(context), *tables)


def _figure_on(context: Context, device: str) -> tuple[ContentBlock, ...]:
    models, verdict = context.models_on(device), context.verdict
    judged = context.verdict_on(device)
    if verdict is not None and judged is verdict.devices[0] and len(models) == len(context.pair_on(device)):
        return ()  # the first page has this figure
    explanation = (
        "Each small marker is one training. The large open marker is the mean of a model, its line the 95 % confidence "
        f"interval of that model’s {context.score_name} alone."
    )
    if judged is not None and verdict is not None:
        caption = judged.sentence
        explanation += (
            f" Above the shaded band, the gain over {model_label(verdict.small)} exceeds the margin. The verdict rests "
            "on the paired difference on the first page, and not on these intervals."
        )
    elif len(models) > 1:
        caption = (
            "The smallest and the largest model did not finish with the same seed on this device, so the gain has no "
            "confidence interval."
        )
    else:
        means = mean_accuracies(context, device, models)
        low, high = (units.percent(float(means[end].iloc[0])) for end in (LOW, HIGH))
        name = context.styles[means[MODEL].iloc[0]].name
        caption = f"{name} reaches {means[LABEL].iloc[0]} (95 % CI {units.bare(low)} to {high})."
    drawing = draw_accuracy(context, device, models, is_wide=True)
    return (CaptionedFigure(caption=caption, drawings=(drawing,), explanation=explanation),)


def make_summary(context: Context) -> tuple[Table, ...]:
    """Return one table for each device with cost and scores of each model; the last table has the note."""
    tables = [_summary_on(context, device) for device in context.devices]
    return (*(replace(each, note="") for each in tables[:-1]), *tables[-1:])


def _summary_on(context: Context, device: str) -> Table:
    trainings, unit, judged = context.trainings_on(device), context.time_unit(device), context.verdict_on(device)
    digits = accuracy_digits(judged) if judged else 1
    rows = []
    for model in context.models_on(device):
        results = results_of(trainings, model)
        info = next(each.model_info for each in trainings if each.model == model)
        accuracy = accuracy_interval(results, context.score)
        half = (accuracy.high - accuracy.low) / 2
        peaks = [each.peak_device_bytes or each.peak_host_bytes for each in results]
        macro_f1 = float(np.mean([each.scores.macro_f1 for each in results]))
        rows.append(
            (
                model_cell(context.styles[model]),
                number_cell(unit.number(mean_minutes(results))),
                number_cell(
                    f"{units.bare(units.percent(accuracy.estimate, digits))} ± "
                    f"{units.bare(units.percent(half, digits))}"
                ),
                number_cell(units.bare(units.percent(macro_f1, digits))),
                number_cell(units.millions(info.parameters if info else None)),
                number_cell(units.bare(units.mebibytes(max(peaks)))),
                number_cell(units.count(len(results))),
            )
        )
    on_accelerator = any(each.result.peak_device_bytes for each in trainings if each.result)
    name = next(each.device_name for each in trainings)
    return Table(
        caption=f"Results on {device}" if name in device else f"Results on {device} ({name})",
        header=(
            *("model", f"training, {unit.name}", f"{context.score_name}, %", "macro F1, %", "parameters"),
            "peak device memory, MiB" if on_accelerator else "peak memory of the process, MiB",
            "seeds",
        ),
        rows=tuple(rows),
        note="Training times are geometric means over seeds, scores are means. "
        * (len({each.seed for each in trainings}) > 1)
        + f"{context.score_name.capitalize()} is measured on the test images, ± half the width of this model’s own "
        "95 % confidence interval, which is not paired. "
        + (
            "Device memory is what the process of a training allocated on the accelerator, from building the model to "
            "scoring."
            if on_accelerator
            else "Memory is the peak of a training’s whole process, with Python, PyTorch and the images, not of the "
            "model alone."
        ),
    ).without_constant("seeds")


def _cost_table(context: Context) -> Table | None:
    """Tabulate gain, slowdown and price of each judged device; None if there is no verdict."""
    if context.verdict is None:
        return None
    devices = context.verdict.devices
    has_price = any(each.price_minutes_per_pp for each in devices)
    return Table(
        caption="Training cost",
        header=(
            "device",
            *(["verdict"] if context.verdict.is_result else []),
            *("gain, pp (95 % CI)", "slowdown, × (95 % CI)", "extra training time"),
            *(["price, min per pp (95 % CI)"] if has_price else []),
            "detectable gain, pp",
        ),
        rows=tuple(
            (
                text_cell(each.device),
                *([text_cell(each.state.capitalize())] if context.verdict.is_result else []),
                *_gain_cells(context, each),
                *([number_cell(_price_text(each))] if has_price else []),
                number_cell(units.bare(units.pp(each.detectable_gain)).removeprefix("+")),
            )
            for each in devices
        ),
        note=f"The detectable gain is the smallest true gain that a run like this one finds to be above zero with "
        f"{units.percent(POWER, 0)} power. The intervals cover other seeds and other test images of the same kind, not "
        "other machines, data or recipes."
        + (
            f" {NOT_APPLICABLE}: the gain is not significantly above zero, or the extra time is not known or zero."
            if has_price and not all(each.price_minutes_per_pp for each in devices)
            else ""
        ),
    ).without_constant("device")


def _gain_cells(context: Context, judged: DeviceVerdict) -> tuple[Cell, ...]:
    """Return the cells of gain, slowdown and extra time; the price follows from the first and the last."""
    gain, slowdown, price = judged.gain, judged.slowdown, judged.price_minutes_per_pp
    digits, extra = 1, judged.big_minutes - judged.small_minutes
    text = context.time_unit(judged.device).show(extra)
    if price is not None:
        digits = units.digits_to_follow((extra, 100 * gain.estimate), truediv, lambda each: units.fixed(each, 1))
        text = units.minutes(extra, digits)
    return (
        number_cell(
            units.with_interval(units.pp(gain.estimate, digits), units.interval_pp(gain.low, gain.high, digits))
        ),
        number_cell(_slowdown_text(slowdown)),
        number_cell(text),
    )


def _slowdown_text(slowdown: Interval | Estimate) -> str:
    if not isinstance(slowdown, Interval):
        return units.bare(units.ratio(slowdown.estimate))
    estimate = units.ratio(slowdown.estimate, units.ratio_digits(slowdown.high))
    return units.with_interval(estimate, units.interval_ratio(slowdown.low, slowdown.high))


def _price_text(judged: DeviceVerdict) -> str:
    price = judged.price_minutes_per_pp
    if price is None:
        return NOT_APPLICABLE
    low, high = units.fixed(price.low, 1), units.fixed(price.high, 1)
    return f"{units.bare(units.price(price.estimate))} ({low} to {high})"


def _money_table(context: Context) -> Table | None:
    """Tabulate the cost of trainings and predictions in money; None if the user gave no price per hour."""
    money = context.verdict.thresholds.money if context.verdict else NO_MONEY
    forward: dict[tuple[str, str, str], InferenceRecord] = {}
    for each in context.records:
        if isinstance(each, InferenceRecord):  # the largest batch comes last
            forward[each.model, each.device, each.device_name] = each
    rows = []
    for device in context.devices:
        trainings = context.trainings_on(device)
        rate = money.rate(trainings[0].device)
        if rate is None:
            continue
        for model in context.models_on(device):
            minutes = mean_minutes(results_of(trainings, model))
            timed = forward.get((model, trainings[0].device, trainings[0].device_name))
            cost = predictions_cost(timed, rate) if timed else None
            rows.append(
                (
                    model_cell(context.styles[model]),
                    text_cell(device),
                    number_cell(units.money(rate)),
                    number_cell(units.money(minutes / 60 * rate)),
                    number_cell(units.money(cost)),
                )
            )
    if not rows:
        return None
    limit = f" The limit is {units.money(money.per_pp)} per percentage point." if money.per_pp is not None else ""
    return Table(
        caption="Cost in money",
        header=("model", "device", "per hour", "per training", "per million predictions"),
        rows=tuple(rows),
        note=f"In the currency of --price-per-hour. Predictions use the largest batch size that was timed.{limit}",
    ).without_constant("device", "per hour")
