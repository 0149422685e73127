"""Images whose pixels stand in one row: their shape, and whether the pixels or the channels follow each other."""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fashionbench.data.arrays import CHANNELS, channels_first

__all__ = ["describe_order", "find_shape", "is_by_planes", "shape_images"]

CLEARLY_SMOOTHER: Final = 0.85

SAMPLE_IMAGES: Final = 200

Shape = tuple[int, int, int]
"""Channels, height and width."""


def find_shape(pixels: int) -> Shape | None:
    """Return the shape of a square image in one channel, or else in three; None where there is none."""
    sides = {channels: math.isqrt(pixels // channels) for channels in CHANNELS}
    found = ((channels, side, side) for channels, side in sides.items() if channels * side**2 == pixels > 0)
    return next(found, None)


def is_by_planes(pixels: NDArray[Any], shape: Shape) -> bool:
    """Return whether all red pixels of an image come first: only then that order is clearly smoother."""
    if shape[0] == 1:
        return False
    by_planes, by_pixels = (
        _roughness(shape_images(pixels[:SAMPLE_IMAGES], shape, by_planes=by_planes)) for by_planes in (True, False)
    )
    return by_planes < CLEARLY_SMOOTHER * by_pixels


def describe_order(*, by_planes: bool) -> str:
    """Say in which order the channels of an image stand."""
    return "all red pixels first" if by_planes else "red, green and blue of a pixel next to each other"


def shape_images(pixels: NDArray[Any], shape: Shape, *, by_planes: bool) -> NDArray[Any]:
    """Return rows of pixels as images (N, channels, height, width)."""
    channels, height, width = shape
    if by_planes:
        return pixels.reshape(-1, channels, height, width)
    return channels_first(pixels.reshape(-1, height, width, channels))


def _roughness(images: NDArray[Any]) -> float:
    """Return how much a pixel of (N, channels, H, W) differs from the one below it."""
    return float(np.abs(np.diff(images.astype(np.float32), axis=2)).sum())
