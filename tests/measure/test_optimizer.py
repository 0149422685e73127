"""Adam as the fast execution calls it is PyTorch's, bit for bit."""

import copy

import pytest
import torch
from torch import nn
from torch.optim import Adam

from fashionbench.measure.execution import make_optimizer


def networks() -> tuple[nn.ModuleList, nn.ModuleList]:
    """Return two networks of the same weights, two layers each."""
    torch.manual_seed(0)
    network = nn.ModuleList([nn.Linear(5, 4), nn.Linear(4, 3)])
    return network, copy.deepcopy(network)


def give_gradients(*networks: nn.ModuleList, layers: slice = slice(None)) -> None:
    """Give some layers of each network the same gradients, and the others none."""
    for network in networks:
        network.zero_grad()
        torch.manual_seed(1)
        for parameter in network[layers].parameters():
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
    assert len({id(state["step"]) for state in fast.state.values()}) == 1


FIRST, SECOND, BOTH = slice(1), slice(1, 2), slice(2)


@pytest.mark.parametrize(
    ("steps", "counts"),
    [
        ((FIRST, FIRST, BOTH, BOTH, FIRST, BOTH), (6, 6, 3, 3)),
        ((BOTH, BOTH, FIRST, BOTH), (4, 4, 3, 3)),
        ((FIRST, SECOND, BOTH), (2, 2, 2, 2)),
    ],
    ids=["one comes later", "one pauses", "by turns"],
)
def test_a_weight_without_a_gradient_in_some_step_counts_its_own_steps(
    steps: tuple[slice, ...], counts: tuple[int, ...]
) -> None:
    mine, theirs = networks()
    fast, torchs = make_optimizer(mine, 0.01, "fast"), Adam(theirs.parameters(), lr=0.01, fused=True)

    for layers in steps:
        give_gradients(mine, theirs, layers=layers)
        fast.step()
        torchs.step()
        assert same(mine, theirs)

    assert tuple(float(fast.state[parameter]["step"]) for parameter in mine.parameters()) == counts


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
