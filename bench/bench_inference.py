"""Time each model's forward pass on each device: latency at batch 1, throughput at a large batch."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from fashionbench.records.store import EXTRA_INFO_KEY, seal
from fashionbench.running.engine import run_inference
from fashionbench.running.program import hold_signals
from fashionbench.running.session import Run


def bench_inference(benchmark: BenchmarkFixture, run: Run, model: str, device: str, batch_size: int) -> None:
    """Time rounds in a process of their own; then let the timer advance by the seconds of each, and keep the record."""
    (chosen,) = [each for each in run.plan.devices if each.word == device]
    record = run_inference(run, model, chosen, batch_size)
    if record.result is None:
        benchmark.skipped = True  # pytest-benchmark would warn that it was not used
        pytest.fail(record.reason, pytrace=False)
    seconds = iter(record.result.seconds)
    rounds = len(record.result.seconds)
    with hold_signals():  # pytest-benchmark cannot save a benchmark that has half begun
        benchmark.pedantic(lambda: run.clock.advance(next(seconds, 0.0)), rounds=rounds, iterations=1)
    benchmark.extra_info[EXTRA_INFO_KEY] = seal(record)
