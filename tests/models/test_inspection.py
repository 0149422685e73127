"""What a network does besides what its author meant is found on a few random images."""

from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from fashionbench.data.dataset import Task
from fashionbench.models.description import describe
from fashionbench.models.inspection import count_trained, find_unsaved_state, gives_probabilities
from fashionbench.models.registry import build_model

TASK = Task(shape=(1, 8, 8), classes=10)


def linear(*after: nn.Module) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 10), *after)


class SoftmaxInEvaluation(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inside = linear()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.inside(images)
        return logits if self.training else logits.softmax(1)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (linear(nn.Softmax(1)), True),
        (linear(nn.Sigmoid()), True),
        (SoftmaxInEvaluation(), True),
        (linear(), False),
        (linear(nn.LogSoftmax(1)), False),
        (linear(nn.ReLU()), False),
        (linear(nn.Tanh()), False),
    ],
    ids=["softmax", "sigmoid", "evaluation", "logits", "log-softmax", "relu", "tanh"],
)
def test_probabilities_are_told_from_logits(network: nn.Module, *, expected: bool) -> None:
    network.eval()

    assert gives_probabilities(network, TASK) is expected
    assert not network.training


@pytest.mark.parametrize("name", ["fashioncnn", "resnet18", "torchvision:mobilenet_v3_small"])
def test_usual_networks_are_not_suspected(name: str) -> None:
    task = Task(shape=(1, 28, 28), classes=10)

    assert not gives_probabilities(build_model(name, task, 0), task)
    assert find_unsaved_state(build_model(name, task, 0), task) == ()


class Keeping(nn.Module):
    """Has a counter, a list, a buffer and a plain tensor that change, and a cache, a size and a buffer that do not."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = linear()
        self.calls, self.size = 0, 8
        self.seen: list[int] = []
        self.cache: Tensor | None = None
        self.plain = torch.zeros(1)
        self.mean: Tensor
        self.kept: Tensor
        self.register_buffer("mean", torch.zeros(1), persistent=False)
        self.register_buffer("kept", torch.zeros(1))
        self.register_buffer("fixed", torch.ones(1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        self.seen.append(len(images))
        self.plain = self.plain + 1
        self.mean += images.mean()
        self.kept += 1
        if self.cache is None:
            self.cache = torch.ones(3)
        logits: Tensor = self.inside(images)
        return logits


def test_what_changes_and_is_not_saved_is_named() -> None:
    network = nn.ModuleDict({"inner": Keeping()})["inner"]

    assert Counter(find_unsaved_state(network, TASK)) == Counter(["mean", "plain", "calls", "seen"])


def test_frozen_weights_are_not_counted_as_trained() -> None:
    network = build_model("fashioncnn", Task(shape=(1, 28, 28), classes=10), 0)
    every = count_trained(network)
    for parameter in [*network.parameters()][:-2]:
        parameter.requires_grad = False
    last = sum(parameter.numel() for parameter in [*network.parameters()][-2:])

    info = describe("fashioncnn", Task(shape=(1, 28, 28), classes=10), network, lambda: network)

    assert count_trained(network) == last
    assert (info.parameters, info.trained_parameters, info.gives_probabilities) == (every, last, False)
