"""The chapters on the claims of the original study, the training clock, the method and the glossary."""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from fashionbench import units
from fashionbench.catalogue import is_baseline, model_label
from fashionbench.judging.claims import ACCEPTABLE_ACCURACY, RATIO_TOLERANCE
from fashionbench.judging.statistics.intervals import ASSUMED_SEED_SPREAD
from fashionbench.judging.statistics.times import mean_minutes
from fashionbench.recipe.fields import Augmentation, Hyperparameters, Recipe
from fashionbench.recipe.tuning import Tuning
from fashionbench.records.grouping import machine
from fashionbench.report.context import Context, model_cell, number_cell, results_of, text_cell
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
from fashionbench.report.front.scope import OPTIMIZERS
from fashionbench.report.view import Block, Prose, Table

__all__ = ["glossary", "method", "study_claims", "training_clock"]

EXECUTIONS: Final = MappingProxyType(
    {
        "fast": "the operations of a step are rearranged to save time, with the same result up to rounding "
        "(execution “fast”)",
        "plain": "the steps are PyTorch’s own (execution “plain”)",
    }
)


def study_claims(context: Context) -> tuple[Block, ...]:
    """Tabulate the study's claims and whether this run reproduces them."""
    checked = context.verdict.claims if context.verdict else ()
    if not checked:
        return ()
    return (
        Table(
            caption="Claims checked against this run",
            header=("claim of the study", "outcome", "measured here"),
            rows=tuple(
                (text_cell(each.statement), text_cell(each.outcome.capitalize()), text_cell(each.evidence))
                for each in checked
            ),
            note="The study gives no thresholds, so these are FashionBench’s: a ratio of times within a factor of "
            f"{RATIO_TOLERANCE} of the study’s counts as the same, an accuracy of "
            f"{units.percent(ACCEPTABLE_ACCURACY, 0)} or more as acceptable, and an F1 higher by more than the margin "
            "as “by far”. The study names no device for the CNN’s 3 min, so at most one of its two ratios is of one "
            "device. A claim on classes is reproduced if the unadjusted 95 % CI supports it in every class, and "
            "not reproduced if it contradicts it in one. Scores are compared unrounded.",
        ),
    )


def training_clock(context: Context) -> tuple[Block, ...]:
    """Explain what the training time includes, and tabulate the seconds that it does not."""
    frame = runs(context.records)
    columns = [BUILD_SECONDS, WARMUP_SECONDS, VALIDATION_SECONDS, TEST_SECONDS]
    means = frame[frame[MINUTES].notna()].groupby([DEVICE, MODEL], sort=False)[columns].mean()
    means_over = ", means over seeds (training: geometric mean)" * (len({each.seed for each in context.trainings}) > 1)
    rows = sorted(means.itertuples(name=None), key=lambda row: list(context.styles).index(row[0][1]))
    digits = [units.decimals(*means[column]) for column in columns]
    return (
        Prose(partial="partials/clock.j2", facts={"self_checks": " ".join(_describe_self_checks(context))}),
        Table(
            caption=f"Seconds per training{means_over}",
            groups=(("", 2), ("on the clock", 1), ("off the clock", 4)),
            header=("model", "device", "training", "model build", "warm-up", "validation", "test"),
            rows=tuple(
                (
                    model_cell(context.styles[model]),
                    text_cell(device),
                    number_cell(units.fixed(60 * mean_minutes(results_of(context.trainings_on(device), model)), 1)),
                    *(number_cell(units.fixed(*each)) for each in zip(seconds, digits, strict=True)),
                )
                for (device, model), *seconds in rows
            ),
        ).without_constant("device"),
    )


def _describe_self_checks(context: Context) -> Iterator[str]:
    """Return a sentence for each case that was trained twice: the differences in time, losses and predictions."""
    for each in context.trainings:
        check = each.result.self_check if each.result else None
        if each.result is not None and check is not None:
            times = each.result.train_seconds, check.train_seconds
            first, second = (round(seconds, 1) or seconds for seconds in times)  # as shown, so that the share follows
            yield (
                f"{model_label(each.model)} on {context.labels[machine(each)]}, seed {each.seed}, trained twice: "
                f"{units.seconds(first)} and {units.seconds(second)}, "
                f"{units.percent(abs(second - first) / first)} apart; "
                f"{units.count(check.differing_losses)} of {units.count(each.result.step_losses.shape[0])} training "
                f"losses and {units.count(check.differing_predictions)} of "
                f"{units.count(each.result.test_predictions.shape[0])} predictions differ."
            )


def method(context: Context) -> tuple[Block, ...]:
    """Describe training, data, intervals and the verdict rule, with the values of this run."""
    counts = context.trainings[0].data
    recipes = {each.recipe.name: each.recipe for each in context.trainings}
    executions = sorted({*_describe_executions(context)})
    facts = {
        "recipes": " ".join(_describe_recipe(context, recipe) for recipe in recipes.values()),
        "unaugmented": "" if any(_is_augmented(each) for each in recipes.values()) else "unaugmented",
        "study": "study" if "study" in recipes else "",
        "executions": " ".join(executions),
        "steps": " ".join(dict.fromkeys(_describe_steps(context))),
        "validation": units.percent(next(iter(recipes.values())).validation_fraction, 0),
        "own_validation": "its own" if "validation images" in counts.digests else "",
        "train_images": units.count(counts.train_images),
        "validation_images": units.count(counts.validation_images),
        "test_images": units.count(counts.test_images),
    }
    if context.verdict is not None:
        first, thresholds = context.verdict.devices[0], context.verdict.thresholds
        facts |= {
            "margin": units.pp(thresholds.margin).removeprefix("+"),
            "seed_spread": units.pp(ASSUMED_SEED_SPREAD, 2).removeprefix("+"),
            "one_seed": "one" if context.verdict.provisional else "",
            "tie": units.fixed(thresholds.tie_slowdown, 2),
            "score": thresholds.score_name,
            "gain_method": first.gain.method,
            "slowdown_method": first.slowdown.method,
            "interim_analyses": units.join_phrases([units.count(each) for each in first.looks]) if first.looks else "",
        }
    return (Prose(partial="partials/method.j2", facts=facts),)


