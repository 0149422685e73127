"""A model's size and work are those counted by hand."""

from typing import Final

import pytest
import torch
from torch import nn
from torch.nn import functional

from fashionbench.data.dataset import Task
from fashionbench.models.baselines import Baseline
from fashionbench.models.description import describe, describe_network

TASK: Final = Task(shape=(1, 28, 28), classes=10)


def test_resnet18_reaches_38_percent_of_its_weights_at_28_pixels() -> None:
    info = describe("resnet18", TASK, nn.Identity())

    assert info.parameters == 11_175_370
    assert info.reachable_parameters == 4_228_554
    assert info.layers == 21
    assert info.useful_training_flops == pytest.approx(0.105e9, rel=0.02)  # counted by hand elsewhere


def test_fashioncnn_reaches_all_its_weights_and_its_work_is_the_sum_of_its_layers() -> None:
    info = describe("fashioncnn", TASK, nn.Identity())

    convolutions = 2 * (28 * 28 * 32 * 9 + 12 * 12 * 64 * 32 * 9)
    linear = 2 * (2304 * 600 + 600 * 120 + 120 * 10)
    assert info.reachable_parameters == info.parameters
    assert info.forward_flops == convolutions + linear
    meeting = 2 * (82 * 82 * 32 + 12 * 12 * 64 * 32 * 9)  # 28 outputs by 3 taps, two of them on padding
    assert info.useful_forward_flops == meeting + linear
    assert info.layers == 5
    outputs = 3 * 32 * 28 * 28 + 32 * 14 * 14 + 3 * 64 * 12 * 12 + 64 * 6 * 6 + 600 + 600 + 120 + 10
    assert info.activations == outputs


def test_useful_work_is_counted_tap_by_tap() -> None:
    convolution = nn.Conv2d(4, 6, (3, 2), stride=2, padding=(2, 1), dilation=2, groups=2)

    info = describe_network(nn.Sequential(convolution), (4, 5, 6))

    met = functional.conv2d(
        torch.ones(1, 4, 5, 6), torch.ones(6, 2, 3, 2), stride=2, padding=(2, 1), dilation=2, groups=2
    )
    assert info.useful_forward_flops == 2 * int(met.sum())


def test_a_baselines_size_is_what_it_learned() -> None:
    baseline = Baseline("logreg")
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (30, 1, 4, 5), generator=generator, dtype=torch.uint8)

    before = describe("logreg", TASK, baseline)
    baseline.fit(images, torch.arange(30) % 3, 0)
    after = describe("logreg", TASK, baseline)

    assert before.parameters == 0
    assert after.parameters == after.reachable_parameters == 3 * 4 * 5 + 3
    assert (after.layers, after.training_flops) == (0, 0)
