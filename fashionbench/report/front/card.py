"""The top of the first page: title, what was run, the verdict with its key figures, advice and reasons."""

from collections.abc import Mapping
from operator import truediv
from types import MappingProxyType
from typing import Final

from fashionbench import units
from fashionbench.catalogue import STUDY_MODELS, model_label
from fashionbench.judging.claims import STUDY_CNN_MINUTES, STUDY_RESNET_MINUTES
from fashionbench.judging.findings import DeviceVerdict, Verdict
from fashionbench.judging.rule import Thresholds
from fashionbench.judging.statistics.intervals import Interval
from fashionbench.judging.wording import describe_doubts
from fashionbench.records.record import TrainingRecord
from fashionbench.report.context import Context, accuracy_digits, describe_data, describe_seeds
from fashionbench.report.front.scope import describe_scope
from fashionbench.report.view import Advice, Tone, VerdictCard

__all__ = [
    "NOT_APPLICABLE",
    "STATE_TONES",
    "compare_outcomes",
    "count_outcomes",
    "describe_run",
    "introduce_study",
    "list_advice",
    "list_reasons",
    "make_card",
    "make_title",
]

STATE_TONES: Final[Mapping[str, Tone]] = MappingProxyType(
    {"WORTH IT": "yes", "NOT WORTH IT": "no", "TIE": "unsure", "CANNOT TELL": "unsure"}
)

NOT_APPLICABLE: Final = "n/a"

CERTAIN: Final = 100
"""Percent, to which a probability below certainty may be rounded."""


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
    rungs = context.verdict.budgets[0].rungs if context.verdict and context.verdict.budgets else ()
    if rungs:
        recipes += f" with {units.join_phrases([f'{each.minutes:g}' for each in rungs])}{units.SPACE}min"
    subject = (describe_data(first.data), recipes) if first else ("inference only",)
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
    small, big = map(model_label, STUDY_MODELS)
    times = units.join_phrases(
        [f"{minutes}{units.SPACE}min on its {kind}" for kind, minutes in STUDY_RESNET_MINUTES.items()]
    )
    return (
        f"“The study” is an unpublished student report, “Resnet”, on Fashion-MNIST, small images of clothing. It "
        f"trained a large neural network, {big}, in {times}, and a small one, here called {small}, in "
        f"{STUDY_CNN_MINUTES}{units.SPACE}min on an unnamed device."
        + (
            " The recipe “study” repeats this; the number of epochs and the small one’s learning-rate schedule are our "
            "choice."
            if has_recipe
            else ""
        )
    )


def make_card(context: Context) -> VerdictCard:
    """Return the verdict with its reason, its scope, and what it is decided on: accuracy, training time, serving."""
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
    first, names = verdict.devices[0], (model_label(verdict.small), model_label(verdict.big))
    where = f" on {first.device}" if len(verdict.devices) > 1 else ""
    margin = f"{100 * verdict.thresholds.margin:g}{units.SPACE}pp"
    tiles = (
        _accuracy_tile(context, names, first, where),
        _time_tile(context, names, first, where),
        _crossover_tile(verdict, names) or _price_tile(context, names, first, where),
    )
    remarks = (
        _describe_prices(verdict.thresholds),
        "" if first.budget_minutes is None else f"with the largest budget, {units.budget(first.budget_minutes)}",
        "provisional: one seed" if verdict.provisional else "",
        verdict.agreement if where else "",
        f"seeds added until the verdict was decided, at most {units.count(first.looks[-1])}" if first.looks else "",
    )
    if not verdict.is_result:
        return VerdictCard(
            state="NO VERDICT",
            tone="unsure",
            sentence=f"The recipe “{context.trainings[0].recipe.name}” only checks an installation. Its numbers show "
            "what a report contains, and decide nothing.",
            scope=describe_scope(context),
            tiles=tiles,
        )
    return VerdictCard(
        state=verdict.state,
        tone=STATE_TONES[verdict.state],
        sentence=verdict.sentence,
        probabilities=tuple(
            _describe_probabilities(names, each, margin, f"On {each.device}: p" if where else "P")
            for each in verdict.devices
        ),
        scope=describe_scope(context),
        remark="; ".join(each for each in remarks if each),
        tiles=tiles,
    )


def _describe_probabilities(names: tuple[str, str], judged: DeviceVerdict, margin: str, beginning: str) -> str:
    """Return how likely the true gain is in each of three regions, and that one training beats another."""
    small, big = names
    found = judged.probabilities
    shares = units.add_up(
        [100 * each for each in (found.at_least_margin, found.within_margin, found.below_minus_margin)]
    )
    better, alike, worse, wins = map(_describe_share, (*shares, round(100 * judged.probability_of_winning)))
    return (
        f"{beginning}robability that {big} is better by {margin} or more: {better}; that they differ by less: {alike}; "
        f"that {small} is better by as much: {worse}; that one training of {big} beats one of {small} on these images: "
        f"{wins}."
    )


def _describe_share(percent: int) -> str:
    if percent == 0:
        return f"under 1{units.SPACE}%"
    return f"over 99{units.SPACE}%" if percent == CERTAIN else f"{percent}{units.SPACE}%"


def _describe_prices(thresholds: Thresholds) -> str:
    """Return the prices that the user gave; nothing where the rule has none."""
    money, minutes = thresholds.money, thresholds.price_minutes_per_pp
    hours = [f"{units.money(each)} per hour on {device}" for device, each in money.per_hour.items()]
    limit = [f"{units.money(money.per_pp)} per percentage point"] if money.per_pp is not None else []
    if minutes is not None and not limit:  # a price in money replaces the one in minutes
        limit = [units.price(minutes)]
    return f"stated price{'s' * (len(hours + limit) > 1)}: {', '.join(limit + hours)}" if hours or limit else ""


