"""Work that a device has recorded is done again with what is then in its place."""

from collections.abc import Iterator

import pytest
import torch
from stand_in_device import NAME, StandIn, attach

from fashionbench.devices.runtime import capture


@pytest.fixture
def device() -> Iterator[StandIn]:
    if torch.accelerator.is_available():
        pytest.skip("a real accelerator is here, and PyTorch uses one kind a process")
    with attach() as attached:
        yield attached


def test_recorded_work_is_done_again_on_what_is_then_there(device: StandIn) -> None:
    target = torch.device(NAME)
    given, total = torch.ones(3, device=target), torch.zeros(3, device=target)
    work = capture(target, lambda: total.add_(given).mul(2))
    assert work is not None
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


def test_the_cpu_records_nothing() -> None:
    assert capture(torch.device("cpu"), lambda: torch.ones(1)) is None
