"""The first figure: the paired gain against zero and the margin, next to accuracy against training time."""

from collections.abc import Sequence

import pandas as pd

from fashionbench import units
from fashionbench.judging.statistics.gains import accuracy_interval
from fashionbench.judging.statistics.times import mean_minutes
from fashionbench.judging.verdict import DeviceVerdict
from fashionbench.report.context import Context, describe_seeds, draw, results_of
from fashionbench.report.figures.axes import name_score
from fashionbench.report.figures.curves import accuracy_minutes
from fashionbench.report.figures.gains import gain_intervals
from fashionbench.report.frames import ACCURACY, DEVICE, HIGH, LABEL, LOW, MINUTES, MODEL, SCORE, runs
from fashionbench.report.view import CaptionedFigure, Drawing

__all__ = ["draw_accuracy", "mean_accuracies", "show_decision"]


def show_decision(context: Context) -> tuple[CaptionedFigure, ...]:
    """Show the gain of every device, and accuracy against training time on the first; without a verdict, nothing."""
    verdict = context.verdict
    if verdict is None:
        return ()
    pair = context.styles[verdict.small], context.styles[verdict.big]
    frame = pd.DataFrame(
        [(each.device, each.gain.estimate, each.gain.low, each.gain.high) for each in verdict.devices],
        columns=[DEVICE, SCORE, LOW, HIGH],
    )
    first = verdict.devices[0]
    gains = draw(
        gain_intervals(frame, margin=verdict.thresholds.margin, pair=pair, score=context.score_name),
        key="gain",
        title=f"Gain of {pair[1].name} over {pair[0].name} with its 95 % confidence interval, against zero and the "
        "margin",
    )
    many = len(first.seeds) > 1
    on_first = f" on {first.device}" if len(verdict.devices) > 1 else ""
    return (
        CaptionedFigure(
            caption=_describe_gains(verdict.devices, verdict.thresholds.margin),
            drawings=(gains, draw_accuracy(context, first.device, [verdict.small, verdict.big], is_wide=False)),
            explanation=f"First figure: {pair[1].name} minus {pair[0].name} on the same test images. The square is the "
            f"mean over {describe_seeds(*(len(each.seeds) for each in verdict.devices))}, the line its paired 95 % "
            "confidence interval. The dashed lines are the margin: the smallest difference that matters to you, set "
            f"with --margin. Second figure: each small marker is one training{on_first}; the large open one is the "
            "mean, with the 95 % confidence interval of that model alone "
            f"({'over its seeds and the test images' if many else 'Wilson'}). These intervals are not paired: two "
            "models whose intervals overlap can still differ.",
        ),
    )


def _describe_gains(devices: Sequence[DeviceVerdict], margin: float) -> str:
    """Return where the intervals lie, relative to the margin."""
    groups: dict[str, list[str]] = {}
    for each in devices:
        groups.setdefault(_describe_gain(each, margin), []).append(each.device)
    if len(groups) == 1:
        (finding,) = groups
        return f"The gain {finding}."
    findings = "; it ".join(f"{finding} on {units.join_phrases(names)}" for finding, names in groups.items())
    return f"The gain {findings}."


def _describe_gain(judged: DeviceVerdict, margin: float) -> str:
    if judged.gain.low >= margin:
        return "is larger than the margin: its whole interval lies above it"
    if judged.gain.high >= margin:
        return "may or may not reach the margin: its interval contains it"
    if judged.gain.low >= -margin:
        return "is smaller than the margin: its whole interval lies in the shaded band"
    return "is smaller than the margin: its whole interval lies below it"


def draw_accuracy(context: Context, device: str, models: Sequence[str], *, is_wide: bool) -> Drawing:
    """Draw accuracy against training minutes of some models on a device."""
    frame = runs(context.records, context.score)
    frame = frame[(frame[DEVICE] == device) & frame[MINUTES].notna() & frame[MODEL].isin(models)]
    judged, verdict = context.verdict_on(device), context.verdict
    margin = None
    if is_wide and judged is not None and verdict is not None:
        width = units.pp(verdict.thresholds.margin).removeprefix("+")
        margin = judged.small_accuracy, judged.small_accuracy + verdict.thresholds.margin, f"margin\n{width}"
    means = mean_accuracies(context, device, models)
    figure = accuracy_minutes(frame, means, context.styles, margin=margin, is_wide=is_wide)
    return draw(
        name_score(figure, context.score_name),
        key=f"accuracy-{device}",
        title=f"Test {context.score_name} against training minutes on {device}",
    )


def mean_accuracies(context: Context, device: str, models: Sequence[str]) -> pd.DataFrame:
    """Return the mean minutes and accuracy of some models on a device, with the interval of the accuracy."""
    trainings, unit = context.trainings_on(device), context.time_unit(device)
    rows = []
    for model in models:
        results = results_of(trainings, model)
        accuracy, minutes = accuracy_interval(results, context.score), mean_minutes(results)
        label = f"{units.percent(accuracy.estimate)} in {unit.show(minutes)}"
        rows.append((model, minutes, accuracy.estimate, accuracy.low, accuracy.high, label))
    return pd.DataFrame(rows, columns=[MODEL, MINUTES, ACCURACY, LOW, HIGH, LABEL])
