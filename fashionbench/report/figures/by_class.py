"""Figures by class: bars, differences and confusion matrices."""

from collections.abc import Mapping
from typing import Final

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from fashionbench.report.figures.axes import make_axes, rows_of
from fashionbench.report.figures.style import HALF, INK, LINE, MUTED, PAPER, WIDE, ModelStyle, page_style, shorten
from fashionbench.report.frames import (
    CLASS,
    HIGH,
    IMAGES,
    LOW,
    METRIC,
    MODEL,
    PREDICTED,
    SCORE,
    SEED,
    SIGNIFICANT,
    TRUE,
)
from fashionbench.units import signed

__all__ = ["class_bars", "class_differences", "confusion_changes", "confusion_matrix"]

MAX_NUMBERED_CLASSES: Final = 12
"""A larger confusion matrix is only shaded, because its cells are too small for numbers."""


@page_style()
def class_bars(scores: pd.DataFrame, styles: Mapping[str, ModelStyle], *, metric: str, title: str) -> Figure:
    """Draw one of the study's grouped bar plots: one group per class, one bar per model, a line for the range of seeds.

    Args:
        scores: Rows of MODEL, CLASS, METRIC, SCORE of one device, SCORE as a fraction.
        styles: How each model is drawn.
        metric: The METRIC to draw.
        title: Its name.

    """
    figure, (axes,) = make_axes(WIDE, 208)
    table = scores[scores[METRIC] == metric].groupby([MODEL, CLASS], sort=False)[SCORE].agg(["mean", "min", "max"])
    models = list(dict.fromkeys(scores[MODEL]))
    classes = list(dict.fromkeys(scores[CLASS]))
    width = 0.8 / len(models)
    for number, model in enumerate(models):
        style, rows = styles[model], table.loc[model]
        middles = np.arange(len(classes)) + (number - (len(models) - 1) / 2) * width
        axes.bar(
            middles, rows["mean"], width * 0.92, label=shorten(style.name),
            facecolor=PAPER if style.hatch else style.colour, edgecolor=style.colour, hatch=style.hatch, linewidth=1,
        )  # fmt: skip
        if len(set(scores[SEED])) > 1:
            axes.vlines(middles, rows["min"], rows["max"], color=INK, linewidth=1)
    floor = max(0.0, np.floor((table["min"].min() - 0.02) * 20) / 20)
    axes.set_ylim(floor, min(1.0, np.ceil(table["max"].max() * 20) / 20) + 0.004)
    axes.set_xlim(-0.55, len(classes) - 0.45)
    axes.set_xticks(range(len(classes)), [_break_line(name) for name in classes])
    axes.grid(visible=False, axis="x")
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))
    axes.set_ylabel(f"{title}, %" + ("\n(truncated axis)" if floor else ""))
    if floor:
        axes.plot([0, 0], [0.01, 0.05], transform=axes.transAxes, color=PAPER, linewidth=3, clip_on=False, zorder=5)
        for height in (0.01, 0.05):
            axes.plot(
                [-0.006, 0.006], [height - 0.015, height + 0.015], transform=axes.transAxes,
                color=MUTED, linewidth=1, clip_on=False, zorder=6,
            )  # fmt: skip
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.02), ncols=3)
    return figure


def _break_line(name: str) -> str:
    """Return a class name on two lines if it has two words."""
    first, slash, rest = name.replace(" ", "/ ", 1).partition("/")
    keep = "" if rest.startswith(" ") else slash
    return f"{shorten(first, 10)}{keep}\n{shorten(rest.strip(), 10)}" if slash else shorten(name, 10)


