"""The chapter on accuracy against training time, and on the cost of the gain."""

import pandas as pd

from fashionbench import units
from fashionbench.judging.intervals import POWER, accuracy_interval, mean_minutes
from fashionbench.judging.prices import predictions_cost
from fashionbench.judging.rule import NO_MONEY
from fashionbench.records.record import InferenceRecord
from fashionbench.report.context import (
    Context,
    draw,
    model_cell,
    number_cell,
    per_device,
    results_of,
    text_cell,
)
from fashionbench.report.figures import curves
from fashionbench.report.frames import ACCURACY, DEVICE, HIGH, LABEL, LOW, MINUTES, MODEL, runs
from fashionbench.report.front import NOT_APPLICABLE, make_summary
from fashionbench.report.view import Block, CaptionedFigure, ContentBlock, Table

__all__ = ["accuracy_against_time"]


def accuracy_against_time(context: Context) -> tuple[Block, ...]:
    """Show accuracy against training minutes on each device, the summary tables, and the cost of the gain."""
    tables = [each for each in (_cost_table(context), _money_table(context)) if each is not None]
    return (*per_device(context, _figure_on), *make_summary(context), *tables)


def _figure_on(context: Context, device: str) -> tuple[ContentBlock, ...]:
    frame = runs(context.records)
    frame = frame[(frame[DEVICE] == device) & frame[MINUTES].notna()]
    trainings = context.trainings_on(device)
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
    means = pd.DataFrame(rows)
    judged, verdict = context.verdict_on(device), context.verdict
    margin = None
    explanation = (
        "Each small marker is one training. The large marker is the mean of a model: its vertical line is the 95 % "
        "confidence interval of accuracy, its horizontal line the range of training minutes."
    )
    if judged is not None and verdict is not None:
        caption = judged.sentence
        width = units.pp(verdict.thresholds.margin).removeprefix("+")
        margin = judged.small_accuracy, judged.small_accuracy + verdict.thresholds.margin, f"margin\n{width}"
        small = context.styles[verdict.small].name
        explanation += f" Above the shaded band, the gain over {small} exceeds the margin of {width}."
    elif len(rows) > 1:
        caption = (
            "The smallest and the largest model did not finish with the same seed on this device, so the gain has no "
            "confidence interval."
        )
    else:
        (style,) = (context.styles[model] for model in means[MODEL])
        low, high = (units.percent(float(means[end].iloc[0])) for end in (LOW, HIGH))
        caption = f"{style.name} reaches {means[LABEL].iloc[0]} (95 % CI {units.bare(low)} to {high})."
    figure = curves.accuracy_minutes(frame, means, context.styles, margin=margin)
    title = f"Test accuracy against training minutes on {device}"
    drawing = draw(figure, key=f"accuracy-{device}", title=title)
    return (CaptionedFigure(caption=caption, drawings=(drawing,), explanation=explanation),)


def _cost_table(context: Context) -> Table | None:
    """Tabulate gain, slowdown and price of each judged device; None if there is no verdict."""
    if context.verdict is None:
        return None
    devices = context.verdict.devices
    return Table(
        caption="Training cost of the gain",
        header=("device", "verdict", "gain, pp (95 % CI)", "slowdown, × (95 % CI)", "extra min", "min per pp"),
        rows=tuple(
            (
                text_cell(each.device),
                text_cell(each.state.capitalize()),
                number_cell(
                    units.with_interval(units.pp(each.gain.estimate), units.interval_pp(each.gain.low, each.gain.high))
                ),
                number_cell(
                    units.with_interval(
                        units.ratio(each.slowdown.estimate),
                        units.interval_ratio(each.slowdown.low, each.slowdown.high),
                    )
                ),
                number_cell(units.bare(units.minutes(each.big_minutes - each.small_minutes))),
                number_cell(
                    units.bare(units.price(each.price_minutes_per_pp.estimate))
                    if each.price_minutes_per_pp
                    else NOT_APPLICABLE
                ),
            )
            for each in devices
        ),
        note=(
            f"{NOT_APPLICABLE}: the gain is not significantly above zero, or the big model takes no extra time. "
            if any(each.price_minutes_per_pp is None for each in devices)
            else ""
        )
        + f"Smallest true gain that a run like this one detects with {units.percent(POWER, 0)} power: "
        + ", ".join(f"{units.pp(each.detectable_gain).removeprefix('+')} on {each.device}" for each in devices)
        + ".",
    )


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
                    number_cell(units.fixed(rate, 2)),
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
    )