def _describe_executions(context: Context) -> Iterator[str]:
    """Yield arithmetic and execution of the networks, with the devices where they differ; without any, of baselines."""
    networks = [each for each in context.trainings if not is_baseline(each.model)] or context.trainings
    several = len({each.precision for each in networks}) > 1
    for each in networks:
        where = f" on {context.labels[machine(each)]}" if several else ""
        yield f"Arithmetic{where} is in {each.precision}; {EXECUTIONS[each.execution]}."


def _describe_steps(context: Context) -> Iterator[str]:
    """Yield how each model's steps were chosen on each accelerator."""
    for each in context.trainings:
        if each.trial is not None:
            name, device = context.styles[each.model].name, context.labels[machine(each)]
            yield f"Steps of {name} on {device}, chosen by a short trial: {each.trial.described()}."


def _describe_recipe(context: Context, recipe: Recipe) -> str:
    stepwise = {each.model for each in context.trainings if each.result and each.result.step_losses.shape[0]}
    by_name = {style.name: recipe.for_model(model) for model, style in context.styles.items() if model in stepwise}
    descriptions = [_describe_training(each) for each in by_name.values()] or [_describe_training(recipe)]
    parts = []
    for phrases in zip(*descriptions, strict=True):
        named = zip(phrases, by_name, strict=False)
        several = ", ".join(f"{phrase} for {name}" for (_, phrase), name in named if phrase)
        lead, phrase = phrases[0]
        parts.append(f"{lead}{phrase if len({*phrases}) == 1 else several}")
    baselines = [style.name for model, style in context.styles.items() if is_baseline(model)]
    fitted = (
        f" {units.join_phrases(baselines)}: scikit-learn with its defaults, on the same images." if baselines else ""
    )
    return (
        f"Recipe “{recipe.name}”: {'; '.join(filter(None, parts))}.{fitted}{_describe_tuning(context, recipe.tuning)}"
    )


def _describe_tuning(context: Context, tuning: Tuning | None) -> str:
    """Return the search that a recipe comes from: the space, and each model's trials."""
    if tuning is None:
        return ""
    names = {model: style.name for model, style in context.styles.items()}
    trials = ". ".join(found.described(names.get(model, model)) for model, found in tuning.models.items())
    return (
        f" It was tuned from the recipe {tuning.recipe}, for every model over the same space "
        f"({'; '.join(tuning.space)}), on the validation images only. Trial 1 is the recipe as it was. {trials}."
    )


def _describe_training(how: Hyperparameters) -> tuple[tuple[str, str], ...]:
    """Return what to say of each aspect of a training: its name, said once, and a phrase that may differ by model."""
    details = [
        *([f"momentum {how.momentum:g}"] if how.momentum else []),
        *([f"weight decay {how.weight_decay:g}"] if how.weight_decay else []),
    ]
    return (
        ("", OPTIMIZERS[how.optimizer] + (f" with {' and '.join(details)}" if details else "")),
        ("", f"{units.count(how.epochs)} epoch{'s' if how.epochs > 1 else ''}"),
        ("", _describe_schedule(how)),
        ("batch size ", units.count(how.batch_size)),
        ("", f"label smoothing {how.label_smoothing:g}" if how.label_smoothing else ""),
        ("", _describe_augmentation(how.augment)),
        ("", "all weights but those of the head and of new layers are frozen" if how.freeze else ""),
        ("", _describe_normalization(how)),
    )


def _describe_schedule(how: Hyperparameters) -> str:
    rate = f"learning rate {how.learning_rate:g}"
    rising = units.percent(how.warmup_fraction or 0, 0)
    if how.schedule == "one-cycle":
        peak = "" if how.warmup_fraction is None else f" after {rising} of the steps"
        return f"one-cycle schedule with a maximum {rate.replace(' rate', ' rate of')}{peak}"
    course = {
        "step": f", multiplied by {how.gamma:g} every {units.count(how.step_epochs)} epochs",
        "cosine": ", lowered to zero along half a cosine",
        "constant": ", constant",
    }[how.schedule]
    return rate + course + (f", after a linear rise in the first {rising} of the steps" if how.warmup_fraction else "")


def _describe_augmentation(how: Augmentation) -> str:
    done = [
        *(["horizontal flips"] if how.flip else []),
        *([f"shifts of up to {units.count(how.shift)} pixel{'s' if how.shift > 1 else ''}"] if how.shift else []),
        *([f"random erasing with probability {how.erase:g}"] if how.erase else []),
    ]
    return f"augmentation by {units.join_phrases(done)}" if done else ""


def _is_augmented(recipe: Recipe) -> bool:
    return any(each.augment != Augmentation() for each in (recipe, *recipe.model.values()))


def _describe_normalization(how: Hyperparameters) -> str:
    if how.normalize is None or how.normalize == "imagenet":
        return "images normalised by the statistics of ImageNet" if how.normalize else ""
    means, deviations = (", ".join(f"{each:g}" for each in values) for values in how.normalize)
    return f"images normalised by the means {means} and the standard deviations {deviations}"


def glossary(_: Context) -> tuple[Block, ...]:
    """Explain the terms of the page."""
    return (Prose(partial="partials/glossary.j2"),)
