"""Frames become matplotlib figures: one function a figure, returned and never shown; no number is made here."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    PercentFormatter,
    StrMethodFormatter,
)

from fashionbench.report.look import HALF, INK, LINE, MODEL_COLOURS, MUTED, PAPER, WIDE, Look, shorten, style, told
from fashionbench.report.tables import (
    ACCURACY,
    CLASS,
    CONFIDENCE,
    EPOCH,
    HIGH,
    IMAGES,
    ITERATION,
    LABEL,
    LOSS,
    LOW,
    METRIC,
    MINUTES,
    MODEL,
    PREDICTED,
    SCORE,
    SEED,
    SURE,
    TRUE,
)
from fashionbench.report.units import fixed, minutes_digits, percent, signed
from fashionbench.report.units import minutes as minutes_

__all__ = [
    "accuracy_minutes",
    "class_bars",
    "class_differences",
    "confusion_changes",
    "confusion_matrix",
    "reliability",
    "training_loss",
    "validation_curve",
]

MAX_DIRECT_LABELS: Final = 3
DIRECT_LABEL_SHARE: Final = 0.2
"""Names stand beside their marks where at most so many marks stand at least so far apart, as a share of the axis."""

MANY_DECADES: Final = 200.0
"""Over a wider range, as a ratio, the loss axis is marked at powers of ten only."""

MAX_NUMBERED_CLASSES: Final = 12
"""A larger confusion matrix is shaded only: its cells are too small for numbers."""


def _axes(width: int, height: int, *, columns: int = 1) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
    figure.get_layout_engine().set(w_pad=2 / 72, h_pad=2 / 72)  # type: ignore[union-attr,call-arg] # a layout was asked for
    return figure, list(np.atleast_1d(figure.subplots(1, columns, sharey=columns > 1)))


def _rows(frame: pd.DataFrame, *columns: str) -> Iterator[tuple[Any, ...]]:
    """Iterate over the values of some columns, a row at a time."""
    return zip(*(frame[column] for column in columns), strict=True)


def _pad(low: float, high: float, share: float) -> tuple[float, float]:
    room = max(high - low, 1e-3) * share
    return low - room, high + room


def _legend(axes: Axes, handles: Sequence[object], *, columns: int) -> None:
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.03), ncols=columns)


def _legend_height(entries: int, *, columns: int) -> int:
    """Return the pixels that a legend needs beyond its first row."""
    return 21 * ((entries - 1) // columns)


def _handles(axes: Axes, looks_: Sequence[Look], length: int = 26) -> list[object]:
    return [
        axes.plot([], [], color=look.colour, marker=look.marker, markersize=7, label=shorten(look.name, length))[0]
        for look in looks_
    ]


@style()
def accuracy_minutes(
    runs: pd.DataFrame, means: pd.DataFrame, looks_: Mapping[str, Look], *, margin: tuple[float, float, str] | None
) -> Figure:
    """Draw test accuracy against training minutes: a dot a run, a cross a model.

    Args:
        runs: Rows of MODEL, SEED, MINUTES, ACCURACY of one device.
        means: A row a model: MODEL, MINUTES, ACCURACY, the interval LOW, HIGH of its accuracy (fractions), and LABEL,
            the words beside its name.
        looks_: How each model is drawn.
        margin: Lower end, upper end and words of the band in which a gain does not matter.

    """
    figure, (axes,) = _axes(WIDE, 270 + _legend_height(len(means), columns=3))
    ends = [means[LOW].min(), means[HIGH].max(), runs[ACCURACY].min(), runs[ACCURACY].max(), *(margin or ())[:2]]
    axes.set_xscale("log")
    axes.set_xlim(runs[MINUTES].min() / 1.7, runs[MINUTES].max() * 1.9)
    axes.set_ylim(*_pad(min(ends), max(ends), 0.2))
    if margin is not None:
        axes.axhspan(margin[0], margin[1], color=MODEL_COLOURS[0], alpha=0.09, linewidth=0)
        axes.annotate(
            margin[2], (1, (margin[0] + margin[1]) / 2), xycoords=("axes fraction", "data"), xytext=(8, 0),
            textcoords="offset points", va="center", color=MUTED,
        )  # fmt: skip
    places = np.log(means[MINUTES].to_numpy()) / np.log(axes.get_xlim()[1] / axes.get_xlim()[0])
    apart = np.diff(np.sort(places)).min(initial=1.0)
    direct = len(means) <= MAX_DIRECT_LABELS and apart > DIRECT_LABEL_SHARE
    for model, minutes, accuracy, low, high, label in _rows(means, MODEL, MINUTES, ACCURACY, LOW, HIGH, LABEL):
        look = looks_[model]
        mine = runs[runs[MODEL] == model]
        for seed, took, reached in _rows(mine, SEED, MINUTES, ACCURACY):
            words = f"{look.name}, seed {seed}: {percent(reached, 2)} in {minutes_(took, minutes_digits(took))}"
            axes.plot(
                took, reached, look.marker, color=look.colour, markersize=5, alpha=0.45, mew=0, gid=told([words], seed)
            )
        axes.plot([minutes] * 2, [low, high], color=look.colour, linewidth=2)
        axes.plot([mine[MINUTES].min(), mine[MINUTES].max()], [accuracy] * 2, color=look.colour, linewidth=2)
        words = f"{look.name}, mean: {label}"
        axes.plot(
            minutes, accuracy, look.marker, color=look.colour, markersize=9, mec=PAPER, mew=1.2, gid=told([words])
        )
        if direct:
            for height, text, weight in ((21, shorten(look.name), 600), (5, label, 400)):
                axes.annotate(
                    text, (minutes, high), xytext=(0, height), textcoords="offset points",
                    ha="center", color=look.colour, weight=weight,
                )  # fmt: skip
    if not direct:
        _legend(axes, _handles(axes, [looks_[model] for model in means[MODEL]]), columns=3)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1, symbol=""))
    axes.set_xlabel("training minutes, log scale")
    axes.set_ylabel("test accuracy, %")
    return figure


@style()
def training_loss(losses: pd.DataFrame, look: Look, *, limits: tuple[float, float]) -> Figure:
    """Draw one model's training loss over iterations on one device: a line a seed, its raw range light behind.

    Args:
        losses: Rows of SEED, ITERATION, LOSS, LOW, HIGH.
        look: How the model is drawn.
        limits: Ends of the loss axis, the same for every model.

    """
    figure, (axes,) = _axes(HALF, 240)
    for _, mine in losses.groupby(SEED):
        axes.fill_between(mine[ITERATION], mine[LOW], mine[HIGH], color=look.colour, alpha=0.13, linewidth=0)
    for seed, mine in losses.groupby(SEED):
        words = f"{look.name}, seed {seed}: {fixed(mine[LOSS].iloc[-1], 3)} at the end"
        axes.plot(mine[ITERATION], mine[LOSS], color=look.colour, linewidth=1.3, gid=told([words], seed))
    axes.set_yscale("log")
    axes.set_ylim(*limits)
    axes.set_xlim(0)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if limits[1] / limits[0] < MANY_DECADES else (1,)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title(shorten(look.name), color=look.colour)
    axes.set_xlabel("iteration")
    axes.set_ylabel("training loss, log scale")
    return figure


@style()
def validation_curve(epochs: pd.DataFrame, looks_: Mapping[str, Look], *, over: str) -> Figure:
    """Draw validation accuracy of every model on one device over EPOCH or MINUTES: seeds light, their mean marked."""
    models = list(dict.fromkeys(epochs[MODEL]))
    figure, (axes,) = _axes(HALF, 270 + _legend_height(len(models), columns=2))
    for model in models:
        look, mine = looks_[model], epochs[epochs[MODEL] == model]
        for seed, run in mine.groupby(SEED):
            words = f"{look.name}, seed {seed}: {percent(run[ACCURACY].iloc[-1])} at the end"
            axes.plot(run[over], run[ACCURACY], color=look.colour, linewidth=0.8, alpha=0.5, gid=told([words], seed))
        mean = mine.groupby(EPOCH)[[MINUTES, ACCURACY]].mean().reset_index()
        marks = [
            f"{look.name}, epoch {epoch}: {percent(reached)} after {minutes_(took, minutes_digits(took))}"
            for epoch, took, reached in _rows(mean, EPOCH, MINUTES, ACCURACY)
        ]
        axes.plot(
            mean[over], mean[ACCURACY], color=look.colour, marker=look.marker, markersize=5, mec=PAPER, mew=0.6,
            gid=told(marks),
        )  # fmt: skip
    _legend(axes, _handles(axes, [looks_[model] for model in models], 14), columns=2)
    axes.set_xlim(0)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=""))
    axes.set_xlabel("training minutes" if over == MINUTES else "epoch")
    axes.set_ylabel("validation accuracy, %")
    return figure


@style()
def class_bars(scores: pd.DataFrame, looks_: Mapping[str, Look], *, metric: str, title: str) -> Figure:
    """Draw the study's grouped bars of one metric: a group a class, a bar a model, whiskers from the seeds' range.

    Args:
        scores: Rows of MODEL, CLASS, METRIC, SCORE of one device, SCORE as a fraction.
        looks_: How each model is drawn.
        metric: The METRIC to draw.
        title: Its name.

    """
    figure, (axes,) = _axes(WIDE, 208)
    table = scores[scores[METRIC] == metric].groupby([MODEL, CLASS], sort=False)[SCORE].agg(["mean", "min", "max"])
    models = list(dict.fromkeys(scores[MODEL]))
    classes = list(dict.fromkeys(scores[CLASS]))
    width = 0.8 / len(models)
    for number, model in enumerate(models):
        look, mine = looks_[model], table.loc[model]
        middles = np.arange(len(classes)) + (number - (len(models) - 1) / 2) * width
        axes.bar(
            middles, mine["mean"], width * 0.92, label=shorten(look.name),
            facecolor=PAPER if look.hatch else look.colour, edgecolor=look.colour, hatch=look.hatch, linewidth=1,
        )  # fmt: skip
        if len(set(scores[SEED])) > 1:
            axes.vlines(middles, mine["min"], mine["max"], color=INK, linewidth=1)
    floor = max(0.0, np.floor((table["min"].min() - 0.02) * 20) / 20)
    axes.set_ylim(floor, min(1.0, np.ceil(table["max"].max() * 20) / 20) + 0.004)
    axes.set_xlim(-0.55, len(classes) - 0.45)
    axes.set_xticks(range(len(classes)), [_break_line(name) for name in classes])
    axes.grid(visible=False, axis="x")
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))
    axes.set_ylabel(f"{title}, %" + (", cut axis" if floor else ""))
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
    """Return a class name on two lines where it has two words."""
    first, slash, rest = name.replace(" ", "/ ", 1).partition("/")
    keep = "" if rest.startswith(" ") else slash
    return f"{shorten(first, 10)}{keep}\n{shorten(rest.strip(), 10)}" if slash else shorten(name, 10)


@style()
def class_differences(differences: pd.DataFrame, titles: Mapping[str, str], *, pair: tuple[Look, Look]) -> Figure:
    """Draw the per-class differences, big model less small one, with their intervals.

    Args:
        differences: Rows of CLASS, METRIC, SCORE, LOW, HIGH (fractions) and SURE; the first CLASS comes on top.
        titles: METRIC to the panel's title.
        pair: The looks of the small and the big model; a sure difference takes that of its winner.

    """
    classes = list(dict.fromkeys(differences[CLASS]))
    figure, panels = _axes(WIDE, 60 + 28 * len(classes), columns=len(titles))
    for axes, (metric, title) in zip(panels, titles.items(), strict=True):
        axes.axvline(0, color=MUTED, linewidth=1)
        mine = differences[differences[METRIC] == metric]
        for name, score, low, high, sure in _rows(mine, CLASS, SCORE, LOW, HIGH, SURE):
            winner = pair[int(score > 0)]
            colour, marker, size = (winner.colour, winner.marker, 6) if sure else (MUTED, "|", 8)
            place = classes.index(name)
            axes.plot([low, high], [place, place], color=colour, linewidth=1.6)
            axes.plot(score, place, marker=marker, color=colour, markersize=size, mew=1.6)
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
    """Return a tick of a difference in percentage points, with no more decimals than it needs."""
    text = signed(100 * fraction, 1)
    return text.removesuffix(".0")


@style()
def reliability(bins: pd.DataFrame, look: Look, *, title: str) -> Figure:
    """Draw how often one model is right at each confidence: a mark a bin, its gap to the diagonal as a line.

    Args:
        bins: Rows of CONFIDENCE and ACCURACY, as fractions.
        look: How the model is drawn.
        title: The figure's title.

    """
    figure, (axes,) = _axes(HALF, 240)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.vlines(bins[CONFIDENCE], bins[CONFIDENCE], bins[ACCURACY], color=look.colour, linewidth=2, alpha=0.45)
    axes.plot(bins[CONFIDENCE], bins[ACCURACY], color=look.colour, marker=look.marker, markersize=7, linestyle="")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    axes.set_title(title, color=look.colour)
    axes.set_xlabel("confidence, %")
    axes.set_ylabel("right, %")
    return figure


@style()
def confusion_changes(mistakes: pd.DataFrame, pair: tuple[Look, Look]) -> Figure:
    """Draw how often each model makes some mistakes: a row a pair of classes, a mark a model, the first on top.

    Args:
        mistakes: Rows of true class, predicted class, images of the small model, images of the big one.
        pair: The looks of the small and the big model.

    """
    figure, (axes,) = _axes(HALF, 348)
    labels = []
    for place, (true, predicted, before, after) in enumerate(_rows(mistakes, *mistakes.columns)):
        axes.plot([before, after], [place, place], color=LINE, linewidth=3, zorder=1)
        for count, look in ((before, pair[0]), (after, pair[1])):
            axes.plot(count, place, marker=look.marker, color=look.colour, markersize=7, mec=PAPER, mew=0.8)
        labels.append(f"{shorten(true, 11)} as {shorten(predicted, 11)}")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(0)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("test images")
    axes.set_title("Commonest mistakes")
    return figure


@style()
def confusion_matrix(images: pd.DataFrame, colours: tuple[Look, Look], *, title: str, differ: bool) -> Figure:
    """Draw images by true class (row) and predicted class (column), the mistakes shaded by their number.

    Args:
        images: Rows of TRUE, PREDICTED, IMAGES.
        colours: Looks for negative and positive values.
        title: The figure's title.
        differ: Whether IMAGES are differences, written with their sign and shaded on the diagonal too.

    """
    classes = list(dict.fromkeys(images[TRUE]))
    figure, (axes,) = _axes(HALF, 348)
    shaded = images if differ else images[images[TRUE] != images[PREDICTED]]
    most = max(shaded[IMAGES].abs().max(), 1)
    for true, predicted, count in _rows(images, TRUE, PREDICTED, IMAGES):
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
                    facecolor=colours[int(count > 0)].colour,
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
