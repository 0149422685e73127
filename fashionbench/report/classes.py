"""The chapters that look inside the accuracy: scores by class, and which class is taken for which."""

import pandas as pd

from fashionbench.report import plots, units
from fashionbench.report.claims import differences_on
from fashionbench.report.look import Look, shorten
from fashionbench.report.material import Material, bare, cell, draw, per_device, words
from fashionbench.report.tables import (
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


def by_class(material: Material) -> tuple[Block, ...]:
    """Show precision, recall and F1 by class: the study's three grouped bar plots, their table, the differences."""
    return per_device(material, _by_class_on)


def _by_class_on(material: Material, device: str) -> tuple[Shown, ...]:
    pair = material.pair_on(device)
    trainings = [each for each in material.on(device) if each.model in pair]
    scores = class_scores(trainings)
    seeds = len({each.seed for each in trainings})
    means = scores.pivot_table(SCORE, [METRIC, CLASS], MODEL, sort=False)[pair]
    f1 = pd.DataFrame(means.xs("f1", level=METRIC))
    drawn = _drawn((f1[pair[-1]] - f1[pair[0]]).abs() if len(pair) > 1 else 1 - f1[pair[0]])
    bars = tuple(
        Exhibit(
            finding=_lead(material, pd.DataFrame(means.xs(metric, level=METRIC)), pair, metric),
            drawings=(
                draw(
                    plots.class_bars(
                        scores[scores[CLASS].isin(drawn)], material.looks, metric=metric, title=_word(metric)
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
    return (*bars, _class_table(material, means, pair), *_differences(material, device))


_BAR_READING = {
    "precision": "Of the images that a model puts into a class, the share that belongs there.",
    "recall": "Of the images of a class, the share that a model finds.",
    "f1": "The harmonic mean of precision and recall.",
}


def _word(metric: str) -> str:
    return "F1" if metric == "f1" else metric


def _lead(material: Material, means: pd.DataFrame, pair: list[str], metric: str) -> str:
    """Say in how many classes the second model of a pair is ahead, and where most."""
    if len(pair) == 1:
        only = means[pair[0]]
        return (
            f"{TITLES[metric]} runs from {units.percent(only.min())} ({only.idxmin()}) to {units.percent(only.max())} "
            f"({only.idxmax()})."
        )
    gains = means[pair[1]] - means[pair[0]]
    name = material.looks[pair[1]].name
    return (
        f"{name} is ahead in {_word(metric)} in {int((gains > 0).sum())} of {len(gains)} classes: "
        f"{units.pp(gains.max())} at best ({gains.idxmax()}), {units.pp(gains.min())} at worst ({gains.idxmin()})."
    )


def _class_table(material: Material, means: pd.DataFrame, pair: list[str]) -> Table:
    classes = list(dict.fromkeys(means.index.get_level_values(CLASS)))
    return Table(
        caption="Scores by class, %",
        groups=(("", 1), *((TITLES[metric], len(pair)) for metric in METRICS)),
        head=("class", *(shorten(material.looks[model].name, 14) for _ in METRICS for model in pair)),
        rows=tuple(
            (
                words(name),
                *(
                    cell(bare(units.percent(float(means.loc[(metric, name), model]))))
                    for metric in METRICS
                    for model in pair
                ),
            )
            for name in classes
        ),
    )


def _differences(material: Material, device: str) -> tuple[Shown, ...]:
    judged, verdict = material.judged(device), material.verdict
    if judged is None or verdict is None:
        return ()
    names = material.on(device)[0].data.classes
    frame = pd.DataFrame(
        [
            (names[each.place], each.metric, each.estimate, each.low, each.high, each.adjusted_p < SURE_BELOW)
            for each in differences_on(material.records, verdict, judged)
        ],
        columns=[CLASS, METRIC, SCORE, LOW, HIGH, SURE],
    )
    order = frame[frame[METRIC] == "f1"].sort_values(SCORE, ascending=False)[CLASS]
    frame = frame.set_index(CLASS).loc[list(order)].reset_index()
    small, big = material.looks[verdict.small], material.looks[verdict.big]
    sure = frame[frame[SURE]]
    listed = ", ".join(f"{TITLES[metric]} of {name}" for name, metric in sure[[CLASS, METRIC]].head(4).to_numpy())
    finding = (
        f"{len(sure)} of {len(frame)} differences are sure: {listed}{' and others' if len(sure) > 4 else ''}."  # noqa: PLR2004 - as many as are listed
        if len(sure)
        else f"None of the {len(frame)} differences between classes is sure once adjusted for their number."
    )
    drawn = _drawn(frame[frame[METRIC] == "f1"].set_index(CLASS)[SCORE].abs())
    drawing = draw(
        plots.class_differences(frame[frame[CLASS].isin(drawn)], TITLES, pair=(small, big)),
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


def confusion(material: Material) -> tuple[Block, ...]:
    """Show which class is taken for which, by both models and as their difference."""
    return per_device(material, _confusion_on)


def _confusion_on(material: Material, device: str) -> tuple[Shown, ...]:
    pair = material.pair_on(device)
    means = {}
    for model in pair:
        frame = confusions([each for each in material.on(device) if each.model == model])
        means[model] = frame.groupby([TRUE, PREDICTED], sort=False)[IMAGES].mean().reset_index()
    looks = [material.looks[model] for model in pair]
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
    told = " and ".join(f"{units.count(count)} with {look.name}" for count, look in zip(counts, looks, strict=True))
    matrices = tuple(
        _matrix(_among(means[look_model], drawn), (look, look), key=f"confusion-{device}-{look_model}", title=look.name)
        for look_model, look in zip(pair, looks, strict=True)
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
        blocks.append(_confusion_change(material, device, means, drawn))
    return tuple(blocks)


def _among(frame: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    return frame[frame[TRUE].isin(classes) & frame[PREDICTED].isin(classes)]


def _confusion_change(material: Material, device: str, means: dict[str, pd.DataFrame], drawn: list[str]) -> Exhibit:
    (small, before), (big, after) = means.items()
    change = before.assign(**{IMAGES: after[IMAGES] - before[IMAGES]})
    looks = material.looks[small], material.looks[big]
    merged = before.assign(after=after[IMAGES])
    merged = merged[merged[TRUE] != merged[PREDICTED]]
    wrong = [float(merged[column].sum()) for column in (IMAGES, "after")]
    merged = merged.assign(size=merged[[IMAGES, "after"]].max(axis=1)).nlargest(CHANGES, "size", keep="first")
    commonest = plots.confusion_changes(merged[[TRUE, PREDICTED, IMAGES, "after"]], looks)
    return Exhibit(
        finding=f"{looks[1].name} makes {units.count(wrong[1])} mistakes where {looks[0].name} makes "
        f"{units.count(wrong[0])}.",
        drawings=(
            _matrix(_among(change, drawn), looks, key=f"confusion-{device}-change", title="Difference", differ=True),
            draw(commonest, key=f"changes-{device}", title=f"The commonest mistakes of both models on {device}"),
        ),
        reading=f"Left: {looks[1].name} less {looks[0].name}, in the colour of the model that has more. "
        "Right: the commonest mistakes, true class first.",
    )


def _matrix(frame: pd.DataFrame, looks: tuple[Look, Look], *, key: str, title: str, differ: bool = False) -> Drawing:
    drawn = plots.confusion_matrix(frame, looks, title=shorten(title), differ=differ)
    return draw(drawn, key=key, title=f"Confusion matrix: {title}")
