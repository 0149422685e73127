"""The chapters on classes: scores by class and confusion matrices."""

import pandas as pd

from fashionbench import units
from fashionbench.judging.claims import differences_on
from fashionbench.report.context import Context, draw, number_cell, per_device, text_cell
from fashionbench.report.figures import by_class
from fashionbench.report.figures.style import ModelStyle, shorten
from fashionbench.report.frames import (
    CLASS,
    HIGH,
    IMAGES,
    LOW,
    METRIC,
    METRICS,
    MODEL,
    PREDICTED,
    SCORE,
    SIGNIFICANT,
    TRUE,
    class_scores,
    confusions,
)
from fashionbench.report.view import Block, CaptionedFigure, ContentBlock, Drawing, Table

__all__ = ["confusion_matrices", "scores_by_class"]

TITLES = {"precision": "Precision", "recall": "Recall", "f1": "F1"}

SIGNIFICANCE_LEVEL = 0.05
"""A difference between classes is significant if its Holm-adjusted p value is below this."""

MAX_NAMED_DIFFERENCES = 4

MAX_CONFUSED_PAIRS = 10

MAX_DRAWN_CLASSES = 12
"""Classes in a figure: as many as can be read across a page."""


def scores_by_class(context: Context) -> tuple[Block, ...]:
    """Show precision, recall and F1 by class: the study's three grouped bar plots, their table, the differences."""
    return per_device(context, _scores_on)


def _scores_on(context: Context, device: str) -> tuple[ContentBlock, ...]:
    pair = context.pair_on(device)
    trainings = [each for each in context.trainings_on(device) if each.model in pair]
    scores = class_scores(trainings)
    seeds = len({each.seed for each in trainings})
    means = scores.pivot_table(SCORE, [METRIC, CLASS], MODEL, sort=False)[pair]
    f1 = pd.DataFrame(means.xs("f1", level=METRIC))
    selected = _select_classes((f1[pair[-1]] - f1[pair[0]]).abs() if len(pair) > 1 else 1 - f1[pair[0]])
    criterion = "with the largest difference in F1" if len(pair) > 1 else "with the lowest F1"
    bars = draw(
        by_class.class_bars(scores[scores[CLASS].isin(selected)], context.styles, TITLES),
        key=f"bars-{device}",
        title=f"Precision, recall and F1 by class on {device}",
    )
    figure = CaptionedFigure(
        caption=_scores_caption(context, means, pair),
        drawings=(bars,),
        explanation=f"{' '.join(f'{TITLES[metric]} is {_DEFINITIONS[metric]}.' for metric in METRICS)} "
        + (f"Bars are means over {seeds} seeds, thin lines their range." if seeds > 1 else "One seed, so no range.")
        + _selection_note(selected, len(f1), criterion),
    )
    return (figure, _scores_table(context, means, pair), *_differences_figure(context, device))


_DEFINITIONS = {
    "precision": "the share of the images assigned to a class that belong to it",
    "recall": "the share of the images of a class that are assigned to it",
    "f1": "the harmonic mean of precision and recall",
}


def _select_classes(sizes: "pd.Series[float]") -> list[str]:
    """Return the classes to draw, in their order; if there are too many, those of the largest sizes."""
    largest = set(sizes.nlargest(MAX_DRAWN_CLASSES).index)
    return [str(name) for name in sizes.index if name in largest]


def _selection_note(selected: list[str], number: int, criterion: str) -> str:
    return f" Drawn are the {len(selected)} of {number} classes {criterion}." if len(selected) < number else ""


def _scores_caption(context: Context, means: pd.DataFrame, pair: list[str]) -> str:
    """Return in how many classes the second model of a pair has the higher score."""
    if len(pair) == 1:
        f1 = means.xs("f1", level=METRIC)[pair[0]]
        return f"F1 ranges from {units.percent(f1.min())} ({f1.idxmin()}) to {units.percent(f1.max())} ({f1.idxmax()})."
    gains = (means[pair[1]] - means[pair[0]]).groupby(level=METRIC, sort=False)
    counts = {metric: int((gains.get_group(metric) > 0).sum()) for metric in METRICS}
    classes = len(means) // len(METRICS)
    return (
        f"{context.styles[pair[1]].name} has the higher precision in {counts['precision']} of {classes} classes, the "
        f"higher recall in {counts['recall']} and the higher F1 in {counts['f1']}; even the smallest lead counts."
    )


