"""The first page: title, verdict, reasons, advice, notes and the summary table."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import numpy as np

from fashionbench import units
from fashionbench.catalogue import model_label
from fashionbench.judging.claims import check_bands
from fashionbench.judging.rule import State
from fashionbench.records.record import TrainingRecord
from fashionbench.report.context import Context, accuracy_interval, cell, mean_minutes, results_of, seed_words
from fashionbench.report.view import Advice, Card, Cell, Note, Table, Tone

__all__ = ["kicker", "list_advice", "list_reasons", "make_card", "make_title", "notes", "summary"]

TONE_OF: Final[Mapping[State, Tone]] = MappingProxyType(
    {"WORTH IT": "yes", "NOT WORTH IT": "no", "TIE": "unsure", "CANNOT TELL": "unsure"}
)


def make_title(context: Context) -> str:
    """Return the title of the page, as a question."""
    if context.verdict is not None:
        return f"Is {model_label(context.verdict.big)} worth it over {model_label(context.verdict.small)}?"
    names = [style.name for style in context.styles.values()]
    return f"How good is {names[0]}, and how fast?" if len(names) == 1 else "Is the bigger model worth it?"


def list_reasons(context: Context) -> tuple[str, ...]:
    """Return the verdict's three grounds, on the first device: accuracy, image by image, and time."""
    verdict = context.verdict
    if verdict is None:
        return ()
    judged = verdict.devices[0]
    small, big = model_label(verdict.small), model_label(verdict.big)
    fixes, breaks = units.count(judged.outcomes.only_big), units.count(judged.outcomes.only_small)
    digits = units.minutes_digits(judged.small_minutes, judged.big_minutes)
    right = f"{big} is right on {units.percent(judged.big_accuracy)} of {units.count(judged.test_images)} test images"
    return (
        f"{right}, {small} on {units.percent(judged.small_accuracy)}.",
        f"It fixes {fixes} of {small}'s mistakes and breaks {breaks} of its hits.",
        f"It trains {units.minutes(judged.big_minutes, digits)} against {units.minutes(judged.small_minutes, digits)}.",
    )


def make_card(context: Context) -> Card:
    """Return the verdict's card."""
    verdict = context.verdict
    if verdict is None:
        finished = "; ".join(
            f"{', '.join(model_label(each) for each in context.models_on(device))} on {device}"
            for device in context.devices
        )
        return Card(
            state="NO VERDICT",
            tone="unsure",
            sentence="A verdict needs two models that finished with the same seed on the same device; finished: "
            f"{finished or 'none'}.",
        )
    first = verdict.devices[0]
    price = first.price_minutes_per_pp
    digits = units.minutes_digits(first.small_minutes, first.big_minutes)
    looks = first.looks
    remarks = (
        "provisional, one seed" if verdict.provisional else "",
        verdict.agreement,
        f"seeds added until decided, {units.count(looks[-1])} at most" if looks else "",
    )
    return Card(
        state=verdict.state,
        tone=TONE_OF[verdict.state],
        sentence=verdict.sentence,
        remark="; ".join(each for each in remarks if each),
        tiles=(
            (
                units.pp(first.gain.estimate),
                f"gain in test accuracy, 95 % {units.interval_pp(first.gain.low, first.gain.high)}",
            ),
            (
                units.ratio(first.slowdown.estimate),
                f"training time, 95 % {units.interval_ratio(first.slowdown.low, first.slowdown.high)}; "
                + " against ".join(units.minutes(each, digits) for each in (first.big_minutes, first.small_minutes)),
            ),
            (
                (units.price(price.estimate), "for the gain of a percentage point")
                if price
                else ("no price", "a price per point needs a gain that is surely above zero")
            ),
        ),
    )


def list_advice(context: Context) -> tuple[Advice, ...]:
    """Return which model to choose in each situation."""
    verdict = context.verdict
    if verdict is None:
        return ()
    return tuple(
        Advice(
            situation=situation,
            choice=model_label(each.model) if each.model else "either",
            style=context.styles[each.model] if each.model else None,
            sentence=each.sentence,
        )
        for situation, each in (
            ("Where time or cost matters", verdict.where_cost_matters),
            ("Where only accuracy counts", verdict.where_only_accuracy_counts),
        )
    )


