"""Compare the fast execution with plain over torchvision's classifiers: what they train, and with --time how fast.

Called by ``nox -s agreement``; prints a table in Markdown. It names the classifiers of up to 30 million parameters
unless some are given.

- Numbers: ten steps of Adam in double precision on the same images of the sample, without dropout: the largest relative
  difference of losses, and that of the outputs in evaluation afterwards. Then the larger of the same differences
  between plain and plain with weights that differ in the last bit, as often as --controls says: what a network makes of
  rounding.
- Times: single steps by turns in one process, the model's own layers against the rewritten ones, both with fused Adam
  and kept memory. The median of the pairs' ratios, with its 95 % interval.
"""

import argparse
import copy
import random
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import torch
from scipy.stats import quantile_test
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam

from fashionbench.data.dataset import Task
from fashionbench.data.fashion_mnist import find_dataset
from fashionbench.execution.fast import find_objection, keep_memory, speed_up
from fashionbench.execution.step import make_optimizer, train_step
from fashionbench.models.registry import build_model
from fashionbench.models.sources.libraries import TORCHVISION, classifier_names

CLASSES: Final = 10
MOST_PARAMETERS: Final = 30_000_000
SAMPLE: Final = Path(__file__).parent / "data"
STEPS: Final = 10
BATCH: Final = 32
CONTROLS: Final = 2
PAIRS: Final = 15
EPSILON: Final = 1e-3
"""Adam's: with its own 1e-8 gradients that are zero to rounding would move their weights by whole steps."""


def main() -> None:
    """Compare the classifiers that the command names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="torchvision's names; the default is all that are small enough")
    parser.add_argument("--shape", default="1,28,28", help="channels, height and width (default: 1,28,28)")
    parser.add_argument(
        "--time", default="", help="batch sizes to time, such as 8,20,100; the default compares numbers"
    )
    parser.add_argument("--controls", type=int, default=CONTROLS, help=f"default: {CONTROLS}")
    asked = parser.parse_args()
    channels, height, width = map(int, asked.shape.split(","))
    task = Task(shape=(channels, height, width), classes=CLASSES)
    batches = [int(each) for each in asked.time.split(",") if each]
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, images of {asked.shape}")
    for name in asked.names or classifier_names():
        try:
            network = build_model(TORCHVISION + name, task, 0)
            if not asked.names and sum(each.numel() for each in network.parameters()) > MOST_PARAMETERS:
                continue
            network(torch.rand(2, *task.shape))
        except (RuntimeError, ValueError, AssertionError):  # too small images, in torch's and in torchvision's words
            continue
        lines = (
            (time_steps(name, task, each) for each in batches)
            if batches
            else [compare_numbers(name, task, asked.controls)]
        )
        for line in lines:
            print(f"| {name} | {line} |", flush=True)


def compare_numbers(name: str, task: Task, controls: int) -> str:
    """Return the differences of ten steps in double precision, and why the layers stay as they are, if they do."""
    objection = find_objection(build_model(TORCHVISION + name, task, 0), task.shape)
    plain, fast = _pair(name, task)
    expected = _train(copy.deepcopy(plain), task)
    found = _differences(expected, _train(fast, task))
    rounded = [_differences(expected, _train(_round_otherwise(plain, seed), task)) for seed in range(controls)]
    figures = [f"{each:.1e}" for each in (*found, *map(max, zip(*rounded, strict=True)))]
    return " | ".join([*figures, objection or "rewritten"])


def _differences(expected: tuple[Tensor, Tensor], found: tuple[Tensor, Tensor]) -> list[float]:
    return [float((one - other).abs().max() / one.abs().max()) for one, other in zip(expected, found, strict=True)]


def _round_otherwise(network: nn.Module, seed: int) -> nn.Module:
    """Return a copy in double precision whose weights are each one unit of rounding smaller or larger."""
    network = copy.deepcopy(network).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            signs = torch.randint(2, weight.shape, generator=generator).to(weight) * 2 - 1
            weight.mul_(1 + torch.finfo(weight.dtype).eps * signs)
    return network


def _pair(name: str, task: Task) -> Iterator[nn.Module]:
    for suits in (False, True):
        yield speed_up(build_model(TORCHVISION + name, task, 0), task.shape, suits=suits)


def _train(network: nn.Module, task: Task) -> tuple[Tensor, Tensor]:
    network.double().train()
    for layer in network.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    optimizer, losses = Adam(network.parameters(), eps=EPSILON), []
    images, labels = _sample(task)
    for step in range(STEPS):
        torch.manual_seed(step)
        chosen = slice(step * BATCH, (step + 1) * BATCH)
        output = network(images[chosen].double())
        loss = functional.cross_entropy(getattr(output, "logits", output), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    with torch.no_grad():
        return torch.stack(losses), network.eval()(images[:BATCH].double())


@cache
def _sample(task: Task) -> tuple[Tensor, Tensor]:
    """Return the sample's images in the shape of a task, in [0, 1], and their labels."""
    sample = find_dataset(SAMPLE, environ={}, cache=SAMPLE, announce=print, allow_sample=True)
    channels, *size = task.shape
    images = functional.interpolate(sample.train_images / 255, size=size, mode="bilinear")
    tints = torch.linspace(0.5, 1, channels)[:, None, None]  # so that colours differ
    return images * tints, sample.train_labels


def time_steps(name: str, task: Task, batch: int) -> str:
    """Return the median ratio of steps, rewritten over own layers, with its interval, and the median times."""
    keep_memory()
    images, labels = (each[:batch] for each in _sample(task))
    steps = [(network, make_optimizer(network, 1e-3, "fast")) for network in _pair(name, task)]
    seconds = np.empty((PAIRS + 2, 2))
    for pair in range(PAIRS + 2):
        for which in random.sample(range(2), 2):
            started = time.perf_counter()
            train_step(*steps[which], images, labels)
            seconds[pair, which] = time.perf_counter() - started
    seconds = seconds[2:]
    ratios = seconds[:, 1] / seconds[:, 0]
    low, high = np.asarray(quantile_test(ratios).confidence_interval(0.95), dtype=float)
    own, rewritten = 1000 * np.median(seconds, axis=0)
    return (
        f"{batch} | {own:.1f} | {rewritten:.1f} | {np.median(ratios):.2f} ({low:.2f} to {high:.2f}), n = {len(ratios)}"
    )


if __name__ == "__main__":
    main()
