"""What a device can do at most: matrix products, convolutions and copies, measured in a second."""

import timeit
from collections.abc import Callable
from typing import Final

import torch
from torch.nn import functional

from fashionbench.devices.device import Device
from fashionbench.devices.precision import arithmetic
from fashionbench.devices.runtime import synchronize
from fashionbench.execution.onednn import multiply
from fashionbench.records.record import Peak, Precision

__all__ = ["measure_peak"]

SECONDS_EACH: Final = 0.2

WARM_UP: Final = 3


def measure_peak(device: Device, precision: Precision = "fp32", *, size: int | None = None) -> Peak:
    """Return a device's rates: of each operation, the best of the runs of a fifth of a second.

    Args:
        device: One that is there.
        precision: The arithmetic.
        size: Rows and columns of the matrices, a multiple of 64; None: enough to keep the device busy.

    Raises:
        RuntimeError: The device cannot do it (torch's own words).

    """
    place = torch.device(device.word)
    size = size or (1024 if place.type == "cpu" else 8192)
    matrix = torch.rand(size, size, device=place)
    images = torch.rand(size // 64, 64, 56, 56, device=place).to(memory_format=torch.channels_last)
    kernel = torch.rand(64, 64, 3, 3, device=place).to(memory_format=torch.channels_last)
    product_flops = 2 * size**3
    convolution_flops = 2 * images.numel() * 64 * 9
    target = torch.empty(16 * size * size, device=place)
    source = torch.rand_like(target)

    def best(operation: Callable[[], object]) -> float:
        def once() -> None:
            operation()
            synchronize(place)

        first = min(timeit.repeat(once, number=1, repeat=WARM_UP))
        return min(timeit.repeat(once, number=1, repeat=max(WARM_UP, int(SECONDS_EACH / first))))

    with torch.inference_mode(), arithmetic(place, precision):
        return Peak(
            product_flops_per_second=product_flops / best(lambda: multiply(matrix, matrix, None)),
            convolution_flops_per_second=convolution_flops / best(lambda: functional.conv2d(images, kernel, padding=1)),
            copy_bytes_per_second=2 * source.nbytes / best(lambda: target.copy_(source)),
        )
