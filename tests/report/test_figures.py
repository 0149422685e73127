"""Frames as figures, and figures as SVG text."""

import re
import xml.etree.ElementTree as ET

import pandas as pd
import pytest
from matplotlib.figure import Figure
from synthetic import make_study, make_training

from fashionbench.report import frames as tables
from fashionbench.report.figures import by_class, curves
from fashionbench.report.figures.style import HALF, WIDE, ModelStyle, make_styles, shorten
from fashionbench.report.figures.svg import to_svg, with_variables

STYLES = make_styles({"fashioncnn": "FashionCNN", "resnet18": "ResNet18"})
PAIR = STYLES["fashioncnn"], STYLES["resnet18"]
SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    """Return the text elements of an SVG."""
    return [each.text or "" for each in ET.fromstring(svg).iter(f"{SVG}text")]


def draw(figure: Figure) -> str:
    return to_svg(figure, key="key", title="A title")


def means(*rows: tuple[str, float, float]) -> pd.DataFrame:
    return pd.DataFrame(
        [(model, minutes, accuracy, accuracy - 0.004, accuracy + 0.004, "words") for model, minutes, accuracy in rows],
        columns=[tables.MODEL, tables.MINUTES, tables.ACCURACY, tables.LOW, tables.HIGH, tables.LABEL],
    )


