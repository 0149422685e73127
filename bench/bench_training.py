"""Train and score each (model, device, seed); the training clock is pytest-benchmark's timer."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from fashionbench.records.store import EXTRA_INFO_KEY, seal
from fashionbench.running.engine import run_training, wanted_seeds
from fashionbench.running.session import Run
from fashionbench.training.case import Case


def bench_training(benchmark: BenchmarkFixture, run: Run, case: Case) -> None:
    """Train once, off the clock all but the training, and keep the record in ``extra_info``."""
    if case.seed not in wanted_seeds(run, case.device):
        run.display.forget(case)
        pytest.skip(f"the verdict on {case.device.word} is decided without it, or a case of the look before is missing")
    record = run_training(
        run,
        case,
        timed=lambda prepare, train: benchmark.pedantic(
            train, setup=lambda: ((prepare(),), {}), rounds=1, iterations=1
        ),
    )
    benchmark.extra_info[EXTRA_INFO_KEY] = seal(record)
    if record.status == "failed":
        pytest.fail(record.reason, pytrace=False)
