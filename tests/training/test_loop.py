"""The loop learns, repeats itself bit by bit, and the clock runs for nothing else."""

import math
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import get_args

import pytest
import torch
from cases import CPU
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam
from torch.optim.lr_scheduler import OneCycleLR, StepLR
from torch.utils.data import DataLoader, TensorDataset
from toy_training import divide

from fashionbench.data.dataset import Split, Task
from fashionbench.errors import CaseFailedError
from fashionbench.execution.step import iterate_batches, scale_pixels
from fashionbench.recipe.fields import Augmentation, Recipe
from fashionbench.records.record import Execution, Precision
from fashionbench.training import clock as clock_module
from fashionbench.training import loop
from fashionbench.training.case import Case
from fashionbench.training.clock import TrainingClock
from fashionbench.training.loop import Curves, Supervision, Tick, train

RECIPE = Recipe(name="toy", epochs=3, batch_size=8, learning_rate=0.01)


def toy_network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 32), nn.BatchNorm1d(32), nn.Dropout(0.1), nn.Linear(32, 4))


def toy_images(count: int = 41) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(256, (count, 1, 4, 4), generator=generator, dtype=torch.uint8), torch.arange(count) % 4


TASK = Task(shape=(1, 4, 4), classes=4)


def toy_split(count: int = 41) -> Split:
    return divide(*toy_images(count + 8), count)


@dataclass
class Outcome:
    model: nn.Module = field(default_factory=toy_network)
    clock: TrainingClock = field(default_factory=TrainingClock)
    ticks: list[Tick] = field(default_factory=list)
    count: int = 41

    def train(
        self, recipe: Recipe = RECIPE, execution: Execution = "fast", seed: int = 0, precision: Precision = "fp32"
    ) -> Curves:
        case = Case(
            model="toy",
            device=CPU,
            recipe=recipe,
            seed=seed,
            execution=execution,
            precision=precision,
            rewritten=True,
        )
        supervision = Supervision(clock=self.clock, watch=self.ticks.append)
        return train(case, case.prepare(self.model, TASK), toy_split(self.count), supervision)


def test_clock_stands_still_outside_its_block() -> None:
    clock = TrainingClock()

    with clock.running():
        time.sleep(0.01)
        inside = clock()
    after = clock()
    time.sleep(0.01)

    assert 0.01 <= inside <= after
    assert clock() == after


def test_clock_keeps_its_seconds_when_the_block_fails() -> None:
    clock = TrainingClock()

    with pytest.raises(ValueError, match="broken"), clock.running():
        time.sleep(0.01)
        raise ValueError("broken")

    assert clock() >= 0.01


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send")
def test_clock_leaves_out_what_its_process_was_stopped_for() -> None:
    script = (
        "import time\n"
        "from fashionbench.training.clock import TrainingClock\n"
        "clock = TrainingClock()\n"
        "with clock.running():\n"
        "    print(flush=True)\n"
        "    while clock() < 1: pass\n"
        "print(clock(), clock.standstill_seconds, time.perf_counter())\n"
    )
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        time.sleep(2.5)
        process.send_signal(signal.SIGCONT)
        seconds, standstill, _ = map(float, process.stdout.readline().split())

    assert 1 <= seconds < 2.5
    assert 2 < standstill < time.perf_counter() - began


def test_clock_counts_code_that_keeps_pythons_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock_module, "LEAST_PAUSE_SECONDS", 0.2)
    clock = TrainingClock()

    with clock.running():
        began = time.perf_counter()
        sum(range(50_000_000))
        passed = time.perf_counter() - began

    assert passed > 0.2
    assert clock.standstill_seconds == 0
    assert clock() >= passed


@pytest.mark.parametrize("execution", get_args(Execution))
def test_every_image_comes_once_and_scaled(execution: Execution) -> None:
    images, labels = toy_images(40)
    given = images if execution == "fast" else scale_pixels(images)
    generator = torch.Generator().manual_seed(0)

    batches = list(iterate_batches(given, labels, 16, generator, execution))

    assert [len(batch) for batch, _ in batches] == [16, 16, 8]
    seen = torch.cat([batch for batch, _ in batches]).flatten(1).sum(1).sort().values
    assert torch.allclose(seen, (images.flatten(1).float() / 255).sum(1).sort().values)


