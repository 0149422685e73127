"""Figures of accuracy, loss and calibration: each function draws one figure from a frame and computes no statistics."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter, StrMethodFormatter

from fashionbench import units
from fashionbench.report.figures.axes import (
    add_legend,
    format_accuracy_by_minutes,
    legend_handles,
    legend_height,
    make_axes,
    pad,
    rows_of,
)
from fashionbench.report.figures.style import HALF, MUTED, PAPER, WIDE, ModelStyle, page_style, shorten
from fashionbench.report.figures.svg import tooltip
from fashionbench.report.frames import (
    ACCURACY,
    CONFIDENCE,
    EPOCH,
    HIGH,
    IMAGES,
    ITERATION,
    LABEL,
    LOSS,
    LOW,
    MINUTES,
    MODEL,
    SEED,
    mean_epochs,
)

__all__ = ["SMALL_BIN", "accuracy_minutes", "reliability", "training_loss", "validation_curve"]

MAX_DIRECT_LABELS: Final = 3

DIRECT_LABEL_SHARE: Final = 0.2
"""Names are next to the markers if there are at most MAX_DIRECT_LABELS, at least this share of the axis apart."""

NARROW_LABEL_SHARE: Final = 0.36
"""The same for a figure of half the width."""

MANY_DECADES: Final = 200.0
"""If a log axis covers a larger ratio, it has ticks at powers of ten only."""

BINS: Final = 10
"""Bins of confidence in a reliability diagram."""

SMALL_BIN: Final = 30
"""Bins of fewer images have an open marker: the interval of their accuracy is wider than a third of the axis."""


@page_style()
def accuracy_minutes(
    runs: pd.DataFrame,
    means: pd.DataFrame,
    styles: Mapping[str, ModelStyle],
    *,
    margin: tuple[float, float, str] | None,
    is_wide: bool = True,
) -> Figure:
    """Draw test accuracy against training minutes: a small marker per run, a large open one per model.

    Args:
        runs: Rows of MODEL, SEED, MINUTES, ACCURACY of one device.
        means: One row per model: MODEL, MINUTES, ACCURACY, the interval LOW, HIGH of its accuracy (fractions), and
            LABEL, the text below its name.
        styles: How each model is drawn.
        margin: Lower end, upper end and label of the band in which a gain does not matter.
        is_wide: Whether it has the page's width, with each model's numbers, or half of it, with the names alone.

    """
    columns = 3 if is_wide else 2
    figure, (axes,) = make_axes(
        WIDE if is_wide else HALF, (270 if is_wide else 196) + legend_height(len(means), columns=columns)
    )
    ends = [means[LOW].min(), means[HIGH].max(), runs[ACCURACY].min(), runs[ACCURACY].max(), *(margin or ())[:2]]
    axes.set_xscale("log")
    shortest, longest = runs[MINUTES].min(), runs[MINUTES].max()
    room = max(1.7, (longest / shortest) ** 0.26)
    axes.set_xlim(shortest / room, longest * room)
    axes.set_ylim(*pad(min(ends), max(ends), 0.2))
    if margin is not None:
        axes.axhspan(margin[0], margin[1], color=MUTED, alpha=0.13, linewidth=0)
        axes.annotate(
            margin[2], (1, (margin[0] + margin[1]) / 2), xycoords=("axes fraction", "data"), xytext=(8, 0),
            textcoords="offset points", va="center", color=MUTED,
        )  # fmt: skip
    positions = np.log(means[MINUTES].to_numpy()) / np.log(axes.get_xlim()[1] / axes.get_xlim()[0])
    apart = np.diff(np.sort(positions)).min(initial=1.0)
    direct = len(means) <= MAX_DIRECT_LABELS and apart > (DIRECT_LABEL_SHARE if is_wide else NARROW_LABEL_SHARE)
    for model, minutes, accuracy, low, high, label in rows_of(means, MODEL, MINUTES, ACCURACY, LOW, HIGH, LABEL):
        style = styles[model]
        trainings = runs[runs[MODEL] == model]
        for seed, taken, reached in rows_of(trainings, SEED, MINUTES, ACCURACY):
            text = f"{style.name}, seed {seed}: {units.percent(reached, 2)} in {_minutes(taken)}"
            axes.plot(
                taken,
                reached,
                style.marker,
                color=style.colour,
                markersize=4,
                mew=0,
                zorder=4,
                gid=tooltip([text], seed),
            )
        axes.plot([minutes] * 2, [low, high], color=style.colour, linewidth=2)
        text = f"{style.name}, mean: {label}"
        axes.plot(
            minutes, accuracy, style.marker, color=style.colour, markersize=11, mfc=PAPER, mew=1.6, zorder=3,
            gid=tooltip([text]),
        )  # fmt: skip
        if direct:
            lines = ((21, shorten(style.name), 600), (5, label, 400))
            top = max(high, trainings[ACCURACY].max())
            for height, text, weight in lines if is_wide else ((5, shorten(style.name, 12), 600),):
                axes.annotate(
                    text, (minutes, top), xytext=(0, height), textcoords="offset points",
                    ha="center", color=style.colour, weight=weight,
                )  # fmt: skip
    if not direct:
        add_legend(
            axes,
            legend_handles(axes, [styles[model] for model in means[MODEL]], 26 if is_wide else 14),
            columns=columns,
        )
    is_dense = (longest / shortest) * room**2 > (MANY_DECADES if is_wide else MANY_DECADES / 4)
    axes.xaxis.set_major_locator(LogLocator(subs=(1,) if is_dense else (1, 2, 5), numticks=6 if is_dense else None))
    format_accuracy_by_minutes(axes, "training minutes, log scale")
    return figure


@page_style()
def training_loss(losses: pd.DataFrame, style: ModelStyle, *, limits: tuple[float, float]) -> Figure:
    """Draw one model's training loss over iterations on one device: a line per seed, the range of iterations behind it.

    Args:
        losses: Rows of SEED, ITERATION, LOSS, LOW, HIGH.
        style: How the model is drawn.
        limits: Limits of the loss axis, the same for every model.

    """
    figure, (axes,) = make_axes(HALF, 172)
    for _, run in losses.groupby(SEED):
        axes.fill_between(run[ITERATION], run[LOW], run[HIGH], color=style.colour, alpha=0.13, linewidth=0)
    for seed, run in losses.groupby(SEED):
        text = f"{style.name}, seed {seed}: final loss {units.fixed(run[LOSS].iloc[-1], 3)}"
        axes.plot(run[ITERATION], run[LOSS], color=style.colour, linewidth=1.3, gid=tooltip([text], seed))
    axes.set_yscale("log")
    axes.set_ylim(*limits)
    axes.set_xlim(0)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if limits[1] / limits[0] < MANY_DECADES else (1,)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title(shorten(style.name), color=style.colour)
    axes.set_xlabel("iteration")
    axes.set_ylabel("loss, log scale")
    return figure


@page_style()
def validation_curve(epochs: pd.DataFrame, styles: Mapping[str, ModelStyle], *, over: str) -> Figure:
    """Draw the validation accuracy of each model on one device over EPOCH or MINUTES: a line per seed and a mean."""
    models = list(dict.fromkeys(epochs[MODEL]))
    figure, (axes,) = make_axes(HALF, 200 + legend_height(len(models), columns=2))
    for model in models:
        style, rows = styles[model], epochs[epochs[MODEL] == model]
        for seed, run in rows.groupby(SEED):
            text = f"{style.name}, seed {seed}: final accuracy {units.percent(run[ACCURACY].iloc[-1])}"
            axes.plot(run[over], run[ACCURACY], color=style.colour, linewidth=0.8, alpha=0.5, gid=tooltip([text], seed))
        mean = mean_epochs(rows).reset_index()
        texts = [
            f"{style.name}, epoch {epoch}: {units.percent(reached)} after {_minutes(taken)}"
            for epoch, taken, reached in rows_of(mean, EPOCH, MINUTES, ACCURACY)
        ]
        axes.plot(
            mean[over], mean[ACCURACY], color=style.colour, marker=style.marker, markersize=5, mec=PAPER, mew=0.6,
            gid=tooltip(texts),
        )  # fmt: skip
    add_legend(axes, legend_handles(axes, [styles[model] for model in models], 14), columns=2)
    axes.set_xlim(0)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=""))
    axes.set_xlabel("training minutes" if over == MINUTES else "epoch")
    axes.set_ylabel("validation accuracy, %\n(truncated axis)")
    return figure


@page_style()
def reliability(bins: pd.DataFrame, style: ModelStyle, *, title: str) -> Figure:
    """Draw one model's accuracy by confidence: a marker per bin with its interval, and its number of images above.

    Args:
        bins: Rows of CONFIDENCE, ACCURACY, LOW, HIGH (fractions) and IMAGES.
        style: How the model is drawn.
        title: The figure's title.

    """
    figure, (axes,) = make_axes(HALF, 240)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.vlines(bins[CONFIDENCE], bins[LOW], bins[HIGH], color=style.colour, linewidth=2, alpha=0.6)
    for confidence, images in rows_of(bins, CONFIDENCE, IMAGES):
        middle = (min(int(confidence * BINS), BINS - 1) + 0.5) / BINS  # of the bin, so that labels keep their distance
        axes.annotate(
            units.count(images), (middle, 1), xycoords=("data", "axes fraction"), xytext=(0, 4),
            textcoords="offset points", rotation=90, ha="center", va="bottom", color=MUTED,
        )  # fmt: skip
    for rows, face in ((bins[bins[IMAGES] >= SMALL_BIN], style.colour), (bins[bins[IMAGES] < SMALL_BIN], PAPER)):
        axes.plot(
            rows[CONFIDENCE], rows[ACCURACY], color=style.colour, marker=style.marker, markersize=7, mfc=face,
            linestyle="", clip_on=False, zorder=3,
        )  # fmt: skip
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    axes.set_title(shorten(title, 30), color=style.colour, pad=50)
    axes.set_xlabel("confidence, %")
    axes.set_ylabel("accuracy, %")
    return figure


def _minutes(minutes: float) -> str:
    return units.minutes(minutes, units.decimals(minutes))