OLDER = "older draw"
"""How the release of Fashion-MNIST begins that published results do not stand on."""


def kicker(context: Context) -> tuple[str, ...]:
    """Return what was run, in a few words."""
    first = next((each for each in context.records if isinstance(each, TrainingRecord)), None)
    days = sorted({each.measured_at[:10] for each in context.records})
    names = list(dict.fromkeys(each.recipe.name for each in context.records if isinstance(each, TrainingRecord)))
    recipes = f"recipe{'s' if len(names) > 1 else ''} {', '.join(names)}"
    about = (
        (", ".join(word for word in (first.data.name, first.data.release) if word), recipes)
        if first
        else ("inference only",)
    )
    seeds = len({each.seed for each in context.trainings})
    span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    devices = ", ".join(context.devices) or "no device finished"
    return ("FashionBench", *about, seed_words(seeds), devices, span)


def notes(context: Context) -> tuple[Note, ...]:
    """Return what a reader must know before the numbers are trusted, each with its remedy."""
    found = []
    for device in context.devices:
        judged = context.judged(device)
        if judged is not None and judged.provisional:
            found.append(
                Note(
                    text=f"One training each on {device}: seed-to-seed variation is not in these intervals. "
                    "Repeat with",
                    command="nox -s bench -- --seeds 3",
                )
            )
    found.extend(Note(text=sentence) for sentence in check_bands(context.records))
    if any(each.environment.commit_clean is False for each in context.records):
        found.append(
            Note(
                text="Measured from a checkout with uncommitted changes: the commit does not tell what ran. "
                "Commit or stash, then run again; see",
                command="git status",
            )
        )
    for library in ("torch", "fashionbench"):
        versions = sorted({each.environment.versions.get(library, units.MISSING) for each in context.records})
        if len(versions) > 1:
            found.append(
                Note(
                    text=f"Measured with several versions of {library} ({', '.join(versions)}), so that devices differ "
                    "in more than their hardware. Install one, and run the others again:",
                    command=f'python -m pip install "{library}=={versions[-1]}"',
                )
            )
    if any(each.data.release.startswith(OLDER) for each in context.trainings):
        found.append(
            Note(
                text="Measured on the older draw of the data, while published results stand on the current release. "
                "This finds or fetches that:",
                command="fashionbench data",
            )
        )
    lost = [each for each in context.records if each.status == "failed"]
    if lost:
        found.append(Note(text=f"{len(lost)} of {len(context.records)} cases failed: see the last table."))
    return tuple(found)


def summary(context: Context) -> tuple[Table, ...]:
    """Return a table a device: what each model cost and scored; the last one carries the note."""
    tables = [_summary_on(context, device) for device in context.devices]
    return (*(replace(each, note="") for each in tables[:-1]), *tables[-1:])


def _summary_on(context: Context, device: str) -> Table:
    trainings = context.on(device)
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
                Cell(text=context.styles[model].name, style=context.styles[model], words=True),
                cell(units.bare(units.minutes(mean, digits))),
                cell(f"{units.bare(units.percent(accuracy.estimate))} ± {units.bare(units.percent(half))}"),
                cell(units.bare(units.percent(float(np.mean([each.scores.macro_f1 for each in results]))))),
                cell(units.millions(info.parameters if info else None)),
                cell(units.millions(info.reachable_parameters if info else None)),
                cell(units.megaflops(info.training_flops if info else None)),
                cell(units.mebibytes(max(peaks))),
                cell(units.count(len(results))),
            )
        )
    on_accelerator = any(each.peak_device_bytes for model in minutes for each in results_of(trainings, model))
    name = next(each.device_name for each in trainings)
    return Table(
        caption=f"On {device}: {name}" if name not in device else f"On {device}",
        head=(
            *("model", "minutes", "accuracy, %", "macro F1, %", "parameters", "reachable", "MFLOP"),
            "peak, device" if on_accelerator else "peak memory",
            "seeds",
        ),
        rows=tuple(rows),
        note="Training minutes are the geometric mean over seeds; accuracy the mean on the test images ± half its 95 % "
        "interval. Reachable parameters are those that an image of this size can ever change; MFLOP are those of one "
        "image, forward and backward.",
    )
