"""Work that a device has recorded is done again with what is then in its place."""

import pytest
import torch
from stand_in_device import NAME, StandIn
from torch import nn
from torch.optim import Adam

from fashionbench.devices.recording import capture, record_step, records_work


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


@pytest.mark.usefixtures("device")
def test_an_optimizer_that_keeps_numbers_on_the_host_is_not_recorded() -> None:
    network, batch = nn.Linear(2, 2).to(NAME), torch.ones(1, 2, device=NAME)

    with pytest.raises(RuntimeError, match="is not fused"):
        record_step(lambda images, _: images, batch, batch, model=network, optimizer=Adam(network.parameters()))