def test_a_last_batch_of_one_image_is_left_out() -> None:
    images, labels = toy_images(41)

    batches = list(iterate_batches(images, labels, 8, torch.Generator().manual_seed(0), "fast"))

    assert [len(batch) for batch, _ in batches] == [8] * 5


@pytest.mark.parametrize("execution", get_args(Execution))
def test_loss_falls_on_images_it_can_memorise(execution: Execution) -> None:
    recipe = Recipe(name="toy", epochs=30, batch_size=20, learning_rate=0.02, step_epochs=100)

    curves = Outcome(count=40).train(recipe, execution)

    assert curves.step_losses.shape == (60,)
    assert curves.step_losses[-2:].mean() < 0.2 * curves.step_losses[:2].mean()


def test_same_seed_gives_same_bits_and_another_seed_does_not() -> None:
    state = torch.get_rng_state()

    first, second, other = Outcome().train(), Outcome().train(), Outcome().train(seed=1)

    assert torch.equal(first.step_losses, second.step_losses)
    assert not torch.equal(first.step_losses, other.step_losses)
    assert torch.equal(torch.get_rng_state(), state)


def test_epochs_seconds_add_up_to_the_clock() -> None:
    outcome = Outcome()

    curves = outcome.train()

    assert len(curves.epoch_seconds) == 3
    assert sum(curves.epoch_seconds) == pytest.approx(outcome.clock(), rel=0.01)


def test_validation_is_off_the_clock_and_timed_apart() -> None:
    class Slow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside = toy_network()

        def forward(self, images: Tensor) -> Tensor:
            if not self.training:
                before = outcome.clock()
                time.sleep(0.01)
                readings.append(outcome.clock() - before)
            logits: Tensor = self.inside(images)
            return logits

    outcome, readings = Outcome(model=Slow()), list[float]()

    curves = outcome.train(execution="plain")

    assert readings == [0.0, 0.0, 0.0]
    assert curves.validation_seconds >= 0.03
    assert len(curves.validation_losses) == len(curves.validation_accuracies) == 3


class Shares:
    """Stands for the load of a machine on which others are busy in some epochs."""

    def __init__(self, *shares: float | None) -> None:
        self.left = [*shares]

    def share(self) -> float | None:
        return self.left.pop(0)


def test_others_use_of_the_cpus_is_kept_for_each_epoch_and_told_once() -> None:
    told: list[str] = []
    case = Case(model="toy", device=CPU, recipe=RECIPE, seed=0)
    supervision = Supervision(warn=told.append, load=Shares(None, 0.06, 0.5))  # type: ignore[arg-type]

    curves = train(case, case.prepare(toy_network(), TASK), toy_split(), supervision)

    assert curves.others_cpu_share == (None, 0.06, 0.5)
    (line,) = told
    assert line.startswith(
        "toy on cpu, seed 0, epoch 2: other processes used 6\N{NO-BREAK SPACE}% "
        "of the CPUs, so its training time is too long"
    )


def test_watchers_hear_of_each_epoch_with_its_validation() -> None:
    outcome = Outcome()

    outcome.train()

    after_epochs = [tick for tick in outcome.ticks if tick.validation_accuracy is not None]
    assert [(tick.epoch, tick.step, tick.steps) for tick in after_epochs] == [(1, 5, 15), (2, 10, 15), (3, 15, 15)]


def test_watchers_hear_of_steps_when_an_epoch_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_TICKS", 0.0)
    outcome = Outcome()

    curves = outcome.train()

    within = [tick for tick in outcome.ticks if tick.validation_accuracy is None]
    assert [tick.step for tick in within][:5] == [1, 2, 3, 4, 5]
    assert within[0].loss == pytest.approx(float(curves.step_losses[0]))
    assert {tick.epoch for tick in within} == {1, 2, 3}


