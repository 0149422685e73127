"""Measure an accelerator and print one table to send: the tests that need one, both executions' steps, a small run.

Called by ``nox -s gpu``. Without an accelerator the tests are skipped with their reason, and the exit status is 0.
"""

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import torch

from fashionbench.catalogue import STUDY_MODELS
from fashionbench.data.dataset import Dataset
from fashionbench.data.fashion_mnist import find_dataset
from fashionbench.devices.device import Device, list_devices
from fashionbench.devices.environment import describe_environment
from fashionbench.execution.comparison import ExecutionComparison
from fashionbench.recipe.fields import RECIPES
from fashionbench.running.process.call import call_in_plain_process, call_in_process

TESTS: Final = Path(__file__).parent
SAMPLE: Final = TESTS / "data"
TURNS: Final = 8


def run_tests() -> tuple[int, str]:
    """Run the tests that need an accelerator; return pytest's exit status and its last line."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-rsf", "-q", "-n", "0", str(TESTS / "devices")]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    print(done.stdout)
    return done.returncode, done.stdout.strip().splitlines()[-1]


def run_small(device: Device) -> str:
    """Run the benchmark on the sample of the data and return how it ended."""
    with tempfile.TemporaryDirectory() as out:
        start = "from fashionbench.cli import main; main()"
        command = [sys.executable, "-c", start, "run", "--recipe", str(SAMPLE / "tiny.toml")]
        command += ["--data", str(SAMPLE), "--devices", device.word, "--out", out]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    return (
        "finished"
        if done.returncode == 0
        else f"exit status {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}"
    )


def time_model(model: str, device: Device, dataset: Dataset) -> Iterator[str]:
    """Yield a row for each execution of a model's step, in turns, each turn in a process of its own."""
    batch_size = RECIPES["study"].for_model(model).batch_size
    comparison = ExecutionComparison(
        model=model,
        dataset=dataset,
        device=device.word,
        precision="fp32",
        batch_size=batch_size,
        call={"plain": call_in_plain_process, "fast": call_in_process},
    )
    for _ in range(TURNS):
        comparison.take_turns()
    ratios = {"plain": "1", "fast": "{ratio_fast_over_plain:.2f} ({ratio_low:.2f} to {ratio_high:.2f})"}
    for execution, seconds in comparison.step_seconds.items():
        low, middle, high = (1000 * pick(seconds) for pick in (min, statistics.median, max))
        ratio = ratios[execution].format(**comparison.ratios())
        times = f"{middle:.2f} ({low:.2f} to {high:.2f})"
        yield f"| {model}, batch {batch_size} | {execution} | {times} | {ratio} | {TURNS} |"


def main() -> int:
    """Run everything and print the table; return the exit status of the tests."""
    status, outcome = run_tests()
    accelerators = list_devices()[1:]
    if not accelerators:
        print(f"torch {torch.__version__} finds no accelerator here, so there is nothing to measure.")
        return status
    dataset = find_dataset(
        SAMPLE, environ={}, cache=Path(tempfile.gettempdir()), announce=lambda _: None, allow_sample=True
    )
    for device in accelerators:
        about = describe_environment(device, "nox -s gpu")
        rows = [row for model in STUDY_MODELS for row in time_model(model, device, dataset)]
        print("\nPlease send this table:\n")
        print(f"{device.word}: {device.name}, {about.driver}, torch {torch.__version__}, {about.system}, {about.cpu}, ")
        print(
            f"{about.usable_cpus} CPUs usable, commit {about.commit}; tests: {outcome}; small run: {run_small(device)}"
        )
        print("\n| model | execution | ms, median (range) | / plain (95 % CI) | n |\n| :-- | :-- | --: | --: | --: |")
        print("\n".join(rows))
    return status


if __name__ == "__main__":
    sys.exit(main())
