"""On a real accelerator: what the other tests show on the CPU and on the stand-in device."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch
from cases import job_of, provenance_of
from torch import nn
from toy_training import divide

from fashionbench.data.dataset import Dataset, Task
from fashionbench.devices.device import Device, list_devices
from fashionbench.devices.precision import single_precision
from fashionbench.devices.runtime import driver_version, free_bytes, peak_device_bytes, reset_peaks, synchronize
from fashionbench.execution.comparison import step_methods
from fashionbench.execution.peak import measure_peak
from fashionbench.execution.step import StepOptions, prepare_step
from fashionbench.models.registry import build_model
from fashionbench.recipe.fields import Recipe
from fashionbench.records.record import Execution, Precision, StepMethod, Trial
from fashionbench.running.process.call import call_in_process
from fashionbench.running.process.case import measure_in_process
from fashionbench.running.process.trial import try_methods
from fashionbench.training.case import Case, InferenceCase
from fashionbench.training.checkpoint import Checkpoints, Stopped
from fashionbench.training.inference import measure_inference
from fashionbench.training.loop import Curves, Supervision, train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.accelerator.is_available(), reason="needs an accelerator; torch finds none here"),
]

MODELS = ("fashioncnn", "resnet18")
Way = tuple[Execution, StepMethod | None]


@pytest.fixture
def gpu() -> Device:
    return list_devices()[1]


@pytest.fixture
def _deterministic() -> Iterator[None]:
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    yield
    torch.backends.cudnn.deterministic = before


def case_on(gpu: Device, model: str = "fashioncnn", **options: object) -> Case:
    recipe = Recipe(name="tiny", epochs=1, batch_size=40, is_result=False)
    return Case(model=model, device=gpu, recipe=recipe, seed=0, **options)  # type: ignore[arg-type]  # its own fields


def test_it_is_listed_waited_for_and_counted(gpu: Device) -> None:
    device = torch.device(gpu.word)
    reset_peaks(device)

    block = torch.ones(1024**2, device=device)
    synchronize(device)

    assert gpu.name
    assert driver_version(device)
    assert free_bytes(device) > 0
    counted = peak_device_bytes(device)
    assert counted is None or counted >= block.numel() * 4


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("execution", get_args(Execution))
def test_both_executions_have_the_losses_of_the_cpu(
    gpu: Device, sample: Dataset, model: str, execution: Execution
) -> None:
    images, labels = sample.train_images[:40] / 255, sample.train_labels[:40]
    losses = {}

    for word in ("cpu", gpu.word):
        device = torch.device(word)
        network = build_model(model, sample.task, seed=0)
        for layer in network.modules():
            if isinstance(layer, (nn.Dropout, nn.Dropout2d)):
                layer.p = 0.0  # each device draws other numbers
        options = StepOptions(execution=execution)
        step = prepare_step(network, sample.task, device=device, learning_rate=1e-4, options=options)
        step.model.train()
        with single_precision(device, "fp32"):
            losses[word] = [float(step(images, labels)) for _ in range(5)]

    assert losses[gpu.word] == pytest.approx(losses["cpu"], rel=2e-3)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("schedule", ["step", "one-cycle"])
def test_recorded_steps_are_used_where_the_device_records_them(
    gpu: Device, sample: Dataset, model: str, schedule: str
) -> None:
    case = case_on(gpu, model, rewritten=True)
    case = replace(case, recipe=case.recipe.model_copy(update={"schedule": schedule}))

    trial = try_methods(case, sample, lambda _, *given: call_in_process(*given))

    assert trial is not None
    usable = step_methods(torch.device(gpu.word))
    assert {*trial.step_seconds} == {*usable}, trial.rejected


def test_listing_a_device_makes_no_context_on_it(gpu: Device) -> None:
    if not gpu.word.startswith("cuda"):
        pytest.skip("only NVIDIA's and AMD's devices say whether there is a context")
    code = (
        "from fashionbench.devices.device import list_devices\n"
        "from fashionbench.devices.environment import describe_environment\n"
        "import torch\n"
        "describe_environment(list_devices()[1], 'pytest')\n"
        "print(torch._C._cuda_hasPrimaryContext(0))"
    )

    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    assert answer.strip() == "False"


def toy_run(
    gpu: Device, way: Way, fields: Mapping[str, object], path: Path | None = None, stop_after: int = 10**9
) -> Curves:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Dropout(0.5), nn.Linear(8 * 36, 4)
        )
    pixels = torch.randint(256, (38, 1, 8, 8), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    split, asked = divide(pixels, torch.arange(38) % 4, 30), iter(range(10**9))
    execution, method = way
    trial = None if method is None else Trial(chosen=method, step_seconds={method: 0.0}, rejected={})
    recipe = Recipe.model_validate({"name": "toy", "epochs": 3, "batch_size": 8, **fields})
    case = Case(model="toy", device=gpu, recipe=recipe, seed=0, execution=execution, trial=trial)
    step = case.prepare(network, Task(shape=(1, 8, 8), classes=4))
    checkpoints = None
    if path is not None:
        checkpoints = Checkpoints(path, stop=lambda: next(asked) >= stop_after, seconds_between=1e9, warn=pytest.fail)
    return train(case, step, split, Supervision(checkpoints=checkpoints))


@pytest.mark.usefixtures("_deterministic")
@pytest.mark.parametrize("way", [("plain", None), *(("fast", method) for method in get_args(StepMethod))])
@pytest.mark.parametrize("fields", [{"step_epochs": 1}, {"schedule": "one-cycle"}])
def test_a_resumed_training_has_the_same_bits(
    gpu: Device, tmp_path: Path, way: Way, fields: Mapping[str, object]
) -> None:
    if way[1] is not None and way[1] not in step_methods(torch.device(gpu.word)):
        pytest.skip("PyTorch records no work on this kind of device")
    expected, again = toy_run(gpu, way, fields), toy_run(gpu, way, fields)

    with pytest.raises(Stopped):
        toy_run(gpu, way, fields, tmp_path / "case.pt", stop_after=6)
    resumed = toy_run(gpu, way, fields, tmp_path / "case.pt")

    assert torch.equal(again.step_losses, expected.step_losses)
    assert resumed.resumed == 1
    assert torch.equal(resumed.step_losses, expected.step_losses)


@pytest.mark.parametrize("batch_size", [1, 256])
def test_inference_is_timed(gpu: Device, sample: Dataset, batch_size: int) -> None:
    case = InferenceCase(
        model="resnet18", device=gpu, batch_size=batch_size, execution="fast", precision="fp32", seconds=1.0
    )

    record = measure_inference(case, sample, provenance_of(case_on(gpu), sample))

    assert record.status == "finished", record.reason


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_peak_is_measured_and_its_memory_given_back(gpu: Device, precision: Precision) -> None:
    device = torch.device(gpu.word)
    block = torch.ones(1, device=device)
    before = free_bytes(device)

    peak = measure_peak(gpu, precision)
    torch.accelerator.empty_cache()

    assert block.device.type == device.type
    assert peak.product_flops_per_second > 1e10
    assert before - free_bytes(device) < before / 20


def test_single_precision_is_ieee_in_products_and_convolutions(gpu: Device) -> None:
    device = torch.device(gpu.word)
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(256, 256, generator=generator)
    images, kernel = torch.randn(4, 64, 16, 16, generator=generator), torch.randn(64, 64, 3, 3, generator=generator)
    exact = matrix.double() @ matrix.double(), nn.functional.conv2d(images.double(), kernel.double())

    with single_precision(device, "fp32"):
        matrix = matrix.to(device)
        found = (matrix @ matrix).cpu(), nn.functional.conv2d(images.to(device), kernel.to(device)).cpu()

    for one, other in zip(exact, found, strict=True):
        assert float((one - other).abs().max() / one.abs().max()) < 1e-5  # 1e-3 in TensorFloat-32


def test_a_case_in_a_process_of_its_own_finishes(gpu: Device, sample: Dataset, tmp_path: Path) -> None:
    job = job_of(0, tmp_path, sample, device=gpu)

    record = measure_in_process(job, sample, watch=lambda _: None, warn=lambda _: None, limit_seconds=120)

    assert record.status == "finished", record.reason
    assert record.result is not None
    assert record.result.peak_device_bytes is None or record.result.peak_device_bytes > 4 * 1_475_338


def test_a_case_that_needs_more_memory_than_there_is_fails_with_its_reason(
    gpu: Device, sample: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "greedy_net.py").write_text(
        "import torch\nfrom torch import nn\n\n\n"
        "class Greedy(nn.Module):\n"
        "    def __init__(self, classes):\n"
        "        super().__init__()\n"
        "        self.inside = nn.Linear(784, classes)\n\n"
        "    def forward(self, images):\n"
        "        if images.device.type != 'cpu':\n"
        "            torch.empty(2**50, device=images.device)\n"
        "        return self.inside(images.flatten(1))\n\n\n"
        "def make(shape, classes):\n"
        "    return Greedy(classes)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    case = case_on(gpu, "greedy_net:make")
    job = replace(job_of(0, tmp_path, sample), case=case, provenance=provenance_of(case, sample))

    record = measure_in_process(job, sample, watch=lambda _: None, warn=lambda _: None, limit_seconds=120)

    assert record.status == "failed"
    assert "memory" in record.reason.lower() or "buffer" in record.reason.lower()
