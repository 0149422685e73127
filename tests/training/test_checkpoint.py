"""A training that was stopped anywhere goes on to the same bits; a damaged checkpoint is passed over."""

import hashlib
import io
import os
import random
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import CPU
from torch import Tensor, nn
from torch_readers import half_trained, new_state, saved

from fashionbench.data.dataset import Split, Task
from fashionbench.execution import step as step_module
from fashionbench.execution.step import StepOptions, TrainingStep, iterate_batches, prepare_step
from fashionbench.recipe.fields import Augmentation, Recipe
from fashionbench.records.record import Execution
from fashionbench.training.case import Case
from fashionbench.training.checkpoint import Checkpoints, Stopped, remove_checkpoints
from fashionbench.training.clock import TrainingClock
from fashionbench.training.ingredients.state import State
from fashionbench.training.loop import Curves, Supervision, Tick, train

RECIPE = Recipe(name="toy", epochs=3, batch_size=10, step_epochs=1)
STEPS = 3 * 5


TASK = Task(shape=(1, 28, 28), classes=10)


def network(execution: Execution = "fast") -> TrainingStep:
    """Return a small network of the layers of FashionCNN, whose checkpoints are small as well."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)
        second = nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)
        model = nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(288, 16), nn.Dropout(0.25), nn.Linear(16, 10))
    options = StepOptions(execution=execution)
    return prepare_step(model, TASK, device=torch.device("cpu"), learning_rate=RECIPE.learning_rate, options=options)


def split() -> Split:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(256, (60, 1, 28, 28), generator=generator, dtype=torch.uint8)
    labels = torch.arange(60) % 10
    return Split(
        train_images=images[:50],
        train_labels=labels[:50],
        validation_images=images[50:],
        validation_labels=labels[50:],
        test_images=images[:0],
        test_labels=labels[:0],
    )


def run(
    step: TrainingStep,
    checkpoints: Checkpoints | None = None,
    *,
    recipe: Recipe = RECIPE,
    clock: TrainingClock | None = None,
    watch: Callable[[Tick], None] = lambda _: None,
) -> Curves:
    case = Case(model="fashioncnn", device=CPU, recipe=recipe, seed=0, execution=step.options.execution)
    supervision = Supervision(clock=clock or TrainingClock(), watch=watch, checkpoints=checkpoints)
    return train(case, step, split(), supervision)


class StopAt:
    """Wishes a training to stop when it was asked so many times."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def never() -> bool:
    return False


def keeper(path: Path, stop: Callable[[], bool] = never, *, seconds: float = 1e9) -> Checkpoints:
    return Checkpoints(path, stop=stop, seconds_between=seconds, warn=pytest.fail)


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