class Noting(nn.Module):
    """Notes its optimizer's rate, and a copy of its weights, whenever it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = toy_network()
        self.weights: list[list[Tensor]] = []

    def forward(self, images: Tensor) -> Tensor:
        if not self.training:
            self.weights.append([parameter.detach().clone() for parameter in self.parameters()])
        logits: Tensor = self.inside(images)
        return logits


def test_rate_falls_by_gamma_after_its_epochs() -> None:
    still = Recipe(name="still", epochs=2, batch_size=8, learning_rate=0.01, step_epochs=1, gamma=1e-12)
    model = Noting()

    Outcome(model=model).train(still, execution="plain")

    assert all(torch.allclose(one, two, atol=1e-9) for one, two in zip(*model.weights, strict=True))


def test_one_cycle_raises_the_rate_and_lowers_it_to_nothing() -> None:
    recipe = RECIPE.model_copy(update={"schedule": "one-cycle"})
    rates: list[float] = []
    case = Case(model="toy", device=CPU, recipe=recipe, seed=0)
    step = case.prepare(toy_network(), TASK)
    step.optimizer.register_step_pre_hook(lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"]))

    train(case, step, toy_split(), Supervision())

    top = rates.index(max(rates))
    assert len(rates) == 15
    assert rates[0] == pytest.approx(recipe.learning_rate / 25)
    assert max(rates) == pytest.approx(recipe.learning_rate, rel=0.02)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] < recipe.learning_rate / 25


@pytest.mark.parametrize("schedule", ["step", "one-cycle"])
def test_the_plain_execution_is_the_loop_that_people_write_bit_for_bit(schedule: str) -> None:
    recipe = RECIPE.model_copy(update={"schedule": schedule, "step_epochs": 2})
    images, labels = toy_images(41 + 8)
    model = toy_network().train()
    loader = DataLoader(
        TensorDataset(images[:41].float() / 255, labels[:41]),
        *(8, True),
        generator=torch.Generator().manual_seed(0),
        drop_last=True,
    )
    optimizer = Adam(model.parameters(), lr=0.01)
    by_step = OneCycleLR(optimizer, 0.01, total_steps=15) if schedule == "one-cycle" else None
    by_epoch = StepLR(optimizer, 2, 0.1) if schedule == "step" else None
    expected = []
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(3):
            for batch, truth in loader:
                loss = functional.cross_entropy(model(batch), truth)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                expected.append(loss.detach())
                if by_step is not None:
                    by_step.step()
            if by_epoch is not None:
                by_epoch.step()

    assert torch.equal(Outcome().train(recipe, execution="plain").step_losses, torch.stack(expected))


def test_augmentation_changes_what_is_learnt_and_repeats_itself() -> None:
    recipe = RECIPE.model_copy(update={"augment": Augmentation(flip=True, shift=1)})

    first, second = Outcome().train(recipe), Outcome().train(recipe)

    assert torch.equal(first.step_losses, second.step_losses)
    assert not torch.equal(first.step_losses, Outcome().train().step_losses)


def test_smoothed_labels_keep_the_loss_above_their_entropy() -> None:
    losses = Outcome().train(RECIPE.model_copy(update={"epochs": 40, "label_smoothing": 0.4})).step_losses

    assert float(losses.min()) > -0.7 * math.log(0.7) - 0.3 * math.log(0.1)  # of 4 classes


def test_bf16_trains_in_another_arithmetic_and_leaves_the_weights_single() -> None:
    single, half = Outcome(), Outcome()

    losses = single.train().step_losses, half.train(precision="bf16").step_losses

    assert not torch.equal(*losses)
    assert torch.allclose(*losses, atol=0.05)
    assert {parameter.dtype for parameter in half.model.parameters()} == {torch.float32}


def test_a_loss_that_is_no_number_fails_the_case_and_says_where() -> None:
    wild = Recipe(name="wild", epochs=2, batch_size=8, learning_rate=10.0)
    outcome = Outcome()
    with torch.no_grad():
        next(outcome.model.parameters()).fill_(float("nan"))

    with pytest.raises(CaseFailedError, match=r"became nan in epoch 1, step 1\. .*Lower the recipe's learning_rate"):
        outcome.train(wild)
