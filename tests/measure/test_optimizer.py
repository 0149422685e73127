"""Adam as the fast execution calls it is PyTorch's, bit for bit."""

import copy

import torch
from torch import nn
from torch.optim import Adam

from fashionbench.measure.execution import make_optimizer


def networks() -> tuple[nn.ModuleList, nn.ModuleList]:
    """Return two networks of the same weights, two layers each."""
    torch.manual_seed(0)
    network = nn.ModuleList([nn.Linear(5, 4), nn.Linear(4, 3)])
    return network, copy.deepcopy(network)


def give_gradients(*networks: nn.ModuleList, layers: int = 2) -> None:
    """Give each network the same gradients, only as many layers of it as are asked for."""
    for network in networks:
        network.zero_grad()
        torch.manual_seed(1)
        for parameter in network[:layers].parameters():
            parameter.grad = torch.randn_like(parameter)


def same(one: nn.ModuleList, other: nn.ModuleList) -> bool:
    return all(torch.equal(*pair) for pair in zip(one.parameters(), other.parameters(), strict=True))


def test_steps_are_those_of_pytorchs_fused_adam() -> None:
    mine, theirs = networks()
    fast, torchs = make_optimizer(mine, 0.01, "fast"), Adam(theirs.parameters(), lr=0.01, fused=True)

    for rate in (0.01, 0.02, 0.003):
        give_gradients(mine, theirs)
        for optimizer in (fast, torchs):
            optimizer.param_groups[0]["lr"] = rate
            optimizer.step()

    assert same(mine, theirs)
    assert not same(mine, networks()[0])


def test_a_weight_without_a_gradient_in_some_step_counts_its_own_steps() -> None:
    mine, theirs = networks()
    fast, torchs = make_optimizer(mine, 0.01, "fast"), Adam(theirs.parameters(), lr=0.01, fused=True)

    for layers in (1, 1, 2, 2, 1, 2):
        give_gradients(mine, theirs, layers=layers)
        fast.step()
        torchs.step()
        assert same(mine, theirs)

    assert [float(state["step"]) for state in fast.state.values()] == [6, 6, 3, 3]


def test_a_layer_that_gets_no_gradient_once_counts_less_from_then_on() -> None:
    mine, theirs = networks()
    fast, torchs = make_optimizer(mine, 0.01, "fast"), Adam(theirs.parameters(), lr=0.01, fused=True)

    for layers in (2, 2, 1, 2):
        give_gradients(mine, theirs, layers=layers)
        fast.step()
        torchs.step()

    assert same(mine, theirs)
    assert [float(state["step"]) for state in fast.state.values()] == [4, 4, 3, 3]


def test_it_goes_on_from_a_saved_state() -> None:
    mine, theirs = networks()
    first = make_optimizer(mine, 0.01, "fast")
    torchs = Adam(theirs.parameters(), lr=0.01, fused=True)
    for _ in range(3):
        give_gradients(mine, theirs)
        first.step()
        torchs.step()
    fast = make_optimizer(mine, 0.01, "fast")

    fast.load_state_dict(copy.deepcopy(first.state_dict()))
    for _ in range(2):
        give_gradients(mine, theirs)
        fast.step()
        torchs.step()

    assert same(mine, theirs)


def test_the_plain_execution_has_adam_as_it_comes() -> None:
    optimizer = make_optimizer(nn.Linear(2, 2), 0.01, "plain")

    assert type(optimizer) is Adam
    assert not optimizer.defaults["fused"]