def _scores_table(context: Context, means: pd.DataFrame, pair: list[str]) -> Table:
    classes = list(dict.fromkeys(means.index.get_level_values(CLASS)))
    return Table(
        caption="Precision, recall and F1 by class, %",
        groups=(("", 1), *((TITLES[metric], len(pair)) for metric in METRICS)),
        header=("class", *(shorten(context.styles[model].name, 14) for _ in METRICS for model in pair)),
        rows=tuple(
            (
                text_cell(name),
                *(
                    number_cell(units.bare(units.percent(float(means.loc[(metric, name), model]))))
                    for metric in METRICS
                    for model in pair
                ),
            )
            for name in classes
        ),
    )


def _differences_figure(context: Context, device: str) -> tuple[ContentBlock, ...]:
    judged, verdict = context.verdict_on(device), context.verdict
    if judged is None or verdict is None:
        return ()
    names = context.trainings_on(device)[0].data.classes
    frame = pd.DataFrame(
        [
            (
                names[each.class_index],
                each.metric,
                each.estimate,
                each.low,
                each.high,
                each.adjusted_p < SIGNIFICANCE_LEVEL,
            )
            for each in differences_on(context.records, verdict, judged)
        ],
        columns=[CLASS, METRIC, SCORE, LOW, HIGH, SIGNIFICANT],
    )
    order = frame[frame[METRIC] == "f1"].sort_values(SCORE, ascending=False)[CLASS]
    frame = frame.set_index(CLASS).loc[list(order)].reset_index()
    small, big = context.styles[verdict.small], context.styles[verdict.big]
    selected = _select_classes(frame[frame[METRIC] == "f1"].set_index(CLASS)[SCORE].abs())
    drawing = draw(
        by_class.class_differences(frame[frame[CLASS].isin(selected)], TITLES, pair=(small, big)),
        key=f"differences-{device}",
        title=f"{big.name} minus {small.name}, by class, on {device}",
    )
    return (
        CaptionedFigure(
            caption=_differences_caption(frame),
            drawings=(drawing,),
            explanation=f"{big.name} minus {small.name}, sorted by the difference in F1. Right of zero, {big.name} is "
            "better. Lines are unadjusted 95 % confidence intervals, each for one comparison alone. "
            f"{_explain_colours(frame)}" + _selection_note(selected, len(order), "with the largest difference in F1"),
        ),
    )


def _explain_colours(frame: pd.DataFrame) -> str:
    adjusted = (
        f"significant after Holm’s adjustment for all {len(frame)} comparisons "
        f"(adjusted p below {SIGNIFICANCE_LEVEL:g})"
    )
    if frame[SIGNIFICANT].any():
        return f"Colour and marker show what is {adjusted}; the rest is grey."
    return f"All are grey, because none is {adjusted}."


def _differences_caption(frame: pd.DataFrame) -> str:
    significant = frame[frame[SIGNIFICANT]]
    if significant.empty:
        return f"None of the {len(frame)} differences by class is statistically significant after adjustment."
    listed = [
        f"{TITLES[metric] if metric == 'f1' else metric} of {name} ({units.pp(score)})"
        for name, metric, score in significant[[CLASS, METRIC, SCORE]].head(MAX_NAMED_DIFFERENCES).to_numpy()
    ]
    if len(significant) > MAX_NAMED_DIFFERENCES:
        listed.append("others")
    verb = "is" if len(significant) == 1 else "are"
    return (
        f"{len(significant)} of the {len(frame)} differences by class {verb} statistically significant after "
        "adjustment: "
        f"{units.join_phrases(listed)}."
    )


def confusion_matrices(context: Context) -> tuple[Block, ...]:
    """Show the confusion matrix of both models and their difference."""
    return per_device(context, _matrices_on)


