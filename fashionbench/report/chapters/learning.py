"""The chapter on learning curves: training loss, validation accuracy, and accuracy at equal training time."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from fashionbench import units
from fashionbench.records.record import TrainingRecord
from fashionbench.report.context import (
    Context,
    draw,
    model_cell,
    number_cell,
    per_device,
    results_of,
)
from fashionbench.report.figures import curves
from fashionbench.report.frames import (
    ACCURACY,
    EPOCH,
    HIGH,
    LOSS,
    LOW,
    MAX_BINS,
    MINUTES,
    MODEL,
    SEED,
    epochs,
    mean_epochs,
    step_losses,
)
from fashionbench.report.view import Block, CaptionedFigure, ContentBlock, Table

__all__ = ["learning_curves"]

LONG_UNITS = MappingProxyType({"min": "minutes", "s": "seconds"})

DIGITS = 2
"""Decimals of a validation accuracy in percent; one is reached where the shown numbers say so."""

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
        *([_validation_figure(context, device, validation)] if validation[EPOCH].max() > 1 else []),
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
    lowest = min(float(losses[LOW].quantile(0.1)) * 0.8, float(losses[LOSS].min()) * 0.9)
    limits = max(lowest, 1e-6), float(losses[HIGH].max()) * 1.1
    last_losses, iterations, smoothed = [], [], ""
    for model in selected:
        arrays = [each.step_losses.array() for each in results_of(trainings, model)]
        recipe = next(each.recipe for each in trainings if each.model == model).for_model(model)
        last = np.concatenate([each[-max(1, len(each) // recipe.epochs) :] for each in arrays])
        if len(arrays[0]) > MAX_BINS:
            smoothed = (
                f", the means of {MAX_BINS} successive parts of the training, and a light band from the lowest to the "
                "highest loss of a single iteration in each part, cut off at the axis; the bands of the seeds overlap"
            )
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
        caption=f"The mean training loss of the last epoch is {units.join_phrases(last_losses)}.",
        drawings=drawings,
        explanation=f"Each seed has a line{smoothed}. "
        f"{'; '.join(iterations)}."
        + (" The losses of the other models are not drawn." if len(selected) < len(present) else "")
        + (
            " Every training has one epoch, so there is no curve of validation accuracy."
            if all(each.recipe.for_model(each.model).epochs == 1 for each in trainings)
            else ""
        ),
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
    has_seeds = len(set(validation[SEED])) > 1
    lines = "Lines with markers are means over seeds after each epoch; thin lines are single seeds. " * has_seeds
    return CaptionedFigure(
        caption=_validation_caption(context, device, validation),
        drawings=drawings,
        explanation=f"{lines}The first figure compares the models after equal training time, the second after equal "
        "numbers of epochs.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Curves:
    """The mean validation curves of the two models."""

    pair: tuple[str, str]
    curves: Mapping[str, pd.DataFrame]
    """By model, rows of MINUTES and ACCURACY after each epoch, ACCURACY as it is shown."""

    def final(self, model: str) -> float:
        """Return the accuracy after a model's last epoch."""
        return float(self.curves[model][ACCURACY].iloc[-1])

    def minutes(self, model: str) -> float:
        """Return the training time of a model."""
        return float(self.curves[model][MINUTES].iloc[-1])

    def minutes_to_reach(self, model: str, accuracy: float) -> float | None:
        """Return the training time after the first epoch in which a model has an accuracy; None if it never has."""
        reached = self.curves[model][self.curves[model][ACCURACY] >= accuracy]
        return None if reached.empty else float(reached[MINUTES].iloc[0])

    def after(self, model: str, minutes: float) -> float | None:
        """Return the accuracy after the last epoch that ended within some minutes; None if none did."""
        reached = self.curves[model][self.curves[model][MINUTES] <= minutes * (1 + 1e-9)]
        return None if reached.empty else float(reached[ACCURACY].iloc[-1])


def _compare_curves(context: Context, device: str, validation: pd.DataFrame) -> _Curves | None:
    """Return the curves of the two compared models; None if only one of them took steps."""
    pair = _stepwise_pair(context, device)
    if len(pair) == 1:
        return None
    means = mean_epochs(validation)
    means = means.assign(**{ACCURACY: [units.rounded(100 * each, DIGITS) / 100 for each in means[ACCURACY]]})
    return _Curves(pair=(pair[0], pair[1]), curves={model: means.loc[[model]] for model in pair})


