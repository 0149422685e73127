"""On an accelerator a short trial chooses how steps are computed, a recorded step only if it learns as others do."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import accelerator
import pytest
import torch
from cases import TINY, provenance_of
from stand_in_device import NAME, Graph, StandIn
from torch import Tensor, nn

from fashionbench.data.dataset import Dataset, Task, count_images
from fashionbench.devices.device import Device
from fashionbench.devices.recording import TakeStep, record_step
from fashionbench.execution import comparison
from fashionbench.execution import step as step_module
from fashionbench.execution.step import TrainingStep
from fashionbench.recipe.fields import Augmentation, Recipe
from fashionbench.records.record import StepMethod, Trial
from fashionbench.running import preflight
from fashionbench.running.plan import Plan
from fashionbench.running.process.call import CallFailedError
from fashionbench.running.process.trial import choose_methods
from fashionbench.training.case import Case
from fashionbench.training.checkpoint import Checkpoints, Stopped
from fashionbench.training.loop import Supervision
from fashionbench.training.measure import measure_training
from fashionbench.tuning import budgets

METHODS: tuple[StepMethod, ...] = get_args(StepMethod)
ADAM = Recipe(name="adam", epochs=2, batch_size=8, learning_rate=0.01)
STEPS = ADAM.model_copy(update={"step_epochs": 1, "gamma": 0.1})
PLACE = Device(word="xpu", name="Stand-in", threads=0)
"""A record takes the names of the kinds of device that there are."""


class Toy(nn.Module):
    """A network with what a recording must follow: statistics of batches, and random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(1, 4, 5, stride=3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()),
            *(nn.Dropout(0.2), nn.Linear(256, 10)),
        )

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(images)
        return logits


class Reading(Toy):
    """Waits for a value in each step."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * (1 if float(images.sum()) > 0 else 2)


class Counting(Toy):
    """Does something else in its later steps."""

    steps = 0

    def forward(self, images: Tensor) -> Tensor:
        self.steps += 1
        return super().forward(images)


@pytest.fixture
def network(
    device: StandIn, seconds: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> Callable[[type[nn.Module]], None]:
    """Let cases train a network of a class, on the stand-in device."""
    assert device.attached
    assert seconds

    def use(kind: type[nn.Module]) -> None:
        def build(case: Case, _: Task) -> nn.Module:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(case.seed)
                return kind()

        monkeypatch.setattr(Case, "build", build)

    use(Toy)
    return use


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Let steps take what they would on an accelerator, where recorded ones are the fastest, or what a test sets."""
    taken: dict[str, float] = {method: 1.0 - index / 10 for index, method in enumerate(METHODS)}
    monkeypatch.setattr(comparison, "time_steps", lambda step, *_, **__: taken[step.options.method])
    return taken


def case_of(recipe: Recipe = ADAM, **others: Any) -> Case:
    return Case(**{"model": "fashioncnn", "device": PLACE, "recipe": recipe, "seed": 0, "rewritten": True, **others})


def call_here(_: Device, function: Callable[..., object], *args: object) -> object:
    """Call a function in this process, where the stand-in device is."""
    try:
        return function(*args)
    except RuntimeError as error:
        raise CallFailedError(str(error)) from None


def choose(case: Case, sample: Dataset, folder: Path, call: Callable[..., object] = call_here) -> Trial | None:
    chosen = choose_methods([case], sample, folder, call, print, fresh=False)
    return chosen.get((case.model, case.device, case.recipe.name))


RECIPES = [
    ADAM,
    Recipe(name="momentum", optimizer="sgd", momentum=0.9, schedule="one-cycle", learning_rate=0.1, batch_size=8),
    Recipe(name="warm-up", optimizer="adamw", weight_decay=0.1, schedule="cosine", warmup_fraction=0.2, batch_size=8),
    Recipe(name="smooth", label_smoothing=0.1, augment=Augmentation(flip=True, shift=2), batch_size=8),
    Recipe(name="cycle", schedule="one-cycle", learning_rate=0.01, batch_size=8),
]


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_recorded_steps_follow_the_recipe_and_are_chosen_where_they_are_the_fastest(
    sample: Dataset, tmp_path: Path, recipe: Recipe
) -> None:
    trial = choose(case_of(recipe), sample, tmp_path)

    assert trial is not None
    assert trial.rejected == {}
    assert {*trial.step_seconds} == {*METHODS}
    assert trial.chosen == "captured channels-last"


@pytest.mark.usefixtures("network")
def test_others_are_chosen_where_they_are_faster(sample: Dataset, tmp_path: Path, seconds: dict[str, float]) -> None:
    seconds["contiguous"] = 0.1

    trial = choose(case_of(), sample, tmp_path)

    assert trial is not None
    assert trial.chosen == "contiguous"


