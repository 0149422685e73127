"""Figures by class: bars, differences and confusion matrices."""

from collections.abc import Mapping
from typing import Final

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from fashionbench.report.figures.axes import legend_handles, make_axes, points_tick, rows_of
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


MAX_LONG_LABELS: Final = 10
"""With more classes, the labels of a confusion matrix are shorter, so that its cells have room for numbers."""

SHORT_LABEL: Final = 12
"""Longer names of classes leave less room for those of the models."""

MATRIX_HEIGHT: Final = 304
"""Of figures with twelve rows: two of them, one below the other, leave room on a page."""


@page_style()
def class_bars(scores: pd.DataFrame, styles: Mapping[str, ModelStyle], titles: Mapping[str, str]) -> Figure:
    """Draw the study's grouped bar plots next to each other: a group per class, a bar per model, a line for the seeds.

    Args:
        scores: Rows of MODEL, CLASS, METRIC, SCORE of one device, SCORE as a fraction.
        styles: How each model is drawn.
        titles: The title of the panel of each METRIC.

    """
    figure, panels = make_axes(WIDE, 238, columns=len(titles))
    tables = {
        metric: scores[scores[METRIC] == metric].groupby([MODEL, CLASS], sort=False)[SCORE].agg(["mean", "min", "max"])
        for metric in titles
    }
    models, classes = (list(dict.fromkeys(scores[column])) for column in (MODEL, CLASS))
    lowest, highest = (
        min(each["min"].min() for each in tables.values()),
        max(each["max"].max() for each in tables.values()),
    )
    floor = max(0.0, float(np.floor((lowest - 0.02) * 20) / 20))
    for axes, (metric, title) in zip(panels, titles.items(), strict=True):
        for number, model in enumerate(models):
            style, rows = styles[model], tables[metric].loc[model]
            width = 0.84 / len(models)
            middles = np.arange(len(classes)) + (number - (len(models) - 1) / 2) * width
            axes.bar(
                middles, rows["mean"], width * 0.9, label=shorten(style.name),
                facecolor=PAPER if style.hatch else style.colour, edgecolor=style.colour,
                hatch=style.hatch, linewidth=1,
            )  # fmt: skip
            if len(set(scores[SEED])) > 1:
                axes.vlines(middles, rows["min"], rows["max"], color=INK, linewidth=1)
        axes.set_xlim(-0.6, len(classes) - 0.4)
        axes.set_xticks(range(len(classes)), [shorten(name, 11) for name in classes], rotation=90)
        axes.grid(visible=False, axis="x")
        axes.set_title(title)
        if floor:
            _mark_cut(axes)
    panels[0].set_ylim(floor, min(1.0, float(np.ceil(highest * 20) / 20)) + 0.004)
    panels[0].yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    panels[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))
    panels[0].set_ylabel("score, %" + ("\n(truncated axis)" if floor else ""))
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(models))
    return figure


def _mark_cut(axes: Axes) -> None:
    """Draw two strokes across the lower end of the vertical axis, which does not begin at zero."""
    axes.plot([0, 0], [0.02, 0.06], transform=axes.transAxes, color=PAPER, linewidth=3, clip_on=False, zorder=5)
    for height in (0.02, 0.06):
        axes.plot(
            [-0.02, 0.02], [height - 0.015, height + 0.015], transform=axes.transAxes,
            color=MUTED, linewidth=1, clip_on=False, zorder=6,
        )  # fmt: skip


