"""Time each model's forward pass on each device: latency at batch 1, throughput at a large batch."""

from collections.abc import Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from fashionbench.records.store import EXTRA_INFO_KEY, seal
from fashionbench.running.session import Run, run_inference


@pytest.mark.benchmark(group="inference", warmup=True, warmup_iterations=10)
def bench_inference(benchmark: BenchmarkFixture, run: Run, model: str, device: str, batch_size: int) -> None:
    """Time ordinary rounds, and keep the record in ``extra_info``."""
    (place,) = [each for each in run.plan.devices if each.word == device]

    def timed(forward: Callable[[], None]) -> tuple[float, ...]:
        benchmark(forward)
        if benchmark.stats is None:
            pytest.skip("--benchmark-disable leaves nothing to record")
        return tuple(benchmark.stats.stats.data)

    record = run_inference(run, model, place, batch_size, timed)
    benchmark.extra_info[EXTRA_INFO_KEY] = seal(record)
    if record.status == "failed":
        pytest.fail(record.reason, pytrace=False)