@pytest.mark.usefixtures("network")
def test_a_recording_of_an_update_whose_numbers_change_is_refused(
    sample: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def record_whole(*given: Any, gradients: object, **named: Any) -> TakeStep:
        assert gradients is not None
        return record_step(*given, **named)

    monkeypatch.setattr(step_module, "record_step", record_whole)
    trial = choose(case_of(RECIPES[-1]), sample, tmp_path)

    assert trial is not None
    assert {*trial.rejected} == {"captured contiguous", "captured channels-last"}
    assert all("losses differ from those of eager steps" in each for each in trial.rejected.values())


def forget_the_update(graph: Graph) -> None:
    graph.calls = [call for call in graph.calls if "_fused_adam" not in str(call[0])]


def keep_the_first_rate(graph: Graph) -> None:
    for _, _, named, _ in graph.calls:
        if "lr" in named:
            named["lr"] = named["lr"].clone()


def drop_a_gradient(graph: Graph) -> None:
    graph.calls = [call for call in graph.calls if "batch_norm_backward" not in str(call[0])]


@pytest.mark.parametrize(
    ("fault", "recipe"),
    [
        (forget_the_update, STEPS),
        (keep_the_first_rate, STEPS),
        (drop_a_gradient, STEPS),
        (drop_a_gradient, RECIPES[-1]),
    ],
)
@pytest.mark.usefixtures("network")
def test_a_recording_that_learns_otherwise_is_refused(
    sample: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[Graph], None],
    recipe: Recipe,
) -> None:
    replay = Graph.replay

    def replay_wrongly(graph: Graph) -> None:
        fault(graph)
        replay(graph)

    monkeypatch.setattr(Graph, "replay", replay_wrongly)
    trial = choose(case_of(recipe), sample, tmp_path)

    assert trial is not None
    assert trial.chosen == "channels-last"
    assert {*trial.rejected} == {"captured contiguous", "captured channels-last"}
    assert all("losses differ from those of eager steps" in each for each in trial.rejected.values())


@pytest.mark.parametrize(("kind", "reason"), [(Reading, "not permitted"), (Counting, "steps changes in each step")])
def test_a_network_that_cannot_be_recorded_trains_eagerly(
    sample: Dataset,
    tmp_path: Path,
    network: Callable[[type[nn.Module]], None],
    kind: type[nn.Module],
    reason: str,
) -> None:
    network(kind)

    trial = choose(case_of(rewritten=False), sample, tmp_path)

    assert trial is not None
    assert trial.chosen == "channels-last"
    assert all(reason in each for each in trial.rejected.values())
    assert len(trial.rejected) == 2


@pytest.mark.usefixtures("network")
def test_nothing_is_chosen_where_nothing_works(sample: Dataset, tmp_path: Path) -> None:
    def fail(*_: object) -> object:
        raise CallFailedError("its process was ended by SIGKILL")

    assert choose(case_of(), sample, tmp_path, fail) is None
    assert not list(tmp_path.iterdir())


def test_no_trial_runs_on_the_cpu_for_plain_steps_or_where_a_device_is_absent(sample: Dataset, tmp_path: Path) -> None:
    cpu, absent = Device(word="cpu", name="Some CPU"), Device(word="cuda", name="", absence="not found")
    cases = [case_of(device=cpu), case_of(device=absent), case_of(execution="plain")]

    assert choose_methods(cases, sample, tmp_path, pytest.fail, print, fresh=True) == {}


@pytest.mark.usefixtures("network")
def test_a_choice_is_made_once_and_kept_for_other_seeds_rates_and_later_runs(sample: Dataset, tmp_path: Path) -> None:
    calls, said = Counter[str](), list[str]()

    def count(place: Device, function: Callable[..., object], case: Case, *args: object) -> object:
        calls[case.recipe.name] += 1
        return call_here(place, function, case, *args)

    other = STEPS.model_copy(update={"name": "other", "batch_size": 4})
    rates = [
        ADAM.model_copy(update={"name": name, "learning_rate": rate, "weight_decay": rate, "label_smoothing": rate})
        for name, rate in (("slow", 0.001), ("fast", 0.1))
    ]
    cases = [*(case_of(seed=seed) for seed in (0, 1)), case_of(other), *map(case_of, rates)]
    first = choose_methods(cases, sample, tmp_path, count, said.append, fresh=False)
    again = choose_methods(cases, sample, tmp_path, pytest.fail, said.append, fresh=False)
    anew = choose_methods(cases[:1], sample, tmp_path, count, said.append, fresh=True)

    assert again == first
    assert {name for _, _, name in first} == {"adam", "other", "slow", "fast"}
    assert said[0] == "Trying how steps of fashioncnn on xpu, batch 8, are computed fastest"
    assert said[1].startswith("Steps of fashioncnn on xpu, batch 8: ")
    assert len(said) == 6 + 3 + 2  # three trials, all kept, one again
    assert {*anew} == {("fashioncnn", PLACE, "adam")}
    assert calls == {"adam": 2 * len(METHODS), "other": len(METHODS), "slow": len(METHODS)}  # smoothing or none


