"""Work that a device has recorded is done again with what is then in its place."""

import pytest
import torch
from stand_in_device import NAME, StandIn
from torch import Tensor, nn
from torch.optim import Adam

from fashionbench.devices.recording import TakeStep, capture, record_step, records_work


def test_recorded_work_is_done_again_on_what_is_then_there(device: StandIn) -> None:
    target = torch.device(NAME)
    given, total = torch.ones(3, device=target), torch.zeros(3, device=target)
    work = capture(target, lambda: total.add_(given).mul(2))
    before = total.cpu()  # it was done three times before it was recorded, and not while it was

    given.fill_(5)
    device.wait()
    found = work().cpu()

    assert before.tolist() == [3, 3, 3]
    assert total.cpu().tolist() == [8, 8, 8]
    assert found.tolist() == [16, 16, 16]


@pytest.mark.usefixtures("device")
def test_work_that_waits_for_a_value_cannot_be_recorded() -> None:
    numbers = torch.ones(3, device=NAME)

    with pytest.raises(RuntimeError, match="not permitted"):
        capture(torch.device(NAME), lambda: numbers * float(numbers.sum()))


def test_nvidias_and_intels_devices_record_work_and_the_others_do_not() -> None:
    assert [records_work(torch.device(kind)) for kind in ("cuda", "xpu", "mps", "cpu")] == [True, True, False, False]


def weights_after(*, is_recorded: bool) -> Tensor:
    """Train by an optimizer that keeps numbers on the host, with a smaller batch on the way; return the weights."""
    batch, answers = torch.rand(4, 2, generator=torch.Generator().manual_seed(0)).to(NAME), torch.zeros(4)
    network = nn.Linear(2, 1, bias=False)
    nn.init.ones_(network.weight)
    network.to(NAME)
    optimizer = Adam(network.parameters(), lr=0.1)

    def find_gradients(images: Tensor, _: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = network(images).square().mean()
        loss.backward()
        return loss.detach()

    def take(images: Tensor, labels: Tensor) -> Tensor:
        loss = find_gradients(images, labels)
        optimizer.step()
        return loss

    step: TakeStep = take
    if is_recorded:
        step = record_step(take, (batch.clone(), answers), model=network, optimizer=optimizer, gradients=find_gradients)
    for size in (4, 4, 3, 4):
        step(batch[:size], answers[:size])
    return network.weight.detach().cpu()


@pytest.mark.usefixtures("device")
def test_gradients_are_recorded_without_an_update_that_keeps_numbers_on_the_host() -> None:
    assert torch.equal(weights_after(is_recorded=True), weights_after(is_recorded=False))
