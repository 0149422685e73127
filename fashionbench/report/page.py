"""The report as files: records and a verdict become one view, and the view becomes HTML, PDF, Markdown and JSON."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from fashionbench.errors import InputError
from fashionbench.judging.findings import Verdict
from fashionbench.judging.rule import DEFAULT_THRESHOLDS, Thresholds
from fashionbench.judging.verdict import decide_by
from fashionbench.options.run import FORMATS
from fashionbench.records.files import write_output
from fashionbench.records.grouping import select
from fashionbench.records.record import InferenceRecord, TrainingRecord
from fashionbench.report.chapters import budgets, classes, cost, environment, images, learning, method, models
from fashionbench.report.context import Context, make_context
from fashionbench.report.front.card import (
    describe_run,
    introduce_study,
    list_advice,
    list_reasons,
    make_card,
    make_title,
)
from fashionbench.report.front.decision import show_decision
from fashionbench.report.front.explorer import make_explorer
from fashionbench.report.front.notes import list_notes
from fashionbench.report.front.scope import list_changes
from fashionbench.report.render import render_html, render_markdown, render_pdf
from fashionbench.report.view import Block, Section, View

__all__ = ["CHAPTERS", "Chapter", "Report", "make_view", "write_report"]

NO_RESULT: Final = "Installation check: no result"


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter of the report."""

    key: str
    """Its anchor on the page."""
    title: str
    build: Callable[[Context], tuple[Block, ...]]
    """Returns its blocks; a chapter without blocks is left out."""
    needs_training: bool = True
    """Whether it is left out if no training finished."""


CHAPTERS: Final = (
    Chapter("budgets", "Accuracy against training budget", budgets.accuracy_against_budget),
    Chapter("cost", "Accuracy and training cost", cost.accuracy_against_time),
    Chapter("learning", "Learning curves", learning.learning_curves),
    Chapter("classes", "Scores by class", classes.scores_by_class),
    Chapter("confusion", "Confusion matrices", classes.confusion_matrices),
    Chapter("images", "Image-by-image comparison", images.image_comparison),
    Chapter("calibration", "Calibration", images.calibration),
    Chapter("models", "Model sizes", models.model_sizes),
    Chapter("speed", "Throughput and latency", models.speed, needs_training=False),
    Chapter("claims", "Claims of the original study", method.study_claims),
    Chapter("clock", "Training clock", method.training_clock),
    Chapter("method", "Method", method.method),
    Chapter("environment", "Environment", environment.environment, needs_training=False),
    Chapter("data", "Data", environment.data),
    Chapter("unfinished", "Cases without a result", environment.unfinished_cases, needs_training=False),
    Chapter("glossary", "Glossary", method.glossary, needs_training=False),
)
"""All chapters, in the order of the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The files that were written, and the conclusion."""

    paths: tuple[Path, ...]
    verdict: Verdict | None
    conclusion: str


def write_report(
    records: Sequence[TrainingRecord | InferenceRecord],
    out: Path,
    *,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
    formats: Collection[str] = tuple(FORMATS),
) -> Report:
    """Write the report into a folder; an interrupted write leaves the previous file in place.

    Args:
        records: Records from any number of devices.
        out: The folder; it is created if it does not exist.
        thresholds: Margin and prices, by which the verdict is decided.
        formats: Some of ``html``, ``pdf``, ``md``, ``json``.

    Raises:
        InputError: There are no records, a format is unknown, or the records cannot be in one report.
        SetupError: A file cannot be written.

    """
    if not records:
        raise InputError("no records", expected="at least one", remedy="run a case first")
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown:
        raise InputError(
            f"unknown format {unknown[0]!r}", expected=f"some of {', '.join(FORMATS)}", remedy="choose from these"
        )
    verdict = decide_by(records, thresholds)
    view = make_view(records, verdict, chapters=CHAPTERS if {"html", "pdf"} & set(formats) else ())
    renderers: dict[str, Callable[[], bytes]] = {
        "html": lambda: render_html(view).encode(),
        "pdf": lambda: render_pdf(view, select(records).records),
        "md": lambda: render_markdown(view).encode(),
        "json": lambda: (verdict.model_dump_json(indent=2) if verdict else "null").encode() + b"\n",
    }
    contents = {out / FORMATS[name]: render() for name, render in renderers.items() if name in formats}
    for path, content in contents.items():
        write_output(path, content)
    conclusion = f"{view.card.state}: {view.card.sentence}"
    return Report(
        paths=tuple(contents), verdict=verdict, conclusion=f"{view.banner}. {conclusion}" if view.banner else conclusion
    )


def make_view(
    records: Sequence[TrainingRecord | InferenceRecord],
    verdict: Verdict | None,
    *,
    chapters: Sequence[Chapter] = CHAPTERS,
) -> View:
    """Return the content of a page about some records and the verdict on them."""
    context = make_context(records, verdict)
    sections = tuple(
        Section(key=chapter.key, title=chapter.title, blocks=blocks)
        for chapter in chapters
        if (context.trainings or not chapter.needs_training) and (blocks := chapter.build(context))
    )
    is_result = all(each.recipe.is_result for each in context.records if isinstance(each, TrainingRecord))
    decided = context if is_result else replace(context, verdict=None)
    return View(
        title=make_title(context),
        run_description=describe_run(context),
        banner="" if is_result else NO_RESULT,
        introduction=introduce_study(context),
        card=make_card(context),
        advice=list_advice(decided),
        figures=show_decision(context) if chapters else (),
        reasons=list_reasons(decided),
        bullets=list_changes(decided),
        bullets_title="What would change the verdict",
        notes=list_notes(context),
        summary=(*budgets.make_budget_tables(context), *cost.make_summary(context)),
        sections=sections,
        explorer=make_explorer(decided),
    )
