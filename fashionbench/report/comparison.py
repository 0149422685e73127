"""The page of a comparison of two runs."""

from collections.abc import Sequence

from fashionbench import units
from fashionbench.catalogue import model_label
from fashionbench.judging.comparison import Comparison, gain_text, ratio_text
from fashionbench.report.view import Card, Cell, Note, Section, Table, Tone, View

__all__ = ["compare_view"]


def compare_view(comparison: Comparison, broken: Sequence[str]) -> View:
    """Return a comparison as a page."""
    same = comparison.old_state == comparison.new_state
    tone: Tone = "no" if broken else "yes"
    changes = comparison.changes
    unlike = [(each, *fact) for each in changes for fact in each.unlike]
    tables = [
        Table(
            caption="Training time and accuracy",
            head=("model", "device", "minutes", "time, × (95 %)", "accuracy, %", "change, pp (95 %)", "seeds"),
            rows=tuple(
                (
                    Cell(text=model_label(each.model), words=True),
                    Cell(text=each.device, words=True),
                    Cell(text=" → ".join(_minutes(value) for value in (each.old_minutes, each.new_minutes))),
                    Cell(text=ratio_text(each.time)),
                    Cell(text=" → ".join(_percent(value) for value in (each.old_accuracy, each.new_accuracy))),
                    Cell(text=gain_text(each.accuracy) if each.accuracy else units.MISSING),
                    Cell(text=units.count(len(each.seeds))),
                )
                for each in changes
            ),
            note="Over the seeds that both runs have. Time is now over then; accuracy is set against each other only "
            "where recipe and data are the same.",
        )
    ]
    if unlike:
        tables.append(
            Table(
                caption="Unlike",
                head=("model", "device", "what", "then", "now"),
                rows=tuple(
                    tuple(Cell(text=text, words=True) for text in (model_label(each.model), each.device, *fact))
                    for each, *fact in unlike
                ),
                note="What differs besides the code may be the cause of what changed.",
            )
        )
    return View(
        title="What changed?",
        kicker=("FashionBench", "comparison"),
        banner="",
        card=Card(
            state=comparison.new_state,
            tone=tone,
            sentence=f"The verdict is {comparison.new_state} as before."
            if same
            else f"The verdict was {comparison.old_state} and is now {comparison.new_state}.",
        ),
        advice=(),
        bullets=tuple(broken),
        bullets_title="What was not to happen",
        notes=tuple(Note(text=f"Only one of the runs has {each}.") for each in comparison.missing),
        summary=tuple(tables),
        sections=(Section(key="changes", title="Then and now", blocks=tuple(tables)),),
        explorer=None,
    )


def _minutes(value: float) -> str:
    return units.bare(units.minutes(value, units.minutes_digits(value)))


def _percent(value: float) -> str:
    return units.bare(units.percent(value, 2))
