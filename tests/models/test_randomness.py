"""Python's and NumPy's generators are seeded with torch's, and left as they were."""

import random

import numpy as np
import torch

from fashionbench.models.randomness import load_generators, save_generators, seeded_generators


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_a_seed_decides_all_three_and_they_are_left_as_they_were() -> None:
    with seeded_generators(5):
        saved, state = save_generators(), torch.get_rng_state()
        outside = draw()
    load_generators(saved)
    torch.set_rng_state(state)

    with seeded_generators(0):
        first = draw()
    with seeded_generators(0):
        second = draw()
    with seeded_generators(2**32 + 1):
        other = draw()

    assert first == second
    assert not {*first} & {*other}
    assert draw() == outside
