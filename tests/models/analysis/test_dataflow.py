"""A trace counts only where it is true of every pass: nothing changes meanwhile, and nothing is drawn at random."""

import itertools
import os
import random
import weakref
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from unittest.mock import patch

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


def count_in_an_attribute() -> None:
    vars(count_in_an_attribute)["calls"] = vars(count_in_an_attribute).get("calls", 0) + 1


def count_in_the_environment() -> None:
    os.environ["CALLS"] = os.environ.get("CALLS", "") + "1"


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
    lambda _: count_in_an_attribute(),
    lambda _: globals().update(calls_by_name=globals().get("calls_by_name", 0) + 1),
    lambda _: count_in_the_environment(),
]
LOOKS: list[Callable[[Net], object]] = [
    lambda net: bool(net.get_buffer("count") > 3),
    lambda net: net.get_buffer("count").tolist(),
    lambda net: [float(each.detach().norm()) for each in net.parameters()],
    lambda net: [each.grad for each in net.parameters()],
    lambda net: net.state_dict()["layer.weight"].sum(),
    lambda net: nn.utils.parameters_to_vector(net.parameters()),
    lambda net: nn.utils.clip_grad_norm_(net.parameters(), 1.0),
    lambda net: torch.equal(net.get_buffer("count"), torch.zeros(1)),
    lambda net: torch.allclose(net.get_buffer("count"), torch.zeros(1)),
    lambda net: 3 in net.get_buffer("count"),
    lambda net: f"{net.get_buffer('count')}",
    lambda net: np.asarray(net.get_buffer("count")),
    lambda net: np.from_dlpack(net.get_buffer("count")),
    lambda net: net.get_buffer("count").untyped_storage()[0],
    lambda net: len(net.get_buffer("count").nonzero()),
    lambda net: net.get_buffer("count")[net.get_buffer("count") > 3].numel(),
    lambda net: net.get_buffer("count").unique().numel(),
]


@pytest.mark.parametrize("does", CHANGES, ids=map(str, range(len(CHANGES))))
@patch.dict(os.environ)
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


ASKS: list[Callable[[], bool]] = [
    torch.is_grad_enabled,
    torch.is_inference_mode_enabled,
    lambda: torch.zeros(1).is_inference(),
    torch.is_autocast_enabled,
    lambda: torch.is_autocast_enabled("cpu"),
]


@pytest.mark.parametrize("asks", ASKS, ids=["gradients", "inference mode", "its tensors", "autocast", "on the CPU"])
def test_a_layer_that_is_left_out_in_one_mode_is_not_called_in_each(asks: Callable[[], bool]) -> None:
    class Choosing(Net):
        def forward(self, images: Tensor) -> Tensor:
            return images * 2 if asks() else super().forward(images)

    net = Choosing()

    flow = trace(net)

    assert flow is not None
    assert not flow.is_only_called(net.layer)
    assert not torch.is_autocast_enabled()


@pytest.mark.parametrize("asks", ASKS[1:], ids=["inference mode", "its tensors", "autocast", "on the CPU"])
def test_one_graph_is_not_right_for_a_network_that_does_otherwise_when_it_is_timed(asks: Callable[[], bool]) -> None:
    class Scaling(Net):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) * (2.0 if asks() else 1.0)

    scaling, usual = trace(Scaling()), trace(Net())

    assert scaling is not None
    assert usual is not None
    assert not scaling.evaluates_alike
    assert usual.evaluates_alike


def test_slices_of_a_sequence_and_numbers_made_of_buffers_are_traced() -> None:
    class Everyday(Net):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.ReLU(), nn.Conv2d(2, 2, 3))

        def forward(self, images: Tensor) -> Tensor:
            maps: Tensor = self.layers[1:](self.layers[:1](super().forward(images)))
            return maps - self.get_buffer("count")[:, None, None]

    net = Everyday()

    flow = trace(net)

    assert flow is not None
    assert flow.is_called_once(net.layers[1])


def test_a_weight_in_memory_that_another_one_has_too_is_not_a_layers_own() -> None:
    net = Net()
    net.register_parameter("other", nn.Parameter(net.layer.weight.detach().flatten()))

    flow = trace(net)

    assert flow is not None
    assert not flow.is_only_called(net.layer)


def test_an_index_by_numbers_is_no_look_at_values() -> None:
    assert trace(Net(lambda net: net.get_buffer("count")[torch.tensor([0, 0])])) is not None


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
