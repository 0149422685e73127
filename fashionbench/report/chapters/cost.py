"""The chapter on accuracy against training time, and what the gain costs."""

import pandas as pd

from fashionbench import units
from fashionbench.judging.prices import predictions_cost
from fashionbench.judging.rule import NO_MONEY
from fashionbench.judging.verdict import DeviceVerdict
from fashionbench.records.record import InferenceRecord
from fashionbench.report.context import (
    Context,
    accuracy_interval,
    cell,
    draw,
    mean_minutes,
    per_device,
    results_of,
    words,
)
from fashionbench.report.figures import curves
from fashionbench.report.frames import ACCURACY, DEVICE, HIGH, LABEL, LOW, MINUTES, MODEL, runs
from fashionbench.report.front import summary
from fashionbench.report.view import Block, Cell, Exhibit, Shown, Table

__all__ = ["cost"]


def cost(context: Context) -> tuple[Block, ...]:
    """Show accuracy against minutes for every device, and what each model took and what a gained point costs."""
    tables = [each for each in (_cost_table(context), _money_table(context)) if each is not None]
    return (*per_device(context, _front), *summary(context), *tables)


def _front(context: Context, device: str) -> tuple[Shown, ...]:
    frame = runs(context.records)
    frame = frame[(frame[DEVICE] == device) & frame[MINUTES].notna()]
    trainings = context.on(device)
    rows = []
    for model in context.models_on(device):
        results = results_of(trainings, model)
        accuracy = accuracy_interval(results)
        rows.append(
            {
                MODEL: model,
                MINUTES: (minutes := mean_minutes(results)),
                ACCURACY: accuracy.estimate,
                LOW: accuracy.low,
                HIGH: accuracy.high,
                LABEL: f"{units.percent(accuracy.estimate)} in {units.minutes(minutes, units.minutes_digits(minutes))}",
            }
        )
    judged, verdict = context.judged(device), context.verdict
    margin = None
    reading = (
        "Each light mark is one training; the large one is a model's mean, its cross the 95 % interval of accuracy "
    )
    reading += "and the range of minutes. "
    finding = "One model alone: nothing to compare its minutes with."
    if judged is not None and verdict is not None:
        width = units.pp(verdict.thresholds.margin).removeprefix("+")
        margin = judged.small_accuracy, judged.small_accuracy + verdict.thresholds.margin, f"margin\n{width}"
        small, big = context.styles[verdict.small].name, context.styles[verdict.big].name
        finding = f"{big} {_side(judged)} {small} and {_height(judged)}."
        reading += f"Above the band a gain over {small} exceeds your margin of {width}."
    elif len(rows) > 1:
        finding = "These models share no seed, so that their gain has no interval."
    drawn = curves.accuracy_minutes(frame, pd.DataFrame(rows), context.styles, margin=margin)
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


def _cost_table(context: Context) -> Table | None:
    if context.verdict is None:
        return None
    devices = context.verdict.devices
    return Table(
        caption="What the gain costs",
        head=("device", "verdict", "gain, pp (95 %)", "slowdown, × (95 %)", "extra min", "min per pp"),
        rows=tuple(
            (
                words(each.device),
                words(each.state.capitalize()),
                cell(
                    units.with_interval(units.pp(each.gain.estimate), units.interval_pp(each.gain.low, each.gain.high))
                ),
                cell(
                    units.with_interval(
                        units.ratio(each.slowdown.estimate),
                        units.interval_ratio(each.slowdown.low, each.slowdown.high),
                    )
                ),
                cell(units.bare(units.minutes(each.big_minutes - each.small_minutes))),
                cell(
                    units.bare(units.price(each.price_minutes_per_pp.estimate if each.price_minutes_per_pp else None))
                ),
            )
            for each in devices
        ),
        note="Minutes per percentage point are given only where the gain surely exceeds zero. The smallest true gain "
        "that a run like this one finds to be above zero in four cases of five: "
        + ", ".join(f"{units.pp(each.detectable_gain).removeprefix('+')} on {each.device}" for each in devices)
        + ".",
    )


def _money_table(context: Context) -> Table | None:
    """Tabulate what trainings and predictions cost, where the user told the price of an hour."""
    money = context.verdict.thresholds.money if context.verdict else NO_MONEY
    forward: dict[tuple[str, str, str], InferenceRecord] = {}
    for each in context.records:
        if isinstance(each, InferenceRecord):  # the largest batch comes last
            forward[each.model, each.device, each.device_name] = each
    rows = []
    for device in context.devices:
        trainings = context.on(device)
        rate = money.rate(trainings[0].device)
        if rate is None:
            continue
        for model in context.models_on(device):
            minutes = mean_minutes(results_of(trainings, model))
            timed = forward.get((model, trainings[0].device, trainings[0].device_name))
            cost = predictions_cost(timed, rate) if timed else None
            rows.append(
                (
                    Cell(text=context.styles[model].name, style=context.styles[model], words=True),
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
