"""What a verdict applies to: the recipe, the devices and the seeds of its records, and what was not tested."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from fashionbench import units
from fashionbench.catalogue import is_baseline
from fashionbench.judging.verdict import Verdict
from fashionbench.recipe.fields import Augmentation, Recipe
from fashionbench.records.record import TrainingRecord
from fashionbench.report.context import Context, describe_seeds

__all__ = ["OPTIMIZERS", "describe_scope", "list_changes"]

CPU: Final = "cpu"

OPTIMIZERS: Final[Mapping[str, str]] = MappingProxyType({"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"})


def describe_scope(context: Context) -> str:
    """Return one line on what the verdict applies to and what was not tested; empty without a verdict."""
    verdict = context.verdict
    if verdict is None:
        return ""
    names = {model: context.styles[model].name for model in (verdict.big, verdict.small) if not is_baseline(model)}
    recipes = _recipes(context)
    firsts = _first_trainings(context, verdict)
    parts = (
        "; ".join(_describe_recipe(each, names) for each in recipes.values()),
        units.join_phrases([_describe_machine(device, each) for device, each in firsts.items()]),
        describe_seeds(*(len(judged.seeds) for judged in verdict.devices)),
    )
    return f"Applies to: {'; '.join(parts)}. Not tested: {_list_untested(context, verdict)}."


def list_changes(context: Context) -> tuple[str, ...]:
    """Return what would change the verdict: its own thresholds, and what was not tested; without a verdict, nothing."""
    if context.verdict is None:
        return ()
    budget = context.verdict.devices[0].budget_minutes
    longer = (
        "Another recipe (--recipe FILE.toml) or device may change it: neither was tested."
        if budget is None
        else f"A budget of over {units.budget(budget)} might: it was not tested."
    )
    return (*context.verdict.would_change, longer)


def _recipes(context: Context) -> dict[str, Recipe]:
    return {each.recipe.name: each.recipe for each in context.trainings}


def _first_trainings(context: Context, verdict: Verdict) -> dict[str, TrainingRecord]:
    """Return the first training on each judged device."""
    return {judged.device: context.trainings_on(judged.device)[0] for judged in verdict.devices}


def _describe_recipe(recipe: Recipe, names: Mapping[str, str]) -> str:
    if not names:
        return f"recipe “{recipe.label}”"
    how = {name: recipe.for_model(model) for model, name in names.items()}
    parts = (
        _say_of_each({name: f"{each.epochs} epoch{'s' if each.epochs > 1 else ''}" for name, each in how.items()}),
        _say_of_each({name: OPTIMIZERS[each.optimizer] for name, each in how.items()}),
        f"batch size {_say_of_each({name: units.count(each.batch_size) for name, each in how.items()})}",
        _say_of_each({name: f"{'no ' * (each.augment == Augmentation())}augmentation" for name, each in how.items()}),
    )
    return f"recipe “{recipe.label}” ({', '.join(parts)})"


def _say_of_each(values: Mapping[str, str]) -> str:
    """Return what is true of all models once, or what is true of each with its name."""
    if len({*values.values()}) == 1:
        return next(iter(values.values()))
    return units.join_phrases([f"{value} for {name}" for name, value in values.items()])


def _describe_machine(device: str, record: TrainingRecord) -> str:
    threads = f", {units.count(record.environment.threads)} threads" if record.device == CPU else ""
    return f"{device} ({record.device_name}{threads})"


def _list_untested(context: Context, verdict: Verdict) -> str:
    words = {each.device for each in _first_trainings(context, verdict).values()}
    unequal = any(
        each.for_model(verdict.big).batch_size != each.for_model(verdict.small).batch_size
        for each in _recipes(context).values()
    )
    found = (
        "equal batch sizes" if unequal else "",
        "longer training",
        "an accelerator" if words == {CPU} else "" if CPU in words else "a CPU",
    )
    return units.join_phrases([each for each in found if each])
