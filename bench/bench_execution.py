"""Time a training step of the fast execution against the plain one; on request only, as ``nox -s execution``."""

from itertools import product

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from fashionbench.execution.comparison import ExecutionComparison
from fashionbench.models.registry import MODELS
from fashionbench.running.session import Run
from fashionbench.training.case import Case

PAIRS = 15


@pytest.mark.execution
@pytest.mark.parametrize(("model", "images_a_step"), [*product(MODELS, (20, 100))])
def bench_execution(benchmark: BenchmarkFixture, run: Run, model: str, images_a_step: int) -> None:
    """Let both take turns and keep the ratio, with its interval, in ``extra_info``; the time shown is fast's."""
    case = Case(model=model, device=run.plan.devices[0], recipe=run.plan.recipe, seed=0, precision=run.plan.precision)
    trial = ExecutionComparison(case, run.dataset, images_a_step)
    benchmark.pedantic(lambda: run.clock.advance(trial.take_turns()), rounds=PAIRS, iterations=1)
    benchmark.extra_info.update(trial.ratios())
