"""Each schedule and each optimizer is torch's own, step for step."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from cases import CPU
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    SequentialLR,
    StepLR,
)

from fashionbench.data.dataset import Task
from fashionbench.execution.step import TrainingStep
from fashionbench.recipe.fields import Recipe
from fashionbench.training.case import Case
from fashionbench.training.ingredients.schedule import make_schedule

STEPS = 50
TASK = Task(shape=(1, 4, 4), classes=4)
OPTIMIZERS: list[tuple[dict[str, Any], Callable[[Any], Optimizer]]] = [
    ({"optimizer": "adam"}, lambda weights: Adam(weights, lr=0.01)),
    ({"optimizer": "adam", "weight_decay": 0.1}, lambda weights: Adam(weights, lr=0.01, weight_decay=0.1)),
    ({"optimizer": "adamw", "weight_decay": 0.1}, lambda weights: AdamW(weights, lr=0.01, weight_decay=0.1)),
    ({"optimizer": "sgd"}, lambda weights: SGD(weights, lr=0.01)),
    (
        {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.1},
        lambda weights: SGD(weights, lr=0.01, momentum=0.9, weight_decay=0.1),
    ),
]
SCHEDULES: list[tuple[dict[str, Any], Callable[[Optimizer], LRScheduler | None]]] = [
    ({"schedule": "constant"}, lambda _: None),
    ({"schedule": "step", "step_epochs": 2, "gamma": 0.5}, lambda optimizer: StepLR(optimizer, 20, 0.5)),
    ({"schedule": "cosine"}, lambda optimizer: CosineAnnealingLR(optimizer, STEPS)),
    (
        {"schedule": "cosine", "warmup_fraction": 0.2},
        lambda optimizer: SequentialLR(
            optimizer, [LinearLR(optimizer, 0.1, total_iters=10), CosineAnnealingLR(optimizer, 40)], [10]
        ),
    ),
    (
        {"schedule": "constant", "warmup_fraction": 0.2},
        lambda optimizer: SequentialLR(
            optimizer, [LinearLR(optimizer, 0.1, total_iters=10), ConstantLR(optimizer, 1.0)], [10]
        ),
    ),
    ({"schedule": "one-cycle"}, lambda optimizer: OneCycleLR(optimizer, 0.01, total_steps=STEPS)),
    (
        {"schedule": "one-cycle", "warmup_fraction": 0.1},
        lambda optimizer: OneCycleLR(optimizer, 0.01, total_steps=STEPS, pct_start=0.1),
    ),
]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 4))


def batch(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    return torch.rand(12, 1, 4, 4, generator=generator), torch.arange(12) % 4


def prepared(fields: dict[str, Any]) -> tuple[TrainingStep, LRScheduler]:
    recipe = Recipe.model_validate({"name": "x", "epochs": 5, "learning_rate": 0.01, **fields})
    case = Case(model="x", device=CPU, recipe=recipe, seed=0, execution="plain")
    step = case.prepare(network(), TASK)
    return step, make_schedule(step.optimizer, case.hyperparameters, STEPS // 5)


@pytest.mark.parametrize(("fields", "make"), OPTIMIZERS)
def test_an_optimizer_is_torchs_own_for_fifty_steps(fields: dict[str, Any], make: Callable[[Any], Optimizer]) -> None:
    step, _ = prepared({"schedule": "constant", **fields})
    model = network()
    optimizer = make(model.parameters())

    for number in range(STEPS):
        images, labels = batch(number)
        found = step(images, labels)
        loss = functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert torch.equal(found, loss), number

    assert all(torch.equal(one, two) for one, two in zip(step.model.parameters(), model.parameters(), strict=True))


@pytest.mark.parametrize(("fields", "make"), SCHEDULES)
@pytest.mark.parametrize(("kind", "own"), [("adam", Adam), ("sgd", SGD)])
def test_a_schedule_is_torchs_own_for_fifty_steps(
    kind: str, own: type[Optimizer], fields: dict[str, Any], make: Callable[[Optimizer], LRScheduler | None]
) -> None:
    step, schedule = prepared({"optimizer": kind, **fields})
    weight = nn.Parameter(torch.zeros(1))
    optimizer = own([weight], lr=0.01)  # type: ignore[call-arg]  # both take it
    expected = make(optimizer)

    for number in range(STEPS - 1):
        assert step.optimizer.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"], number
        if kind == "adam":
            assert step.optimizer.param_groups[0]["betas"] == optimizer.param_groups[0]["betas"], number
        step.optimizer.step()
        optimizer.step()
        schedule.step()
        if expected is not None:
            expected.step()


def test_one_cycle_may_rise_for_a_single_step() -> None:
    step, schedule = prepared({"schedule": "one-cycle", "warmup_fraction": 1 / STEPS})
    rates = []

    for _ in range(STEPS - 1):
        step.optimizer.step()
        schedule.step()
        rates.append(step.optimizer.param_groups[0]["lr"])

    assert rates[0] == pytest.approx(0.01, rel=0.01)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0.01 / 25 / 1e4)


def test_one_cycle_leaves_the_momentum_of_sgd_as_the_recipe_has_it() -> None:
    step, schedule = prepared({"optimizer": "sgd", "momentum": 0.9, "schedule": "one-cycle"})

    step.optimizer.step()
    schedule.step()

    assert step.optimizer.param_groups[0]["momentum"] == 0.9


@pytest.mark.parametrize("fields", [fields for fields, _ in SCHEDULES])
def test_a_schedule_goes_on_from_its_state(fields: dict[str, Any]) -> None:
    (step, schedule), (other, resumed) = prepared(fields), prepared(fields)
    rates = []
    for _ in range(STEPS):
        rates.append(step.optimizer.param_groups[0]["lr"])
        step.optimizer.step()
        if len(rates) == 7:
            saved = schedule.state_dict(), step.optimizer.state_dict()
            resumed.load_state_dict(saved[0])
            other.optimizer.load_state_dict(saved[1])
        if len(rates) >= 7:
            assert other.optimizer.param_groups[0]["lr"] == step.optimizer.param_groups[0]["lr"]
            other.optimizer.step()
            if len(rates) < STEPS:
                resumed.step()
        if len(rates) < STEPS:
            schedule.step()