@pytest.mark.parametrize(
    "damage",
    [lambda content: content[:-1], lambda content: content[:40] + b"x" + content[41:]],
    ids=["truncated", "flipped"],
)
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_used(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "case.pt"
    told: list[str] = []
    with pytest.raises(Stopped):
        run(network(), keeper(path, StopAt(9), seconds=0))
    path.write_bytes(damage(path.read_bytes()))
    model = network()

    curves = run(model, Checkpoints(path, stop=never, warn=told.append))

    assert told == ["A checkpoint is damaged (its SHA-256 differs) and is passed over"]
    assert curves.resumed == 1
    assert torch.equal(curves.step_losses, run(network()).step_losses)


def saved_as(content: dict[str, Any] | bytes) -> bytes:
    """Return a checkpoint's file with a right digest."""
    if isinstance(content, dict):
        stream = io.BytesIO()
        torch.save(content, stream)
        content = stream.getvalue()
    return hashlib.sha256(content).digest() + content


def whole(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(io.BytesIO(path.read_bytes()[32:]), weights_only=True)
    return content


def changed_schedule(content: dict[str, Any], **fields: object) -> dict[str, Any]:
    return content | {"schedule": content["schedule"] | fields}


def changed_moments(
    content: dict[str, Any], change: Callable[[dict[str, Tensor]], dict[str, Tensor]]
) -> dict[str, Any]:
    optimizer = content["optimizer"]
    return content | {"optimizer": optimizer | {"state": {key: change(of) for key, of in optimizer["state"].items()}}}


def changed_betas(content: dict[str, Any], *betas: float) -> dict[str, Any]:
    optimizer = content["optimizer"]
    groups = [group | {"betas": betas} for group in optimizer["param_groups"]]
    return content | {"optimizer": optimizer | {"param_groups": groups}}


def unpickled_by(content: dict[str, Any], instructions: bytes) -> bytes:
    """Return an archive of torch's with other instructions for what it contains."""
    written, changed = io.BytesIO(), io.BytesIO()
    torch.save(content, written)
    with zipfile.ZipFile(written) as archive, zipfile.ZipFile(changed, "w") as other:
        for name in archive.namelist():
            other.writestr(name, instructions if name.endswith("data.pkl") else archive.read(name))
    return changed.getvalue()


def beyond(generators: dict[str, Any]) -> dict[str, Any]:
    """Return states by which NumPy would read beyond its generator's memory."""
    name, key, _, *rest = generators["numpy"]
    return generators | {"numpy": (name, key, 10**6, *rest)}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"no archive",
        lambda content: unpickled_by(content, b"\x80\x02K\x05Q."),  # a storage of the name 5
        lambda _: {},
        lambda content: content | {"epoch": 7},
        lambda content: content | {"optimizer": {"state": {}, "param_groups": []}},
        lambda content: content | {"schedule": 5},
        lambda content: content | {"cpu_generator": torch.zeros(3)},
        lambda content: content | {"seconds": {}, "other_generators": None},
        lambda content: content | {"seconds": float("nan")},
        lambda content: content | {"resumed": "often"},
        lambda content: content | {"step_losses": torch.zeros(9)},
        lambda content: content | {"step_losses": content["step_losses"].double()},
        lambda content: content | {"device_generator": torch.arange(3)},
        lambda content: content | {"model": {name: each * float("inf") for name, each in content["model"].items()}},
        lambda content: changed_schedule(content, last_epoch=1),
        lambda content: changed_schedule(content, gamma=0.5),
        lambda content: changed_betas(content, 0.9, 1.5),
        lambda content: changed_betas(content, -0.9, 0.999),
        lambda content: changed_moments(content, lambda moments: {**moments, "exp_avg": torch.zeros(3)}),
        lambda content: changed_moments(
            content, lambda moments: {**moments, "exp_avg": moments["exp_avg"].to_sparse()}
        ),
        lambda content: changed_moments(content, lambda moments: {"step": moments["step"]}),
        lambda content: changed_moments(content, lambda moments: {**moments, "step": torch.tensor(float("nan"))}),
        lambda content: changed_moments(content, lambda moments: {**moments, "step": torch.tensor(-1.0)}),
        lambda content: content | {"other_generators": beyond(content["other_generators"])},
    ],
    ids=[
        *("no archive", "storage", "empty", "epochs", "optimizer", "schedule", "generator", "other generators"),
        *("seconds", "resumed", "steps", "kind of losses", "device"),
        *("weights", "place", "gamma", "a beta above one", "a negative beta"),
        *(
            "shape of moments",
            "sparse moments",
            "missing moments",
            "not a number",
            "step before the first",
            "place of numpy's generator",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:Validating sparse tensor")  # torch's own, while it reads one
@pytest.mark.parametrize("has_before", [True, False])
def test_a_sealed_checkpoint_that_cannot_be_used_is_passed_over_and_leaves_nothing_behind(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], dict[str, Any] | bytes], *, has_before: bool
) -> None:
    path, told = tmp_path / "case.pt", list[str]()
    with pytest.raises(Stopped):
        run(network(), keeper(path, StopAt(9), seconds=0))
    path.write_bytes(saved_as(spoil(whole(path))))
    if not has_before:
        path.with_name("case.pt.before").unlink()

    curves = run(network(), Checkpoints(path, stop=never, warn=told.append))

    assert len(told) == 1
    assert told[0].startswith("A checkpoint cannot be used (")
    assert curves.resumed == has_before
    assert torch.equal(curves.step_losses, run(network()).step_losses)


def test_without_a_whole_checkpoint_a_training_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "case.pt"
    told: list[str] = []
    path.write_bytes(b"")
    path.with_name("case.pt.before").mkdir()

    curves = run(network(), Checkpoints(path, stop=never, warn=told.append))

    assert curves.resumed == 0
    assert len(told) > 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_a_pipe_in_place_of_a_checkpoint_is_passed_over_and_not_waited_for(tmp_path: Path) -> None:
    told: list[str] = []
    os.mkfifo(tmp_path / "case.pt")

    curves = run(network(), Checkpoints(tmp_path / "case.pt", stop=never, warn=told.append))

    assert curves.resumed == 0
    assert told == ["A checkpoint cannot be read (not a regular file) and is passed over"]


def test_a_checkpoint_that_cannot_be_written_is_told_and_the_training_goes_on(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("in the way")
    told: list[str] = []

    curves = run(
        network(), Checkpoints(tmp_path / "folder" / "case.pt", stop=never, seconds_between=0, warn=told.append)
    )

    assert torch.equal(curves.step_losses, run(network()).step_losses)
    assert told[-1] == "A checkpoint could not be written (File exists); the training continues without it"


def test_nothing_of_pythons_is_unpickled(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, ...]:
            return (tmp_path / "ran").touch, ()

    torch.save({"model": Hostile()}, tmp_path / "hostile")
    state = State(
        model=network().model,
        optimizer=torch.optim.Adam([nn.Parameter(torch.zeros(1))]),
        schedule=None,  # type: ignore[arg-type]  # never reached
        generator=torch.Generator(),
        epochs=1,
        steps=1,
    )

    with pytest.raises(Exception, match="Weights only load failed"):
        state.load((tmp_path / "hostile").read_bytes())
    assert not (tmp_path / "ran").exists()


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


@pytest.mark.parametrize("change", [{"losses": [torch.full((4,), torch.inf)]}, {"validations": [(float("nan"), 0.5)]}])
def test_losses_of_finished_epochs_must_be_finite(change: dict[str, Any]) -> None:
    content = torch.load(io.BytesIO(half_trained()[32:]), weights_only=True)

    new_state().load(saved(content))
    with pytest.raises(ValueError, match="its losses are not finite"):
        new_state().load(saved(content | change))