def _matrices_on(context: Context, device: str) -> tuple[ContentBlock, ...]:
    pair = context.pair_on(device)
    means = {}
    for model in pair:
        frame = confusions([each for each in context.trainings_on(device) if each.model == model])
        means[model] = _round_matrix(frame.groupby([TRUE, PREDICTED], sort=False)[IMAGES].mean().reset_index())
    styles = [context.styles[model] for model in pair]
    mistakes = [frame[frame[TRUE] != frame[PREDICTED]] for frame in means.values()]
    wrong = pd.concat(mistakes)
    by_true, by_predicted = (wrong.groupby(column)[IMAGES].sum() for column in (TRUE, PREDICTED))
    classes = list(dict.fromkeys(wrong[TRUE]))
    selected = _select_classes((by_true + by_predicted).reindex(classes))
    matrices = tuple(
        _draw_matrix(
            _among(frame, selected), (style, style), key=f"confusion-{device}-{model}", title=style.name
        )
        for (model, frame), style in zip(means.items(), styles, strict=True)
    )  # fmt: skip
    means_over = ", means over seeds" if len({each.seed for each in context.trainings_on(device)}) > 1 else ""
    blocks = [
        CaptionedFigure(
            caption=_mistakes_caption(mistakes, styles),
            drawings=matrices,
            explanation=f"Test images by true class (row) and predicted class (column){means_over}. Mistakes are "
            "shaded by their number; the diagonal counts correct predictions. Counts are rounded so that they add "
            "up; elsewhere they can differ by one." + _selection_note(selected, len(classes), "with most mistakes"),
        )
    ]
    if len(pair) > 1:
        blocks.append(_change_figure(context, device, means, selected))
    return tuple(blocks)


def _round_matrix(means: pd.DataFrame) -> pd.DataFrame:
    """Return mean numbers of images as integers that add up: the mistakes to all mistakes, each row to its class."""
    is_mistake = means[TRUE] != means[PREDICTED]
    support = means.groupby(TRUE, sort=False)[IMAGES].sum().round()
    rounded = means.assign(**{IMAGES: 0})
    rounded.loc[is_mistake, IMAGES] = units.add_up(list(means.loc[is_mistake, IMAGES]))
    mistakes = rounded.groupby(TRUE, sort=False)[IMAGES].sum()
    right = (support - mistakes).astype(int)
    rounded.loc[~is_mistake, IMAGES] = [right[name] for name in means.loc[~is_mistake, TRUE]]
    return rounded


def _mistakes_caption(mistakes: list[pd.DataFrame], styles: list[ModelStyle]) -> str:
    """Return the most common mistake of the first model, with its number of images for each model."""
    top = mistakes[0].nlargest(1, IMAGES).iloc[0]
    counts = [
        float(frame[(frame[TRUE] == top[TRUE]) & (frame[PREDICTED] == top[PREDICTED])][IMAGES].iloc[0])
        for frame in mistakes
    ]
    against = f", against {units.count(counts[1])} with {styles[1].name}" if len(styles) > 1 else ""
    return (
        f"The most common mistake of {styles[0].name} is {top[TRUE]} classified as {top[PREDICTED]}: "
        f"{units.count(counts[0])} images{against}."
    )


def _among(frame: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    return frame[frame[TRUE].isin(classes) & frame[PREDICTED].isin(classes)]


def _change_figure(
    context: Context, device: str, means: dict[str, pd.DataFrame], selected: list[str]
) -> CaptionedFigure:
    (small, before), (big, after) = means.items()
    change = before.assign(**{IMAGES: after[IMAGES] - before[IMAGES]})
    styles = context.styles[small], context.styles[big]
    seeds = len({each.seed for each in context.trainings_on(device)})
    merged = before.assign(after=after[IMAGES])
    merged = merged[merged[TRUE] != merged[PREDICTED]]
    wrong = [units.count(float(merged[column].sum())) for column in (IMAGES, "after")]
    merged = merged.assign(size=merged[[IMAGES, "after"]].max(axis=1)).nlargest(
        MAX_CONFUSED_PAIRS, "size", keep="first"
    )
    commonest = by_class.confusion_changes(merged[[TRUE, PREDICTED, IMAGES, "after"]], styles)
    return CaptionedFigure(
        caption=f"{styles[1].name} misclassifies {wrong[1]} test images, {styles[0].name} {wrong[0]} "
        f"({'means over seeds' if seeds > 1 else 'one seed'}).",
        drawings=(
            _draw_matrix(
                _among(change, selected), styles, key=f"confusion-{device}-change", title="Difference", differ=True
            ),
            draw(commonest, key=f"changes-{device}", title=f"The most common mistakes of both models on {device}"),
        ),
        explanation=f"First figure: {styles[1].name} minus {styles[0].name}, in the colour of the model that makes "
        "the mistake more often; the diagonal is left blank, because more images there are better. Second figure: the "
        "most common mistakes, sorted by the larger of the two counts; each label gives the true class first.",
    )


def _draw_matrix(
    frame: pd.DataFrame, styles: tuple[ModelStyle, ModelStyle], *, key: str, title: str, differ: bool = False
) -> Drawing:
    figure = by_class.confusion_matrix(frame, styles, title=shorten(title, 20), differ=differ)
    return draw(figure, key=key, title=f"Confusion matrix: {title}")
