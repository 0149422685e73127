"""The choice among trials, and the recipe that it becomes."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any, Final

from fashionbench.catalogue import is_baseline
from fashionbench.recipe.fields import Recipe
from fashionbench.recipe.tuning import ModelTuning, Tuning
from fashionbench.records.record import TrainingRecord

__all__ = ["choose", "tuned_recipe", "write_toml"]

TIME_NOISE: Final = 1.25
"""Times up to this ratio count as equal. On a quiet machine, ``study`` took FashionCNN 65 to 72 s in a row, and 75 to
78 s three hours later (n = 3 each)."""


def choose(trials: Iterable[TrainingRecord]) -> TrainingRecord | None:
    """Return the trial that a model is trained by: one near the best validation accuracy, and cheap.

    Near is within one standard error of the best one's accuracy, sqrt(p (1 - p) / n) for n validation images (the
    one-standard-error rule; Breiman et al., Classification and Regression Trees, 1984). Of those, the trials that took
    up to ``TIME_NOISE`` times as long as the shortest are left, and the most accurate of them is chosen, the first one
    if they are equal. None: every trial failed.
    """
    scored = [(each.result.validation_accuracies[-1], each.result, each) for each in trials if each.result is not None]
    if not scored:
        return None
    best, result_of_best, _ = max(scored, key=itemgetter(0))
    images = sum(map(sum, result_of_best.scores.confusion))  # of a trial: validation images
    near = [found for found in scored if found[0] >= best - math.sqrt(best * (1 - best) / images)]
    longest = TIME_NOISE * min(result.train_seconds for _, result, _ in near)
    cheap = [(accuracy, each) for accuracy, result, each in near if result.train_seconds <= longest]
    return max(cheap, key=itemgetter(0))[1]


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
        if not is_baseline(model):
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
        yield f"{_key(key)} = {_value(table[key])}\n"
    for key, inner in tables.items():
        if not all(isinstance(each, Mapping) for each in inner.values()):
            yield f"\n[{path}{_key(key)}]\n"
        yield from _lines(inner, f"{path}{_key(key)}.")


def _key(name: str) -> str:
    """Return a key of TOML: quoted unless it is a bare one. A JSON string is a basic string of TOML."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _value(name)


def _value(value: object) -> str:
    """Return a value of TOML: as in JSON, but TOML knows no surrogates."""
    return json.dumps(value, ensure_ascii=False)