@page_style()
def class_differences(
    differences: pd.DataFrame, titles: Mapping[str, str], *, pair: tuple[ModelStyle, ModelStyle]
) -> Figure:
    """Draw the differences by class, big model minus small model, with their intervals, all on one scale.

    Args:
        differences: Rows of CLASS, METRIC, SCORE, LOW, HIGH (fractions) and SIGNIFICANT; the first CLASS is at the top.
        titles: The title of the panel of each METRIC.
        pair: The styles of the small and the big model; a significant difference has the style of the better model.

    """
    classes = list(dict.fromkeys(differences[CLASS]))
    figure, panels = make_axes(WIDE, 78 + 18 * len(classes), columns=len(titles))
    labels = [shorten(name, 18) for name in classes]
    room = 11 if max(map(len, labels)) <= SHORT_LABEL else 8
    furthest = max(abs(differences[LOW]).max(), abs(differences[HIGH]).max(), 0.001) * 1.05
    for axes, (metric, title) in zip(panels, titles.items(), strict=True):
        axes.axvline(0, color=MUTED, linewidth=1)
        rows = differences[differences[METRIC] == metric]
        for name, score, low, high, significant in rows_of(rows, CLASS, SCORE, LOW, HIGH, SIGNIFICANT):
            better = pair[int(score > 0)]
            colour, marker, size = (better.colour, better.marker, 6) if significant else (MUTED, "|", 8)
            height = classes.index(name)
            axes.plot([low, high], [height, height], color=colour, linewidth=1.6)
            axes.plot(score, height, marker=marker, color=colour, markersize=size, mew=1.6)
        axes.set_title(f"{title}, pp")
        axes.set_xlabel(f"← {shorten(pair[0].name, room)}    {shorten(pair[1].name, room)} →")
        axes.set_yticks(range(len(classes)), labels)
        axes.set_ylim(len(classes) - 0.4, -0.6)
        axes.set_xlim(-furthest, furthest)
        axes.xaxis.set_major_locator(MaxNLocator(4, symmetric=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: points_tick(value)))
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
    return figure


@page_style()
def confusion_changes(mistakes: pd.DataFrame, pair: tuple[ModelStyle, ModelStyle]) -> Figure:
    """Draw how often each model makes some mistakes: one row per pair of classes, one marker per model.

    Args:
        mistakes: Rows of true class, predicted class, images of the small model, images of the big one; the first row
            is at the top.
        pair: The styles of the small and the big model.

    """
    figure, (axes,) = make_axes(HALF, MATRIX_HEIGHT)
    labels = []
    for height, (true, predicted, before, after) in enumerate(rows_of(mistakes, *mistakes.columns)):
        axes.plot([before, after], [height, height], color=LINE, linewidth=3, zorder=1)
        for shift, count, style in ((-0.2, before, pair[0]), (0.2, after, pair[1])):  # so that neither hides the other
            axes.plot(count, height + shift, marker=style.marker, color=style.colour, markersize=7, mec=PAPER, mew=0.8)
        labels.append(f"{shorten(true, 11)} as {shorten(predicted, 11)}")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(0)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("test images")
    axes.set_title("Most common mistakes")
    figure.legend(handles=legend_handles(axes, pair, 14), loc="outside upper left", ncols=2)
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
        differ: Whether IMAGES are differences; they are shown with their sign, and the diagonal is blank.

    """
    classes = list(dict.fromkeys(images[TRUE]))
    figure, (axes,) = make_axes(HALF, MATRIX_HEIGHT)
    shaded = images[images[TRUE] != images[PREDICTED]]
    most = max(shaded[IMAGES].abs().max(), 1)
    for true, predicted, count in rows_of(images, TRUE, PREDICTED, IMAGES):
        row, column = classes.index(true), classes.index(predicted)
        diagonal = row == column
        number = round(count)
        if number and not diagonal:
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
        if number and len(classes) <= MAX_NUMBERED_CLASSES and not (differ and diagonal):
            text = signed(number, 0) if differ else f"{number}"
            axes.text(column, row, text, ha="center", va="center", size=10.5, color=MUTED if diagonal else INK)
    axes.set_xlim(-0.5, len(classes) - 0.5)
    axes.set_ylim(len(classes) - 0.5, -0.5)
    labels = [shorten(name, 11 if len(classes) <= MAX_LONG_LABELS else 8) for name in classes]
    axes.set_xticks(range(len(classes)), labels, rotation=90)
    axes.set_yticks(range(len(classes)), labels)
    axes.grid(visible=False)
    axes.set_title(title)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    return figure
