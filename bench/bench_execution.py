"""Time a training step of the fast execution against the plain one; on request only, as ``nox -s execution``."""

from itertools import product

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from fashionbench.catalogue import STUDY_MODELS
from fashionbench.execution.comparison import ExecutionComparison
from fashionbench.running.process.call import call_in_process
from fashionbench.running.session import Run

PAIRS = 15


@pytest.mark.execution
@pytest.mark.parametrize(("model", "images_a_step"), [*product(STUDY_MODELS, (20, 100))])
def bench_execution(benchmark: BenchmarkFixture, run: Run, model: str, images_a_step: int) -> None:
    """Let both take turns and keep the ratio, with its interval, in ``extra_info``; the time shown is fast's."""
    comparison = ExecutionComparison(
        model=model,
        dataset=run.dataset,
        device=run.plan.devices[0].word,
        precision=run.plan.precision_on(run.plan.devices[0]),
        batch_size=images_a_step,
        call=call_in_process,
    )
    benchmark.pedantic(lambda: run.clock.advance(comparison.take_turns()), rounds=PAIRS, iterations=1)
    benchmark.extra_info.update(comparison.ratios())
