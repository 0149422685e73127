"""The first page: title, verdict, advice, reasons, the summary table, and the controls of the HTML page."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import numpy as np

from fashionbench import units
from fashionbench.catalogue import STUDY_MODELS, model_label
from fashionbench.judging.intervals import accuracy_interval, mean_minutes, seed_allowance
from fashionbench.judging.rule import State
from fashionbench.judging.verdict import DeviceVerdict
from fashionbench.records.record import TrainingRecord
from fashionbench.report.context import (
    Context,
    describe_seeds,
    model_cell,
    number_cell,
    results_of,
)
from fashionbench.report.view import Advice, Explorer, Table, Tone, VerdictCard

__all__ = [
    "NOT_APPLICABLE",
    "compare_outcomes",
    "describe_run",
    "introduce_study",
    "list_advice",
    "list_reasons",
    "make_card",
    "make_explorer",
    "make_summary",
    "make_title",
]

STATE_TONES: Final[Mapping[State, Tone]] = MappingProxyType(
    {"WORTH IT": "yes", "NOT WORTH IT": "no", "TIE": "unsure", "CANNOT TELL": "unsure"}
)

NOT_APPLICABLE: Final = "n/a"
PRICE_STEPS: Final = 200


def make_title(context: Context) -> str:
    """Return the title of the page, as a question."""
    if context.verdict is not None:
        return f"Is {model_label(context.verdict.big)} worth it over {model_label(context.verdict.small)}?"
    names = [style.name for style in context.styles.values()]
    return f"How good is {names[0]}, and how fast?" if len(names) == 1 else "Is the bigger model worth it?"


def describe_run(context: Context) -> tuple[str, ...]:
    """Return what was run, as short phrases: data, recipes, seeds, devices and dates."""
    first = next((each for each in context.records if isinstance(each, TrainingRecord)), None)
    days = sorted({each.measured_at[:10] for each in context.records})
    names = list(dict.fromkeys(each.recipe.name for each in context.records if isinstance(each, TrainingRecord)))
    recipes = f"recipe{'s' if len(names) > 1 else ''} {', '.join(names)}"
    subject = (
        (", ".join(part for part in (first.data.name, first.data.release) if part), recipes)
        if first
        else ("inference only",)
    )
    seeds = len({each.seed for each in context.trainings})
    span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    devices = ", ".join(context.devices) or "no device finished"
    return ("FashionBench", *subject, describe_seeds(seeds), devices, span)


def introduce_study(context: Context) -> str:
    """Return what "the study" is, for a page that mentions it: with its recipe or its two models; else nothing."""
    verdict = context.verdict
    has_recipe = any(each.recipe.name == "study" for each in context.trainings)
    has_models = verdict is not None and (verdict.small, verdict.big) == STUDY_MODELS
    if not (has_recipe or has_models):
        return ""
    return (
        f"“The study” is an unpublished student report that trained {model_label(STUDY_MODELS[1])} and a small CNN "
        f"({model_label(STUDY_MODELS[0])}) on Fashion-MNIST."
        + (" The recipe “study” repeats its training." if has_recipe else "")
    )


def make_card(context: Context) -> VerdictCard:
    """Return the verdict with its key figures on the first device: gain, slowdown and price."""
    verdict = context.verdict
    if verdict is None:
        finished = "; ".join(
            f"{', '.join(model_label(each) for each in context.models_on(device))} on {device}"
            for device in context.devices
        )
        return VerdictCard(
            state="NO VERDICT",
            tone="unsure",
            sentence="A verdict needs two models that finished with the same seed on the same device. "
            f"Finished: {finished or 'none'}.",
        )
    first = verdict.devices[0]
    where = f" on {first.device}" if len(verdict.devices) > 1 else ""
    remarks = (
        "provisional: one seed" if verdict.provisional else "",
        verdict.agreement,
        f"seeds added until the verdict was decided, at most {units.count(first.looks[-1])}" if first.looks else "",
    )
    return VerdictCard(
        state=verdict.state,
        tone=STATE_TONES[verdict.state],
        sentence=verdict.sentence,
        remark="; ".join(each for each in remarks if each),
        tiles=(
            (
                units.pp(first.gain.estimate),
                f"gain in test accuracy{where}, 95 % CI {units.interval_pp(first.gain.low, first.gain.high)}",
            ),
            (
                units.ratio(first.slowdown.estimate),
                f"training time{where}, 95 % CI {units.interval_ratio(first.slowdown.low, first.slowdown.high)}",
            ),
            _price_tile(first, model_label(verdict.big), where),
        ),
    )


def _price_tile(judged: DeviceVerdict, big: str, where: str) -> tuple[str, str]:
    """Return the price per percentage point and its description, or the reason why there is none."""
    if judged.price_minutes_per_pp is not None:
        return (
            units.price(judged.price_minutes_per_pp.estimate),
            f"extra training time{where} per percentage point gained",
        )
    if judged.gain.low > 0:
        return NOT_APPLICABLE, f"no price per point: {big} takes no extra training time{where}"
    return NOT_APPLICABLE, f"no price per point: the gain{where} is not significantly above zero"


def list_advice(context: Context) -> tuple[Advice, ...]:
    """Return the model to choose in each situation; without a verdict, nothing."""
    verdict = context.verdict
    if verdict is None:
        return ()
    return tuple(
        Advice(
            situation=situation,
            choice=model_label(each.model) if each.model else "no clear winner",
            style=context.styles[each.model] if each.model else None,
            sentence=each.sentence,
        )
        for situation, each in (
            ("If time or cost matters", verdict.where_cost_matters),
            ("If only accuracy counts", verdict.where_only_accuracy_counts),
        )
    )


def list_reasons(context: Context) -> tuple[str, ...]:
    """Return the measurements that the verdict is based on, on the first device; without a verdict, nothing."""
    verdict = context.verdict
    if verdict is None:
        return ()
    judged = verdict.devices[0]
    small, big = model_label(verdict.small), model_label(verdict.big)
    digits = units.minutes_digits(judged.small_minutes, judged.big_minutes)
    big_minutes, small_minutes = (units.minutes(each, digits) for each in (judged.big_minutes, judged.small_minutes))
    big_accuracy, small_accuracy = (units.percent(each) for each in (judged.big_accuracy, judged.small_accuracy))
    images = units.count(judged.test_images)
    where = f"On {judged.device}, " if len(verdict.devices) > 1 else ""
    return (
        f"{where}{big} is right on {big_accuracy} of the {images} test images, {small} on {small_accuracy}.",
        compare_outcomes(judged, small, big),
        f"{big} trains for {big_minutes}, {small} for {small_minutes}.",
    )


def compare_outcomes(judged: DeviceVerdict, small: str, big: str) -> str:
    """Return a sentence on how many test images only one of the two models classifies correctly."""
    return (
        f"{big} is right on {units.count(judged.outcomes.only_big)} images that {small} gets wrong, and wrong on "
        f"{units.count(judged.outcomes.only_small)} that {small} gets right."
    )


def make_summary(context: Context) -> tuple[Table, ...]:
    """Return one table for each device with cost and scores of each model; the last table has the note."""
    tables = [_summary_on(context, device) for device in context.devices]
    return (*(replace(each, note="") for each in tables[:-1]), *tables[-1:])


def _summary_on(context: Context, device: str) -> Table:
    trainings = context.trainings_on(device)
    minutes = {model: mean_minutes(results_of(trainings, model)) for model in context.models_on(device)}
    digits = units.minutes_digits(*minutes.values())
    rows = []
    for model, mean in minutes.items():
        results = results_of(trainings, model)
        info = next(each.model_info for each in trainings if each.model == model)
        accuracy = accuracy_interval(results)
        half = (accuracy.high - accuracy.low) / 2
        peaks = [each.peak_device_bytes or each.peak_host_bytes for each in results]
        rows.append(
            (
                model_cell(context.styles[model]),
                number_cell(units.bare(units.minutes(mean, digits))),
                number_cell(f"{units.bare(units.percent(accuracy.estimate))} ± {units.bare(units.percent(half))}"),
                number_cell(units.bare(units.percent(float(np.mean([each.scores.macro_f1 for each in results]))))),
                number_cell(units.millions(info.parameters if info else None)),
                number_cell(units.millions(info.reachable_parameters if info else None)),
                number_cell(units.megaflops(info.training_flops if info else None)),
                number_cell(units.mebibytes(max(peaks))),
                number_cell(units.count(len(results))),
            )
        )
    on_accelerator = any(each.peak_device_bytes for model in minutes for each in results_of(trainings, model))
    name = next(each.device_name for each in trainings)
    return Table(
        caption=f"Results on {device}" if name in device else f"Results on {device} ({name})",
        header=(
            *("model", "training, min", "accuracy, %", "macro F1, %", "parameters", "reachable", "MFLOP"),
            "peak device memory" if on_accelerator else "peak memory",
            "seeds",
        ),
        rows=tuple(rows),
        note="Training minutes are the geometric mean over seeds. Accuracy is the mean over seeds on the test images, "
        "± half the width of its 95 % confidence interval. Reachable parameters are those that an image of this size "
        "can change. MFLOP are for one image, forward and backward pass.",
    )


def make_explorer(context: Context) -> Explorer | None:
    """Return the controls and their data; None if there is no verdict to recompute."""
    verdict = context.verdict
    if verdict is None:
        return None
    step = _price_step(max(each.big_minutes - each.small_minutes for each in verdict.devices))
    price = verdict.thresholds.price_minutes_per_pp
    seeds = sorted({each.seed for each in context.trainings})
    classes = context.trainings[0].data.classes
    filters = (
        ("device", "all devices", tuple((each, each) for each in context.devices)),
        ("seed", "all seeds", tuple((str(each), f"seed {each}") for each in seeds)),
        ("class", "all classes", tuple((each, each) for each in classes)),
    )
    return Explorer(
        data={
            "devices": [
                {
                    "device": each.device,
                    "gain_low": each.gain.low,
                    "gain_high": each.gain.high,
                    "slowdown_low": each.slowdown.low,
                    "slowdown_high": each.slowdown.high,
                    "extra_minutes": each.big_minutes - each.small_minutes,
                    "allowance": seed_allowance(each.gain, len(each.seeds)),
                }
                for each in verdict.devices
            ],
            "tie_slowdown": verdict.thresholds.tie_slowdown,
            "price_step": step,
            "classes": list(classes),
        },
        margin_pp=f"{100 * verdict.thresholds.margin:g}",
        price_steps=PRICE_STEPS,
        price_position=PRICE_STEPS if price is None else min(PRICE_STEPS - 1, round(price / step)),
        filters=tuple(each for each in filters if len(each[2]) > 1),
    )


def _price_step(extra_minutes: float) -> float:
    """Return the minutes per percentage point of one slider step: the slider ends at ten times the extra minutes."""
    return max(extra_minutes, 0.1) * 10 / PRICE_STEPS
