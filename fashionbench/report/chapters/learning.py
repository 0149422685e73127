"""The chapter on learning: training loss, validation accuracy, and accuracy at equal minutes."""

import numpy as np
import pandas as pd

from fashionbench import units
from fashionbench.records.record import TrainingRecord
from fashionbench.report.context import Context, cell, draw, per_device, results_of
from fashionbench.report.figures import curves as curve_figures
from fashionbench.report.frames import ACCURACY, EPOCH, HIGH, LOW, MINUTES, MODEL, epochs, step_losses
from fashionbench.report.view import Block, Cell, Exhibit, Shown, Table

__all__ = ["learning"]

MOST_PANELS = 4
"""Loss curves drawn a device; of more models only the pair that is compared."""


def learning(context: Context) -> tuple[Block, ...]:
    """Show the training loss over iterations, and validation accuracy over minutes and epochs."""
    return per_device(context, _learning_on)


def _learning_on(context: Context, device: str) -> tuple[Shown, ...]:
    trainings = _by_steps(context, device)
    if not trainings:
        return ()
    names = {model: style.name for model, style in context.styles.items()}
    curves = epochs(trainings)
    present = list(dict.fromkeys(each.model for each in trainings))
    drawn = present if len(present) <= MOST_PANELS else _pair(context, device)
    losses = step_losses([each for each in trainings if each.model in drawn])
    limits = max(float(losses[LOW].quantile(0.1)) * 0.8, 1e-6), float(losses[HIGH].max()) * 1.1
    ends, counts = [], []
    for model in drawn:
        arrays = [each.step_losses.array() for each in results_of(trainings, model)]
        recipe = next(each.recipe for each in trainings if each.model == model)
        last = np.concatenate([each[-max(1, len(each) // recipe.epochs_for(model)) :] for each in arrays])
        ends.append(f"{units.fixed(float(last.mean()), 3)} for {names[model]}")
        counts.append(f"{names[model]} {units.count(len(arrays[0]))} of {recipe.batch_size_for(model)} images")
    panels = tuple(
        draw(
            curve_figures.training_loss(losses[losses[MODEL] == model], context.styles[model], limits=limits),
            key=f"loss-{device}-{model}",
            title=f"Training loss of {names[model]} over iterations on {device}",
        )
        for model in drawn
    )
    validation = tuple(
        draw(
            curve_figures.validation_curve(curves, context.styles, over=over),
            key=f"validation-{device}-{over}",
            title=f"Validation accuracy over {over} on {device}",
        )
        for over in (MINUTES, EPOCH)
    )
    return (
        Exhibit(
            finding=f"Training loss in the last epoch: {', '.join(ends)}.",
            drawings=panels,
            reading="The line is the mean of equal stretches of iterations, one line a seed; the light band behind it "
            f"spans the single iterations, cut at the axis. Iterations: {', '.join(counts)}."
            + (" The other models' losses are not drawn." if len(drawn) < len(present) else ""),
        ),
        Exhibit(
            finding=_race(context, device, curves),
            drawings=validation,
            reading="Marks are the mean over seeds after each epoch, thin lines the seeds. On the left the same curve "
            "against the training clock, which decides what an hour buys.",
        ),
        *_fair_in_time(context, device, curves),
    )


def _by_steps(context: Context, device: str) -> list[TrainingRecord]:
    """Return the trainings on a device that took steps: a classical baseline is fitted in one go."""
    return [each for each in context.on(device) if each.result is not None and each.result.step_losses.shape[0]]


def _pair(context: Context, device: str) -> list[str]:
    """Return those of the two compared models that took steps; where neither did, the simplest that did."""
    present = list(dict.fromkeys(each.model for each in _by_steps(context, device)))
    return [each for each in context.pair_on(device) if each in present] or present[:1]


def _race(context: Context, device: str, curves: pd.DataFrame) -> str:
    """Say when the big model passes what the small one ends at, from the mean curves."""
    means = curves.groupby([MODEL, EPOCH])[[MINUTES, ACCURACY]].mean()
    pair = _pair(context, device)
    small = means.loc[pair[0]].iloc[-1]
    goal, minutes = float(small[ACCURACY]), float(small[MINUTES])
    first = context.styles[pair[0]].name
    if len(pair) == 1:
        return f"{first} ends at {units.percent(goal)} on the validation images."
    second, curve = context.styles[pair[1]].name, means.loc[pair[1]]
    there = curve[curve[ACCURACY] >= goal]
    if there.empty:
        return f"{second} never reaches the {units.percent(goal)} at which {first} ends after {units.minutes(minutes)}."
    reached = float(there[MINUTES].iloc[0])
    return (
        f"{second} needs {units.minutes(reached)} to reach the {units.percent(goal)} on the validation images "
        f"at which {first} ends after {units.minutes(minutes)}."
    )


def _fair_in_time(context: Context, device: str, curves: pd.DataFrame) -> tuple[Table, ...]:
    """Tabulate what each of the two models reaches in the other's minutes, and how soon it reaches the other's end."""
    pair = _pair(context, device)
    if len(pair) == 1:
        return ()
    means = curves.groupby([MODEL, EPOCH])[[MINUTES, ACCURACY]].mean()
    ends = {model: means.loc[model].iloc[-1] for model in pair}
    budgets = [float(ends[model][MINUTES]) for model in pair]
    digits = max(units.minutes_digits(each) for each in budgets)
    rows = []
    for model, other in (pair, pair[::-1]):
        curve: pd.DataFrame = means.loc[[model]]
        there = curve[curve[ACCURACY] >= float(ends[other][ACCURACY])]
        rows.append(
            (
                Cell(text=context.styles[model].name, style=context.styles[model], words=True),
                *(cell(units.bare(units.percent(_best_within(curve, budget)))) for budget in budgets),
                cell(
                    units.MISSING if there.empty else units.bare(units.minutes(float(there[MINUTES].iloc[0]), digits))
                ),
            )
        )
    names = [context.styles[model].name for model in pair]
    within = [f"in {units.minutes(each, digits)}" for each in budgets]
    return (
        Table(
            caption="Fair in time: validation accuracy, % (means over seeds)",
            head=("model", *within, "minutes to the other's end"),
            rows=tuple(rows),
            note=f"The two columns are the minutes that {names[0]} and {names[1]} train: the highest accuracy after an "
            f"epoch that ended within them. The recipe ends {names[0 if budgets[0] < budgets[1] else 1]}'s training "
            "early, and what it would learn in the rest of the longer time was not measured. "
            f"{units.MISSING}: never reached, or no epoch ended in time.",
        ),
    )


def _best_within(curve: pd.DataFrame, minutes: float) -> float | None:
    reached = curve[curve[MINUTES] <= minutes * (1 + 1e-9)]
    return None if reached.empty else float(reached[ACCURACY].max())