def runs(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[[tables.MODEL, tables.MINUTES, tables.ACCURACY]].assign(**{tables.SEED: 0})


def test_the_same_figure_drawn_twice_is_the_same_bytes() -> None:
    scores = tables.class_scores(make_study(2))

    one, other = (draw(by_class.class_bars(scores, STYLES, {"f1": "F1"})) for _ in range(2))

    assert one == other


def test_an_svg_contains_no_date_no_creator_and_no_address_but_its_namespaces() -> None:
    svg = draw(
        curves.reliability(
            pd.DataFrame({"confidence": [0.5], "accuracy": [0.4], "low": [0.3], "high": [0.5], "images": [20]}),
            PAIR[0],
            title="x",
        )
    )

    assert set(re.findall(r"https?://[^\"]+", svg)) == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "matplotlib" not in svg.lower()
    assert "date" not in svg.lower()


def test_an_svg_keeps_text_as_text_and_has_a_title() -> None:
    frame = means(("fashioncnn", 4, 0.91), ("resnet18", 19, 0.92))

    svg = draw(curves.accuracy_minutes(runs(frame), frame, STYLES, margin=(0.91, 0.915, "margin")))

    assert {"FashionCNN", "ResNet18", "margin", "training minutes, log scale"} <= set(texts(svg))
    assert ET.fromstring(svg)[0].text == "A title"


def test_names_are_neither_markup_nor_mathematics() -> None:
    names = make_styles({"fashioncnn": "<b>$x_1$</b>", "resnet18": "a & b"})
    frame = means(("fashioncnn", 4, 0.91), ("resnet18", 19, 0.92))

    svg = draw(curves.accuracy_minutes(runs(frame), frame, names, margin=None))

    assert {"<b>$x_1$</b>", "a & b"} <= set(texts(svg))
    assert "&lt;b&gt;" in svg


def test_a_glyph_that_the_font_lacks_is_no_error() -> None:
    names = make_styles({"fashioncnn": "時装", "resnet18": "ResNet18"})
    frame = means(("fashioncnn", 4, 0.91), ("resnet18", 19, 0.92))

    svg = draw(curves.accuracy_minutes(runs(frame), frame, names, margin=None))

    assert "時装" in texts(svg)


def test_ids_of_two_figures_of_one_page_differ() -> None:
    frame = means(("fashioncnn", 4, 0.91))

    one, other = (
        set(
            re.findall(
                r'id="([^"]+)"',
                to_svg(curves.accuracy_minutes(runs(frame), frame, STYLES, margin=None), key=key, title=""),
            )
        )
        for key in ("one", "other")
    )

    assert one
    assert not one & other


def test_models_too_close_for_names_at_their_markers_get_a_legend() -> None:
    frame = means(("fashioncnn", 4, 0.91), ("resnet18", 4.1, 0.911))

    svg = draw(curves.accuracy_minutes(runs(frame), frame, STYLES, margin=None))

    assert texts(svg).count("ResNet18") == 1
    assert "words" not in texts(svg)


def test_many_models_make_room_for_their_legend() -> None:
    names = {f"model-{number}": f"Model {number}" for number in range(12)}
    frame = means(*((model, 1.5**place, 0.9) for place, model in enumerate(names)))

    figure = curves.accuracy_minutes(runs(frame), frame, make_styles(names), margin=None)

    assert figure.get_figheight() * 72 == 270 + 3 * 21
    assert set(names.values()) <= set(texts(draw(figure)))


def test_each_of_twelve_models_has_its_own_pair_of_colour_and_marker() -> None:
    found = make_styles({f"model-{number}": "" for number in range(12)})

    assert len({(style.colour, style.marker) for style in found.values()}) == 12


def test_the_study_models_have_the_same_style_next_to_any_others() -> None:
    found = make_styles({"mine": "Mine", "resnet18": "ResNet18"})

    assert found["resnet18"] == STYLES["resnet18"]
    assert found["mine"].number not in {0, 1}


def test_colours_become_variables_in_tags_and_never_in_text() -> None:
    themed = with_variables('<text style="fill: #1c1f23">#1c1f23</text>')

    assert themed == '<text style="fill: var(--ink)">#1c1f23</text>'
    assert with_variables("#0b6e99") == "var(--model0)"


def test_an_svg_of_the_page_contains_only_colours_that_the_page_sets() -> None:
    scores = tables.class_scores(make_study(2))

    themed = with_variables(draw(by_class.class_bars(scores, STYLES, {"precision": "Precision"})))

    assert not re.findall(r"#[0-9a-f]{6}\b", themed)


def test_a_truncated_axis_is_labelled_so() -> None:
    scores = tables.class_scores(make_study(1))

    svg = draw(by_class.class_bars(scores, STYLES, {"recall": "Recall"}))

    assert {"score, %", "(truncated axis)"} <= set(texts(svg))


def test_an_axis_from_zero_is_not_labelled_as_truncated() -> None:
    scores = tables.class_scores([make_training(accuracy=0.1, images=500)])

    svg = draw(by_class.class_bars(scores, STYLES, {"recall": "Recall"}))

    assert "score, %" in texts(svg)
    assert "(truncated axis)" not in texts(svg)


@pytest.mark.parametrize("over", [tables.MINUTES, tables.EPOCH])
def test_validation_curves_name_their_axis_and_models(over: str) -> None:
    epochs = tables.epochs(make_study(2))

    svg = draw(curves.validation_curve(epochs, STYLES, over=over))

    assert {"FashionCNN", "ResNet18", "validation accuracy, %", "(truncated axis)"} <= set(texts(svg))


@pytest.mark.parametrize(("limits", "tick"), [((0.1, 3.0), "0.5"), ((0.001, 3.0), "0.01")])
def test_the_loss_axis_has_more_ticks_over_a_narrow_range(limits: tuple[float, float], tick: str) -> None:
    losses = tables.step_losses([make_training()])

    svg = draw(curves.training_loss(losses, STYLES["fashioncnn"], limits=limits))

    assert tick in texts(svg)


def test_only_a_significant_difference_has_the_better_models_colour() -> None:
    rows = [("Shirt", "f1", 0.02, 0.01, 0.03, True), ("Bag", "f1", -0.02, -0.05, 0.01, False)]
    columns = [tables.CLASS, tables.METRIC, tables.SCORE, tables.LOW, tables.HIGH, tables.SIGNIFICANT]

    svg = draw(by_class.class_differences(pd.DataFrame(rows, columns=columns), {"f1": "F1"}, pair=PAIR))

    assert PAIR[1].colour in svg
    assert PAIR[0].colour not in svg
    assert "F1, pp" in texts(svg)
    assert any(text.startswith("\N{MINUS SIGN}") for text in texts(svg))


def confusion(*counts: float) -> pd.DataFrame:
    return pd.DataFrame(
        {tables.TRUE: ["a", "a", "b", "b"], tables.PREDICTED: ["a", "b", "a", "b"], tables.IMAGES: counts}
    )


def test_a_confusion_matrix_shades_mistakes_only() -> None:
    svg = draw(by_class.confusion_matrix(confusion(9, 1, 0, 8), (PAIR[0], PAIR[0]), title="t", differ=False))

    assert svg.count(f"fill: {PAIR[0].colour}") == 1
    assert {"9", "1", "8"} <= set(texts(svg))
    assert "0" not in texts(svg)


def test_a_difference_of_confusions_shows_sign_and_side_and_leaves_the_diagonal_blank() -> None:
    svg = draw(by_class.confusion_matrix(confusion(7, -3, 3, -7), PAIR, title="t", differ=True))

    assert {"\N{MINUS SIGN}3", "+3"} <= set(texts(svg))
    assert not {"+7", "\N{MINUS SIGN}7"} & set(texts(svg))
    assert svg.count(f"fill: {PAIR[0].colour}") == svg.count(f"fill: {PAIR[1].colour}") == 1


def test_a_large_confusion_matrix_is_shaded_without_numbers() -> None:
    names = [f"c{number}" for number in range(13)]
    frame = pd.DataFrame(
        [(true, predicted, 7) for true in names for predicted in names],
        columns=[tables.TRUE, tables.PREDICTED, tables.IMAGES],
    )

    svg = draw(by_class.confusion_matrix(frame, PAIR, title="t", differ=False))

    assert "7" not in texts(svg)


def test_the_most_common_mistakes_are_labelled_true_class_first() -> None:
    mistakes = pd.DataFrame([("Shirt", "Coat", 50.0, 40.0)], columns=["true", "predicted", "small", "big"])

    svg = draw(by_class.confusion_changes(mistakes, PAIR))

    assert "Shirt as Coat" in texts(svg)


@pytest.mark.parametrize(
    ("name", "short"),
    [
        *(("a" * 26, "a" * 26), ("a" * 27, "a" * 25 + "…"), ("b" * 80, "b" * 25 + "…"), ("", "")),
        *(("服" * 13, "服" * 13), ("服" * 14, "服" * 12 + "…"), ("🐱 " + "a" * 24, "🐱 " + "a" * 22 + "…")),
    ],
)
def test_names_are_truncated_by_their_width_for_figures(name: str, short: str) -> None:
    assert shorten(name) == short


def test_a_figure_is_as_wide_as_the_column_or_half_of_it() -> None:
    frame = means(("fashioncnn", 4, 0.91))
    style: ModelStyle = STYLES["fashioncnn"]

    wide = curves.accuracy_minutes(runs(frame), frame, STYLES, margin=None)
    half = curves.training_loss(tables.step_losses([make_training()]), style, limits=(0.1, 3))

    assert (wide.get_figwidth() * 72, half.get_figwidth() * 72) == (WIDE, HALF)
