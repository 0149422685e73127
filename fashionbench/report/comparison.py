"""The page that compares two runs."""

from collections.abc import Sequence

from fashionbench import units
from fashionbench.catalogue import model_label
from fashionbench.judging.comparison import Comparison, gain_text, ratio_text
from fashionbench.report.context import number_cell, text_cell
from fashionbench.report.view import Note, Section, Table, VerdictCard, View

__all__ = ["compare_view"]


def compare_view(comparison: Comparison, broken: Sequence[str]) -> View:
    """Return the content of the page about a comparison; ``broken`` has a sentence for each condition that is met."""
    tables = [_changes_table(comparison)]
    differences = _settings_table(comparison)
    if differences is not None:
        tables.append(differences)
    return View(
        title="What changed?",
        run_description=("FashionBench", "comparison of two runs"),
        banner="",
        card=VerdictCard(
            state=comparison.new_state,
            tone="no" if broken else "yes",
            sentence=f"The verdict is {comparison.new_state}, as before."
            if comparison.old_state == comparison.new_state
            else f"The verdict was {comparison.old_state} and is now {comparison.new_state}.",
        ),
        advice=(),
        bullets=tuple(broken),
        bullets_title="Conditions of --fail-if that are met",
        notes=tuple(Note(text=f"Only one of the runs has {each}.") for each in comparison.missing),
        summary=tuple(tables),
        sections=(Section(key="changes", title="Changes", blocks=tuple(tables)),),
        explorer=None,
    )


def _changes_table(comparison: Comparison) -> Table:
    return Table(
        caption="Training time and accuracy",
        header=("model", "device", "minutes", "time, × (95 % CI)", "accuracy, %", "change, pp (95 % CI)", "seeds"),
        rows=tuple(
            (
                text_cell(model_label(each.model)),
                text_cell(each.device),
                number_cell(" → ".join(_minutes(value) for value in (each.old_minutes, each.new_minutes))),
                number_cell(ratio_text(each.time)),
                number_cell(" → ".join(_percent(value) for value in (each.old_accuracy, each.new_accuracy))),
                number_cell(gain_text(each.accuracy) if each.accuracy else units.MISSING),
                number_cell(units.count(len(each.seeds))),
            )
            for each in comparison.changes
        ),
        note="Over the seeds that both runs have. Time is the new training time over the old one. Accuracy is compared "
        f"only if recipe and data are the same; {units.MISSING}: they differ.",
    )


def _settings_table(comparison: Comparison) -> Table | None:
    """Return a table of what differs besides the code; None if nothing does."""
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
        note="These differences, and not the code, may be the cause of a change.",
    )


def _minutes(value: float) -> str:
    return units.bare(units.minutes(value, units.minutes_digits(value)))


def _percent(value: float) -> str:
    return units.bare(units.percent(value, 2))