def _validation_caption(context: Context, device: str, validation: pd.DataFrame) -> str:
    """Return when the big model's mean curve reaches the small model's last accuracy."""
    compared = _compare_curves(context, device, validation)
    if compared is None:
        (only,) = _stepwise_pair(context, device)
        end = mean_epochs(validation).loc[only][ACCURACY].iloc[-1]
        return f"{context.styles[only].name} reaches a validation accuracy of {units.percent(float(end))}."
    small, big = (context.styles[model].name for model in compared.pair)
    unit, target = context.time_unit(device), compared.final(compared.pair[0])
    needed = compared.minutes_to_reach(compared.pair[1], target)
    end = f"the validation accuracy of {units.percent(target, DIGITS)} with which {small} ends"
    if len(set(validation[SEED])) > 1:
        big = f"{big}’s mean curve"
    if needed is None:
        return f"{big} never reaches {end}."
    return f"{big} needs {unit.show(needed)} to reach {end}."


def _equal_time_table(context: Context, device: str, validation: pd.DataFrame) -> tuple[Table, ...]:
    """Tabulate what each of the two models has reached by the other's time, and when it matches the other's end."""
    compared = _compare_curves(context, device, validation)
    if compared is None:
        return ()
    unit = context.time_unit(device)
    budgets = [compared.minutes(model) for model in compared.pair]
    names = [context.styles[model].name for model in compared.pair]
    rows = []
    for model, other in (compared.pair, compared.pair[::-1]):
        matched = compared.minutes_to_reach(model, compared.final(other))
        rows.append(
            (
                model_cell(context.styles[model]),
                *(number_cell(_accuracy_after(compared, model, budget)) for budget in budgets),
                number_cell("never" if matched is None else unit.number(matched)),
            )
        )
    means = " (means over seeds)" if len(set(validation[SEED])) > 1 else ""
    is_missing = any(cell.text == units.MISSING for row in rows for cell in row)
    return (
        Table(
            caption=f"Validation accuracy after equal training time, %{means}",
            header=(
                "model",
                *(f"after {unit.show(each)} ({name})" for each, name in zip(budgets, names, strict=True)),
                f"{LONG_UNITS[unit.name]} to reach the other’s final accuracy",
            ),
            rows=tuple(rows),
            note="The two times are those of the models’ whole trainings. Each cell is the accuracy after the "
            "last epoch that ended by then. Not run: the recipe ends the training earlier."
            + (f" {units.MISSING}: no epoch ended by then." if is_missing else "")
            + _describe_target(context, device),
        ),
    )


def _describe_target(context: Context, device: str) -> str:
    """Return how long both models trained until they first reached the target; nothing without a verdict."""
    found = [each for each in (context.verdict.targets if context.verdict else ()) if each.device == device]
    if not found:
        return ""
    unit, stated = context.time_unit(device), context.verdict and context.verdict.thresholds.target
    medians = " (medians of single trainings, not of the mean curve)" if any(each.seeds > 1 for each in found) else ""
    reason = "" if stated else f", the lower of the models’ {'median ' * bool(medians)}final accuracies"
    times = []
    for each in found:
        shown = "never" if each.minutes is None else unit.show(each.minutes)
        reached = f" (reached by {units.count(each.reached)} of {units.count(each.seeds)} seeds)"
        times.append(f"{shown} for {context.styles[each.model].name}{reached * (each.reached < each.seeds)}")
    missed = any(each.reached < each.seeds for each in found)
    return (
        f" Time to target{medians}: {units.join_phrases(times)} to a validation accuracy of "
        f"{units.percent(found[0].target, DIGITS)}{reason}."
        + " A training that never reaches it counts as infinitely long."
        * missed
    )


def _accuracy_after(compared: _Curves, model: str, minutes: float) -> str:
    if minutes > compared.minutes(model) * (1 + 1e-9):
        return "not run"
    return units.bare(units.percent(compared.after(model, minutes), DIGITS))
