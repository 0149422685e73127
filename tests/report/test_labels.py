"""No label of a figure touches a mark, an axis or another label, whatever the numbers and names."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from synthetic import make_study

from fashionbench.report import frames
from fashionbench.report.figures import by_class, curves, gains
from fashionbench.report.figures.style import ModelStyle, make_styles, page_style

STYLES = make_styles({"fashioncnn": "FashionCNN", "resnet18": "ResNet18"})
LONG = make_styles({"fashioncnn": "a_small_model_with_a_long_name_v2", "resnet18": "a_big_model_with_a_long_name_v2"})
PAIR = STYLES["fashioncnn"], STYLES["resnet18"]
TITLES = {"precision": "Precision", "recall": "Recall", "f1": "F1"}


def _shown_texts(figure: Figure) -> Iterator[Text]:
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low - 1e-9 <= tick.get_loc() <= high + 1e-9:
                    hidden |= {tick.label1, tick.label2}
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if text not in hidden and text.get_visible() and text.get_text().strip():
            yield text


def find_collisions(figure: Figure) -> list[str]:
    """Return what touches what; boxes and paths are those that Agg draws."""
    with page_style():
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()
        texts = list(_shown_texts(figure))
        boxes = {text: text.get_window_extent().padded(-1) for text in texts}
    found = [
        f"{one.get_text()!r} and {other.get_text()!r}"
        for one, other in combinations(texts, 2)
        if boxes[one].overlaps(boxes[other])
    ]
    for name, path in _marks(figure):
        found.extend(
            f"{text.get_text()!r} and {name}" for text in texts if path.intersects_bbox(boxes[text], filled=False)
        )
    whole = figure.bbox.padded(1)
    found.extend(
        f"{text.get_text()!r} leaves the figure"
        for text in texts
        if not (whole.containsx(boxes[text].x0) and whole.containsx(boxes[text].x1))
        or not (whole.containsy(boxes[text].y0) and whole.containsy(boxes[text].y1))
    )
    return found


def _marks(figure: Figure) -> Iterator[tuple[str, Path]]:
    """Yield the lines, markers and axes of a figure as paths in pixels."""
    for axes in figure.axes:
        for line in axes.lines:
            points = line.get_transform().transform(np.column_stack(line.get_data()).astype(float))
            if len(points) and np.isfinite(points).all():
                yield "a line", Path(points)
                size = 0 if line.get_marker() in {"None", "none", ""} else line.get_markersize() * figure.dpi / 144
                for x, y in points if size else ():
                    yield (
                        "a marker",
                        Path(Bbox([[x - size, y - size], [x + size, y + size]]).corners()[[0, 1, 3, 2, 0]]),
                    )
        for spine in axes.spines.values():
            if spine.get_visible():
                yield "an axis", spine.get_transform().transform_path(spine.get_path())


def accuracies(*rows: tuple[str, float, float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    means = pd.DataFrame(
        [
            (model, minutes, accuracy, accuracy - 0.004, accuracy + 0.004, "91.7 % in 122 s")
            for model, minutes, accuracy in rows
        ],
        columns=[frames.MODEL, frames.MINUTES, frames.ACCURACY, frames.LOW, frames.HIGH, frames.LABEL],
    )
    runs = pd.DataFrame(
        [
            (model, minutes * factor, accuracy + shift, seed)
            for seed, (shift, factor) in enumerate(((0.006, 1.02), (-0.001, 0.97), (0.0, 1.0)))
            for model, minutes, accuracy in rows
        ],
        columns=[frames.MODEL, frames.MINUTES, frames.ACCURACY, frames.SEED],
    )
    return runs, means


@pytest.mark.parametrize("is_wide", [True, False], ids=["wide", "half"])
@pytest.mark.parametrize("styles", [STYLES, LONG], ids=["short names", "long names"])
@pytest.mark.parametrize(
    "rows",
    [
        (("fashioncnn", 2.03, 0.917), ("resnet18", 13.3, 0.916)),
        (("fashioncnn", 2.0, 0.91), ("resnet18", 2.2, 0.93)),
        (("fashioncnn", 0.1, 0.91), ("resnet18", 900.0, 0.93)),
        (("fashioncnn", 4.0, 0.91),),
    ],
    ids=["reference", "alike", "far", "one"],
)
def test_labels_of_accuracy_against_time(
    rows: Sequence[tuple[str, float, float]], styles: dict[str, ModelStyle], *, is_wide: bool
) -> None:
    runs, means = accuracies(*rows)
    margin = (0.917, 0.922, "margin\n0.5 pp") if is_wide else None

    figure = curves.accuracy_minutes(runs, means, styles, margin=margin, is_wide=is_wide)

    assert find_collisions(figure) == []


@pytest.mark.parametrize("styles", [STYLES, LONG], ids=["short names", "long names"])
@pytest.mark.parametrize("margin", [0.0005, 0.005, 0.1])
@pytest.mark.parametrize(
    "rows",
    [
        (("cpu", -0.001, -0.0039, 0.0019),),
        (("cpu", 0.02, 0.011, 0.029), ("cuda (NVIDIA H100)", 0.012, 0.003, 0.021)),
        tuple(
            (f"device {number}", 0.001 * number, 0.001 * number - 0.01, 0.001 * number + 0.01) for number in range(5)
        ),
    ],
    ids=["one", "two", "five"],
)
def test_labels_of_the_gains(
    rows: Sequence[tuple[str, float, float, float]], margin: float, styles: dict[str, ModelStyle]
) -> None:
    frame = pd.DataFrame(rows, columns=[frames.DEVICE, frames.SCORE, frames.LOW, frames.HIGH])

    figure = gains.gain_intervals(frame, margin=margin, pair=(styles["fashioncnn"], styles["resnet18"]))

    assert find_collisions(figure) == []


@pytest.mark.parametrize("styles", [STYLES, LONG], ids=["short names", "long names"])
def test_labels_of_the_scores_by_class(styles: dict[str, ModelStyle]) -> None:
    scores = frames.class_scores(make_study(2))

    figure = by_class.class_bars(scores, styles, TITLES)

    assert find_collisions(figure) == []


@pytest.mark.parametrize("styles", [STYLES, LONG], ids=["short names", "long names"])
def test_labels_of_the_differences_by_class(styles: dict[str, ModelStyle]) -> None:
    names = ["T-shirt/top", "a class with a very long name", *(f"class {number}" for number in range(10))]
    frame = pd.DataFrame(
        [
            (name, metric, 0.01 * place, 0.01 * place - 0.02, 0.01 * place + 0.02, place > 2)
            for metric in TITLES
            for place, name in enumerate(names)
        ],
        columns=[frames.CLASS, frames.METRIC, frames.SCORE, frames.LOW, frames.HIGH, frames.SIGNIFICANT],
    )

    figure = by_class.class_differences(frame, TITLES, pair=(styles["fashioncnn"], styles["resnet18"]))

    assert find_collisions(figure) == []


OWN_NAMES = ("жили и дюжили жили", "Überraschungseier mit Schleife", "very_long_name_without_any_space")


@pytest.mark.parametrize("number", [10, 12])
@pytest.mark.parametrize("own", [(), OWN_NAMES], ids=["short names", "long names"])
@pytest.mark.parametrize("differ", [False, True], ids=["counts", "differences"])
def test_labels_of_confusion_matrices(own: tuple[str, ...], number: int, *, differ: bool) -> None:
    names = [*own, "T-shirt/top", "Ankle boot", *(f"class {each}" for each in range(8))][:number]
    frame = pd.DataFrame(
        [(true, predicted, 1000 if true == predicted else 107) for true in names for predicted in names],
        columns=[frames.TRUE, frames.PREDICTED, frames.IMAGES],
    )

    figure = by_class.confusion_matrix(frame, PAIR, title="a_small_model_with_…", differ=differ)

    assert find_collisions(figure) == []


@pytest.mark.parametrize("name", ["T-shirt/top", OWN_NAMES[0]], ids=["short names", "long names"])
def test_labels_of_the_most_common_mistakes(name: str) -> None:
    frame = pd.DataFrame(
        [(f"Pullover {place}", name, 100.0 - place, 90.0 + place) for place in range(10)],
        columns=["true", "predicted", "small", "big"],
    )

    assert find_collisions(by_class.confusion_changes(frame, PAIR)) == []


@pytest.mark.parametrize("number", [5, 10])
def test_labels_of_calibration(number: int) -> None:
    middles = (np.arange(10) + 0.5) / 10
    frame = pd.DataFrame(
        {
            frames.CONFIDENCE: (middles + np.tile([0.049, -0.049], 5))[-number:],
            frames.ACCURACY: middles[-number:],
            frames.LOW: middles[-number:] - 0.04,
            frames.HIGH: np.minimum(1, middles[-number:] + 0.04),
            frames.IMAGES: [12345] * number,
        }
    )

    for style in (PAIR[0], LONG["resnet18"]):
        assert find_collisions(curves.reliability(frame, style, title=style.name)) == []


@pytest.mark.parametrize("over", [frames.MINUTES, frames.EPOCH])
@pytest.mark.parametrize("styles", [STYLES, LONG], ids=["short names", "long names"])
def test_labels_of_learning_curves(over: str, styles: dict[str, ModelStyle]) -> None:
    records = make_study(2)

    validation = curves.validation_curve(frames.epochs(records), styles, over=over)
    loss = curves.training_loss(frames.step_losses(records[:1]), styles["fashioncnn"], limits=(0.1, 3.0))

    assert find_collisions(validation) == []
    assert find_collisions(loss) == []