def _accuracy_tile(context: Context, names: tuple[str, str], judged: DeviceVerdict, where: str) -> tuple[str, str]:
    small, big = names
    digits = accuracy_digits(judged)
    seeds = len(judged.seeds)
    return (
        f"{units.bare(units.percent(judged.big_accuracy, digits))} vs {units.percent(judged.small_accuracy, digits)}",
        (
            f"test {context.score_name} of {big} and {small}{where}, {'means over ' if seeds > 1 else ''}"
            f"{describe_seeds(seeds)}, {units.count(judged.test_images)} images"
        ),
    )


def _time_tile(context: Context, names: tuple[str, str], judged: DeviceVerdict, where: str) -> tuple[str, str]:
    small, big = names
    unit = context.time_unit(judged.device)
    slowdown = judged.slowdown
    doubts = describe_doubts(slowdown, None if judged.times_are_reliable else judged.others_cpu_share)
    if isinstance(slowdown, Interval) and not doubts:
        remark = f"95 % CI of their ratio {units.bare(units.interval_ratio(slowdown.low, slowdown.high))}"
    else:
        remark = f"not reliable: {doubts}"
    return (
        f"{unit.number(judged.big_minutes)} vs {unit.show(judged.small_minutes)}",
        f"training time of {big} and {small}{where}; {remark}",
    )


def _crossover_tile(verdict: Verdict, names: tuple[str, str]) -> tuple[str, str] | None:
    """Return the crossover of the first device; None for a run without budgets."""
    found = next(iter(verdict.budgets), None)
    if found is None or found.crossover is None:
        return None
    largest = found.rungs[-1].minutes
    shown = [
        f"over {units.budget(largest)}" if each is None else units.minutes(each, units.decimals(each))
        for each in (found.crossover.minutes, found.crossover.low, found.crossover.high)
    ]
    where = f" on {found.device}" if len(verdict.budgets) > 1 else ""
    doubt = "at 95 % confidence" if found.crossover.low is None else f"95 % CI {shown[1]} to {shown[2]}"
    return shown[0], f"budget from which on {names[1]} is worth it{where}, {doubt}"


def _price_tile(context: Context, names: tuple[str, str], judged: DeviceVerdict, where: str) -> tuple[str, str]:
    """Return the price of a percentage point; without one, what serving costs, or the reason why there is none."""
    price = judged.price_minutes_per_pp
    if price is not None:
        interval = f"{units.fixed(price.low, 1)} to {units.fixed(price.high, 1)}"
        return units.price(price.estimate), f"extra training time{where} per percentage point, 95 % CI {interval}"
    times = context.serving_times(judged.device)
    if times:
        (ratio, shown), *others = [_compare_serving(*each) for each in times.values()]
        smallest, largest = min(times), max(times)
        rest = f"; {others[-1][0]} at batch size {units.count(largest)}" if others else ""
        said = f"as long to predict{where} with {names[1]} as with {names[0]} at batch size {units.count(smallest)}"
        return ratio, f"{said} ({shown}){rest}"
    if judged.gain.low <= 0:
        return NOT_APPLICABLE, f"no price per point: the gain{where} is not significantly above zero"
    if judged.evidence().extra_minutes is None:
        return NOT_APPLICABLE, f"no price per point: the extra training time{where} is not reliable"
    return NOT_APPLICABLE, f"no price per point: {names[1]} takes no extra training time{where}"


def _compare_serving(small_seconds: float, big_seconds: float) -> tuple[str, str]:
    """Return the ratio of two times, big over small, and the times that it follows from."""
    big, small = units.shown_parts((1000 * big_seconds, 1000 * small_seconds), truediv, units.ratio)
    return units.ratio(big_seconds / small_seconds), f"{big} vs {small}{units.SPACE}ms"


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
            (f"If only {context.score_name} counts", verdict.where_only_accuracy_counts),
        )
    )


def list_reasons(context: Context) -> tuple[str, ...]:
    """Return what else speaks for the verdict on the first device; without a verdict, nothing."""
    verdict = context.verdict
    if verdict is None:
        return ()
    judged = verdict.devices[0]
    small, big = model_label(verdict.small), model_label(verdict.big)
    where = f"On {judged.device}, " if len(verdict.devices) > 1 else ""
    saved = context.time_unit(judged.device).show(abs(judged.big_minutes - judged.small_minutes))
    slowdown = judged.evidence().slowdown
    significant = slowdown is not None and (slowdown.low > 1 or slowdown.high < 1)
    faster = small if judged.slowdown.estimate > 1 else big
    return (
        f"{where}{compare_outcomes(judged, small, big)}",
        *([f"{where}{faster} saves {saved} per training."] if significant else []),
    )


def compare_outcomes(judged: DeviceVerdict, small: str, big: str) -> str:
    """Return a sentence on how many test images only one of the two models classifies correctly."""
    _, only_big, only_small, _ = count_outcomes(judged)
    pairs = f" (means over {len(judged.seeds)} seeds)" if len(judged.seeds) > 1 else ""
    return (
        f"{big} is right on {units.count(only_big)} images that {small} gets wrong, and wrong on "
        f"{units.count(only_small)} that {small} gets right{pairs}."
    )


def count_outcomes(judged: DeviceVerdict) -> list[int]:
    """Return on how many images both models, only the big, only the small or neither is right; they add up."""
    found = judged.outcomes
    return units.add_up([found.both, found.only_big, found.only_small, found.neither])
