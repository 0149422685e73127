"""The chapters on the method: the training clock, the recipe, the statistics, the glossary."""

from collections.abc import Iterator

from fashionbench import units
from fashionbench.catalogue import is_baseline, model_label
from fashionbench.judging.intervals import ASSUMED_SEED_SPREAD
from fashionbench.recipe import Recipe
from fashionbench.records.grouping import machine
from fashionbench.report.context import Context, cell, words
from fashionbench.report.frames import (
    BUILD_SECONDS,
    DEVICE,
    MINUTES,
    MODEL,
    TEST_SECONDS,
    VALIDATION_SECONDS,
    WARMUP_SECONDS,
    runs,
)
from fashionbench.report.view import Block, Cell, Prose, Table

__all__ = ["clock", "glossary", "method"]


def clock(context: Context) -> tuple[Block, ...]:
    """Say what was on the clock, with the measured seconds of what was not."""
    frame = runs(context.records)
    columns = [BUILD_SECONDS, WARMUP_SECONDS, VALIDATION_SECONDS, TEST_SECONDS]
    means = frame[frame[MINUTES].notna()].groupby([DEVICE, MODEL], sort=False)[[MINUTES, *columns]].mean()
    rows = sorted(means.itertuples(name=None), key=lambda row: list(context.styles).index(row[0][1]))
    return (
        Prose(partial="partials/clock.j2", facts={"self_checks": " ".join(_self_checks(context))}),
        Table(
            caption="Seconds, means over seeds",
            groups=(("", 2), ("on the clock", 1), ("off the clock", 4)),
            head=("model", "device", "training", "build", "warm-up", "validation", "test"),
            rows=tuple(
                (
                    Cell(text=context.styles[model].name, style=context.styles[model], words=True),
                    words(device),
                    cell(units.fixed(60 * minutes, 1)),
                    *(cell(units.fixed(value, 1)) for value in seconds),
                )
                for (device, model), minutes, *seconds in rows
            ),
        ),
    )


def _self_checks(context: Context) -> Iterator[str]:
    """Tell for each case that was trained twice by how much its minutes and its bits differ."""
    for each in context.trainings:
        check = each.result.self_check if each.result else None
        if each.result is not None and check is not None:
            first, second = each.result.train_seconds, check.train_seconds
            yield (
                f"{model_label(each.model)} on {context.labels[machine(each)]}, seed {each.seed}, trained twice: "
                f"{units.seconds(first)} and {units.seconds(second)}, "
                f"{units.percent(abs(second - first) / first)} apart; "
                f"{units.count(check.differing_losses)} of {units.count(each.result.step_losses.shape[0])} training "
                f"losses and {units.count(check.differing_predictions)} of "
                f"{units.count(each.result.test_predictions.shape[0])} predictions differ."
            )


def method(context: Context) -> tuple[Block, ...]:
    """Tell the method in words, with the recipes' values."""
    counts = context.trainings[0].data
    recipes = {each.recipe.name: each.recipe for each in context.trainings}
    ways = sorted({f"{each.precision} arithmetic, {each.execution} execution" for each in context.trainings})
    return (
        Prose(
            partial="partials/method.j2",
            facts={
                "recipes": " ".join(_recipe_words(context, recipe) for recipe in recipes.values()),
                "study": recipes["study"].name if "study" in recipes else "",
                "ways": "; ".join(ways),
                "validation": units.percent(next(iter(recipes.values())).validation_fraction, 0),
                "train_images": units.count(counts.train_images),
                "validation_images": units.count(counts.validation_images),
                "test_images": units.count(counts.test_images),
                "margin": units.pp(context.verdict.thresholds.margin).removeprefix("+") if context.verdict else "",
                "seed_spread": units.pp(ASSUMED_SEED_SPREAD, 2).removeprefix("+"),
                "tie": units.ratio(context.verdict.thresholds.tie_slowdown, 2) if context.verdict else "",
                "gain_method": context.verdict.devices[0].gain.method if context.verdict else "",
                "slowdown_method": context.verdict.devices[0].slowdown.method if context.verdict else "",
                "looks": ", ".join(map(units.count, context.verdict.devices[0].looks)) if context.verdict else "",
            },
        ),
    )


def _recipe_words(context: Context, recipe: Recipe) -> str:
    schedule = (
        "raised to that rate and lowered to nothing in one cycle"
        if recipe.schedule == "one-cycle"
        else f"multiplied by {recipe.gamma:g} every {units.count(recipe.step_epochs)} epochs"
    )
    stepping = {each.model for each in context.trainings if each.result and each.result.step_losses.shape[0]}
    batches = ", ".join(
        f"{recipe.batch_size_for(model)} for {style.name}"
        for model, style in context.styles.items()
        if model in stepping
    )
    others = [style.name for model, style in context.styles.items() if is_baseline(model)]
    fitted = f" {', '.join(others)}: fitted by scikit-learn with its defaults, to the same images." if others else ""
    numbers = {style.name: recipe.epochs_for(model) for model, style in context.styles.items() if model in stepping}
    epochs = (
        " and ".join(f"{_epochs(number)} for {name}" for name, number in numbers.items()) + ","
        if len({*numbers.values()}) > 1
        else _epochs(max(numbers.values(), default=recipe.epochs))
    )
    smoothing = f"; labels smoothed by {recipe.label_smoothing:g}" if recipe.label_smoothing else ""
    return (
        f"Recipe {recipe.name}: {epochs} of Adam at a learning rate of {recipe.learning_rate:g}, {schedule}; "
        f"batches of {batches}{smoothing}.{fitted}"
    )


def _epochs(number: int) -> str:
    return f"{units.count(number)} epoch{'s' if number > 1 else ''}"


def glossary(_: Context) -> tuple[Block, ...]:
    """Explain the words that the page uses."""
    return (Prose(partial="partials/glossary.j2"),)
