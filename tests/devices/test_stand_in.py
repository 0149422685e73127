"""On an accelerator whose work is done only when somebody waits for it, clock, memory and resumption are right."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from cases import TINY, provenance_of
from stand_in_device import NAME, StandIn
from synthetic import make_environment
from torch import Tensor, nn
from toy_training import divide

from fashionbench.data.dataset import Dataset, Split, Task
from fashionbench.devices.device import Device, list_devices
from fashionbench.devices.runtime import driver_version, free_bytes, peak_device_bytes, reset_peaks, synchronize
from fashionbench.execution import peak as peak_module
from fashionbench.execution.peak import measure_peak
from fashionbench.execution.step import StepOptions, TrainingStep, Update, prepare_step, time_steps
from fashionbench.recipe.fields import Augmentation, Recipe
from fashionbench.records.record import Execution, TrainingRecord
from fashionbench.training import loop
from fashionbench.training import measure as measure_module
from fashionbench.training.case import Case, InferenceCase
from fashionbench.training.checkpoint import Checkpoints, Stopped
from fashionbench.training.clock import TrainingClock
from fashionbench.training.identity import Provenance
from fashionbench.training.inference import measure_inference
from fashionbench.training.loop import Curves, Supervision, Tick, train
from fashionbench.training.measure import measure_training

HERE = Device(word=NAME, name="Stand-in", threads=0)
IN_RECORDS = Device(word="xpu", name="Stand-in", threads=0)
"""A record takes the names of the kinds of device that there are."""
TASK = Task(shape=(1, 4, 4), classes=4)
RECIPE = Recipe(name="toy", epochs=2, batch_size=8, learning_rate=0.01)
FAST = StepOptions(rewritten=True)
CAPTURED = StepOptions(method="captured channels-last", rewritten=True)
GRADIENTS = replace(CAPTURED, update=Update(cycles=True))
WAYS = {"plain": StepOptions(execution="plain"), "fast": FAST, "captured": CAPTURED, "gradients": GRADIENTS}

each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def prepared(way: StepOptions = FAST, word: str = NAME, dropout: float = 0.5) -> TrainingStep:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = nn.Linear(16, 32), nn.BatchNorm1d(32), nn.Dropout(dropout), nn.Linear(32, 4)
    network = nn.Sequential(nn.Flatten(), *layers)
    return prepare_step(network, TASK, device=torch.device(word), learning_rate=0.01, options=way)


def images(count: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(256, (count, 1, 4, 4), generator=generator, dtype=torch.uint8), torch.arange(count) % 4


def split() -> Split:
    return divide(*images(38), 30)


class NotingClock(TrainingClock):
    """Notes, whenever it is turned on or off, what waits on the device and how often the host has read from it."""

    def __init__(self, device: StandIn) -> None:
        super().__init__()
        self.device = device
        self.waiting: list[int] = []
        self.reads: list[int] = []

    def _note(self) -> None:
        self.waiting.append(self.device.waiting)
        self.reads.append(self.device.reads)

    def _resume(self) -> None:
        self._note()
        super()._resume()

    def _suspend(self) -> None:
        super()._suspend()
        self._note()

    def reads_while_on(self) -> int:
        """Return how often the host has read from the device while the clock was on."""
        return sum(self.reads[1::2]) - sum(self.reads[::2])


class StopAt:
    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def run(
    way: StepOptions = FAST,
    *,
    recipe: Recipe = RECIPE,
    clock: TrainingClock | None = None,
    path: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
    seconds: float = 1e9,
) -> Curves:
    checkpoints = None if path is None else Checkpoints(path, stop=stop, seconds_between=seconds, warn=pytest.fail)
    recipe = recipe.model_copy(update={"schedule": "one-cycle"}) if way.update.cycles else recipe
    case = Case(model="toy", device=IN_RECORDS, recipe=recipe, seed=0, execution=way.execution)
    supervision = Supervision(clock=clock or TrainingClock(), checkpoints=checkpoints)
    step = prepared(way)
    synchronize(step.device)
    return train(case, step, split(), supervision)


def test_it_is_listed_with_its_name_and_its_memory(device: StandIn) -> None:
    target = torch.device(NAME)
    reset_peaks(target)
    block = torch.ones(1000, device=target)

    assert [(each.word, each.name, each.threads) for each in list_devices()[1:]] == [(NAME, "Stand-in", 0)]
    assert free_bytes(target) == device.capacity - 4 * block.numel()
    assert peak_device_bytes(target) == 4 * block.numel()
    assert driver_version(target) is None


def test_it_learns_what_the_cpu_learns(device: StandIn) -> None:
    pixels, labels = images(8)
    losses = []

    for word in (NAME, "cpu"):
        step = prepared(word=word, dropout=0.0)  # the device draws other numbers
        losses.append([float(step(pixels / 255, labels)) for _ in range(5)])

    assert device.reads >= 5
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@each_way
def test_images_are_augmented_where_the_batches_are(device: StandIn, way: StepOptions) -> None:
    assert device.attached
    erased = RECIPE.model_copy(update={"augment": Augmentation(flip=True, shift=1, erase=1.0)})

    assert run(way, recipe=erased).step_losses.tolist() != run(way).step_losses.tolist()


@each_way
def test_nothing_waits_on_the_device_when_the_clock_is_turned_on_or_off(
    device: StandIn, way: StepOptions, tmp_path: Path
) -> None:
    whole, first, second = NotingClock(device), NotingClock(device), NotingClock(device)

    run(way, clock=whole)  # waits at the end of an epoch only
    with pytest.raises(Stopped):
        run(way, clock=first, path=tmp_path / "case.pt", stop=StopAt(2))
    run(way, clock=second, path=tmp_path / "case.pt", seconds=0.0)

    assert {*whole.waiting, *first.waiting, *second.waiting} == {0}
    assert len(second.waiting) > 8


@each_way
def test_no_step_reads_from_the_device(device: StandIn, way: StepOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_TICKS", math.inf)
    clock = NotingClock(device)

    run(way, clock=clock)

    assert device.reads > 0  # between the epochs
    assert clock.reads_while_on() == 0


@each_way
def test_a_training_stopped_again_and_again_ends_in_the_same_bits(
    device: StandIn, way: StepOptions, tmp_path: Path
) -> None:
    expected, stops = run(way), 0

    while True:
        device.manual_seed_all(stops)  # as a new process has another state
        try:
            curves = run(way, path=tmp_path / "case.pt", stop=StopAt(2))
            break
        except Stopped:
            stops += 1

    assert curves.resumed == stops >= 2
    assert torch.equal(curves.step_losses, expected.step_losses)
    assert curves.validation_losses == expected.validation_losses


def case_here(recipe: Recipe = TINY, execution: Execution = "fast") -> Case:
    return Case(model="fashioncnn", device=IN_RECORDS, recipe=recipe, seed=0, execution=execution, rewritten=True)


def measure_here(case: Case, sample: Dataset, watch: Callable[[Tick], None] = lambda _: None) -> TrainingRecord:
    return measure_training(case, sample, provenance_of(case, sample), Supervision(watch=watch))


def test_what_is_timed_is_done_before_the_next_is_timed(
    device: StandIn, sample: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = dict[str, int]()

    def noting(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def noted(*given: object, **named: object) -> object:
            waiting[name] = max(waiting.get(name, 0), device.waiting)
            return function(*given, **named)

        return noted

    monkeypatch.setattr(Case, "build", noting("warm-up", Case.build))
    monkeypatch.setattr(measure_module, "train", noting("training", train))
    record = measure_here(case_here(), sample)

    assert record.status == "finished"
    assert waiting == {"warm-up": 0, "training": 0}


def test_peak_memory_is_that_of_the_case(device: StandIn, sample: Dataset) -> None:
    block = torch.empty(10**8, dtype=torch.uint8, device=NAME)
    del block

    record = measure_here(case_here(), sample)

    assert record.result is not None
    assert record.result.peak_device_bytes is not None
    weights = 4 * 1_475_338
    assert 3 * weights < record.result.peak_device_bytes < 10**8
    assert device.mem_get_info(None)[0] == device.capacity


@pytest.mark.parametrize("megabytes", [1, 8])
def test_a_model_that_does_not_fit_fails_in_the_devices_own_words(
    device: StandIn, sample: Dataset, megabytes: int
) -> None:
    device.capacity = megabytes * 10**6

    with pytest.raises(RuntimeError, match=r"standin out of memory\. Tried to allocate"):
        measure_here(case_here(), sample)


def test_images_that_do_not_fit_when_they_are_scored_fail_in_the_same_words(device: StandIn, sample: Dataset) -> None:
    def fill(tick: Tick) -> None:
        if tick.epoch == TINY.epochs and tick.validation_accuracy is not None:
            device.capacity = 1_000_000

    with pytest.raises(RuntimeError, match="standin out of memory"):
        measure_here(case_here(), sample, fill)


def inference_here(sample: Dataset, batch_size: int = 1) -> object:
    case = InferenceCase(
        model="fashioncnn", device=IN_RECORDS, batch_size=batch_size, execution="fast", precision="fp32", seconds=0.01
    )
    provenance = Provenance(
        identity="1" * 64, environment=make_environment(), code_sha256="2" * 64, model_sha256="3" * 64
    )
    return measure_inference(case, sample, provenance)


def test_a_round_of_inference_ends_when_the_device_is_done(device: StandIn, sample: Dataset) -> None:
    device.seconds_per_call = 0.004

    result = inference_here(sample).result  # type: ignore[attr-defined]  # an InferenceRecord

    assert min(result.seconds) >= 10 * device.seconds_per_call  # a forward pass is more than ten calls


def test_inference_that_does_not_fit_fails_in_the_same_words(device: StandIn, sample: Dataset) -> None:
    device.capacity = 1_000_000

    with pytest.raises(RuntimeError, match="standin out of memory"):
        inference_here(sample)


def test_the_time_of_a_step_includes_what_the_device_does(device: StandIn) -> None:
    step = prepared()
    device.seconds_per_call = 0.01

    seconds = time_steps(step, *images(16), batch_size=8, seconds=0.05)

    assert seconds >= 20 * device.seconds_per_call  # a step is more than twenty calls


def test_a_rate_of_the_peak_counts_until_the_device_is_done(device: StandIn) -> None:
    device.seconds_per_call = 0.01

    peak = measure_peak(HERE, size=64, seconds=0.01)

    assert peak.product_flops_per_second <= 2 * 64**3 / device.seconds_per_call
    assert peak.convolution_flops_per_second <= 2 * 64 * 56 * 56 * 64 * 9 / device.seconds_per_call
    assert peak.copy_bytes_per_second <= 2 * 4 * 16 * 64**2 / device.seconds_per_call


def test_the_peak_takes_a_tenth_of_the_free_memory_and_gives_it_back(device: StandIn) -> None:
    device.capacity = 64 * 10**6

    measure_peak(HERE, seconds=0.0)

    assert device.max_memory_allocated(None) <= device.capacity // 10 + 2 * 10**5  # the kernel comes on top
    assert device.mem_get_info(None)[0] == device.capacity


@pytest.mark.usefixtures("device")
def test_the_peak_multiplies_numbers_of_the_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    multiplied = []

    def noting(rows: Tensor, weight: Tensor, bias: None) -> Tensor:
        multiplied.append(rows.dtype)
        return nn.functional.linear(rows, weight, bias)

    monkeypatch.setattr(peak_module, "multiply", noting)
    measure_peak(HERE, "bf16", size=64, seconds=0.0)

    assert {*multiplied} == {torch.bfloat16}
