"""What a device can do at most: matrix products, convolutions and copies, measured in a second."""

import math
import timeit
from collections.abc import Callable
from typing import Final

import torch
from torch.nn import functional

from fashionbench.devices.device import Device
from fashionbench.devices.precision import single_precision
from fashionbench.devices.runtime import free_bytes, synchronize
from fashionbench.execution.onednn import multiply
from fashionbench.records.record import Peak, Precision

__all__ = ["describe_peak", "measure_peak"]

SECONDS_EACH: Final = 0.2

WARM_UP: Final = 3

PART_OF_FREE_MEMORY: Final = 10
"""The buffers of a measurement take at most the tenth part."""

CPU_SIZE: Final = 1024
ACCELERATOR_SIZE: Final = 8192
"""Rows and columns of matrices that keep a device busy."""

CHANNELS: Final = 64
PIXELS: Final = 56 * 56


def measure_peak(
    device: Device, precision: Precision = "fp32", *, size: int | None = None, seconds: float = SECONDS_EACH
) -> Peak:
    """Return a device's rates: of each operation, the fastest of many calls.

    The numbers that are multiplied have the precision, so that no conversion is timed.

    Args:
        device: One that is there.
        precision: The arithmetic.
        size: Rows and columns of the matrices, a multiple of 64; None: enough to keep the device busy.
        seconds: How long each operation is repeated.

    Raises:
        RuntimeError: The device cannot do it (torch's own words).

    """
    place = torch.device(device.word)
    size = size or (CPU_SIZE if place.type == "cpu" else ACCELERATOR_SIZE)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    with torch.inference_mode(), single_precision(place, precision):
        return Peak(
            product_flops_per_second=_multiply(place, dtype, size, seconds),
            convolution_flops_per_second=_convolve(place, dtype, size, seconds),
            copy_bytes_per_second=_copy(place, size, seconds),
        )


def _multiply(place: torch.device, dtype: torch.dtype, size: int, seconds: float) -> float:
    most = math.isqrt(_numbers(place, dtype) // 2)  # factors, which are the same, and product
    size = max(64, min(size, most) // 64 * 64)
    matrix = torch.rand(size, size, device=place, dtype=dtype)
    return 2 * size**3 / _best(place, seconds, lambda: multiply(matrix, matrix, None))


def _convolve(place: torch.device, dtype: torch.dtype, size: int, seconds: float) -> float:
    count = max(1, min(size // 64, _numbers(place, dtype) // (2 * CHANNELS * PIXELS)))  # images in and out
    images = torch.rand(count, CHANNELS, 56, 56, device=place, dtype=dtype).to(memory_format=torch.channels_last)
    kernel = torch.rand(CHANNELS, CHANNELS, 3, 3, device=place, dtype=dtype).to(memory_format=torch.channels_last)
    flops = 2 * images.numel() * CHANNELS * 9
    return flops / _best(place, seconds, lambda: functional.conv2d(images, kernel, padding=1))


def _copy(place: torch.device, size: int, seconds: float) -> float:
    source = torch.rand(min(16 * size * size, _numbers(place, torch.float32) // 2), device=place)
    target = torch.empty_like(source)
    return 2 * source.nbytes / _best(place, seconds, lambda: target.copy_(source))


def _numbers(place: torch.device, dtype: torch.dtype) -> int:
    """Return how many numbers the buffers may have."""
    return free_bytes(place) // PART_OF_FREE_MEMORY // dtype.itemsize


def _best(place: torch.device, seconds: float, operation: Callable[[], object]) -> float:
    """Return the seconds of the fastest call."""

    def once() -> None:
        operation()
        synchronize(place)

    first = min(timeit.repeat(once, number=1, repeat=WARM_UP))
    return min(timeit.repeat(once, number=1, repeat=max(WARM_UP, int(seconds / first))))


def describe_peak(found: Peak) -> str:
    """Return a measured peak for a terminal."""
    return (
        f"fp32: products {found.product_flops_per_second / 1e9:,.0f} GFLOP/s, convolutions "
        f"{found.convolution_flops_per_second / 1e9:,.0f} GFLOP/s, copies {found.copy_bytes_per_second / 1e9:,.0f} GB/s"
    )
