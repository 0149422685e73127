"""Budgets: a plan of trainings of so many epochs as fit in some minutes, by what an epoch takes before the run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from fashionbench import units
from fashionbench.catalogue import is_baseline, model_label
from fashionbench.data.dataset import Dataset
from fashionbench.devices.device import Device, name_devices
from fashionbench.errors import InputError
from fashionbench.recipe.fields import Recipe
from fashionbench.records.files import check_output
from fashionbench.records.manifest import EpochEstimate
from fashionbench.records.reading import read_estimates
from fashionbench.running.cluster import Cluster
from fashionbench.running.plan import Arm, Plan, RunOptions
from fashionbench.running.preflight import call_where, check_in_process, estimate_seconds, load_images
from fashionbench.running.process.call import CallFailedError, seconds_to_answer
from fashionbench.running.process.own import digest_in_process
from fashionbench.running.process.trial import choose_methods
from fashionbench.training.case import Case
from fashionbench.training.identity import identify

__all__ = ["estimate_epochs", "plan_budgets"]

MOST_EPOCHS: Final = 10_000
"""Of a recipe."""


def plan_budgets(
    plan: Plan,
    asked: RunOptions,
    environ: Mapping[str, str],
    say: Callable[[str], None],
    cluster: Cluster | None = None,
) -> Plan:
    """Return the plan that trains each model once with each budget that was asked for; without any, the plan itself.

    What an epoch takes is measured, or read from the manifest of the same run in the same folder.

    Args:
        plan: The recipe, models, devices and seeds.
        asked: The options of the run.
        environ: The environment variables.
        say: Shows a line with the epochs of each budget.
        cluster: Where the devices are; None: here.

    Raises:
        FashionBenchError: The recipe does not end with its last epoch, the data cannot be read, or a model fails.

    """
    if not asked.budgets:
        return plan
    for model in plan.models:
        if plan.recipe.for_model(model).schedule == "step" and not is_baseline(model):
            raise InputError(
                f"--budgets with the recipe {plan.recipe.name}, which lowers the learning rate every "
                f"{plan.recipe.for_model(model).step_epochs} epochs",
                expected="a schedule that stretches over the training, such as one-cycle",
                remedy="add --recipe swift, or set the schedule of your recipe",
            )
    dataset = load_images(plan, asked.data, environ, lambda _: None)  # open_run says it
    earlier = () if plan.fresh else read_estimates(asked.out, say)
    plan, estimates = estimate_epochs(plan, dataset, asked.out, say, cluster=cluster, earlier=earlier)
    arms, names = {}, name_devices(plan.devices)
    for device in plan.devices:
        seconds = {model: each.seconds for (model, where), each in estimates.items() if where == device}
        rungs = {minutes: _make_arms(plan, minutes, seconds) for minutes in asked.budgets}
        arms[device] = tuple(arm for rung in rungs.values() for arm in rung)
        for minutes, rung in rungs.items() if seconds else ():
            say(f"Budget of {units.budget(minutes)} on {names[device]}: {'; '.join(map(_describe, rung))}")
    return replace(plan, arms=arms, estimates=tuple(estimates.values()))


def estimate_epochs(  # noqa: PLR0913 - what a run has
    plan: Plan,
    dataset: Dataset,
    out: Path,
    say: Callable[[str], None],
    *,
    cluster: Cluster | None = None,
    earlier: Sequence[EpochEstimate] = (),
) -> tuple[Plan, dict[tuple[str, Device], EpochEstimate]]:
    """Return how long an epoch of each model takes on each device that is there, with the plan's recipe.

    On an accelerator, it first tries how steps are computed fastest, as the trainings will compute them. The plan that
    is returned has what was chosen.

    Args:
        plan: What is estimated.
        dataset: The images.
        out: Where the run will write. Choices of an earlier run are read there, nothing is written.
        say: Shows a line before and after such a trial.
        cluster: Where the devices are; None: here.
        earlier: Estimates that are not measured again, if they are of the same trainings.

    Raises:
        FashionBenchError: A model does not run, or the output folder cannot be written later.

    """
    known = {each.identity: each for each in earlier}
    cases = dict[tuple[str, Device], Case]()
    for case in plan.cases():
        if not case.absence:
            cases.setdefault((case.model, case.device), replace(case, seed=0))
    identities = {
        key: identify(case, digest_in_process(case.model, plan.limit_minutes), dataset) for key, case in cases.items()
    }
    new = [case for key, case in cases.items() if identities[key] not in known]
    if new:
        check_output(out)
    for case in {each.model: each for each in new}.values():
        check_in_process(case, dataset, seconds_to_answer(plan.limit_minutes))
    call = partial(call_where, cluster, plan)
    plan = replace(plan, trials=choose_methods(new, dataset, out / "trials", call, say, fresh=plan.fresh, keep=False))
    found = dict[tuple[str, Device], EpochEstimate]()
    for key, case in cases.items():
        if identities[key] in known:
            found[key] = known[identities[key]]
            continue
        trained = replace(case, trial=plan.trials.get((case.model, case.device, case.recipe.name)))
        try:
            seconds = call_where(cluster, plan, case.device, estimate_seconds, trained, dataset)
        except CallFailedError as error:
            raise InputError(
                f"model {case.model[:80]!r} cannot be timed ({error.reason})",
                expected="a model that trains",
                remedy="correct the model, or choose another with --models",
            ) from None
        found[key] = EpochEstimate(
            identity=identities[key],
            model=case.model,
            device=case.device.word,
            seconds=max(seconds / (1 if is_baseline(case.model) else case.hyperparameters.epochs), 1e-6),
        )
    return plan, found


def _make_arms(plan: Plan, minutes: float, seconds: Mapping[str, float]) -> tuple[Arm, ...]:
    """Return the trainings of a seed with a budget, where an epoch of each model takes so many seconds."""
    fitting = {
        model: min(int(60 * minutes / each), 1 if is_baseline(model) else MOST_EPOCHS)
        for model, each in seconds.items()
    }
    recipe = _with_epochs(plan.recipe, minutes, {model: max(1, fitting.get(model, 1)) for model in plan.models})
    return tuple(
        Arm(
            model=model,
            recipe=recipe,
            unfit=""
            if fitting.get(model, 1)
            else f"{'its fit' if is_baseline(model) else 'an epoch'} takes about {units.seconds(seconds[model])}, "
            f"longer than the budget of {units.budget(minutes)}",
        )
        for model in plan.models
    )


def _with_epochs(base: Recipe, minutes: float, epochs: Mapping[str, int]) -> Recipe:
    own = {model: how.model_dump(exclude_unset=True) for model, how in base.model.items()}
    tables = {model: {**own.get(model, {}), "epochs": number} for model, number in epochs.items()}
    return Recipe.model_validate({**dict(base), "model": tables, "budget_minutes": minutes})


def _describe(arm: Arm) -> str:
    if arm.unfit:
        return f"{model_label(arm.model)} is not trained, as {arm.unfit}"
    if is_baseline(arm.model):
        return f"{model_label(arm.model)} fitted once"
    epochs = arm.recipe.for_model(arm.model).epochs
    return f"{model_label(arm.model)} {epochs} epoch{'s' if epochs > 1 else ''}"
