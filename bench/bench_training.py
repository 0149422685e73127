"""Train and score each (model, device, seed); pytest-benchmark's timer is the training clock."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from fashionbench.records.store import EXTRA_INFO_KEY, seal
from fashionbench.running.engine import run_training, wanted_seeds
from fashionbench.running.program import hold_signals
from fashionbench.running.session import Run
from fashionbench.training.case import Case


def bench_training(benchmark: BenchmarkFixture, run: Run, case: Case) -> None:
    """Train once; then let the timer advance by the seconds on the training clock, and keep the record."""
    if case.seed not in wanted_seeds(run, case.device):
        run.display.forget(case)
        pytest.skip(f"the verdict on {case.device.word} is decided without it, or a case of the look before is missing")
    record = run_training(run, case)
    if record.result is None:
        benchmark.skipped = True  # pytest-benchmark would warn that it was not used
        pytest.fail(record.reason, pytrace=False)
    seconds = record.result.train_seconds
    with hold_signals():  # pytest-benchmark cannot save a benchmark that has half begun
        benchmark.pedantic(lambda: run.clock.advance(seconds), rounds=1, iterations=1)
    benchmark.extra_info[EXTRA_INFO_KEY] = seal(record)
