"""With --score balanced, everything on the page that is decided by the score names balanced accuracy."""

from synthetic import make_training

from fashionbench import units
from fashionbench.judging.verdict import decide
from fashionbench.records.record import TrainingRecord
from fashionbench.report.context import make_context
from fashionbench.report.front.notes import list_notes
from fashionbench.report.page import CHAPTERS, make_view
from fashionbench.report.render import render_html, render_markdown


def unlike() -> list[TrainingRecord]:
    return [
        make_training(model, seed=seed, accuracy=accuracy, images=1_000, is_unlike=True)
        for seed in range(3)
        for model, accuracy in (("fashioncnn", 0.91), ("resnet18", 0.93))
    ]


def test_headline_tiles_figures_tables_and_the_box_name_it() -> None:
    verdict = decide(unlike(), score="balanced")

    view = make_view(unlike(), verdict, chapters=[each for each in CHAPTERS if each.key in {"cost", "method"}])

    assert verdict is not None
    judged = verdict.devices[0]
    assert "balanced accuracy" in view.card.sentence
    value, description = view.card.tiles[0]
    assert value.startswith(units.bare(units.percent(judged.big_accuracy, 1))[:4])
    assert description.startswith("test balanced accuracy of ResNet18 and FashionCNN")
    assert "balanced accuracy, %" in view.summary[0].header
    assert view.advice[1].situation == "If only balanced accuracy counts"
    gain, accuracies = view.figures[0].drawings
    assert "gain in test balanced accuracy, pp" in gain.svg
    assert "test balanced accuracy, %" in accuracies.svg
    page = render_html(view)
    assert "Margin, percentage points of balanced accuracy" in page
    assert (
        "Gain in balanced accuracy: t interval over 3 seeds and 1,000 paired test images, stratified by class" in page
    )
    assert "test balanced accuracy" in render_markdown(view)


def test_a_note_offers_it_where_classes_are_unlike() -> None:
    plain, balanced = (
        list_notes(make_context(unlike(), decide(unlike(), score=score))) for score in ("accuracy", "balanced")
    )

    (note,) = [each for each in plain if each not in balanced]
    assert note.command == "fashionbench report reports --score balanced"
    assert note.text.startswith("Classes are unlike: T-shirt/top has ")
