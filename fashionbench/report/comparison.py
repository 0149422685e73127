"""The page that compares two runs, and its tables on a terminal."""

from collections.abc import Sequence
from operator import sub, truediv

from rich.console import Console
from rich.table import Table as TerminalTable
from rich.text import Text

from fashionbench import units
from fashionbench.catalogue import model_label
from fashionbench.errors import visible
from fashionbench.judging.comparison import NOTHING, Change, Comparison, gain_text, ratio_text
from fashionbench.report.context import number_cell, text_cell
from fashionbench.report.front.card import NOT_APPLICABLE, STATE_TONES
from fashionbench.report.view import Cell, Note, Section, Table, VerdictCard, View

__all__ = ["compare_view", "print_tables"]


def compare_view(comparison: Comparison, broken: Sequence[str]) -> View:
    """Return the content of the page about a comparison; ``broken`` has a sentence for each failed condition."""
    tables = [_time_table(comparison), _accuracy_table(comparison)] if comparison.changes else []
    differences = _settings_table(comparison)
    if differences is not None:
        tables.append(differences)
    return View(
        title="What changed?",
        run_description=("FashionBench", "comparison of two runs"),
        banner=f"{units.count(len(broken))} failed condition{'s' * (len(broken) > 1)}" if broken else "",
        card=VerdictCard(
            state=comparison.state,
            tone=STATE_TONES.get(comparison.state, "unsure"),
            sentence=_describe_verdicts(comparison),
        ),
        advice=(),
        bullets=tuple(broken),
        bullets_title="Failed conditions",
        notes=tuple(Note(text=each) for each in (*comparison.missing, *comparison.left_out)),
        summary=tuple(tables),
        sections=(Section(key="changes", title="Changes", blocks=tuple(tables)),),
        explorer=None,
    )


def _describe_verdicts(comparison: Comparison) -> str:
    if not comparison.changes:
        return f"{NOTHING}."
    if comparison.old_state == comparison.new_state:
        return f"The verdict is {comparison.new_state}, as before."
    return f"The verdict was {comparison.old_state} and is now {comparison.new_state}."


def _time_table(comparison: Comparison) -> Table:
    """Return the minutes of both runs, with the digits from which the ratio follows, and the ratio."""
    pairs = [(each.new_minutes, each.old_minutes) for each in comparison.changes]
    digits = max(
        units.digits_to_follow(pair, truediv, lambda ratio: units.ratio(ratio, 2), units.decimals(*pair))
        for pair in pairs
    )
    return Table(
        caption="Training time",
        header=("model", "device", "seeds", "before, min", "now, min", "now / before, × (95 % CI)"),
        rows=tuple(
            (
                *_case_cells(each),
                number_cell(units.fixed(each.old_minutes, digits)),
                number_cell(units.fixed(each.new_minutes, digits)),
                number_cell(ratio_text(each.time)),
            )
            for each in comparison.changes
        ),
        note="Geometric means over the seeds that both runs have.",
    )


def _accuracy_table(comparison: Comparison) -> Table:
    """Return the accuracies of both runs, with the digits from which the difference follows, and the difference."""
    pairs = [(100 * each.new_accuracy, 100 * each.old_accuracy) for each in comparison.changes]
    digits = max(units.digits_to_follow(pair, sub, lambda gain: units.signed(gain, 2), 2) for pair in pairs)
    return Table(
        caption=f"Test {comparison.score_name}",
        header=("model", "device", "seeds", "before, %", "now, %", "now − before, pp (95 % CI)"),
        rows=tuple(
            (
                *_case_cells(each),
                number_cell(units.fixed(100 * each.old_accuracy, digits)),
                number_cell(units.fixed(100 * each.new_accuracy, digits)),
                number_cell(gain_text(each.accuracy) if each.accuracy else NOT_APPLICABLE),
            )
            for each in comparison.changes
        ),
        note="Means over the seeds that both runs have."
        + (
            f" {NOT_APPLICABLE}: the recipes or the data differ, so the accuracies are not compared."
            if any(each.accuracy is None for each in comparison.changes)
            else ""
        ),
    )


def print_tables(view: View, console: Console) -> None:
    """Print the tables of a comparison to a terminal."""
    for each in view.summary:
        table = TerminalTable(title=_plain(each.caption), title_justify="left", box=None)
        if each.note:
            table.caption, table.caption_justify = _plain(each.note), "left"
        for column, head in enumerate(each.header):
            is_text = bool(each.rows) and each.rows[0][column].is_text
            table.add_column(_plain(head), justify="left" if is_text else "right", no_wrap=column == 0)
        for row in each.rows:
            table.add_row(*(_plain(cell.text) for cell in row))
        console.print(table)


def _plain(text: str) -> Text:
    """Return a text that is no markup, with escapes for what a terminal would obey."""
    return Text(visible(text))


def _case_cells(change: Change) -> tuple[Cell, ...]:
    return (
        text_cell(model_label(change.model)),
        text_cell(change.device),
        number_cell(units.count(len(change.seeds))),
    )


def _settings_table(comparison: Comparison) -> Table | None:
    """Return a table of what differs besides the results; None if nothing does."""
    rows = [(each, *difference) for each in comparison.changes for difference in each.unlike]
    if not rows:
        return None
    return Table(
        caption="Differences between the runs",
        header=("model", "device", "setting", "before", "now"),
        rows=tuple(
            tuple(text_cell(text) for text in (model_label(each.model), each.device, *difference))
            for each, *difference in rows
        ),
        note="Any of these differences may be the cause of a change.",
    )