@pytest.mark.usefixtures("network")
def test_a_choice_from_before_is_kept_for_the_run_that_is_resumed(sample: Dataset, tmp_path: Path) -> None:
    case = case_of()
    before = choose_methods([case], sample, tmp_path, call_here, print, fresh=True, keep=False)
    assert not list(tmp_path.iterdir())
    (trial,) = before.values()

    kept = choose_methods([replace(case, trial=trial)], sample, tmp_path, pytest.fail, pytest.fail, fresh=True)
    resumed = choose_methods([replace(case, rewritten=None)], sample, tmp_path, pytest.fail, print, fresh=False)

    planned = choose_methods([case], sample, tmp_path, pytest.fail, print, fresh=False, keep=False)

    assert kept == resumed == planned == before


@pytest.mark.usefixtures("network")
def test_steps_are_timed_in_whole_batches(sample: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed = []

    def take(_: TrainingStep, images: Tensor, labels: Tensor, *, batch_size: int, seconds: float) -> float:
        timed.append((len(images) % batch_size, len(labels) % batch_size))
        return seconds

    monkeypatch.setattr(comparison, "time_steps", take)
    choose(case_of(), sample, tmp_path)

    assert timed == [(0, 0)] * len(METHODS)  # a smaller batch is never captured: one in four would be a third way


@pytest.mark.usefixtures("network")
def test_an_epoch_is_estimated_by_the_steps_that_will_be_trained_with(
    sample: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float]
) -> None:
    def take(step: TrainingStep, *_: Tensor, **__: object) -> float:
        return seconds[step.options.method or "contiguous"]

    def call(_: object, __: Plan, place: Device, function: Callable[..., object], *args: object) -> object:
        return call_here(place, function, *args)

    monkeypatch.setattr(preflight, "time_steps", take)
    monkeypatch.setattr(budgets, "call_where", call)
    plan = Plan(recipe=ADAM, models=("fashioncnn",), devices=(PLACE,), seeds=(0, 1))

    tried, found = budgets.estimate_epochs(plan, sample, tmp_path, print)

    images = count_images(sample, ADAM)[0]
    assert found["fashioncnn", PLACE].seconds == pytest.approx(seconds["captured channels-last"] * images / 8)
    assert [case.trial and case.trial.chosen for case in tried.cases()] == ["captured channels-last"] * 2


@pytest.mark.usefixtures("network")
def test_a_damaged_choice_is_made_again(sample: Dataset, tmp_path: Path) -> None:
    first = choose(case_of(), sample, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text()[:-5])

    assert choose(case_of(), sample, tmp_path) == first


@pytest.mark.usefixtures("network")
def test_a_record_shows_its_trial_and_recorded_steps_learn_what_eager_ones_do(sample: Dataset) -> None:
    losses = {}

    for method in METHODS:
        trial = Trial(chosen=method, step_seconds={method: 0.001}, rejected={})
        case = case_of(TINY, trial=trial)
        record = measure_training(case, sample, provenance_of(case, sample), Supervision())
        assert record.trial == trial
        assert record.result is not None
        losses[method] = record.result.step_losses.array()

    for method in METHODS:
        assert losses[method] == pytest.approx(losses["contiguous"], rel=1e-3)


@pytest.mark.usefixtures("network")
def test_a_training_does_not_go_on_in_another_way(sample: Dataset, tmp_path: Path) -> None:
    warnings = list[str]()
    trials = [Trial(chosen=method, step_seconds={method: 0.001}, rejected={}) for method in METHODS[1::2]]
    first, second = (case_of(TINY, trial=trial) for trial in trials)

    def checkpoints(*, stop: bool) -> Checkpoints:
        return Checkpoints(tmp_path / "case.pt", stop=lambda: stop, seconds_between=1e9, warn=warnings.append)

    with pytest.raises(Stopped):
        measure_training(first, sample, provenance_of(first, sample), Supervision(checkpoints=checkpoints(stop=True)))
    again = Supervision(checkpoints=checkpoints(stop=False))
    record = measure_training(second, sample, provenance_of(second, sample), again)

    (warning,) = warnings
    assert warning.startswith("A checkpoint cannot be used (ValueError: its steps were computed in another way: chann")
    assert record.result is not None
    assert record.result.resumed == 0


def test_the_table_to_send_has_a_row_for_each_way_to_compute_steps(
    device: StandIn, sample: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert device.attached
    reason = "its losses differ"
    trial = Trial(
        chosen="captured contiguous",
        step_seconds={"contiguous": 0.02, "captured contiguous": 0.01},
        rejected={"captured channels-last": reason},
    )

    monkeypatch.setattr(comparison, "SECONDS_PER_TURN", 1e-9)
    case = case_of(Recipe(name="study"), device=replace(PLACE, word=NAME))

    timed = accelerator.time_ways(case, trial, sample, lambda function, *given: function(*given), turns=1)
    rows = [row.split(" | ") for row in timed]

    assert [row[1] for row in rows] == ["plain", "contiguous", "captured contiguous, chosen", "captured channels-last"]
    assert {row[0] for row in rows} == {"| fashioncnn, batch 100"}
    assert rows[-1][2] == f"not used: {reason}"
    assert all(float(row[2].split()[0]) > 0 for row in rows[:-1])
