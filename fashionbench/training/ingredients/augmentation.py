"""Augmentation: flips, shifts and erased boxes, drawn by seed and epoch, applied to whole batches on the device."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from fashionbench.recipe.fields import Augmentation

__all__ = ["Draws", "augment", "augment_batches", "draw"]

AREAS: Final = (0.02, 0.33)
"""Fractions of an image that an erased box takes, drawn uniformly (Zhong et al., 2020, and torchvision)."""

ASPECTS: Final = (0.3, 3.3)
"""Height over width of a box, drawn uniformly on a logarithmic scale."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draws:
    """What happens to the images of an epoch, in the order in which they train."""

    flipped: Tensor
    """Whether left and right change places, (N,), bool."""
    shifts: Tensor
    """Pixels down and to the right, (N, 2), int64."""
    boxes: Tensor
    """Top, left, height and width of what is erased, (N, 4), int64; a height of 0 erases nothing."""

    def part(self, start: int, count: int) -> "Draws":
        """Return those of some images one after another."""
        flipped, shifts, boxes = (each[start : start + count] for each in (self.flipped, self.shifts, self.boxes))
        return Draws(flipped=flipped, shifts=shifts, boxes=boxes)


def draw(
    how: Augmentation, images: Tensor, *, seed: int, epoch: int, device: torch.device | None = None
) -> Draws | None:
    """Draw what happens to images (N, C, H, W) in an epoch; None where the recipe asks for nothing.

    The same seed and epoch draw the same, whatever the device on which the batches come.
    """
    if how == Augmentation():
        return None
    count, _, height, width = images.shape
    state = int(np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0])
    chances = torch.rand(count, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(state))  # [0, 1)
    flip, down, right, erase, area, aspect, top, left = chances.unbind(1)
    pixels = height * width * (AREAS[0] + (AREAS[1] - AREAS[0]) * area)
    ratio = torch.exp(math.log(ASPECTS[0]) + (math.log(ASPECTS[1]) - math.log(ASPECTS[0])) * aspect)
    tall, wide = (pixels * ratio).sqrt().round().clamp(max=height), (pixels / ratio).sqrt().round().clamp(max=width)
    boxes = torch.stack([(top * (height - tall + 1)).floor(), (left * (width - wide + 1)).floor(), tall, wide], 1)
    shifts = (torch.stack([down, right], 1) * (2 * how.shift + 1)).floor().long() - how.shift
    return Draws(
        flipped=((flip < 1 / 2) & how.flip).to(device),
        shifts=shifts.to(device),
        boxes=(boxes * (erase < how.erase)[:, None]).long().to(device),
    )


def augment(images: Tensor, draws: Draws) -> Tensor:
    """Return images (B, C, H, W), each flipped, then shifted, then with a box erased; what has no source is 0."""
    rows, columns = (torch.arange(length, device=images.device) for length in images.shape[2:])
    from_rows, from_columns = rows - draws.shifts[:, :1], columns - draws.shifts[:, 1:]  # (B, H), (B, W)
    inside = _between(from_rows, 0, len(rows))[:, :, None] & _between(from_columns, 0, len(columns))[:, None]
    top, left, tall, wide = draws.boxes[:, :, None].unbind(1)  # (B, 1) each
    erased = _between(rows, top, top + tall)[:, :, None] & _between(columns, left, left + wide)[:, None]  # (B, H, W)
    from_columns = torch.where(draws.flipped[:, None], len(columns) - 1 - from_columns, from_columns)
    moved = torch.take_along_dim(images, from_rows.clamp(0, len(rows) - 1)[:, None, :, None], 2)
    moved = torch.take_along_dim(moved, from_columns.clamp(0, len(columns) - 1)[:, None, None, :], 3)
    return moved.mul_((inside & ~erased)[:, None])


def _between(places: Tensor, first: Tensor | int, end: Tensor | int) -> Tensor:
    return (places >= first) & (places < end)


def augment_batches(
    batches: Iterator[tuple[Tensor, Tensor]], draws: Draws | None, start: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches with their images augmented; the first one begins at the place ``start`` of the epoch."""
    if draws is None:
        yield from batches
        return
    for images, labels in batches:
        yield augment(images, draws.part(start, len(images))), labels
        start += len(images)
