"""A training that was stopped anywhere goes on to the same bits, and keeps as much as its checkpoints say."""

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toy_training import RECIPE, TASK, StopAt, keeper, network, never, run

from fashionbench.execution import step as step_module
from fashionbench.execution.step import StepOptions, TrainingStep, iterate_batches, prepare_step
from fashionbench.recipe.fields import Augmentation
from fashionbench.records.record import Execution
from fashionbench.training.checkpoint import Checkpoints, Stopped, remove_checkpoints
from fashionbench.training.clock import TrainingClock
from fashionbench.training.ingredients.state import State
from fashionbench.training.loop import Tick

STEPS = 3 * 5


AUGMENTED = {"augment": Augmentation(flip=True, shift=2, erase=0.5)}


@pytest.mark.parametrize(
    ("execution", "fields"),
    [
        ("fast", {}),
        ("plain", {}),
        ("fast", {"schedule": "one-cycle"}),
        ("fast", {"schedule": "cosine", "warmup_fraction": 0.3, **AUGMENTED}),
        ("plain", AUGMENTED),
    ],
)
def test_a_training_stopped_again_and_again_ends_in_the_same_bits(
    tmp_path: Path, execution: Execution, fields: dict[str, object]
) -> None:
    recipe = RECIPE.model_copy(update=fields)
    undisturbed = network(execution)
    expected = run(undisturbed, recipe=recipe)
    clock, stops = TrainingClock(), 0

    while True:
        disturbed = network(execution)
        try:
            checkpoints = keeper(tmp_path / "case.pt", StopAt(2))
            curves = run(disturbed, checkpoints, recipe=recipe, clock=clock)
            break
        except Stopped:
            stops += 1

    assert stops >= 5
    assert curves.resumed == stops
    assert torch.equal(curves.step_losses, expected.step_losses)
    assert curves.validation_accuracies == expected.validation_accuracies
    for name, value in undisturbed.model.state_dict().items():
        assert torch.equal(disturbed.model.state_dict()[name], value), name


class Noisy(nn.Module):
    """Draws from Python's and NumPy's generators in training."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))

    def forward(self, images: Tensor) -> Tensor:
        noise = random.random() + float(np.random.rand()) if self.training else 1.0
        logits: Tensor = self.inside(images * noise)
        return logits


def test_a_network_that_draws_from_other_generators_resumes_to_the_same_bits(tmp_path: Path) -> None:
    def noisy() -> TrainingStep:
        torch.manual_seed(0)
        options = StepOptions(execution="plain")
        return prepare_step(Noisy(), TASK, device=torch.device("cpu"), learning_rate=0.001, options=options)

    expected, again = run(noisy()), run(noisy())
    with pytest.raises(Stopped):
        run(noisy(), keeper(tmp_path / "case.pt", StopAt(8)))
    resumed = run(noisy(), keeper(tmp_path / "case.pt"))

    assert torch.equal(again.step_losses, expected.step_losses)
    assert torch.equal(resumed.step_losses, expected.step_losses)


def test_the_clock_is_the_sum_of_what_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "case.pt"
    before = TrainingClock()
    with pytest.raises(Stopped):
        run(network(), keeper(path, StopAt(8)), clock=before)
    ticks: list[Tick] = []

    curves = run(network(), keeper(path), clock=TrainingClock(), watch=ticks.append)

    assert ticks[0].train_seconds > before() * 0.8
    assert sum(curves.epoch_seconds) >= before() * 0.8
    assert len(curves.epoch_seconds) == 3
    assert min(curves.epoch_seconds) > 0


def test_a_pause_and_a_busy_machine_are_remembered_by_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "case.pt"
    clock = TrainingClock()

    def stand_still(_: Tick) -> None:
        clock.standstill_seconds += 7.0

    with pytest.raises(Stopped):
        run(network(), keeper(path, StopAt(8)), clock=clock, watch=stand_still)
    curves = run(network(), keeper(path))

    assert curves.resumed == 1
    assert curves.paused_seconds == pytest.approx(7.0, abs=1.0)
    assert len(curves.others_cpu_share) == 3


@pytest.mark.parametrize("execution", ["fast", "plain"])
def test_batches_that_a_resumed_training_passes_over_are_off_the_clock(
    tmp_path: Path, execution: Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, clock, readings = tmp_path / "case.pt", TrainingClock(), list[float]()
    with pytest.raises(Stopped):
        run(network(execution), keeper(path, StopAt(6)))

    def passing_over(*given: Any, **options: Any) -> Iterator[tuple[Tensor, Tensor]]:
        before = clock()
        time.sleep(0.01)
        readings.append(clock() - before)
        yield from iterate_batches(*given, **options)

    monkeypatch.setattr(step_module, "iterate_batches", passing_over)
    run(network(execution), keeper(path), clock=clock)

    assert readings[0] == 0
    assert min(readings[1:]) > 0


def test_a_checkpoint_is_saved_when_its_time_has_come(tmp_path: Path) -> None:
    saved: list[float] = []

    class Counting(Checkpoints):
        def save(self, state: State) -> None:
            saved.append(state.seconds)
            super().save(state)

    run(network(), Counting(tmp_path / "a.pt", stop=never, warn=pytest.fail))
    within_a_minute, saved[:] = [*saved], []
    run(network(), Counting(tmp_path / "b.pt", stop=never, seconds_between=0.0, warn=pytest.fail))

    assert within_a_minute == []
    assert len(saved) == STEPS
    assert sorted(set(saved)) == saved


def test_a_checkpoint_that_cannot_be_written_is_told_and_the_training_goes_on(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("in the way")
    told: list[str] = []

    curves = run(
        network(), Checkpoints(tmp_path / "folder" / "case.pt", stop=never, seconds_between=0, warn=told.append)
    )

    assert torch.equal(curves.step_losses, run(network()).step_losses)
    assert told[-1] == "A checkpoint could not be written (File exists); the training continues without it"


def test_removing_takes_both_generations_and_the_empty_folder(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    run(network(), keeper(folder / "one.pt", seconds=0))
    run(network(), keeper(folder / "two.pt", seconds=0))

    remove_checkpoints(folder / "one.pt")
    left = sorted(path.name for path in folder.iterdir())
    remove_checkpoints(folder / "two.pt")

    assert left == ["two.pt", "two.pt.before"]
    assert not folder.exists()


def test_checkpoints_that_cannot_be_removed_are_left(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("no folder any more")

    remove_checkpoints(tmp_path / "out" / "checkpoints" / "case.pt")

    assert (tmp_path / "out").exists()
