"""The chapter on accuracy against training budget, of a run with budgets."""

import pandas as pd

from fashionbench import units
from fashionbench.catalogue import model_label
from fashionbench.judging.budgets import BudgetVerdict, Reached, Rung
from fashionbench.judging.statistics.intervals import Interval
from fashionbench.report.context import Context, draw, number_cell, per_device, text_cell
from fashionbench.report.figures.axes import name_score
from fashionbench.report.figures.budgets import accuracy_budgets
from fashionbench.report.frames import ACCURACY, HIGH, LABEL, LOW, MINUTES, MODEL
from fashionbench.report.view import Block, CaptionedFigure, Cell, ContentBlock, Table

__all__ = ["accuracy_against_budget", "make_budget_tables"]


def accuracy_against_budget(context: Context) -> tuple[Block, ...]:
    """Show both models at every budget of each device; nothing if the run had none."""
    if context.verdict is None or not context.verdict.budgets:
        return ()
    return per_device(context, _budgets_on)


def make_budget_tables(context: Context) -> tuple[Table, ...]:
    """Return a table for each device with both models at every budget; nothing if the run had none."""
    if context.verdict is None:
        return ()
    pair = context.verdict.small, context.verdict.big
    return tuple(_tabulate(context, each, pair) for each in context.verdict.budgets)


def _budgets_on(context: Context, device: str) -> tuple[ContentBlock, ...]:
    verdict = context.verdict
    if verdict is None:
        return ()
    pair = verdict.small, verdict.big
    blocks: list[ContentBlock] = []
    for each in verdict.budgets:
        if each.device == device:
            blocks += [*_draw(context, each, pair), _tabulate(context, each, pair)]
    return tuple(blocks)


def _draw(context: Context, found: BudgetVerdict, pair: tuple[str, str]) -> tuple[CaptionedFigure, ...]:
    rows = [
        (model, rung.minutes, side.accuracy.estimate, side.accuracy.low, side.accuracy.high, _tell(model, rung, side))
        for rung in found.rungs
        for model, side in zip(pair, (rung.small, rung.big), strict=True)
        if side is not None
    ]
    crossover = found.crossover
    if crossover is None:
        return ()
    smallest, largest = found.rungs[0].minutes, found.rungs[-1].minutes
    low, high = (largest if each is None else each for each in (crossover.low, crossover.high))
    band = None if crossover.low is None else (crossover.minutes, max(low, smallest), high)
    figure = accuracy_budgets(
        pd.DataFrame(rows, columns=[MODEL, MINUTES, ACCURACY, LOW, HIGH, LABEL]), context.styles, crossover=band
    )
    small, big = map(model_label, pair)
    return (
        CaptionedFigure(
            caption=found.sentence,
            drawings=(
                draw(
                    name_score(figure, context.score_name),
                    key=f"budgets-{found.device}",
                    title=f"Test {context.score_name} against budget on {found.device}",
                ),
            ),
            explanation="At each budget, a model was trained for as many epochs as fit in these minutes, as estimated "
            "before the run. The lines are 95 % confidence intervals of one model alone. The verdict at a budget rests "
            f"on the paired gain in the table. The crossover is the budget from which on the gain of {big} over "
            f"{small} is at least the margin; the dashed line and the shaded range show it with its interval: "
            f"{crossover.method}.",
        ),
    )


def _tell(model: str, rung: Rung, side: Reached) -> str:
    return (
        f"{model_label(model)}, {units.budget(rung.minutes)}: {units.percent(side.accuracy.estimate, 2)} after "
        f"{side.epochs} epoch{'s' if side.epochs > 1 else ''}"
    )


def _tabulate(context: Context, found: BudgetVerdict, pair: tuple[str, str]) -> Table:
    names = tuple(map(model_label, pair))
    missing = [sentence for rung in found.rungs for sentence in rung.missing]
    seeds = {len(rung.seeds) for rung in found.rungs if rung.seeds}
    where = f" on {found.device}" if len(context.devices) > 1 else ""
    return Table(
        caption=f"{context.score_name.capitalize()} against training budget{where}",
        header=(
            "budget, min",
            *(label for name in names for label in (f"{name}: epochs", "minutes", f"{context.score_name}, %")),
            *("gain, pp (95 % CI)", "verdict", "seeds"),
        ),
        rows=tuple(
            (
                number_cell(f"{rung.minutes:g}"),
                *(cell for side in (rung.small, rung.big) for cell in _cells(side)),
                number_cell(_gain_text(rung.gain)),
                text_cell(rung.state.capitalize() if rung.state else units.MISSING),
                number_cell(units.count(len(rung.seeds))),
            )
            for rung in found.rungs
        ),
        note="Minutes are measured, as geometric means over seeds. ± half the width of the model’s own 95 % confidence "
        "interval. Both models have the same budget, so the verdict at a budget rests on the gain alone: worth it if "
        "its interval is at or above the margin, not worth it if it is below."
        + "".join(f" {sentence}." for sentence in missing)
        + (" One seed each: the intervals do not include the variation over seeds." if seeds == {1} else ""),
    ).without_constant("seeds")


def _cells(side: Reached | None) -> tuple[Cell, Cell, Cell]:
    if side is None:
        return (number_cell(units.MISSING),) * 3
    half = (side.accuracy.high - side.accuracy.low) / 2
    return (
        number_cell(units.count(side.epochs)),
        number_cell(units.fixed(side.minutes, 2)),
        number_cell(f"{units.bare(units.percent(side.accuracy.estimate, 2))} ± {units.bare(units.percent(half, 2))}"),
    )


def _gain_text(gain: Interval | None) -> str:
    if gain is None:
        return units.MISSING
    return units.with_interval(units.pp(gain.estimate, 2), units.interval_pp(gain.low, gain.high, 2))
