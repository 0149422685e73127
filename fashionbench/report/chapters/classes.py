"""The chapters on classes: scores by class and confusion matrices."""

import pandas as pd

from fashionbench import units
from fashionbench.judging.claims import differences_on
from fashionbench.report.context import Context, cell, draw, per_device, words
from fashionbench.report.figures import by_class as by_class_figures
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
    SURE,
    TRUE,
    class_scores,
    confusions,
)
from fashionbench.report.view import Block, Drawing, Exhibit, Shown, Table

__all__ = ["by_class", "confusion"]

TITLES = {"precision": "Precision", "recall": "Recall", "f1": "F1"}

SURE_BELOW = 0.05
"""Holm-adjusted p under which a difference between classes is called sure."""

CHANGES = 10
"""Pairs of classes listed as most often confused."""


MOST_DRAWN = 12
"""Classes in a figure: as many as can be read across a page."""


def _drawn(sizes: "pd.Series[float]") -> list[str]:
    """Return the classes to draw, in their order; where they are too many, those of the largest size."""
    chosen = set(sizes.nlargest(MOST_DRAWN).index)
    return [str(name) for name in sizes.index if name in chosen]


def _told(drawn: list[str], number: int, why: str) -> str:
    return f" Drawn are the {len(drawn)} of {number} classes {why}." if len(drawn) < number else ""


def by_class(context: Context) -> tuple[Block, ...]:
    """Show precision, recall and F1 by class: the study's three grouped bar plots, their table, the differences."""
    return per_device(context, _by_class_on)


def _by_class_on(context: Context, device: str) -> tuple[Shown, ...]:
    pair = context.pair_on(device)
    trainings = [each for each in context.on(device) if each.model in pair]
    scores = class_scores(trainings)
    seeds = len({each.seed for each in trainings})
    means = scores.pivot_table(SCORE, [METRIC, CLASS], MODEL, sort=False)[pair]
    f1 = pd.DataFrame(means.xs("f1", level=METRIC))
    drawn = _drawn((f1[pair[-1]] - f1[pair[0]]).abs() if len(pair) > 1 else 1 - f1[pair[0]])
    bars = tuple(
        Exhibit(
            finding=_lead(context, pd.DataFrame(means.xs(metric, level=METRIC)), pair, metric),
            drawings=(
                draw(
                    by_class_figures.class_bars(
                        scores[scores[CLASS].isin(drawn)], context.styles, metric=metric, title=_word(metric)
                    ),
                    key=f"bars-{device}-{metric}",
                    title=f"{TITLES[metric]} by class on {device}",
                ),
            ),
            reading=_BAR_READING[metric]
            + (f" Bars are means of {seeds} seeds, whiskers their range." if seeds > 1 else " One seed, so no range.")
            + _told(drawn, len(f1), "with the largest difference in F1" if len(pair) > 1 else "with the lowest F1"),
        )
        for metric in METRICS
    )
    return (*bars, _class_table(context, means, pair), *_differences(context, device))


_BAR_READING = {
    "precision": "Of the images that a model puts into a class, the share that belongs there.",
    "recall": "Of the images of a class, the share that a model finds.",
    "f1": "The harmonic mean of precision and recall.",
}


def _word(metric: str) -> str:
    return "F1" if metric == "f1" else metric


def _lead(context: Context, means: pd.DataFrame, pair: list[str], metric: str) -> str:
    """Say in how many classes the second model of a pair is ahead, and where most."""
    if len(pair) == 1:
        only = means[pair[0]]
        return (
            f"{TITLES[metric]} runs from {units.percent(only.min())} ({only.idxmin()}) to {units.percent(only.max())} "
            f"({only.idxmax()})."
        )
    gains = means[pair[1]] - means[pair[0]]
    name = context.styles[pair[1]].name
    return (
        f"{name} is ahead in {_word(metric)} in {int((gains > 0).sum())} of {len(gains)} classes: "
        f"{units.pp(gains.max())} at best ({gains.idxmax()}), {units.pp(gains.min())} at worst ({gains.idxmin()})."
    )


def _class_table(context: Context, means: pd.DataFrame, pair: list[str]) -> Table:
    classes = list(dict.fromkeys(means.index.get_level_values(CLASS)))
    return Table(
        caption="Scores by class, %",
        groups=(("", 1), *((TITLES[metric], len(pair)) for metric in METRICS)),
        head=("class", *(shorten(context.styles[model].name, 14) for _ in METRICS for model in pair)),
        rows=tuple(
            (
                words(name),
                *(
                    cell(units.bare(units.percent(float(means.loc[(metric, name), model]))))
                    for metric in METRICS
                    for model in pair
                ),
            )
            for name in classes
        ),
    )


