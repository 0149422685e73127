"""The trials of a tuning: a plan of ordinary trainings, each with the recipe of one point, on training images only."""

from collections.abc import Mapping
from dataclasses import replace

from fashionbench.recipe.file import require_used_momentum
from fashionbench.recipe.tuning import LONGEST_NAME
from fashionbench.running.plan import Arm, Plan
from fashionbench.tuning.space import Space, Value, draw_points, vary

__all__ = ["plan_trials"]


def plan_trials(plan: Plan, space: Space, trials: Mapping[str, int]) -> Plan:
    """Return the plan that trains each model once with the recipe itself, and once with that of each of its points.

    Every model gets the first points of the same sequence, so that the same number of trials is the same search.

    Args:
        plan: What is tuned: its recipe, models, device and first seed.
        space: What each field may become.
        trials: How often each model is trained, at least once.

    Raises:
        InputError: A point has momentum with another optimizer than SGD.

    """
    points: list[Mapping[str, Value]] = [{}, *draw_points(space, max(trials.values()) - 1)]
    base = plan.recipe.name[: LONGEST_NAME - len(", trial 1000")]
    recipes = [vary(plan.recipe, point, f"{base}, trial {i}") for i, point in enumerate(points, start=1)]
    for i, recipe in enumerate(recipes, start=1):
        require_used_momentum(recipe, f"trial {i}")
    arms = tuple(
        Arm(model=model, recipe=recipe, label=f"trial {i} of {trials[model]}")
        for i, recipe in enumerate(recipes, start=1)
        for model in plan.models
        if i <= trials[model]
    )
    methods = {(model, device, recipes[0].name): trial for (model, device, _), trial in plan.trials.items()}
    return replace(
        plan, arms={plan.devices[0]: arms}, scored_on="validation", seeds=plan.seeds[:1], looks=(), trials=methods
    )
