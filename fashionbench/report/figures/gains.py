"""The figure that the verdict is read from: each device's gain with its interval, against zero and the margin."""

from typing import Final

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from fashionbench.report.figures.axes import make_axes, pad, points_tick, rows_of
from fashionbench.report.figures.style import HALF, INK, MUTED, ModelStyle, page_style, shorten
from fashionbench.report.frames import DEVICE, HIGH, LOW, SCORE

__all__ = ["gain_intervals"]

WIDE_MARGIN: Final = 0.3
"""If the margins are at least this share of the axis apart, the ticks are zero and the margins."""

HEIGHT: Final = 196

SHORT_LABEL: Final = 6
"""Longer names of devices leave less room for those of the models."""

ROW_HEIGHT: Final = 26


@page_style()
def gain_intervals(
    gains: pd.DataFrame, *, margin: float, pair: tuple[ModelStyle, ModelStyle], score: str = "accuracy"
) -> Figure:
    """Draw the gain of each device with its interval, the zero line, and the band in which it does not matter.

    Args:
        gains: Rows of DEVICE, SCORE, LOW, HIGH (fractions); the first is at the top.
        margin: The smallest gain that matters, a fraction.
        pair: The styles of the small and the big model.
        score: What readers call the score.

    """
    figure, (axes,) = make_axes(HALF, HEIGHT + ROW_HEIGHT * max(0, len(gains) - 3))
    left, right = pad(min(gains[LOW].min(), -margin), max(gains[HIGH].max(), margin), 0.08)
    axes.set_xlim(left, right)
    axes.axvspan(-margin, margin, color=MUTED, alpha=0.13, linewidth=0)
    for end in (-margin, margin):
        axes.axvline(end, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.axvline(0, color=MUTED, linewidth=1)
    for height, (estimate, low, high) in enumerate(rows_of(gains, SCORE, LOW, HIGH)):
        axes.plot([low, high], [height] * 2, color=INK, linewidth=2, marker="|", markersize=11, mew=2)
        axes.plot(estimate, height, marker="s", color=INK, markersize=8)
    names = [shorten(name, 14) for name in gains[DEVICE]] if len(gains) > 1 else [""]
    axes.set_yticks(range(len(gains)), names)
    axes.set_ylim(len(gains) - 0.4, -0.6)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    if 2 * margin / (right - left) >= WIDE_MARGIN:
        axes.xaxis.set_major_locator(FixedLocator([-margin, 0, margin]))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4, symmetric=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: points_tick(value)))
    axes.set_xlabel(f"gain in test {score}, pp")
    length = 13 if max(map(len, names)) <= SHORT_LABEL else 8
    small, big = (shorten(style.name, length) for style in pair)
    axes.set_title(f"favours {small}", loc="left", color=pair[0].colour)
    axes.set_title(f"favours {big}", loc="right", color=pair[1].colour)
    return figure
