"""The report of a run with budgets: the sentence, the figure, the table; and nothing of it without budgets."""

from pathlib import Path

import pytest
from synthetic import make_budgets, make_study

from fashionbench.judging.verdict import decide
from fashionbench.report.page import CHAPTERS, make_view, write_report
from fashionbench.report.render import render_html, render_markdown
from fashionbench.report.view import CaptionedFigure, DeviceSubsection, Section, Table, View

RISING = {0.1: None, 1.0: -0.02, 4.0: 0.012, 8.0: 0.02}
BUDGETS = [chapter for chapter in CHAPTERS if chapter.key == "budgets"]


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.fixture(scope="module")
def view() -> View:
    records = make_budgets(RISING)
    return make_view(records, decide(records))


def test_the_first_sentence_says_what_to_take_with_which_budget(view: View) -> None:
    assert plain(view.card.sentence).startswith("With 0.1 min, take FashionCNN; from about 2.")
    assert plain(view.card.remark) == "with the largest budget, 8 min"
    assert "budget from which on ResNet18 is worth it" in view.card.tiles[2][1]
    assert "recipe swift with 0.1, 1, 4 and 8 min" in plain(view.run_description[2])
    assert plain(view.bullets[-1]) == "A budget of over 8 min might: it was not tested."
    assert plain(view.card.sentence) in plain(render_html(view))
    assert view.card.sentence in render_markdown(view)


def test_the_chapter_has_one_figure_and_one_table(view: View) -> None:
    figure, table = chapter_of(view).blocks

    assert isinstance(figure, CaptionedFigure)
    assert isinstance(table, Table)
    assert figure.caption == view.card.sentence
    assert "log scale" in figure.drawings[0].svg
    assert "FashionCNN, 1 min: 9" in figure.drawings[0].svg
    assert [row[0].text for row in table.rows] == ["0.1", "1", "4", "8"]
    assert [row[-2].text for row in table.rows] == ["–", "Not worth it", "Worth it", "Worth it"]
    assert [row[4].text for row in table.rows] == ["–", "2", "9", "19"]
    assert "ResNet18, 0.1 min: an epoch takes about 25 s" in plain(table.note)
    assert table in view.summary


def chapter_of(view: View) -> Section:
    (found,) = [each for each in view.sections if each.key == "budgets"]
    return found


def test_the_other_chapters_are_about_the_largest_budget(view: View) -> None:
    (summary,) = [each for each in view.summary if each.caption.startswith("Results on cpu")]

    assert len(summary.rows) == 2
    assert summary.rows[0][1].text == "8.0"
    assert view.explorer is not None
    assert view.explorer.data["devices"][0]["slowdown"] == [2, 2, 2]  # type: ignore[index]  # as the script reads it


@pytest.mark.parametrize("gains", [{1.0: -0.02, 8.0: -0.01}, {1.0: -0.02, 8.0: 0.004}, {0.5: 0.02, 8.0: 0.02}])
def test_a_crossover_beyond_the_budgets_is_drawn_too(gains: dict[float, float | None]) -> None:
    records = make_budgets(gains, 1)

    shown = make_view(records, decide(records), chapters=BUDGETS)

    figure, table = chapter_of(shown).blocks
    assert isinstance(figure, CaptionedFigure)
    assert isinstance(table, Table)
    assert "do not include the variation over seeds" in table.note


def test_curves_that_end_together_have_a_legend_and_many_budgets_round_ticks() -> None:
    records = make_budgets({minutes / 2: 0.0 for minutes in range(1, 12)}, 1)

    (figure, _) = chapter_of(make_view(records, decide(records), chapters=BUDGETS)).blocks

    assert isinstance(figure, CaptionedFigure)
    assert figure.drawings[0].svg.count(">FashionCNN<") == 1


def test_each_device_has_its_own_part() -> None:
    records = make_budgets({1.0: -0.02, 8.0: 0.02}, 2, devices=("cpu", "cuda"))

    shown = make_view(records, decide(records), chapters=BUDGETS)

    parts = chapter_of(shown).blocks
    assert [each.device for each in parts if isinstance(each, DeviceSubsection)] == ["cpu", "cuda"]
    assert [each.caption for each in shown.summary][:2] == [
        "Accuracy against training budget on cpu",
        "Accuracy against training budget on cuda",
    ]


def test_one_budget_has_a_table_and_no_figure() -> None:
    records = make_budgets({4.0: 0.02}, 2)

    (table,) = chapter_of(make_view(records, decide(records), chapters=BUDGETS)).blocks

    assert isinstance(table, Table)


def test_a_report_without_budgets_has_no_such_chapter() -> None:
    records = make_study(1)

    shown = make_view(records, decide(records))
    alone = make_view(records[:1], None)

    assert "budgets" not in [each.key for each in (*shown.sections, *alone.sections)]


def test_the_records_of_all_budgets_are_attached_to_the_pdf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    attached: list[object] = []

    def keep(_: object, records: list[object]) -> bytes:
        attached.extend(records)
        return b"%PDF"

    records = make_budgets({1.0: 0.0, 2.0: 0.0}, 1)
    monkeypatch.setattr("fashionbench.report.page.render_pdf", keep)

    write_report(records, tmp_path, formats=("pdf",))

    assert len(attached) == 4
