"""The generators that a network may draw from: PyTorch's, Python's and NumPy's, seeded and saved together."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch

__all__ = ["load_generators", "save_generators", "seeded_generators"]

CPU: Final = torch.device("cpu")

MOST_SEEDS: Final = 2**32
"""NumPy's global generator takes no greater seed."""


@contextmanager
def seeded_generators(seed: int, device: torch.device = CPU) -> Iterator[None]:
    """Seed the global generators, also that of a device, for the block; afterwards they are as they were."""
    python, numpy = _states()
    with torch.random.fork_rng(devices=[device] if device.type != "cpu" else [], device_type=device.type):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % MOST_SEEDS)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def save_generators() -> dict[str, Any]:
    """Return the states of Python's and NumPy's global generators as plain values."""
    python, (name, key, *rest) = _states()
    return {"python": python, "numpy": (name, key.tolist(), *rest)}


def load_generators(saved: dict[str, Any]) -> None:
    """Restore what ``save_generators`` returned."""
    random.setstate(saved["python"])
    name, key, place, *rest = saved["numpy"]
    if not 0 <= place <= len(key):  # NumPy would read beyond it
        raise ValueError(f"NumPy's generator is at place {place}")
    np.random.set_state((name, np.asarray(key, dtype=np.uint32), place, *rest))


def _states() -> tuple[Any, Any]:
    return random.getstate(), np.random.get_state(legacy=True)