def _differences(context: Context, device: str) -> tuple[Shown, ...]:
    judged, verdict = context.judged(device), context.verdict
    if judged is None or verdict is None:
        return ()
    names = context.on(device)[0].data.classes
    frame = pd.DataFrame(
        [
            (names[each.place], each.metric, each.estimate, each.low, each.high, each.adjusted_p < SURE_BELOW)
            for each in differences_on(context.records, verdict, judged)
        ],
        columns=[CLASS, METRIC, SCORE, LOW, HIGH, SURE],
    )
    order = frame[frame[METRIC] == "f1"].sort_values(SCORE, ascending=False)[CLASS]
    frame = frame.set_index(CLASS).loc[list(order)].reset_index()
    small, big = context.styles[verdict.small], context.styles[verdict.big]
    sure = frame[frame[SURE]]
    listed = ", ".join(f"{TITLES[metric]} of {name}" for name, metric in sure[[CLASS, METRIC]].head(4).to_numpy())
    finding = (
        f"{len(sure)} of {len(frame)} differences are sure: {listed}{' and others' if len(sure) > 4 else ''}."  # noqa: PLR2004 - as many as are listed
        if len(sure)
        else f"None of the {len(frame)} differences between classes is sure once adjusted for their number."
    )
    drawn = _drawn(frame[frame[METRIC] == "f1"].set_index(CLASS)[SCORE].abs())
    drawing = draw(
        by_class_figures.class_differences(frame[frame[CLASS].isin(drawn)], TITLES, pair=(small, big)),
        key=f"differences-{device}",
        title=f"{big.name} less {small.name}, by class, on {device}",
    )
    return (
        Exhibit(
            finding=finding,
            drawings=(drawing,),
            reading=f"{big.name} less {small.name}, sorted by F1, with 95 % intervals for one comparison each. "
            "Marks in a model's colour are sure for all comparisons together (Holm's p below 0.05); grey ones may be "
            "chance." + _told(drawn, len(order), "with the largest difference in F1"),
        ),
    )


def confusion(context: Context) -> tuple[Block, ...]:
    """Show which class is taken for which, by both models and as their difference."""
    return per_device(context, _confusion_on)


def _confusion_on(context: Context, device: str) -> tuple[Shown, ...]:
    pair = context.pair_on(device)
    means = {}
    for model in pair:
        frame = confusions([each for each in context.on(device) if each.model == model])
        means[model] = frame.groupby([TRUE, PREDICTED], sort=False)[IMAGES].mean().reset_index()
    styles = [context.styles[model] for model in pair]
    mistakes = [frame[frame[TRUE] != frame[PREDICTED]] for frame in means.values()]
    wrong = pd.concat(mistakes)
    by_true, by_predicted = (wrong.groupby(column)[IMAGES].sum() for column in (TRUE, PREDICTED))
    classes = list(dict.fromkeys(wrong[TRUE]))
    drawn = _drawn((by_true + by_predicted).reindex(classes))
    top = mistakes[0].nlargest(1, IMAGES).iloc[0]
    counts = [
        float(frame[(frame[TRUE] == top[TRUE]) & (frame[PREDICTED] == top[PREDICTED])][IMAGES].iloc[0])
        for frame in mistakes
    ]
    told = " and ".join(f"{units.count(count)} with {style.name}" for count, style in zip(counts, styles, strict=True))
    matrices = tuple(
        _matrix(
            _among(means[look_model], drawn), (style, style), key=f"confusion-{device}-{look_model}", title=style.name
        )
        for look_model, style in zip(pair, styles, strict=True)
    )
    blocks: list[Shown] = [
        Exhibit(
            finding=f"{top[TRUE]} taken for {top[PREDICTED]} is the commonest mistake: {told}.",
            drawings=matrices,
            reading="Test images by true class (row) and predicted class (column), means over seeds. "
            "Only mistakes are shaded; the grey diagonal counts what is right."
            + _told(drawn, len(classes), "that are mistaken most"),
        )
    ]
    if len(pair) > 1:
        blocks.append(_confusion_change(context, device, means, drawn))
    return tuple(blocks)


def _among(frame: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    return frame[frame[TRUE].isin(classes) & frame[PREDICTED].isin(classes)]


def _confusion_change(context: Context, device: str, means: dict[str, pd.DataFrame], drawn: list[str]) -> Exhibit:
    (small, before), (big, after) = means.items()
    change = before.assign(**{IMAGES: after[IMAGES] - before[IMAGES]})
    styles = context.styles[small], context.styles[big]
    merged = before.assign(after=after[IMAGES])
    merged = merged[merged[TRUE] != merged[PREDICTED]]
    wrong = [float(merged[column].sum()) for column in (IMAGES, "after")]
    merged = merged.assign(size=merged[[IMAGES, "after"]].max(axis=1)).nlargest(CHANGES, "size", keep="first")
    commonest = by_class_figures.confusion_changes(merged[[TRUE, PREDICTED, IMAGES, "after"]], styles)
    return Exhibit(
        finding=f"{styles[1].name} makes {units.count(wrong[1])} mistakes where {styles[0].name} makes "
        f"{units.count(wrong[0])}.",
        drawings=(
            _matrix(_among(change, drawn), styles, key=f"confusion-{device}-change", title="Difference", differ=True),
            draw(commonest, key=f"changes-{device}", title=f"The commonest mistakes of both models on {device}"),
        ),
        reading=f"Left: {styles[1].name} less {styles[0].name}, in the colour of the model that has more. "
        "Right: the commonest mistakes, true class first.",
    )


def _matrix(
    frame: pd.DataFrame, styles: tuple[ModelStyle, ModelStyle], *, key: str, title: str, differ: bool = False
) -> Drawing:
    drawn = by_class_figures.confusion_matrix(frame, styles, title=shorten(title), differ=differ)
    return draw(drawn, key=key, title=f"Confusion matrix: {title}")
