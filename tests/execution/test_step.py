"""The fast execution updates weights by PyTorch's fused Adam, the plain one by Adam as it comes."""

import copy

import pytest
import torch
from torch import nn
from torch.optim import Adam

from fashionbench.execution.step import make_optimizer


def test_both_executions_make_the_same_steps() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3))
    others = [copy.deepcopy(network) for _ in range(2)]
    optimizers = [make_optimizer(others[0], 0.01, "plain"), make_optimizer(others[1], 0.01, "fast")]

    for _ in range(3):
        for parameters in zip(*(other.parameters() for other in others), strict=True):
            gradient = torch.randn_like(parameters[0])
            for parameter in parameters:
                parameter.grad = gradient.clone()
        for optimizer in optimizers:
            optimizer.step()

    for plain, fast, before in zip(*(each.parameters() for each in (*others, network)), strict=True):
        assert torch.allclose(plain, fast, atol=1e-6)
        assert not torch.allclose(fast, before, atol=1e-3)


def test_the_fast_execution_updates_all_weights_in_one_kernel() -> None:
    optimizer = make_optimizer(nn.Linear(2, 2), 0.01, "fast")

    assert type(optimizer) is Adam
    assert optimizer.defaults["fused"]


def test_the_plain_execution_has_adam_as_it_comes() -> None:
    optimizer = make_optimizer(nn.Linear(2, 2), 0.01, "plain")

    assert type(optimizer) is Adam
    assert optimizer.defaults == Adam(nn.Linear(2, 2).parameters(), lr=0.01).defaults


@pytest.mark.parametrize("dtype", [torch.complex64, torch.bfloat16, torch.float16])
def test_weights_that_the_one_kernel_would_not_update_as_plain_does_are_left_to_plain(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    plain, fast = (
        nn.ParameterList([nn.Parameter(torch.ones(3, dtype=dtype)), nn.Parameter(torch.ones(2))]) for _ in "ab"
    )

    for network, optimizer in (
        (plain, make_optimizer(plain, 0.01, "plain")),
        (fast, make_optimizer(fast, 0.01, "fast")),
    ):
        for _ in range(3):
            for parameter in network:
                parameter.grad = torch.full_like(parameter, 0.1)
            optimizer.step()

    assert all(torch.equal(mine, theirs) for mine, theirs in zip(fast, plain, strict=True))
