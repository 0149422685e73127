"""A trace counts only where it is true of every pass: nothing changes meanwhile, and nothing is drawn at random."""

import itertools
import random
import weakref
from collections.abc import Callable
from copy import deepcopy
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fashionbench.models.analysis.dataflow import trace
from fashionbench.models.analysis.state import is_independent


class Net(nn.Module):
    """A layer, and something that each test does in its forward pass."""

    def __init__(self, does: Callable[["Net"], object] = lambda _: None) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 2, 3)
        self.register_buffer("count", torch.zeros(1))
        self.kept: dict[str, int] = {}
        self.counter = itertools.cycle([1, 2])
        self.own, self.numpys = random.Random(0), np.random.default_rng(0)
        self.does = does
        self.attribute: object = None

    def forward(self, images: Tensor) -> Tensor:
        self.does(self)
        maps: Tensor = self.layer(images)
        return maps


class CountsModes(Net):
    epochs = 0

    def train(self, mode: bool = True) -> "CountsModes":
        self.epochs += mode
        super().train(mode)
        return self


CHANGES: list[Callable[[Net], object]] = [
    lambda net: setattr(net, "seen", getattr(net, "seen", 0) + 1),
    lambda net: net.kept.update(seen=len(net.kept)),
    lambda net: next(net.counter),
    lambda net: net.get_buffer("count").add_(1),
    lambda net: setattr(net, "count", net.get_buffer("count") + 1),
    lambda net: net.own.random(),
    lambda net: net.numpys.random(),
    lambda _: random.random(),
    lambda _: np.random.rand(),
    lambda _: torch.rand(1).item(),
    lambda net: net.layer.eval(),
    lambda net: net.get_buffer("count").data.add_(1),
    lambda net: np.add(net.get_buffer("count").numpy(), 1, out=net.get_buffer("count").numpy()),
]
LOOKS: list[Callable[[Net], object]] = [
    lambda net: bool(net.get_buffer("count") > 3),
    lambda net: net.get_buffer("count").tolist(),
    lambda net: [float(each.detach().norm()) for each in net.parameters()],
    lambda net: [each.grad for each in net.parameters()],
    lambda net: net.state_dict()["layer.weight"].sum(),
    lambda net: nn.utils.parameters_to_vector(net.parameters()),
    lambda net: nn.utils.clip_grad_norm_(net.parameters(), 1.0),
]


@pytest.mark.parametrize("does", CHANGES, ids=map(str, range(len(CHANGES))))
def test_a_network_that_changes_or_draws_in_a_pass_may_do_otherwise_in_the_next(does: Callable[[Net], object]) -> None:
    assert trace(Net(does)) is None


@pytest.mark.parametrize("does", LOOKS, ids=map(str, range(len(LOOKS))))
def test_a_network_that_looks_at_values_may_do_otherwise_when_they_change(does: Callable[[Net], object]) -> None:
    assert trace(Net(does)) is None


def test_a_network_may_ask_where_its_weights_are() -> None:
    assert trace(Net(lambda net: [(each.device, each.dtype, each.shape) for each in net.parameters()])) is not None


def test_a_network_that_looks_values_up_is_not_traced() -> None:
    class Keyed(Net):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) * {20: 2.0}.get(images.shape[0], 1.0)

    assert trace(Keyed()) is None


def test_a_network_that_counts_its_epochs_may_do_otherwise_in_the_next() -> None:
    assert trace(CountsModes()) is None


def test_tracing_leaves_the_generators_as_they_are() -> None:
    net = Net(lambda _: (torch.rand(1), random.random()))
    before = torch.get_rng_state(), random.getstate()

    trace(net)

    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]


def test_without_a_gradient_a_network_may_take_another_way() -> None:
    net = Net()
    net.does = lambda _: None if torch.is_grad_enabled() else net.missing

    assert trace(net) is None


def test_a_layer_that_is_called_has_its_calls() -> None:
    net = Net()

    flow = trace(net)

    assert flow is not None
    assert flow.is_called_once(net.layer)


def closes_over_itself(net: Net) -> object:
    return lambda images: net.layer(images.flip(3))


def closes_over_a_tensor(net: Net) -> object:
    weight = net.layer.weight
    return lambda images: images * weight


def closes_over_a_method(net: Net) -> object:
    forward = net.layer.forward
    return [lambda images: forward(images.flip(3))]


@pytest.mark.parametrize("attribute", [closes_over_itself, closes_over_a_tensor, closes_over_a_method, weakref.ref])
def test_a_copy_whose_functions_refer_to_the_original_is_not_independent(attribute: Callable[[Net], object]) -> None:
    net = Net()
    net.attribute = attribute(net)

    assert not is_independent(deepcopy(net), net)


def refers_to_it_by_a_method(net: Net) -> object:
    return net.layer.forward


def refers_to_it_by_a_partial(net: Net) -> object:
    return {"of": partial(Net.forward, net)}


def knows_functions(_: Net) -> object:
    return torch.relu, nn.functional.gelu, lambda images: images, torch.float32, [].append


@pytest.mark.parametrize("attribute", [refers_to_it_by_a_method, refers_to_it_by_a_partial, knows_functions])
def test_a_copy_that_refers_to_itself_alone_is_independent(attribute: Callable[[Net], object]) -> None:
    net = Net()
    net.attribute = attribute(net)

    assert is_independent(deepcopy(net), net)
    assert trace(net) is not None
