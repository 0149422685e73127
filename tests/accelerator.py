"""Measure an accelerator and print one table to send: the tests that need one, each way to compute steps, a small run.

Called by ``nox -s gpu``. Without an accelerator the tests are skipped with their reason, and the exit status is 0.
"""

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from scipy.stats import quantile_test

from fashionbench.catalogue import STUDY_MODELS
from fashionbench.data.dataset import Dataset
from fashionbench.data.fashion_mnist import find_dataset
from fashionbench.devices.device import Device, list_devices
from fashionbench.devices.environment import describe_environment
from fashionbench.execution.comparison import take_turn
from fashionbench.execution.step import StepOptions
from fashionbench.recipe.fields import RECIPES
from fashionbench.records.record import Trial
from fashionbench.running.process.call import call_in_process
from fashionbench.running.process.trial import try_methods
from fashionbench.training.case import Case

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


def try_and_time(model: str, device: Device, dataset: Dataset) -> Iterator[str]:
    """Yield a row for each way to compute a model's steps, after their trial."""
    case = Case(model=model, device=device, recipe=RECIPES["study"], seed=0, rewritten=True)
    trial = try_methods(case, dataset, lambda _, function, *given: call_in_process(function, *given))
    return time_ways(case, trial, dataset)


def time_ways(
    case: Case,
    trial: Trial | None,
    dataset: Dataset,
    call: Callable[..., tuple[float, int]] = call_in_process,
    turns: int = TURNS,
) -> Iterator[str]:
    """Yield a row for each way to compute a case's steps, in turns, each turn in a process of its own."""
    ways: dict[str, StepOptions] = {"plain": replace(case.options, execution="plain")}
    for method in () if trial is None else trial.step_seconds:
        ways[method] = replace(case.options, method=method)
    found: dict[str, list[float]] = {way: [] for way in ways}
    what = f"{case.model}, batch {case.hyperparameters.batch_size}"
    for turn in range(turns):
        for way, options in list(ways.items())[:: 1 if turn % 2 == 0 else -1]:
            given = case.model, dataset, case.device.word, options, case.hyperparameters.batch_size
            found[way].append(call(take_turn, *given)[0])
    for way, seconds in found.items():
        ratios = np.divide(seconds, found["plain"])
        least, most = np.asarray(quantile_test(ratios).confidence_interval(0.95), dtype=float)
        low, middle, high = (1000 * pick(seconds) for pick in (min, statistics.median, max))
        chosen = ", chosen" if trial is not None and way == trial.chosen else ""
        yield (
            f"| {what} | {way}{chosen} | {middle:.2f} ({low:.2f} to {high:.2f}) | "
            f"{np.median(ratios):.2f} ({least:.2f} to {most:.2f}) | {turns} |"
        )
    for name, reason in {} if trial is None else trial.rejected.items():
        yield f"| {what} | {name} | not used: {reason} | – | – |"


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
        rows = [row for model in STUDY_MODELS for row in try_and_time(model, device, dataset)]
        print("\nPlease send this table:\n")
        print(f"{device.word}: {device.name}, {about.driver}, torch {torch.__version__}, {about.system}, {about.cpu}, ")
        print(
            f"{about.usable_cpus} CPUs usable, commit {about.commit}; tests: {outcome}; small run: {run_small(device)}"
        )
        print("\n| model | steps | ms, median (range) | / plain (95 % CI) | n |\n| :-- | :-- | --: | --: | --: |")
        print("\n".join(rows))
    return status


if __name__ == "__main__":
    sys.exit(main())
