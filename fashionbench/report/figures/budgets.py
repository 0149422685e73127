"""The figure of accuracy against training budget."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator

from fashionbench.report.figures.axes import (
    add_legend,
    format_accuracy_by_minutes,
    legend_handles,
    legend_height,
    make_axes,
    pad,
    rows_of,
)
from fashionbench.report.figures.style import INK, MUTED, PAPER, WIDE, ModelStyle, page_style, shorten
from fashionbench.report.figures.svg import tooltip
from fashionbench.report.frames import ACCURACY, HIGH, LABEL, LOW, MINUTES, MODEL

__all__ = ["accuracy_budgets"]

MOST_TICKS: Final = 9
"""With more budgets, the ticks are round numbers."""

NEAR: Final = 0.09
"""Ends of two curves that are closer than this share of the axis leave no room for two names: a legend has them."""


@page_style()
def accuracy_budgets(
    reached: pd.DataFrame, styles: Mapping[str, ModelStyle], *, crossover: tuple[float | None, float, float] | None
) -> Figure:
    """Draw the test accuracy of each model at each budget with its interval, and the crossover with its own.

    Args:
        reached: Rows of MODEL, MINUTES (the budget), ACCURACY, LOW, HIGH (fractions) and LABEL, ascending by budget.
        styles: How each model is drawn.
        crossover: Its minutes, None if it is beyond the largest budget, and the ends of its interval; None: no band.

    """
    models = list(dict.fromkeys(reached[MODEL]))
    budgets = sorted({*reached[MINUTES]})
    low, high = pad(reached[LOW].min(), reached[HIGH].max(), 0.08)
    ends = sorted(float(reached[reached[MODEL] == model][ACCURACY].iloc[-1]) for model in models)
    direct = all(upper - lower > NEAR * (high - low) for lower, upper in pairwise(ends))
    figure, (axes,) = make_axes(WIDE, 270 + legend_height(len(models), columns=3))
    axes.set_xscale("log")
    room = max(1.15, (budgets[-1] / budgets[0]) ** 0.06)
    axes.set_xlim(budgets[0] / room, budgets[-1] * room)
    axes.set_ylim(low, high)
    if crossover is not None:
        minutes, *limits = crossover
        axes.axvspan(*limits, color=INK, alpha=0.07, linewidth=0)
        if minutes is not None:
            axes.axvline(minutes, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    for model in models:
        style, rows = styles[model], reached[reached[MODEL] == model]
        for budget, lower, upper in rows_of(rows, MINUTES, LOW, HIGH):
            axes.plot([budget] * 2, [lower, upper], color=style.colour, linewidth=2, alpha=0.6)
        axes.plot(
            rows[MINUTES], rows[ACCURACY], color=style.colour, marker=style.marker, markersize=8, mec=PAPER, mew=1,
            gid=tooltip(list(rows[LABEL])),
        )  # fmt: skip
        if direct:
            axes.annotate(
                shorten(style.name, 18), (1, float(rows[ACCURACY].iloc[-1])), xycoords=("axes fraction", "data"),
                xytext=(6, 0), textcoords="offset points", va="center", color=style.colour, weight=600,
            )  # fmt: skip
    if not direct:
        add_legend(axes, legend_handles(axes, [styles[model] for model in models]), columns=3)
    axes.xaxis.set_major_locator(FixedLocator(budgets) if len(budgets) <= MOST_TICKS else LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(FixedLocator([]))
    format_accuracy_by_minutes(axes, "training budget, minutes, log scale")
    return figure
