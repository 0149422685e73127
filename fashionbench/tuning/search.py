"""A tuning from its options to the recipe that it writes: the same search for every model, on the validation images."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console

from fashionbench.catalogue import is_baseline
from fashionbench.errors import InputError, SetupError, visible
from fashionbench.options.commands import MINUTES, SPACE, TRIALS
from fashionbench.options.option import Given
from fashionbench.records.files import write_output
from fashionbench.records.manifest import EpochEstimate
from fashionbench.records.record import TrainingRecord
from fashionbench.running.engine import open_engine, run_trainings
from fashionbench.running.plan import Plan, RunOptions, make_plan
from fashionbench.running.preflight import load_images
from fashionbench.running.session import Run, open_run
from fashionbench.tuning.budgets import estimate_epochs
from fashionbench.tuning.choice import tuned_recipe, write_toml
from fashionbench.tuning.space import Space, describe_point, describe_space, draw_points, load_space
from fashionbench.tuning.trials import plan_trials

__all__ = ["Search", "open_search", "search"]

MOST_TRIALS: Final = 1_000
"""In a number of minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A tuning that passed the pre-flight."""

    run: Run
    """Of the trials."""
    base: Plan
    """What is tuned."""
    space: Space
    path: Path
    """Where the tuned recipe is written."""


@contextmanager
def open_search(given: Given, command: str, environ: Mapping[str, str], console: Console) -> Iterator[Search]:
    """Draw the trials, check what would fail otherwise after an hour, and lock the folder of the trials' records.

    Args:
        given: What was given for the options of ``tune``.
        command: What was typed, for the records.
        environ: The environment variables.
        console: Where to say it.

    Raises:
        FashionBenchError: An option, the data, a model or the output folder is not as it must be.

    """
    asked, minutes = RunOptions.read(given), MINUTES.read(given)

    def say(line: str) -> None:
        console.print(visible(line), markup=False, highlight=False, soft_wrap=True)

    base = make_plan(asked)
    space = load_space(SPACE.read(given), base.recipe)
    with open_engine(asked.engine, asked.address, base, command) as cluster:
        if cluster is not None:
            base = replace(base, devices=cluster.select(asked.devices))
        if len(base.devices) > 1:
            words = ", ".join(device.word for device in base.devices)
            raise InputError(
                f"a tuning on {words}", expected="one device", remedy=f"name it: --devices {base.devices[0].word}"
            )
        for line in ("Search space, the same for every model:", *describe_space(space)):
            say(line)
        out, trials = asked.out / "tuning", dict.fromkeys(base.models, TRIALS.read(given))
        if minutes is not None:
            dataset = load_images(base, asked.data, environ, lambda _: None)  # open_run says it
            base, estimates = estimate_epochs(base, dataset, out, say, cluster=cluster)
            trials = _affordable_trials(base, estimates.values(), minutes)
        trials |= dict.fromkeys(filter(is_baseline, base.models), 1)  # no field changes how it is fitted
        points = draw_points(space, max(trials.values()) - 1)
        for i, line in enumerate(["the recipe as it is", *map(describe_point, points)], start=1):
            say(f"Trial {i}: {line}")
        plan = plan_trials(base, space, trials)
        with open_run(
            plan,
            plan.cases(),
            data=asked.data,
            out=out,
            command=command,
            environ=environ,
            console=console,
            cluster=cluster,
        ) as run:
            yield Search(run=run, base=base, space=space, path=asked.out / "tuned.toml")


def _affordable_trials(plan: Plan, estimates: Iterable[EpochEstimate], minutes: float) -> dict[str, int]:
    """Return how many trials of each model take about so many minutes, at least one: the cheaper model gets more."""
    return {
        each.model: min(max(1, round(60 * minutes / _training_seconds(plan, each))), MOST_TRIALS) for each in estimates
    }


def _training_seconds(plan: Plan, estimate: EpochEstimate) -> float:
    return estimate.seconds * plan.recipe.for_model(estimate.model).epochs


def search(opened: Search) -> Path:
    """Train the trials that are not finished yet, say how they ended, and write the tuned recipe.

    Raises:
        SetupError: Every trial of a model failed.

    """
    run_trainings(opened.run)
    trials = {model: _trials(opened.run, model) for model in opened.base.models}
    for model, records in trials.items():
        if all(each.result is None for each in records):
            raise SetupError(
                f"every trial of {model} failed ({records[0].reason})",
                expected="a trial that trains",
                remedy="change the recipe or the search space",
            )
    base = opened.base.recipe
    if opened.base.precision in {"fp32", "bf16"}:
        base = base.model_copy(update={"precision": opened.base.precision})
    recipe = tuned_recipe(base, describe_space(opened.space), trials)
    for model, found in recipe.tuning.models.items() if recipe.tuning else ():
        opened.run.display.say(found.described(model))
    write_output(opened.path, write_toml(recipe).encode())
    return opened.path


def _trials(run: Run, model: str) -> list[TrainingRecord]:
    """Return a model's trials in the order in which they were drawn."""
    order = {run.identity(case): place for place, case in enumerate(run.plan.cases())}
    found = [each for each in run.records if isinstance(each, TrainingRecord) and each.model == model]
    return sorted(found, key=lambda each: order[each.identity])
