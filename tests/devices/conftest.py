"""The stand-in device, where no real accelerator takes its place."""

from collections.abc import Iterator

import pytest
import torch
from stand_in_device import NAME, StandIn, attach

from fashionbench.training.case import Case, InferenceCase


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    if torch.accelerator.is_available():
        pytest.skip("a real accelerator is here, and PyTorch uses one kind a process")
    for kind in (Case, InferenceCase):
        monkeypatch.setattr(kind, "torch_device", property(lambda _: torch.device(NAME)))
    with attach() as attached:
        yield attached
