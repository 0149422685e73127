"""The chapter on learning curves: training loss, validation accuracy, and accuracy at equal training time."""

import numpy as np
import pandas as pd

from fashionbench import units
from fashionbench.records.record import TrainingRecord
from fashionbench.report.context import (
    Context,
    draw,
    join_phrases,
    model_cell,
    number_cell,
    per_device,
    results_of,
)
from fashionbench.report.figures import curves
from fashionbench.report.frames import ACCURACY, EPOCH, HIGH, LOW, MINUTES, MODEL, epochs, step_losses
from fashionbench.report.view import Block, CaptionedFigure, ContentBlock, Table

__all__ = ["learning_curves"]

MAX_PANELS = 4
"""Loss curves drawn for one device; with more models, only those of the compared pair."""


def learning_curves(context: Context) -> tuple[Block, ...]:
    """Show training loss over iterations, and validation accuracy over minutes and epochs."""
    return per_device(context, _curves_on)


def _curves_on(context: Context, device: str) -> tuple[ContentBlock, ...]:
    trainings = _stepwise_trainings(context, device)
    if not trainings:
        return ()
    validation = epochs(trainings)
    return (
        _loss_figure(context, device, trainings),
        _validation_figure(context, device, validation),
        *_equal_time_table(context, device, validation),
    )


def _stepwise_trainings(context: Context, device: str) -> list[TrainingRecord]:
    """Return the trainings on a device that took steps; a classical baseline is fitted in one call."""
    return [
        each
        for each in context.trainings_on(device)
        if each.result is not None and each.result.step_losses.shape[0]
    ]  # fmt: skip


def _stepwise_pair(context: Context, device: str) -> list[str]:
    """Return those of the two compared models that took steps; if neither did, the smallest model that did."""
    present = list(dict.fromkeys(each.model for each in _stepwise_trainings(context, device)))
    return [each for each in context.pair_on(device) if each in present] or present[:1]


def _loss_figure(context: Context, device: str, trainings: list[TrainingRecord]) -> CaptionedFigure:
    names = {model: style.name for model, style in context.styles.items()}
    present = list(dict.fromkeys(each.model for each in trainings))
    selected = present if len(present) <= MAX_PANELS else _stepwise_pair(context, device)
    losses = step_losses([each for each in trainings if each.model in selected])
    limits = max(float(losses[LOW].quantile(0.1)) * 0.8, 1e-6), float(losses[HIGH].max()) * 1.1
    last_losses, iterations = [], []
    for model in selected:
        arrays = [each.step_losses.array() for each in results_of(trainings, model)]
        recipe = next(each.recipe for each in trainings if each.model == model).for_model(model)
        last = np.concatenate([each[-max(1, len(each) // recipe.epochs) :] for each in arrays])
        last_losses.append(f"{units.fixed(float(last.mean()), 3)} for {names[model]}")
        iterations.append(f"{names[model]}: {units.count(len(arrays[0]))} iterations of {recipe.batch_size} images")
    drawings = tuple(
        draw(
            curves.training_loss(losses[losses[MODEL] == model], context.styles[model], limits=limits),
            key=f"loss-{device}-{model}",
            title=f"Training loss of {names[model]} over iterations on {device}",
        )
        for model in selected
    )
    return CaptionedFigure(
        caption=f"The mean training loss of the last epoch is {join_phrases(last_losses)}.",
        drawings=drawings,
        explanation="Each line is one seed: the mean loss over equal ranges of iterations. The light band shows the "
        f"range of single iterations, clipped at the axis. {'; '.join(iterations)}."
        + (" The losses of the other models are not drawn." if len(selected) < len(present) else ""),
    )


def _validation_figure(context: Context, device: str, validation: pd.DataFrame) -> CaptionedFigure:
    drawings = tuple(
        draw(
            curves.validation_curve(validation, context.styles, over=over),
            key=f"validation-{device}-{over}",
            title=f"Validation accuracy over {over} on {device}",
        )
        for over in (MINUTES, EPOCH)
    )
    return CaptionedFigure(
        caption=_validation_caption(context, device, validation),
        drawings=drawings,
        explanation="Lines with markers are means over seeds after each epoch; thin lines are single seeds. The left "
        "figure compares the models after equal training time, the right one after equal numbers of epochs.",
    )


def _validation_caption(context: Context, device: str, validation: pd.DataFrame) -> str:
    """Return when the big model's mean curve reaches the small model's last accuracy."""
    means = validation.groupby([MODEL, EPOCH])[[MINUTES, ACCURACY]].mean()
    pair = _stepwise_pair(context, device)
    end = means.loc[pair[0]].iloc[-1]
    accuracy, minutes = float(end[ACCURACY]), float(end[MINUTES])
    small = context.styles[pair[0]].name
    if len(pair) == 1:
        return f"{small} reaches a validation accuracy of {units.percent(accuracy)}."
    big, curve = context.styles[pair[1]].name, means.loc[pair[1]]
    reached = curve[curve[ACCURACY] >= accuracy]
    finding = "does not reach" if reached.empty else f"needs {units.minutes(float(reached[MINUTES].iloc[0]))} to reach"
    return (
        f"{big} {finding} the validation accuracy of {units.percent(accuracy)} at which {small} ends after "
        f"{units.minutes(minutes)}."
    )


def _equal_time_table(context: Context, device: str, validation: pd.DataFrame) -> tuple[Table, ...]:
    """Tabulate what each of the two models reaches in the other's time, and when it matches the other's end."""
    pair = _stepwise_pair(context, device)
    if len(pair) == 1:
        return ()
    means = validation.groupby([MODEL, EPOCH])[[MINUTES, ACCURACY]].mean()
    ends = {model: means.loc[model].iloc[-1] for model in pair}
    budgets = [float(ends[model][MINUTES]) for model in pair]
    digits = max(units.minutes_digits(each) for each in budgets)
    rows = []
    for model, other in (pair, pair[::-1]):
        curve: pd.DataFrame = means.loc[[model]]
        matched = curve[curve[ACCURACY] >= float(ends[other][ACCURACY])]
        rows.append(
            (
                model_cell(context.styles[model]),
                *(number_cell(units.bare(units.percent(_best_within(curve, budget)))) for budget in budgets),
                number_cell(
                    units.MISSING
                    if matched.empty
                    else units.bare(units.minutes(float(matched[MINUTES].iloc[0]), digits))
                ),
            )
        )
    names = [context.styles[model].name for model in pair]
    return (
        Table(
            caption="Validation accuracy after equal training time, % (means over seeds)",
            header=(
                "model",
                *(f"in {units.minutes(each, digits)}" for each in budgets),
                "minutes to match the other model",
            ),
            rows=tuple(rows),
            note=f"The two columns are the training times of {names[0]} and {names[1]}. Each cell is the highest "
            "accuracy after an epoch that ended within that time. The recipe ends the training of "
            f"{names[0 if budgets[0] < budgets[1] else 1]} earlier; what it would reach in the remaining time was not "
            f"measured. {units.MISSING}: never reached, or no epoch ended in time.",
        ),
    )


def _best_within(curve: pd.DataFrame, minutes: float) -> float | None:
    reached = curve[curve[MINUTES] <= minutes * (1 + 1e-9)]
    return None if reached.empty else float(reached[ACCURACY].max())
