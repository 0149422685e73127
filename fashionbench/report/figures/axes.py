"""Axes, legends and iteration over frames, shared by all figures."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, PercentFormatter, StrMethodFormatter

from fashionbench.report.figures.style import ModelStyle, shorten
from fashionbench.units import signed

__all__ = [
    "add_legend",
    "format_accuracy_by_minutes",
    "legend_handles",
    "legend_height",
    "make_axes",
    "name_score",
    "pad",
    "points_tick",
    "rows_of",
]


def make_axes(width: int, height: int, *, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Return a figure with a width and height in CSS pixels, and its axes, which are in one row."""
    figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
    figure.get_layout_engine().set(w_pad=2 / 72, h_pad=2 / 72)  # type: ignore[union-attr,call-arg] # a layout was asked for
    return figure, list(np.atleast_1d(figure.subplots(1, columns, sharey=columns > 1)))


def rows_of(frame: pd.DataFrame, *columns: str) -> Iterator[tuple[Any, ...]]:
    """Iterate over the values of some columns, row by row."""
    return zip(*(frame[column] for column in columns), strict=True)


def pad(low: float, high: float, share: float) -> tuple[float, float]:
    """Return the limits of an axis, widened at both ends by a share of their distance."""
    room = max(high - low, 1e-3) * share
    return low - room, high + room


def add_legend(axes: Axes, handles: Sequence[object], *, columns: int) -> None:
    """Add a legend above the axes."""
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.03), ncols=columns)


def legend_height(entries: int, *, columns: int) -> int:
    """Return the height in CSS pixels that a legend needs for the rows after its first."""
    return 21 * ((entries - 1) // columns)


def legend_handles(axes: Axes, styles: Sequence[ModelStyle], length: int = 26) -> list[object]:
    """Return a line with its marker for each model, for a legend."""
    return [
        axes.plot([], [], color=style.colour, marker=style.marker, markersize=7, label=shorten(style.name, length))[0]
        for style in styles
    ]


def format_accuracy_by_minutes(axes: Axes, label: str) -> None:
    """Format axes of test accuracy, a fraction, over minutes on a log scale; ``label`` is that of the minutes."""
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1, symbol=""))
    axes.set_xlabel(label)
    axes.set_ylabel("test accuracy, %\n(truncated axis)")


def name_score(figure: Figure, score: str) -> Figure:
    """Name the score of a figure of accuracy over minutes, in place."""
    figure.axes[0].set_ylabel(figure.axes[0].get_ylabel().replace("accuracy", score))
    return figure


def points_tick(fraction: float) -> str:
    """Return a tick label in percentage points, without decimals that are zero."""
    text = signed(100 * fraction, 2)
    return text.rstrip("0").rstrip(".") if "." in text else text
