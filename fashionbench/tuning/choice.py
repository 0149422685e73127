"""The choice among trials, and the recipe that it becomes."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fashionbench.recipe.fields import Recipe
from fashionbench.recipe.tuning import ModelTuning, Tuning
from fashionbench.records.record import TrainingRecord

__all__ = ["choose", "tuned_recipe", "write_toml"]


def choose(trials: Iterable[TrainingRecord]) -> TrainingRecord | None:
    """Return the trial that a model is trained by: the shortest of those near the best validation accuracy.

    Near is within one standard error of the best one's accuracy, sqrt(p (1 - p) / n) for n validation images (the
    one-standard-error rule; Breiman et al., Classification and Regression Trees, 1984). None: every trial failed.
    """
    scored = [(each.result.validation_accuracies[-1], each) for each in trials if each.result is not None]
    if not scored:
        return None
    best, record = max(scored, key=lambda pair: pair[0])
    images = sum(map(sum, record.result.scores.confusion)) if record.result else 1  # of a trial: validation images
    near = [each for accuracy, each in scored if accuracy >= best - math.sqrt(best * (1 - best) / images)]
    return min(near, key=lambda each: each.result.train_seconds if each.result else math.inf)


def tuned_recipe(base: Recipe, space: Iterable[str], trials: Mapping[str, Iterable[TrainingRecord]]) -> Recipe:
    """Return the recipe ``tuned``: the base's, with a table of each model's chosen fields, and where they come from.

    Args:
        base: What was tuned.
        space: The search space, in lines.
        trials: Each model's trials, in order.

    """
    tables, searches = {}, {}
    for model, records in trials.items():
        tried = tuple(records)
        chosen = choose(tried)
        if chosen is None:
            continue  # every trial failed: the base's fields stay, and the search says so
        tables[model] = {
            field: value
            for field, value in chosen.recipe.for_model(model).model_dump(mode="json").items()
            if value != getattr(base, field)
        }
        searches[model] = ModelTuning(
            chosen=tried.index(chosen) + 1,
            minutes=round(sum(each.result.train_seconds for each in tried if each.result) / 60, 4),
            failed=sum(each.result is None for each in tried),
            validation_accuracies=tuple(
                round(each.result.validation_accuracies[-1], 6) for each in tried if each.result
            ),
        )
    tuning = Tuning(recipe=base.name, space=tuple(space), models=searches)
    return Recipe.model_validate({**dict(base), "name": "tuned", "model": tables, "tuning": tuning})


def write_toml(recipe: Recipe) -> str:
    """Return a recipe as TOML, which ``--recipe`` reads."""
    return "".join(_lines(recipe.model_dump(mode="json", exclude_none=True, exclude={"name"})))


def _lines(table: Mapping[str, Any], path: str = "") -> Iterator[str]:
    tables = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    for key in [each for each in table if each not in tables]:
        yield f"{_key(key)} = {json.dumps(table[key])}\n"
    for key, inner in tables.items():
        if not all(isinstance(each, Mapping) for each in inner.values()):
            yield f"\n[{path}{_key(key)}]\n"
        yield from _lines(inner, f"{path}{_key(key)}.")


def _key(name: str) -> str:
    """Return a key of TOML: quoted unless it is a bare one. A JSON string is a basic string of TOML."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)