@page_style()
def class_differences(
    differences: pd.DataFrame, titles: Mapping[str, str], *, pair: tuple[ModelStyle, ModelStyle]
) -> Figure:
    """Draw the differences by class, big model minus small model, with their intervals.

    Args:
        differences: Rows of CLASS, METRIC, SCORE, LOW, HIGH (fractions) and SIGNIFICANT; the first CLASS is at the top.
        titles: The title of the panel of each METRIC.
        pair: The styles of the small and the big model; a significant difference has the style of the better model.

    """
    classes = list(dict.fromkeys(differences[CLASS]))
    figure, panels = make_axes(WIDE, 60 + 28 * len(classes), columns=len(titles))
    for axes, (metric, title) in zip(panels, titles.items(), strict=True):
        axes.axvline(0, color=MUTED, linewidth=1)
        rows = differences[differences[METRIC] == metric]
        for name, score, low, high, significant in rows_of(rows, CLASS, SCORE, LOW, HIGH, SIGNIFICANT):
            better = pair[int(score > 0)]
            colour, marker, size = (better.colour, better.marker, 6) if significant else (MUTED, "|", 8)
            height = classes.index(name)
            axes.plot([low, high], [height, height], color=colour, linewidth=1.6)
            axes.plot(score, height, marker=marker, color=colour, markersize=size, mew=1.6)
        axes.set_title(title)
        axes.set_yticks(range(len(classes)), [shorten(name, 18) for name in classes])
        axes.set_ylim(len(classes) - 0.4, -0.6)
        axes.xaxis.set_major_locator(MaxNLocator(4, symmetric=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _pp_tick(value)))
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
    panels[len(panels) // 2].set_xlabel("difference, pp")
    return figure


def _pp_tick(fraction: float) -> str:
    """Return a tick label in percentage points, without a decimal that is zero."""
    text = signed(100 * fraction, 1)
    return text.removesuffix(".0")


@page_style()
def confusion_changes(mistakes: pd.DataFrame, pair: tuple[ModelStyle, ModelStyle]) -> Figure:
    """Draw how often each model makes some mistakes: one row per pair of classes, one marker per model.

    Args:
        mistakes: Rows of true class, predicted class, images of the small model, images of the big one; the first row
            is at the top.
        pair: The styles of the small and the big model.

    """
    figure, (axes,) = make_axes(HALF, 348)
    labels = []
    for height, (true, predicted, before, after) in enumerate(rows_of(mistakes, *mistakes.columns)):
        axes.plot([before, after], [height, height], color=LINE, linewidth=3, zorder=1)
        for count, style in ((before, pair[0]), (after, pair[1])):
            axes.plot(count, height, marker=style.marker, color=style.colour, markersize=7, mec=PAPER, mew=0.8)
        labels.append(f"{shorten(true, 11)} as {shorten(predicted, 11)}")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(0)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("test images")
    axes.set_title("Most common mistakes")
    return figure


@page_style()
def confusion_matrix(
    images: pd.DataFrame, styles: tuple[ModelStyle, ModelStyle], *, title: str, differ: bool
) -> Figure:
    """Draw images by true class (row) and predicted class (column), with the mistakes shaded by their number.

    Args:
        images: Rows of TRUE, PREDICTED, IMAGES.
        styles: The styles whose colours shade negative and positive values.
        title: The figure's title.
        differ: Whether IMAGES are differences; they are shown with their sign and shaded on the diagonal too.

    """
    classes = list(dict.fromkeys(images[TRUE]))
    figure, (axes,) = make_axes(HALF, 348)
    shaded = images if differ else images[images[TRUE] != images[PREDICTED]]
    most = max(shaded[IMAGES].abs().max(), 1)
    for true, predicted, count in rows_of(images, TRUE, PREDICTED, IMAGES):
        row, column = classes.index(true), classes.index(predicted)
        diagonal = row == column
        number = round(count)
        if number and (differ or not diagonal):
            axes.add_patch(
                mpl.patches.Rectangle(
                    (column - 0.5, row - 0.5),
                    1,
                    1,
                    linewidth=0,
                    facecolor=styles[int(count > 0)].colour,
                    alpha=0.6 * abs(count) / most,
                )
            )
        if number and len(classes) <= MAX_NUMBERED_CLASSES:
            text = signed(number, 0) if differ else f"{number}"
            axes.text(column, row, text, ha="center", va="center", size=10.5, color=MUTED if diagonal else INK)
    axes.set_xlim(-0.5, len(classes) - 0.5)
    axes.set_ylim(len(classes) - 0.5, -0.5)
    axes.set_xticks(range(len(classes)), [shorten(name, 12) for name in classes], rotation=90)
    axes.set_yticks(range(len(classes)), [shorten(name, 12) for name in classes])
    axes.grid(visible=False)
    axes.set_title(title)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    return figure
