"""No step moves data from the device to the host, shown on PyTorch's meta device, from which nothing can be copied."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import get_args

import pytest
import torch
from torch import Tensor
from torch.optim import optimizer as optimizer_module

from fashionbench.catalogue import STUDY_MODELS
from fashionbench.data.dataset import Task
from fashionbench.execution import step as step_module
from fashionbench.execution.step import StepOptions, TrainingStep, prepare_step
from fashionbench.models.registry import build_model
from fashionbench.records.record import Execution, StepMethod

TASK = Task(shape=(1, 28, 28), classes=10)
META = torch.device("meta")


@pytest.fixture(autouse=True)
def _meta_as_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the meta device what PyTorch refuses it: fused optimizers, autocast, and waiting."""
    monkeypatch.setattr(optimizer_module, "_get_fused_kernels_supported_devices", lambda: ["meta"])
    monkeypatch.setattr(step_module, "arithmetic", lambda *_: nullcontext())
    monkeypatch.setattr(step_module, "synchronize", lambda _: None)


def take_steps(model: str, options: StepOptions) -> list[Tensor]:
    """Train on a whole batch and on a smaller one, from where the execution keeps its images."""
    network = build_model(model, TASK, seed=0)
    step = prepare_step(network, TASK, device=META, learning_rate=0.001, options=options)
    step.model.train()
    return [step(*batch) for batch in batches_of(step)]


def batches_of(step: TrainingStep) -> list[tuple[Tensor, Tensor]]:
    images, labels = torch.zeros(11, *TASK.shape, dtype=torch.uint8), torch.zeros(11, dtype=torch.int64)
    return [*step.batches(*step.place(images, labels), 8, torch.Generator())]


@pytest.mark.parametrize("model", STUDY_MODELS)
@pytest.mark.parametrize("execution", get_args(Execution))
def test_no_step_moves_data_to_the_host(model: str, execution: Execution) -> None:
    losses = take_steps(model, StepOptions(execution=execution, rewritten=True))

    assert [loss.device.type for loss in losses] == ["meta", "meta"]


@pytest.mark.parametrize("method", ["contiguous", "channels-last"])
def test_no_step_of_a_models_own_layers_moves_data_to_the_host(method: StepMethod) -> None:
    losses = take_steps("resnet18", StepOptions(rewritten=False, method=method))

    assert [loss.device.type for loss in losses] == ["meta", "meta"]


@pytest.mark.parametrize("move", [float, Tensor.cpu, lambda value: torch.zeros(()).copy_(value)])
def test_any_move_to_the_host_is_an_error(move: Callable[[Tensor], object]) -> None:
    with pytest.raises(RuntimeError, match="meta"):
        move(torch.zeros((), device=META))
