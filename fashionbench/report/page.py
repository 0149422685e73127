"""The report as files: the records become one view, and the view becomes HTML, PDF, Markdown and JSON."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from fashionbench.errors import InputError
from fashionbench.judging.prices import Money
from fashionbench.judging.rule import DEFAULT_MARGIN_PP, NO_MONEY
from fashionbench.judging.verdict import Verdict, decide
from fashionbench.records.grouping import in_order
from fashionbench.records.record import InferenceRecord, TrainingRecord
from fashionbench.records.store import write_whole
from fashionbench.report.chapters import claims, classes, cost, environment, images, learning, method, models
from fashionbench.report.context import Context, make_context
from fashionbench.report.explorer import explorer
from fashionbench.report.front import kicker, list_advice, list_reasons, make_card, make_title, notes, summary
from fashionbench.report.render import render_html, render_markdown, render_pdf
from fashionbench.report.view import Block, Section, View

__all__ = ["FORMATS", "Report", "make_view", "write_report"]

FORMATS: Final = MappingProxyType(
    {"html": "report.html", "pdf": "report.pdf", "md": "report.md", "json": "verdict.json"}
)
"""What can be written, and under which name."""

NO_RESULT: Final = "Installation check: no result"

CHAPTERS: Final[tuple[tuple[str, str, Callable[[Context], tuple[Block, ...]], bool], ...]] = (
    ("cost", "What the minutes buy", cost.cost, True),
    ("learning", "How they learn", learning.learning, True),
    ("classes", "Class by class", classes.by_class, True),
    ("confusion", "What is taken for what", classes.confusion, True),
    ("images", "Image by image", images.by_image, True),
    ("confidence", "How sure they are", images.by_confidence, True),
    ("claims", "The study's statements", claims.claims, True),
    ("models", "The models beside each other", models.models, True),
    ("inference", "Inference", models.inference_times, False),
    ("clock", "What was on the clock", method.clock, True),
    ("method", "Method", method.method, True),
    ("environment", "Machines and versions", environment.environment, False),
    ("data", "Data", environment.data, True),
    ("unfinished", "Failed and absent", environment.unfinished, False),
    ("glossary", "Words", method.glossary, False),
)
"""Key, title, builder, and whether it needs a finished training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was written and what it concludes."""

    paths: tuple[Path, ...]
    verdict: Verdict | None
    conclusion: str


def write_report(  # noqa: PLR0913 - the options of a report
    records: Sequence[TrainingRecord | InferenceRecord],
    out: Path,
    *,
    margin_pp: float = DEFAULT_MARGIN_PP,
    price_minutes_per_pp: float | None = None,
    money: Money = NO_MONEY,
    formats: Collection[str] = tuple(FORMATS),
) -> Report:
    """Write the report of some records into a folder; each file is whole or the one from before.

    Args:
        records: Of one recipe, from any number of devices.
        out: The folder; made where it is missing.
        margin_pp: The smallest gain that matters, in percentage points.
        price_minutes_per_pp: What a percentage point may cost, in training minutes.
        money: What an hour costs, and a percentage point may cost, in money.
        formats: Some of ``html``, ``pdf``, ``md``, ``json``.

    Raises:
        InputError: No records, an unknown format, or records that cannot stand in one report.

    """
    if not records:
        raise InputError("no records", expected="at least one", remedy="run a case first")
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown:
        raise InputError(
            f"unknown format {unknown[0]!r}", expected=f"some of {', '.join(FORMATS)}", remedy="name those"
        )
    records = in_order(records)
    verdict = decide(records, margin_pp=margin_pp, price_minutes_per_pp=price_minutes_per_pp, money=money)
    view = make_view(records, verdict)
    makers: dict[str, Callable[[], bytes]] = {
        "html": lambda: render_html(view).encode(),
        "pdf": lambda: render_pdf(view, records),
        "md": lambda: render_markdown(view).encode(),
        "json": lambda: (verdict.model_dump_json(indent=2) if verdict else "null").encode() + b"\n",
    }
    contents = {out / FORMATS[name]: make() for name, make in makers.items() if name in formats}
    for path, content in contents.items():
        write_whole(path, content)
    conclusion = f"{view.card.state}: {view.card.sentence}"
    return Report(
        paths=tuple(contents), verdict=verdict, conclusion=f"{view.banner}. {conclusion}" if view.banner else conclusion
    )


def make_view(records: Sequence[TrainingRecord | InferenceRecord], verdict: Verdict | None) -> View:
    """Return all that a page shows of some records and the verdict on them."""
    context = make_context(records, verdict)
    sections = tuple(
        Section(key=key, title=title, blocks=blocks)
        for key, title, build, needs_training in CHAPTERS
        if (context.trainings or not needs_training) and (blocks := build(context))
    )
    is_result = all(each.recipe.is_result for each in records if isinstance(each, TrainingRecord))
    return View(
        title=make_title(context),
        kicker=kicker(context),
        banner="" if is_result else NO_RESULT,
        card=make_card(context),
        advice=list_advice(context),
        bullets=verdict.would_change if verdict else (),
        bullets_title="What would change this",
        notes=notes(context),
        summary=summary(context),
        sections=sections,
        explorer=explorer(context),
        why=list_reasons(context),
    )
